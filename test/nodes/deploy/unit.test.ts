// The systemd units: read by our own eyes, and by systemd's where it is installed.

import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, test } from "vitest";
import { makeFolder } from "../../support/git-repository.ts";
import {
  deployFile,
  graceOf,
  knownOptions,
  knownVariables,
  optionsIn,
  secondsOf,
  variablesIn,
} from "./command-line.ts";

const run = promisify(execFile);

interface Line {
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

function linesOf(unit: string): readonly Line[] {
  let section = "";
  return unit.split("\n").flatMap((line) => {
    if (line === "" || line.startsWith("#")) return [];
    const head = /^\[(\w+)\]$/.exec(line)?.[1];
    if (head !== undefined) section = head;
    if (head !== undefined) return [];
    const [, key, value] = /^([A-Z]\w+)=(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) throw new Error(`no line of a unit: ${line}`);
    return [{ section, key, value }];
  });
}

const KEYS: Readonly<Record<string, string>> = {
  Unit: "Description Wants After StartLimitIntervalSec StartLimitBurst",
  Service: `Type User Group EnvironmentFile LoadCredential Environment StateDirectory StateDirectoryMode CacheDirectory CacheDirectoryMode
    WorkingDirectory UMask ExecStart KillMode KillSignal TimeoutStopSec Restart RestartSec Delegate DelegateSubgroup OOMPolicy LimitNOFILE
    LimitMEMLOCK TasksMax NoNewPrivileges CapabilityBoundingSet ProtectSystem ProtectHome PrivateTmp ProtectKernelModules ProtectHostname
    RestrictSUIDSGID RestrictRealtime RestrictAddressFamilies LockPersonality RemoveIPC ReadWritePaths`,
  Install: "WantedBy",
};
const OFTEN = ["Environment"];

const verifier = await run("systemd-analyze", ["--version"]).then(
  () => undefined,
  () => "systemd-analyze is not installed",
);

/** What each says, and what it leaves out because it would take away what is used: devices, code made at run time, the sandbox's namespaces. */
const ALL_OUT =
  "MemoryDenyWriteExecute RestrictNamespaces ProtectKernelTunables ProtectKernelLogs ProtectProc ProcSubset SystemCallFilter PrivateUsers";
const UNITS = [
  {
    ...{ file: "flotilla-node.service", command: "node", flags: "FLOTILLA_NODE_FLAGS", hasGrace: true },
    says: { Delegate: "yes", KillMode: "mixed" },
    out: "PrivateDevices DevicePolicy DeviceAllow ProtectClock ProtectControlGroups",
  },
  {
    ...{ file: "flotilla-services.service", command: "services", flags: "FLOTILLA_SERVICES_FLAGS", hasGrace: false },
    // Agents outlive a restart, with their files.
    says: { KillMode: "process" },
    out: "PrivateTmp",
  },
] as const;
const SAYS = {
  ...{ Type: "exec", User: "flotilla", KillSignal: "SIGTERM", Restart: "on-failure", OOMPolicy: "continue" },
  ...{ NoNewPrivileges: "yes", ProtectSystem: "strict", StateDirectoryMode: "0700" },
};

describe.each(UNITS)("$file", ({ file, command, flags, hasGrace, says, out }) => {
  const text = deployFile(file);
  const lines = linesOf(text);
  const valuesOf = (key: string) => lines.filter((line) => line.key === key).map(({ value }) => value);
  const words = (valuesOf("ExecStart")[0] ?? "").split(" ");

  it("has known keys in their sections, each once", () => {
    const unknown = lines.filter(({ section, key }) => !(KEYS[section] ?? "").split(/\s+/).includes(key));
    expect(unknown).toEqual([]);
    const twice = lines.filter(
      ({ key }, at) => !OFTEN.includes(key) && lines.findIndex((line) => line.key === key) !== at,
    );
    expect(twice).toEqual([]);
  });

  test.for(Object.entries({ ...SAYS, ...says }))("says %s=%s", ([key, value]) => {
    expect(valuesOf(key)).toEqual([value]);
  });

  test.for(`${ALL_OUT} ${out}`.split(" "))("leaves %s out", (key) => {
    expect(valuesOf(key)).toEqual([]);
  });

  it("uses options and variables that the program knows", async () => {
    expect(words.slice(0, 3)).toEqual(["/usr/bin/node", "/opt/flotilla/api/start.mjs", command]);
    const known = await knownOptions(command);
    const example = new RegExp(`${flags}=(.*)`).exec(text)?.[1] ?? "";
    const used = [...optionsIn(words.join(" ")), ...optionsIn(example)];
    expect(used.length).toBeGreaterThan(2);
    expect(used.filter((option) => !known.has(option))).toEqual([]);
    const variables = variablesIn(text).filter((name) => name !== flags);
    expect(variables.filter((name) => !knownVariables().has(name))).toEqual([]);
    expect(words.at(-1)).toBe(`$${flags}`);
  });

  it("has time to end: the grace, where there is one, and something for handing over", () => {
    const graceS = hasGrace ? graceOf(words) : 0;
    expect(graceS > 0).toBe(hasGrace);
    expect(secondsOf(valuesOf("TimeoutStopSec")[0] ?? "")).toBeGreaterThanOrEqual(graceS + 20);
  });

  it("may open many files", () => {
    expect(Number(valuesOf("LimitNOFILE")[0])).toBeGreaterThanOrEqual(4_096);
  });

  it.skipIf(verifier !== undefined)(`is accepted by systemd (${verifier ?? "verify"})`, async () => {
    await using folder = await makeFolder();
    const unit = join(folder.path, file);
    // It looks for the program, which is elsewhere here.
    await writeFile(unit, text.replace("/usr/bin/node", process.execPath));
    const { stderr } = await run("systemd-analyze", ["verify", unit]);
    // Known from version 254 on; older ones pass over it.
    const said = stderr.split("\n").filter((line) => line.startsWith(unit) && !/DelegateSubgroup/.test(line));
    expect(said).toEqual([]);
    await writeFile(unit, text.replace(/KillMode=\w+/, "KillMode=mild"));
    const wrong = await run("systemd-analyze", ["verify", unit]).catch((error: { stderr: string }) => error);
    expect(wrong.stderr).toContain("mild");
  });
});
