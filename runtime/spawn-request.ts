// Requests to make an actor, or to have its type ready, as they come from another node: checked before anything is made of them.
// It is not how one is made (spawner.ts).

import type { SpawnOptions } from "./actor.ts";
import type { SpawnRequest } from "./host.ts";
import { refuse, spawnSettings } from "./options.ts";
import { checkAmounts, checkPlacement } from "./placement-options.ts";
import type { TypeRequest } from "./types.ts";

const TEXTS = ["version", "owner", "code"] as const;

/** Throws InvalidOption for what no node of ours would ask for. */
export function checkedType(value: unknown): TypeRequest {
  const request = (value ?? {}) as Partial<Record<(typeof TEXTS)[number] | "type", unknown>>;
  if (typeof request.type !== "string") refuse("type", "the name of an actor type", request.type);
  for (const option of TEXTS)
    if (request[option] !== undefined && typeof request[option] !== "string") refuse(option, "text", request[option]);
  return request as TypeRequest;
}

/** Throws InvalidOption for what no spawner of ours would send. */
export function checkedRequest(value: unknown): SpawnRequest {
  const request = checkedType(value) as SpawnRequest;
  const { args, settings, name, namespace, getIfExists, detached, takeover, parent } = request;
  if (!Array.isArray(args)) refuse("args", "an array of constructor arguments", args);
  if (typeof settings !== "object" || settings === null) refuse("settings", "how the actor lives", settings);
  if (takeover !== undefined && (typeof takeover?.key !== "string" || !Number.isSafeInteger(takeover.revision)))
    refuse("takeover", "a key and its revision", takeover);
  if (parent !== undefined && typeof parent?.node !== "string") refuse("parent", "an address", parent);
  const { resources, placement } = request;
  if (resources !== undefined) checkAmounts("resources", resources);
  if (placement !== undefined) checkPlacement(placement);
  const given = { ...settings, name, namespace, getIfExists, detached };
  const options = Object.fromEntries(Object.entries(given).filter(([, part]) => part !== undefined)) as SpawnOptions;
  return { ...request, settings: spawnSettings(options) };
}
