// What the options of a model server are called on the command line. Sentences about servers are written for programmers, who give options;
// whoever reads them in a terminal has given keys.

/** Option → key of --vllm, where that is another word. */
export const KEYS: Readonly<Record<string, string>> = {
  model: "MODEL",
  servedName: "name",
  tensorParallel: "tp",
  maxModelLen: "max-len",
  gpuMemoryShare: "memory",
  maxNumSeqs: "slots",
  kvEvents: "kv-events",
  sleepMode: "sleep",
  idleSleepMs: "idle-sleep",
  readyTimeoutMs: "ready-timeout",
  "watch.stallMs": "stall",
  extraArgs: "arg",
  program: "program",
  url: "URL",
};

/** Words that mean nothing else in a sentence. */
const PLAIN = /\b(tensorParallel|maxModelLen|gpuMemoryShare|maxNumSeqs|readyTimeoutMs|watch\.stallMs|extraArgs)\b/g;
const PHRASES: readonly (readonly [RegExp, string])[] = [
  [/the option program\b/g, "--vllm-program"],
  [/the option apiKey\b/g, "FLOTILLA_API_KEY"],
  [/in the option environment\b/g, "in this daemon's environment"],
  [/the option (kvEvents)\b/g, "kv-events"],
  [/the option (url|model)\b/g, "--adopt"],
];

/** The sentence with the words of the command line. */
export function inKeys(sentence: string): string {
  const told = PHRASES.reduce((text, [option, key]) => text.replace(option, key), sentence);
  return told.replace(PLAIN, (option) => KEYS[option] ?? option);
}
