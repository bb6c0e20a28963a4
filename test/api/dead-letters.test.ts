// `flotilla dead-letters`: what it prints for people and for scripts, and what it says when something is wrong.

import { describe, expect, it } from "vitest";
import { runCli } from "../../api/cli.ts";
import { deadLettersCommand } from "../../api/dead-letters.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { natsForTests } from "../support/nats-server.ts";
import { taskNodes } from "../support/task-nodes.ts";

/** Tasks a and "b c" are dead, of which only the first can be healed. */
async function deadFleet() {
  const clock = new FakeClock();
  const nodes = taskNodes({ clock });
  let healthy = false;
  const worker = nodes.open("worker", async ({ id }) => {
    if (!healthy || id !== "a") throw new RangeError(`sick \u001b[31m${id}`);
    return "well";
  });
  await worker.tasks.serve("counter");
  const { tasks } = nodes.open("driver");
  for (const [at, id] of ["a", "b c"].entries()) {
    await tasks.submit({ type: "counter" }, "go", [], { id, retries: 1, backoff: { firstMs: at * 5_000 } });
  }
  await clock.advance(10_000);
  const run = async (action: "list" | "show" | "replay", ...args: string[]) => {
    const text = { out: "", err: "" };
    const ids = args.filter((arg) => arg !== "--json");
    const status = await deadLettersCommand(action, ids, tasks.deadLetters, args.includes("--json"), {
      out: { write: (piece) => (text.out += piece) },
      err: { write: (piece) => (text.err += piece) },
      signal: new AbortController().signal,
    });
    return { status, ...text };
  };
  return { tasks, run, heal: () => (healthy = true), [Symbol.asyncDispose]: () => nodes[Symbol.asyncDispose]() };
}

describe("flotilla dead-letters", () => {
  it("lists and shows them, with nothing in it that could drive a terminal", async () => {
    await using at = await deadFleet();
    const { status, out } = await at.run("list");
    expect(status).toBe(0);
    expect(out).toMatch(/^id +task +dead since \(UTC\) +attempts +last failure\n/);
    expect(out).toMatch(/^a +counter\.go +2023-11-14 22:13:\d\d +2 +ActorThrew: /m);
    expect(out).toMatch(/^b c +counter\.go/m);
    const shown = await at.run("show", "b c");
    expect(shown.out).toMatch(/^b c\nTask {7}counter\.go\n/);
    expect(shown.out).toMatch(
      /Attempt 2 {2}2023-\S+ \S+ {2}worker\nActorThrew: counter\.go threw RangeError: sick b c\n/,
    );
    expect(out + shown.out).not.toContain("\u001b");
  });

  it("gives scripts one JSON value", async () => {
    await using at = await deadFleet();
    const listed = JSON.parse((await at.run("list", "--json")).out);
    expect(listed).toMatchObject([{ id: "a", history: [{ attempt: 1 }, { attempt: 2 }] }, { id: "b c" }]);
    expect(JSON.parse((await at.run("show", "a", "--json")).out)).toEqual(listed[0]);
    const replayed = await at.run("replay", "a", "none", "--json");
    expect(replayed.status).toBe(1);
    expect(JSON.parse(replayed.out)).toMatchObject([
      { id: "a", replayed: true },
      { id: "none", code: "TaskNotDead" },
    ]);
  });

  it("replays each, and says which could not be", async () => {
    await using at = await deadFleet();
    at.heal();
    const { status, out, err } = await at.run("replay", "a", "none");
    expect({ status, out }).toEqual({ status: 1, out: "a is in the queue again.\n" });
    expect(err).toMatch(/^flotilla: the task "none" is no dead letter; flotilla dead-letters list/);
    expect(await at.tasks.result("a")).toBe("well");
    expect((await at.run("list")).out).not.toMatch(/^a /m);
  });

  it("says so when there are none", async () => {
    await using at = await deadFleet();
    at.heal();
    await at.tasks.deadLetters.replay("a");
    await at.tasks.deadLetters.replay("b c");
    expect(await at.run("list")).toEqual({ status: 0, out: "No dead letters.\n", err: "" });
    expect((await at.run("list", "--json")).out).toBe("[]\n");
  });
});

const nats = natsForTests();

async function cli(...args: string[]) {
  const text = { out: "", err: "" };
  const status = await runCli(["dead-letters", ...args], {
    out: { write: (piece) => (text.out += piece) },
    err: { write: (piece) => (text.err += piece) },
    signal: new AbortController().signal,
  });
  return { status, ...text };
}

describe("a mistake", () => {
  it.each([
    [["list"], /--servers \(FLOTILLA_SERVERS\): expected the address .+, it is missing/],
    [["list", "--servers", "nats://127.0.0.1:1"], /no server answers at 127\.0\.0\.1:1/],
    [["show"], /missing required argument 'id'/],
    [["replay"], /missing required argument 'ids'/],
    [["lits"], /unknown command 'lits'/],
    [["list", "x"], /too many arguments/],
  ])("%j", async (args, says) => {
    const { status, out, err } = await cli(...args);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err).toMatch(says);
  });

  it.skipIf(nats.missing !== undefined)("on a fleet: an id that is not there", async () => {
    const { servers, user, pass } = nats.options;
    const address = servers.replace("//", `//${user}:${pass}@`);
    expect(await cli("list", "--servers", address, "--json")).toEqual({ status: 0, out: "[]\n", err: "" });
    const { status, err } = await cli("show", "none", "--servers", address);
    expect(status).toBe(1);
    expect(err).toMatch(/^flotilla: the task "none" is no dead letter/);
  });
});
