// What every form of the Model port must do (actors/agent/model.ts, L1–L3). Run on each form by its own test file.

import { describe, expect, it } from "vitest";
import type { Model, ModelRequest } from "../../actors/agent/model.ts";
import { systemClock } from "../../runtime/index.ts";

/** One reply that the form under test is made to give. */
export type ContractReply =
  | { readonly kind: "text"; readonly text: string; readonly finish: "stop" | "length"; readonly usage: boolean }
  /** Never answers. */
  | { readonly kind: "hang" };

/** A model that gives these replies in order. */
export interface ModelUnderTest extends AsyncDisposable {
  readonly model: Model;
}

const request = (over: Partial<ModelRequest> = {}): ModelRequest => ({
  messages: [{ role: "user", content: "Say something." }],
  maxTokens: 100,
  signal: new AbortController().signal,
  timeoutMs: 10_000,
  ...over,
});

const text = (said: string, finish: "stop" | "length" = "stop", usage = true): ContractReply => ({
  kind: "text",
  text: said,
  finish,
  usage,
});

export function modelContract(
  form: string,
  make: (replies: readonly ContractReply[]) => Promise<ModelUnderTest>,
): void {
  describe(`model contract: ${form}`, () => {
    it("has a name and gives the whole text, in order of the requests", async () => {
      await using under = await make([text("first ✓ with\nlines"), text("second")]);
      expect(under.model.name).not.toBe("");
      expect((await under.model.complete(request())).text).toBe("first ✓ with\nlines");
      expect((await under.model.complete(request())).text).toBe("second");
    });

    it("says when a reply was cut by its length (L2)", async () => {
      await using under = await make([text("half a", "length"), text("whole")]);
      expect(await under.model.complete(request())).toMatchObject({ text: "half a", finish: "length" });
      expect(await under.model.complete(request())).toMatchObject({ finish: "stop" });
    });

    it("never guesses token counts (L3)", async () => {
      await using under = await make([text("counted"), text("uncounted", "stop", false)]);
      const counted = await under.model.complete(request());
      expect(counted.usage.inputTokens).toBeGreaterThan(0);
      expect(counted.usage.outputTokens).toBeGreaterThan(0);
      expect((await under.model.complete(request())).usage).toEqual({
        inputTokens: undefined,
        outputTokens: undefined,
      });
    });

    it("settles by its deadline when nothing comes (L1)", async () => {
      await using under = await make([{ kind: "hang" }]);
      const started = systemClock.monotonic();
      await expect(under.model.complete(request({ timeoutMs: 100 }))).rejects.toMatchObject({ code: "ModelTimeout" });
      expect(systemClock.monotonic() - started).toBeLessThan(3_000);
    });

    it("settles soon after its signal aborts, and at once when it already has (L1)", async () => {
      await using under = await make([{ kind: "hang" }, { kind: "hang" }]);
      const abort = new AbortController();
      const asked = under.model.complete(request({ signal: abort.signal }));
      systemClock.schedule(50, () => abort.abort());
      await expect(asked).rejects.toMatchObject({ code: "Cancelled" });
      await expect(under.model.complete(request({ signal: abort.signal }))).rejects.toMatchObject({
        code: "Cancelled",
      });
    });
  });
}
