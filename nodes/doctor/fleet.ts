// Checks of a fleet's server: what one probe of it found, or why it found nothing, judged. Pure; the probing is runtime/'s.
//
// FC1  Where the server could not be asked, the check that shows why fails, and those behind it are skipped: one fault is told once.

import { type FleetProbe, isFlotillaError, type NodeClock } from "../../runtime/index.ts";
import { bad, ok, skipped, type Verdict, warn } from "./check.ts";

/** What probing came to. */
export type Probing =
  | { readonly kind: "found"; readonly probe: FleetProbe }
  | { readonly kind: "failed"; readonly error: unknown };

export const FLEET_CHECKS = [
  { id: "server", title: "NATS server" },
  { id: "jetstream", title: "JetStream" },
  { id: "payload", title: "Message size" },
  { id: "roundTrip", title: "Round trip" },
  { id: "streams", title: "Streams" },
  { id: "rights", title: "Rights" },
  { id: "clock", title: "Clock" },
  { id: "nodeClocks", title: "Nodes' clocks" },
] as const;

export type FleetCheck = (typeof FLEET_CHECKS)[number]["id"];

/** The check that a refusal to connect belongs to, and what is done about it. */
const CAUSES: Readonly<Record<string, { readonly id: FleetCheck; readonly remedy: string }>> = {
  ServerUnreachable: {
    id: "server",
    remedy: "Start one there (flotilla up, or flotilla server --folder DIR), or correct --servers (FLOTILLA_SERVERS).",
  },
  ServerNotNats: {
    id: "server",
    remedy: "Give the address and port of a NATS server in --servers (FLOTILLA_SERVERS).",
  },
  ServerTooOld: { id: "server", remedy: "Run nats-server 2.14.3 or newer there." },
  InvalidOption: { id: "server", remedy: "Correct the option." },
  ServerPayloadSmall: { id: "payload", remedy: "Set max_payload: 1MB, the server's default, in its config." },
  ServerWithoutJetStream: {
    id: "jetstream",
    remedy: "Start the server with JetStream (nats-server -js), and allow it for this account.",
  },
  ServerRefused: {
    id: "rights",
    remedy: "Correct --creds (FLOTILLA_CREDS), or FLOTILLA_USER and FLOTILLA_PASS, or these in FLOTILLA_SERVERS.",
  },
};

export function fleetVerdict(id: FleetCheck, probing: Probing): Verdict {
  if (probing.kind === "found") return JUDGES[id](probing.probe);
  const { error } = probing;
  const cause = isFlotillaError(error) ? CAUSES[error.code] : undefined;
  const culprit = cause?.id ?? "server";
  const said = error instanceof Error ? error.message : String(error);
  if (id === culprit) return bad(said, cause?.remedy ?? "Read what the server said, and its log.");
  return id === "server" ? ok("it answers") : skipped("the server could not be asked");
}

const JUDGES: Readonly<Record<FleetCheck, (probe: FleetProbe) => Verdict>> = {
  server: ({ server }) => ok(`${server.version} at ${server.address}`),
  jetstream: ({ server }) => ok(`there, API level ${server.apiLevel}`),
  payload: ({ server }) => ok(`up to ${(server.payloadMaxBytes / 1_024).toFixed(0)} KiB`),
  roundTrip: ({ roundTripMs }) => roundTripVerdict(roundTripMs),
  streams: ({ missing }) => streamsVerdict(missing),
  rights: ({ refused }) => rightsVerdict(refused),
  clock: ({ aheadMs }) => clockVerdict(aheadMs),
  nodeClocks: ({ nodes }) => nodeClocksVerdict(nodes),
};

const ROUND_TRIP_WARN_MS = 50;

function roundTripVerdict(ms: number): Verdict {
  const found = `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
  return ms <= ROUND_TRIP_WARN_MS
    ? ok(found)
    : warn(`${found}: each call between nodes takes at least that`, "Put a NATS server nearer to the nodes.");
}

const STREAMS = 5;

function streamsVerdict(missing: readonly string[] | undefined): Verdict {
  if (missing === undefined) return skipped("these credentials may not see them");
  if (missing.length === 0) return ok("all there");
  const which = missing.length === STREAMS ? "none is there yet" : `missing: ${missing.join(", ")}`;
  return warn(
    which,
    "flotilla up makes them, and so does the first node whose credentials may make streams; check --prefix, too.",
  );
}

function rightsVerdict(refused: readonly string[]): Verdict {
  if (refused.length === 0) return ok("these credentials can do what a node does");
  return bad(
    `not allowed or not working: ${refused.join("; ")}`,
    "Use the fleet's node.creds (--creds) and prefix (--prefix), or allow its user what docs/operating.md lists.",
  );
}

const CLOCK_WARN_MS = 1_000;
const CLOCK_MAX_MS = 5_000;
const SET_CLOCK =
  "Set it by NTP: timedatectl set-ntp true. Deadlines are moments, so calls end too early or too late by that much.";

/** "1.2 s ahead", "3 h behind", "equal to 4 ms". */
export function offText(aheadMs: number): string {
  const ms = Math.abs(aheadMs);
  if (ms < CLOCK_WARN_MS) return `equal to ${Math.round(ms)} ms`;
  const [unit, text] = ms < 120_000 ? [1_000, "s"] : ms < 7_200_000 ? [60_000, "min"] : [3_600_000, "h"];
  return `${(ms / unit).toFixed(1)} ${text} ${aheadMs > 0 ? "ahead" : "behind"}`;
}

export function clockVerdict(aheadMs: number | undefined): Verdict {
  if (aheadMs === undefined) return skipped("there is no stream to ask for the server's time");
  const found = `this machine's and the server's are ${offText(aheadMs)}`.replace(
    /are (.+ (?:ahead|behind))$/,
    "differ: this one is $1",
  );
  if (Math.abs(aheadMs) < CLOCK_WARN_MS) return ok(found);
  return Math.abs(aheadMs) < CLOCK_MAX_MS ? warn(found, SET_CLOCK) : bad(found, SET_CLOCK);
}

function nodeClocksVerdict(nodes: readonly NodeClock[] | undefined): Verdict {
  if (nodes === undefined) return skipped("there is no stream to read the nodes from");
  if (nodes.length === 0) return skipped("no nodes are there");
  const known = nodes.filter(({ isExact, aheadMs }) => isExact || aheadMs > 0);
  const wrong = known.filter(({ aheadMs }) => Math.abs(aheadMs) >= CLOCK_WARN_MS);
  if (wrong.length === 0) {
    const unsure = nodes.length - known.length;
    const rest = unsure === 0 ? "" : `; ${unsure} of them told nothing new, and may be behind`;
    return ok(`of ${nodes.length} ${nodes.length === 1 ? "node" : "nodes"} none is off by a second${rest}`);
  }
  const found = wrong
    .map(({ name, aheadMs, isExact }) => `${name} is ${isExact ? "" : "at least "}${offText(aheadMs)}`)
    .join(", ");
  return wrong.some(({ aheadMs }) => Math.abs(aheadMs) >= CLOCK_MAX_MS)
    ? bad(found, SET_CLOCK)
    : warn(found, SET_CLOCK);
}
