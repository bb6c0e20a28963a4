// Labels of a node as people write them on a command line.

import { fail } from "./errors.ts";

const SHOWN_MAX = 80;
const LABEL = /^([A-Za-z0-9_./-]{1,63})=([^=,]{0,255})$/;

/** "zone=a,gpu=a100", also given several times. Throws OptionInvalid. */
export function parseLabels(given: readonly string[]): Readonly<Record<string, string>> {
  const pairs = given
    .flatMap((text) => text.split(","))
    .map((text): [string, string] => {
      const [, key, value] = LABEL.exec(text.trim()) ?? [];
      if (key !== undefined && value !== undefined) return [key, value];
      const got = JSON.stringify(text.slice(0, SHOWN_MAX));
      throw fail("OptionInvalid", `--labels: expected key=value, as in zone=a,gpu=a100, got ${got}.`);
    });
  const twice = pairs.find(([key], at) => pairs.findIndex(([other]) => other === key) !== at);
  if (twice !== undefined) throw fail("OptionInvalid", `--labels: expected each key once, got "${twice[0]}" twice.`);
  return Object.fromEntries(pairs);
}
