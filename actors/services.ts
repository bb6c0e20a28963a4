// The services of a fleet as the doors see them. It is loaded by `loadServices` (index.ts), so that a host without services holds none of it.

export { type ContextOnGraph, type ContextParts, contextOn } from "./context/context-parts.ts";
export { LadybugGraph } from "./context/ladybug-graph.ts";
export { asyncApi } from "./events/asyncapi.ts";
export { agentRequests, agileEvents, CHANNELS, deadEvents, workspaceJobs } from "./events/channels.ts";
export { type Fed, feed, parse } from "./events/feed.ts";
export { postEvent } from "./events/post.ts";
export { serviceHostOptions } from "./options.ts";
export { sendResult } from "./result-post.ts";
export {
  contextOf,
  orchestratorOf,
  planningOf,
  runnerOf,
  SERVICE_NAMES,
  SERVICES,
  ServiceClients,
} from "./service-handles.ts";
export { serviceTypes, startServices, watchDeliberation } from "./service-host.ts";
export { openRules } from "./service-rules.ts";
