// A node of the benchmark's fleet: `node remote-node.ts URL NAME [WARM]` hosts the benchmark's actors until its standard input ends.
// WARM processes wait ready for actors with one of their own.

import { connect } from "../runtime/index.ts";
import { BENCH_ACTORS } from "./scenarios/actors.ts";
import { beReady } from "./second-process.ts";

const [servers = "", name = "", warm = "0"] = process.argv.slice(2);
const fleet = await connect({ servers, name, actors: BENCH_ACTORS, accepts: true, warmProcesses: Number(warm) });
beReady(() => fleet.close());
