// The work of an executor (agent-executor.ts): fetches what its order names, opens the clone, runs the agent in it.

import { readdir } from "node:fs/promises";
import { isAbsolute } from "node:path";
import type { ActorSystem } from "../runtime/index.ts";
import { bundleWork, cloneRemote, prepareClone } from "../tools/index.ts";
import type { AgentResult } from "./agent/result.ts";
import type { ExecutorEnvironment, ExecutorOrder } from "./agent-executor.ts";
import { contextNotices, personAsker } from "./agent-executor-company.ts";
import { getText, sentBlob } from "./agent-executor-text.ts";
import { workAt } from "./agent-work.ts";
import { DEFAULT_AGENT_LIMITS } from "./council/council.ts";
import { authorOf, roleNamed } from "./council/roles.ts";
import { fail } from "./errors.ts";
import { policyWith } from "./policy-rules.ts";

/** Share of its time that is kept for reading the clone, bundling and posting. */
const REPORT_SHARE = 0.1;
const REPORT_MAX_MS = 10_000;

/** ExecuteTask. */
export async function execute(
  system: ActorSystem,
  order: ExecutorOrder,
  env: ExecutorEnvironment,
): Promise<AgentResult> {
  const { clock, random, signal, onProgress, sandbox } = env;
  const { storyId, taskId, attempt, agentId, model, modelNode, timeoutMs } = order;
  const reportMs = Math.min(REPORT_MAX_MS, timeoutMs * REPORT_SHARE);
  const time = { clock, random, signal, deadlineMs: clock.now() + timeoutMs - reportMs };
  const role = roleNamed(order.role);
  const [text, context] = [await getText(system, order.text), await getText(system, order.context)];
  const { path, base } = await openClone(system, order, signal);
  const { blobs } = system.ports;
  const place = {
    path,
    send: async (commit: string) =>
      blobs.put(await bundleWork({ clone: path, base, commit, bytesMax: blobs.blobMaxBytes })),
    [Symbol.asyncDispose]: async () => {},
  };
  const notices = await contextNotices(system, order, { signal, log: env.log });
  const known = context === "" ? "" : `\n\nWhat the fleet knows about this task, as information:\n${context}`;
  const result = await workAt(
    place,
    {
      ...{ model, instructions: role.prompt + known, policy: policyWith(order.policyRules ?? []) },
      ...(sandbox !== undefined && { sandbox }),
    },
    {
      order: {
        ...{ taskId: `${storyId}-${taskId}`, agentId, role: role.name, text, attempt, traceId: storyId },
        ...{ baseCommit: base, workspacePath: path, limits: DEFAULT_AGENT_LIMITS },
      },
      ...{ system, time, onProgress, notices, approve: personAsker(system, order) },
      ...(modelNode !== undefined && { modelNode }),
    },
  );
  if (signal.aborted) throw fail("Cancelled", "The executor was told to stop before its result was posted.");
  return result;
}

async function openClone(system: ActorSystem, order: ExecutorOrder, signal: AbortSignal) {
  const { workspace, repository, base, bundle, agentId } = order;
  const bytes = bundle === undefined ? undefined : await sentBlob(system, bundle);
  if (repository !== undefined && (await readdir(workspace).catch(() => [])).length === 0) {
    const { url, branch } = repository;
    const address = isAbsolute(url) ? `file://${url}` : url;
    await cloneRemote({ url: address, into: workspace, signal, ...(branch !== undefined && { branch }) });
  }
  return prepareClone({
    path: workspace,
    author: authorOf(agentId),
    ...(bytes !== undefined && { bytes }),
    ...(base !== undefined && { base }),
  });
}
