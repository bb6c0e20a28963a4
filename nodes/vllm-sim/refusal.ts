// What the server refuses, in vLLM's words and JSON shapes, so that a client that reads them from vLLM reads them here.

/** An answer that is an error. */
export class Refusal extends Error {
  readonly status: number;
  readonly body: unknown;

  constructor(status: number, message: string, body: unknown) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** `{ error: { message, type, param, code } }` */
export function refusal(status: number, type: string, message: string, param: string | null = null): Refusal {
  return new Refusal(status, message, { error: { message, type, param, code: status } });
}

/** A value that is understood and not allowed: 400, with the parameter in the message as vLLM appends it. */
export function badRequest(message: string, param: string | null = null, value?: number): Refusal {
  const named = param === null ? "" : ` (parameter=${param}${value === undefined ? "" : `, value=${value}`})`;
  return refusal(400, "BadRequestError", message + named, param);
}

/** A body that is not of the right shape: 400, one line for each field. */
export function badShape(
  problems: readonly { readonly type: string; readonly loc: string; readonly msg: string }[],
): Refusal {
  const lines = problems.map(({ type, loc, msg }) => `  {'type': '${type}', 'loc': '${loc}', 'msg': '${msg}'}`);
  const message = `${problems.length} validation error${problems.length === 1 ? "" : "s"}:\n${lines.join("\n")}`;
  return refusal(400, "Bad Request", message, problems[0]?.loc ?? null);
}

/** FastAPI's own shape, for what never reaches vLLM. */
export const notFound = () => new Refusal(404, "Not Found", { detail: "Not Found" });
export const wrongMethod = () => new Refusal(405, "Method Not Allowed", { detail: "Method Not Allowed" });
export const unauthorized = () => new Refusal(401, "Unauthorized", { error: "Unauthorized" });

export const unknownModel = (asked: string, model: string) =>
  refusal(404, "NotFoundError", `The model \`${asked}\` does not exist. Valid aliases: ${model}.`, "model");

export const tooLong = (tokens: number, maxModelLen: number) =>
  badRequest(
    `This model's maximum context length is ${maxModelLen} tokens. However, your prompt contains ${tokens} input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt.`,
    "input_tokens",
    tokens,
  );

export const queueFull = () =>
  refusal(
    503,
    "Service Unavailable",
    "The engine is currently busy and cannot accept new requests. Please try again later or on a different instance.",
  );

/** The real server does not listen yet; one that must answer can only say this. */
export const starting = () => refusal(503, "Service Unavailable", "The engine is starting.");

export const ENGINE_DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause.";
export const engineDead = () => refusal(500, "InternalServerError", ENGINE_DEAD);
