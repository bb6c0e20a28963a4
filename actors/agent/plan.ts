// A plan: what a model wants done next, the JSON schema it is asked to obey, and how its reply is read.
// It is not the asking (planner.ts) nor the doing (execute.ts).
//
// N1  The schema is made from the tools' own schemas, and every plan is validated by them: what the schema admits, a tool accepts.

import { z } from "zod";
import { type Tool, type ToolRegistry, toolSchemas } from "../../tools/index.ts";
import { outermost, readJson, topLevelSlices, withoutThoughts } from "./reply-json.ts";

export interface PlanStep {
  readonly tool: string;
  readonly params: unknown;
}

export interface Plan {
  readonly reasoning: string;
  readonly steps: readonly PlanStep[];
}

export type ParsedPlan =
  | { readonly kind: "plan"; readonly plan: Plan }
  /** `problem` is written for the model: what was wrong and what was expected. */
  | { readonly kind: "refused"; readonly problem: string };

/** Steps in one plan. More would run far on guesses; the rounds are there to look first. */
export const PLAN_STEPS_MAX = 20;

const REASONING_CHARS_MAX = 2_000;

/** Problems told at once; a model mends a few better than many. */
const PROBLEMS_MAX = 5;

const INT_MAX = Number.MAX_SAFE_INTEGER;

/** The JSON schema of a plan over these tools: a list of steps, each one of the tools with its own parameters (N1). */
export function planSchema(tools: readonly Tool[]): Readonly<Record<string, unknown>> {
  const steps = toolSchemas(tools).map(({ name, schema }) =>
    closed({ tool: { type: "string", const: name }, params: plain(schema) }),
  );
  return closed({
    reasoning: { type: "string", maxLength: REASONING_CHARS_MAX },
    steps: { type: "array", maxItems: PLAN_STEPS_MAX, items: { anyOf: steps } },
  });
}

function closed(properties: Readonly<Record<string, unknown>>) {
  return { type: "object", properties, required: Object.keys(properties), additionalProperties: false };
}

/** Without what grammar compilers choke on and no validation needs: defaults, and the bounds of a safe integer. */
function plain(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(plain);
  if (typeof schema !== "object" || schema === null) return schema;
  const kept = Object.entries(schema).filter(
    ([key, value]) => !(key === "default" && !isSchema(value)) && value !== INT_MAX && value !== -INT_MAX,
  );
  return Object.fromEntries(kept.map(([key, value]) => [key, plain(value)]));
}

/** A property may be called "default"; then its value is a schema and stays. */
const isSchema = (value: unknown) => typeof value === "object" && value !== null && "type" in value;

/** Reads a model's reply. Never throws. */
export function parsePlan(text: string, registry: ToolRegistry): ParsedPlan {
  const thoughtless = withoutThoughts(text);
  if (thoughtless === undefined) return refused("The reply never stopped thinking: its <think> tag was not closed.");
  const found = findPlan(thoughtless);
  if (found === undefined) return refused("The reply holds no complete JSON object with reasoning and steps.");
  return validate(found, registry);
}

const refused = (problem: string): ParsedPlan => ({ kind: "refused", problem });

const Outline = z.object({ reasoning: z.string().default(""), steps: z.array(z.unknown()) });
const Step = z.object({ tool: z.string(), params: z.unknown() });
/** How models trained on tool calls write a step. */
const Call = z.object({ name: z.string(), arguments: z.unknown() });

type FoundPlan = z.output<typeof Outline>;

/** Fences, call tags and prose lie around the JSON, so the JSON is looked for and they are never parsed. */
function findPlan(text: string): FoundPlan | undefined {
  const slices = topLevelSlices(text);
  const values = [...slices, outermost(text)].flatMap(readJson);
  for (const value of values) {
    const plan = asPlan(value);
    if (plan !== undefined) return plan;
  }
  const calls = slices.flatMap(readJson).filter(isStep);
  return calls.length > 0 ? { reasoning: "", steps: calls } : undefined;
}

function asPlan(value: unknown): FoundPlan | undefined {
  const outline = Outline.safeParse(value);
  if (outline.success) return outline.data;
  return Array.isArray(value) && value.length > 0 && value.every(isStep) ? { reasoning: "", steps: value } : undefined;
}

const isStep = (value: unknown) => Step.safeParse(value).success || Call.safeParse(value).success;

function validate(found: FoundPlan, registry: ToolRegistry): ParsedPlan {
  if (found.steps.length > PLAN_STEPS_MAX) {
    return refused(`The plan has ${found.steps.length} steps; at most ${PLAN_STEPS_MAX} are allowed at once.`);
  }
  const steps = found.steps.map(asStep);
  const problems = steps.flatMap((step, index) => stepProblems(step, index, registry));
  if (problems.length > 0) return refused(problems.slice(0, PROBLEMS_MAX).join("\n"));
  return { kind: "plan", plan: { reasoning: found.reasoning.slice(0, REASONING_CHARS_MAX), steps } };
}

function asStep(value: unknown): PlanStep {
  const call = Call.safeParse(value);
  if (call.success) {
    const { arguments: params } = call.data;
    return { tool: call.data.name, params: typeof params === "string" ? readJson(params)[0] : params };
  }
  const step = Step.safeParse(value);
  return step.success ? { tool: step.data.tool, params: step.data.params ?? {} } : { tool: "", params: undefined };
}

function stepProblems(step: PlanStep, index: number, registry: ToolRegistry): readonly string[] {
  const place = `Step ${index + 1}`;
  if (step.tool === "") return [`${place} needs "tool" (a name) and "params" (an object).`];
  const tool = registry.get(step.tool);
  if (tool === undefined) {
    const names = registry.list().map(({ name }) => name);
    return [`${place}: there is no tool "${step.tool.slice(0, 64)}". The tools are: ${names.join(", ")}.`];
  }
  const parsed = tool.input.safeParse(step.params);
  if (parsed.success) return [];
  return parsed.error.issues.map(
    ({ path, message }) =>
      `${place} (${step.tool}), params${path.map((part) => `.${String(part)}`).join("")}: ${message}.`,
  );
}
