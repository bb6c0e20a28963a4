// The forms of the port in backend.ts, for whoever runs jobs.

export { ContainerBackend } from "./container-backend.ts";
export { KubernetesBackend } from "./kubernetes-backend.ts";
export { ProcessBackend } from "./process-backend.ts";
