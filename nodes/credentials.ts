// The two identities of a fleet's own NATS server, and the files that hold their seeds: `admin.creds` makes streams, `node.creds` is what
// nodes and scripts are given (--creds). What each may do: nats-server.ts writes it into the server's config.
//
// CR1  A file is readable by its owner alone and appears whole or not at all.
// CR2  Existing files are used as they are: nodes that were given a key must find it valid after a restart. A damaged one is an error and
//      is never replaced in silence.
// CR3  Seeds stand in no message.

import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeUserKey, type UserKey, userKeyOf } from "../runtime/index.ts";
import { nodeError } from "./errors.ts";

export interface FleetCredentials {
  /** May do everything: makes the fleet's streams. */
  readonly admin: UserKey;
  /** What nodes and scripts use: may do what they need and change no stream. */
  readonly node: UserKey;
}

/** Credentials with the files that hold them. */
export interface KeptCredentials extends FleetCredentials {
  /** Path of admin.creds. */
  readonly adminFile: string;
  /** Path of node.creds: for --creds. */
  readonly nodeFile: string;
}

const OWNER_ONLY = 0o600;
const FOLDER_OWNER_ONLY = 0o700;
const SEED = /-{3,}BEGIN USER NKEY SEED-{3,}\s+(\S+)\s+-{3,}END USER NKEY SEED-{3,}/;

/** New credentials for one fleet. */
export async function makeCredentials(): Promise<FleetCredentials> {
  const [admin, node] = await Promise.all([makeUserKey(), makeUserKey()]);
  return { admin, node };
}

/** The credentials in `folder` (made when missing), made when the files are missing. Throws CredentialsInvalid. */
export async function keepCredentials(folder: string): Promise<KeptCredentials> {
  await mkdir(folder, { recursive: true, mode: FOLDER_OWNER_ONLY });
  const adminFile = join(folder, "admin.creds");
  const nodeFile = join(folder, "node.creds");
  const [admin, node] = await Promise.all([keyIn(adminFile), keyIn(nodeFile)]);
  return { admin, node, adminFile, nodeFile };
}

/** The text of a file that `connect({ creds })` and --creds take. */
export const credentialsText = ({ seed }: UserKey): string =>
  ["-----BEGIN USER NKEY SEED-----", seed, "------END USER NKEY SEED------", ""].join("\n");

async function keyIn(file: string): Promise<UserKey> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw invalid(file, `cannot be read (${error.code})`);
  });
  if (text === undefined) return newKey(file);
  await chmod(file, OWNER_ONLY).catch((error: NodeJS.ErrnoException) => {
    throw invalid(file, `cannot be hidden from others (${error.code})`);
  });
  const [, seed = ""] = SEED.exec(text) ?? [];
  return userKeyOf(seed).catch(() => {
    throw invalid(file, "holds no seed of a user's key");
  });
}

async function newKey(file: string): Promise<UserKey> {
  const key = await makeUserKey();
  const beside = `${file}.${randomBytes(4).toString("hex")}`;
  await writeFile(beside, credentialsText(key), { mode: OWNER_ONLY, flag: "wx" });
  await rename(beside, file);
  return key;
}

const invalid = (file: string, problem: string) =>
  nodeError("CredentialsInvalid", `the credentials file ${JSON.stringify(file)} ${problem}`, { data: { file } });
