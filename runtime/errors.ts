// The errors of the house: one class, a table of stable codes for each folder that throws.
// It is not where anything is decided; code that decides reads `code`, never the message.
//
// E1  A code never changes its meaning and is never reused; docs/errors.md lists every one (held by a test).
// E2  `retryable` says whether the same request may succeed later without anybody changing anything.
// E3  An error crosses the wire as plain data and is built again on the caller's side, with the caller's stack.

/** What a code stands for: whether a retry can help, and what a person does about it. */
export interface ErrorKind {
  readonly retryable: boolean;
  readonly remedy: string;
}

/** Details a program may read: plain data, fit for a JSON object. */
export type ErrorData = Readonly<Record<string, unknown>>;

export interface FlotillaErrorOptions {
  readonly retryable?: boolean;
  readonly data?: ErrorData;
  readonly cause?: unknown;
}

/** Every error this project throws. `code` is stable; `message` is a sentence for people and may be reworded. */
export class FlotillaError extends Error {
  override readonly name = "FlotillaError";
  readonly code: string;
  readonly retryable: boolean;
  readonly data: ErrorData;

  constructor(code: string, message: string, options: FlotillaErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.data = options.data ?? {};
  }
}

/** Makes the constructor function of one folder's errors from its table: `fail("MailboxFull", "…", { data })`. */
export function errorsFrom<Code extends string>(table: Readonly<Record<Code, ErrorKind>>) {
  return (code: Code, message: string, options: Omit<FlotillaErrorOptions, "retryable"> = {}): FlotillaError =>
    new FlotillaError(code, message, { ...options, retryable: table[code].retryable });
}

/** Whether `error` is one of ours, optionally with this code. Works across two copies of the package. */
export function isFlotillaError(error: unknown, code?: string): error is FlotillaError {
  if (!(error instanceof Error) || error.name !== "FlotillaError") return false;
  return code === undefined || (error as FlotillaError).code === code;
}

const RUNTIME_ERRORS = {
  ActorEnded: { retryable: false, remedy: "The actor stopped, failed for good or was killed; spawn it again." },
  ActorRestarted: {
    retryable: true,
    remedy: "The actor was restarted while it worked on this call; it may have run in part.",
  },
  ActorStartFailed: {
    retryable: false,
    remedy:
      "Its constructor or onStart threw, or onStart took longer than startTimeoutMs; read the message and the cause.",
  },
  ActorThrew: { retryable: false, remedy: "The actor's own method threw; read the cause." },
  Cancelled: { retryable: false, remedy: "The caller gave the call up." },
  Closed: { retryable: false, remedy: "The system was closed; connect again." },
  Deadlock: {
    retryable: false,
    remedy: "Actors wait for each other in a circle; use cast, or spawn one of them with reentrant: true.",
  },
  DeadlineExceeded: { retryable: true, remedy: "Give it more time with handle.with({ timeoutMs })." },
  EntryUnreadable: {
    retryable: false,
    remedy: "Something else wrote under the key that the message names; delete it there (nats kv del).",
  },
  InvalidOption: { retryable: false, remedy: "Correct the option that the message names." },
  LeaseLost: {
    retryable: true,
    remedy:
      "This node could not renew its lease and gave up what it held; look the name up again, another node may have it.",
  },
  MailboxFull: { retryable: true, remedy: "Try again after data.retryAfterMs, or spawn with a larger mailboxMax." },
  NameTaken: { retryable: false, remedy: "Use get(name), or spawn with getIfExists: true." },
  NodeLost: { retryable: true, remedy: "Its node left or died; look its name up again, or spawn it anew." },
  NodeNameTaken: {
    retryable: false,
    remedy: "Another live process has this node name; give this one another (name), or stop that one first.",
  },
  NoSuchActor: { retryable: false, remedy: "It ended, or never was there; spawn it, or look its name up again." },
  NoSuchMethod: { retryable: false, remedy: "Call one of the methods that data.methods lists." },
  NotSendable: { retryable: false, remedy: "Send plain data, Map, Set, Date, bytes or handles; data.path says where." },
  PayloadTooLarge: { retryable: false, remedy: "Send less in one message, or put it into blobs and send the hash." },
  ResourcesTaken: {
    retryable: true,
    remedy:
      "The node cannot grant what the actor asks for; the message says what is free. Ask for less, or leave the choice of node open.",
  },
  StreamBroken: { retryable: true, remedy: "Part of the stream was lost on the way; ask again." },
  Unavailable: { retryable: true, remedy: "The node cannot be reached now; try again." },
  Unplaceable: { retryable: true, remedy: "No node fits; data.rejected says why for each." },
  Unknown: {
    retryable: true,
    remedy: "It may have run or not; ask again with a key, or look at what it would have done.",
  },
  UnknownActorType: { retryable: false, remedy: "Register the type on that node: connect({ actors: [Type] })." },
  WrongKind: { retryable: false, remedy: "Iterate a generator method with for await; await any other." },
} satisfies Record<string, ErrorKind>;

export type RuntimeErrorCode = keyof typeof RUNTIME_ERRORS;

/** The runtime's own codes, for docs and for those who check that they are listed. */
export const runtimeErrors: Readonly<Record<RuntimeErrorCode, ErrorKind>> = RUNTIME_ERRORS;

/** Makes an error of the runtime. */
export const runtimeError = errorsFrom(RUNTIME_ERRORS);
