// Runs one port's cases on one form of it. A form that cannot do a case names it with the reason; the case is then skipped, and says why.

import { describe, test } from "vitest";

/** A case gets `make`, which opens a fresh form that shares nothing with any other; `Asked` is what a case may ask of it. */
export type Cases<Form, Asked = never> = Readonly<Record<string, (make: Make<Form, Asked>) => Promise<void>>>;

export type Make<Form, Asked = never> = (asked?: Asked) => Promise<Form>;

/** Title of a case → why this form cannot do it. */
export type Skips = Readonly<Record<string, string>>;

/** `isConcurrent`: the cases run at once, for forms whose cases really wait. */
export function runContract<Form extends { close(): Promise<void> }, Asked = never>(
  name: string,
  cases: Cases<Form, Asked>,
  make: Make<Form, Asked>,
  skips: Skips = {},
  isConcurrent = false,
): void {
  const stray = Object.keys(skips).filter((title) => !Object.hasOwn(cases, title));
  if (stray.length > 0) throw new Error(`${name} skips what is no case: ${stray.join("; ")}`);
  const declare = isConcurrent ? describe.concurrent : describe;
  declare(name, () => {
    for (const [title, run] of Object.entries(cases)) {
      const reason = skips[title];
      test.skipIf(reason !== undefined)(reason === undefined ? title : `${title} (skipped: ${reason})`, () =>
        withForms(make, run),
      );
    }
  });
}

async function withForms<Form extends { close(): Promise<void> }, Asked>(
  make: Make<Form, Asked>,
  run: (make: Make<Form, Asked>) => Promise<void>,
): Promise<void> {
  const made: Form[] = [];
  try {
    await run(async (asked) => {
      const form = await make(asked);
      made.push(form);
      return form;
    });
  } finally {
    await Promise.all(made.map((form) => form.close()));
  }
}

/** Bytes of a text, and back: what contract cases store. */
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);

/** The next item; fails when the iteration ends instead. */
export async function next<T>(iterator: AsyncIterator<T>): Promise<T> {
  const step = await iterator.next();
  if (step.done) throw new Error("the iteration ended where an item was expected");
  return step.value;
}

/** Resolves when the iteration ends; fails when it gives another item. */
export async function ended(iterator: AsyncIterator<unknown>): Promise<void> {
  const step = await iterator.next();
  if (!step.done) throw new Error(`an item came where the end was expected: ${JSON.stringify(step.value)}`);
}
