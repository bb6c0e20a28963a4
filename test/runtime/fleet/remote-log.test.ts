// What actors on other nodes log is heard by the process that spawned them. How lines are batched and bounded: test/runtime/log.test.ts.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor, formatLogLine, type LogLine } from "../../../runtime/index.ts";
import { LEASE_PROFILES } from "../../../runtime/lease.ts";
import { type FleetNode, openFleet } from "../../support/fleet.ts";

const { ttlMs } = LEASE_PROFILES.normal;

const Speaker = defineActor(
  "speaker",
  class {
    say(message: string, data?: Readonly<Record<string, unknown>>): void {
      actorContext().log("info", message, data);
    }
    async childSay(message: string): Promise<void> {
      const child = await actorContext().spawn(Speaker, { node: actorContext().address.node });
      await child.say(message);
    }
    crash(): void {
      throw new Error("out of luck");
    }
  },
);

/** What a node has heard of speakers, as text without the time. */
const heard = ({ lines }: FleetNode): string[] =>
  lines.filter(({ actor }) => actor?.startsWith("speaker")).map((line: LogLine) => formatLogLine(line).slice(13));

async function openDrivers() {
  const fleet = openFleet();
  const driver = await fleet.add("driver", { record: { accepts: false } });
  const other = await fleet.add("other", { record: { accepts: false } });
  const host = await fleet.add("host", { actors: [Speaker] });
  return { fleet, driver, other, host, [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose]() };
}

describe("lines of remote actors", () => {
  test("reach their owner with actor and node, in order, beside their own node's sink; nobody else", async () => {
    await using at = await openDrivers();
    const speaker = await at.driver.system.spawn(Speaker, { failOnThrow: true });
    await speaker.say("one", { n: 1 });
    await speaker.childSay("two");
    await speaker.crash().catch(() => {});
    await at.fleet.pass(500);
    const lines = heard(at.driver);
    expect(lines.slice(0, 2)).toEqual(['info  speaker/1@host-1  one {"n":1}', "info  speaker/2@host-1  two"]);
    expect(lines[2]).toMatch(/^error speaker\/1@host-1 {2}failed: .+out of luck.+/);
    expect(at.driver.lines.at(-1)?.node).toBe("host-1");
    expect(heard(at.host)).toEqual(lines);
    expect(heard(at.other)).toEqual([]);
  });

  test("of a detached actor too, until its owner is gone; nothing is kept for that one", async () => {
    await using at = await openDrivers();
    const speaker = await at.driver.system.spawn(Speaker, { name: "s", detached: true });
    await speaker.say("with an owner");
    await at.fleet.pass(500);
    expect(heard(at.driver)).toHaveLength(1);
    await at.driver.crash();
    await at.fleet.pass(2 * ttlMs);
    const same = await at.other.system.get("s", Speaker);
    const before = at.host.system.stats().framesOut;
    await same.say("without one");
    await at.fleet.pass(2_000);
    expect(heard(at.host)).toHaveLength(2);
    expect(heard(at.other)).toEqual([]);
    expect(heard(at.driver)).toHaveLength(1);
    // The answer only.
    expect(at.host.system.stats().framesOut - before).toBe(1);
  });
});
