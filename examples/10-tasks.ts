// Tasks: work that is accepted once and then survives every process. Whoever hosts the type runs it; each task has exactly one result.

import { connect, isFlotillaError } from "../runtime/index.ts";
import { Press } from "./sample-actors.ts";
import { openSampleFleet } from "./sample-fleet.ts";

await using sample = await openSampleFleet();
await sample.node("north", "--actors", "sample-actors.ts");
await using fleet = await connect(sample.options);

// Accepted means durable: this program may end now, and another may ask for the result by its id.
const options = { retries: 1, backoff: { firstMs: 10 } };
const ids = await Promise.all([1, 7, 13].map((page) => fleet.submit(Press, "print", [page], options)));
const [plain = "", jammed = "", lost = ""] = ids;
console.log("ended:", (await fleet.wait(ids)).done.length);

console.log(await fleet.result(plain));
console.log(await fleet.result(jammed));
await fleet.result(lost).catch((error: unknown) => console.log(isFlotillaError(error) ? error.code : error));

// What failed for good waits in a list, with every attempt; `flotilla dead-letters` shows it, too.
const { history } = await fleet.deadTasks.show(lost);
console.log(history.map(({ attempt, message }) => `${attempt}: ${message.replace(/^.*Error: /, "")}`).join(", "));
await fleet.deadTasks.replay(lost);
await fleet.wait([lost]);
console.log("attempts after a replay:", (await fleet.deadTasks.show(lost)).history.length);
