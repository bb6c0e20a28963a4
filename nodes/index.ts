// The door of nodes/: servers and daemons on a machine.

export { byteSize, parseByteSize } from "./byte-size.ts";
export { type DiscoveryOptions, discoverGpus, type FoundGpus, type GpuDiscovery } from "./gpu/discovery.ts";
export { type Gpu, type GpuFault, type GpuHealth, type GpuProcess, type GpuVendor, usedByOthers } from "./gpu/gpu.ts";
export { type KernelLog, openKernelLog } from "./gpu/kernel-log.ts";
export { type DeviceMasks, type GpuOverride, parseGpuOverride } from "./gpu/override.ts";
export { type RunTool, TOOL_LIMIT_MS, type ToolOutput, toolRunner } from "./gpu/tool-run.ts";
export { GpuWatch, type GpuWatchOptions } from "./gpu/watch.ts";
export { findNatsServer, NATS_SERVER_MIN } from "./nats-program.ts";
export { type NatsServer, type NatsServerOptions, startNatsServer } from "./nats-server.ts";
export { deviceMasks } from "./options.ts";
export { parseAmounts } from "./resources/amounts.ts";
export { type LeaseReport, Ledger, type LedgerGrant, type LedgerOptions } from "./resources/ledger.ts";
export { cgroupLimits, discoverAmounts, grantable, type MachineLimits } from "./resources/machine.ts";
export { visibleDevices } from "./resources/visibility.ts";
