// The token of the door: who has it may call, and speak for anybody (docs/rpc.md).
// It is not who a person is: nothing here knows persons.
//
// DT1  Every call is asked for it before its body is read, also those of health and reflection.
// DT2  It is compared in a time that does not depend on where the two differ.
// DT3  Only its owner can read the file. One that others could read is refused: it may be known already.
// DT4  The file appears whole: of hosts that begin at once all read the same, and one that is killed while it makes it leaves none that is
//      empty and keeps every door shut from then on.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { link, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { fail } from "../errors.ts";
import { FailureSchema } from "../proto/gen/fleet/rpc/v1/rpc_pb.js";

const TOKEN_BYTES = 32;
const TOKEN = /^[\x21-\x7e]{16,512}$/;
const GROUP_AND_OTHERS = 0o077;

/** The token in `<folder>/token`; the first time one is made. Throws TokenUnusable. */
export async function keepToken(folder: string): Promise<string> {
  const file = join(folder, "token");
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (!(await isThere(file))) await makeToken(file);
  } catch (error) {
    throw unusable(file, `cannot be written (${(error as NodeJS.ErrnoException).code})`);
  }
  return readToken(file);
}

/** Whole and once (DT4). */
async function makeToken(file: string): Promise<void> {
  const made = `${file}-${randomBytes(8).toString("hex")}`;
  try {
    await writeFile(made, `${randomBytes(TOKEN_BYTES).toString("base64url")}\n`, { flag: "wx", mode: 0o600 });
    await link(made, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(made, { force: true });
  }
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

/** Throws TokenUnusable: absent, open to others (DT3), or no token. */
async function readToken(file: string): Promise<string> {
  let token: string;
  try {
    const { mode } = await stat(file);
    if ((mode & GROUP_AND_OTHERS) !== 0) throw unusable(file, "can be read by others: delete it for a new one");
    token = (await readFile(file, "utf8")).trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code?.startsWith("E") ? unusable(file, `cannot be read (${code})`) : error;
  }
  if (!TOKEN.test(token)) throw unusable(file, "holds no token of 16 to 512 printable characters: delete it");
  return token;
}

const unusable = (file: string, problem: string) =>
  fail("TokenUnusable", `the token file ${JSON.stringify(file)} ${problem}.`, { data: { file } });

const hashOf = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Refuses a call without the token (DT1). */
export function tokenGate(token: string): (context: Pick<HandlerContext, "requestHeader">) => void {
  const expected = hashOf(token);
  return ({ requestHeader }) => {
    const [scheme = "", given = ""] = (requestHeader.get("authorization") ?? "").trim().split(/ +/, 2);
    if (scheme.toLowerCase() === "bearer" && timingSafeEqual(hashOf(given), expected)) return;
    throw refusal(given === "" ? "no token was given" : "this is not the door's token");
  };
}

function refusal(problem: string): ConnectError {
  const remedy =
    'Send the header "authorization: Bearer TOKEN"; the token is in the file named token in the folder of the services.';
  const value = { reason: "TokenMissing", remedy };
  return new ConnectError(`${problem}. ${remedy}`, Code.Unauthenticated, undefined, [{ desc: FailureSchema, value }]);
}
