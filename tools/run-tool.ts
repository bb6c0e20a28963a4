// The one path for every tool call: look up → validate → policy → run with deadline → bound output → audit.
// It is not what a tool does (its own file) nor what may run (policy.ts).
//
// K1  Every call ends in a ToolResult and leaves one audit entry, whatever its outcome.
// K2  Nothing of a tool runs before its parameters are valid and the policy allows the call.
// K3  A call ends at its deadline or when its caller cancels, and a short grace after it: a tool that ignores its signal is left behind.
// K5  A call that the policy wants a person to allow waits for the answer where somebody can be asked (`approve`), on the caller's time and not
//     the tool's; where nobody can, and when the answer does not come, it is denied.
// K4  A call whose time was up counts only if the tool had done what was asked: half done is never ok.

import type { z } from "zod";
import type { Clock } from "../runtime/index.ts";
import type { Audit } from "./audit.ts";
import { boundText } from "./bounded-text.ts";
import { decide, type Policy, type Verdict } from "./policy.ts";
import { redact, redactText } from "./redact.ts";
import type { ToolRegistry } from "./registry.ts";
import { type Outcome, type Tool, type ToolCall, ToolFailure, type ToolOutput, type ToolResult } from "./tool.ts";
import type { Workspace } from "./workspace/workspace.ts";

/** What calls run against. */
export interface ToolEnvironment {
  readonly registry: ToolRegistry;
  readonly workspace: Workspace;
  readonly policy: Policy;
  readonly audit: Audit;
  readonly clock: Clock;
  /** Who asks a person (K5). Default: nobody can be asked. */
  readonly approve?: AskPerson;
}

/** A call that waits for a person. */
export interface ApprovalQuestion {
  readonly tool: string;
  /** Without secrets. */
  readonly params: unknown;
  readonly caller: ToolCall["caller"];
  readonly rule: string;
  readonly reason: string;
}

/** A person's answer; `by` and `feedback` are told to the model. */
export interface ApprovalAnswer {
  readonly approved: boolean;
  readonly by: string;
  readonly feedback?: string;
}

/** Resolves with the answer. Rejects when there will be none, or the signal aborts. */
export type AskPerson = (question: ApprovalQuestion, signal: AbortSignal) => Promise<ApprovalAnswer>;

/** Time for a tool to end its processes after its signal, so that the next call does not meet them. */
const GRACE_MS = 2_000;

/** Messages come from programs and models; what is kept of one. */
const MESSAGE_MAX_BYTES = 2_048;
const NAME_MAX = 64;

/** How a call ended, before it is measured, bounded and audited. */
interface Ending {
  readonly outcome: Outcome;
  readonly content: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Runs one call. Never rejects (K1); `content` always says what happened in words a model can act on. */
export async function runTool(call: ToolCall, env: ToolEnvironment): Promise<ToolResult> {
  const atMs = env.clock.now();
  const started = env.clock.monotonic();
  const tool = env.registry.get(call.tool);
  const ending = tool === undefined ? unknownTool(call, env) : await check(tool, call, env).catch(broken(tool.name));
  const bounded = boundText(ending.content, tool?.outputMaxBytes ?? MESSAGE_MAX_BYTES);
  const result: ToolResult = {
    tool: call.tool,
    outcome: ending.outcome,
    content: bounded.text,
    data: ending.data ?? {},
    ...(ending.error && {
      error: { ...ending.error, message: boundText(ending.error.message, MESSAGE_MAX_BYTES).text },
    }),
    durationMs: env.clock.monotonic() - started,
    bytes: bounded.bytes,
    truncated: bounded.truncated,
  };
  return record(call, result, atMs, env.audit);
}

function unknownTool(call: ToolCall, env: ToolEnvironment): Ending {
  const names = env.registry.list().map((tool) => tool.name);
  return refusal(
    "unknown",
    "unknown-tool",
    `There is no tool ${shortName(call.tool)}. The tools are: ${names.join(", ")}.`,
  );
}

async function check(tool: Tool, call: ToolCall, env: ToolEnvironment): Promise<Ending> {
  const parsed = tool.input.safeParse(call.params);
  if (!parsed.success) return refusal("invalid", "invalid-params", explainIssues(tool, parsed.error));
  const verdict = decide({ role: call.caller.role, tool: tool.name, risk: tool.risk }, env.policy);
  if (verdict.kind === "ask")
    return (await refusedByPerson(tool, verdict, call, env)) ?? runBounded(tool, parsed.data, call, env);
  if (verdict.kind === "deny") {
    return refusal("denied", "denied", `${tool.name} is denied (rule ${verdict.rule}). ${verdict.reason}`);
  }
  return runBounded(tool, parsed.data, call, env);
}

/** Undefined once a person has allowed the call (K5). */
async function refusedByPerson(
  tool: Tool,
  { rule, reason }: Verdict,
  { params, caller, signal = new AbortController().signal }: ToolCall,
  { approve }: ToolEnvironment,
): Promise<Ending | undefined> {
  const needs = (more: string) =>
    refusal("denied", "needs-approval", `${tool.name} needs a person's approval (rule ${rule}). ${more}`);
  if (approve === undefined) return needs(reason);
  try {
    const answer = await approve({ tool: tool.name, params: redact(params), caller, rule, reason }, signal);
    if (answer.approved) return undefined;
    const said = answer.feedback === undefined ? "" : `: ${answer.feedback}`;
    return refusal("denied", "rejected", `${answer.by} has rejected this call of ${tool.name}${said}`);
  } catch (error) {
    if (signal.aborted)
      return refusal("cancelled", "cancelled", `${tool.name} was cancelled while it waited for a person.`);
    return needs(`Nobody has answered: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** What is wrong, where, and what was expected: "fromLine: expected number, received string". */
function explainIssues(tool: Tool, error: z.ZodError): string {
  const issues = error.issues.slice(0, 5).map((issue) => {
    const path = issue.path.join(".");
    return `${path === "" ? "parameters" : path}: ${issue.message}`;
  });
  return `The parameters of ${tool.name} are not valid. ${issues.join("; ")}.`;
}

function refusal(outcome: Outcome, code: string, message: string): Ending {
  return { outcome, content: message, error: { code, message } };
}

/** Why a running call was told to end. */
type Stop = "timeout" | "cancelled";

/** Runs the tool until it settles, or until a grace after its deadline or cancellation (K3). */
async function runBounded(tool: Tool, input: unknown, call: ToolCall, env: ToolEnvironment): Promise<Ending> {
  const timeoutMs = Math.min(tool.timeoutMs, call.timeoutMs ?? tool.timeoutMs);
  if (call.signal?.aborted) return overtaken("cancelled", undefined, tool.name, timeoutMs);
  if (timeoutMs <= 0) return overtaken("timeout", undefined, tool.name, timeoutMs);

  const abort = new AbortController();
  const left = Promise.withResolvers<undefined>();
  let stopped: Stop | undefined;
  const stop = (why: Stop) => {
    if (stopped !== undefined) return;
    stopped = why;
    timer.cancel();
    timer = env.clock.schedule(GRACE_MS, () => left.resolve(undefined), true);
    abort.abort(new ToolFailure(why, `${tool.name} was told to end: ${why}.`));
  };
  const cancel = () => stop("cancelled");
  const deadlineMs = env.clock.now() + timeoutMs;
  let timer = env.clock.schedule(timeoutMs, () => stop("timeout"), true);
  call.signal?.addEventListener("abort", cancel, { once: true });
  try {
    const context = { workspace: env.workspace, signal: abort.signal, clock: env.clock, deadlineMs };
    const ending = await Promise.race([settle(() => tool.run(input, context), tool.name), left.promise]);
    // A command given the call's own deadline may end a moment before the timer here, and is no less late for it.
    const late = env.clock.now() >= deadlineMs ? "timeout" : undefined;
    const why = stopped ?? late;
    return why === undefined && ending ? ending : overtaken(why ?? "timeout", ending, tool.name, timeoutMs);
  } finally {
    timer.cancel();
    call.signal?.removeEventListener("abort", cancel);
  }
}

/** What the tool returned or threw, as an ending. Never rejects, so that a tool left behind (K3) cannot fail later with nobody listening. */
async function settle(run: () => Promise<ToolOutput>, name: string): Promise<Ending> {
  try {
    const { success, content, data = {} } = await run();
    if (success) return { outcome: "ok", content, data };
    const firstLine = content.split("\n", 1)[0] ?? "";
    return {
      outcome: "failed",
      content,
      data,
      error: { code: "unsuccessful", message: firstLine || `${name} failed.` },
    };
  } catch (thrown) {
    return thrown instanceof ToolFailure ? failure(thrown) : broken(name)(thrown);
  }
}

/** The ending of a call whose tool threw what it did not expect: its own fault, or its schema's. */
const broken = (name: string) => (thrown: unknown) => {
  const what = thrown instanceof Error ? thrown.message : String(thrown);
  return refusal("defect", "defect", `${name} broke: ${what}. This is a fault of the tool, not of the call.`);
};

function failure({ code, message, data }: ToolFailure): Ending {
  const outcome = code === "timeout" || code === "cancelled" ? code : "failed";
  return { ...refusal(outcome, code, message), data };
}

/** The ending of a call that was told to stop: a success stands, anything else is reported as the stop, with what the tool had to say (K4). */
function overtaken(stop: Stop, ending: Ending | undefined, name: string, timeoutMs: number): Ending {
  if (ending?.outcome === "ok") return ending;
  const message =
    stop === "timeout"
      ? `${name} did not finish within ${timeoutMs} ms and was ended. Ask for less, or give it more time.`
      : `${name} was cancelled by its caller.`;
  const said = ending === undefined || ending.error?.code === stop ? "" : `\n${ending.content}`;
  return { ...refusal(stop, stop, message), content: message + said, data: ending?.data ?? {} };
}

/** Writes the audit entry. The call has happened: an audit that fails is reported in `data.auditError` and does not undo it (U1). */
function record(call: ToolCall, result: ToolResult, atMs: number, audit: Audit): ToolResult {
  const { agentId, role, taskId, traceId } = call.caller;
  const tool = shortName(call.tool);
  const { outcome, durationMs, bytes, error } = result;
  const told = error && { code: error.code, message: redactText(error.message) };
  try {
    const who = { agentId, role, taskId, traceId };
    const operation = tool.slice(tool.indexOf(".") + 1);
    const params = redact(call.params);
    audit.record({ ...who, atMs, tool, operation, params, outcome, durationMs, bytes, ...(told && { error: told }) });
    return result;
  } catch (thrown) {
    const auditError = `This call is missing from the audit: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
    return { ...result, data: { ...result.data, auditError } };
  }
}

/** A model may put anything where a name belongs. */
const shortName = (name: string) => redactText(name.slice(0, NAME_MAX)).toWellFormed();
