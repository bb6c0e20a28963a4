// Where the actors of one system go and why: the parts that place, grant and explain, put together. It does none of their work.

import type { ActorType, SpawnOptions } from "./actor.ts";
import type { Address } from "./address.ts";
import { Decisions } from "./decisions.ts";
import type { ActorEnd } from "./envelope.ts";
import { Grants } from "./grants.ts";
import { type GroupOptions, openGroup, type PlacementGroup } from "./groups.ts";
import type { LogLevel } from "./log.ts";
import { NODE_ACTOR, NodeActorType, nodeActorType } from "./node-actor.ts";
import type { NodeRecord } from "./node-record.ts";
import type { Decision, PlacementRequest } from "./placer.ts";
import { Placing, type PlacingOptions } from "./placing.ts";
import type { ActorSystem } from "./system.ts";
import type { SystemSettings } from "./system-settings.ts";
import { WaitingLog } from "./waiting-log.ts";

interface Ties {
  /** Calls `onEnd` once when an actor has ended, wherever it lives. */
  readonly watch: (address: Address, onEnd: (end: ActorEnd) => void) => unknown;
  readonly log: (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) => void;
}

/** Questions to a node that are answered at once. */
const ANSWERS_AT_ONCE = 64;

export class Whereabouts {
  readonly placing: Placing;
  readonly grants: Grants;
  readonly decisions: Decisions;
  readonly #settings: SystemSettings;
  readonly #system: ActorSystem;
  readonly #watch: Ties["watch"];

  constructor(settings: SystemSettings, system: ActorSystem, { watch, log }: Ties) {
    const { node, clock, ports, callTimeoutMs, membership, admission } = settings;
    this.#settings = settings;
    this.#system = system;
    this.#watch = watch;
    const waiting = new WaitingLog({ announce: (told) => membership?.announce({ waiting: told }), log });
    const onWaiting: PlacingOptions["onWaiting"] = (id, request) => waiting.told(id, request);
    this.placing = new Placing({ placer: ports.placer, clock, waitMs: callTimeoutMs, onWaiting });
    const isPart = (other: string) => {
      const record = this.#record(other);
      return record && record.parent === node;
    };
    this.grants = new Grants({ node, clock, admission, isPart, watch });
    this.decisions = new Decisions(watch);
  }

  #record(node: string): NodeRecord | undefined {
    return this.#settings.membership?.nodes().find((record) => record.node === node);
  }

  /** An actor was made where its placer wanted it; one that was placed by its siblings is no sibling any more when it has ended. */
  placed(request: PlacementRequest, node: string, address: Address): void {
    const { placer } = this.placing;
    if (placer.ended !== undefined && request.placement !== undefined)
      this.#watch(address, () => placer.ended?.(request, node));
  }

  /** Who is there, or how they stand, has changed. */
  changed(): void {
    this.placing.changed();
  }

  /** Makes the actor by which others ask about this node, when it grants anything. */
  async answer(spawn: (type: ActorType, options: SpawnOptions) => Promise<unknown>): Promise<void> {
    const { node, admission } = this.#settings;
    if (admission === undefined) return;
    const type = nodeActorType({ admission, decisions: this.decisions });
    await spawn(type, { name: NODE_ACTOR, namespace: node, node, concurrency: ANSWERS_AT_ONCE });
  }

  /** Throws as `ActorSystem.decision` does. */
  async decisionOf(address: Pick<Address, "node" | "id">): Promise<Decision | undefined> {
    const known = this.decisions.of(address);
    if (known !== undefined) return known;
    // An actor in a process of its own is its node's.
    const at = this.#record(address.node)?.parent ?? address.node;
    if (at === this.#settings.node || this.#record(at)?.resources === undefined) return undefined;
    const answers = await this.#system.get(NODE_ACTOR, NodeActorType, at);
    return answers.decision({ node: address.node, id: address.id });
  }

  /** Throws as `ActorSystem.group` does. */
  group(options: GroupOptions): Promise<PlacementGroup> {
    const { node, clock, random, callTimeoutMs, membership } = this.#settings;
    return openGroup(options, {
      node,
      clock,
      random,
      placing: this.placing,
      waitMs: callTimeoutMs,
      nodes: () => membership?.nodes() ?? [],
      get: (name, type, namespace) => this.#system.get(name, type, namespace),
    });
  }

  /** From now on nothing waits for a place. */
  refuseNew(): void {
    this.placing.close();
  }

  close(): void {
    this.grants.close();
  }
}
