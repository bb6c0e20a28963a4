// Variables by which a process sees the devices that it was granted, and no others.
//
// VI1  A process without GPUs gets no variable: an emptied mask is not the same as none, and would hide the node's GPUs from a program that
//      was asked to look at them.
// VI2  NVIDIA: the ids of the devices, so that a mask of the parent cannot shift them; the order is that of nvidia-smi.
// VI3  AMD: two masks apply one after the other, ROCr's first, and HIP counts in what that leaves: naming device 3 in both would leave nothing.
//      So ROCr's has the ids, and HIP's counts from 0: it repeats the whole, and takes the place of one that the parent was started with.

import type { Granted } from "../../runtime/index.ts";

export function visibleDevices(vendor: "nvidia" | "amd", devices: readonly string[]): Granted["environment"] {
  if (devices.length === 0) return {};
  const ids = devices.join(",");
  if (vendor === "nvidia") return { CUDA_VISIBLE_DEVICES: ids, CUDA_DEVICE_ORDER: "PCI_BUS_ID" };
  return { ROCR_VISIBLE_DEVICES: ids, HIP_VISIBLE_DEVICES: devices.map((_, index) => index).join(",") };
}
