// Placement groups: amounts set aside on one or several nodes, all or none, for actors that are spawned into them later.
// It chooses no nodes (the placer plans) and counts nothing (each node's Admission does).
//
//     plan ─▶ reserve each bundle on its node ─▶ open ─ renewed by its owner ─▶ closed, or its owner gone: what was set aside lapses
//      ▲           └─ one refuses: give all back, plan again without that node
//      └── the fleet changes ◀─ no plan
//
// PO1  Between planning and opening nothing of a group that failed stays reserved for longer than TTL_MS.
// PO2  Closing a group gives back what no actor holds; its actors live on and keep what they hold until they end.
// PO3  A bundle whose node dies is gone: the group says so (`lost`), and nobody is placed in it any more.

import type { ActorType } from "./actor.ts";
import type { Clock, Timer } from "./clock.ts";
import { isFlotillaError, runtimeError } from "./errors.ts";
import type { HandleOf } from "./handle.ts";
import { NODE_ACTOR, NodeActorType } from "./node-actor.ts";
import type { NodeRecord } from "./node-record.ts";
import { checkKnown, milliseconds, refuse } from "./options.ts";
import { checkAmounts } from "./placement-options.ts";
import type { Bundle, GroupPlan, GroupStrategy, Placer, Rejection } from "./placer.ts";
import type { Placing } from "./placing.ts";
import type { Random } from "./random.ts";
import type { Amounts } from "./resources.ts";

export interface GroupOptions {
  /** What each bundle sets aside: `[{ gpus: 1 }, { cpus: 2 }]`. */
  readonly bundles: readonly Amounts[];
  /** Default "pack". */
  readonly strategy?: GroupStrategy;
  /** Milliseconds to wait until all bundles fit. Default: the call time-out of the system. */
  readonly placeTimeoutMs?: number;
}

export interface GroupEnvironment {
  readonly node: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly placing: Placing;
  readonly waitMs: number;
  readonly nodes: () => readonly NodeRecord[];
  readonly get: (name: string, type: ActorType, namespace: string) => Promise<unknown>;
}

const TTL_MS = 30_000;
const RENEW_MS = 10_000;
const BUNDLES_MAX = 1_024;
const OPTIONS: ReadonlySet<string> = new Set<keyof GroupOptions>(["bundles", "strategy", "placeTimeoutMs"]);
const STRATEGIES: readonly unknown[] = ["pack", "spread", "strict-pack", "strict-spread"] satisfies GroupStrategy[];

function checkOptions(options: GroupOptions): void {
  checkKnown(options, OPTIONS);
  const { bundles, strategy, placeTimeoutMs } = options;
  if (!Array.isArray(bundles) || bundles.length === 0 || bundles.length > BUNDLES_MAX)
    refuse("bundles", `an array of 1 to ${BUNDLES_MAX} amounts, as in [{ gpus: 1 }, { gpus: 1 }]`, bundles);
  for (const [index, amounts] of bundles.entries()) checkAmounts(`bundles[${index}]`, amounts);
  if (strategy !== undefined && !STRATEGIES.includes(strategy))
    refuse("strategy", `one of ${STRATEGIES.join(", ")}`, strategy);
  if (placeTimeoutMs !== undefined) milliseconds("placeTimeoutMs", placeTimeoutMs);
}

/** What a group has set aside, while it is open. */
export class PlacementGroup implements AsyncDisposable {
  readonly id: string;
  /** Node of each bundle, by its index. */
  readonly nodes: readonly string[];
  readonly #environment: GroupEnvironment;
  #renewal: Timer | undefined = undefined;
  #closed = false;

  /** Use `system.group`. */
  constructor(id: string, nodes: readonly string[], environment: GroupEnvironment) {
    this.id = id;
    this.nodes = nodes;
    this.#environment = environment;
    this.#renewLater();
  }

  /** For `spawn(Type, { placement: { bundle: group.bundle(0) } })`. Throws InvalidOption for an index that it has not. */
  bundle(index: number): Bundle {
    const node = this.nodes[index];
    if (node === undefined) refuse("index", `a whole number from 0 to ${this.nodes.length - 1}`, index);
    return { group: this.id, index, node };
  }

  /** Indexes of the bundles whose nodes are no more (PO3). */
  get lost(): readonly number[] {
    const present = new Set(this.#environment.nodes().map(({ node }) => node));
    return [...this.nodes.keys()].filter((index) => !present.has(this.nodes[index] ?? ""));
  }

  #renewLater(): void {
    this.#renewal = this.#environment.clock.schedule(RENEW_MS, () => {
      const renewing = onEach(this.#environment, this.nodes, (node) => node.renewGroup(this.id, TTL_MS));
      void renewing.finally(() => this.#closed || this.#renewLater());
    });
  }

  /** Gives back what no actor holds (PO2). May be called twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#renewal?.cancel();
    await onEach(this.#environment, this.nodes, (node) => node.releaseGroup(this.id));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

type NodeHandle = HandleOf<InstanceType<typeof NodeActorType.actorClass>>;

const nodeActor = (environment: GroupEnvironment, node: string): Promise<NodeHandle> =>
  environment.get(NODE_ACTOR, NodeActorType, node) as Promise<NodeHandle>;

/** On each node once; one that is gone has nothing to be told. */
async function onEach(
  environment: GroupEnvironment,
  nodes: readonly string[],
  act: (node: NodeHandle) => Promise<unknown>,
): Promise<void> {
  const told = [...new Set(nodes)].map(async (node) => act(await nodeActor(environment, node)));
  await Promise.allSettled(told);
}

/** Opens a group. Throws InvalidOption, Unplaceable (data.rejected), Closed. */
export async function openGroup(options: GroupOptions, environment: GroupEnvironment): Promise<PlacementGroup> {
  checkOptions(options);
  const { placing, clock, random, waitMs } = environment;
  const id = random.id();
  const untilMs = clock.monotonic() + (options.placeTimeoutMs ?? waitMs);
  for (;;) {
    const plan = await attempt(id, options, environment);
    if (plan.kind === "planned") return new PlacementGroup(id, plan.nodes, environment);
    const leftMs = untilMs - clock.monotonic();
    const mayPass = options.placeTimeoutMs !== undefined || plan.passes;
    if (leftMs <= 0 || !mayPass)
      throw runtimeError("Unplaceable", `no place for a group of ${options.bundles.length}: ${plan.why}`, {
        data: { rejected: plan.rejected },
      });
    await placing.change(leftMs);
  }
}

/** Plans and reserves, passing over nodes that refuse, until all is reserved or no plan is left. */
async function attempt(id: string, options: GroupOptions, environment: GroupEnvironment): Promise<GroupPlan> {
  const { bundles, strategy = "pack" } = options;
  const refused: Rejection[] = [];
  for (;;) {
    const plan = planOf(environment.placing.placer, bundles, strategy, refused);
    if (plan.kind === "unplannable") return plan;
    const rejected = await reserveAll(id, bundles, plan.nodes, environment);
    if (rejected.length === 0) return plan;
    await onEach(environment, plan.nodes, (node) => node.releaseGroup(id));
    refused.push(...rejected);
  }
}

/** On each node one after the other, from the most GPUs to the least: so what was planned fits. Answers who has refused. */
async function reserveAll(
  group: string,
  bundles: readonly Amounts[],
  nodes: readonly string[],
  environment: GroupEnvironment,
): Promise<readonly Rejection[]> {
  const gpusOf = (index: number) => bundles[index]?.gpus ?? 0;
  const indexes = [...bundles.keys()].sort((one, other) => gpusOf(other) - gpusOf(one));
  const asked = [...new Set(nodes)].map(async (node) => {
    for (const index of indexes.filter((each) => nodes[each] === node)) {
      const rejection = await reserve(environment, node, { group, index }, bundles[index] ?? {});
      if (rejection !== undefined) return rejection;
    }
    return undefined;
  });
  return (await Promise.all(asked)).filter((rejection) => rejection !== undefined);
}

function planOf(placer: Placer, bundles: readonly Amounts[], strategy: GroupStrategy, refused: Rejection[]): GroupPlan {
  if (placer.plan !== undefined) return placer.plan(bundles, strategy, refused);
  throw runtimeError("Unplaceable", "the placer of this system plans no groups: connect({ servers, placer })");
}

async function reserve(
  environment: GroupEnvironment,
  node: string,
  bundle: { readonly group: string; readonly index: number },
  resources: Amounts,
): Promise<Rejection | undefined> {
  try {
    const handle = await nodeActor(environment, node);
    const refusal = await handle.reserve(bundle, resources, `group ${bundle.group} of ${environment.node}`, TTL_MS);
    return refusal && { node, reason: refusal.reason, passes: refusal.passes };
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
    return { node, reason: error.message, passes: error.retryable };
  }
}
