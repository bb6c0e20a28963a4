// A real Kubernetes control plane for tests: etcd, the API server and the controllers that Jobs need, on free ports of this host. There is no
// kubelet and no scheduler: kubelet.ts plays both.
//
//     FLOTILLA_K8S_BIN    folder with kube-apiserver and kube-controller-manager (and etcd, unless it is on the PATH). docs/workspaces.md says
//                         how to build them.
//
// CP1  Each program is a child of this process, ended by its own handle, the API server before etcd: without etcd it never ends.

import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";
import { systemRandom } from "../../runtime/index.ts";
import { makeFolder } from "./git-repository.ts";
import { waitUntil } from "./wait-until.ts";

const READY_MAX_MS = 60_000;
const LEAVE_MAX_MS = 10_000;
/** ServiceAccounts as well: a Pod gets a token unless it says that it wants none, and a test must be able to see that. */
const CONTROLLERS = "job,garbagecollector,namespace,ttl-after-finished,serviceaccount";

export interface ControlPlanePrograms {
  readonly etcd: string;
  readonly apiServer: string;
  readonly controllers: string;
}

/** Where the programs are, or why there is no control plane. */
export function controlPlanePrograms(env: NodeJS.ProcessEnv = process.env): ControlPlanePrograms | { missing: string } {
  const folders = [env.FLOTILLA_K8S_BIN ?? "", ...(env.PATH ?? "").split(delimiter)].filter((folder) => folder !== "");
  const find = (name: string) => folders.map((folder) => join(folder, name)).find(isProgram);
  const [etcd, apiServer, controllers] = [find("etcd"), find("kube-apiserver"), find("kube-controller-manager")];
  if (etcd !== undefined && apiServer !== undefined && controllers !== undefined)
    return { etcd, apiServer, controllers };
  const names = { etcd, "kube-apiserver": apiServer, "kube-controller-manager": controllers };
  const lacking = Object.entries(names).filter(([, path]) => path === undefined);
  const said = lacking.map(([name]) => name).join(", ");
  return { missing: `no ${said} on the PATH or in FLOTILLA_K8S_BIN; docs/workspaces.md says how to build them` };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export class ControlPlane implements AsyncDisposable {
  readonly folder: string;
  readonly url: string;
  /** Of somebody who may do everything. */
  readonly kubeconfig: string;
  readonly #port: number;
  readonly #etcdUrl: string;
  readonly #programs: ControlPlanePrograms;
  readonly #own: AsyncDisposable;
  readonly #running: { etcd?: Program; apiServer?: Program; controllers?: Program } = {};

  private constructor(
    programs: ControlPlanePrograms,
    folder: { readonly path: string } & AsyncDisposable,
    port: number,
    etcdUrl: string,
  ) {
    this.#programs = programs;
    this.#own = folder;
    this.folder = folder.path;
    this.#port = port;
    this.#etcdUrl = etcdUrl;
    this.url = `https://127.0.0.1:${port}`;
    this.kubeconfig = join(this.folder, "admin.json");
  }

  static async start(programs: ControlPlanePrograms): Promise<ControlPlane> {
    const folder = await makeFolder("flotilla-k8s-");
    const [port, etcdPort, peerPort] = [await freePort(), await freePort(), await freePort()];
    const plane = new ControlPlane(programs, folder, port, `http://127.0.0.1:${etcdPort}`);
    try {
      await plane.#begin(`http://127.0.0.1:${peerPort}`);
      return plane;
    } catch (error) {
      await plane[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Certificate and key that the API server made for itself. */
  async certificate(): Promise<{ readonly cert: string; readonly key: string }> {
    const [cert, key] = ["crt", "key"].map((ending) =>
      readFile(join(this.folder, `certs/apiserver.${ending}`), "utf8"),
    );
    return { cert: (await cert) ?? "", key: (await key) ?? "" };
  }

  /** A kubeconfig for somebody with this token. */
  async configFor(name: string, token: string, namespace: string): Promise<string> {
    const path = join(this.folder, `${name}.json`);
    const cluster = { server: this.url, "insecure-skip-tls-verify": true };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster }],
      users: [{ name, user: { token } }],
      contexts: [{ name: "test", context: { cluster: "test", user: name, namespace } }],
      "current-context": "test",
    };
    await writeFile(path, JSON.stringify(config));
    return path;
  }

  /** As a crash: SIGKILL. */
  async killApiServer(): Promise<void> {
    await this.#running.apiServer?.end("SIGKILL");
  }

  async startApiServer(): Promise<void> {
    const at = (name: string) => join(this.folder, name);
    const args = [
      `--etcd-servers=${this.#etcdUrl}`,
      "--service-account-issuer=https://fleet.test",
      `--service-account-key-file=${at("sa.key")}`,
      `--service-account-signing-key-file=${at("sa.key")}`,
      `--secure-port=${this.#port}`,
      "--bind-address=127.0.0.1",
      `--cert-dir=${at("certs")}`,
      `--token-auth-file=${at("tokens.csv")}`,
      "--authorization-mode=RBAC",
      "--service-cluster-ip-range=10.0.0.0/24",
    ];
    this.#running.apiServer = await Program.start(this.#programs.apiServer, args, at("apiserver.log"));
    await this.#running.apiServer.ready(() => isReady(`${this.url}/readyz`));
  }

  async #begin(peerUrl: string): Promise<void> {
    const at = (name: string) => join(this.folder, name);
    const token = systemRandom.id() + systemRandom.id();
    const key = generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey;
    await writeFile(at("sa.key"), key.export({ type: "pkcs1", format: "pem" }));
    await writeFile(at("tokens.csv"), `${token},admin,admin,system:masters\n`);
    await mkdir(at("certs"));
    await this.configFor("admin", token, "default");
    const etcd = [
      "--data-dir",
      at("etcd"),
      "--listen-client-urls",
      this.#etcdUrl,
      "--advertise-client-urls",
      this.#etcdUrl,
    ];
    const peers = ["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl];
    const cluster = ["--initial-cluster", `default=${peerUrl}`, "--unsafe-no-fsync"];
    this.#running.etcd = await Program.start(this.#programs.etcd, [...etcd, ...peers, ...cluster], at("etcd.log"));
    await this.startApiServer();
    const args = [
      `--kubeconfig=${this.kubeconfig}`,
      `--service-account-private-key-file=${at("sa.key")}`,
      `--controllers=${CONTROLLERS}`,
      "--leader-elect=false",
      "--secure-port=0",
    ];
    this.#running.controllers = await Program.start(this.#programs.controllers, args, at("controllers.log"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // CP1
    for (const program of [this.#running.controllers, this.#running.apiServer, this.#running.etcd]) {
      await program?.end("SIGTERM");
    }
    await this.#own[Symbol.asyncDispose]();
  }
}

class Program {
  readonly #child: ChildProcess;
  readonly #logPath: string;
  readonly #ended: Promise<unknown>;
  #isOver = false;

  private constructor(child: ChildProcess, logPath: string) {
    this.#child = child;
    this.#logPath = logPath;
    this.#ended = once(child, "exit").then(() => {
      this.#isOver = true;
    });
  }

  static async start(program: string, args: readonly string[], logPath: string): Promise<Program> {
    const log = await open(logPath, "a");
    const child = spawn(program, args, { stdio: ["ignore", log.fd, log.fd] });
    await once(child, "spawn").finally(() => log.close());
    return new Program(child, logPath);
  }

  async ready(check: () => Promise<boolean>): Promise<void> {
    await waitUntil("the program is ready", async () => this.#isOver || (await check()), READY_MAX_MS);
    if (this.#isOver) throw new Error(`it ended:\n${(await readFile(this.#logPath, "utf8")).slice(-3_000)}`);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.#isOver) this.#child.kill(signal);
    await waitUntil("the program ends", () => this.#isOver, LEAVE_MAX_MS).catch(() => this.#child.kill("SIGKILL"));
    await this.#ended;
  }
}

function isReady(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asking = request(url, { rejectUnauthorized: false }, (reply) => {
      reply.resume();
      resolve(reply.statusCode === 200);
    });
    asking.on("error", () => resolve(false)).end();
  });
}

/** These programs cannot be asked which port they took. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
