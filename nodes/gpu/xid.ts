// NVIDIA's error reports in the kernel's log: "NVRM: Xid (PCI:0000:3b:00): 79, pid=…, GPU has fallen off the bus." Pure.
//
// XI1  Only reports after which the device must not be given to anybody count: those for which NVIDIA's catalogue of Xids has a reset of the
//      GPU, a reboot, or a procedure that leads to one as the immediate action. What a program did wrong (13, 31, 43, 45), errors that were
//      contained (94) and rows that will be replaced at the next reset (63) end the program at most. docs/gpus.md has the list.

export interface Xid {
  readonly code: number;
  /** "0000:3b:00", as Gpu.pci. */
  readonly pci: string;
  /** What the driver said behind the code. */
  readonly text: string;
}

const GRAVE: Readonly<Record<number, string>> = {
  46: "it stopped processing",
  48: "an error in its memory that could not be corrected",
  62: "one of its controllers halted",
  64: "a broken row of its memory could not be replaced",
  74: "an NVLink error",
  79: "it has fallen off the bus",
  95: "an error in its memory that was not contained",
  109: "switching from one program to another timed out",
  110: "a security fault",
  119: "its system processor does not answer the driver",
  120: "its system processor failed",
  136: "a link of it could not be trained",
  140: "an error in its memory from which it did not recover",
  143: "it could not be initialised",
};
const RECOVERY_CHANGED = 154;

/** The report in a line of dmesg, journalctl -k or /dev/kmsg. */
export function parseXid(line: string): Xid | undefined {
  const [, domain = "", place, code, text = ""] =
    /NVRM: Xid \((?:PCI:)?(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2})[^)]*\): (\d+)(?:, *(.*))?$/i.exec(
      line.trim(),
    ) ?? [];
  if (place === undefined || code === undefined) return undefined;
  const pci = `${domain.slice(-4) || "0000"}:${place}`.toLowerCase();
  return { code: Number(code), pci, text: text.slice(0, 200) };
}

/** Why a device that has this report is not to be used any more; undefined when it may be (XI1). */
export function graveXid({ code, text }: Xid): string | undefined {
  if (code !== RECOVERY_CHANGED) return GRAVE[code];
  const wanted = /to 0x[0-9a-f]+ \(([^)]+)\)/i.exec(text)?.[1];
  return wanted === undefined || wanted === "None" ? undefined : `the driver wants: ${wanted}`;
}
