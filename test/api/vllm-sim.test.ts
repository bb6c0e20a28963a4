// `flotilla vllm-sim` as a user runs it: what it says, how it ends, and what it refuses.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runCli } from "../../api/cli.ts";
import { vllmSimOptions } from "../../api/vllm-sim.ts";
import { makeFolder } from "../support/git-repository.ts";
import { runFlotilla } from "../support/running-command.ts";
import { get, post } from "../support/vllm-client.ts";

const address = (out: string) => /http:\/\/127\.0\.0\.1:\d+/.exec(out)?.[0] ?? "";

describe("flotilla vllm-sim", () => {
  it("serves with the rules of a file, and ends within a second when told to, whatever runs", {
    timeout: 60_000,
  }, async () => {
    await using folder = await makeFolder();
    const rules = join(folder.path, "rules.json");
    await writeFile(rules, JSON.stringify([{ match: "ping", text: "pong" }]));
    const args = [
      "--model",
      "tiny",
      "--port",
      "0",
      "--rules",
      rules,
      "--kv-events-port",
      "0",
      "--decode-ms-per-token",
      "20",
    ];
    await using command = runFlotilla(["vllm-sim", ...args], { VLLM_API_KEY: "k" });
    await command.says("ready");
    expect(command.out).toMatch(/vllm-sim serves tiny at http:.*\nKV events at tcp:\/\/127\.0\.0\.1:\d+\nready/);
    const url = address(command.out);
    expect((await get(`${url}/v1/models`)).status).toBe(401);
    const key = { authorization: "Bearer k" };
    const ask = (text: string) =>
      post(`${url}/v1/chat/completions`, { messages: [{ role: "user", content: text }] }, key);
    expect((await ask("ping")).json.text("choices", 0, "message", "content")).toBe("pong");
    const running = ask("something long").catch(() => "cut");
    const started = performance.now();
    command.signal("SIGTERM");
    expect(await command.ended).toBe(0);
    expect(performance.now() - started).toBeLessThan(1_000);
    await running;
  });

  it("ends with status 1 when its engine dies, and says so", { timeout: 60_000 }, async () => {
    await using command = runFlotilla(["vllm-sim", "--model", "tiny", "--port", "0", "--control"]);
    await command.says("ready");
    await post(`${address(command.out)}/sim/die`);
    expect(await command.ended).toBe(1);
    expect(command.err).toMatch(/the engine died/);
  });

  it.each<[string[], RegExp]>([
    [[], /^flotilla: --model: expected 1 to 200 characters, it is missing\.\n$/],
    [["--model", "m", "--port", "x"], /--port: expected a number, got "x"\./],
    [["--model", "m", "--port", "70000"], /--port: expected a whole number from 0 to 65,535, got 70000\./],
    [["--model", "m", "--kv-replay-port", "0"], /--kv-replay-port: expected a kvEventsPort beside it, got 0\./],
    [["--model", "m", "--startup", "soon"], /--startup: expected a duration, such as 500ms or 30s, got "soon"\./],
    [
      ["--model", "m", "--rules", "/none.json"],
      /--rules: expected a file with a JSON list of rules, "\/none\.json": ENOENT/,
    ],
    [["--model", "m", "--kv-events-form", "csv"], /--kv-events-form: expected map or array, got "csv"\./],
  ])("refuses %j in one sentence", async (args, message) => {
    const text = { out: "", err: "" };
    const status = await runCli(["vllm-sim", ...args], {
      out: { write: (piece) => (text.out += piece) },
      err: { write: (piece) => (text.err += piece) },
      signal: new AbortController().signal,
    });
    expect({ status, out: text.out }).toEqual({ status: 1, out: "" });
    expect(text.err).toMatch(message);
  });

  it("turns every option into the simulator's own", () => {
    const flags = {
      model: "m",
      port: "0",
      numBlocks: "100",
      decodeMsPerToken: "0.5",
      startup: "2s",
      keepAlive: true,
      startupRefuses: true,
    } as const;
    expect(vllmSimOptions(flags, undefined)).toEqual({
      model: "m",
      port: 0,
      numBlocks: 100,
      decodeMsPerToken: 0.5,
      startupMs: 2_000,
      keepAliveOnEngineDeath: true,
      startupRefuses: true,
    });
    expect(vllmSimOptions({ model: "m" }, "key")).toEqual({ model: "m", port: 8_000, apiKey: "key" });
  });
});
