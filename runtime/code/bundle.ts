// One module with all that it imports, as one text that Node can load elsewhere.
// It is not where that text is kept (code-shipper.ts), and it runs nothing of the module.
//
// BU1  The runtime stays outside: whatever leads to it, by its path, by the package's name or through a link, becomes RUNTIME_SPECIFIER,
//      so that a node has one runtime however much code it loads.
// BU2  What cannot be found is an error here and not on the node.
// BU3  The same files give the same text, wherever they lie: it is named by its hash.

import { basename, dirname, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import type { Plugin, RolldownOptions } from "rolldown";
import type { FlotillaError } from "../errors.ts";
import { codeError } from "./errors.ts";
import { PACKAGE, RUNTIME_SPECIFIER, runtimeFile } from "./runtime-door.ts";

/** Largest text, in UTF-8 bytes. */
export const BUNDLE_MAX_BYTES = 8 * 1024 * 1024;

/** Problems that an error lists. */
const PROBLEMS_MAX = 5;

function failed(path: string, why: string, cause?: unknown): FlotillaError {
  return codeError("BundleFailed", `${path} cannot be bundled: ${why}`, { data: { path }, cause });
}

/** Keeps the runtime outside (BU1) and refuses what would only fail on the node (BU2). */
function boundary(): Plugin {
  const door = runtimeFile();
  const folder = dirname(door) + sep;
  return {
    name: "flotilla-boundary",
    async resolveId(source, importer, { kind }) {
      if (importer === undefined || source.startsWith("node:")) return null;
      if (source === PACKAGE) return { id: RUNTIME_SPECIFIER, external: true };
      const found = await this.resolve(source, importer, { kind, skipSelf: true });
      if (found === null) {
        // A package that is tried for and done without is found missing there as well as here.
        if (kind !== "import-statement" && !source.startsWith(".")) return { id: source, external: true };
        throw new Error(`"${source}", imported by ${importer}, is not there`);
      }
      if (found.id === door) return { id: RUNTIME_SPECIFIER, external: true };
      if (found.id.startsWith(folder)) {
        const inside = relative(dirname(dirname(door)), found.id)
          .split(sep)
          .join("/");
        throw new Error(
          `${importer} imports ${inside}, an inner file of the runtime; import from "${PACKAGE}" instead`,
        );
      }
      if (found.id.endsWith(".node")) {
        throw new Error(`${importer} imports ${basename(found.id)}, a binary that cannot travel in a text`);
      }
      return found;
    },
  };
}

function optionsFor(path: string): RolldownOptions {
  return {
    input: path,
    cwd: dirname(path),
    platform: "node",
    // Node reads no tsconfig when it runs the source, so neither does a bundle of it.
    tsconfig: false,
    transform: { target: "node24" },
    // Node does not ask whether an import has side effects either.
    treeshake: { moduleSideEffects: true },
    // BU3: marks with the paths of this machine would make the hash its own.
    experimental: { attachDebugInfo: "none" },
    plugins: [boundary()],
    logLevel: "silent",
  };
}

/** What of a bundler's problem is read here. */
interface Problem {
  readonly message: string;
  readonly loc?: { readonly file?: string; readonly line: number; readonly column: number };
}

/** "/a.ts:1:18 Unexpected token": the first line of its message, without colours and drawings. */
function inWords({ message, loc }: Problem): string {
  const lines = stripVTControlCharacters(message).split("\n");
  const said = lines.find((line) => line !== "" && !line.startsWith("[plugin "))?.replace(/^(Error: |\[\w+\] )/, "");
  return loc === undefined ? `${said}` : `${loc.file}:${loc.line}:${loc.column + 1} ${said}`;
}

/** The bundler's words, one problem after the other. */
function wordsOf(error: unknown): string {
  const problems = (error as { errors?: readonly Problem[] }).errors ?? [error as Problem];
  return problems.slice(0, PROBLEMS_MAX).map(inWords).join("; ");
}

async function textOf(path: string): Promise<string> {
  // Loaded when it is needed: it costs 100 ms and 21 MB that most processes never need.
  const { rolldown } = await import("rolldown");
  await using bundle = await rolldown(optionsFor(path));
  const { output } = await bundle.generate({ format: "esm", codeSplitting: false, sourcemap: false });
  const [chunk, ...rest] = output;
  if (rest.length > 0) throw new Error(`it needs files beside it: ${rest.map(({ fileName }) => fileName).join(", ")}`);
  return chunk.code;
}

/**
 * Bundles the module at a `file:` URL, with its local imports and its packages, to one ESM text for Node 24.
 * Throws BundleFailed, with the bundler's words, and BundleTooLarge.
 */
export async function bundleModule(url: string, maxBytes: number = BUNDLE_MAX_BYTES): Promise<string> {
  const path = fileURLToPath(url);
  const text = await textOf(path).catch((error: unknown) => {
    throw failed(path, wordsOf(error), error);
  });
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) {
    throw codeError("BundleTooLarge", `${path} makes a bundle of ${bytes} bytes; at most ${maxBytes} may travel`, {
      data: { path, bytes, maxBytes },
    });
  }
  return text;
}
