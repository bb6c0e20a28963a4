// A value that satisfies a JSON schema: always the same one, and about the smallest. What it cannot satisfy for sure it refuses.
// It is no validator.
//
// V1  Refuses with SchemaRefused what it does not know (pattern, not, if), as vLLM's grammar back ends refuse what they do not know.

/** A schema that no value is made for; the message says what of it. */
export class SchemaRefused extends Error {}

type Schema = Readonly<Record<string, unknown>>;

const DEPTH_MAX = 64;
const LENGTH_MAX = 10_000;
const REFUSED = [
  "pattern",
  "not",
  "if",
  "dependentSchemas",
  "dependentRequired",
  "patternProperties",
  "contains",
  "propertyNames",
];
/** What a format asks for; any other format is taken as a remark. */
const FORMATS: Readonly<Record<string, string>> = {
  "date-time": "2026-01-01T00:00:00Z",
  date: "2026-01-01",
  time: "00:00:00Z",
  duration: "PT0S",
  email: "a@example.org",
  uri: "https://example.org/",
  uuid: "00000000-0000-4000-8000-000000000000",
  ipv4: "127.0.0.1",
  ipv6: "::1",
};

/** Throws SchemaRefused. */
export function schemaValue(schema: unknown): unknown {
  return makeValue(schema, { root: schema, depth: 0, salt: 0 });
}

interface Place {
  readonly root: unknown;
  readonly depth: number;
  /** Makes items of one list differ. */
  readonly salt: number;
}

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const numberIn = (schema: Schema, key: string): number | undefined =>
  typeof schema[key] === "number" ? schema[key] : undefined;
const listIn = (schema: Schema, key: string): readonly unknown[] => (Array.isArray(schema[key]) ? schema[key] : []);
const deeper = (place: Place, salt = place.salt): Place => ({ ...place, depth: place.depth + 1, salt });

function makeValue(given: unknown, place: Place): unknown {
  if (given === true || given === undefined) return null;
  if (!isSchema(given)) throw new SchemaRefused("a schema that allows no value");
  if (place.depth > DEPTH_MAX)
    throw new SchemaRefused(`a schema that nests deeper than ${DEPTH_MAX}: does it require itself?`);
  const schema = merged(given, place);
  const unknown = REFUSED.find((key) => schema[key] !== undefined);
  if (unknown !== undefined) throw new SchemaRefused(`the keyword "${unknown}"`);
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum)) return chosen(schema.enum, place);
  const choices = [...listIn(schema, "anyOf"), ...listIn(schema, "oneOf")];
  if (choices.length > 0) return firstOf(schema, choices, place);
  switch (typeOf(schema)) {
    case "object":
      return objectOf(schema, place);
    case "array":
      return arrayOf(schema, place);
    case "string":
      return textOf(schema, place);
    case "integer":
      return numberOf(schema, place, 1);
    case "number":
      return numberOf(schema, place, undefined);
    case "boolean":
      return place.salt % 2 === 1;
    default:
      return null;
  }
}

/** With its reference followed and the parts of allOf put into one. */
function merged(schema: Schema, place: Place): Schema {
  const { $ref, allOf, ...own } = schema;
  const parts = [
    ...(typeof $ref === "string" ? [merged(referred($ref, place), deeper(place))] : []),
    ...(Array.isArray(allOf) ? allOf.filter(isSchema).map((part) => merged(part, deeper(place))) : []),
    own,
  ];
  if (place.depth > DEPTH_MAX) throw new SchemaRefused("references that lead in a circle");
  return parts.reduce(together);
}

const TIGHTER: Readonly<Record<string, (a: number, b: number) => number>> = {
  ...Object.fromEntries(
    ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"].map((key) => [key, Math.max]),
  ),
  ...Object.fromEntries(
    ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"].map((key) => [key, Math.min]),
  ),
};

/** Both at once. Of what cannot be put together the second counts. */
function together(first: Schema, second: Schema): Schema {
  const both = Object.keys(second).filter((key) => key in first);
  return Object.assign(
    {},
    first,
    second,
    Object.fromEntries(both.map((key) => [key, joined(key, first[key], second[key])])),
  );
}

function joined(key: string, first: unknown, second: unknown): unknown {
  const tighter = TIGHTER[key];
  if (tighter !== undefined) return tighter(Number(first), Number(second));
  if (key === "required") return [...new Set([first, second].flat())];
  if (key === "enum" && Array.isArray(first) && Array.isArray(second))
    return first.filter((value) => second.includes(value));
  if (key !== "properties" || !isSchema(first) || !isSchema(second)) return second;
  const twice = Object.keys(second).filter((name) => name in first);
  return Object.assign(
    {},
    first,
    second,
    Object.fromEntries(twice.map((name) => [name, { allOf: [first[name], second[name]] }])),
  );
}

function referred(ref: string, { root, depth }: Place): Schema {
  if (depth > DEPTH_MAX) throw new SchemaRefused("references that lead in a circle");
  const steps = ref
    .split("/")
    .slice(1)
    .map((step) => decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~"));
  const found = steps.reduce<unknown>((inner, step) => (isSchema(inner) ? inner[step] : undefined), root);
  if (!ref.startsWith("#") || !isSchema(found)) throw new SchemaRefused(`the reference "${ref}", which leads nowhere`);
  return found;
}

function chosen(values: readonly unknown[], { salt }: Place): unknown {
  if (values.length === 0) throw new SchemaRefused("an empty enum");
  return values[salt % values.length];
}

/** The first choice that a value is known for. */
function firstOf(schema: Schema, choices: readonly unknown[], place: Place): unknown {
  const { anyOf: _, oneOf: __, ...rest } = schema;
  const problems: unknown[] = [];
  for (const choice of choices) {
    try {
      return makeValue(isSchema(choice) ? merged({ allOf: [rest, choice] }, place) : choice, deeper(place));
    } catch (error) {
      problems.push(error);
    }
  }
  throw problems[0];
}

function typeOf(schema: Schema): string {
  const { type } = schema;
  if (typeof type === "string") return type;
  if (Array.isArray(type)) return String(type[0]);
  if (isSchema(schema.properties) || schema.required !== undefined) return "object";
  if (schema.items !== undefined || schema.prefixItems !== undefined) return "array";
  if (schema.minLength !== undefined || schema.maxLength !== undefined) return "string";
  return schema.minimum !== undefined || schema.maximum !== undefined ? "number" : "null";
}

function objectOf(schema: Schema, place: Place): Record<string, unknown> {
  const properties = isSchema(schema.properties) ? schema.properties : {};
  const required = new Set(listIn(schema, "required").map(String));
  const min = numberIn(schema, "minProperties") ?? 0;
  const optional = Object.keys(properties).filter((key) => !required.has(key));
  const names = [
    ...Object.keys(properties).filter((key) => required.has(key)),
    ...[...required].filter((key) => !(key in properties)),
  ];
  while (names.length < min && optional.length > 0) names.push(optional.shift() ?? "");
  for (let index = 1; names.length < min; index += 1) names.push(`key${index}`);
  const other = schema.additionalProperties;
  if (other === false && names.some((key) => !(key in properties)))
    throw new SchemaRefused("required properties that it forbids");
  return Object.fromEntries(names.map((key) => [key, makeValue(properties[key] ?? other, deeper(place))]));
}

function arrayOf(schema: Schema, place: Place): unknown[] {
  const first = listIn(schema, "prefixItems");
  const length = bounded(Math.max(numberIn(schema, "minItems") ?? 0, 0), "minItems");
  const isUnique = schema.uniqueItems === true;
  const items = Array.from({ length }, (_, index) =>
    makeValue(index < first.length ? first[index] : schema.items, deeper(place, isUnique ? index : place.salt)),
  );
  if (isUnique && new Set(items.map((item) => JSON.stringify(item))).size < items.length) {
    throw new SchemaRefused(`${length} different items`);
  }
  return items;
}

function textOf(schema: Schema, { salt }: Place): string {
  const min = bounded(numberIn(schema, "minLength") ?? 0, "minLength");
  const max = numberIn(schema, "maxLength") ?? Number.POSITIVE_INFINITY;
  const formatted = typeof schema.format === "string" ? FORMATS[schema.format] : undefined;
  if (formatted !== undefined) {
    if (formatted.length < min || formatted.length > max)
      throw new SchemaRefused(`format "${schema.format}" within its length`);
    return formatted;
  }
  const text = salt === 0 ? "" : salt.toString(36);
  if (Math.max(min, text.length) > max) throw new SchemaRefused("text longer than its maxLength");
  return text.padEnd(min, "a");
}

function bounded(length: number, key: string): number {
  if (length > LENGTH_MAX) throw new SchemaRefused(`${key} above ${LENGTH_MAX}`);
  return length;
}

/** The smallest allowed number that is not negative, else the largest; plus the salt, in steps. */
function numberOf(schema: Schema, { salt }: Place, whole: 1 | undefined): number {
  const step = numberIn(schema, "multipleOf") ?? whole ?? 1;
  const low = Math.max(
    numberIn(schema, "minimum") ?? Number.NEGATIVE_INFINITY,
    (numberIn(schema, "exclusiveMinimum") ?? Number.NEGATIVE_INFINITY) + (whole ?? 0),
  );
  const high = Math.min(
    numberIn(schema, "maximum") ?? Number.POSITIVE_INFINITY,
    (numberIn(schema, "exclusiveMaximum") ?? Number.POSITIVE_INFINITY) - (whole ?? 0),
  );
  const fits = (value: number) =>
    value >= low && value <= high && value !== schema.exclusiveMinimum && value !== schema.exclusiveMaximum;
  const isFree = whole === undefined && schema.multipleOf === undefined;
  const start = Math.max(low, Math.min(0, high));
  const stepped = Math.ceil(start / step) * step + salt * step;
  const downward = Math.floor(high / step) * step - salt * step;
  const between = (Math.max(low, -1e9) + Math.min(high, 1e9)) / 2;
  const found = [stepped, downward, ...(isFree ? [start, between] : [])].find(fits);
  if (found === undefined || (whole === 1 && !Number.isInteger(found)))
    throw new SchemaRefused("a number within its bounds");
  return found === 0 ? 0 : found;
}
