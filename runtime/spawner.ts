// From a spawn's options to a live actor somewhere: the request is made, placed, given its code and sent to the node that was chosen.
// It chooses no node (the placer) and makes no actor (host.ts).

import type { ActorType, SpawnOptions } from "./actor.ts";
import type { Address } from "./address.ts";
import type { Questions } from "./calls.ts";
import type { Cell } from "./cell/cell.ts";
import type { CodeShipper } from "./code/code-shipper.ts";
import { copyArgs } from "./copy.ts";
import { demandOf } from "./grants.ts";
import type { Host, SpawnRequest } from "./host.ts";
import { processError } from "./isolation/errors.ts";
import type { ProcessPool } from "./isolation/process-pool.ts";
import type { Membership } from "./membership.ts";
import type { NodeRecord } from "./node-record.ts";
import { spawnSettings } from "./options.ts";
import type { Peers } from "./peers.ts";
import { checkAmounts, checkPlacement } from "./placement-options.ts";
import type { Decision } from "./placer.ts";
import { placementOf } from "./placing.ts";
import { isThenable } from "./thenable.ts";
import type { Types } from "./types.ts";
import type { Whereabouts } from "./whereabouts.ts";

/** One for all actors made without any: each of 100,000 idle ones would keep an empty list. */
const NO_ARGS: readonly unknown[] = [];

export interface SpawnerOptions {
  readonly node: string;
  /** Absent in a process that is alone. */
  readonly membership: Membership | undefined;
  readonly host: Host;
  readonly peers: Peers;
  readonly types: Types;
  readonly shipper: CodeShipper;
  readonly whereabouts: Pick<Whereabouts, "placing" | "grants" | "decisions" | "placed">;
  readonly questions: Questions;
  /** Who is there; empty in a process that is alone. */
  readonly nodes: () => readonly NodeRecord[];
  /** The processes of this node; undefined where it can have none. */
  readonly processes: () => ProcessPool | undefined;
  /** Ends an actor on another node in order; nobody waits for it. */
  readonly stop: (address: Address) => void;
}

export class Spawner {
  readonly #options: SpawnerOptions;
  readonly #provided = new Map<ActorType, Promise<void>>();

  constructor(options: SpawnerOptions) {
    this.#options = options;
  }

  async spawn(parent: Cell | undefined, type: ActorType, options: SpawnOptions | undefined): Promise<Address> {
    const request = this.#request(parent, type, options);
    const { node, placeTimeoutMs } = options ?? {};
    const wanted = placementOf(request, node);
    const { whereabouts, node: here } = this.#options;
    const { placing } = whereabouts;
    // The common case first: by far most actors are made where they are asked for, in a process that is alone.
    const decision = placing.placer.place(wanted);
    if (!isThenable(decision) && decision.kind === "placed" && decision.node === here && !this.#needsMore(request))
      return this.#options.host.spawn(request, parent);
    return placing.run(wanted, placeTimeoutMs, decision, async (placed) => {
      const address = await this.#spawnOn(placed, request, type, parent);
      whereabouts.placed(wanted, placed.node, address);
      return address;
    });
  }

  async #spawnOn(
    decision: Extract<Decision, { kind: "placed" }>,
    request: SpawnRequest,
    type: ActorType,
    parent: Cell | undefined,
  ): Promise<Address> {
    const isHere = decision.node === this.#options.node;
    if (isHere && !this.#needsMore(request)) return this.#options.host.spawn(request, parent);
    const code = isHere ? undefined : await this.#codeFor(type, decision.node);
    const explained = { ...request, ...(isExplained(request) && { decision }), ...(code !== undefined && { code }) };
    const address = await this.spawnAt(decision.node, explained);
    if (address.node !== decision.node) await this.#options.membership?.meet(address.node);
    if (parent !== undefined && request.detached !== true) this.#tie(parent, address);
    return address;
  }

  #codeFor(type: ActorType, node: string): Promise<string | undefined> {
    const { nodes, shipper } = this.#options;
    return shipper.codeFor(
      type,
      nodes().find((record) => record.node === node),
    );
  }

  /** Whether an actor asked for here gets a process of its own; one that was made for it is this one. */
  #isApart({ settings, process }: SpawnRequest): boolean {
    return settings.isolation !== "shared" && process !== this.#options.node;
  }

  /** Whether making it here takes more than its host: a process, or what it demands. */
  #needsMore(request: SpawnRequest): boolean {
    return this.#isApart(request) || (request.granted === undefined && demandOf(request) !== undefined);
  }

  /** Makes an actor that was decided to be here, with what it demands: in this process, or in one of its own. Throws ResourcesTaken. */
  make(request: SpawnRequest): Address | Promise<Address> {
    const { decision, ...wanted } = request;
    const demand = request.granted === undefined ? demandOf(request) : undefined;
    const { grants, decisions } = this.#options.whereabouts;
    const made =
      demand === undefined
        ? this.#makeGranted(wanted)
        : grants.with(wanted, demand, (granted) => this.#makeGranted(granted));
    if (decision === undefined) return made;
    const keep = (address: Address) => {
      decisions.keep(address, decision);
      return address;
    };
    return isThenable(made) ? made.then(keep) : keep(made);
  }

  #makeGranted(request: SpawnRequest): Address | Promise<Address> {
    return this.#isApart(request) ? this.#makeApart(request) : this.#options.host.spawn(request, undefined);
  }

  async #makeApart(request: SpawnRequest): Promise<Address> {
    const { membership, processes } = this.#options;
    // A process that is asked for another has one beside it.
    const parent = membership?.record.parent;
    if (parent !== undefined) return this.spawnAt(parent, request);
    const own = processes();
    if (own !== undefined) return own.spawn(request, request.granted);
    const message = `${request.type} shall live in a ${request.settings.isolation} of its own, which is a member of a fleet, and this system is alone`;
    throw processError("ProcessNeedsFleet", message, { data: { type: request.type } });
  }

  /** A child on another node ends with the life that spawned it, as one here does; its own host sees to it when this node dies. */
  #tie(parent: Cell, child: Address): void {
    const { peers, stop } = this.#options;
    if (parent.isEnded) return stop(child);
    let isOver = false;
    const unwatch = peers.watch(child, () => {
      isOver = true;
      tie.cancel();
    });
    const tie = parent.life.own({
      cancel: () => {
        if (isOver) return;
        unwatch();
        stop(child);
      },
    });
  }

  /**
   * Sees to it that some node takes tasks of `type`: where none that is there has it, one that allows code is sent it. When there is none of
   * those either the tasks wait for one that comes.
   */
  provide(type: ActorType): Promise<void> {
    let provided = this.#provided.get(type);
    if (provided === undefined) {
      provided = this.#provide(type);
      this.#provided.set(type, provided);
      provided.catch(() => this.#provided.delete(type));
    }
    return provided;
  }

  /** A node has left: it may have been the one that took those tasks. */
  nodeLeft(): void {
    this.#provided.clear();
  }

  async #provide(type: ActorType): Promise<void> {
    const { nodes, shipper, peers, questions, types } = this.#options;
    types.register(type);
    const hosts = nodes().filter(({ accepts, draining }) => accepts && !draining);
    if (hosts.some((record) => record.types.some((known) => known.type === type.type))) return;
    const loader = hosts.find(({ allowsCode }) => allowsCode);
    const code = await shipper.codeFor(type, loader);
    if (loader === undefined || code === undefined) return;
    const request = { type: type.type, version: type.version, code };
    await questions.ask((sink, deadlineMs) => peers.load(loader.node, request, deadlineMs, sink));
  }

  /** Has a node, this one or another, make what was decided. */
  spawnAt(node: string, request: SpawnRequest): Address | Promise<Address> {
    const { peers, questions } = this.#options;
    if (node === this.#options.node) return this.make(request);
    // Starting has a bound of its own, which the node keeps; the way there and back has the call's.
    const { startTimeoutMs } = request.settings;
    return questions.ask(
      (sink, deadlineMs) => peers.spawn(node, request, deadlineMs, sink),
      startTimeoutMs,
    ) as Promise<Address>;
  }

  #request(parent: Cell | undefined, type: ActorType, options: SpawnOptions | undefined): SpawnRequest {
    const settings = spawnSettings(options);
    if (options?.resources !== undefined) checkAmounts("resources", options.resources);
    if (options?.placement !== undefined) checkPlacement(options.placement);
    const code = this.#options.types.register(type);
    const { name, namespace, getIfExists, detached, resources, placement } = options ?? {};
    // Kept for restarts, so from now on nobody else's: what the spawner does to its own must not show in a later life.
    const given = options?.args ?? NO_ARGS;
    const args = settings.copy && given.length > 0 ? copyArgs([...given]) : given;
    return {
      type: type.type,
      version: type.version,
      args,
      settings,
      // What is spawned in the process of one actor and belongs to no actor is its node's.
      owner: this.#options.membership?.record.parent ?? this.#options.node,
      ...(code !== undefined && { code }),
      ...(name !== undefined && { name }),
      ...(namespace !== undefined && { namespace }),
      ...(getIfExists !== undefined && { getIfExists }),
      ...(detached !== undefined && { detached }),
      ...(resources !== undefined && { resources }),
      ...(placement !== undefined && { placement }),
      ...(parent !== undefined && { parent: parent.address }),
    };
  }
}

/** Worth the room: those that somebody may ask about. */
const isExplained = ({ name, resources, placement }: SpawnRequest): boolean =>
  name !== undefined || resources !== undefined || placement !== undefined;
