// How each peer is had and started. What is not ours is installed when first asked for, at one fixed version, into `.flotilla/peers/`,
// which git ignores: it is no dependency of the product.

import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { NotMeasured, type PeerName } from "../scenario.ts";

export type Command = readonly [file: string, ...args: string[]];

const run = promisify(execFile);
const INSTALL_MAX_MS = 10 * 60_000;

const FOLDER = fileURLToPath(new URL("../../.flotilla/peers", import.meta.url));
const NATS = fileURLToPath(new URL("./nats.ts", import.meta.url));
const MOLECULER = fileURLToPath(new URL("./moleculer.ts", import.meta.url));
const RAY = fileURLToPath(new URL("./ray-peer.py", import.meta.url));

/** moleculer's transporter wants the `nats` package of its own time. */
const MOLECULER_PACKAGES = ["moleculer@0.15.2", "nats@2.29.3"];
const RAY_PACKAGES = ["ray==2.60.0"];

type Install = (folder: string, packages: readonly string[]) => Promise<void>;

async function installWithPip(folder: string, packages: readonly string[]): Promise<void> {
  await run("python3", ["-m", "venv", folder], { timeout: INSTALL_MAX_MS });
  const pip = join(folder, "bin", "pip");
  await run(pip, ["install", "--quiet", "--disable-pip-version-check", ...packages], { timeout: INSTALL_MAX_MS });
}

async function installWithNpm(folder: string, packages: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), '{ "private": true }\n');
  const quietly = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  await run("npm", ["install", ...quietly, ...packages], { cwd: folder, timeout: INSTALL_MAX_MS });
}

/** The folder with exactly these packages. The stamp is written last, so a broken-off installation is made again. */
async function installed(name: PeerName, packages: readonly string[], install: Install): Promise<string> {
  const folder = join(FOLDER, name);
  const stamp = join(folder, "installed.txt");
  const wanted = packages.join("\n");
  if ((await readFile(stamp, "utf8").catch(() => "")) === wanted) return folder;
  process.stderr.write(`installing ${packages.join(", ")} …\n`);
  await rm(folder, { recursive: true, force: true });
  try {
    await install(folder, packages);
  } catch (error) {
    const { message, stderr } = error as { readonly message: string; readonly stderr?: string };
    throw new NotMeasured(`could not be installed: ${(stderr?.trim() || message).split("\n").at(-1)}`);
  }
  await writeFile(stamp, wanted);
  return folder;
}

/** What to start for each peer, against a nats-server where it uses one. Each throws NotMeasured when it cannot be installed. */
export const PROGRAMS: Readonly<Record<PeerName, (servers: string) => Promise<Command>>> = {
  ray: async () => [join(await installed("ray", RAY_PACKAGES, installWithPip), "bin", "python"), RAY],
  nats: async (servers) => [process.execPath, NATS, servers],
  moleculer: async (servers) => [
    process.execPath,
    MOLECULER,
    servers,
    await installed("moleculer", MOLECULER_PACKAGES, installWithNpm),
  ],
};
