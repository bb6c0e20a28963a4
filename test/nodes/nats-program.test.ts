// Where a nats-server is looked for and how one is got. Programs here are scripts that say a version; nothing is built or downloaded.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { findNatsServer } from "../../nodes/index.ts";
import { isAtLeast, NATS_SERVER_GOT } from "../../nodes/nats-program.ts";
import { programPlaces } from "../../nodes/options.ts";
import { caught } from "../support/caught.ts";
import { makeFolder } from "../support/git-repository.ts";

const said = (version: string) => `#!/bin/sh\necho "nats-server: v${version}"\n`;

async function put(path: string, script: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, script);
  await chmod(path, 0o755);
  return path;
}

/** A folder for programs, one for the cache, and a release page that nobody serves. */
async function makePlaces() {
  const folder = await makeFolder("flotilla-find-");
  const programs = join(folder.path, "programs");
  const cache = join(folder.path, "cache");
  await mkdir(programs);
  const lines: string[] = [];
  return {
    programs,
    cache,
    lines,
    options: {
      places: { path: [programs], go: [programs], cache },
      say: (line: string) => void lines.push(line),
      releases: "http://127.0.0.1:9/releases",
    },
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
  };
}

describe("findNatsServer", () => {
  it("takes the first on the PATH that is new enough", async () => {
    await using places = await makePlaces();
    const found = await put(join(places.programs, "nats-server"), said("2.14.3"));
    expect(await findNatsServer(places.options)).toBe(found);
    expect(places.lines).toEqual([]);
  });

  it("passes over an old one, and over what is no nats-server, for the cache's", async () => {
    await using places = await makePlaces();
    const cached = await put(join(places.cache, "bin/nats-server"), said("2.15.2"));
    for (const script of [said("2.9.10"), "#!/bin/sh\nexit 1\n"]) {
      await put(join(places.programs, "nats-server"), script);
      expect(await findNatsServer(places.options)).toBe(cached);
    }
  });

  it("builds one with Go, says so, and leaves nothing else in the cache", async () => {
    await using places = await makePlaces();
    const script = said(NATS_SERVER_GOT).replaceAll("$", "\\$").replaceAll('"', '\\"');
    await put(
      join(places.programs, "go"),
      `#!/bin/sh\n[ "$1 $2" = "install github.com/nats-io/nats-server/v2@v2.15.2" ] || exit 3\nprintf '%b' "${script.replaceAll("\n", "\\n")}" > "$GOBIN/nats-server"\nchmod 755 "$GOBIN/nats-server"\n`,
    );
    const found = await findNatsServer(places.options);
    expect(found).toBe(join(places.cache, "bin/nats-server"));
    expect(await readdir(join(places.cache, "bin"))).toEqual(["nats-server"]);
    expect(places.lines).toEqual([expect.stringContaining("building nats-server 2.15.2")]);
  });

  it("downloads one whose sum is right, and refuses one whose sum is wrong", async () => {
    await using places = await makePlaces();
    const machine = { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch;
    const name = `nats-server-v${NATS_SERVER_GOT}-${process.platform}-${machine}`;
    const made = join(places.cache, "made");
    await put(join(made, name, "nats-server"), said(NATS_SERVER_GOT));
    await promisify(execFile)("tar", ["-czf", "archive.tar.gz", name], { cwd: made });
    const archive = await readFile(join(made, "archive.tar.gz"));
    const files = new Map<string, Buffer | string>([[`/v${NATS_SERVER_GOT}/${name}.tar.gz`, archive]]);
    const server = createServer((request, answer) => {
      const file = files.get(request.url ?? "");
      answer.writeHead(file === undefined ? 404 : 200).end(file);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const options = {
      ...places.options,
      releases: `http://127.0.0.1:${port}`,
    };
    try {
      files.set(`/v${NATS_SERVER_GOT}/SHA256SUMS`, `${"0".repeat(64)}  ${name}.tar.gz\n`);
      const error = await caught(findNatsServer(options));
      expect(error.code).toBe("NatsServerMissing");
      expect(error.message).toContain("does not have the sum that SHA256SUMS says");
      const sum = createHash("sha256").update(archive).digest("hex");
      files.set(`/v${NATS_SERVER_GOT}/SHA256SUMS`, `${sum}  ${name}.tar.gz\n`);
      expect(await findNatsServer(options)).toBe(join(places.cache, "bin/nats-server"));
      expect(await readdir(join(places.cache, "bin"))).toEqual(["nats-server"]);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it("names everything it tried and every way to get one", async () => {
    await using places = await makePlaces();
    await put(join(places.programs, "nats-server"), said("2.9.10"));
    await put(join(places.programs, "go"), "#!/bin/sh\necho 'no network' >&2\nexit 1\n");
    const error = await caught(findNatsServer(places.options));
    expect(error.code).toBe("NatsServerMissing");
    for (const words of [
      "version 2.9.10",
      "go install failed: no network",
      "could not be fetched",
      "go install github.com/nats-io/nats-server/v2@v2.15.2",
      "http://127.0.0.1:9/releases/v2.15.2/",
    ]) {
      expect(error.message).toContain(words);
    }
  });
});

it("compares versions by number", () => {
  expect(["2.14.3", "2.14.10", "2.15.0", "3.0.0"].filter((version) => !isAtLeast(version, "2.14.3"))).toEqual([]);
  expect(["2.14.2", "2.9.99", "1.99.99"].filter((version) => isAtLeast(version, "2.14.3"))).toEqual([]);
});

it("looks for the cache where FLOTILLA_CACHE says, else in the home folder", () => {
  expect(programPlaces({ PATH: "/a::/b", FLOTILLA_CACHE: "/c" })).toMatchObject({ path: ["/a", "/b"], cache: "/c" });
  expect(programPlaces({}).cache).toMatch(/\.cache\/flotilla$/);
});
