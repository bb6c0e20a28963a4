// A node of the benchmark's fleet: `node remote-node.ts URL NAME` hosts the benchmark's actors until its standard input ends.

import { connect } from "../runtime/index.ts";
import { BENCH_ACTORS } from "./scenarios/actors.ts";
import { beReady } from "./second-process.ts";

const [servers = "", name = ""] = process.argv.slice(2);
const fleet = await connect({ servers, name, actors: BENCH_ACTORS, accepts: true });
beReady(() => fleet.close());
