// Many who want one name at once, over processes and connections of their own: one gets it, and his token is above all before. No test by itself.

import { expect } from "vitest";
import { isFlotillaError } from "../../runtime/index.ts";
import { openProcesses, sees, timed } from "../support/fleet-processes.ts";
import { Keeper } from "./actors.ts";
import { ACTORS } from "./places.ts";

const CONTENDERS = 50;

export async function contest(rounds: number): Promise<{ readonly rounds: number; readonly ms: number }> {
  await using fleet = await openProcesses(ACTORS);
  const [a, b] = await fleet.start("a", "b");
  const scripts = await Promise.all([1, 2, 3].map(() => fleet.script()));
  for (const script of scripts) await sees(script, a, b, ...others(scripts, script));
  const fences: number[] = [];
  const round = async (at: number) => {
    const claims = Array.from({ length: CONTENDERS }, (_, who) =>
      script(scripts, who).spawn(Keeper, { name: "one", node: (who % 2 === 0 ? a : b).node }),
    );
    const ended = await Promise.allSettled(claims);
    const winners = ended.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const codes = ended.flatMap((each) => (each.status === "rejected" ? [codeOf(each.reason)] : []));
    expect(winners, `winners of round ${at}`).toHaveLength(1);
    expect(new Set(codes), `the others in round ${at}`).toEqual(new Set(["NameTaken"]));
    const [winner] = winners;
    if (winner === undefined) return;
    fences.push((await winner.save(at)).fence);
    const system = script(scripts, at);
    await (at % 2 === 0 ? system.stop(winner) : system.kill(winner));
  };
  const ms = await timed(
    (async () => {
      for (let at = 0; at < rounds; at++) await round(at);
    })(),
  );
  expect(fences).toEqual([...new Set(fences)].sort((one, other) => one - other));
  return { rounds, ms };
}

const codeOf = (error: unknown): string => (isFlotillaError(error) ? error.code : String(error));

function script<System>(scripts: readonly System[], at: number): System {
  return scripts[at % scripts.length] as System;
}

const others = <System extends { readonly node: string }>(scripts: readonly System[], own: System) =>
  scripts.filter((other) => other !== own);
