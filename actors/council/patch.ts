// What a patch says, without how it is laid out: a key that is equal for patches that make the same change.
// It is not a judge: whether the change is right is for tests (score-parts.ts).
//
// P1  Only trailing white space and blank lines are dropped. Indentation stays: in Python it is the program.
// P2  What cannot be read (binary files, renames, a cut patch) is compared byte for byte, so in doubt two patches differ.

import { createHash } from "node:crypto";
import { parsePatch, type StructuredPatch, type StructuredPatchHunk } from "diff";

/** A key that is equal for unified diffs, taken from one base, that make the same change. */
export function patchKey(diff: string): string {
  const files = parse(diff);
  const normal = files === undefined ? diff : JSON.stringify(files.map(normalFile).sort(byPath));
  return createHash("sha256").update(normal).digest("hex");
}

/** Line numbers in the changed files that the patch wrote; `undefined` when it cannot be read. */
export function addedLines(diff: string): ReadonlyMap<string, ReadonlySet<number>> | undefined {
  const files = parse(diff);
  return files && new Map(files.map((file) => [pathOf(file), new Set(file.hunks.flatMap(addedInHunk))]));
}

function parse(diff: string): StructuredPatch[] | undefined {
  try {
    const files = parsePatch(diff);
    return files.length > 0 && files.every(isReadable) ? files : undefined;
  } catch {
    return undefined;
  }
}

const isReadable = (file: StructuredPatch): boolean =>
  pathOf(file) !== "" && file.hunks.length > 0 && !file.isRename && !file.isCopy;

function pathOf(file: StructuredPatch): string {
  const name = file.isDelete ? file.oldFileName : file.newFileName;
  return (name ?? "").replace(/^[ab]\//, "");
}

interface NormalFile {
  readonly path: string;
  readonly hunks: readonly unknown[];
  readonly modes: readonly unknown[];
}

function normalFile(file: StructuredPatch): NormalFile {
  const hunks = file.hunks.map(normalHunk).filter((hunk) => hunk.lines.some(isChange));
  return { path: pathOf(file), hunks, modes: [file.oldMode ?? "", file.newMode ?? ""] };
}

function normalHunk(hunk: StructuredPatchHunk): { oldStart: number; lines: readonly string[] } {
  const lines = hunk.lines.map((line) => line.trimEnd()).filter((line) => line.length > 1 && !line.startsWith("\\"));
  return { oldStart: hunk.oldStart, lines };
}

const isChange = (line: string): boolean => line.startsWith("+") || line.startsWith("-");

function addedInHunk(hunk: StructuredPatchHunk): number[] {
  const added: number[] = [];
  let line = hunk.newStart;
  for (const text of hunk.lines) {
    if (text.startsWith("+")) added.push(line);
    if (text.startsWith("+") || text.startsWith(" ")) line++;
  }
  return added;
}

function byPath(a: NormalFile, b: NormalFile): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}
