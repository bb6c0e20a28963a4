// Tasks that fit together pass; each fault is named.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkTasks } from "../../../actors/planning/task-check.ts";
import { task, tooManyTasks } from "./stand.ts";

const ROLES = ["DEV", "QA"];

describe("the faults of tasks", () => {
  it.each([
    [
      "a ring",
      [task("a", { dependsOn: ["c"] }), task("b", { dependsOn: ["a"] }), task("c", { dependsOn: ["b"] })],
      [/ring: a → c → b → a\./],
    ],
    ["a task that waits for itself", [task("a", { dependsOn: ["a"] })], [/ring: a → a\./]],
    ["a dependency that is not there", [task("a", { dependsOn: ["x"] })], [/a depends on x, which is no task/]],
    ["a role that is not there", [task("a", { role: "CHEF" })], [/a is for role CHEF; there are DEV, QA/]],
    ["an id twice", [task("a"), task("a")], [/Two tasks have the id a/]],
    [
      "building after documenting",
      [task("a", { dependsOn: ["d"] }), task("d", { phase: "DOCS" })],
      [/a of BUILD depends on d of DOCS/],
    ],
    ["too many", tooManyTasks, [/There are 65 tasks; a story has at most 64/]],
    ["several", [task("a", { role: "CHEF", dependsOn: ["x"] })], [/CHEF/, /depends on x/]],
    ["none", [task("a"), task("d", { phase: "DOCS", dependsOn: ["a"] })], []],
  ] as const)("%s", (_, tasks, says) => {
    const faults = checkTasks(tasks, ROLES);
    expect(faults).toHaveLength(says.length);
    for (const [index, each] of says.entries()) expect(faults[index]).toMatch(each);
  });
});

/** Tasks each of which depends on some before it. */
const acyclic = fc
  .array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 2, maxLength: 30 })
  .map((picks) =>
    picks.map((each, index) =>
      task(`t${index}`, { dependsOn: index === 0 ? [] : [...new Set(each.map((pick) => `t${pick % index}`))] }),
    ),
  );

it("passes whatever has an order, in any order, and finds every edge back", () => {
  fc.assert(
    fc.property(acyclic, fc.nat(), fc.func(fc.integer()), (tasks, pick, shuffle) => {
      const shuffled = tasks.toSorted((one, other) => shuffle(one.id) - shuffle(other.id));
      expect(checkTasks(shuffled, ROLES)).toEqual([]);
      const dependants = tasks.filter(({ dependsOn }) => dependsOn.length > 0);
      const last = dependants[pick % Math.max(1, dependants.length)];
      if (last === undefined) return;
      const first = last.dependsOn[0] as string;
      const back = shuffled.map((each) =>
        each.id === first ? { ...each, dependsOn: [...each.dependsOn, last.id] } : each,
      );
      const faults = checkTasks(back, ROLES);
      expect(faults).toHaveLength(1);
      const ring = /ring: (.+)\.$/.exec(faults[0] ?? "")?.[1]?.split(" → ") ?? [];
      expect(ring.length).toBeGreaterThan(1);
      expect(ring[0]).toBe(ring.at(-1));
      for (const [index, id] of ring.slice(0, -1).entries())
        expect(back.find((each) => each.id === id)?.dependsOn).toContain(ring[index + 1]);
    }),
    { numRuns: 200 },
  );
});
