// The door's token: made once, kept for its owner alone, and compared whole.

import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { keepToken, tokenGate } from "../../../api/grpc/token.ts";
import { temporaryFolder } from "./fake-door.ts";

describe("keepToken", () => {
  it("makes one the first time, for its owner alone, and keeps it; those who begin at once agree", async () => {
    await using folder = await temporaryFolder();
    const at = join(folder.path, "new", "folder");
    const tokens = await Promise.all([keepToken(at), keepToken(at), keepToken(at)]);
    expect(new Set([...tokens, await keepToken(at)]).size).toBe(1);
    expect(tokens[0]).toMatch(/^[\w-]{43}$/);
    expect((await stat(join(at, "token"))).mode & 0o777).toBe(0o600);
    expect((await readFile(join(at, "token"), "utf8")).trim()).toBe(tokens[0]);
  });

  it("appears whole: who begins meanwhile never finds a part of it", async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "token");
    const making = Promise.all(Array.from({ length: 20 }, () => keepToken(folder.path)));
    let isMade = false;
    const seen = new Set<number>();
    void making.then(() => {
      isMade = true;
    });
    while (!isMade) seen.add((await stat(file).catch(() => undefined))?.size ?? -1);
    expect(new Set(await making).size).toBe(1);
    seen.delete(-1);
    expect([...seen].filter((size) => size !== 44)).toEqual([]);
    expect(await readdir(folder.path)).toEqual(["token"]);
  });

  it.each([
    ["others can read it", async (file: string) => chmod(file, 0o644), /can be read by others/],
    ["it is empty", async (file: string) => writeFile(file, ""), /holds no token/],
    ["it is short", async (file: string) => writeFile(file, "abc"), /holds no token/],
  ])("refuses a file of which %s", async (_, spoil, says) => {
    await using folder = await temporaryFolder();
    await keepToken(folder.path);
    await spoil(join(folder.path, "token"));
    await expect(keepToken(folder.path)).rejects.toMatchObject({
      code: "TokenUnusable",
      message: expect.stringMatching(says),
    });
  });

  it("says so where no folder can be", async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, "file"), "");
    await expect(keepToken(join(folder.path, "file"))).rejects.toMatchObject({ code: "TokenUnusable" });
  });
});

describe("tokenGate", () => {
  const gate = tokenGate("0123456789abcdef");
  const call = (authorization?: string) =>
    gate({ requestHeader: new Headers(authorization === undefined ? {} : { authorization }) });

  it.each(["Bearer 0123456789abcdef", "bearer 0123456789abcdef", "BEARER  0123456789abcdef "])("takes %j", (header) => {
    expect(() => call(header)).not.toThrow();
  });

  it.each([
    undefined,
    "",
    "Bearer",
    "Bearer ",
    "Basic 0123456789abcdef",
    "0123456789abcdef",
    "Bearer 0123456789abcdeF",
    "Bearer 0123456789abcde",
  ])("refuses %j", (header) => {
    expect(() => call(header)).toThrow(/\[unauthenticated\]/);
  });
});
