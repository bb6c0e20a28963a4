// Values made for schemas: valid, small, always the same; or refused with what is not understood.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { SchemaRefused, schemaValue } from "../../../nodes/vllm-sim/schema-value.ts";

const TREE = {
  type: "object",
  properties: {
    name: { type: "string" },
    next: { anyOf: [{ $ref: "#" }, { type: "null" }] },
    kids: { type: "array", items: { $ref: "#" } },
  },
  required: ["name", "kids"],
};

describe("a value for a schema", () => {
  it.each<[string, unknown, unknown]>([
    ["an empty schema", {}, null],
    [
      "const and enum",
      { type: "object", properties: { a: { const: 7 }, b: { enum: ["x", "y"] } }, required: ["a", "b"] },
      { a: 7, b: "x" },
    ],
    [
      "only what is required",
      { type: "object", properties: { a: { type: "string" }, b: { type: "string" } }, required: ["b"] },
      { b: "" },
    ],
    [
      "bounds of numbers",
      {
        type: "array",
        prefixItems: [
          { type: "integer", minimum: 3 },
          { type: "integer", maximum: -2 },
        ],
        minItems: 2,
      },
      [3, -2],
    ],
    ["exclusive bounds and multiples", { type: "integer", exclusiveMinimum: 4, multipleOf: 5 }, 5],
    ["a narrow number", { type: "number", exclusiveMinimum: 0.25, exclusiveMaximum: 0.75 }, 0.5],
    ["lengths", { type: "array", items: { type: "string", minLength: 3 }, minItems: 2 }, ["aaa", "aaa"]],
    ["unique items", { type: "array", items: { enum: ["a", "b"] }, minItems: 2, uniqueItems: true }, ["a", "b"]],
    ["references that recur", TREE, { name: "", kids: [] }],
    ["definitions", { $ref: "#/$defs/p", $defs: { p: { type: "boolean" } } }, false],
    ["both of allOf", { allOf: [{ type: "integer", minimum: 2 }, { minimum: 5 }, { minimum: 3 }] }, 5],
    ["what each part of allOf requires", { allOf: [{ required: ["a"] }, { required: ["b"] }] }, { a: null, b: null }],
    ["the first choice that can be", { anyOf: [{ type: "string", pattern: "x" }, { type: "null" }] }, null],
    ["a choice within its surroundings", { type: "integer", minimum: 4, anyOf: [{ maximum: 9 }] }, 4],
    ["properties that must be there", { type: "object", minProperties: 2 }, { key1: null, key2: null }],
    ["a format", { type: "string", format: "uuid" }, "00000000-0000-4000-8000-000000000000"],
  ])("%s", (_, schema, value) => {
    expect(schemaValue(schema)).toEqual(value);
  });

  it.each<[unknown, RegExp]>([
    [{ type: "string", pattern: "^a+$" }, /"pattern"/],
    [{ not: {} }, /"not"/],
    [{ type: "integer", minimum: 5, maximum: 4 }, /bounds/],
    [{ type: "object", properties: { a: { $ref: "#" } }, required: ["a"] }, /circle|itself/],
    [{ $ref: "#/$defs/none" }, /leads nowhere/],
    [{ $ref: "#" }, /circle/],
    [{ type: "string", minLength: 5, maxLength: 2 }, /longer than its maxLength/],
    [{ type: "array", items: { const: 1 }, minItems: 2, uniqueItems: true }, /different items/],
    [{ type: "object", required: ["a"], additionalProperties: false }, /forbids/],
    [false, /no value/],
    [{ enum: [] }, /empty enum/],
  ])("refuses %j", (schema, message) => {
    expect(() => schemaValue(schema)).toThrow(SchemaRefused);
    expect(() => schemaValue(schema)).toThrow(message);
  });

  const bounded = (type: string) =>
    fc
      .tuple(fc.integer({ min: -20, max: 20 }), fc.nat(20))
      .map(([minimum, width]) => ({ type, minimum, maximum: minimum + width }));
  const { schema } = fc.letrec<{ schema: Record<string, unknown> }>((tie) => ({
    schema: fc.oneof(
      { maxDepth: 3 },
      bounded("integer"),
      bounded("number"),
      fc.record({ type: fc.constant("string"), minLength: fc.nat(5) }),
      fc.constant({ type: "boolean" }),
      fc.constant({ type: "null" }),
      fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 3 }).map((values) => ({ type: "string", enum: values })),
      fc.record({ type: fc.constant("array"), items: tie("schema"), minItems: fc.nat(2) }),
      fc.record({ anyOf: fc.array(tie("schema"), { minLength: 1, maxLength: 2 }) }),
      fc
        .dictionary(fc.stringMatching(/^[a-z]{1,4}$/), tie("schema"), { maxKeys: 3 })
        .chain((properties) =>
          fc
            .subarray(Object.keys(properties))
            .map((required) => ({ type: "object", properties, required, additionalProperties: false })),
        ),
    ),
  }));

  it("satisfies whatever schema it does not refuse, as another validator sees it", () => {
    fc.assert(
      fc.property(schema, (given) => {
        const value = schemaValue(given);
        const { success, error } = z.fromJSONSchema(given as Parameters<typeof z.fromJSONSchema>[0]).safeParse(value);
        expect(success, `${JSON.stringify(value)}: ${error?.message}`).toBe(true);
        expect(schemaValue(given)).toEqual(value);
      }),
      { numRuns: 500 },
    );
  });
});
