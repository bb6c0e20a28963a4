// Ports for a model server: free ones, and whether a given one is free. That it still is when the server takes it, nobody can promise.

import { createServer } from "node:net";
import type { EnginePorts } from "./arguments.ts";
import type { EngineFailure } from "./failure.ts";
import type { VllmSettings } from "./options.ts";

/** The port, when it can be listened on; 0: any. */
function taken(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? address?.port : undefined));
    });
  });
}

/** `wanted` when it is free, else a free one; none of `others`, which nobody listens on yet. */
async function free(wanted: number | undefined, others: readonly number[]): Promise<number> {
  const port = (wanted === undefined ? undefined : await taken(wanted)) ?? (await taken(0));
  if (port === undefined) throw new Error("this machine has no free port");
  return others.includes(port) ? free(undefined, others) : port;
}

/** The ports of this start: those that the options name, else those of the last start (`last`) where they are free, else free ones. */
export async function enginePorts(settings: VllmSettings, last?: EnginePorts): Promise<EnginePorts | EngineFailure> {
  const { port, kvEvents } = settings;
  const named = [
    ...(port === 0 ? [] : [["port", port] as const]),
    ...(typeof kvEvents === "number"
      ? ([
          ["kvEvents", kvEvents],
          ["kvEvents", kvEvents + 1],
        ] as const)
      : []),
  ];
  for (const [option, number] of named) {
    if ((await taken(number)) !== undefined) continue;
    return {
      code: "EnginePortInUse",
      sentence: `another program listens on 127.0.0.1:${number}`,
      remedy: `end that program, or give the option ${option} another port`,
    };
  }
  const chosen = port === 0 ? await free(last?.port, []) : port;
  if (kvEvents === undefined) return { port: chosen };
  const events = kvEvents === true ? await free(last?.kvEvents?.port, [chosen]) : kvEvents;
  const replayPort = kvEvents === true ? await free(last?.kvEvents?.replayPort, [chosen, events]) : kvEvents + 1;
  return { port: chosen, kvEvents: { port: events, replayPort } };
}
