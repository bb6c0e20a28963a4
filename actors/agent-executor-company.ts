// What reaches an agent in a workspace while it works: changes of its story's context, and the answers of people whom the policy wants asked.
// It is not how the agent takes them in (agent/agent.ts).

import { createHash } from "node:crypto";
import { type ActorSystem, isFlotillaError, type LogLevel, sleep } from "../runtime/index.ts";
import type { AskPerson } from "../tools/index.ts";
import type { ExecutorOrder } from "./agent-executor.ts";
import { fail } from "./errors.ts";
import { contextUpdates } from "./events/channels.ts";
import { feed } from "./events/feed.ts";
import { planningOf } from "./service-handles.ts";

type Order = Pick<ExecutorOrder, "storyId" | "taskId" | "attempt" | "agentId" | "role">;
type Log = (level: LogLevel, message: string) => void;

/** Sentences kept for an agent that does not plan; the oldest go first. */
const NOTICES_MAX = 20;
const POLL_MS = 500;

/**
 * Listens from now on until the signal aborts. The function gives what came since it was last called: one sentence for each change of the
 * story that is not about another task alone.
 */
export async function contextNotices(
  system: ActorSystem,
  { storyId, taskId }: Order,
  { signal, log }: { readonly signal: AbortSignal; readonly log: Log },
): Promise<() => readonly string[]> {
  const from = (await system.ports.eventLog.lastSequence()) + 1;
  const waiting: string[] = [];
  const listen = async () => {
    for await (const fed of feed(system, contextUpdates, { from, topic: [storyId], signal })) {
      if (fed.kind === "bad") continue;
      for (const { taskIds, summary } of fed.event.data.changed)
        if (taskIds.length === 0 || taskIds.includes(taskId)) waiting.push(`Meanwhile in this story: ${summary}`);
      waiting.splice(0, waiting.length - NOTICES_MAX);
    }
  };
  // An agent that hears of no changes works on what it was told at its start.
  void listen().catch((error: unknown) => {
    if (!signal.aborted) log("warn", `changes of the story are not heard any more: ${String(error)}`);
  });
  return () => waiting.splice(0);
}

/** Asks by planning's queue of approvals, once for each call of the same words, and waits for the answer. */
export const personAsker =
  (system: ActorSystem, { storyId, taskId, attempt, agentId, role }: Order): AskPerson =>
  async ({ tool, params, rule, reason }, signal) => {
    const planning = planningOf(system, { signal });
    const shown = JSON.stringify(params).slice(0, 500);
    const digest = createHash("sha256")
      .update(`${tool} ${JSON.stringify(params)}`)
      .digest("base64url")
      .slice(0, 16);
    const { id } = await planning.ask({
      ...{ storyId, taskId, subject: tool, by: { kind: "agent", id: agentId, role } },
      question: `May ${agentId} call ${tool} with ${shown}? ${reason}`,
      key: `${storyId} ${taskId} ${attempt} ${rule} ${digest}`,
    });
    for (;;) {
      const { status, decidedBy, feedback } = await planning.approval(id).catch((error: unknown) => {
        if (isFlotillaError(error) && error.retryable)
          return { status: "waiting" as const, decidedBy: undefined, feedback: undefined };
        throw error;
      });
      if (status === "expired") throw fail("ApprovalExpired", "The question expired.");
      if (status !== "waiting")
        return {
          approved: status === "approved",
          by: decidedBy?.id ?? "a person",
          ...(feedback !== undefined && { feedback }),
        };
      await sleep(system.clock, POLL_MS, signal);
    }
  };
