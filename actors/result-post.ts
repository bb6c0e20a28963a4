// An agent's result on its way to the collector, over the topic of its task (events/channels.ts): whole, or by a blob where it is too large.
// It is one path for every place the two may live in: in one process the topic is a list in memory.
//
// RP1  A result is sent once for each attempt, however often that is tried (the event's key).
// RP2  The blob of a large result goes when it has been read; it is nobody else's.

import { type ActorSystem, isFlotillaError } from "../runtime/index.ts";
import type { AgentResult } from "./agent/result.ts";
import { agentResults, type DataOf } from "./events/channels.ts";
import { type PostSystem, postEvent } from "./events/post.ts";
import { resultSchema } from "./result-schema.ts";

/** Resolves once the result cannot be lost any more. Throws what posting and blobs throw. */
export async function sendResult(system: PostSystem, result: AgentResult): Promise<void> {
  const { taskId, agentId, place } = result;
  const post = (data: DataOf<typeof agentResults, "agent.result">) =>
    postEvent(system, "agent", agentResults, {
      ...{ type: "agent.result", data, topic: [taskId] },
      ...{ key: `${agentId} ${place?.attempt ?? 1}`, correlationId: taskId },
    });
  try {
    await post({ kind: "result", result });
  } catch (error) {
    if (!isFlotillaError(error, "ValueTooLarge")) throw error;
    const blob = await system.ports.blobs.put(new TextEncoder().encode(JSON.stringify(result)));
    await post({ kind: "blob", blob });
  }
}

/** The result in an event. Rejects for one whose blob is gone or holds none. `keep`: others will read the blob, too (RP2). */
export async function readResult(
  { ports }: Pick<ActorSystem, "ports">,
  data: DataOf<typeof agentResults, "agent.result">,
  { keep = false }: { readonly keep?: boolean } = {},
): Promise<AgentResult> {
  if (data.kind === "result") return data.result;
  const bytes = await ports.blobs.get(data.blob);
  if (bytes === undefined) throw new Error(`its blob ${data.blob} is gone`);
  const result = resultSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  if (!keep) await ports.blobs.delete(data.blob);
  return result;
}
