// Who we are to the server: given as options or inside the address, turned into what nats.js takes. Pure.

import {
  type Authenticator,
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import { runtimeError } from "../errors.ts";

export interface Credentials {
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  /** Content of a .creds file: a user's JWT and seed, or a seed alone. */
  readonly creds?: string;
  /** Seed of an nkey, as text. */
  readonly nkeySeed?: string;
}

export interface Addresses {
  /** `host:port` each. */
  readonly servers: readonly string[];
  readonly isTls: boolean;
  /** From the first address that holds any; options go first. */
  readonly credentials: Credentials;
}

const SCHEMES: ReadonlySet<string> = new Set(["nats:", "tls:"]);
const PORT = "4222";

const JWT_BEGIN = "BEGIN NATS USER JWT";
const SEED_BLOCK = /-{3,}BEGIN USER NKEY SEED-{3,}\s+(\S+)\s+-{3,}END USER NKEY SEED-{3,}/;

/** Reads `nats://user:pass@host:port`, `nats://token@host`, `tls://…` or `host:port`; several in an array or joined by commas. Throws InvalidOption. */
export function parseServers(servers: string | readonly string[]): Addresses {
  const given = (typeof servers === "string" ? servers.split(",") : servers).map((server) => server.trim());
  const urls = given.map(parseServer);
  if (urls.length === 0) throw refused("no address");
  const withUser = urls.find(({ username }) => username !== "");
  return {
    servers: urls.map(({ hostname, port }) => `${hostname}:${port || PORT}`),
    isTls: urls.some(({ protocol }) => protocol === "tls:"),
    credentials: withUser === undefined ? {} : inUrl(withUser),
  };
}

function parseServer(server: string): URL {
  const withScheme = server.includes("://") ? server : `nats://${server}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url === undefined || !SCHEMES.has(url.protocol) || url.hostname === "") throw refused(withoutSecrets(server));
  return url;
}

const inUrl = ({ username, password }: URL): Credentials =>
  password === ""
    ? { token: decodeURIComponent(username) }
    : { user: decodeURIComponent(username), pass: decodeURIComponent(password) };

/** An address as it may be shown: without user and password. */
const withoutSecrets = (server: string): string => server.replace(/\/\/[^@/]*@/, "//…@").replace(/^[^@/]*@/, "…@");

const refused = (got: string) =>
  runtimeError("InvalidOption", `option servers: expected nats://host:port, got "${got}"`, {
    data: { option: "servers", expected: "nats://host:port" },
  });

/** What nats.js asks for credentials; undefined when there are none. */
export function authenticatorOf(credentials: Credentials): Authenticator | undefined {
  const { user, pass, token, creds, nkeySeed } = credentials;
  const encode = (text: string) => new TextEncoder().encode(text);
  if (creds !== undefined) {
    // A server without accounts knows users by their public keys, and then there is no JWT to show.
    const [, seed] = creds.includes(JWT_BEGIN) ? [] : (SEED_BLOCK.exec(creds) ?? []);
    const authenticator = seed === undefined ? credsAuthenticator(encode(creds)) : nkeyAuthenticator(encode(seed));
    return checked("creds", "the content of a credentials file (a user's seed, with or without a JWT)", authenticator);
  }
  if (nkeySeed !== undefined) return checked("nkeySeed", "the seed of an nkey", nkeyAuthenticator(encode(nkeySeed)));
  if (token !== undefined) return tokenAuthenticator(token);
  return user === undefined ? undefined : usernamePasswordAuthenticator(user, pass);
}

/** Tries it once now: inside the client, where it would throw otherwise, nobody hears it. Throws InvalidOption. */
function checked(option: string, expected: string, authenticator: Authenticator): Authenticator {
  try {
    authenticator("nonce");
    return authenticator;
  } catch {
    throw runtimeError("InvalidOption", `option ${option}: expected ${expected}, got something else`, {
      data: { option, expected },
    });
  }
}
