// A model server under test, and how the cases of its suite ask it: shared by the files of cases beside this one. It declares no test.

import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import { type Json, post, streamed } from "../../support/vllm-client.ts";

export interface ModelServerUnderTest {
  /** Without /v1. */
  readonly url: string;
  readonly model: string;
  readonly maxModelLen: number;
  readonly kvEndpoint: string | undefined;
  readonly replayEndpoint: string | undefined;
  close(): Promise<void>;
}

export type ModelServerCases = Readonly<Record<string, (server: ModelServerUnderTest) => Promise<void>>>;

export const unique = () => randomBytes(12).toString("hex");

/** Long enough for several blocks of 128 tokens, and new to every cache from its first words on. */
export const longText = () => `${unique()} ${"read the file, write the test and commit. ".repeat(60)}`;

export const asking = ({ model }: ModelServerUnderTest, text: string, more: object = {}) => ({
  model,
  messages: [{ role: "user", content: text }],
  max_tokens: 8,
  seed: 1,
  ...more,
});
export const chat = (server: ModelServerUnderTest, text: string, more: object = {}) =>
  post(`${server.url}/v1/chat/completions`, asking(server, text, more));
export const stream = (server: ModelServerUnderTest, text: string, more: object = {}) =>
  streamed(`${server.url}/v1/chat/completions`, asking(server, text, more));

export function expectUsage(json: Json, promptTokens?: number): void {
  const [prompt, made, total] = ["prompt_tokens", "completion_tokens", "total_tokens"].map((name) =>
    json.number("usage", name),
  );
  expect(total).toBe((prompt ?? 0) + (made ?? 0));
  if (promptTokens !== undefined) expect(prompt).toBe(promptTokens);
}

export const cachedIn = (json: Json) => json.number("usage", "prompt_tokens_details", "cached_tokens");
