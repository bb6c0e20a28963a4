// Where an actor lives, as plain data: what goes into envelopes and the directory. A handle is for people, an address for the wire.
// It is not a name: names are looked up in the directory and may move; an address never does. `key` says where to look for the next one.
//
// A1  A node's name is new for each life of its process, and ids are never reused on a node: an address never comes to mean another actor.
// A2  `incarnation` counts the lives of one actor on its node; it only grows.

export interface Address {
  readonly node: string;
  readonly id: string;
  readonly type: string;
  readonly incarnation: number;
  /** Store key of the actor's entry in the directory, when it has one. */
  readonly key?: string;
}

/** "counter/17@north": type, id, node. For people and log lines. */
export function formatAddress(address: Address): string {
  return `${address.type}/${address.id}@${address.node}`;
}

/** Where a handle keeps its address: how copy and codec recognise one without knowing handles. */
export const ADDRESS: unique symbol = Symbol.for("flotilla.address");

/** Where a handle keeps a way to itself without options: what travels is the actor, not how its last holder wanted to call it. */
export const PLAIN: unique symbol = Symbol.for("flotilla.plain");

export function plainHandle(handle: object): unknown {
  return (handle as { readonly [PLAIN]?: unknown })[PLAIN] ?? handle;
}

/** The address inside a handle; undefined for anything else. */
export function addressIn(value: unknown): Address | undefined {
  return typeof value === "object" && value !== null ? (value as { [ADDRESS]?: Address })[ADDRESS] : undefined;
}
