// One HTTP request to a model server, and how it went, as a value. It keeps no connection: one that was kept from before a restart would
// fail a probe of the server that took its place.

import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Clock } from "../../runtime/index.ts";

export type Answer =
  | { readonly kind: "answer"; readonly status: number; readonly body: string }
  /** Nothing listens there. */
  | { readonly kind: "refused"; readonly why: string }
  /** No answer in time, or half of one, or the question was given up. */
  | { readonly kind: "silent"; readonly why: string };

export interface Question {
  readonly url: string;
  /** Sent as JSON by POST; `null`: a POST without one. Absent: a GET. */
  readonly body?: unknown;
  readonly apiKey?: string | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const BODY_MAX_BYTES = 8 * 1_024 * 1_024;

export function ask(clock: Clock, question: Question): Promise<Answer> {
  const { url, body, apiKey, timeoutMs, signal } = question;
  return new Promise((resolve) => {
    if (signal.aborted) return resolve({ kind: "silent", why: "it was given up" });
    const text = body === undefined || body === null ? "" : JSON.stringify(body);
    const request = (url.startsWith("https:") ? httpsRequest : httpRequest)(url, {
      method: body === undefined ? "GET" : "POST",
      agent: false,
      headers: {
        ...(text !== "" && { "content-type": "application/json" }),
        ...(body !== undefined && { "content-length": Buffer.byteLength(text) }),
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      },
    });
    const end = (answer: Answer) => {
      late.cancel();
      signal.removeEventListener("abort", giveUp);
      resolve(answer);
      request.destroy();
    };
    const giveUp = () => end({ kind: "silent", why: "it was given up" });
    const late = clock.schedule(timeoutMs, () => end({ kind: "silent", why: `no answer within ${timeoutMs} ms` }));
    signal.addEventListener("abort", giveUp, { once: true });
    request.on("error", (error: NodeJS.ErrnoException) =>
      end({ kind: error.code === "ECONNREFUSED" ? "refused" : "silent", why: error.message || String(error.code) }),
    );
    request.on("response", (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on("data", (part: Buffer) => {
        bytes += part.length;
        if (bytes <= BODY_MAX_BYTES) parts.push(part);
        else end({ kind: "silent", why: `an answer of more than ${BODY_MAX_BYTES} bytes` });
      });
      response.on("error", (error) => end({ kind: "silent", why: error.message }));
      response.on("end", () =>
        end({ kind: "answer", status: response.statusCode ?? 0, body: Buffer.concat(parts).toString("utf8") }),
      );
    });
    request.end(text);
  });
}

/** The answer's JSON; undefined when it is none. */
export function jsonOf(answer: Answer): unknown {
  if (answer.kind !== "answer") return undefined;
  try {
    return JSON.parse(answer.body);
  } catch {
    return undefined;
  }
}
