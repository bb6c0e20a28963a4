// Values between messages and the services' words. In a message an absent text is "" and an absent number is 0; in ours it is not there.
// It knows no service.
//
// DV1  What a caller wrote is checked before it passes for one of our types.

import type { z } from "zod";
import { type By, bySchema } from "../../actors/index.ts";
import { FlotillaError } from "../../runtime/index.ts";
import type { By as ByMessage } from "../proto/gen/fleet/rpc/v1/rpc_pb.js";

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The object without its undefined fields. */
export const present = <T extends object>(value: T): Present<T> =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Present<T>;

export const text = (value: string | undefined): string | undefined => (value === "" ? undefined : value);
export const count = (value: number): number | undefined => (value === 0 ? undefined : value);

/** A whole number for an int64 field. */
export const long = (value: number): bigint => BigInt(Math.round(value));

/** Values as texts; what is none as JSON. */
export const texts = (values: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => {
      const written = typeof value === "string" ? value : JSON.stringify(value);
      return written === undefined ? [] : [[name, written]];
    }),
  );

export const fieldInvalid = (field: string, message: string): FlotillaError =>
  new FlotillaError("FieldInvalid", `${field}: ${message}`, { data: { field } });

/** The value as the schema has it (DV1). Throws FieldInvalid. */
export function checked<T>(schema: z.ZodType<T>, value: unknown, field: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw fieldInvalid([field, ...(issue?.path ?? [])].join("."), issue?.message ?? "unlike its schema");
}

/** Who makes a change: no gate lets the system through, so who says nothing decides nothing. Throws FieldInvalid. */
export const byOf = (by: ByMessage | undefined): By =>
  by === undefined
    ? { kind: "system", id: "rpc" }
    : checked(bySchema, present({ kind: by.kind, id: by.id, role: text(by.role) }), "by");

/** What every change carries. */
export const changeOf = ({ by, key }: { readonly by?: ByMessage | undefined; readonly key: string }) =>
  present({ by: byOf(by), key: text(key) });
