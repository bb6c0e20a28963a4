// The audit's promises (U1–U3 of audit.ts) and what redaction takes out and leaves (R1, R2 of redact.ts).

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AuditRecord, MemoryAudit } from "../../tools/audit.ts";
import { redact, redactText } from "../../tools/redact.ts";

const entry = (changes: Partial<AuditRecord> = {}): AuditRecord => ({
  atMs: 1,
  agentId: "a1",
  role: "DEV",
  taskId: "t1",
  traceId: "tr1",
  tool: "files.read",
  operation: "read",
  params: {},
  outcome: "ok",
  durationMs: 1,
  bytes: 1,
  ...changes,
});

describe("MemoryAudit", () => {
  test("numbers entries from 1 in the order they came (U2)", () => {
    const audit = new MemoryAudit();
    for (const tool of ["files.read", "files.write"]) audit.record(entry({ tool }));
    expect(audit.entries().map(({ sequence, tool }) => [sequence, tool])).toEqual([
      [1, "files.read"],
      [2, "files.write"],
    ]);
  });

  test("entries cannot be changed afterwards (U2)", () => {
    const audit = new MemoryAudit();
    audit.record(entry());
    expect(() => Object.assign(audit.entries()[0] ?? {}, { outcome: "ok" })).toThrow(TypeError);
  });

  test("a full audit keeps the newest and counts what it dropped (U3)", () => {
    const audit = new MemoryAudit(3);
    for (let at = 1; at <= 10; at++) {
      audit.record(entry({ atMs: at }));
      expect(audit.entries().length).toBe(Math.min(at, 3));
      expect(audit.dropped).toBe(Math.max(0, at - 3));
    }
    expect(audit.entries().map(({ sequence }) => sequence)).toEqual([8, 9, 10]);
  });

  test("a filter keeps entries that equal it in every field given", () => {
    const audit = new MemoryAudit();
    audit.record(entry({ agentId: "a1", outcome: "denied" }));
    audit.record(entry({ agentId: "a2", outcome: "denied" }));
    audit.record(entry({ agentId: "a1" }));
    const sequences = (filter: Parameters<MemoryAudit["entries"]>[0]) =>
      audit.entries(filter).map(({ sequence }) => sequence);
    expect(sequences({ agentId: "a1" })).toEqual([1, 3]);
    expect(sequences({ agentId: "a1", outcome: "denied" })).toEqual([1]);
    expect(sequences({ taskId: "other" })).toEqual([]);
  });
});

describe("redaction", () => {
  test.each([
    ["https://user:hunter22@host/x", "hunter22"],
    ["https://ghp_abcdefghij0123456789@host/x", "ghp_abcdefghij0123456789"],
    ["Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"],
    ["key sk-abcdefghijklmnop1234", "sk-abcdefghijklmnop1234"],
    ["AKIAABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP"],
    ["export API_KEY=swordfish", "swordfish"],
    ['{"password": "swordfish"}', "swordfish"],
    ["-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"],
  ])("takes the secret out of %j", (text, secret) => {
    expect(redactText(text)).not.toContain(secret);
    expect(redactText(text)).toContain("[redacted]");
  });

  test.each([
    "src/tokenizer.py",
    "https://example.org/a@b",
    "def basic(x): return x",
    "add hello_world() to src/utils.py",
    "user@host:path",
  ])("leaves %j alone", (text) => expect(redactText(text)).toBe(text));

  test("what stands under a secret's name is gone, however deep and whatever it is (R2)", () => {
    const secrets = { token: "abc", nested: { api_key: { deeper: "abc" }, Authorization: ["abc"] }, dbPassword: 1234 };
    expect(redact(secrets)).toEqual({
      token: "[redacted]",
      nested: { api_key: "[redacted]", Authorization: "[redacted]" },
      dbPassword: "[redacted]",
    });
  });

  test("long text becomes its size and hash", () => {
    expect(redact({ content: "x".repeat(1_000) })).toEqual({ content: "1000 bytes, sha256:44f8354494a5ba03…" });
  });

  test("the result is small plain data whatever comes in (R1)", () => {
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    expect(JSON.stringify(redact(cyclic)).length).toBeLessThan(200);
    expect(redact([() => 1, Symbol("s"), 1n, undefined])).toEqual([
      "[function]",
      "[symbol]",
      "[bigint]",
      "[undefined]",
    ]);
    fc.assert(
      fc.property(fc.anything({ maxDepth: 6, maxKeys: 40, withBigInt: true, withNullPrototype: true }), (value) => {
        expect((JSON.stringify(redact(value)) ?? "").length).toBeLessThan(200_000);
      }),
    );
    const wide = Array.from({ length: 1_000 }, () => Array.from({ length: 1_000 }, () => "y".repeat(250)));
    expect(JSON.stringify(redact(wide)).length).toBeLessThan(64_000);
  });
});
