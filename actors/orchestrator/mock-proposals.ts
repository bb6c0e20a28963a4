// The mock that takes part in deliberations: a scripted model that proposes, reviews, revises and, as an architect, chooses. For
// demonstrations and tests; it never stands in for a real model by itself, and says so when asked for anything else.
//
// The behaviours give a ranking something to tell, and a deliberation something to survive:
//   excellent   speaks of everything that is asked, with steps, tests and risks; thorough reviews
//   normal      a few sentences and steps; takes up in its revision what a review names
//   poor        a sentence that says nothing; so do its reviews
//   verbose     the same sentences many times
//   stubborn    as normal, and changes nothing after a review
//   crash       fails each time, as a server does that answers with an error
//   delay       as normal, after DELAY_MS
//   malformed   thoughts that never end in place of a proposal, broken JSON in place of a review or a choice

import { type Clock, sleep } from "../../runtime/index.ts";
import type { Model, ModelRequest } from "../agent/model.ts";
import { ScriptedModel } from "../agent/scripted-model.ts";
import { fail } from "../errors.ts";
import { readProposal, requirementsPart, substancePart } from "./proposal-score.ts";

const BEHAVIOURS = ["excellent", "normal", "poor", "verbose", "stubborn", "crash", "delay", "malformed"] as const;
export type ProposalBehaviour = (typeof BEHAVIOURS)[number];

export const proposalBehaviours: readonly ProposalBehaviour[] = BEHAVIOURS;

export const DELAY_MS = 5_000;
const REPETITIONS = 40;

/** Of a council whose mock was given no behaviour. Faults are asked for by name. */
const BY_NUMBER = [
  "normal",
  "excellent",
  "poor",
  "verbose",
  "stubborn",
] as const satisfies readonly ProposalBehaviour[];

/** The behaviour of the member with this number, from 1. */
export const behaviourOf = (number: number): ProposalBehaviour =>
  BY_NUMBER[(number - 1) % BY_NUMBER.length] ?? "normal";

export function mockProposals(behaviour: ProposalBehaviour, clock: Clock): Model {
  const script = async (request: ModelRequest): Promise<string> => {
    if (behaviour === "crash") throw fail("ModelHttpError", "The mock was asked to fail, and answered HTTP 500.");
    if (behaviour === "delay") await sleep(clock, DELAY_MS, request.signal);
    return replyTo(request, behaviour);
  };
  return new ScriptedModel("mock", script, clock);
}

function replyTo({ messages, schema }: ModelRequest, behaviour: ProposalBehaviour): string {
  const asked = messages.at(-1)?.content ?? "";
  const brief = messages.find(({ role }) => role === "user")?.content ?? "";
  const given = { task: between("task", brief), requirements: bullets("A proposal must speak of:", brief) };
  switch (schema?.name) {
    case undefined: {
      const before = messages.findLast(({ role }) => role === "assistant")?.content;
      return before === undefined ? propose(given, behaviour) : revise(before, given, behaviour);
    }
    case "review":
      return review(between("proposal", asked), given, bullets("Proposals are judged by:", brief), behaviour);
    case "choice":
      if (behaviour === "malformed") return '{"choice": the first one, of';
      return choose(
        [...asked.matchAll(/<proposal \w+>\n([\s\S]*?)\n<\/proposal/g)].map(([, text = ""]) => text),
        given,
      );
    default:
      throw fail("ModelReplyInvalid", `This mock knows proposals, reviews and choices, and no "${schema?.name}".`);
  }
}

interface Given {
  readonly task: string;
  readonly requirements: readonly string[];
}

/** The text between marks of proposal-prompts.ts. */
const between = (name: string, text: string): string =>
  new RegExp(`<${name} (\\w+)>\\n([\\s\\S]*?)\\n</${name} \\1>`).exec(text)?.[2] ?? "";

/** The list under a heading. */
function bullets(heading: string, text: string): readonly string[] {
  const at = text.indexOf(`${heading}\n`);
  if (at < 0) return [];
  const lines = text.slice(at + heading.length + 1).split("\n");
  const end = lines.findIndex((line) => !line.startsWith("- "));
  return lines.slice(0, end < 0 ? lines.length : end).map((line) => line.slice(2));
}

function propose({ task, requirements }: Given, behaviour: ProposalBehaviour): string {
  switch (behaviour) {
    case "excellent":
      return excellent(task, requirements);
    case "poor":
      return "I would just do it. Should be fine.";
    case "verbose":
      return `${"We will carefully consider everything that has to be considered here. ".repeat(REPETITIONS)}Then we do it: ${task}`;
    case "malformed":
      return "<think>Let me begin by thinking about what there is to think about";
    default:
      return normal(task);
  }
}

const normal = (task: string) =>
  `The task is: ${task}\n\nI would change the code where the task says, then run what tests there are.\n\n- Read the code around it.\n- Make the change.`;

const excellent = (task: string, requirements: readonly string[]) =>
  [
    `What is asked: ${task}`,
    "Approach: change one place, keep every interface as it is, and let a test show the difference before and after.",
    [
      "Steps:",
      "1. Read the module that the task names and those that call it, to see what they rely on.",
      "2. Write a test that fails without the change, beside the tests that are there (`test/`).",
      "3. Make the smallest change that lets it pass.",
      ...requirements.map((text, index) => `${index + 4}. See to it that this holds, with a test of its own: ${text}`),
    ].join("\n"),
    "How it is tested: the new tests fail before and pass after; all other tests and the linter stay as they were.",
    "What may go wrong: callers that rely on the old behaviour, and empty or invalid input; both get a case.",
  ].join("\n\n");

/** What it leaves out is what a requirement's own words say: the review's words may say anything. */
function revise(before: string, { requirements }: Given, behaviour: ProposalBehaviour): string {
  if (behaviour === "stubborn" || behaviour === "poor") return before;
  if (behaviour === "malformed") return "<think>Hm";
  const read = readProposal(before);
  const missing = requirements.filter((text) => requirementsPart(read, [text]).value < 0.5);
  const added = missing.map((text) => `- Also: ${text}, with a test that would fail without it.`);
  return [before, ...(added.length > 0 ? added : ["- Run the linter and all tests once more at the end."])].join("\n");
}

function review(proposal: string, given: Given, rubric: readonly string[], behaviour: ProposalBehaviour): string {
  if (behaviour === "malformed") return '{"score": high, "text';
  const score = behaviour === "poor" ? 0.5 : worth(proposal, given);
  const missing = requirementsPart(readProposal(proposal), given.requirements).reasons;
  const text =
    behaviour === "poor"
      ? "Looks fine to me."
      : ["It says what it would do.", ...missing, ...substancePart(readProposal(proposal), given.task).reasons].join(
          " ",
        );
  const items = Object.fromEntries(rubric.map((name) => [name, score]));
  return JSON.stringify({ text, ...(rubric.length > 0 && { items }), score });
}

/** 0 to 1, two decimals. */
function worth(proposal: string, { task, requirements }: Given): number {
  const read = readProposal(proposal);
  const substance = substancePart(read, task).value;
  const value = requirements.length === 0 ? substance : (substance + requirementsPart(read, requirements).value) / 2;
  return Math.round(value * 90) / 100;
}

function choose(proposals: readonly string[], given: Given): string {
  const best = proposals
    .map((text, index) => ({ index, worth: worth(text, given) }))
    .sort((a, b) => b.worth - a.worth)[0];
  return JSON.stringify({
    reason: "It speaks of most of what is asked, with steps that can be checked.",
    choice: (best?.index ?? 0) + 1,
  });
}
