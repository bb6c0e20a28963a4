// What a spawn asks of its place, looked at before anything is begun: amounts, labels, strategy. An error names the option, what was
// expected and what came. What they mean is the placer's and the node's.

import { checkKnown, plainName, refuse, wholeNumber } from "./options.ts";
import type { PlacementOptions, Strategy } from "./placer.ts";
import type { Amounts } from "./resources.ts";

const NAMES_MAX = 32;

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Throws InvalidOption unless `amounts` are numbers from 0 by name. */
export function checkAmounts(option: string, amounts: Amounts): void {
  if (!isObject(amounts)) refuse(option, "amounts by name, as in { gpus: 0.5, cpus: 2 }", amounts);
  const names = Object.keys(amounts);
  if (names.length > NAMES_MAX) refuse(option, `at most ${NAMES_MAX} names`, names.length);
  for (const [name, amount] of Object.entries(amounts)) {
    if (!/^[A-Za-z][\w./-]{0,62}$/.test(name)) refuse(option, "names of letters, digits, _ . / and -", name);
    if (typeof amount !== "number" || !Number.isFinite(amount) || amount < 0)
      refuse(`${option}.${name}`, "a number from 0", amount);
  }
  const { gpus = 0 } = amounts;
  if (gpus > 1 && !Number.isInteger(gpus)) refuse(`${option}.gpus`, "a fraction of one GPU, or whole ones", gpus);
}

const PLACEMENT: ReadonlySet<string> = new Set<keyof PlacementOptions>([
  "strategy",
  "labels",
  "prefer",
  "nodes",
  "model",
  "near",
  "bundle",
]);
const STRATEGIES: readonly unknown[] = [
  "balanced",
  "pack",
  "spread",
  "strict-pack",
  "strict-spread",
] satisfies Strategy[];

/** Throws InvalidOption. */
export function checkPlacement(placement: PlacementOptions): void {
  if (!isObject(placement)) refuse("placement", 'an object, as in { model: "…", near: "…" }', placement);
  checkKnown(placement, PLACEMENT);
  const { strategy, labels, prefer, nodes, model, near, bundle } = placement;
  if (strategy !== undefined && !STRATEGIES.includes(strategy))
    refuse("placement.strategy", `one of ${STRATEGIES.join(", ")}`, strategy);
  checkLabels("placement.labels", labels);
  checkLabels("placement.prefer", prefer);
  if (nodes !== undefined && !(Array.isArray(nodes) && nodes.every((node) => typeof node === "string")))
    refuse("placement.nodes", "an array of ids or names of nodes", nodes);
  if (model !== undefined && (typeof model !== "string" || model === "" || model.length > 256))
    refuse("placement.model", "the name of a model", model);
  if (near !== undefined) plainName("placement.near", near);
  if (strategy?.startsWith("strict") && near === undefined)
    refuse("placement.near", `a word that those have in common who keep to ${strategy}`, near);
  if (bundle === undefined) return;
  if (!isObject(bundle)) refuse("placement.bundle", "what group.bundle(index) answers", bundle);
  plainName("placement.bundle.group", bundle.group);
  plainName("placement.bundle.node", bundle.node);
  wholeNumber("placement.bundle.index", bundle.index, 0, Number.MAX_SAFE_INTEGER);
}

function checkLabels(option: string, labels: unknown): void {
  if (labels === undefined) return;
  if (!isObject(labels) || !Object.values(labels).every((value) => typeof value === "string"))
    refuse(option, "an object of texts", labels);
}
