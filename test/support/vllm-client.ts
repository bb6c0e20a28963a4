// Talks to a model server as its clients do: plain requests, event streams and the page of metrics. It asserts nothing.

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** The body as JSON; fails when it is none. */
  readonly json: Json;
}

/** A JSON value looked into without ceremony; absent steps give undefined. */
export class Json {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }

  at(...path: readonly (string | number)[]): unknown {
    return path.reduce<unknown>(
      (inner, step) =>
        typeof inner === "object" && inner !== null ? (inner as Record<PropertyKey, unknown>)[step] : undefined,
      this.value,
    );
  }

  text(...path: readonly (string | number)[]): string {
    const found = this.at(...path);
    if (typeof found !== "string") throw new Error(`no text at ${path.join(".")} of ${JSON.stringify(this.value)}`);
    return found;
  }

  number(...path: readonly (string | number)[]): number {
    const found = this.at(...path);
    if (typeof found !== "number") throw new Error(`no number at ${path.join(".")} of ${JSON.stringify(this.value)}`);
    return found;
  }

  list(...path: readonly (string | number)[]): readonly Json[] {
    const found = this.at(...path);
    if (!Array.isArray(found)) throw new Error(`no list at ${path.join(".")} of ${JSON.stringify(this.value)}`);
    return found.map((item) => new Json(item));
  }
}

const answerOf = async (response: Response): Promise<Answer> => {
  const text = await response.text();
  return {
    status: response.status,
    text,
    get json() {
      return new Json(JSON.parse(text));
    },
  };
};

export const get = async (address: string): Promise<Answer> => answerOf(await fetch(address));

/** `body`: a string is sent as it is, undefined as nothing. */
export async function post(
  address: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Answer> {
  const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const given = text === undefined ? {} : { body: text, headers: { "content-type": "application/json", ...headers } };
  return answerOf(await fetch(address, { method: "POST", ...given, ...(signal && { signal }) }));
}

/** Data of each event of an event stream, "[DONE]" included. */
export const eventsIn = (text: string): readonly string[] =>
  text
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => event.replace(/^data: /, ""));

/** A streamed chat reply, whole. */
export async function streamed(
  address: string,
  body: object,
): Promise<{ readonly chunks: readonly Json[]; readonly isDone: boolean }> {
  const { status, text } = await post(address, { ...body, stream: true });
  if (status !== 200) throw new Error(`${status}: ${text}`);
  const events = eventsIn(text);
  const isDone = events.at(-1) === "[DONE]";
  return { chunks: events.filter((data) => data !== "[DONE]").map((data) => new Json(JSON.parse(data))), isDone };
}

/** Samples of a page of metrics: by name, those of several labels added up. */
export async function metricsOf(url: string): Promise<ReadonlyMap<string, number>> {
  const { text } = await get(`${url}/metrics`);
  const sums = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, name, value] = /^([a-zA-Z_:][\w:]*)(?:\{.*\})? (\S+)$/.exec(line) ?? [];
    if (name !== undefined) sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
  return sums;
}

/** The value of a label of a sample. */
export async function labelOf(url: string, metric: string, label: string): Promise<string | undefined> {
  const { text } = await get(`${url}/metrics`);
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${metric}{`)) ?? "";
  return new RegExp(`[{,]${label}="([^"]*)"`).exec(line)?.[1];
}
