// Looks through MessagePack bytes from outside before anybody decodes them, so that a decoder only ever meets what our own encoder makes.
// It builds nothing and understands no envelope (codec.ts).
//
// SC1  Passed: nil, booleans, numbers up to 64-bit floats, strings, byte strings, arrays, maps, and the one extension that means
//      `undefined`. Everything else (records, other extensions, 64-bit integers) is refused: MessagePack readers act on those
//      whatever their options say.
// SC2  One value, to the last byte; no container says it holds more than there are bytes left; nesting stays under DEPTH_MAX. So the
//      work and the memory of decoding are bounded by the length of the bytes.

/** What a user may nest (copy.ts), times the levels that a tagged Map costs. */
const DEPTH_MAX = 1_024;

/** `tagged`: something in it begins with NUL or is a byte string, so values in it may need more than decoding (codec.ts). */
export type Scanned = "plain" | "tagged" | "refused";

/** Bytes after the head byte that are the value itself, for the types of fixed size: 0xc0 … 0xd3; -1 is refused (SC1). */
const FIXED: readonly number[] = [0, -1, 0, 0, -1, -1, -1, -1, -1, -1, 4, 8, 1, 2, 4, -1, 1, 2, 4, -1];

export class Scanner {
  /** Items still to come in each open container. */
  readonly #open = new Int32Array(DEPTH_MAX);

  scan(bytes: Uint8Array): Scanned {
    const { length } = bytes;
    const open = this.#open;
    let depth = 0;
    let left = 1;
    let at = 0;
    let tagged = false;
    for (;;) {
      while (left === 0) {
        if (depth === 0) return at === length ? (tagged ? "tagged" : "plain") : "refused";
        left = open[--depth] as number;
      }
      left--;
      if (at >= length) return "refused";
      const head = bytes[at++] as number;
      if (head < 0x80 || head >= 0xe0) continue;
      let items: number;
      if (head >= 0xa0 && head < 0xc0) {
        const size = head & 0x1f;
        if (size > 0 && bytes[at] === 0) tagged = true;
        at += size;
        continue;
      }
      if (head < 0xa0) items = head < 0x90 ? (head & 0x0f) * 2 : head & 0x0f;
      else if (head < 0xd4) {
        const size = FIXED[head - 0xc0] as number;
        if (size >= 0) {
          at += size;
          continue;
        }
        // bin 8, 16, 32
        if (head < 0xc4 || head > 0xc6) return "refused";
        tagged = true;
        at = skip(bytes, at, 1 << (head - 0xc4));
        continue;
      } else if (head === 0xd4) {
        // fixext 1 of type 0 holding 0 is `undefined`.
        if (bytes[at] !== 0 || bytes[at + 1] !== 0) return "refused";
        at += 2;
        continue;
      } else if (head >= 0xd9 && head <= 0xdb) {
        const width = 1 << (head - 0xd9);
        if (bytes[at + width] === 0) tagged = true;
        at = skip(bytes, at, width);
        continue;
      } else if (head >= 0xdc) {
        const width = head === 0xdc || head === 0xde ? 2 : 4;
        items = read(bytes, at, width) * (head >= 0xde ? 2 : 1);
        at += width;
      } else return "refused";
      // Each item takes a byte at least (SC2); NaN, from a length cut short, fails here as well.
      if (!(items <= length - at) || depth === DEPTH_MAX) return "refused";
      open[depth++] = left;
      left = items;
    }
  }
}

/** Past a length of `width` bytes and as many bytes as it says; beyond the end when it is cut short. */
function skip(bytes: Uint8Array, at: number, width: number): number {
  const next = at + width + read(bytes, at, width);
  return Number.isNaN(next) ? Number.POSITIVE_INFINITY : next;
}

function read(bytes: Uint8Array, at: number, width: number): number {
  let value = 0;
  for (let index = at; index < at + width; index++) value = value * 256 + (bytes[index] ?? Number.NaN);
  return value;
}
