// The SDK: every name a user of actors needs. Other folders import runtime/ from here only.

export { type Clock, sleep, systemClock, type Timer } from "./clock.ts";
export { type ErrorData, type ErrorKind, errorsFrom, FlotillaError, isFlotillaError } from "./errors.ts";
export { type Random, seededRandom, systemRandom } from "./random.ts";
