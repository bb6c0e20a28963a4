// Turns what the openai package throws into one clear sentence with a stable code: what was wrong, where, what to do.
// It decides nothing: whether to try again is read from the code.

import OpenAI from "openai";
import { type FlotillaError, isFlotillaError } from "../../runtime/index.ts";
import { fail } from "../errors.ts";

export interface FailureContext {
  readonly url: string;
  readonly model: string;
}

/** Characters quoted from a server's own words. */
const QUOTED_MAX = 200;

/** Names listed when a model is not found. */
const NAMES_MAX = 20;

const BUSY: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export const invalidReply = ({ url }: FailureContext, what: string, cause?: unknown): FlotillaError =>
  fail(
    "ModelReplyInvalid",
    `The server at ${url} ${what}. Check that the address is that of an OpenAI-compatible server.`,
    { cause },
  );

export const cutReply = ({ url }: FailureContext, what: string, cause?: unknown): FlotillaError =>
  fail("ModelReplyCut", `The model server at ${url} ${what}. Ask again; look at its log if it happens twice.`, {
    cause,
  });

/** The error a caller gets. `models` asks the server which models it has; it is called only when the model may be unknown. */
export async function modelFailure(
  error: unknown,
  context: FailureContext,
  models: () => Promise<readonly string[]>,
): Promise<FlotillaError> {
  if (isFlotillaError(error)) return error;
  if (error instanceof OpenAI.APIUserAbortError)
    return fail("Cancelled", `The request to ${context.url} was cancelled.`);
  if (error instanceof OpenAI.APIConnectionError) return unreachable(error, context);
  if (error instanceof OpenAI.APIError) {
    return error.status === undefined ? brokenOff(error, context) : refused(error, error.status, context, models);
  }
  if (error instanceof SyntaxError) return invalidReply(context, "sent a reply that is not JSON", error);
  return cutReply(context, `broke off its reply (${rootCause(error)})`, error);
}

function unreachable(error: Error, { url }: FailureContext): FlotillaError {
  const message = `Cannot reach the model server at ${url} (${rootCause(error)}). Start it, or correct the address.`;
  return fail("ModelUnreachable", message, { cause: error, data: { url } });
}

/** An error that came in the middle of a stream. */
const brokenOff = (error: Error, context: FailureContext) =>
  cutReply(context, `broke off its reply with an error: ${quoted(error.message)}`, error);

async function refused(
  error: InstanceType<typeof OpenAI.APIError>,
  status: number,
  context: FailureContext,
  models: () => Promise<readonly string[]>,
): Promise<FlotillaError> {
  const { url, model } = context;
  if (mayBeUnknownModel(status, error.message)) {
    const names = await models().catch((): readonly string[] => []);
    if (names.length > 0 && !names.includes(model)) return modelNotFound(context, names);
  }
  const said = quoted(error.message.replace(/^\d+ /, ""));
  const options = { cause: error, data: { url, status } };
  if (BUSY.has(status)) {
    const message = `The model server at ${url} is busy (HTTP ${status}: ${said}). Wait, or use fewer agents.`;
    return fail("ModelBusy", message, options);
  }
  return fail(
    "ModelHttpError",
    `The model server at ${url} answered HTTP ${status}: ${said}. ${advice(status)}`,
    options,
  );
}

const mayBeUnknownModel = (status: number, said: string) =>
  status === 404 || (status === 400 && /model/i.test(said) && /not (exist|found)|unknown|invalid/i.test(said));

function modelNotFound({ url, model }: FailureContext, names: readonly string[]): FlotillaError {
  const listed = names.slice(0, NAMES_MAX).join(", ");
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : "";
  const message = `The model server at ${url} has no model "${model}". It has: ${listed}${more}.`;
  return fail("ModelNotFound", message, { data: { url, model, models: names.slice(0, NAMES_MAX) } });
}

function advice(status: number): string {
  if (status === 401 || status === 403) return "Check the API key.";
  if (status === 404) return "Check the address: the API is usually under /v1.";
  return "Look at the server's log.";
}

/** The innermost message or system code: "fetch failed" alone tells nobody what failed. */
function rootCause(error: unknown): string {
  let root = error;
  for (let depth = 0; depth < 5 && root instanceof Error && root.cause instanceof Error; depth++) root = root.cause;
  if (!(root instanceof Error)) return String(root);
  const code = (root as { readonly code?: unknown }).code;
  return typeof code === "string" ? code : quoted(root.message);
}

function quoted(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > QUOTED_MAX ? `${line.slice(0, QUOTED_MAX)}…` : line;
}
