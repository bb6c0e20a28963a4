// What a model is told about tools, made from their own schemas (tool.ts, T1).
// It is not the schema of a plan: actors/agent/plan.ts composes that from these.

import { z } from "zod";
import type { Tool } from "./tool.ts";

/** One tool for a model: its name, what it does, and the JSON schema (draft 2020-12) of its parameters. */
export interface ToolSchema {
  readonly name: string;
  readonly description: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

export function toolSchemas(tools: readonly Tool[]): readonly ToolSchema[] {
  return tools.map((tool) => ({ name: tool.name, description: tool.description, schema: inputSchema(tool) }));
}

/** The JSON schema of what a caller writes: a parameter with a default is optional. */
export function inputSchema(tool: Tool): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(tool.input, { io: "input" });
  return schema;
}

/** The tools as prompt text, one line each: `files.read(path: string, fromLine?: integer) – Reads a text file.` */
export function describeTools(tools: readonly Tool[]): string {
  return toolSchemas(tools)
    .map(({ name, description, schema }) => `${name}(${signature(schema)}) – ${description}`)
    .join("\n");
}

function signature(schema: Readonly<Record<string, unknown>>): string {
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  return Object.entries(asRecord(schema.properties))
    .map(([name, property]) => `${name}${required.has(name) ? "" : "?"}: ${typeName(asRecord(property))}`)
    .join(", ");
}

function typeName(schema: Readonly<Record<string, unknown>>): string {
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return `${typeName(asRecord(schema.items))}[]`;
  return typeof schema.type === "string" ? schema.type : "any";
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
