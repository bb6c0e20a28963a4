// What this room throws: codes and remedies. docs/errors.md lists them.

import { type ErrorKind, errorsFrom } from "../runtime/index.ts";

const NODE_ERRORS = {
  NatsServerMissing: {
    retryable: false,
    remedy:
      "Install nats-server 2.14.3 or newer, or Go, or let this machine reach the release page that the message names.",
  },
  NatsServerFailed: { retryable: false, remedy: "Read what the server said in the message." },
  TokenizerFailed: {
    retryable: true,
    remedy: "See whether the model server at that address runs; it may be starting, busy or gone.",
  },
  TokenizerRefused: { retryable: false, remedy: "Correct the model's name or the messages, as the message says." },
  InvalidOption: { retryable: false, remedy: "Correct the option that the message names." },
  EngineProgramMissing: {
    retryable: false,
    remedy: "Install vLLM (pip install vllm), or name it with the option program.",
  },
  EnginePortInUse: { retryable: false, remedy: "End the program that listens there, or choose another port." },
  EngineOutOfMemory: {
    retryable: true,
    remedy: "End what else uses the device, lower gpuMemoryShare or maxModelLen, or take a smaller model.",
  },
  EngineNoCacheRoom: { retryable: false, remedy: "Raise gpuMemoryShare, use more devices, or take a smaller model." },
  EngineLengthTooLong: { retryable: false, remedy: "Lower maxModelLen to what the message says." },
  EngineModelNotFound: {
    retryable: false,
    remedy: "Correct the model's name or folder, or take one that the message lists.",
  },
  EngineModelGated: {
    retryable: false,
    remedy: "Ask for access on the model's page, and give HF_TOKEN in the option environment.",
  },
  EngineParallelInvalid: { retryable: false, remedy: "Set tensorParallel to what the model and the devices allow." },
  EngineDriverMissing: {
    retryable: false,
    remedy: "Look at nvidia-smi, at the driver's version and at the visible devices.",
  },
  EngineLibraryMissing: {
    retryable: false,
    remedy: "Install the model server anew, in the version for this machine's driver.",
  },
  EngineArgumentsRefused: {
    retryable: false,
    remedy: "Correct the option extraArgs, or take a server that knows them.",
  },
  EngineKilled: { retryable: true, remedy: "Look in the system's log whether the machine's memory ran out." },
  EngineFailed: { retryable: true, remedy: "Read the last lines of the server's log in data.log." },
  EngineNotReady: {
    retryable: true,
    remedy: "Wait until it is ready, or raise readyTimeoutMs; data.log has its last lines.",
  },
  EngineHung: {
    retryable: true,
    remedy: "Look at the server's log and its devices; raise watch.stallMs if its steps take that long.",
  },
  EngineUnreachable: { retryable: true, remedy: "Start the server, or correct its address." },
  EngineRefused: { retryable: false, remedy: "Correct the option apiKey." },
  EngineNotOpenAi: { retryable: false, remedy: "Give the address of an OpenAI-compatible server." },
  EngineStopped: { retryable: false, remedy: "Start it again, or use another server of this model." },
  EngineCannotSleep: {
    retryable: false,
    remedy: "Start it with sleepMode: true, on a device that can; or stop it instead.",
  },
  EngineNeedsGpus: {
    retryable: false,
    remedy: "Give the model server fewer GPUs (gpus=N, tp=N), or start fewer of them on this machine.",
  },
  EngineInUse: { retryable: true, remedy: "Wait until its requests are done." },
  ModelUnknown: { retryable: false, remedy: "Ask for a model that the message lists, or another node." },
  ModelRefused: {
    retryable: true,
    remedy: "Read in the message what the model server said; with status 503 try again, or another node.",
  },
  ModelReplyCut: {
    retryable: true,
    remedy: "Ask again, of another node: the message says what became of the server.",
  },
  NatsFolderInUse: {
    retryable: false,
    remedy: "Stop the server that uses the folder, or give this one a folder of its own.",
  },
  SimOptionInvalid: { retryable: false, remedy: "Correct the option of the simulator that the message names." },
  SimPortTaken: { retryable: false, remedy: "Give the simulator another port, or 0 for any free one." },
  GpuOverrideInvalid: {
    retryable: false,
    remedy: "Say none, a count, a list of indices or ids, or a declaration such as 2x80GiB:H100 (docs/gpus.md).",
  },
  GpuOverrideContradicted: {
    retryable: false,
    remedy: "Correct what was said about the GPUs, or leave it out: then those that are found are used.",
  },
  AmountsInvalid: {
    retryable: false,
    remedy: "Write amounts as name=number with commas between them: cpus=8,memory=64GiB,licence=3.",
  },
  HostNeedsCredentials: {
    retryable: false,
    remedy: "Give credentials together with host (makeCredentials), or leave host out: then it listens on 127.0.0.1.",
  },
  CredentialsInvalid: {
    retryable: false,
    remedy: "Put the file back, or delete both files for new ones; then the nodes need the new node.creds too.",
  },
} satisfies Record<string, ErrorKind>;

export type NodeErrorCode = keyof typeof NODE_ERRORS;

export const nodeError = errorsFrom(NODE_ERRORS);
