// JSON that people write: what it says, or nothing where it is none. Its shape is the reader's to check.

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
