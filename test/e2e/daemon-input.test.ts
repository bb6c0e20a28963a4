// What an operator can do wrong with a daemon: each is told in one sentence with a remedy, and nothing is left running. The daemon runs in the
// test's own process, with tools on its PATH that say what a test wants.

import { chmod, mkdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import { runCli } from "../../api/cli.ts";
import { listens } from "../support/engines.ts";
import { makeFolder } from "../support/git-repository.ts";
import { natsForTests } from "../support/nats-server.ts";
import { familyOf, leftOf } from "../support/process-tree.ts";
import { runFlotilla } from "../support/running-command.ts";
import { listenTcp } from "../support/tcp-listener.ts";
import { post } from "../support/vllm-client.ts";
import { waitUntil } from "../support/wait-until.ts";
import { ROOT } from "../tidy/source.ts";

const nats = natsForTests();
afterEach(() => void vi.unstubAllEnvs());

const fleetArgs = (prefix: string) => {
  const { servers, user, pass } = nats.options;
  return ["--servers", servers.replace("//", `//${user}:${pass}@`), "--prefix", prefix];
};

/** A daemon in this process. */
function start(prefix: string, ...args: string[]) {
  const text = { out: "", err: "" };
  const stopping = new AbortController();
  const name = args.includes("--name") ? [] : ["--name", "gpu1"];
  const ended = runCli(["node", ...fleetArgs(prefix), "--lease", "fast", "--http", "127.0.0.1:0", ...name, ...args], {
    out: { write: (piece) => (text.out += piece) },
    err: { write: (piece) => (text.err += piece) },
    signal: stopping.signal,
  });
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  return {
    text,
    async says(what: RegExp, withinMs = 20_000) {
      await waitUntil("it has said something", () => what.test(text.out) || isOver, withinMs).catch(() => {});
      expect(text.out + text.err).toMatch(what);
    },
    async stop() {
      stopping.abort(130);
      return ended;
    },
    ended,
  };
}

/** A daemon that does not start: what it said instead. The warning about passwords in --servers is not about that. */
async function refused(...args: string[]): Promise<string> {
  const before = familyOf(process.pid);
  const { ended, text } = start(nats.prefix(), ...args);
  expect(await ended).toBe(1);
  const fresh = familyOf(process.pid).filter(({ pid }) => !before.some((entry) => entry.pid === pid));
  await waitUntil("nothing is left running", () => leftOf(fresh).length === 0);
  const lines = text.err.split("\n").filter((line) => line !== "" && !line.includes("can be read by everybody"));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^flotilla: /);
  return lines[0] ?? "";
}

/** A folder with programs that are shell scripts, before everything else on the PATH. */
async function tools(scripts: Readonly<Record<string, string>>) {
  const folder = await makeFolder("flotilla-tools-");
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(folder.path, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder.path, name), 0o755);
  }
  vi.stubEnv("PATH", `${folder.path}${delimiter}${process.env.PATH}`);
  return folder;
}

const ONE =
  "0, GPU-5e1c2a77-0b5f-4f0c-9d55-2f1f6a3b9c01, 00000000:19:00.0, 81559, 1127, 0, 31, 0, Disabled, 570.133.20, NVIDIA H100";
const ONE_GPU = { "nvidia-smi": `case "$*" in *query-gpu*) echo "${ONE}";; *) exit 1;; esac` };

describe.skipIf(nats.missing !== undefined)(
  `a mistake with a daemon (${nats.missing ?? "on a real server"})`,
  { timeout: 60_000 },
  () => {
    it("a port in use: of the door, of a model server", async () => {
      await using taken = await listenTcp(() => {});
      const http = await refused("--http", `127.0.0.1:${taken.port}`);
      expect(http).toBe(`flotilla: --http: 127.0.0.1:${taken.port} is in use; give another port, or off.`);
      const vllm = await refused("--vllm-sim", `m,port=${taken.port}`);
      expect(vllm).toMatch(
        /^flotilla: the model server of m: another program listens on 127\.0\.0\.1:\d+; end that program, or give .*port/,
      );
      const twice = await refused("--vllm-sim", "a,port=8123", "--vllm-sim", "b,port=8123");
      expect(twice).toMatch(/^flotilla: the model servers of a and b are both at http:\/\/127\.0\.0\.1:8123/);
    });

    it("more GPUs than there are, others than there are, amounts that nobody has", async () => {
      await using _ = await tools(ONE_GPU);
      const remedy = "Correct --gpus, or leave it out: then those that are found are used.";
      expect(await refused("--gpus", "4")).toBe(
        `flotilla: the operator says 4 GPUs, but nvidia-smi shows 1. ${remedy}`,
      );
      expect(await refused("--gpus", "1,")).toMatch(
        /the operator says GPU 1, but nvidia-smi shows 1: 0 \(GPU-5e1c2a77/,
      );
      expect(await refused("--gpus", "2x80GiB:H100")).toMatch(/declares 2 GPUs \(H100\), but nvidia-smi shows 1/);
      expect(await refused("--gpus", "some")).toMatch(/GPUs "some": expected none, a count/);
      expect(await refused("--resources", "gpus=4")).toMatch(
        /resources: gpus: 4 said, 1 devices known\. Write --resources/,
      );
      expect(await refused("--vllm-program", "/bin/true", "--vllm", "m,tp=2")).toMatch(
        /the model server of m asks for 2 GPUs: .+\. Give it fewer \(gpus=N, tp=N\)/,
      );
    });

    it("more GPUs than none, where no tool is there or one is broken", async () => {
      expect(await refused("--gpus", "4")).toMatch(
        /the operator says 4 GPUs, but none can be found: nvidia-smi is not installed/,
      );
      await using _ = await tools({
        "nvidia-smi": "echo 'NVIDIA-SMI has failed'; exit 18",
      });
      expect(await refused("--gpus", "1")).toMatch(
        /none can be found: nvidia-smi ended with code 18: NVIDIA-SMI has failed/,
      );
    });

    it.each([
      [
        "fails",
        "echo 'Driver/library version mismatch'; exit 18",
        /the loaded NVIDIA driver is not the one that is installed/,
      ],
      ["hangs", "sleep 60", /nvidia-smi did not answer within 5 s/],
    ])("a GPU tool that %s is told, with what follows, and the node runs without GPUs", async (_, script, says) => {
      await using folder = await tools({ "nvidia-smi": script });
      const daemon = start(nats.prefix());
      await daemon.says(/ready; Ctrl-C/);
      expect(daemon.text.out).toMatch(says);
      expect(daemon.text.out).toMatch(
        /^GPUs +none is granted: .+; mend that and start anew, or say what there is with --gpus$/m,
      );
      expect(await daemon.stop()).toBe(0);
      expect(familyOf(process.pid).filter(({ command }) => command.includes(folder.path))).toEqual([]);
    });

    it("a program that is not there, a wrong model, one that is too large", async () => {
      expect(await refused("--vllm", "m", "--vllm-program", "/no/vllm")).toBe(
        "flotilla: the model server of m: there is no program /no/vllm; install vLLM (pip install vllm), or name it with --vllm-program.",
      );
      const failures = join(ROOT, "test/fixtures/engine");
      await using folder = await tools({
        vllm: `case "$*" in *nobody*) cat ${failures}/no-folder.txt; exit 1;; esac
          echo 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.1 GiB'; exit 1`,
      });
      await mkdir(join(folder.path, "bin"));
      const prefix = nats.prefix();
      const daemon = start(prefix, "--vllm", "nobody/none", "--vllm", "huge");
      await daemon.says(
        /model nobody\/none is dead.*: there is no folder \/nonexistent; give a folder with a config\.json/,
      );
      await daemon.says(
        /model huge is dead.*: the device ran out of memory when it wanted 2\.00 GiB more; it is started again/,
      );
      expect(daemon.text.out).not.toMatch(/gpuMemoryShare|maxModelLen|tensorParallel/);
      const list = await waitUntil("the fleet knows", async () => {
        const text = { out: "" };
        const out = { write: (piece: string) => (text.out += piece) };
        await runCli(["nodes", ...fleetArgs(prefix)], {
          out,
          err: { write: () => {} },
          signal: new AbortController().signal,
        });
        return text.out.includes("dead") && text.out.includes("there is no folder") ? text.out : undefined;
      });
      expect(list).toMatch(/^gpu1 +nobody\/none +dead\n {4}there is no folder \/nonexistent$/m);
      expect(await daemon.stop()).toBe(0);
    });

    it("a model server that answers for its health but no request is dead, with its reason for everybody", async () => {
      const prefix = nats.prefix();
      const daemon = start(prefix, "--vllm-sim", "m,stall=1s,arg=--control");
      await daemon.says(/model m is ready at/);
      const url = /model m is ready at (\S+)/.exec(daemon.text.out)?.[1] ?? "";
      await post(`${url}/sim/hang`, {});
      const asking = post(`${url}/v1/chat/completions`, { messages: [{ role: "user", content: "hi" }] }).catch(
        () => {},
      );
      await daemon.says(
        /model m is dead.*: it answers \/health, and no request made progress for 1 s; it is started again/,
      );
      await asking;
      await waitUntil("it is back", () => daemon.text.out.match(/model m is ready/g)?.length === 2);
      expect(await daemon.stop()).toBe(0);
      expect(await listens(url)).toBe(false);
    });

    it("two daemons with one name: the second is refused and starts nothing", async () => {
      const prefix = nats.prefix();
      const first = start(prefix);
      await first.says(/ready; Ctrl-C/);
      const second = start(prefix, "--vllm-sim", "m");
      expect(await second.ended).toBe(1);
      expect(second.text.err).toMatch(
        /^flotilla: a node called "gpu1" is in this fleet and alive: gpu1-\w+\. Give this node another --name, or stop that one first\.$/m,
      );
      expect(second.text.out).not.toContain("model m");
      expect(await first.stop()).toBe(0);
    });

    it("a clock that is an hour off: refused, also as the first of its fleet", async () => {
      const shifted = {
        NODE_OPTIONS: `--import ${pathToFileURL(join(ROOT, "test/fixtures/daemon/hour-ahead.ts")).href}`,
      };
      const prefix = nats.prefix();
      const run = async () => {
        await using late = runFlotilla(["node", ...fleetArgs(prefix), "--http", "off", "--vllm-sim", "m"], shifted);
        return { status: await late.ended, err: late.err, out: late.out };
      };
      for (const { status, err, out } of [await run(), await run()]) {
        expect(status).toBe(1);
        expect(err).toMatch(
          /^flotilla: this machine's and the server's differ: this one is (1\.0 h|60\.\d min) ahead\. Set it by NTP: timedatectl set-ntp true\./m,
        );
        expect(out).not.toContain("model m");
      }
    });

    it("told to leave before it is ready, it leaves in order", async () => {
      await using _ = await tools({ "nvidia-smi": "sleep 1; exit 9" });
      const daemon = start(nats.prefix(), "--vllm-sim", "m");
      await daemon.says(/looking at this machine/);
      expect(await daemon.stop()).toBe(0);
      expect(daemon.text.out).not.toContain("ready; Ctrl-C");
      expect(familyOf(process.pid).filter(({ command }) => command.includes("vllm-sim"))).toEqual([]);
    });
  },
);
