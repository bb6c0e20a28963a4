// The check of a model server that a node is to adopt: whether it answers, and which models it says it has.

import { bad, ok, type Verdict } from "./check.ts";

const SHOWN_MAX = 5;

/** `url`: with or without /v1 at its end. */
export async function modelServerVerdict(url: string, signal: AbortSignal): Promise<Verdict> {
  const address = `${url.replace(/\/+$/, "").replace(/\/v1$/, "")}/v1/models`;
  let answer: Response;
  try {
    answer = await fetch(address, { signal });
  } catch (error) {
    const { cause, message } = error as Error;
    const said = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : message;
    return bad(`nothing answers at ${address} (${said})`, "Start the model server, or correct --adopt.");
  }
  if (!answer.ok) {
    const remedy = "Give the address of an OpenAI-compatible server, and wait until it has loaded its model.";
    return bad(`${address} answered ${answer.status}`, remedy);
  }
  const models = modelsIn(await answer.json().catch(() => undefined));
  if (models === undefined)
    return bad(`${address} answered with no list of models`, "Give the address of an OpenAI-compatible server.");
  const more = models.length > SHOWN_MAX ? ` and ${models.length - SHOWN_MAX} more` : "";
  return ok(`it answers; models: ${models.slice(0, SHOWN_MAX).join(", ") || "none"}${more}`);
}

function modelsIn(body: unknown): readonly string[] | undefined {
  const { data } = (body ?? {}) as { readonly data?: unknown };
  if (!Array.isArray(data)) return undefined;
  return data.map((model: { readonly id?: unknown } | null) => String(model?.id ?? "?"));
}
