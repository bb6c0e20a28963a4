// Model servers for tests: options that start the fake one, what it can be told, and a look at the process table.

import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import type { Engine, EngineWatch, VllmOptions } from "../../nodes/index.ts";
import type { FakeEngineOptions, FakeMode } from "./fake-engine.ts";

const PROGRAM = fileURLToPath(new URL("./fake-engine.ts", import.meta.url));

/** Quick enough for a test, slow enough for a busy machine. */
export const QUICK_WATCH: EngineWatch = {
  everyMs: 50,
  timeoutMs: 2_000,
  patienceMs: 500,
  quietMs: 100,
  idleMs: 60_000,
  stallMs: 1_000,
};

/** Options of a fake server of the model "m". */
export function fakeEngine(fake: FakeEngineOptions = {}, options: Partial<VllmOptions> = {}): VllmOptions {
  return {
    kind: "vllm",
    model: "m",
    program: [process.execPath, PROGRAM],
    restart: { maxRestarts: 2, backoff: { firstMs: 20 } },
    watch: QUICK_WATCH,
    ...options,
    environment: { FAKE_ENGINE: JSON.stringify(fake), ...options.environment },
  };
}

/** Tells a fake server what to do from now on. Answers how many requests it got. */
export async function tell(engine: Engine, what: FakeMode | "asked" | `prefill?${number}`): Promise<number> {
  const answer = await fetch(`${engine.url}/fake/${what}`, { method: "POST" }).catch(() => undefined);
  return answer === undefined ? 0 : ((await answer.json()) as { asked: number }).asked;
}

/** What it knows of its server, as plain data. */
export const factsOf = ({ model, server, version, constrains, maxModelLen, hasMetrics }: Engine) => ({
  model,
  server,
  version,
  constrains,
  maxModelLen,
  hasMetrics,
});

/** Its states from now on, each once. */
export function statesOf(engine: Engine): readonly string[] {
  const kinds: string[] = [];
  engine.onChange(() => {
    if (kinds.at(-1) !== engine.status.kind) kinds.push(engine.status.kind);
  });
  return kinds;
}

/** Why it is dead, when it next is, for a reason that `says` this: a state may pass too quickly to be seen by looking. */
export function lossOf(engine: Engine, says = ""): Promise<string> {
  return new Promise((resolve) => {
    const silence = engine.onChange(() => {
      if (engine.status.kind !== "dead" || !engine.status.why.includes(says)) return;
      silence();
      resolve(engine.status.why);
    });
  });
}

/** Live processes of a group, zombies not counted. Reads /proc. */
export function groupOf(pgid: number): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const stat = statOf(pid);
      return stat !== undefined && stat.group === pgid && stat.state !== "Z";
    });
}

function statOf(pid: number): { readonly state: string; readonly group: number } | undefined {
  try {
    const [state = "", , group] = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return { state, group: Number(group) };
  } catch {
    return undefined;
  }
}

/** Whether something listens there. */
export function listens(url: string | undefined): Promise<boolean> {
  const { port } = new URL(url ?? "");
  return new Promise((resolve) => {
    const socket = connect(Number(port), "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("close", () => socket.destroy());
    socket.once("connect", () => socket.destroy());
  });
}
