// What is kept of councils in the fleet's store, and how a model is named there. Plain data and its schemas.
//
// CU1  Keys of model servers are never kept: who asks a model has them in its environment.

import { z } from "zod";
import type { ModelSpec } from "../agent-actor.ts";
import { refuse } from "./errors.ts";
import { proposalBehaviours } from "./mock-proposals.ts";

const name = z.string().min(1).max(200);

/** A model as it may be kept (CU1). */
export const modelSpecSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("openai"), url: z.url({ protocol: /^https?$/ }).max(2_000), model: name }),
  z.strictObject({ kind: z.literal("node"), model: name }),
  z.strictObject({
    kind: z.literal("mock"),
    variant: z.enum(["clean", "sloppy", "wrong"]).exactOptional(),
    behaviour: z.enum(proposalBehaviours).exactOptional(),
  }),
]);

export type KeptModel = z.output<typeof modelSpecSchema>;

/** Throws RequestInvalid for what is no spec, or one with a key (CU1). */
export function keptModel(spec: ModelSpec): KeptModel {
  const parsed = modelSpecSchema.safeParse(spec);
  if (parsed.success) return parsed.data;
  if ("apiKey" in spec)
    throw refuse("RequestInvalid", "A council's model takes no apiKey: set FLOTILLA_API_KEY where the services run.");
  throw refuse("RequestInvalid", `The model is not valid: ${parsed.error.issues[0]?.message}.`);
}

const memberSchema = z.object({
  agentId: name,
  /** From 1, in the order in which members came; no two in a council's life have the same. */
  number: z.int().min(1),
  /** Absent: the model that the services were started with. */
  model: modelSpecSchema.exactOptional(),
});

export const councilSchema = z.object({
  /** Name of its role. */
  role: name,
  rounds: z.int().min(1),
  members: z.array(memberSchema),
  /** Ids of members that left: never given again. */
  left: z.array(name),
  nextNumber: z.int().min(1),
  createdAtMs: z.number(),
});

export type CouncilRecord = z.output<typeof councilSchema>;

/** A member with the model it is asked by: its place in one deliberation. */
export const seatSchema = memberSchema.extend({ model: modelSpecSchema });
export type CouncilSeat = z.output<typeof seatSchema>;
