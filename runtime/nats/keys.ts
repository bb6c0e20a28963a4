// Key pairs by which a NATS server knows its users: the server keeps the public key, the user signs with the seed.
// Where they are kept is not known here (nodes/credentials.ts).
//
// K1  The client of NATS is loaded by the first call: a process that is alone does not pay for it.

import { runtimeError } from "../errors.ts";

export interface UserKey {
  /** "SU…": the secret. */
  readonly seed: string;
  /** "U…": what the server's config names. */
  readonly publicKey: string;
}

/** A new key pair. */
export async function makeUserKey(): Promise<UserKey> {
  const { nkeys } = await import("@nats-io/transport-node");
  const pair = nkeys.createUser();
  return { seed: new TextDecoder().decode(pair.getSeed()), publicKey: pair.getPublicKey() };
}

/** The key pair of a user's seed. Throws InvalidOption. */
export async function userKeyOf(seed: string): Promise<UserKey> {
  const { nkeys } = await import("@nats-io/transport-node");
  try {
    const publicKey = nkeys.fromSeed(new TextEncoder().encode(seed)).getPublicKey();
    if (publicKey.startsWith("U")) return { seed, publicKey };
  } catch {
    // Told below; the library's words may hold a part of the seed.
  }
  const expected = "the seed of a user's nkey";
  throw runtimeError("InvalidOption", `option seed: expected ${expected}, got something else`, {
    data: { option: "seed", expected },
  });
}
