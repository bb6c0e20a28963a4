// The SDK: every name a user of actors needs. Other folders import runtime/ from here only.

export {
  type ActorClass,
  type ActorHooks,
  type ActorType,
  defineActor,
  type Isolation,
  type SpawnOptions,
  type TypeOptions,
} from "./actor.ts";
export { type Address, formatAddress } from "./address.ts";
export type { Blobs } from "./blobs.ts";
export type { CallOptions } from "./calls.ts";
export { type Backoff, decide as decideRestart, type RestartPolicy, withinWindow } from "./cell/supervisor.ts";
export { type Clock, sleep, systemClock, type Timer } from "./clock.ts";
export { loadActorModule } from "./code/actor-module.ts";
export { type ConnectOptions, connect } from "./connect.ts";
export { type ActorContext, type ActorTimers, actorContext } from "./context.ts";
export type { OutcomeStats, SystemStats } from "./counts.ts";
export type { DeadLetter, DeadLetters } from "./dead-letters.ts";
export type { ActorEnd } from "./envelope.ts";
export { type ErrorData, type ErrorKind, errorsFrom, FlotillaError, isFlotillaError } from "./errors.ts";
export { type Appended, type EventLog, type LoggedEvent, READ_MAX } from "./event-log.ts";
export type { GroupOptions, PlacementGroup } from "./groups.ts";
export type { AnyHandle, Handle, HandleOf } from "./handle.ts";
export type { MemoryBound } from "./isolation/cgroup.ts";
export { OutputLines } from "./isolation/output.ts";
export type { LogLevel, LogLine, LogSink } from "./log.ts";
export { foldedLog, formatLogLine, type HeldLog } from "./log-text.ts";
export { makeUserKey, type UserKey, userKeyOf } from "./nats/keys.ts";
export { type NatsPermissions, nodePermissions } from "./nats/permissions.ts";
export { type PreparationOptions, prepareFleet } from "./nats/preparation.ts";
export { type FleetProbe, fleetClock, type NodeClock, type ProbeOptions, probeFleet } from "./nats/probe.ts";
export {
  type EngineReport,
  type EngineState,
  type GpuReport,
  NODE_REPORT_MAX_BYTES,
  NODE_REPORT_MIN_MS,
  type NodeRecord,
  type NodeReport,
  type WaitingPlacement,
} from "./node-record.ts";
export { nodeName } from "./options.ts";
export {
  type Bundle,
  type Decision,
  type GroupPlan,
  type GroupStrategy,
  type NodeScore,
  type PlacementOptions,
  type PlacementRequest,
  type Placer,
  type PlacerModule,
  type PlacerView,
  type Rejection,
  type Strategy,
  unplaceable,
} from "./placer.ts";
export type { Mapped, Pool } from "./pool/pool.ts";
export type { PoolHandle } from "./pool/pool-handle.ts";
export type { MapOptions, PoolCallOptions, PoolOptions } from "./pool/pool-options.ts";
export type { PoolStrategy } from "./pool/strategy.ts";
export type { Ports } from "./ports.ts";
export { type Random, seededRandom, systemRandom } from "./random.ts";
export type { ActorReminders, Reminder, ReminderTime } from "./reminders.ts";
export type { Admission, Amounts, BundleKey, Demand, Grant, Granted, Refusal } from "./resources.ts";
export type { ActorState } from "./state.ts";
export { type Entry, listEntries, type Store } from "./store.ts";
export type { Stream } from "./stream.ts";
export type { ActorSystem } from "./system.ts";
export type { TaskDeadLetter, TaskDeadLetters } from "./tasks/dead-letters.ts";
export type { SubmitOptions, TaskAttempt, TaskFailure } from "./tasks/task.ts";
export type { ResultOptions, WaitedTasks, WaitOptions } from "./tasks/tasks.ts";
export { filterOf as topicFilter, subjectOf as topicSubject, topicOf as topicOfSubject } from "./topic-name.ts";
export type { Published, PublishOptions, SubscribeOptions, Subscription, TopicEvent } from "./topics.ts";
export type { TraceContext } from "./trace.ts";
export type { Transport } from "./transport.ts";
