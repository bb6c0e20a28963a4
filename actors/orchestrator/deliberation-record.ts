// Deliberations in the fleet's store: what was asked of whom, and, at its end, what came of it.
// It is not who begins them and when (deliberations.ts).
//
// DR1  Of all that write to one record only who has read its last state succeeds; the others learn that it is not theirs any more.
// DR2  A record that cannot be read is logged and left: it keeps no other deliberation from going on.

import { z } from "zod";
import { type ActorSystem, isFlotillaError } from "../../runtime/index.ts";
import { type Document, Documents } from "../events/documents.ts";
import { seatSchema } from "./council-record.ts";
import { requestSchema } from "./deliberation-request.ts";
import { refuse } from "./errors.ts";
import type { Deliberation } from "./orchestrator-api.ts";

const name = z.string().min(1);
const round = z.int().min(1);
const share = z.number().min(0).max(1);
const problem = z.object({ code: name, message: z.string() });

const entrySchema = z.object({
  agentId: name,
  rank: z.int().min(1),
  score: share,
  parts: z.record(z.string(), share),
  reasons: z.array(z.string()),
  proposal: z.string(),
  revisions: z.array(z.object({ round, text: z.string() })),
  reviews: z.array(z.object({ round, reviewer: name, author: name, text: z.string(), score: share.exactOptional() })),
  usage: z.object({ inputTokens: z.number(), outputTokens: z.number() }),
  error: problem.exactOptional(),
});

const deliberationSchema = z.object({
  taskId: name,
  role: name,
  status: z.enum(["pending", "in_progress", "completed", "failed", "timeout"]),
  results: z.array(entrySchema).readonly(),
  winnerId: name.nullable(),
  startedAtMs: z.number(),
  durationMs: z.number(),
  error: problem.exactOptional(),
  metadata: z.record(z.string(), z.string()),
}) satisfies z.ZodType<Deliberation>;

/** One deliberation as it was asked for: whoever has this can begin it. */
const orderSchema = z.object({
  taskId: name,
  request: requestSchema,
  seats: z.array(seatSchema).min(1),
  rounds: round,
  startedAtMs: z.number(),
});
export type DeliberationOrder = z.output<typeof orderSchema>;

const recordSchema = z.object({
  order: orderSchema,
  /** How often it was begun: once, and once more by each life of an orchestrator that found it without an end. */
  begun: z.int().min(1),
  /** Absent until its end. A result too large for a document is the hash of the blob that holds it as JSON. */
  end: z
    .object({ atMs: z.number(), result: z.union([z.object({ value: z.unknown() }), z.object({ blob: name })]) })
    .exactOptional(),
});

/** A record as it was last read or written. */
export interface KeptRecord extends z.output<typeof recordSchema> {
  readonly document: Document<unknown>;
}

export class DeliberationRecords {
  readonly #system: Pick<ActorSystem, "ports" | "clock">;
  /** Parsed one by one (DR2). */
  readonly #documents: Documents<unknown>;

  constructor(system: Pick<ActorSystem, "ports" | "clock">) {
    this.#system = system;
    this.#documents = new Documents(system, "orchestrator.deliberation", z.unknown());
  }

  /** All that can be read; `unreadable` is told of the others. Throws Unavailable. */
  async list(unreadable: (taskId: string, why: string) => void): Promise<readonly KeptRecord[]> {
    return (await this.#documents.list()).flatMap((document) => {
      const parsed = recordSchema.safeParse(document.value);
      if (!parsed.success) unreadable(document.id, parsed.error.message);
      return parsed.success ? [{ ...parsed.data, document }] : [];
    });
  }

  /** Undefined when there is none, or none that can be read. Throws Unavailable. */
  async get(taskId: string): Promise<KeptRecord | undefined> {
    const document = await this.#documents.get(taskId);
    const parsed = recordSchema.safeParse(document?.value);
    return document === undefined || !parsed.success ? undefined : { ...parsed.data, document };
  }

  /** Undefined when there is one. Throws RequestInvalid, Unavailable (it may have been written, or not). */
  async create(order: DeliberationOrder): Promise<KeptRecord | undefined> {
    const value = { order, begun: 1 };
    try {
      const document = await this.#documents.create(order.taskId, value);
      return document && { ...value, document };
    } catch (error) {
      if (!isFlotillaError(error, "ValueTooLarge")) throw error;
      throw refuse("RequestInvalid", `The request is too large to be recorded: ${error.message}.`, { cause: error });
    }
  }

  /** To begin it again; undefined when it is not as it was read any more (DR1). Throws as `create` does. */
  async takeOver({ document, ...value }: KeptRecord): Promise<KeptRecord | undefined> {
    const next = { ...value, begun: value.begun + 1 };
    const replaced = await this.#documents.replace(document, next);
    return replaced && { ...next, document: replaced };
  }

  /** Keeps its result; undefined when the record is not this life's any more (DR1). Throws as `create` does. */
  async end(record: KeptRecord, result: Deliberation): Promise<KeptRecord | undefined> {
    try {
      return await this.#end(record, { value: result });
    } catch (error) {
      if (!isFlotillaError(error, "ValueTooLarge")) throw error;
      const bytes = new TextEncoder().encode(JSON.stringify(result));
      return this.#end(record, { blob: await this.#system.ports.blobs.put(bytes) });
    }
  }

  async #end({ document, ...value }: KeptRecord, result: NonNullable<KeptRecord["end"]>["result"]) {
    const next = { ...value, end: { atMs: this.#system.clock.now(), result } };
    const replaced = await this.#documents.replace(document, next);
    return replaced && { ...next, document: replaced };
  }

  /** Undefined when it has none that can be read. Throws Unavailable. */
  async result({ end }: KeptRecord): Promise<Deliberation | undefined> {
    if (end === undefined) return undefined;
    if ("value" in end.result) return deliberationSchema.safeParse(end.result.value).data;
    const bytes = await this.#system.ports.blobs.get(end.result.blob);
    return bytes && deliberationSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes))).data;
  }

  /** With its blob. Throws Unavailable. */
  async delete({ document, end }: KeptRecord): Promise<void> {
    if (end !== undefined && "blob" in end.result) await this.#system.ports.blobs.delete(end.result.blob);
    await this.#documents.delete(document);
  }
}
