// Structured log lines. Where they go is passed in; the runtime itself never prints.

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogLine {
  readonly level: LogLevel;
  readonly atMs: number;
  readonly node: string;
  /** Printed address of the actor that speaks; absent for the system itself. */
  readonly actor?: string;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Takes one line; must not throw and must not block. */
export type LogSink = (line: LogLine) => void;

/** The default: nowhere. */
export const silentLog: LogSink = () => {};
