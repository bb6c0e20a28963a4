// The actors that the chaos tests kill, pause and move. What they really did they append to files, which survive any death.
// Each effect is one line, written before the method goes on.

import { appendFileSync } from "node:fs";
import {
  type AnyHandle,
  actorContext,
  defineActor,
  type Handle,
  type SpawnOptions,
  sleep,
} from "../../runtime/index.ts";

const node = (): string => actorContext().address.node;
const write = (file: string, ...words: (string | number)[]): void => appendFileSync(file, `${words.join(" ")}\n`);

/** Runs tasks, calls and streams. */
export const Scribe = defineActor(
  "scribe",
  class {
    #calls = 0;

    /** A task's or call's effect: "<id> <node> <attempt>". Returns the id. */
    async note(file: string, id: string, ms = 0): Promise<string> {
      const { clock, attempt, signal } = actorContext();
      write(file, id, node(), attempt?.number ?? 0);
      if (ms > 0) await sleep(clock, ms, signal);
      return id;
    }

    count(): number {
      return ++this.#calls;
    }

    echo(value: string): string {
      return value;
    }

    where(): string {
      return node();
    }

    /** Yields numbers; writes to the file when the reader has left or all are read. */
    async *numbers(file: string, count: number): AsyncGenerator<number, void, undefined> {
      try {
        for (let at = 0; at < count; at++) yield at;
      } finally {
        write(file, "returned", node());
      }
    }

    /** Answers after so long, whatever happens to its caller. */
    async slowly(value: string, ms: number): Promise<string> {
      await sleep(actorContext().clock, ms);
      return value;
    }

    /** Blocks this process's event loop. */
    block(ms: number): void {
      const { clock } = actorContext();
      const untilMs = clock.monotonic() + ms;
      while (clock.monotonic() < untilMs);
    }
  },
);

/** What a keeper saves: by whom and with which fence. */
export interface Kept {
  readonly by: string;
  readonly fence: number;
  readonly count: number;
}

/** Has a name and saves state, for as long as it runs and beyond: its loops are plain, and heed no loss. */
export const Keeper = defineActor(
  "keeper",
  class {
    where(): string {
      return node();
    }

    async read(): Promise<Kept | undefined> {
      return actorContext().state.read<Kept>();
    }

    async save(count: number): Promise<Kept> {
      const { state, fence } = actorContext();
      const kept = { by: node(), fence, count };
      await state.write(kept);
      return kept;
    }

    /** Saves again and again, in order, until the process ends; each end of a write is a line: "<fence> <count> <written|code>". */
    saveOn(file: string): void {
      const { state, fence, clock } = actorContext();
      const by = node();
      const go = async (count: number) => {
        await state.write({ by, fence, count }).then(
          () => write(file, fence, count, "written"),
          (error: { code?: string }) => write(file, fence, count, error.code ?? String(error)),
        );
        await sleep(clock, 10);
        await go(count + 1);
      };
      void go(1);
    }

    /** The same past every check of this process: straight to the store, with this holder's fence. "<fence> <count> <written|fenced>" */
    forceOn(file: string, key: string, nameKey: string): void {
      const { system, fence, clock } = actorContext();
      const { store } = system.ports;
      const go = async (count: number) => {
        const value = new TextEncoder().encode(JSON.stringify({ fence, count }));
        const end = await store.putFenced(key, value, { key: nameKey, revision: fence }).then(
          ({ kind }) => kind,
          (error: { code?: string }) => error.code ?? String(error),
        );
        write(file, fence, count, end);
        await sleep(clock, 20);
        await go(count + 1);
      };
      void go(1);
    }

    async remind(name: string, afterMs: number, file: string): Promise<void> {
      await actorContext().reminders.set(name, { afterMs }, "reminded", name, file);
    }

    reminded(name: string, file: string): void {
      write(file, name, node(), actorContext().clock.now());
    }

    note(file: string, id: string): string {
      write(file, id, node());
      return id;
    }
  },
);

/** Spawns others from its own process: as that process's script does, or as their parent. */
export const Boss = defineActor(
  "boss",
  class {
    /** What the script of this process would spawn on a node. */
    async spawn(on: string, options: Pick<SpawnOptions, "detached" | "name">): Promise<Handle<typeof Scribe>> {
      return actorContext().system.spawn(Scribe, { node: on, ...options });
    }

    async spawnChild(on: string): Promise<Handle<typeof Scribe>> {
      return actorContext().spawn(Scribe, { node: on });
    }

    /** Actors of this process, without names or owners elsewhere: they stay when its lease is lost. */
    async ownScribe(): Promise<Handle<typeof Scribe>> {
      const { system } = actorContext();
      return system.spawn(Scribe, { node: system.node, concurrency: 100 });
    }

    async ownBoss(): Promise<AnyHandle> {
      const { system } = actorContext();
      return system.spawn(Boss, { node: system.node });
    }

    /** Calls another actor and writes how that ended: "<code|value> <ms>". */
    async ask(other: Handle<typeof Scribe>, ms: number, timeoutMs: number, file: string): Promise<void> {
      const { clock } = actorContext();
      const sinceMs = clock.monotonic();
      const end = await other
        .with({ timeoutMs })
        .slowly("value", ms)
        .catch((error: { code: string }) => error.code);
      write(file, String(end), Math.round(clock.monotonic() - sinceMs));
    }
  },
);
