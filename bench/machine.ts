// What the figures were taken on. A figure without its machine and the load on it means nothing.

import { availableParallelism, cpus, loadavg, platform, release, totalmem } from "node:os";

export interface Machine {
  readonly cpu: string;
  /** Cores this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly os: string;
}

/** Load averages of 1, 5 and 15 minutes. */
export type Load = readonly number[];

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    os: `${platform()} ${release()} ${process.arch}`,
  };
}

export const currentLoad = (): Load => loadavg().map((load) => Math.round(load * 100) / 100);

export const describeVersions = () => ({ node: process.versions.node, v8: process.versions.v8 });
