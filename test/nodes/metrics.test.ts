// A node's own page of metrics, read back by our own reader.

import { expect, it } from "vitest";
import { type NodeMetricsSource, nodeMetrics, type ObservedEngine } from "../../nodes/metrics.ts";
import { parseMetrics } from "../../nodes/telemetry/exposition.ts";
import { connect, type NodeReport } from "../../runtime/index.ts";

const report: NodeReport = {
  atMs: 1,
  actors: 3,
  free: { cpus: 1.5, gpus: 0.5 },
  gpus: [{ id: "GPU-1", kind: "H100", free: 0.5, memoryBytes: 80, freeBytes: 40 }],
  engines: [{ model: "m", state: "busy", url: "http://a", running: 2, waiting: 1, slots: 8, kvUsage: 0.5 }],
  faults: ["XID 79"],
};
const engine: ObservedEngine = {
  model: "m",
  url: "http://a",
  facts: { server: "vllm", running: 2, kvUsage: 0.5, counters: { promptTokens: 70 } },
  rates: { hitRate: 0.25 },
  prefixes: { blocks: 4, tokens: 64 },
};

async function sourceOf(more: Partial<NodeMetricsSource> = {}): Promise<NodeMetricsSource> {
  await using system = await connect();
  const stats = system.stats();
  return {
    report: () => report,
    resources: () => ({ cpus: 4, gpus: 1 }),
    stats: () => ({ ...stats, bytesIn: 9, refused: { MailboxFull: 2 } }),
    engines: () => [engine],
    ...more,
  };
}
async function pageOf(source: NodeMetricsSource) {
  const { samples, malformed } = parseMetrics(await nodeMetrics(source).text());
  expect(malformed).toBe(0);
  return (name: string, label?: string) =>
    samples
      .filter((one) => one.name === name && (label === undefined || Object.values(one.labels).includes(label)))
      .map(({ value }) => value);
}

it("tells the report, what is granted, the engines and the counts", async () => {
  const of = await pageOf(await sourceOf());
  expect(of("flotilla_actors")).toEqual([3]);
  expect([of("flotilla_granted", "cpus"), of("flotilla_granted", "gpus")]).toEqual([[2.5], [0.5]]);
  expect(of("flotilla_gpu_memory_free_bytes", "GPU-1")).toEqual([40]);
  expect(of("flotilla_engine_state", "busy")).toEqual([1]);
  expect(of("flotilla_engine_running", "m")).toEqual([2]);
  expect(of("flotilla_engine_hit_ratio")).toEqual([0.25]);
  expect(of("flotilla_engine_cached_tokens")).toEqual([64]);
  expect(of("flotilla_engine_prompt_tokens_total")).toEqual([70]);
  expect(of("flotilla_refused_total", "MailboxFull")).toEqual([2]);
  expect(of("flotilla_transport_bytes_total", "in")).toEqual([9]);
  expect(of("flotilla_faults")).toEqual([1]);
});

it("has no sample for what is not told (NM2)", async () => {
  const of = await pageOf(await sourceOf());
  expect(of("flotilla_engine_waiting")).toEqual([]);
  expect(of("flotilla_engine_kv_resets_total")).toEqual([]);
});

it("is of the moment it is asked for: counters are not added up, and who left is gone", async () => {
  let engines: readonly ObservedEngine[] = [engine];
  const metrics = nodeMetrics(await sourceOf({ engines: () => engines }));
  await metrics.text();
  expect(await metrics.text()).toContain('flotilla_engine_prompt_tokens_total{model="m",url="http://a"} 70');
  engines = [];
  expect(await metrics.text()).not.toContain('model="m",url="http://a"} 70');
  expect(metrics.contentType).toContain("text/plain");
});

it("two nodes in one process do not meet (NM1)", async () => {
  const [one, other] = [
    nodeMetrics(await sourceOf()),
    nodeMetrics(await sourceOf({ report: () => ({ ...report, actors: 9 }) })),
  ];
  const texts = await Promise.all([one.text(), other.text()]);
  expect(texts.map((text) => /^flotilla_actors (\d+)$/m.exec(text)?.[1])).toEqual(["3", "9"]);
});
