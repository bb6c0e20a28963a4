// The errors of the workspace score.

import { errorsFrom } from "../../runtime/index.ts";

export const fail = errorsFrom({
  RigorInvalid: { retryable: false, remedy: "Correct what the message names in the table of rigor levels." },
});
