// What is known of a GPU of this machine, whatever tool told it. Plain data; reading it is for the tools' files, granting it for resources/.
//
// GP1  `id` is what the driver calls it (a UUID), and so the same whatever becomes of the others: indices shift when a device is lost.
//      A device that has no UUID, or was declared by the operator, is called by its index.
// GP2  What a tool does not say is absent. Zero means that it said zero; only a memory that no tool knows is 0, and nothing fits into it.

export type GpuVendor = "nvidia" | "amd";

export interface Gpu {
  /** GP1: "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "MIG-…". */
  readonly id: string;
  /** As the tool counts. MIG devices have the index of the GPU that they are parts of. */
  readonly index: number;
  /** The product: "NVIDIA H100 80GB HBM3". */
  readonly kind: string;
  readonly memoryBytes: number;
  /** By everybody, and by the driver itself. */
  readonly usedBytes: number;
  /** Processes that hold some of its memory. A container sees its own at best, and rocm-smi tells none. */
  readonly processes: readonly GpuProcess[];
  readonly temperatureC?: number;
  /** Share of the last sample in which it worked, 0 to 1. */
  readonly utilization?: number;
  readonly health: GpuHealth;
  /** Why nothing new should be put there. */
  readonly faults: readonly GpuFault[];
  /** It is a part of this GPU ("3g.20gb" of it). */
  readonly mig?: { readonly parent: string; readonly profile: string };
  /** Where it is plugged in, "0000:3b:00": the kernel's log calls it by that. */
  readonly pci?: string;
}

export interface GpuProcess {
  readonly pid: number;
  readonly usedBytes?: number;
}

/** What a tool says about a device's state, as far as it says something. */
export interface GpuHealth {
  /** Temperature from which the device slows itself down. */
  readonly slowdownC?: number;
  /** Memory errors that could not be corrected, since the driver was loaded. */
  readonly uncorrectedErrors?: number;
  /** A broken row of its memory could not be replaced by a spare one. */
  readonly remapFailed?: boolean;
  /** More errors in its on-chip memory than NVIDIA lets a device have. */
  readonly tooManyErrors?: boolean;
  /** What the driver wants done with it: "None", "Reset", "Reboot". */
  readonly recovery?: string;
}

export interface GpuFault {
  readonly kind: "xid" | "ecc" | "memory" | "recovery" | "hot" | "gone" | "unreadable";
  /** In words, with the device's id. */
  readonly message: string;
}

/**
 * Bytes of a device that are in use by none of the processes that `isCounted` knows. Count those whose memory was granted to them: what is
 * granted must not be subtracted twice.
 */
export function usedByOthers(gpu: Gpu, isCounted: (pid: number) => boolean): number {
  const counted = gpu.processes.filter(({ pid }) => isCounted(pid));
  return Math.max(0, gpu.usedBytes - counted.reduce((sum, { usedBytes = 0 }) => sum + usedBytes, 0));
}
