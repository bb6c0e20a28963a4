// What was said to a model and by it, kept short enough to be said again.
// It is not the words themselves (prompt.ts).
//
// V1  The system text, the task and the newest exchange are always there; older exchanges make room and their number is said.

import type { ModelMessage } from "./model.ts";

/** One reply of the model and what it was told about it. */
interface Exchange {
  readonly reply: string;
  readonly feedback: string;
}

/** Characters of all exchanges: with the tools' text about 8,000 tokens for code, which is what small servers allow. */
const EXCHANGES_CHARS_MAX = 24_000;

/** Characters kept of one reply: a model that wrote nonsense need not read it all again. */
const REPLY_CHARS_MAX = 8_000;

export class Conversation {
  readonly #system: string;
  readonly #task: string;
  #exchanges: Exchange[] = [];
  #dropped = 0;

  constructor(system: string, task: string) {
    this.#system = system;
    this.#task = task;
  }

  add(reply: string, feedback: string): void {
    this.#exchanges.push({ reply: reply.slice(0, REPLY_CHARS_MAX), feedback });
    while (this.#exchanges.length > 1 && size(this.#exchanges) > EXCHANGES_CHARS_MAX) {
      this.#exchanges.shift();
      this.#dropped += 1;
    }
  }

  /** The whole request, oldest first (V1). */
  messages(): readonly ModelMessage[] {
    const note = this.#dropped > 0 ? `\n\n(${this.#dropped} earlier plans and their results are left out.)` : "";
    return [
      { role: "system", content: this.#system },
      { role: "user", content: this.#task + note },
      ...this.#exchanges.flatMap(({ reply, feedback }): ModelMessage[] => [
        // An empty assistant message is refused by some servers.
        { role: "assistant", content: reply === "" ? "(empty)" : reply },
        { role: "user", content: feedback },
      ]),
    ];
  }
}

const size = (exchanges: readonly Exchange[]) =>
  exchanges.reduce((sum, { reply, feedback }) => sum + reply.length + feedback.length, 0);
