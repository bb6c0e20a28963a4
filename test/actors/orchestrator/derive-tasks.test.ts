// Tasks from plans by rules: dependencies, roles, phases, the author's words, and what is refused.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DerivedPlan, deriveByRules } from "../../../actors/orchestrator/derive-tasks.ts";
import { TASK_TEXT_MAX, taskDraftSchema } from "../../../actors/planning/story.ts";
import { checkTasks, ROLES } from "./derive-checks.ts";

const planOf = (text: string, steps: DerivedPlan["steps"] = []): DerivedPlan => ({
  id: "p",
  title: "Mail",
  text,
  steps,
});
const derive = (text: string, steps: DerivedPlan["steps"] = [], roles: readonly string[] = ROLES) =>
  deriveByRules(planOf(text, steps), { roles, check: checkTasks });
/** Without the task that documents. */
const built = (text: string) => derive(text).filter(({ title }) => title !== "Document Mail");
const number = (id: string) => Number(id.split("-")[1]);
/** "1", "2<1", "3<1,2": each task with what it waits for. */
const order = (text: string) =>
  built(text).map(({ id, dependsOn }) => number(id) + (dependsOn.length > 0 ? `<${dependsOn.map(number)}` : ""));
const refusal = (text: string, steps: DerivedPlan["steps"] = []) => {
  try {
    derive(text, steps);
  } catch (error) {
    return error as { readonly code: string; readonly message: string };
  }
  throw new Error("it was derived");
};

describe("what comes after what", () => {
  it.each<[what: string, text: string, order: readonly string[]]>([
    ["numbered: one after the other", "1. A\n2. B\n3. C", ["1", "2<1", "3<2"]],
    ["bullets: independent", "- A\n* B\n+ C", ["1", "2", "3"]],
    ["numbered with 1. for each", "1. A\n1. B (after 1)\n1. C (after 2)", ["1", "2<1", "3<2"]],
    ["parallel beside the step before", "1. A\n2. B\n3. C (parallel)\n4. D", ["1", "2<1", "3<1", "4<2,3"]],
    ["a parallel one first", "1. A [parallel]\n2. B (in parallel with 1)\n3. C", ["1", "2", "3<1,2"]],
    ["after a number, in brackets", "1. A\n2. B\n3. C (after 1)\n4. D", ["1", "2<1", "3<1", "4<2,3"]],
    ["after numbers", "- A\n- B\n- C (after 1 and 2)\n- D (after #1, #3)", ["1", "2", "3<1,2", "4<1,3"]],
    ["after, at the beginning", "- A\n- After 1, B", ["1", "2<1"]],
    ["after a step, in a sentence", "- A\n- B is done after step 1.", ["1", "2<1"]],
    ["depends on names", "- Add parser\n- Add lexer\n- Glue, depends on: add parser, Lexer", ["1", "2", "3<1,2"]],
    ["depends on, in a nested line", "- Add parser\n- Glue\n  - depends on: parser", ["1", "2<1"]],
    ["depends on what follows", "- Glue (depends on: Add parser)\n- Add parser", ["1<2", "2"]],
    ["depends on nothing", "1. A\n2. B (depends on: none)", ["1", "2"]],
    ["a duration is no step", "1. A\n- Retry after 3 seconds\n- Lock after 2", ["1", "2", "3"]],
    ["a remark in brackets is no step", "- A\n- B (requires Node 24)\n- C (after 5 minutes)", ["1", "2", "3"]],
    ["what is ticked off is not waited for", "1. [x] A\n2. [ ] B\n3. C (after 1)", ["2", "3"]],
    ["a number of the nearer list", "# One\n1. A\n2. B\n# Two\n1. C\n2. D (after 1)", ["1", "2<1", "3<2", "4<3"]],
    ["documents last", "1. A\n2. [DOCS] B\n3. C", ["1", "2<1", "3<1"]],
  ])("%s", (_, text, expected) => {
    expect(order(text)).toEqual(expected);
  });
});

describe("who, when, how soon, how large", () => {
  it.each<[head: string, expected: object]>([
    ["Add a parser", { title: "Add a parser", role: "DEV", phase: "BUILD", priority: 5, size: "S" }],
    ["[QA] Try the parser", { title: "Try the parser", role: "QA" }],
    ["QA: Try the parser", { title: "Try the parser", role: "QA" }],
    ["Try the parser (QA)", { title: "Try the parser", role: "QA" }],
    ["[qa, L, P1] Try the parser", { title: "Try the parser", role: "QA", size: "L", priority: 8 }],
    [
      "[DEVOPS] Add a pipeline [size: m] [priority: 2]",
      { title: "Add a pipeline", role: "DEVOPS", size: "M", priority: 2 },
    ],
    ["Add a parser [urgent]", { title: "Add a parser", priority: 9 }],
    ["Test the parser", { role: "QA", phase: "BUILD" }],
    ["Write more unit tests for the parser", { role: "QA" }],
    ["Add a parser with tests", { role: "DEV" }],
    ["Add tests() function to src/a.py", { role: "DEV" }],
    ["Add the latest parser", { role: "DEV" }],
    ["Document the parser", { role: "DEV", phase: "DOCS" }],
    ["Update the README", { role: "DEV", phase: "DOCS" }],
    ["[docs] Say how it is used", { title: "Say how it is used", phase: "DOCS" }],
    ["Add documentation upload", { phase: "BUILD" }],
    ["Add a documented parser", { phase: "BUILD" }],
    ["**Add a parser**: small", { title: "Add a parser: small" }],
    [
      "Set the level (low) of [items](x) in data[i]",
      { title: "Set the level (low) of [items](x) in data[i]", priority: 5 },
    ],
    ["Move rows (data) to [constructor]", { title: "Move rows (data) to [constructor]", role: "DEV" }],
    ["Add .env to a.b", { title: "Add .env to a.b" }],
  ])("%s", (head, expected) => {
    const [task] = derive(`- ${head}`);
    expect(task).toMatchObject(expected);
    expect(task?.text).toBe(head);
  });

  it("takes the role there is where DEV and QA are not", () => {
    expect(derive("- Test it", [], ["DATA"]).map(({ role }) => role)).toEqual(["DATA", "DATA"]);
  });

  it("takes a long step for a large one", () => {
    expect(derive(`- Do ${"word ".repeat(100)}`)[0]?.size).toBe("M");
    expect(derive(`- Do ${"word ".repeat(300)}`)[0]?.size).toBe("L");
  });
});

describe("the author's words", () => {
  it("reach the agent as they are, with all that belongs to the step", () => {
    const text = [
      ...[
        "Intro.",
        "",
        "1. Add hello_world() function to src/hello.py",
        "   - returns  a `Greeting`",
        "     1. deeply",
        "",
      ],
      ...[
        "   ```py",
        "   - no item",
        "   ```",
        "2) Fix the ADD bug in src/math.ts",
        "continued",
        "",
        "Outro.",
        "- - -",
      ],
    ].join("\n");
    expect(derive(text).map((task) => task.text)).toEqual([
      "Add hello_world() function to src/hello.py\n- returns  a `Greeting`\n  1. deeply\n\n```py\n- no item\n```",
      "Fix the ADD bug in src/math.ts\ncontinued",
      "Document Mail: describe for its users what changed and how it is used, in the documentation that the project has.",
    ]);
  });

  it("under headings that name no work are no steps", () => {
    const text =
      "# Plan\n- A\n## Risks\n- Late\n### Deep\n- Later\n## Steps\n- B\n\nOut of scope:\n- C\n\nThen:\n- D\n\n**Open questions**\n- E?";
    expect(built(text).map(({ title }) => title)).toEqual(["A", "B", "D"]);
  });

  it("without any list are one task", () => {
    expect(built("Add hello() function to a.py.\n\nIt greets.")).toMatchObject([
      { id: "task-1-mail", title: "Mail", text: "Add hello() function to a.py.\n\nIt greets." },
    ]);
    expect(built(" ")[0]?.text).toBe("Mail");
  });
});

describe("ids", () => {
  it("are short, readable, the same each time, and unique", () => {
    const text =
      "- Add a parser\n- Add a parser\n- Ändere die Größe\n- 解析\n- An extraordinarily long title that goes on and on";
    const ids = built(text).map(({ id }) => id);
    expect(ids).toEqual([
      ...["task-1-add-a-parser", "task-2-add-a-parser", "task-3-andere-die-gro-e"],
      ...["task-4", "task-5-an-extraordinarily-long-title-that-goes"],
    ]);
    expect(built(text).map(({ id }) => id)).toEqual(ids);
  });
});

describe("exact steps", () => {
  it("are kept as they are; what they leave out is read from their words", () => {
    const steps: DerivedPlan["steps"] = [
      {
        id: "parse",
        title: "Add [a] parser",
        text: "All of it",
        role: "ARCHITECT",
        priority: 9,
        size: "L",
        phase: "BUILD",
      },
      { title: "Test the parser", dependsOn: ["parse"] },
      { title: "Write the manual", phase: "BUILD", dependsOn: ["Test the parser"] },
    ];
    const tasks = derive("- not this", steps);
    expect(tasks[0]).toEqual({ ...steps[0], dependsOn: [] });
    expect(tasks[1]).toMatchObject({
      id: "task-2-test-the-parser",
      role: "QA",
      text: "Test the parser",
      dependsOn: ["parse"],
    });
    expect(tasks[2]).toMatchObject({ phase: "BUILD", dependsOn: ["task-2-test-the-parser"] });
  });

  it("may take an id that would have been made", () => {
    const ids = derive("", [{ title: "B", id: "task-2-a" }, { title: "A" }]).map(({ id }) => id);
    expect(ids.slice(0, 2)).toEqual(["task-2-a", "task-2-a-2"]);
  });

  it("with fields that are undefined get the defaults", () => {
    const [task] = derive("", [
      { title: "A", role: undefined, priority: undefined, dependsOn: undefined, size: undefined },
    ]);
    expect(task).toMatchObject({ role: "DEV", priority: 5, dependsOn: [], size: "S" });
  });
});

describe("the task that documents", () => {
  it("is added when there is none, after all others", () => {
    const tasks = derive("- A\n- B");
    expect(tasks.at(-1)).toMatchObject({
      id: "task-3-document-mail",
      title: "Document Mail",
      role: "DEV",
      phase: "DOCS",
      dependsOn: ["task-1-a", "task-2-b"],
    });
  });

  it("is not added when there is one", () => {
    expect(derive("- A\n- Document it").map(({ title }) => title)).toEqual(["A", "Document it"]);
  });
});

describe("a plan that cannot be made into tasks", () => {
  it.each<[what: string, text: string, says: string]>([
    [
      "a name that is no step",
      "- A (depends on: the moon)",
      '"A" comes after "the moon", which is no other step of the plan.',
    ],
    ["a number that is no step", "1. A (after 7)", 'comes after "7", which is no other step'],
    ["itself", "- A (depends on: A)", 'comes after "A", which is no other step'],
    [
      "a name of several",
      "- Add parser\n- Add lexer\n- C (depends on: add)",
      "which may be any of task-1-add-parser, task-2-add-lexer.",
    ],
    ["a circle", "- A (after 2)\n- B (after 1)", "A circle of tasks: task-1-a, task-2-b"],
    ["a step that is too large", "- [XL] Everything", '"Everything" is of size XL: split it.'],
    ["a step that is too long", `- A ${"x".repeat(TASK_TEXT_MAX)}`, "characters; at most 4000 fit one task"],
    ["too many steps", "- A\n".repeat(64), "It has 65 tasks, with the one that documents; at most 64"],
    ["work that waits for documents", "- [DOCS] A\n- B (after 1)", "task-2-b is of BUILD and comes after task-1-a"],
  ])("%s", (_, text, says) => {
    expect(refusal(text)).toMatchObject({ code: "StoryPlanInvalid", message: expect.stringContaining(says) });
  });

  it("is told of an unknown role by the check", () => {
    expect(refusal("", [{ title: "A", role: "WIZARD" }]).message).toContain("unknown role WIZARD");
  });

  it("is told everything, in bounds", () => {
    const { message } = refusal("- A (depends on: nowhere)\n".repeat(60));
    expect(message.split("nowhere")).toHaveLength(9);
    expect(message).toContain("And 52 more.");
  });
});

const line = fc.constantFrom(
  ...[
    "1. A",
    "2. B (after 1)",
    "3) C [parallel]",
    "- D",
    "* [ ] E",
    "- [x] F",
    "  - nested",
    "\ttext",
    "",
    "# Steps",
    "## Risks",
  ],
  ...[
    "Risks:",
    "```",
    "~~~",
    "- Document x",
    "- [QA] G (depends on: D)",
    "7. H",
    "paragraph",
    "- ()[]",
    "- - -",
    "1.",
    "-",
    "- \u0000ß",
  ],
);

describe("for every text", () => {
  it("there are tasks that pass the check, or a refusal that says why", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(line, fc.string({ maxLength: 12 })), { maxLength: 30 }), (lines) => {
        let tasks: ReturnType<typeof derive>;
        try {
          tasks = derive(lines.join("\n"));
        } catch (error) {
          expect(error).toMatchObject({ code: "StoryPlanInvalid" });
          return;
        }
        for (const task of tasks) taskDraftSchema.parse(task);
        expect(tasks.some(({ phase }) => phase === "DOCS")).toBe(true);
        expect(tasks).toEqual(derive(lines.join("\n")));
      }),
      { numRuns: 250 },
    );
  });

  it("deriving is quick: ten tasks in less than a millisecond, and a text of any kind soon", () => {
    const ten = Array.from(
      { length: 10 },
      (_, n) => `${n + 1}. [QA, M] Add f${n}() function to src/a.py (parallel)\n   - detail`,
    );
    const taken = (text: string) => {
      const start = performance.now();
      deriveByRules(planOf(text), { roles: ROLES, check: () => [] });
      return performance.now() - start;
    };
    expect(Math.min(...Array.from({ length: 60 }, () => taken(ten.join("\n"))))).toBeLessThan(1);
    for (const hostile of [
      "(".repeat(3_990),
      "- a\n".repeat(50) + " ".repeat(19_000),
      "after 1,".repeat(490),
      "*".repeat(3_990),
    ]) {
      expect(taken(hostile)).toBeLessThan(200);
    }
  });
});
