// Bounds on all memory of a process. The kernel is played by files: what is written where is looked at, and what the kernel would write is written.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../runtime/index.ts";
import { memoryBound, type ProcessTable } from "../../../runtime/isolation/cgroup.ts";
import { waitUntil } from "../../support/wait-until.ts";

const OWN = 4711;

interface Machine extends Disposable {
  readonly table: ProcessTable;
  /** Folder of the group in which the node is at first. */
  readonly group: string;
  read(...path: string[]): string;
  write(text: string, ...path: string[]): void;
}

/** `procs`: who is in the node's group; `parents`: of each process but the node. */
function machine(
  controllers: string,
  procs: readonly number[] = [OWN],
  parents: Readonly<Record<number, number>> = {},
  own = "/system.slice/flotilla.service",
): Machine {
  const root = mkdtempSync(join(tmpdir(), "flotilla-cgroup-"));
  const group = join(root, "fs", "flotilla.service");
  const write = (text: string, ...path: string[]) => {
    mkdirSync(join(...path, ".."), { recursive: true });
    writeFileSync(join(...path), text);
  };
  // A container sees the part of the tree that begins at its own root.
  write(
    `22 1 0:20 / /proc rw - proc proc rw\n35 24 0:29 /system.slice ${root}/fs rw,nosuid - cgroup2 cgroup rw\n`,
    root,
    "proc",
    `${OWN}`,
    "mountinfo",
  );
  write(`1:name=systemd:/\n0::${own}\n`, root, "proc", `${OWN}`, "cgroup");
  for (const [pid, parent] of Object.entries(parents)) write(`${pid} (a b) S ${parent} 1 1`, root, "proc", pid, "stat");
  write(controllers, group, "cgroup.controllers");
  write(procs.join("\n"), group, "cgroup.procs");
  return {
    table: { folder: join(root, "proc"), pid: OWN },
    group,
    read: (...path) => readFileSync(join(group, ...path), "utf8"),
    write: (text, ...path) => write(text, group, ...path),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

const whyNot = async ({ table }: Machine): Promise<string> => {
  const bound = await memoryBound(systemClock, table);
  return bound.kind === "absent" ? bound.why : "it is there";
};

describe("a bound on all memory of a process", () => {
  test("the node moves down with what it has started, and each process gets a group beside it", async () => {
    using own = machine("cpu memory pids\n", [OWN, 5000, 5001], { 5000: OWN, 5001: 5000 });
    // The kernel takes each out of the one when it is written into the other; here everybody is, after the last.
    const bounding = memoryBound(systemClock, own.table);
    const moved = join(own.group, "flotilla-node", "cgroup.procs");
    await waitUntil("the last one is moved", () => existsSync(moved) && readFileSync(moved, "utf8") === "5001");
    own.write("", "cgroup.procs");
    const bound = await bounding;
    if (bound.kind !== "in force") throw new Error(bound.why);
    expect([bound.groups.folder, own.read("cgroup.subtree_control")]).toEqual([own.group, "+memory"]);
    const group = await bound.groups.make("host-p1-abc", 2 ** 28);
    await group.add(6000);
    const files = ["memory.max", "memory.oom.group", "cgroup.procs"];
    expect(files.map((file) => own.read("host-p1-abc", file))).toEqual(["268435456", "1", "6000"]);
    own.write("low 0\nmax 9\noom 1\noom_kill 1\n", "host-p1-abc", "memory.events");
    own.write("", "host-p1-abc", "cgroup.kill");
    expect(await group.close()).toBe(true);
    expect(own.read("host-p1-abc", "cgroup.kill")).toBe("1");
  });

  test("one that ended otherwise has not run out of memory, and its group goes", async () => {
    using own = machine("memory\n", [], {}, "/system.slice/flotilla.service/flotilla-node");
    const bound = await memoryBound(systemClock, own.table);
    if (bound.kind !== "in force") throw new Error(bound.why);
    const group = await bound.groups.make("p2", 1);
    own.write("oom 0\noom_kill 0\n", "p2", "memory.events");
    const closing = group.close();
    // The files of a group are the kernel's, and go with it.
    expect(await closing).toBe(false);
    for (const file of ["memory.events", "memory.max", "memory.oom.group"]) rmSync(join(own.group, "p2", file));
    await waitUntil("the group is gone", () => !existsSync(join(own.group, "p2")));
  });

  test("where there can be none it is said why, and nothing is changed", async () => {
    using without = machine("cpu pids\n");
    expect(await whyNot(without)).toBe(`${without.group} has no memory controller`);
    using shared = machine("memory\n", [OWN, 77], { 77: 1 });
    expect(await whyNot(shared)).toBe(
      `${shared.group} may not be divided: process 77, which is not the node's, lives in it`,
    );
    expect(() => shared.read("flotilla-node", "cgroup.procs")).toThrow("ENOENT");
    using hidden = machine("memory\n", [OWN], {}, "/other");
    expect(await whyNot(hidden)).toBe("its own group /other is not visible here");
    expect(await whyNot({ ...hidden, table: { folder: hidden.group, pid: 1 } })).toBe("there is no cgroup v2 here");
  });
});
