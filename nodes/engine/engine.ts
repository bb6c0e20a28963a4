// A model server of this node, started by it or adopted: its state, its lives one after the other, and what may be asked of it.
// The rules are in state.ts, hang.ts and failure.ts; one life is life.ts's part.
//
// EN1  One life at a time, and each is over before the next begins: two processes never want one port or one device's memory.
// EN2  What cannot go better by itself (a model that is not there, arguments that it does not take) is not tried again; what can is, with
//      back-off and a budget. Then it is dead until somebody starts it.
// EN3  Stop overtakes everything: it ends a start, a back-off and a sleep, may be called twice, and a second call can only shorten the first.
// EN4  A listener hears each change of state, and of what is known of the server, after it happened; it must not throw.

import {
  type Clock,
  decideRestart,
  type EngineReport,
  type FlotillaError,
  sleep,
  systemClock,
  withinWindow,
} from "../../runtime/index.ts";
import { nodeError } from "../errors.ts";
import { KV_TOPIC, servedName } from "./arguments.ts";
import { whyOf } from "./failure.ts";
import { type Living, liveAdopted, liveStarted, type StartedServer, startFailure } from "./life.ts";
import { type EngineLoad, Load } from "./load.ts";
import { type EngineOptions, type EngineSettings, engineSettings } from "./options.ts";
import type { AttachedServer, Probe, ServerKind } from "./probe.ts";
import { type EngineEvent, type EngineStatus, nextState, type Return } from "./state.ts";

/** Where its cache events are published and replayed. */
export interface KvEventsAddress {
  readonly endpoint: string;
  readonly replayEndpoint: string;
  readonly topic: string;
}

const DRAIN_POLL_MS = 100;
const WHY_MAX_CHARS = 160;

export class Engine {
  readonly settings: EngineSettings;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  readonly #living: Living;
  readonly #load: Load;
  #status: EngineStatus;
  #attached: AttachedServer | undefined;
  #probe: Probe | undefined;
  #server: StartedServer | undefined;
  #cannotSleep = false;
  #turning: Promise<void> = Promise.resolve();
  #restartsAtMs: readonly number[] = [];
  #restarts = 0;
  #run: { readonly end: AbortController; readonly done: Promise<void> } | undefined;
  #drain: AbortController | undefined;
  #stopped: Promise<void> | undefined;

  /** Starts nothing yet. Throws InvalidOption. */
  constructor(options: EngineOptions, clock: Clock = systemClock) {
    this.settings = engineSettings(options);
    this.#clock = clock;
    this.#load = new Load(clock, this.settings.kind === "vllm" ? this.settings.maxNumSeqs : this.settings.slots);
    this.#status = { kind: "loadable", sinceMs: clock.now() };
    this.#living = this.#asLiving();
  }

  /** What requests call its model; undefined: an adopted server that has not told yet. */
  get model(): string | undefined {
    if (this.settings.kind === "vllm") return servedName(this.settings);
    return this.settings.model ?? this.#attached?.model;
  }

  get status(): EngineStatus {
    return this.#status;
  }

  /** "http://127.0.0.1:8000", without /v1. A started one has it from its first start. */
  get url(): string | undefined {
    return this.settings.kind === "adopted" ? this.settings.url : this.#server?.url;
  }

  /** Of the process at present, and of its group; 0: none. */
  get pid(): number {
    const process = this.#server?.process;
    return process === undefined || process.isOver ? 0 : process.pid;
  }

  /** How often it was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** What answers there, from when it was ready first. */
  get server(): ServerKind | undefined {
    return this.#attached?.server;
  }

  get version(): string | undefined {
    return this.#attached?.version;
  }

  /** Whether its answers obey a JSON schema; undefined: not known. */
  get constrains(): boolean | undefined {
    return this.#attached?.constrains;
  }

  get maxModelLen(): number | undefined {
    return this.#attached?.maxModelLen;
  }

  get hasMetrics(): boolean {
    return this.#attached?.hasMetrics === true;
  }

  /** Of a started one whose options ask for cache events, from its first start. */
  get kvEvents(): KvEventsAddress | undefined {
    const events = this.#server?.ports.kvEvents;
    if (events === undefined) return undefined;
    const at = (port: number) => `tcp://127.0.0.1:${port}`;
    return { endpoint: at(events.port), replayEndpoint: at(events.replayPort), topic: KV_TOPIC };
  }

  /** Its last lines, the newest last; empty for one that is not ours. */
  get log(): readonly string[] {
    return this.#server?.process.log ?? [];
  }

  /** Calls `listener` after each change (EN4). Answers what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Why it could not be started now, before that is tried; undefined: nothing is known against it. */
  async startFailure(): Promise<FlotillaError | undefined> {
    return this.settings.kind === "vllm" ? startFailure(this.#name, this.settings) : undefined;
  }

  /** Starts it, or begins to look at an adopted one, with its whole budget of restarts; resolves and rejects as `ready` does. */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#status.kind === "draining") throw this.#stoppedError();
    this.#restartsAtMs = [];
    this.#begin();
    await this.ready(signal);
  }

  /**
   * Resolves when it takes requests; starts one that nobody has started, wakes one that sleeps.
   * Rejects with why it cannot, when that is known and it does not come back by itself; with the signal's reason when that aborts.
   */
  async ready(signal?: AbortSignal): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      this.#load.touch();
      const status = this.#status;
      if (status.kind === "ready" || status.kind === "busy") return;
      if (status.kind === "draining") throw this.#stoppedError();
      if (status.kind === "dead" && status.returns !== "restart") throw status.failure;
      if (status.kind === "loadable") this.#begin();
      else if (status.kind === "asleep") await this.wake();
      else await this.#changed(signal);
    }
  }

  /** Counts a request as in hand until the function it answers is called. Throws EngineStopped, EngineNotReady, or why it is dead. */
  use(): () => void {
    const status = this.#status;
    if (status.kind === "draining") throw this.#stoppedError();
    if (status.kind === "dead") throw status.failure;
    if (status.kind !== "ready" && status.kind !== "busy") {
      throw nodeError("EngineNotReady", `the model server of ${this.#name} is ${status.kind}; wait for ready()`);
    }
    return this.#load.use();
  }

  /** A piece of an answer has just come from it: whoever passes its answers on says so, and spares it questions. */
  sign(): void {
    this.#load.sign();
  }

  /** Takes what was seen of it. */
  observe(load: EngineLoad): void {
    this.#load.see(load);
    this.#weigh();
  }

  /** Takes that it has just answered a request with 503. */
  refused(): void {
    this.#load.refused();
    this.#weigh();
  }

  /**
   * Whether it has requests in hand, asked of itself where it tells. Others may use a server that is not ours: of that only what this node has
   * in hand there counts.
   */
  async isWorking(): Promise<boolean> {
    if (this.#load.uses > 0) return true;
    if (this.settings.kind === "adopted" || !this.hasMetrics) return false;
    const load = await this.#probe?.load();
    return load !== undefined && load.inHand > 0;
  }

  /** Puts it to sleep: level 1 keeps its weights in the machine's memory, 2 drops them. Throws EngineCannotSleep, EngineInUse, EngineNotReady. */
  sleep(level: 1 | 2 = 1): Promise<void> {
    return this.#turn(async () => {
      const { kind } = this.#status;
      if (kind === "asleep") return;
      const probe = this.#probe;
      if (probe === undefined || (kind !== "ready" && kind !== "busy")) {
        throw nodeError("EngineNotReady", `the model server of ${this.#name} is ${kind} and cannot be put to sleep`);
      }
      // Others may use it as well, and sleep would end their requests.
      if (this.#load.isInHand || ((await probe.load())?.inHand ?? 0) > 0)
        throw nodeError("EngineInUse", `the model server of ${this.#name} has requests in hand`);
      const isDone = await probe.sleep(level);
      if (isDone !== true) {
        this.#cannotSleep = true;
        const why = isDone === undefined ? "has no route for it" : "stays awake when it is told to sleep";
        throw nodeError("EngineCannotSleep", `the model server of ${this.#name} ${why}`);
      }
      this.#to({ kind: "sleep" });
    });
  }

  /** Wakes it; nothing to do for one that is awake. Throws EngineHung. */
  wake(): Promise<void> {
    return this.#turn(async () => {
      if (this.#status.kind !== "asleep") return;
      if ((await this.#probe?.wake()) !== true && this.#status.kind === "asleep") {
        throw nodeError("EngineHung", `the model server of ${this.#name} does not wake up`);
      }
      this.#to({ kind: "wake" });
    });
  }

  /**
   * Takes nothing new, lets requests in hand go on for `graceMs`, then ends the process and all it started; resolves when they are gone.
   * An adopted one is only let go. It may be started again.
   */
  stop(graceMs: number = this.settings.graceMs): Promise<void> {
    if (this.#status.kind === "dead" && this.#run === undefined) return Promise.resolve();
    const drain = this.#drain ?? new AbortController();
    this.#drain = drain;
    const late = this.#clock.schedule(graceMs, () => drain.abort(), true);
    this.#stopped ??= this.#stop(drain.signal).finally(() => {
      this.#drain = undefined;
      this.#stopped = undefined;
    });
    return this.#stopped.finally(() => late.cancel());
  }

  /** As the others of the fleet see it. */
  report(): EngineReport {
    const { kind, why } = this.#status;
    const { url } = this;
    return {
      model: this.model ?? "",
      state: kind,
      ...(url !== undefined && { url }),
      ...this.#load.report(),
      ...(why !== undefined && { why: why.slice(0, WHY_MAX_CHARS) }),
    };
  }

  get #name(): string {
    return this.model ?? this.url ?? "";
  }

  get #isDraining(): boolean {
    return this.#status.kind === "draining";
  }

  #asLiving(): Living {
    return {
      started: (server) => {
        this.#server = server;
        this.#tell();
      },
      attached: (attached, probe) => {
        this.#attached = attached;
        this.#probe = probe;
        this.#load.forget();
        if (!this.#to({ kind: "attached", isAsleep: attached.isAsleep })) this.#tell();
      },
      lost: (failure) => this.#lose(failure, this.settings.kind === "vllm" ? "restart" : "answer"),
      isInHand: () => this.#load.isInHand,
      isAsleep: () => this.#status.kind === "asleep",
      progress: () => this.#load.progress,
      looked: () => this.#looked(),
    };
  }

  #begin(): void {
    if (this.#run !== undefined) return;
    const end = new AbortController();
    const done = this.#live(end.signal);
    this.#run = { end, done };
    this.#to({ kind: "start" });
  }

  async #live(signal: AbortSignal): Promise<void> {
    const { settings } = this;
    const parts = { name: this.#name, living: this.#living, clock: this.#clock, signal };
    if (settings.kind === "adopted") return liveAdopted({ ...parts, settings });
    for (;;) {
      const failure = await liveStarted({ ...parts, settings }, this.#server?.ports);
      if (signal.aborted || this.#isDraining) return;
      const afterMs = this.#restartAfter(failure);
      // Before it is told: whoever hears of it may start it at once.
      if (afterMs === undefined) this.#run = undefined;
      this.#lose(failure, afterMs === undefined ? "never" : "restart");
      if (afterMs === undefined) return;
      await sleep(this.#clock, afterMs, signal).catch(() => {});
      if (signal.aborted || this.#isDraining) return;
      this.#restarts += 1;
      this.#to({ kind: "start" });
    }
  }

  /** undefined: not again (EN2). */
  #restartAfter(failure: FlotillaError): number | undefined {
    if (this.settings.kind !== "vllm" || !failure.retryable) return undefined;
    const nowMs = this.#clock.monotonic();
    const directive = decideRestart(this.#restartsAtMs, this.settings.restart, false, nowMs);
    if (directive.kind !== "restart") return undefined;
    this.#restartsAtMs = [...withinWindow(this.#restartsAtMs, this.settings.restart, nowMs), nowMs];
    return directive.afterMs;
  }

  async #stop(drained: AbortSignal): Promise<void> {
    this.#to({ kind: "drain" });
    while (!drained.aborted && this.#run !== undefined && (await this.isWorking())) {
      await sleep(this.#clock, DRAIN_POLL_MS, drained).catch(() => {});
    }
    this.#run?.end.abort();
    await this.#run?.done;
    this.#run = undefined;
    this.#to({ kind: "stopped", failure: this.#stoppedError() });
  }

  #looked(): void {
    this.#weigh();
    const { idleSleepMs } = this.settings;
    if (idleSleepMs === undefined || this.#cannotSleep || this.#status.kind !== "ready") return;
    if (this.#load.idleMs < idleSleepMs) return;
    // It stays awake, for good (cannotSleep) or for as long again.
    this.sleep().catch(() => this.#load.touch());
  }

  #weigh(): void {
    const { full } = this.#load;
    this.#to({ kind: "load", ...(full !== undefined && { full }) });
  }

  #lose(failure: FlotillaError, returns: Return): void {
    this.#load.forget();
    const isSpent = returns === "never" && this.#restartsAtMs.length > 0 && failure.retryable;
    const spent = isSpent ? ` (started again ${this.#restartsAtMs.length} times, and not any more)` : "";
    this.#to({ kind: "lost", why: `${whyOf(failure)}${spent}`, failure, returns });
  }

  /** Whether it changed anything. */
  #to(event: EngineEvent): boolean {
    const status = nextState(this.#status, event, this.#clock.now());
    if (status === this.#status) return false;
    this.#status = status;
    this.#tell();
    return true;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #changed(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        silence();
        signal?.removeEventListener("abort", end);
        if (signal?.aborted) reject(signal.reason);
        else resolve();
      };
      const silence = this.onChange(end);
      signal?.addEventListener("abort", end, { once: true });
    });
  }

  /** Sleeping and waking, one after the other. */
  #turn(run: () => Promise<void>): Promise<void> {
    const turn = this.#turning.then(run);
    this.#turning = turn.catch(() => {});
    return turn;
  }

  #stoppedError(): FlotillaError {
    return nodeError("EngineStopped", `the model server of ${this.#name} is being stopped, or was`);
  }
}
