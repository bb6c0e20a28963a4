// A peer's process: asked and answered by lines, and what is said of one that cannot be.

import { describe, expect, test } from "vitest";
import { PeerProcess } from "../../bench/peers/peer-process.ts";
import { NotMeasured } from "../../bench/scenario.ts";

const SETTING = { quick: true, roundMs: 7, servers: async () => "" };
const READY = `console.log(JSON.stringify({ ready: { rows: ["row"], versions: { peer: "1" } } }));`;
const node = (program: string) => [process.execPath, "-e", program] as const;
const ECHO = `${READY} process.stdin.on("data", (line) => console.log(JSON.stringify({ value: JSON.parse(line).ms })))`;
const REFUSE = `${READY} process.stdin.on("data", () => console.log('{"error":"no such row"}'))`;
const DIE = `${READY} process.stdin.on("data", () => { console.error("first\\nout of memory"); process.exit(1) })`;

test("says what it can do, and answers asks", async () => {
  await using peer = await PeerProcess.start(node(ECHO));
  expect(peer.rows).toEqual(["row"]);
  expect(peer.versions).toEqual({ peer: "1" });
  const running = peer.running("row", SETTING);
  expect(await running.round()).toEqual({ value: 7 });
  expect(await running.round()).toEqual({ value: 7 });
});

describe("a reason in place of a figure", () => {
  test.each([
    ["an answer that is an error", REFUSE, "no such row"],
    ["a process that dies", DIE, "its process ended: out of memory"],
  ])("%s", async (_, program, reason) => {
    await using peer = await PeerProcess.start(node(program));
    await expect(peer.running("row", SETTING).round()).rejects.toThrow(new NotMeasured(reason));
  });

  test.each([
    ["exits before it is ready", node(`console.error("no such module"); process.exit(1)`), "no such module"],
    ["cannot be started", ["/nowhere/python"] as const, "ENOENT"],
  ])("a program that %s", async (_, command, reason) => {
    await expect(PeerProcess.start(command)).rejects.toThrow(reason);
    await expect(PeerProcess.start(command)).rejects.toBeInstanceOf(NotMeasured);
  });
});
