// Reports on a story's code, and the jobs of the workspace runner, as messages and back.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Job, type JobReport, jobReportSchema } from "../../actors/index.ts";
import type { JobSchema, WorkspaceReport } from "../proto/gen/fleet/workspace/v1/workspace_pb.js";
import { checked, long, present } from "./values.ts";

/** Throws FieldInvalid. */
export const reportOf = ({ build, unit, e2e, static: analysis, coverage, lint }: WorkspaceReport): JobReport =>
  checked(
    jobReportSchema,
    present({
      build: build && { success: build.ok },
      unit: unit && { passed: unit.passed, failed: unit.failed, skipped: unit.skipped },
      e2e: e2e && { passed: e2e.passed, failed: e2e.failed, skipped: e2e.skipped },
      static: analysis && { critical: analysis.critical, major: analysis.major, minor: analysis.minor },
      coverage: coverage && { lines: coverage.lines },
      lint: lint && { errors: lint.errors, warnings: lint.warnings },
    }),
    "report",
  );

export const jobMessage = (job: Job): MessageInitShape<typeof JobSchema> =>
  present({
    jobId: job.jobId,
    storyId: job.storyId,
    taskId: job.taskId,
    attempt: job.attempt,
    agentId: job.agentId,
    role: job.role,
    priority: job.priority,
    backend: job.backend,
    state: job.state,
    error: job.error && { ...job.error },
    base: job.base,
    place: job.place,
    queuedAtMs: long(job.queuedAtMs),
    startedAtMs: job.startedAtMs === undefined ? undefined : long(job.startedAtMs),
    endedAtMs: job.endedAtMs === undefined ? undefined : long(job.endedAtMs),
  });
