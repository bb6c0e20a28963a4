// A reporter for `node --test` that writes what happened as one JSON object, at the end: a run that crashes leaves none.
// Not node's own JUnit reporter: that one (Node 24) drops the failure of a test that has subtests, and of a suite's hooks.
// Plain JavaScript, because the workspace's node may be older than ours.

import { relative, resolve } from "node:path";

const STDERR_MAX = 4_000;

/** A file that node ran as one test: it crashed, or it has no tests and merely ended well. */
const isFile = (data) => data.nesting === 0 && data.file !== undefined && resolve(data.name) === resolve(data.file);

function messageOf(error) {
  const cause = error?.cause ?? error;
  return String(cause?.stack ?? cause?.message ?? cause);
}

async function* report(source) {
  const tests = [];
  const titles = [];
  const stderr = new Map();
  for await (const { type, data } of source) {
    if (type === "test:start") titles[data.nesting] = data.name;
    if (type === "test:stderr" && data.file !== undefined) {
      // Its file is relative here and absolute in other events.
      const file = resolve(data.file);
      stderr.set(file, ((stderr.get(file) ?? "") + data.message).slice(-STDERR_MAX));
    }
    if (type !== "test:pass" && type !== "test:fail") continue;
    const error = data.details?.error;
    const failed = type === "test:fail";
    // Its failing subtests are in the report themselves.
    if (failed && error?.failureType === "subtestsFailed") continue;
    if (!failed && (data.details?.type === "suite" || isFile(data))) continue;
    const place = data.file === undefined ? "" : relative(process.cwd(), data.file);
    const title = [...titles.slice(0, data.nesting), data.name].join(" > ");
    const excused = (data.skip ?? false) !== false || (data.todo ?? false) !== false;
    const outcome = excused ? "skipped" : failed ? "failed" : "passed";
    const message = outcome === "failed" ? messageOf(error) : "";
    const name = place === "" || isFile(data) ? title : `${place}::${title}`;
    tests.push({ name, outcome, message, ...(isFile(data) ? { file: resolve(data.file) } : {}) });
  }
  // Only now: what a crashed file said may arrive after the event of its failure.
  const told = tests.map(({ file, ...test }) => ({
    ...test,
    message: `${test.message}\n${stderr.get(file) ?? ""}`.trim(),
  }));
  yield JSON.stringify({ tests: told });
}

export { report as default };
