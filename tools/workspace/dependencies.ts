// Lends a clone the packages that its source has installed: a clone holds only what is committed, and without node_modules no test
// of a JavaScript project runs. It installs nothing.
//
//     clone/node_modules/            a folder of its own, writable: tools keep caches there
//       react ─────────▶ source/node_modules/react            read-only where the sandbox can
//       @scope/name ───▶ source/node_modules/@scope/name
//       my-part ───────▶ clone/packages/my-part               a workspace's own package: the agent's version, not the user's
//
// LD1  Packages are links, never copies: they cost nothing, and what an agent writes through one is refused by the sandbox.
// LD2  The folder is named in the clone's own exclude file, so no agent commits it.
//
// Python needs no lending: its virtual environment is found through PATH.

import { appendFile, mkdir, readdir, realpath, symlink } from "node:fs/promises";
import { join, relative } from "node:path";

const FOLDER = "node_modules";
/** Caches of tools, which must be the clone's own. */
const OWN: ReadonlySet<string> = new Set([".vite", ".vite-temp", ".vitest", ".cache", ".package-lock.json"]);

/** Links `source`'s installed packages into `clone`. Answers how many; 0 when there are none, or the clone has its own. */
export async function lendDependencies({ source, clone }: { source: string; clone: string }): Promise<number> {
  const from = join(await realpath(source), FOLDER);
  const names = await packageNames(from);
  if (names.length === 0) return 0;
  const into = join(await realpath(clone), FOLDER);
  // Committed packages are the repository's choice.
  if (!(await mkdir(into).then(() => true, isThere))) return 0;
  await mkdir(join(clone, ".git/info"), { recursive: true });
  await appendFile(join(clone, ".git/info/exclude"), `/${FOLDER}/\n`);
  const scopes = new Set(names.filter((name) => name.includes("/")).map((name) => name.slice(0, name.indexOf("/"))));
  for (const scope of scopes) await mkdir(join(into, scope));
  await Promise.all(
    names.map(async (name) => symlink(await targetOf(join(from, name), source, clone), join(into, name))),
  );
  return names.length;
}

function isThere(error: NodeJS.ErrnoException): false {
  if (error.code === "EEXIST") return false;
  throw error;
}

/** "react", "@scope/name", ".bin": every entry to link. */
async function packageNames(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  const nested = names.map(async (name) => {
    if (!name.startsWith("@")) return OWN.has(name) ? [] : [name];
    return (await readdir(join(folder, name))).map((inner) => `${name}/${inner}`);
  });
  return (await Promise.all(nested)).flat();
}

/** Where a link should lead: to the installed package, or for a package that the repository itself holds to the clone's copy of it. */
async function targetOf(entry: string, source: string, clone: string): Promise<string> {
  const real = await realpath(entry).catch(() => entry);
  const inside = relative(await realpath(source), real);
  const isOwnPackage = !inside.startsWith("..") && !inside.split("/").includes(FOLDER);
  return isOwnPackage ? join(clone, inside) : entry;
}
