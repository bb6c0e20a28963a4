// What can go wrong while an actor's code travels from a script to a node, and while a node loads a module of actors.
// Which of the two sides has to act is said in each remedy.

import { errorsFrom } from "../errors.ts";

export const codeError = errorsFrom({
  ActorModuleInvalid: {
    retryable: false,
    remedy: "Name a module that Node can load and that exports at least one actor: export const A = defineActor(…).",
  },
  BundleFailed: {
    retryable: false,
    remedy: "Mend what the bundler names, or register the type on the node: flotilla node --actors FILE.",
  },
  BundleTooLarge: {
    retryable: false,
    remedy: "Import less in the actors' module, or register the type on the node: flotilla node --actors FILE.",
  },
  CodeCorrupt: { retryable: false, remedy: "Look at who writes to the blob store: these bytes are no bundle of ours." },
  CodeLoadFailed: { retryable: false, remedy: "Mend the actors' module; the message says what it threw on the node." },
  CodeMissing: {
    retryable: false,
    remedy: "The bundle was deleted from the blobs; start the script again to ship it anew.",
  },
  CodeNotAllowed: {
    retryable: false,
    remedy: "Start the node with allowCode: true (flotilla node --allow-code), or register the type there.",
  },
  CodeNotExported: { retryable: false, remedy: "Export the type from its module, as the message writes it." },
  ConnectWhileLoading: {
    retryable: false,
    remedy: "Move the actors into a module of their own, which connects to nothing.",
  },
  VersionSkew: {
    retryable: false,
    remedy: "Run the same version on both sides; the message names both and says what each side can do.",
  },
});
