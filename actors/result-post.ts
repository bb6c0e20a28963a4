// An agent's result on its way to the collector, over the topic of its task (subjects.ts): whole, or by a blob where it is too large.
// It is one path for every place the two may live in: in one process the topic is a list in memory.
//
// RP1  A result is sent once for each attempt, however often that is tried (the event's key).
// RP2  The blob of a large result goes when it has been read; it is nobody else's.

import { type ActorSystem, isFlotillaError } from "../runtime/index.ts";
import type { AgentResult } from "./agent/result.ts";
import { agentResults } from "./subjects.ts";

type Post = Pick<ActorSystem, "ports" | "publish">;

/** Resolves once the result cannot be lost any more. Throws what publishing and blobs throw. */
export async function sendResult(system: Post, result: AgentResult): Promise<void> {
  const topic = agentResults.topic(result.taskId);
  const options = { key: `${result.agentId} ${result.place?.attempt ?? 1}` };
  try {
    await system.publish(topic, { kind: "result", result }, options);
  } catch (error) {
    if (!isFlotillaError(error, "ValueTooLarge")) throw error;
    const blob = await system.ports.blobs.put(new TextEncoder().encode(JSON.stringify(result)));
    await system.publish(topic, { kind: "blob", blob }, options);
  }
}

/** The result in an event. Rejects for one that is none, or whose blob is gone. */
export async function readResult({ ports }: Pick<ActorSystem, "ports">, event: unknown): Promise<AgentResult> {
  const parsed = agentResults.event.parse(event);
  if (parsed.kind === "result") return parsed.result;
  const bytes = await ports.blobs.get(parsed.blob);
  if (bytes === undefined) throw new Error(`its blob ${parsed.blob} is gone`);
  const result = agentResults.result.parse(JSON.parse(new TextDecoder().decode(bytes)));
  await ports.blobs.delete(parsed.blob);
  return result;
}
