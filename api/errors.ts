// The errors of the doors: what a user of the command is told before any agent starts.

import { errorsFrom } from "../runtime/index.ts";

export const fail = errorsFrom({
  OptionInvalid: { retryable: false, remedy: "Correct the option that the message names." },
  ModelNotChosen: { retryable: false, remedy: "Name a model server and a model, or ask for the mock by name." },
  NoAgentAsked: { retryable: true, remedy: "Mend what the message names: no agent could ask its model even once." },
});
