// `flotilla dead-letters events`: events that a consumer passed over, with the reason, read from the fleet's log.
// It is not who passes over what, and when (actors/events/consumer.ts); what can be done about one lies with its cause.
//
// DE1  At most LIST_MAX are held, the newest; how many older ones there are is said.

import { deadEvents, parseEvent } from "../actors/index.ts";
import { type ActorSystem, topicFilter } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { since } from "./fleet-text.ts";
import { clip, wrap } from "./paper.ts";
import { type Place, placeOf, print } from "./service-command.ts";
import { tableText } from "./story-text.ts";

const LIST_MAX = 1_000;
/** Each may hold 64 KiB of its event. */
const PAGE = 200;
const NAME_WIDTH = 40;
const INDENT = "    ";

/** Lists them and resolves with the exit status. Rejects with Unavailable. */
export async function deadEventsCommand(
  system: Pick<ActorSystem, "ports">,
  json: boolean,
  terminal: Terminal,
): Promise<number> {
  const place = placeOf(terminal, json);
  const { letters, older } = await deadLetters(system);
  if (older > 0) terminal.err.write(`flotilla: the newest ${LIST_MAX}; ${older} older ones are left out.\n`);
  print(place, letters, () => (letters.length === 0 ? "No events were passed over.\n" : lettersText(letters, place)));
  return 0;
}

type Letter = NonNullable<ReturnType<typeof letterOf>>;

async function deadLetters({ ports }: Pick<ActorSystem, "ports">) {
  const letters: Letter[] = [];
  let older = 0;
  for (let from = 1; ; ) {
    const page = await ports.eventLog.read(topicFilter(deadEvents.address), from, PAGE);
    letters.push(...page.flatMap((logged) => letterOf(logged) ?? []));
    older += letters.splice(0, letters.length - LIST_MAX).length;
    from = (page.at(-1)?.sequence ?? 0) + 1;
    if (page.length < PAGE) return { letters, older };
  }
}

/** What somebody else wrote under this name is none. */
function letterOf(logged: Parameters<typeof parseEvent>[1]) {
  const parsed = parseEvent(deadEvents, logged);
  return parsed.kind === "event" ? { atMs: parsed.atMs, ...parsed.event.data } : undefined;
}

function lettersText(letters: readonly Letter[], { paper }: Place): string {
  const rows = letters.map(({ atMs, consumer, topic, sequence, attempts }) => [
    since(atMs),
    clip(consumer, NAME_WIDTH),
    clip(topic, NAME_WIDTH),
    String(sequence),
    String(attempts),
  ]);
  const head = ["passed over (UTC)", "consumer", "topic", "sequence", "attempts"];
  const [first = "", ...lines] = tableText([head, ...rows], [3, 4], paper);
  // Why is as long as it is: it stands under its event, whole.
  const told = letters.flatMap(({ reason: { code, message } }, at) => {
    const why = wrap(`${code}: ${message}`, paper.columns - INDENT.length).map((text) => INDENT + text);
    return [lines[at] ?? "", ...why];
  });
  return `${[first, ...told].join("\n")}\n\n--json has each event's own bytes, in base64.\n`;
}
