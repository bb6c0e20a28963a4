// The container file: its instructions, who runs in it, how it ends, and that it holds every room of the house.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../../tidy/source.ts";
import { deployFile, graceOf, knownOptions, knownVariables, optionsIn, variablesIn } from "./command-line.ts";

const text = deployFile("Containerfile");

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

const INSTRUCTIONS =
  "FROM RUN CMD LABEL EXPOSE ENV COPY ENTRYPOINT VOLUME USER WORKDIR ARG STOPSIGNAL HEALTHCHECK SHELL".split(" ");

const instructions: readonly Instruction[] = text
  .split("\n")
  .filter((line) => !line.startsWith("#"))
  .join("\n")
  .replace(/\\\n\s*/g, "")
  .split("\n")
  .filter((line) => line.trim() !== "")
  .map((line) => {
    const [, name = "", rest = ""] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    return { name, rest };
  });

const all = (name: string) => instructions.filter((instruction) => instruction.name === name).map(({ rest }) => rest);
/** Of the image that is run, not of those that it copies from. */
const last = instructions.slice(instructions.findLastIndex(({ name }) => name === "FROM"));
const lastOf = (name: string) => last.filter((instruction) => instruction.name === name).map(({ rest }) => rest);
const argsOf = (name: string): string[] => JSON.parse(lastOf(name)[0] ?? "[]");

it("has known instructions, and fetches nothing by ADD", () => {
  expect(instructions.filter(({ name }) => !INSTRUCTIONS.includes(name))).toEqual([]);
  expect(all("RUN").filter((command) => /curl|wget|npm install/.test(command))).toEqual([]);
});

it("starts from one slim Node that is named by version", () => {
  expect(new Set(all("FROM").map((from) => from.split(" ")[0]))).toEqual(new Set(["node:24-trixie-slim"]));
  expect(all("RUN")[0]).toContain("npm ci --omit=dev");
});

it("runs as nobody in particular, from the last installation on", () => {
  expect(lastOf("USER")).toEqual(["1000:1000"]);
  const user = last.findIndex(({ name }) => name === "USER");
  expect(last.slice(user).filter(({ name }) => name === "RUN")).toEqual([]);
});

it("holds what the program needs: the rooms, their packages, and nothing of the tests", () => {
  const rooms = readdirSync(ROOT).filter((folder) => folder === "api" || existsSync(join(ROOT, folder, "index.ts")));
  const copied = lastOf("COPY").filter((rest) => !rest.startsWith("--from"));
  const sources = copied.flatMap((rest) => rest.split(" ").slice(0, -1));
  expect(sources.filter((source) => !existsSync(join(ROOT, source)))).toEqual([]);
  expect(rooms.filter((room) => !sources.includes(room))).toEqual([]);
  expect(sources).not.toContain("test");
  expect(sources).toContain("package.json");
});

describe("its command", () => {
  it("is the program below a process that collects orphans, and ends by SIGTERM", () => {
    expect(argsOf("ENTRYPOINT")).toEqual(["tini", "--", "node", "api/start.mjs"]);
    expect(lastOf("STOPSIGNAL")).toEqual(["SIGTERM"]);
    expect(all("RUN").join(" ")).toMatch(/install .*\btini\b/);
  });

  it("uses options and variables that the program knows, and says how long ending may take", async () => {
    const known = await knownOptions(argsOf("CMD")[0] ?? "");
    const example = /flotilla:\S+ (node .*)/.exec(text)?.[1] ?? "";
    const used = [...argsOf("CMD").filter((word) => word.startsWith("--")), ...optionsIn(example)];
    expect(used.length).toBeGreaterThan(2);
    expect(used.filter((option) => !known.has(option))).toEqual([]);
    expect(variablesIn(text).filter((name) => !knownVariables().has(name))).toEqual([]);
    expect(Number(/--stop-timeout (\d+)/.exec(text)?.[1])).toBeGreaterThanOrEqual(graceOf(argsOf("CMD")) + 20);
  });

  it("is asked whether it is well", () => {
    const [check = ""] = lastOf("HEALTHCHECK");
    expect(check).toMatch(/^--interval=\d+s --timeout=\d+s --start-period=\d+s --retries=\d+ CMD \[/);
    const command: string[] = JSON.parse(check.slice(check.indexOf("[")));
    expect(command.slice(0, 2)).toEqual(["node", "-e"]);
    expect(command[2]).toContain("http://127.0.0.1:8470/healthz");
    expect(() => new Function(command[2] ?? "")).not.toThrow();
  });
});
