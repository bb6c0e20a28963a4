// The signal by which a command is told to stop, waited for.

/** Resolves when the signal aborts; at once when it has. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve())));
