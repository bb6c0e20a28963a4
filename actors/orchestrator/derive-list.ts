// The steps of a plan that is written as text: the top items of its Markdown lists, each with all that belongs to it, word for word.
// It is not what a step means (derive-words.ts).
//
// DL1  An item's text is the author's: nested items, continued lines and code stay in it as they are written.
// DL2  Lists under headings that name no work (risks, what is out of scope) are no steps; nor is what is ticked off.

export interface PlanItem {
  /** Of a numbered list; a bullet has none. Markdown may write 1. for each: then they are counted. */
  readonly number: number | undefined;
  /** Its first line. */
  readonly head: string;
  /** The whole item, without its own bullet and indentation. */
  readonly text: string;
  /** Ticked off: [x]. */
  readonly done: boolean;
}

const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])(\s+)(?=\S)/;
const BOX = /^\[([ xX])\]\s+/;
const RULE = /^\s*(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$/;
const HEADING = /^ {0,3}(#{1,6})\s+(\S.*)$/;
/** A line that stands for a heading: "Risks:", "**Out of scope**". */
const LABEL = /^(?:\*\*([^*]{1,60})\*\*:?|([^.*\s][^.*]{0,60}):)\s*$/;
const LABEL_LEVEL = 7;
const FENCE = /^\s*(`{3,}|~{3,})/;
const ASIDE =
  /^(?:risks?|out of scope|non-?goals?|open questions|questions|background|context|alternatives|assumptions|references|rationale|acceptance criteria|definition of done)$/i;

const TAB = 4;
const indentOf = (line: string): number => /^\s*/.exec(line)?.[0].replaceAll("\t", " ".repeat(TAB)).length ?? 0;

interface OpenItem {
  readonly number: number | undefined;
  readonly indent: number;
  readonly done: boolean;
  readonly lines: string[];
}

export function planItems(markdown: string): readonly PlanItem[] {
  const reader = new ListReader();
  for (const line of markdown.split(/\r?\n/)) reader.read(line);
  return reader.items.map(({ number, done, lines: [head = "", ...rest] }) => {
    return { number, done, head: head.trim(), text: [head, ...dedented(rest)].join("\n").trim() };
  });
}

/** Without the indentation that the lines share. */
function dedented(lines: readonly string[]): readonly string[] {
  const shared = Math.min(...lines.filter((line) => line.trim() !== "").map(indentOf));
  return lines.map((line) => {
    const width = indentOf(line);
    return width === 0 ? line : " ".repeat(Math.max(0, width - shared)) + line.trimStart();
  });
}

class ListReader {
  readonly items: OpenItem[] = [];
  #open: OpenItem | undefined;
  /** What closes the code block that the lines are in. */
  #fence: string | undefined;
  /** Level of the heading that began an aside (DL2). */
  #aside: number | undefined;
  /** Of the last numbered item since the last heading. */
  #number = 0;

  read(line: string): void {
    const fence = FENCE.exec(line)?.[1];
    if (this.#fence !== undefined || fence !== undefined) return this.#code(line, fence);
    const heading = HEADING.exec(line);
    if (heading !== null) return this.#heading(heading[1]?.length ?? 1, heading[2] ?? "");
    const item = RULE.test(line) ? null : ITEM.exec(line);
    if (item !== null) return this.#item(line, item);
    const label = LABEL.exec(line);
    if (label !== null) return this.#heading(LABEL_LEVEL, label[1] ?? label[2] ?? "");
    this.#text(line);
  }

  #code(line: string, fence: string | undefined): void {
    this.#open?.lines.push(line);
    if (this.#fence === undefined) this.#fence = fence;
    else if (fence?.startsWith(this.#fence)) this.#fence = undefined;
  }

  #heading(level: number, title: string): void {
    this.#open = undefined;
    this.#number = 0;
    if (this.#aside !== undefined && level > this.#aside) return;
    this.#aside = ASIDE.test(title.replace(/[*:#]/g, "").trim()) ? level : undefined;
  }

  #item(line: string, [marker, , written]: RegExpExecArray): void {
    const indent = indentOf(line);
    if (this.#open !== undefined && indent > this.#open.indent + 1) return void this.#open.lines.push(line);
    if (this.#aside !== undefined) return;
    const content = line.slice(marker?.length);
    const box = BOX.exec(content);
    const head = box === null ? content : content.slice(box[0].length);
    this.#open = { number: this.#counted(written), indent, done: /x/i.test(box?.[1] ?? ""), lines: [head] };
    this.items.push(this.#open);
  }

  #counted(written: string | undefined): number | undefined {
    if (written === undefined) return undefined;
    const number = Number(written);
    this.#number = number === this.#number ? number + 1 : number;
    return this.#number;
  }

  /** A paragraph that begins at the margin after an empty line belongs to no item. */
  #text(line: string): void {
    const isParagraph = line.trim() !== "" && indentOf(line) === 0 && this.#open?.lines.at(-1)?.trim() === "";
    if (isParagraph) this.#open = undefined;
    this.#open?.lines.push(line);
  }
}
