// Port: a language model. Its forms are openai-model.ts (any OpenAI-compatible server) and scripted-model.ts.
// It is not an agent: it knows no tools, files or tasks.
//
// L1  `complete` settles by its deadline or soon after its signal aborts, whatever the server does.
// L2  A reply that reached its length limit says so in `finish`, and one whose stream ended early rejects with ModelReplyCut;
//     a caller never runs mutating steps from either.
// L3  Token counts are the server's own; `undefined` when it gave none. They are never guessed.

export interface ModelMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface ModelRequest {
  readonly messages: readonly ModelMessage[];
  /** JSON schema the reply must satisfy, with a name the server may show. */
  readonly schema?: { readonly name: string; readonly schema: Readonly<Record<string, unknown>> };
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly signal: AbortSignal;
  /** Milliseconds this call may take. */
  readonly timeoutMs: number;
}

export interface ModelReply {
  readonly text: string;
  readonly finish: "stop" | "length";
  readonly usage: { readonly inputTokens: number | undefined; readonly outputTokens: number | undefined };
}

export interface Model {
  /** What results and pages call it: "mock", "Qwen/Qwen3-0.6B". */
  readonly name: string;
  complete(request: ModelRequest): Promise<ModelReply>;
}
