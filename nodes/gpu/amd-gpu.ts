// What the two AMD tools have in common: how a device is called.
//
// AM1  The id is the one that ROCR_VISIBLE_DEVICES takes: "GPU-" and the 16 hexadecimal digits of the device's unique id. amd-smi's own
//      "uuid" is another number, which ROCr does not know. Devices without a unique id (integrated ones) are called by their index.

/** The id of a device with this unique id ("0x1F9DE0957D137942"), or its index (AM1). */
export function amdId(unique: string | undefined, index: number): string {
  const digits = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(unique ?? "")?.[1];
  return digits === undefined || /^0*$/.test(digits) ? String(index) : `GPU-${digits.toLowerCase().padStart(16, "0")}`;
}
