// The simulator against the suite that the real vLLM runs, too (test/vllm/).

import { startVllmSim } from "../../../nodes/index.ts";
import { modelServerContract } from "../../contracts/model-server.ts";

const MODEL = "Qwen/Qwen3-0.6B";
const MAX_MODEL_LEN = 8_192;

modelServerContract(
  "the simulator",
  async () => {
    const sim = await startVllmSim({
      model: MODEL,
      maxModelLen: MAX_MODEL_LEN,
      kvEventsPort: 0,
      kvReplayPort: 0,
      devMode: true,
      decodeMsPerToken: 0.2,
    });
    const { url, kvEndpoint, replayEndpoint } = sim;
    return { url, model: MODEL, maxModelLen: MAX_MODEL_LEN, kvEndpoint, replayEndpoint, close: () => sim.stop() };
  },
  { hasKvEvents: true, hasReplay: true, hasDevMode: true },
  {
    "gives as many choices as n asks for": "it gives one choice and refuses more",
    "has every family of metrics that vLLM has":
      "it counts what it simulates; a gauge of creation times tells nothing more",
  },
);
