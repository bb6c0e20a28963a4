// Reads git's machine formats: NUL-separated, so that no file name or message can be taken for structure. Pure.
// What does not parse is left out only where git documents it as optional (headers); entries are never guessed.

/** One path of `git status`. `index` and `worktree` are git's letters: M, A, D, R, C, T, U, or "." for unchanged. */
export interface StatusEntry {
  readonly path: string;
  readonly kind: "changed" | "renamed" | "conflicted" | "untracked";
  readonly index: string;
  readonly worktree: string;
  /** Present for a rename: the name before. */
  readonly from?: string;
}

export interface Status {
  /** Full hash; null in a repository without commits. */
  readonly head: string | null;
  /** Null when HEAD is detached. */
  readonly branch: string | null;
  readonly entries: readonly StatusEntry[];
}

/** The output of `git status --porcelain=v2 --branch -z`. */
export function parseStatus(output: string): Status {
  const records = output.split("\0");
  const entries: StatusEntry[] = [];
  let head: string | null = null;
  let branch: string | null = null;
  for (let at = 0; at < records.length; at += 1) {
    const record = records[at] ?? "";
    if (record.startsWith("# branch.oid ")) head = optional(record.slice(13), "(initial)");
    else if (record.startsWith("# branch.head ")) branch = optional(record.slice(14), "(detached)");
    else if (record.startsWith("2 ")) entries.push({ ...entryOf(record, 9, "renamed"), from: records[++at] ?? "" });
    else if (record.startsWith("1 ")) entries.push(entryOf(record, 8, "changed"));
    else if (record.startsWith("u ")) entries.push(entryOf(record, 10, "conflicted"));
    else if (record.startsWith("? "))
      entries.push({ path: record.slice(2), kind: "untracked", index: "?", worktree: "?" });
  }
  return { head, branch, entries };
}

const optional = (value: string, absent: string) => (value === absent ? null : value);

/** `fieldCount` fields stand before the path, which may itself hold blanks. */
function entryOf(record: string, fieldCount: number, kind: StatusEntry["kind"]): StatusEntry {
  const fields = record.split(" ");
  const letters = fields[1] ?? "..";
  return { path: fields.slice(fieldCount).join(" "), kind, index: letters.charAt(0), worktree: letters.charAt(1) };
}

export interface LogEntry {
  readonly commit: string;
  readonly parents: readonly string[];
  readonly author: string;
  readonly email: string;
  /** ISO 8601 with zone. */
  readonly date: string;
  readonly message: string;
}

/** Six fields a commit, each ended by NUL: a message may hold anything but NUL. */
export const LOG_FORMAT = "%H%x00%P%x00%an%x00%ae%x00%aI%x00%B";
const LOG_FIELDS = 6;

/** The output of `git log -z --format=tformat:LOG_FORMAT`. */
export function parseLog(output: string): readonly LogEntry[] {
  const fields = output.split("\0");
  const entries: LogEntry[] = [];
  for (let at = 0; at + LOG_FIELDS <= fields.length; at += LOG_FIELDS) {
    const [commit = "", parents = "", author = "", email = "", date = "", message = ""] = fields.slice(
      at,
      at + LOG_FIELDS,
    );
    const parentList = parents.split(" ").filter((parent) => parent !== "");
    entries.push({ commit, parents: parentList, author, email, date, message: message.trimEnd() });
  }
  return entries;
}

export interface FileStat {
  readonly path: string;
  /** Lines; 0 for a binary file. */
  readonly added: number;
  readonly deleted: number;
  readonly binary: boolean;
}

/** The output of `git diff --numstat -z --no-renames`. */
export function parseNumstat(output: string): readonly FileStat[] {
  return output.split("\0").flatMap((record) => {
    const [added, deleted, ...path] = record.split("\t");
    if (added === undefined || deleted === undefined) return [];
    const binary = added === "-";
    return [
      { path: path.join("\t"), added: binary ? 0 : Number(added), deleted: binary ? 0 : Number(deleted), binary },
    ];
  });
}

/** Lines of a NUL-separated list, the empty rest left out. */
export const parseList = (output: string): readonly string[] => output.split("\0").filter((item) => item !== "");

/** The output of `git config -z --list`: the last value of each key counts, as it does for git. */
export function parseConfig(output: string): ReadonlyMap<string, string> {
  return new Map(
    parseList(output).map((item) => {
      const end = item.indexOf("\n");
      return end < 0 ? [item, ""] : [item.slice(0, end), item.slice(end + 1)];
    }),
  );
}
