// How checks are made: all at once, each within its limit, in a fixed order.

import { expect, it } from "vitest";
import { type Check, type CheckPlan, ok, runChecks, warn } from "../../../nodes/doctor/check.ts";
import { FakeClock, settle } from "../../support/fake-clock.ts";

const late = warn("no answer", "Ask again.");
const plan = (id: string, run: CheckPlan["run"], limitMs = 1_000): CheckPlan => ({ id, title: id, limitMs, late, run });

it("gives verdicts in the order of the plans, and tells of each as it ends", async () => {
  const slow = Promise.withResolvers<void>();
  const told: string[] = [];
  const plans = [plan("slow", () => slow.promise.then(() => ok("at last"))), plan("quick", async () => ok("at once"))];
  const running = runChecks(plans, { clock: new FakeClock(), onCheck: ({ id }) => told.push(id) });
  await settle();
  expect(told).toEqual(["quick"]);
  slow.resolve();
  expect(await running).toEqual([
    { id: "slow", title: "slow", status: "ok", found: "at last" },
    { id: "quick", title: "quick", status: "ok", found: "at once" },
  ]);
});

it("cuts one that hangs at its limit, says so, and ends what it began", async () => {
  const clock = new FakeClock();
  let isCut = false;
  const hang: CheckPlan["run"] = (signal) =>
    new Promise(() =>
      signal.addEventListener("abort", () => {
        isCut = true;
      }),
    );
  const checks: Check[] = [];
  const running = runChecks([plan("hangs", hang, 2_500)], { clock, onCheck: (check) => checks.push(check) });
  await clock.advance(2_499);
  expect({ checks, isCut }).toEqual({ checks: [], isCut: false });
  await clock.advance(1);
  expect(await running).toEqual([
    { id: "hangs", title: "hangs", status: "warn", found: "no answer; cut after 2.5 s", remedy: "Ask again." },
  ]);
  expect(isCut).toBe(true);
});

it("takes what a check throws for a failure of that check alone", async () => {
  const broken = plan("broken", async () => Promise.reject(new Error("oh")));
  const [first, second] = await runChecks([broken, plan("sound", async () => ok("fine"))], {
    clock: new FakeClock(),
  });
  expect(first).toMatchObject({ status: "fail", found: "the check itself failed: oh" });
  expect(second).toMatchObject({ status: "ok" });
});

it("cuts all that still run when it is told to", async () => {
  const stop = new AbortController();
  const hang: CheckPlan["run"] = () => new Promise(() => {});
  const running = runChecks([plan("quick", async () => ok("fine")), plan("hangs", hang)], {
    clock: new FakeClock(),
    signal: stop.signal,
  });
  await settle();
  stop.abort();
  expect((await running).map(({ status }) => status)).toEqual(["ok", "skipped"]);
});
