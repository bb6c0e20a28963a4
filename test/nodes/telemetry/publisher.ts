// Publishes KV-cache events as vLLM's ZmqEventPublisher does, with sequences and a buffer for replays, on free ports of this machine.
// Batches can be lost on purpose. It makes no events.

import { Publisher as PubSocket, Router } from "zeromq";
import { kvFrames, sequenceFrame } from "./kv-frames.ts";

const END = Buffer.alloc(8, 0xff);

export class KvPublisher implements AsyncDisposable {
  readonly #pub = new PubSocket({ linger: 0 });
  readonly #router = new Router({ linger: 0 });
  #next = 0;
  /** What replays are answered with: sequence and payload. */
  kept: { sequence: number; payload: Buffer }[] = [];
  /** Requests for replay, by the first sequence wanted. */
  readonly asked: number[] = [];
  isSilent = false;
  /** Answers with all it has, whatever it was asked for. */
  isGenerous = false;

  static async start(port = 0): Promise<KvPublisher> {
    const publisher = new KvPublisher();
    await publisher.#pub.bind(`tcp://127.0.0.1:${port === 0 ? "*" : port}`);
    await publisher.#router.bind("tcp://127.0.0.1:*");
    void publisher.#answer();
    return publisher;
  }

  get endpoint(): string {
    return String(this.#pub.lastEndpoint);
  }

  get replayEndpoint(): string {
    return String(this.#router.lastEndpoint);
  }

  get port(): number {
    return Number(new URL(this.endpoint).port);
  }

  /** Gives the batch the next sequence, keeps it, and sends it unless it is to be lost. */
  async publish(events: unknown, isLost = false): Promise<void> {
    await this.publishRaw(kvFrames(this.#next, events)[2] as Buffer, isLost);
  }

  async publishRaw(payload: Buffer, isLost = false): Promise<void> {
    const sequence = this.#next++;
    this.kept.push({ sequence, payload });
    if (!isLost) await this.#pub.send([Buffer.from("kv"), sequenceFrame(sequence), payload]);
  }

  /** Counts from 0 again, as a publisher in a new process behind the same proxy would. */
  beginAnew(): void {
    this.#next = 0;
    this.kept = [];
  }

  async #answer(): Promise<void> {
    for await (const [client, , start] of this.#router as AsyncIterable<Buffer[]>) {
      const from = Number((start as Buffer).readBigUInt64BE());
      this.asked.push(from);
      if (this.isSilent) continue;
      for (const { sequence, payload } of this.kept.filter((batch) => this.isGenerous || batch.sequence >= from)) {
        await this.#router.send([client as Buffer, "", "kv", sequenceFrame(sequence), payload]);
      }
      await this.#router.send([client as Buffer, "", "", END, ""]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pub.close();
    this.#router.close();
  }
}
