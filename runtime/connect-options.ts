// What `connect` may be told, looked at before anything is begun: a slip of the pen must not become a system that is alone.
// What an option means is connect.ts's; names and durations are checked where they are used (options.ts).

import type { ConnectOptions } from "./connect.ts";
import { refuse, refuseUnknown } from "./options.ts";

interface Check {
  readonly expected: string;
  readonly isRight: (value: unknown) => boolean;
  /** What came is not repeated in an error. */
  readonly isSecret?: boolean;
}

const isText = (value: unknown): boolean => typeof value === "string";
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const has = (value: unknown, ...methods: string[]): boolean =>
  isObject(value) && methods.every((method) => typeof value[method] === "function");

const ANYTHING: Check = { expected: "anything", isRight: () => true };
const FLAG: Check = { expected: "true or false", isRight: (value) => typeof value === "boolean" };
const SECRET: Check = { expected: "text", isRight: isText, isSecret: true };

const CHECKS: Readonly<Record<keyof ConnectOptions, Check>> = {
  node: ANYTHING,
  name: ANYTHING,
  callTimeoutMs: ANYTHING,
  lease: ANYTHING,
  warmProcesses: ANYTHING,
  actors: {
    expected: "an array of what defineActor answers",
    isRight: (value) => Array.isArray(value) && value.every((type) => isText(type?.type) && isObject(type)),
  },
  log: { expected: "a function that takes log lines", isRight: (value) => typeof value === "function" },
  tracing: FLAG,
  clock: { expected: "a Clock", isRight: (value) => has(value, "now", "monotonic", "soon", "schedule") },
  random: { expected: "a Random", isRight: (value) => has(value, "next", "below", "id") },
  ports: { expected: "an object of ports", isRight: isObject },
  servers: {
    expected: 'an address such as "nats://host:4222", or an array of them',
    isRight: (value) => isText(value) || (Array.isArray(value) && value.length > 0 && value.every(isText)),
  },
  user: { expected: "text", isRight: isText },
  pass: SECRET,
  token: SECRET,
  creds: SECRET,
  nkeySeed: SECRET,
  prefix: { expected: "1 to 32 letters, digits, _ and -", isRight: isText },
  labels: {
    expected: "an object of texts",
    isRight: (value) => isObject(value) && Object.values(value).every(isText),
  },
  placer: { expected: 'the URL of a module, "file:///…"', isRight: isText },
  resources: { expected: "amounts by name, as in { cpus: 8 }", isRight: isObject },
  admission: {
    expected: "an Admission",
    isRight: (value) => has(value, "admit", "reserve", "renewGroup", "releaseGroup"),
  },
  accepts: FLAG,
  allowCode: FLAG,
};

/** Throws InvalidOption. */
export function checkConnectOptions(options: unknown): asserts options is ConnectOptions {
  if (!isObject(options)) refuse("options", 'an object such as { servers: "nats://host:4222" }', options);
  for (const [option, value] of Object.entries(options)) {
    const check = Object.hasOwn(CHECKS, option) ? CHECKS[option as keyof ConnectOptions] : undefined;
    if (check === undefined) refuseUnknown(option, Object.keys(CHECKS));
    if (value !== undefined && !check.isRight(value)) refuse(option, check.expected, check.isSecret ? {} : value);
  }
}
