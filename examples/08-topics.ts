// Topics: publishers and subscribers know a name and not each other; what was published can be read again from any point.

import { actorContext, connect, defineActor } from "../runtime/index.ts";

const Shop = defineActor(
  "shop",
  class {
    async sell(what: string, at: number): Promise<void> {
      // The key makes it safe to say again: one order is one event, however often it is published.
      await actorContext().system.publish("orders.new", { what, at }, { key: `${what}-${at}` });
    }
  },
);

interface Order {
  readonly what: string;
  readonly at: number;
}

await using fleet = await connect();
await using fresh = fleet.subscribe<Order>("orders.new");

const shop = await fleet.spawn(Shop);
for (const what of ["tea", "salt", "tea"]) await shop.sell(what, 7);
await fleet.publish("orders.paid", { what: "tea", at: 8 });

for await (const { sequence, event } of fresh) {
  console.log(`${sequence}: ${event.what}`);
  if (event.what === "salt") break;
}

// A late subscriber reads from the start, here of all topics below "orders"; a wild card ">" takes any number of parts.
const log: string[] = [];
for await (const { topic, sequence, event } of fleet.subscribe<Order>("orders.>", { from: "start" })) {
  log.push(`${topic} ${event.what}`);
  if (sequence === 3) break;
}
console.log(log.join(", "));
