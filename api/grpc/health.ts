// Health of the door's services by the contract of gRPC (grpc.health.v1): whether the actor behind each answers.
// It is not whether the process lives (http.ts says that) nor how well a service does.
//
// DH1  A service serves when a small question reaches it and comes back, whatever the answer is.
// DH2  One question at a time for each service, and its answer holds for HOLD_MS: those who watch do not add up.

import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { type Clock, isFlotillaError, sleep } from "../../runtime/index.ts";
import { type Health, HealthCheckResponse_ServingStatus as Status } from "../proto/gen/grpc/health/v1/health_pb.js";
import type { ClientsFor, DoorClients } from "./call.ts";

/** A small question to the actor behind a service. */
export type Probe = (clients: DoorClients) => Promise<unknown>;

export interface HealthOptions {
  readonly clients: ClientsFor;
  readonly clock: Clock;
  /** By the services' full names. `undefined`: in this process, and so it serves. */
  readonly probes: Readonly<Record<string, Probe | undefined>>;
}

const PROBE_MS = 2_000;
const HOLD_MS = 1_000;
const WATCH_MS = 2_000;

/** Said by the runtime of a call that no service took. Every other error is an answer (DH1). */
const NOT_THERE: ReadonlySet<string> = new Set([
  ...["Unavailable", "NoSuchActor", "ActorEnded", "ActorStartFailed", "NodeLost", "LeaseLost", "Closed"],
  ...["DeadlineExceeded", "Cancelled", "Unknown", "MailboxFull"],
]);

export function healthService({ clients, clock, probes }: HealthOptions): ServiceImpl<typeof Health> {
  const held = new Map<string, { readonly status: Promise<Status>; readonly untilMs: number }>();
  const ask = async (probe: Probe): Promise<Status> => {
    const stop = new AbortController();
    const timer = clock.schedule(PROBE_MS, () => stop.abort());
    try {
      await probe(clients({ timeoutMs: PROBE_MS, signal: stop.signal }));
      return Status.SERVING;
    } catch (error) {
      const isAnswer = isFlotillaError(error) && !NOT_THERE.has(error.code);
      return isAnswer ? Status.SERVING : Status.NOT_SERVING;
    } finally {
      timer.cancel();
    }
  };
  const statusOf = (name: string): Promise<Status> => {
    const probe = probes[name];
    if (probe === undefined) return Promise.resolve(Status.SERVING);
    const known = held.get(name);
    if (known !== undefined && known.untilMs > clock.monotonic()) return known.status;
    const status = ask(probe);
    held.set(name, { status, untilMs: clock.monotonic() + PROBE_MS + HOLD_MS });
    status.then(() => held.set(name, { status, untilMs: clock.monotonic() + HOLD_MS }));
    return status;
  };
  /** Undefined: no such service here. The empty name stands for all of them. */
  const look = async (name: string): Promise<Status | undefined> => {
    if (name !== "") return Object.hasOwn(probes, name) ? statusOf(name) : undefined;
    const all = await Promise.all(Object.keys(probes).map(statusOf));
    return all.every((status) => status === Status.SERVING) ? Status.SERVING : Status.NOT_SERVING;
  };
  return {
    async check({ service }) {
      const status = await look(service);
      if (status !== undefined) return { status };
      const names = Object.keys(probes).join(", ");
      throw new ConnectError(`no service ${service.slice(0, 200)} here; there are ${names}`, Code.NotFound);
    },
    async *watch({ service }, { signal }) {
      for (let last: Status | undefined; ; await sleep(clock, WATCH_MS, signal)) {
        const status = (await look(service)) ?? Status.SERVICE_UNKNOWN;
        if (status !== last) yield { status };
        last = status;
      }
    },
  };
}
