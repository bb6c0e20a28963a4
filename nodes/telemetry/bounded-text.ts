// The body of an answer as text, no more of it than was agreed. It judges no status.

/** Throws RangeError, and ends the connection, when the body is longer than `maxBytes`; else whatever reading it throws. */
export async function boundedText(answer: Response, maxBytes: number): Promise<string> {
  if (answer.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const part of answer.body as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > maxBytes) throw new RangeError(`its answer is longer than ${maxBytes} bytes`);
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}
