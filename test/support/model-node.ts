// A node of a fleet beside model servers, as a daemon is one: it reports the servers and admits actors that ask for one of its models.
// It starts no servers and discovers nothing (nodes/ does).

import {
  type ActorSystem,
  type ActorType,
  type Admission,
  type ConnectOptions,
  connect,
  type EngineReport,
  systemClock,
} from "../../runtime/index.ts";

export interface ModelNode extends AsyncDisposable {
  readonly system: ActorSystem;
  /** What it says of its servers from now on. */
  report(engines: readonly EngineReport[]): void;
}

export interface ModelNodeOptions {
  readonly connect: Pick<ConnectOptions, "servers" | "user" | "pass" | "prefix" | "lease">;
  readonly name: string;
  readonly actors: readonly ActorType[];
  readonly engines?: readonly EngineReport[];
}

export const engineOf = (model: string, more: Partial<EngineReport> = {}): EngineReport => {
  return { model, state: "ready", running: 0, waiting: 0, slots: 8, kvUsage: 0, ...more };
};

export async function startModelNode({
  connect: to,
  name,
  actors,
  engines = [],
}: ModelNodeOptions): Promise<ModelNode> {
  let told = engines;
  const admission: Admission = {
    admit({ model }) {
      const server = told.find((engine) => engine.model === model);
      if (model === undefined || server?.state === "ready")
        return { kind: "granted", resources: {}, devices: [], environment: {}, renew() {}, release() {} };
      const reason = server === undefined ? `it has no model ${model}` : `${model} is ${server.state}`;
      return { kind: "refused", reason, passes: server !== undefined };
    },
    reserve: () => ({ kind: "refused", reason: "it keeps no groups", passes: false }),
    renewGroup: () => false,
    releaseGroup() {},
  };
  const system = await connect({ ...to, name, actors, accepts: true, resources: {}, admission });
  const report = (now: readonly EngineReport[]): void => {
    told = now;
    system.report({ atMs: systemClock.now(), actors: system.stats().actors, free: {}, gpus: [], engines: now });
  };
  report(engines);
  return { system, report, [Symbol.asyncDispose]: () => system.close() };
}
