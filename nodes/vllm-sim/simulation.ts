// The simulator itself: its engine, its cache, its metrics and its events behind one HTTP server.
//
// V1  It listens on 127.0.0.1 only.
// V2  Its engine's death ends it after EXIT_AFTER_MS unless it is kept alive: until then it answers, with health 503.
// V3  `stop` may be called at any time and twice; then nothing of it is left.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, sleep, systemClock } from "../../runtime/index.ts";
import { nodeError } from "../errors.ts";
import { Engine, type EngineState, type Phase } from "./engine.ts";
import { KvPublisher } from "./kv-publisher.ts";
import { SimMetrics } from "./metrics-text.ts";
import { type SimSettings, simSettings, type VllmSimOptions } from "./options.ts";
import { answer, type Served } from "./routes.ts";
import type { VllmSim } from "./vllm-sim.ts";

/** Measured on vLLM 0.32 whose engine was killed under load: 0.7 s until nothing listens. */
const EXIT_AFTER_MS = 500;

/** Starts one; resolves when it listens. Throws SimOptionInvalid, SimPortTaken. */
export async function startSimulation(options: VllmSimOptions): Promise<VllmSim> {
  const { clock = systemClock } = options;
  const settings = simSettings(options);
  const { kvEventsPort, startupMs, startupRefuses } = settings;
  const publisher = kvEventsPort === undefined ? undefined : await KvPublisher.open(settings, clock, kvEventsPort);
  const sim = new Simulation(settings, clock, publisher);
  try {
    if (startupRefuses) await sleep(clock, startupMs);
    await sim.listen(startupRefuses ? 0 : startupMs);
    return sim;
  } catch (error) {
    await sim.stop();
    throw error;
  }
}

class Simulation implements VllmSim {
  readonly ended: Promise<"stopped" | "died">;
  readonly #settings: SimSettings;
  readonly #clock: Clock;
  readonly #publisher: KvPublisher | undefined;
  readonly #engine: Engine;
  readonly #server: Server;
  readonly #tellEnd: (how: "stopped" | "died") => void;
  readonly #stopping = new AbortController();
  #isStarting = true;
  #port = 0;

  constructor(settings: SimSettings, clock: Clock, publisher: KvPublisher | undefined) {
    this.#settings = settings;
    this.#clock = clock;
    this.#publisher = publisher;
    const metrics = new SimMetrics(settings);
    this.#engine = new Engine({
      settings,
      clock,
      metrics,
      publish: (events) => publisher?.publish(events),
      died: () => this.#died(),
    });
    const served: Served = {
      settings,
      engine: this.#engine,
      metrics,
      clock,
      phase: () => this.#phase,
      startedS: Math.floor(clock.now() / 1_000),
      load: 0,
    };
    this.#server = createServer((request, response) => void answer(served, request, response));
    const ended = Promise.withResolvers<"stopped" | "died">();
    this.ended = ended.promise;
    this.#tellEnd = ended.resolve;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get kvEndpoint(): string | undefined {
    return this.#publisher?.endpoint;
  }

  get replayEndpoint(): string | undefined {
    return this.#publisher?.replayEndpoint;
  }

  get state(): EngineState {
    return { ...this.#engine.state, phase: this.#phase };
  }

  get #phase(): Phase {
    return this.#isStarting ? "starting" : this.#engine.state.phase;
  }

  async listen(startupMs: number): Promise<void> {
    const { port } = this.#settings;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (error) => {
        const message = `option port: ${port} of 127.0.0.1 is taken or not allowed (${error.message})`;
        reject(nodeError("SimPortTaken", message, { data: { option: "port", port }, cause: error }));
      });
      this.#server.listen(port, "127.0.0.1", resolve);
    });
    this.#port = (this.#server.address() as AddressInfo).port;
    this.#isStarting = startupMs > 0;
    if (!this.#isStarting) return;
    void this.#after(startupMs, () => {
      this.#isStarting = false;
    });
  }

  die(): void {
    this.#engine.die();
  }

  hang(): void {
    this.#engine.hang();
  }

  heal(): void {
    this.#engine.heal();
  }

  async stop(): Promise<void> {
    await this.#end("stopped");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #died(): void {
    if (this.#stopping.signal.aborted || this.#settings.keepAliveOnEngineDeath) return;
    void this.#after(EXIT_AFTER_MS, () => void this.#end("died"));
  }

  async #after(delayMs: number, run: () => void): Promise<void> {
    const isOver = await sleep(this.#clock, delayMs, this.#stopping.signal).then(
      () => true,
      () => false,
    );
    if (isOver) run();
  }

  async #end(how: "stopped" | "died"): Promise<void> {
    if (!this.#stopping.signal.aborted) {
      this.#stopping.abort(new Error("the simulator was stopped"));
      this.#engine.close();
      this.#publisher?.close();
      this.#server.close(() => this.#tellEnd(how));
      this.#server.closeAllConnections();
      // A server that never listened has nothing to close, and says so with an error.
      if (!this.#server.listening && this.#port === 0) this.#tellEnd(how);
    }
    await this.ended;
  }
}
