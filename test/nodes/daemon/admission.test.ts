// What a daemon answers to a demand, by the state of the model server it wants.

import { describe, expect, it } from "vitest";
import { DaemonAdmission } from "../../../nodes/daemon/admission.ts";
import type { EngineStatus } from "../../../nodes/engine/state.ts";
import { Engine, Engines, Ledger } from "../../../nodes/index.ts";
import { runtimeError } from "../../../runtime/errors.ts";
import { type Grant, isFlotillaError, type Refusal, systemClock } from "../../../runtime/index.ts";
import { ADMISSION_GPUS, ADMISSION_TOTALS, admissionContract } from "../../contracts/admission.ts";
import { fakeEngine } from "../../support/engines.ts";

const never = () => new AbortController().signal;
const ledger = () => new Ledger({ clock: systemClock, totals: { cpus: 2 } });

/** A list with one server of "m" in a state that stays, and what was asked of it. */
function inState(status: Partial<EngineStatus> & { kind: EngineStatus["kind"] }) {
  const engines = new Engines();
  const engine = engines.add(fakeEngine());
  const asked: string[] = [];
  Object.defineProperty(engine, "status", { value: { sinceMs: 0, ...status } });
  engine.start = async () => void asked.push("start");
  engine.ready = async () => void asked.push("ready");
  return { engines, engine, asked };
}

const failure = runtimeError("Unavailable", "x");
const granted = { kind: "granted", resources: { cpus: 1 } };
const refusal = (reason: RegExp, passes: boolean) => ({
  kind: "refused",
  reason: expect.stringMatching(reason),
  passes,
});

describe("a demand with a model", () => {
  it.each<[string, Parameters<typeof inState>[0], object, string[]]>([
    ["ready", { kind: "ready" }, granted, []],
    ["busy", { kind: "busy", why: "full" }, granted, []],
    ["asleep: it is woken first", { kind: "asleep" }, granted, ["ready"]],
    [
      "loadable: to be asked for begins its loading",
      { kind: "loadable" },
      refusal(/^m is being loaded$/, true),
      ["start"],
    ],
    ["starting", { kind: "starting" }, refusal(/^m is being loaded$/, true), []],
    ["draining", { kind: "draining" }, refusal(/^its server for m is draining$/, true), []],
    [
      "dead, started again",
      { kind: "dead", why: "it broke", failure, returns: "restart" },
      refusal(/dead: it broke/, true),
      [],
    ],
    ["dead, looked for", { kind: "dead", why: "away", failure, returns: "answer" }, refusal(/dead: away/, true), []],
    [
      "dead for good",
      { kind: "dead", why: "no model", failure, returns: "never" },
      refusal(/dead: no model/, false),
      [],
    ],
  ])("%s", async (_, status, answer, asks) => {
    const { engines, asked } = inState(status);
    const book = ledger();
    const admission = new DaemonAdmission(book, engines);
    expect(await admission.admit({ model: "m", resources: { cpus: 1 } }, "a", never())).toMatchObject(answer);
    expect(asked).toEqual(asks);
    expect(book.leases()).toHaveLength("reason" in answer ? 0 : 1);
  });

  it("is refused for good where nobody has the model, with what there is", async () => {
    const admission = new DaemonAdmission(ledger(), inState({ kind: "ready" }).engines);
    const answer = await admission.admit({ model: "other" }, "a", never());
    expect(answer).toEqual({ kind: "refused", reason: "it has no server for other; it has m", passes: false });
    const nobody = await new DaemonAdmission(ledger(), new Engines()).admit({ model: "m" }, "a", never());
    expect(nobody).toMatchObject({ reason: "it has no server for m; it has none" });
  });

  it("is refused for now when the server does not wake up, and takes nothing", async () => {
    const { engines, engine } = inState({ kind: "asleep" });
    engine.ready = () => Promise.reject(new Error("it does not wake up"));
    const book = ledger();
    const admission = new DaemonAdmission(book, engines);
    expect(await admission.admit({ model: "m", resources: { cpus: 1 } }, "a", never())).toMatchObject({
      ...{ kind: "refused", reason: "it does not wake up", passes: true },
    });
    expect(book.leases()).toEqual([]);
  });

  it("is refused when it was given up while the server woke", async () => {
    const { engines, engine } = inState({ kind: "asleep" });
    const giving = new AbortController();
    engine.ready = async () => giving.abort();
    const book = ledger();
    const answer = await new DaemonAdmission(book, engines).admit({ model: "m" }, "a", giving.signal);
    expect(answer.kind).toBe("refused");
    expect(book.leases()).toEqual([]);
  });

  it("takes what else it wants from the same book, all or nothing", async () => {
    const { engines } = inState({ kind: "ready" });
    const admission = new DaemonAdmission(ledger(), engines);
    const first = (await admission.admit({ model: "m", resources: { cpus: 2 } }, "a", never())) as Grant;
    expect(await admission.admit({ model: "m", resources: { cpus: 1 } }, "b", never())).toMatchObject({ passes: true });
    first.release();
    expect(await admission.admit({ model: "m", resources: { cpus: 1 } }, "b", never())).toMatchObject(granted);
  });
});

describe("once it is closed", () => {
  it("nothing is granted or reserved any more, for the first reason that it was given", async () => {
    const { engines, asked } = inState({ kind: "loadable" });
    const admission = new DaemonAdmission(ledger(), engines);
    expect(admission.closed).toBeUndefined();
    admission.close("it is leaving");
    admission.close("it is stopping");
    const refused: Refusal = { kind: "refused", reason: "it is leaving", passes: false };
    expect(await admission.admit({ resources: { cpus: 1 } }, "a", never())).toEqual(refused);
    expect(await admission.admit({ model: "m" }, "a", never())).toEqual(refused);
    expect(admission.reserve({ group: "g", index: 0 }, { cpus: 1 }, "g", 1_000)).toEqual(refused);
    expect(asked).toEqual([]);
  });

  it("what was granted before can still be given back, and a group's be released", async () => {
    const book = ledger();
    const admission = new DaemonAdmission(book, new Engines());
    const grant = (await admission.admit({ resources: { cpus: 1 } }, "a", never())) as Grant;
    expect(admission.reserve({ group: "g", index: 0 }, { cpus: 1 }, "g", 60_000)).toBeUndefined();
    admission.close("it is leaving");
    expect(admission.renewGroup("g", 60_000)).toBe(true);
    admission.releaseGroup("g");
    grant.release();
    expect(book.free()).toMatchObject({ cpus: 2 });
  });
});

it("a server's failure to load is told by its state, and no rejection is left over", async () => {
  const engines = new Engines();
  const engine = engines.add(fakeEngine({}, { program: ["/no/such/program"] }));
  const admission = new DaemonAdmission(ledger(), engines);
  expect(await admission.admit({ model: "m" }, "a", never())).toMatchObject({ passes: true });
  const error = await engine.ready().catch((reason: unknown) => reason);
  expect(isFlotillaError(error, "EngineProgramMissing")).toBe(true);
  expect(await admission.admit({ model: "m" }, "a", never())).toMatchObject({
    ...{ passes: false, reason: expect.stringContaining("there is no program /no/such/program") },
  });
  expect(Engine).toBeDefined();
});

admissionContract("a daemon's admission", async () => {
  const book = new Ledger({ clock: systemClock, totals: ADMISSION_TOTALS, gpus: ADMISSION_GPUS });
  return { admission: new DaemonAdmission(book, new Engines()), close: async () => {} };
});
