// The error of a promise that must reject: what a test then looks at.

import { type FlotillaError, isFlotillaError } from "../../runtime/index.ts";

/** The error `promise` rejects with, which must be one of ours. */
export async function caught(promise: PromiseLike<unknown>): Promise<FlotillaError> {
  try {
    await promise;
  } catch (error) {
    if (isFlotillaError(error)) return error;
    throw error;
  }
  throw new Error("the promise resolved, an error was expected");
}

/** Its code alone. */
export const codeOf = async (promise: PromiseLike<unknown>): Promise<string> => (await caught(promise)).code;

/** "value" or the code it failed with: for those that may end either way. */
export async function outcome<T>(promise: PromiseLike<T>): Promise<T | { readonly code: string }> {
  try {
    return await promise;
  } catch (error) {
    if (isFlotillaError(error)) return { code: error.code };
    throw error;
  }
}
