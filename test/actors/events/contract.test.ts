// The contract of the channels, held against the code: whoever is declared to write or read one does so, nobody else does, and the document that
// others read is made from the same source.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { asyncApi } from "../../../actors/events/asyncapi.ts";
import type { Channel, Party } from "../../../actors/events/channels.ts";
import * as channels from "../../../actors/events/channels.ts";
import { isNode, type Node, ROOT, readSources, walk } from "../../tidy/source.ts";

const byName: ReadonlyMap<string, Channel> = new Map(
  Object.entries(channels).flatMap(([name, value]) =>
    typeof value === "object" && "address" in value ? [[name, value as Channel] as const] : [],
  ),
);

/** Where each party's code is: the first that fits. */
const PLACES: readonly (readonly [place: RegExp, party: Party])[] = [
  [/^actors\/planning\//, "planning"],
  [/^actors\/orchestrator\//, "orchestrator"],
  [/^actors\/workspace-runner\//, "workspace-runner"],
  [/^actors\/context\//, "context"],
  [/^actors\/agent-executor/, "agent-executor"],
  [/^actors\/collector\.ts$/, "collector"],
  [/^actors\/result-post\.ts$/, "agent"],
  [/^actors\/events\/consumer\.ts$/, "consumers"],
];
/** People's programs: their reading makes a channel's audience. */
const DOORS = /^(api|examples|bench)\//;
const WRITES: ReadonlySet<string> = new Set(["postEvent", "postEnvelope", "envelopeOf"]);
const READS: ReadonlySet<string> = new Set(["feed", "consume", "parse"]);

interface Use {
  readonly channel: string;
  readonly path: string;
  readonly does: "writes" | "reads";
}

/** Every call that is given a channel, directly or as a field of its options. */
function usesOf({ path, program }: ReturnType<typeof readSources>[number]): Use[] {
  const uses: Use[] = [];
  let isReader = false;
  walk(program, (node) => {
    if (node.type !== "CallExpression" || !isNode(node.callee)) return;
    const callee = String(node.callee.name ?? (isNode(node.callee.property) ? node.callee.property.name : ""));
    const does = WRITES.has(callee) ? "writes" : READS.has(callee) ? "reads" : undefined;
    if (does === undefined) return;
    for (const channel of namesIn(node.arguments as Node[])) uses.push({ channel, path, does });
    if (does === "reads") isReader = true;
  });
  // A file that reads may have its channels in a table.
  walk(program, (node) => {
    if (!isReader || node.type !== "ObjectProperty" || !isNode(node.key) || node.key.name !== "channel") return;
    if (isNode(node.value)) for (const channel of namesIn([node.value])) uses.push({ channel, path, does: "reads" });
  });
  return uses;
}

function namesIn(nodes: readonly Node[]): string[] {
  return nodes.flatMap((node) => {
    if (node.type === "Identifier") return byName.has(String(node.name)) ? [String(node.name)] : [];
    if (node.type !== "ObjectExpression") return [];
    const fields = node.properties as Node[];
    return fields.flatMap((field) =>
      isNode(field.value) ? namesIn([field.value]) : isNode(field.argument) ? namesIn([field.argument]) : [],
    );
  });
}

const uses = readSources(ROOT)
  .filter(({ path }) => !path.startsWith("test/"))
  .flatMap(usesOf);
const partyOf = (path: string) => PLACES.find(([place]) => place.test(path))?.[1];
const partiesOf = (channel: string, does: Use["does"]) => {
  const own = uses.filter((use) => use.channel === channel && use.does === does && !DOORS.test(use.path));
  return [...new Set(own.map(({ path }) => partyOf(path) ?? path))].sort();
};

describe.each([...byName])("%s", (name, channel) => {
  test("is written by its producers and by nobody else", () => {
    expect(partiesOf(name, "writes")).toEqual([...channel.producers].sort());
  });

  test("is read by its consumers and by nobody else", () => {
    expect(partiesOf(name, "reads")).toEqual([...channel.consumers].sort());
  });

  test("has somebody who wants it, and a schema for each of its events", () => {
    expect(channel.consumers.length > 0 || channel.audience !== undefined).toBe(true);
    expect(Object.keys(channel.types)).not.toEqual([]);
    for (const type of Object.values(channel.types)) expect(type.version).toBeGreaterThan(0);
  });
});

test("every channel is in the list, and no two say one address or one type", () => {
  expect([...byName.values()]).toEqual(channels.CHANNELS);
  const types = channels.CHANNELS.flatMap(({ types }) => Object.keys(types));
  expect(new Set(types).size).toBe(types.length);
  expect(new Set(channels.CHANNELS.map(({ address }) => address)).size).toBe(channels.CHANNELS.length);
});

test("docs/asyncapi.yaml is what the code says: flotilla asyncapi > docs/asyncapi.yaml", () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  expect(parseYaml(readFileSync(join(ROOT, "docs/asyncapi.yaml"), "utf8"))).toEqual(asyncApi(version));
});

test("every reference in the document leads somewhere", () => {
  const document = asyncApi("0");
  const references = JSON.stringify(document).match(/"\$ref":"[^"]+"/g) ?? [];
  expect(references.length).toBeGreaterThan(channels.CHANNELS.length);
  for (const reference of references) {
    const path = reference.slice('"$ref":"#/'.length, -1).split("/");
    expect(
      path.reduce<unknown>((at, step) => (at as Record<string, unknown>)?.[step], document),
      reference,
    ).toBeDefined();
  }
});
