// The embedded graph: the contract, and what is its own: one owner, crashes, folders that hold no graph.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { LadybugGraph } from "../../../actors/context/ladybug-graph.ts";
import { graphContract } from "../../contracts/graph.ts";
import { caught } from "../../support/caught.ts";
import { waitUntil } from "../../support/wait-until.ts";

const folderForGraph = () => mkdtemp(join(tmpdir(), "flotilla-graph-"));

graphContract("LadybugDB", async () => {
  const folder = await folderForGraph();
  const graph = new LadybugGraph({ folder });
  return {
    graph,
    close: async () => {
      await graph.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
});

describe("the embedded graph's file", () => {
  const folders: string[] = [];
  const children: ChildProcess[] = [];
  const folder = async () => {
    const made = await folderForGraph();
    folders.push(made);
    return made;
  };
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    for (const made of folders.splice(0)) await rm(made, { recursive: true, force: true });
  });

  /** A process that writes a task and its commit in one write after the other, and prints the number of each that was done. */
  function writer(path: string) {
    const program = new URL("./graph-writer.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [program, path], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    const done: number[] = [];
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (text + chunk).split("\n");
      text = lines.pop() ?? "";
      done.push(...lines.map(Number));
    });
    return { child, done };
  }

  it("keeps every write that was answered when its process is killed, and none in half (LG3)", async () => {
    const path = await folder();
    const { child, done } = writer(path);
    await waitUntil("the other process writes", () => done.length > 20);
    const graph = new LadybugGraph({ folder: path });
    const taken = await caught(graph.run("RETURN 1 AS one"));
    expect([taken.code, taken.retryable]).toEqual(["GraphUnavailable", true]);
    expect(taken.message).toContain("open already");
    const gone = once(child, "close");
    child.kill("SIGKILL");
    await gone;
    await waitUntil("the folder is free", () =>
      graph.open().then(
        () => true,
        () => false,
      ),
    );
    const count = async (type: string) => Number((await graph.run(`MATCH (n:${type}) RETURN count(*) AS n`))[0]?.n);
    const [tasks, commits] = [await count("Task"), await count("Commit")];
    await graph.close();
    expect(tasks).toBe(commits);
    expect(tasks).toBeGreaterThanOrEqual(done.length);
    // At most the one in hand was done without its answer, and one whose answer the kill took on its way here.
    expect(tasks).toBeLessThanOrEqual((done.at(-1) ?? 0) + 2);
  });

  it("has one owner in a process, too, and the next when that has closed it (LG1)", async () => {
    const path = await folder();
    const [first, second] = [new LadybugGraph({ folder: path }), new LadybugGraph({ folder: path })];
    await first.open();
    expect((await caught(second.open())).code).toBe("GraphUnavailable");
    await first.close();
    await second.open();
    await second.close();
  });

  it("says what is wrong with a file that is no graph", async () => {
    const path = await folder();
    await writeFile(join(path, "graph.lbug"), "not a graph");
    const graph = new LadybugGraph({ folder: path });
    const error = await caught(graph.open());
    expect([error.code, error.message.includes(path)]).toEqual(["GraphRefused", true]);
    await rm(join(path, "graph.lbug"));
    await graph.open();
    await graph.close();
  });
});
