// Text files as the tools read and write them: bounded, UTF-8, replaced whole or not at all.
// It is not where a path is judged (workspace/paths.ts): what comes in here is already inside the workspace.
//
// F1  A file is replaced by renaming a finished neighbour over it: a reader never sees half of it, and what a hard link shares stays as it was.
// F2  Neither the file nor its neighbour is opened through a link.
// F3  Text goes in and out byte for byte: a byte order mark and line ends stay; what is not UTF-8 is refused, never repaired.
// F4  Not promised: that the text survives a loss of power (clones are disposable), nor two writers of one file at one moment.

import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isBinaryFile } from "isbinaryfile";
import { ToolFailure } from "../tool.ts";
import type { ResolvedPath } from "../workspace/paths.ts";
import { withFileErrors } from "./file-failure.ts";

/** Largest file that is read, and largest that is written. */
export const FILE_MAX_BYTES = 10 * 1024 * 1024;

export interface TextFile {
  readonly text: string;
  readonly bytes: number;
  /** Permission bits. */
  readonly mode: number;
}

/** Not blocking, because opening a pipe that nobody writes to would wait for ever. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Fails with `no-such-file`, `is-a-folder`, `not-a-file`, `too-large`, `binary-file` or `not-utf8`. */
export function readText(path: ResolvedPath): Promise<TextFile> {
  return withFileErrors(path.relative, async () => {
    await using file = await open(path.absolute, READ_FLAGS);
    const { size, mode } = await regularFile(file, path.relative);
    const bytes = await readUpTo(file, FILE_MAX_BYTES + 1);
    if (Math.max(size, bytes.length) > FILE_MAX_BYTES)
      throw tooLarge(`The file ${path.relative}`, Math.max(size, bytes.length));
    return { text: await decode(bytes, path.relative), bytes: bytes.length, mode: mode & 0o777 };
  });
}

/** Like `readText`; undefined when there is no such file. */
export async function readTextIfAny(path: ResolvedPath): Promise<TextFile | undefined> {
  try {
    return await readText(path);
  } catch (error) {
    if (error instanceof ToolFailure && error.code === "no-such-file") return undefined;
    throw error;
  }
}

/** Replaces or makes a file; its folder must exist. `mode` is kept from the file that was there. Returns the bytes written. */
export function replaceFile(path: ResolvedPath, text: string, mode?: number): Promise<number> {
  const bytes = encode(text);
  const neighbour = join(dirname(path.absolute), `.flotilla-${randomUUID()}.tmp`);
  return withFileErrors(path.relative, async () => {
    try {
      // "wx" is O_EXCL: it fails on anything that is already there, a link included (F2).
      await using file = await open(neighbour, "wx", 0o666);
      await file.writeFile(bytes);
      if (mode !== undefined) await file.chmod(mode);
      await rename(neighbour, path.absolute);
    } catch (error) {
      await rm(neighbour, { force: true });
      throw error;
    }
    return bytes.length;
  });
}

/** The permission bits of the file that `path` would replace; undefined when there is none. Refuses links, folders and devices. */
export function modeOf(path: ResolvedPath): Promise<number | undefined> {
  return withFileErrors(path.relative, async () => {
    try {
      await using file = await open(path.absolute, READ_FLAGS);
      return (await regularFile(file, path.relative)).mode & 0o777;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  });
}

async function regularFile(file: FileHandle, name: string) {
  const stats = await file.stat();
  if (stats.isDirectory()) throw new ToolFailure("is-a-folder", `${name || "."} is a folder; name a file.`);
  if (!stats.isFile())
    throw new ToolFailure("not-a-file", `${name} is a device, pipe or socket; only files and folders can be used.`);
  return stats;
}

/** Reads at most `maxBytes`, whatever size the file claims: one that grows while it is read must not fill the memory. */
async function readUpTo(file: FileHandle, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  while (total < maxBytes) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(64 * 1024, maxBytes - total)));
    if (bytesRead === 0) break;
    chunks.push(buffer.subarray(0, bytesRead));
    total += bytesRead;
  }
  return Buffer.concat(chunks, total);
}

async function decode(bytes: Buffer, name: string): Promise<string> {
  if (await isBinaryFile(bytes)) {
    throw new ToolFailure("binary-file", `${name} is binary (${bytes.length} bytes); files.info tells its size.`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ToolFailure("not-utf8", `${name} is text in another encoding than UTF-8; convert it first.`);
  }
}

function encode(text: string): Buffer {
  if (!text.isWellFormed())
    throw new ToolFailure(
      "not-utf8",
      "The text holds half of a surrogate pair, so it is not Unicode; send whole characters.",
    );
  const bytes = Buffer.from(text);
  if (bytes.length > FILE_MAX_BYTES) throw tooLarge("The text", bytes.length);
  return bytes;
}

const tooLarge = (what: string, bytes: number) =>
  new ToolFailure("too-large", `${what} has ${bytes} bytes; the limit is ${FILE_MAX_BYTES}.`);
