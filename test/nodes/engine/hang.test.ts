// When a server that answers its probe is taken for hung.

import fc from "fast-check";
import { expect, it } from "vitest";
import { inHandOf, type Pulse, progressOf, verdict } from "../../../nodes/engine/hang.ts";
import { engineSettings } from "../../../nodes/engine/options.ts";

const limits = engineSettings({ kind: "adopted", url: "http://h" }).watch;
const at = (nowMs: number, pulse: Pulse, isInHand = true) => verdict(pulse, isInHand, limits, nowMs);

it("doubts after quietMs with requests in hand, after idleMs without", () => {
  expect(at(1_999, { signAtMs: 0 })).toBe("fine");
  expect(at(2_000, { signAtMs: 0 })).toBe("doubtful");
  expect(at(29_999, { signAtMs: 0 }, false)).toBe("fine");
  expect(at(30_000, { signAtMs: 0 }, false)).toBe("doubtful");
});

it("gives up only after it asked, stallMs without a sign", () => {
  expect(at(1_000_000, { signAtMs: 0 })).toBe("doubtful");
  expect(at(31_999, { signAtMs: 0, askedAtMs: 2_000 })).toBe("doubtful");
  expect(at(32_000, { signAtMs: 0, askedAtMs: 2_000 })).toBe("stalled");
  // It waits in a long queue, and the requests before it go on.
  expect(at(32_000, { signAtMs: 31_000, askedAtMs: 2_000 })).toBe("doubtful");
});

it("never calls stalled what showed a sign within stallMs (property)", () => {
  const moment = fc.integer({ min: 0, max: 100_000 });
  fc.assert(
    fc.property(moment, moment, moment, fc.boolean(), (signAtMs, askedAtMs, nowMs, isInHand) => {
      const found = at(nowMs, { signAtMs, askedAtMs }, isInHand);
      if (nowMs - signAtMs < limits.stallMs || nowMs - askedAtMs < limits.stallMs) expect(found).not.toBe("stalled");
      expect(at(nowMs, { signAtMs }, isInHand)).not.toBe("stalled");
    }),
  );
});

const PAGE = `# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 2.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 2.0
vllm:generation_tokens_total{engine="0",model_name="m"} 17.0
vllm:generation_tokens_created{engine="0",model_name="m"} 1.79e+09
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:request_generation_tokens_sum{engine="0",model_name="m"} 9.0
vllm:request_success_total{engine="0",finished_reason="abort",model_name="m"} 4.0
http_requests_total{handler="/metrics",method="GET"} 12.0
`;

it("sees progress in what the engine alone moves", () => {
  const before = progressOf(PAGE);
  const changed = (line: string, to: string) => progressOf(PAGE.replace(line, to)) !== before;
  expect(changed('"m"} 17.0', '"m"} 18.0')).toBe(true);
  expect(changed("0.25", "0.26")).toBe(true);
  expect(changed("1.79e+09", "1.80e+09")).toBe(false);
  expect(changed('"abort",model_name="m"} 4.0', '"abort",model_name="m"} 5.0')).toBe(false);
  expect(changed('"m"} 9.0', '"m"} 10.0')).toBe(false);
  expect(changed('"GET"} 12.0', '"GET"} 13.0')).toBe(false);
  expect(progressOf("process_cpu_seconds_total 3\n")).toBe("");
});

it("counts what is in hand and queued, once", () => {
  expect(inHandOf(PAGE)).toBe(5);
  expect(inHandOf("llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\n")).toBe(3);
  expect(inHandOf("")).toBe(0);
});
