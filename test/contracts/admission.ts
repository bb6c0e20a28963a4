// The Admission contract: what every form of runtime/resources.ts does, on a node with 4 cpus, 1 licence, 8 GiB and two devices of 80 GiB.
// Numbers are that file's invariants.

import { expect } from "vitest";
import type { Admission, Amounts, Grant, Refusal } from "../../runtime/index.ts";
import { type Cases, runContract, type Skips } from "./contract.ts";

const GIB = 2 ** 30;
/** What the form under test has to grant besides its devices. */
export const ADMISSION_TOTALS: Amounts = { cpus: 4, licence: 1, memoryBytes: 8 * GIB };
export const ADMISSION_GPUS = ["GPU-a", "GPU-b"].map((id) => ({ id, kind: "H100", memoryBytes: 80 * GIB }));

export interface AdmissionForm {
  readonly admission: Admission;
  close(): Promise<void>;
}

const never = () => new AbortController().signal;
const ask = async ({ admission }: AdmissionForm, resources: Amounts, signal = never()): Promise<Grant | Refusal> =>
  admission.admit({ resources }, "an actor", signal);

async function granted(form: AdmissionForm, resources: Amounts): Promise<Grant> {
  const answer = await ask(form, resources);
  if (answer.kind === "refused") throw new Error(`refused: ${answer.reason}`);
  return answer;
}

async function refusal(form: AdmissionForm, resources: Amounts): Promise<Refusal> {
  const answer = await ask(form, resources);
  if (answer.kind === "granted") throw new Error(`granted: ${JSON.stringify(answer)}`);
  return answer;
}

const cases: Cases<AdmissionForm> = {
  "a grant says what it is, and is plain data but for what is done with it": async (make) => {
    const { release, renew, ...plain } = await granted(await make(), { cpus: 1.5, gpus: 0.25, gpuMemoryBytes: GIB });
    expect(plain).toMatchObject({ kind: "granted", resources: { cpus: 1.5, gpus: 0.25 } });
    expect(plain.devices).toHaveLength(1);
    expect(JSON.parse(JSON.stringify(plain))).toEqual(plain);
    renew();
    release();
  },
  "an actor without GPUs gets no device and no variable": async (make) => {
    const form = await make();
    for (const resources of [{}, { cpus: 1 }, { gpus: 0 }]) {
      expect(await granted(form, resources)).toMatchObject({ devices: [], environment: {} });
    }
  },
  "an actor with GPUs gets variables that name its devices": async (make) => {
    const { devices, environment } = await granted(await make(), { gpus: 2 });
    expect([...devices].sort()).toEqual(["GPU-a", "GPU-b"]);
    expect(Object.values(environment)).toContain(devices.join(","));
  },
  "nothing is granted twice (AD1)": async (make) => {
    const form = await make();
    const first = await granted(form, { licence: 1, gpus: 1 });
    expect(await refusal(form, { licence: 1 })).toMatchObject({ passes: true });
    const second = await granted(form, { gpus: 1 });
    expect(second.devices).not.toEqual(first.devices);
    expect(await refusal(form, { gpus: 0.1 })).toMatchObject({ passes: true });
    first.release();
    expect((await granted(form, { licence: 1, gpus: 0.1 })).devices).toEqual(first.devices);
  },
  "fractions of one device never add up to more than one (AD1)": async (make) => {
    const form = await make();
    const shares = new Map<string, number>();
    for (let count = 0; count < 20; count++) {
      const { devices } = await granted(form, { gpus: 0.1 });
      for (const device of devices) shares.set(device, (shares.get(device) ?? 0) + 1);
    }
    expect([...shares.values()]).toEqual([10, 10]);
    expect(await refusal(form, { gpus: 0.1 })).toMatchObject({ passes: true });
  },
  "memory of a device is its own (AD1)": async (make) => {
    const form = await make();
    await granted(form, { gpus: 0.1, gpuMemoryBytes: 60 * GIB });
    await granted(form, { gpuMemoryBytes: 60 * GIB });
    expect(await refusal(form, { gpuMemoryBytes: 60 * GIB })).toMatchObject({ passes: true });
    await granted(form, { gpuMemoryBytes: 20 * GIB });
  },
  "a refusal says which amount, and whether it may pass (AD2)": async (make) => {
    const form = await make();
    await granted(form, { cpus: 3 });
    const busy = await refusal(form, { cpus: 2 });
    expect(busy.passes).toBe(true);
    expect(busy.reason).toMatch(/cpus.*2.*1.*4/);
    for (const resources of [{ cpus: 5 }, { tape: 1 }, { gpus: 3 }, { gpuMemoryBytes: 100 * GIB }]) {
      const [name = ""] = Object.keys(resources);
      expect(await refusal(form, resources)).toMatchObject({ passes: false, reason: expect.stringContaining(name) });
    }
  },
  "what is no amount is refused for good, not thrown (AD2)": async (make) => {
    const form = await make();
    const odd = [Number.NaN, -1, Number.POSITIVE_INFINITY, "1" as unknown as number];
    for (const amount of odd) expect(await refusal(form, { cpus: amount })).toMatchObject({ passes: false });
    expect(await refusal(form, { gpus: 1.5 })).toMatchObject({ passes: false });
  },
  "a refusal changes nothing, also when part of it would fit (AD2)": async (make) => {
    const form = await make();
    for (const gpus of [3, 1.5]) await refusal(form, { cpus: 4, licence: 1, gpus });
    await refusal(form, { cpus: 5, licence: 1, gpus: 2 });
    await granted(form, { ...ADMISSION_TOTALS, gpus: 2 });
  },
  "a release gives it all back, once (AD3)": async (make) => {
    const form = await make();
    const first = await granted(form, { cpus: 3, gpus: 0.5 });
    first.release();
    const second = await granted(form, { cpus: 4, gpus: 2 });
    first.release();
    expect(await refusal(form, { cpus: 1 })).toMatchObject({ passes: true });
    second.release();
    await granted(form, { cpus: 4, gpus: 2 });
  },
  "who has given up is granted nothing": async (make) => {
    const form = await make();
    const answer = await ask(form, { cpus: 4 }, AbortSignal.abort());
    expect(answer.kind).toBe("refused");
    await granted(form, { cpus: 4 });
  },
  "a bundle that is not reserved is refused": async (make) => {
    const { admission } = await make();
    const demand = { resources: { cpus: 1 }, bundle: { group: "g", index: 0 } };
    expect(await admission.admit(demand, "an actor", never())).toMatchObject({ kind: "refused", passes: false });
  },
};

export function admissionContract(
  name: string,
  make: () => Promise<AdmissionForm>,
  { skips = {} }: { readonly skips?: Skips } = {},
): void {
  runContract(`Admission: ${name}`, cases, make, skips);
}
