// The daemon of one host: what it has, what it grants, the model servers it runs, and what it tells the fleet about all that. It joins no
// fleet itself: whoever opens it connects with its `admission` and `resources`, and attaches the system.
//
//     machine ─▶ ledger ─┐
//     engines ─▶ observers ─┴─▶ report ─▶ system.report     every change, paced; actors are counted each COUNT_MS
//     gpu watch ─▶ ledger (used by others, faults) ─▶ drain
//
// DM1  It starts in the order machine, ledger, engines and ends in reverse; every timer and child has an owner here. A model server that could
//      not be started for what can be seen at once (a port in use, a program that is missing) is told before anything is.
// DM2  A GPU with a fault that does not pass by itself drains the node: nothing new comes, what can move is handed over.
// DM3  What its model servers use of the GPUs is granted to them like to anybody else, before they start.

import {
  type ActorSystem,
  type Amounts,
  type Clock,
  type LogLevel,
  type NodeReport,
  sleep,
} from "../../runtime/index.ts";
import type { Engine } from "../engine/engine.ts";
import { Engines } from "../engine/engines.ts";
import type { EngineOptions } from "../engine/options.ts";
import { nodeError } from "../errors.ts";
import { type RunTool, toolRunner } from "../gpu/tool-run.ts";
import type { NodeMetrics } from "../metrics.ts";
import { Ledger } from "../resources/ledger.ts";
import { compactReport } from "../telemetry/compact-report.ts";
import type { PrefixSummary } from "../telemetry/prefix-view.ts";
import { ReportPacer } from "../telemetry/report-pacer.ts";
import { DaemonAdmission } from "./admission.ts";
import { DeviceWatch } from "./device-watch.ts";
import { EngineObserver } from "./engine-observer.ts";
import { lookAtMachine, type Machine } from "./machine.ts";
import { modelsActor } from "./models-actor.ts";
import { PrefixPost } from "./prefix-post.ts";

/** A model server of the node, and how many of its GPUs it takes; default: its tensorParallel, or one where the node has any. */
export type DaemonEngine = EngineOptions & { readonly gpus?: number };

export interface DaemonOptions {
  readonly clock: Clock;
  /** The operator's word about GPUs: "none", "2", "0,2", "2x80GiB:H100". */
  readonly gpus?: string;
  /** Amounts in place of what was found, or beside it. */
  readonly resources?: Amounts;
  readonly engines?: readonly DaemonEngine[];
  /** How the tools that know of GPUs are run. Default: as they are. */
  readonly run?: RunTool;
  readonly log: (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) => void;
}

/** Those that answer for the node. */
const OWN_ACTORS = 2;
const COUNT_MS = 1_000;
const QUIET_POLL_MS = 100;
/** Three times as long as an actor's grant is renewed. */
const GRANT_TTL_MS = 30_000;

/**
 * Opens the daemon of this host. Throws what lookAtMachine throws, AmountsInvalid, InvalidOption (an engine), EngineNeedsGpus, EnginePortInUse,
 * EngineProgramMissing.
 */
export async function openDaemon(options: DaemonOptions): Promise<Daemon> {
  const daemon = new Daemon(options, await lookAtMachine(options));
  for (const engine of daemon.engines.all) {
    const failure = await engine.startFailure();
    if (failure === undefined) continue;
    await daemon.close();
    throw failure;
  }
  return daemon;
}

export class Daemon {
  readonly machine: Machine;
  readonly admission: DaemonAdmission;
  readonly engines: Engines;
  readonly ledger: Ledger;
  readonly #options: DaemonOptions;
  readonly #observers: readonly EngineObserver[];
  readonly #pacer: ReportPacer;
  readonly #devices: DeviceWatch;
  readonly #closing = new AbortController();
  /** Cuts model requests in hand off. */
  readonly #cut = new AbortController();
  #system: ActorSystem | undefined = undefined;
  #post: PrefixPost | undefined = undefined;

  /** Use `openDaemon`. */
  constructor(options: DaemonOptions, machine: Machine) {
    const { clock, engines = [] } = options;
    this.#options = options;
    this.machine = machine;
    const vendor = machine.discovery.kind === "found" ? { vendor: machine.discovery.vendor } : {};
    this.ledger = new Ledger({
      clock,
      totals: machine.amounts,
      gpus: machine.gpus,
      grantTtlMs: GRANT_TTL_MS,
      ...vendor,
    });
    this.engines = new Engines(clock);
    for (const engine of engines) this.#addEngine(engine);
    this.admission = new DaemonAdmission(this.ledger, this.engines);
    this.#pacer = new ReportPacer({ clock, publish: (report) => this.#system?.report(compactReport(report)) });
    const changed = () => this.#offer();
    this.#observers = this.engines.all.map((engine) => new EngineObserver(engine, clock, changed));
    this.ledger.onChange(changed);
    const { ledger } = this;
    const { log, run = toolRunner({ clock }) } = options;
    this.#devices = new DeviceWatch({ machine, ledger, clock, log, run, onLasting: () => this.#drain() });
  }

  /** DM3. */
  #addEngine({ gpus: wanted, ...options }: DaemonEngine): Engine {
    const { machine, ledger } = this;
    const isStarted = options.kind === "vllm";
    const gpus = wanted ?? (isStarted && machine.gpus.length > 0 ? (options.tensorParallel ?? 1) : 0);
    if (!isStarted || gpus === 0) return this.engines.add(options);
    const holder = `model server of ${options.servedName ?? options.model}`;
    const grant = ledger.claim({ resources: { gpus } }, holder);
    if (grant.kind === "refused") {
      throw nodeError("EngineNeedsGpus", `the ${holder} asks for ${gpus} GPUs: ${grant.reason}`, { data: { gpus } });
    }
    const environment = { ...grant.environment, ...options.environment };
    return this.engines.add({ ...options, environment });
  }

  /** DM2 */
  #drain(): void {
    const { log } = this.#options;
    this.#system?.drain().catch((error: unknown) => {
      log("error", "the node could not be drained", { error: String(error) });
    });
  }

  /** In this process, and each in one of its own; a process that is just being made ready counts until it is. */
  #actors(): number {
    if (this.#system === undefined) return 0;
    const { actors, processes, processesReady } = this.#system.stats();
    return Math.max(0, actors - OWN_ACTORS) + Math.max(0, processes - processesReady);
  }

  /** How the node stands now, in full. */
  report(): NodeReport {
    const { faults } = this.#devices;
    return {
      atMs: this.#options.clock.now(),
      actors: this.#actors(),
      free: this.ledger.free(),
      gpus: this.ledger.gpuReports(),
      engines: this.engines.reports(),
      ...(faults.length > 0 && { faults }),
    };
  }

  /** Prefixes that its model servers have cached, by model. */
  prefixes(): ReadonlyMap<string, PrefixSummary> {
    const known = this.#observers.map((observer) => [observer.engine.model ?? "", observer.prefixes()] as const);
    return new Map(known.filter((entry): entry is [string, PrefixSummary] => entry[1] !== undefined));
  }

  #offer(): void {
    if (this.#system !== undefined) this.#pacer.offer(this.report());
  }

  /** Tells the fleet about this node from now on, and starts the model servers that are not left for later. */
  async attach(system: ActorSystem): Promise<void> {
    this.#system = system;
    const { engines, admission } = this;
    const setup = { engines, closed: () => admission.closed, cut: this.#cut.signal };
    const { type, options } = modelsActor(setup, system.node);
    await system.spawn(type, options);
    this.#devices.start();
    this.#count();
    const { clock } = this.#options;
    const { node, ports } = system;
    this.#post = new PrefixPost({ node, store: ports.store, clock, read: () => this.prefixes() });
    if (this.engines.all.length > 0) this.#post.start();
    for (const engine of this.engines.all) {
      if (engine.settings.kind === "vllm" && engine.settings.onDemand) continue;
      engine.start(this.#closing.signal).catch(() => {
        // It is told in the server's state, which whoever has opened the daemon hears of.
      });
    }
    this.#offer();
  }

  #count(): void {
    this.#options.clock.schedule(COUNT_MS, () => {
      if (this.#closing.signal.aborted) return;
      this.#offer();
      this.#count();
    });
  }

  /** Page of metrics for Prometheus; what makes it is loaded when the first page is asked for. */
  metrics(system: Pick<ActorSystem, "stats">): Pick<NodeMetrics, "text"> {
    let making: Promise<NodeMetrics> | undefined;
    const make = async () => {
      const { nodeMetrics } = await import("../metrics.ts");
      return nodeMetrics({
        report: () => this.report(),
        resources: () => this.machine.amounts,
        stats: () => system.stats(),
        engines: () => this.#observers.map((observer) => observer.observed()).filter((seen) => seen !== undefined),
      });
    };
    return {
      async text() {
        making ??= make();
        return (await making).text();
      },
    };
  }

  /**
   * Takes nothing new, lets model requests in hand go on for `graceMs`, then hands over what can live elsewhere. Answers the models whose
   * requests were not done by then: they are cut off.
   */
  async leave(graceMs: number): Promise<readonly string[]> {
    this.admission.close("it is leaving the fleet");
    let cut: readonly string[] = [];
    const quiet = this.#quiet(graceMs).then((busy) => {
      cut = busy;
      if (busy.length > 0) this.#cut.abort(`its node is leaving, and its grace time of ${graceMs / 1_000} s is over`);
    });
    // What is in hand has its time also where the fleet cannot be told.
    const [, drained] = await Promise.allSettled([quiet, this.#system?.drain(quiet)]);
    if (drained.status === "rejected")
      this.#options.log("warn", "what is here was not handed over", { error: String(drained.reason) });
    await this.#post?.close();
    return cut;
  }

  /** Waits until no model server has anything in hand, at most `graceMs`. Answers the models of those that have. */
  async #quiet(graceMs: number): Promise<readonly string[]> {
    const { clock } = this.#options;
    const untilMs = clock.monotonic() + graceMs;
    for (;;) {
      const busy = await Promise.all(
        this.engines.all.map(async (engine) => ((await engine.isWorking()) ? [engine.model ?? ""] : [])),
      );
      const models = busy.flat();
      if (models.length === 0 || clock.monotonic() >= untilMs) return models;
      await sleep(clock, Math.min(QUIET_POLL_MS, untilMs - clock.monotonic()));
    }
  }

  /** Ends all it has started, in reverse order (DM1). May be called twice. */
  async close(): Promise<void> {
    this.admission.close("its daemon is stopping");
    this.#closing.abort();
    this.#pacer.close();
    await this.#post?.close();
    this.#devices.close();
    await this.engines.stopAll(0);
    await Promise.all(this.#observers.map((observer) => observer.close()));
  }
}
