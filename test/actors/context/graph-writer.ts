// A program for ladybug-graph.test.ts: writes to the graph in the folder it is given until it is killed.

import { LadybugGraph } from "../../../actors/context/ladybug-graph.ts";

const graph = new LadybugGraph({ folder: process.argv[2] ?? "" });
for (let index = 0; ; index++) {
  await graph.write([
    { cypher: "CREATE (n:Task {id: $id, title: 'x'})", params: { id: `task:s/${index}` } },
    { cypher: "CREATE (n:Commit {id: $id, title: 'x'})", params: { id: `commit:${index}` } },
  ]);
  console.log(index);
}
