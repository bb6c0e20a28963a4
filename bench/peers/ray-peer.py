# Ray as a peer of the benchmark: answers each line of standard input, {"row", "ms", "quick"}, with one line of figures (lines.ts says which).
# The shapes are Ray's own (ray/_private/ray_perf.py): actors that declare no CPU and return two bytes, 1,000 calls outstanding as one batch,
# n:n as 4 tasks that each send 5,000 calls over cores/2 actors. Each row keeps its actors; the first round of a row warms them.
# It is not a benchmark by itself: who is measured when, and against what, is run.ts's business.

import json
import os
import shutil
import sys
import tempfile
import time

# Before Ray is imported: no report leaves this machine, Ray listens on loopback only (its own variable for that, whatever its name says),
# and its lines go to stderr, because stdout is ours.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_enable_metrics_collection"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
# Ray runs its processes at nice 15 unless told otherwise; on a busy machine that would be measured, to our advantage.
os.environ["RAY_worker_niceness"] = "0"
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import ray  # noqa: E402

CORES = max(2, len(os.sched_getaffinity(0)))
OUTSTANDING = 1_000
CALLERS = 4
REMOVE_TRIES = 25
# No row has more than 20 MB under way, and small values do not go there at all.
OBJECT_STORE_BYTES = 512 * 1024 * 1024


@ray.remote(num_cpus=0)
class Actor:
    def small_value(self):
        return b"ok"

    def echo(self, payload):
        return payload

    @ray.method(num_returns="streaming")
    def ticks(self, count):
        for tick in range(count):
            yield tick


@ray.remote
def small_value():
    return b"ok"


@ray.remote
def work(actors, calls):
    ray.get([actors[i % len(actors)].small_value.remote() for i in range(calls)])


def repeat(ms, once):
    """Runs once() until ms have passed; it returns how much it did. The figure is that much a second."""
    done, start = 0, time.perf_counter()
    end = start + ms / 1000
    while time.perf_counter() < end:
        done += once()
    return {"value": done / (time.perf_counter() - start)}


def sequential(actor):
    def measure(ms, _quick):
        latencies = []

        def once():
            start = time.perf_counter()
            ray.get(actor.small_value.remote())
            latencies.append(time.perf_counter() - start)
            return 1

        figures = repeat(ms, once)
        latencies.sort()
        at = lambda share: latencies[min(len(latencies) - 1, int(share * len(latencies)))] * 1e6  # noqa: E731
        return {**figures, "p50Us": at(0.5), "p99Us": at(0.99)}

    return measure


def batches(outstanding, send):
    def once():
        ray.get([send() for _ in range(outstanding)])
        return outstanding

    return lambda ms, _quick: repeat(ms, once)


def echo(size, outstanding):
    actor, payload = Actor.remote(), os.urandom(size)
    return batches(outstanding, lambda: actor.echo.remote(payload))


def many_to_many():
    actors = [Actor.remote() for _ in range(CORES // 2)]

    def measure(ms, quick):
        calls = 1_000 if quick else 5_000

        def once():
            ray.get([work.remote(actors, calls) for _ in range(CALLERS)])
            return CALLERS * calls

        return repeat(ms, once)

    return measure


def stream():
    actor = Actor.remote()

    def once():
        return sum(1 for item in actor.ticks.remote(OUTSTANDING) if ray.get(item) >= 0)

    return lambda ms, _quick: repeat(ms, once)


def spawn():
    def measure(_ms, quick):
        count = 4 if quick else 12
        start = time.perf_counter()
        actors = [Actor.remote() for _ in range(count)]
        ray.get([actor.small_value.remote() for actor in actors])
        seconds = time.perf_counter() - start
        for actor in actors:
            ray.kill(actor)
        return {"value": count / seconds}

    return measure


def pipelined():
    actor = Actor.remote()
    return batches(OUTSTANDING, lambda: actor.small_value.remote())


ROWS = {
    "remote.call.sequential": lambda: sequential(Actor.remote()),
    "remote.call.pipelined": pipelined,
    "remote.echo.1k": lambda: echo(1_000, OUTSTANDING),
    "remote.echo.100k": lambda: echo(100_000, 100),
    "remote.call.nn": many_to_many,
    "remote.stream": stream,
    "remote.spawn.shared": spawn,
    "remote.spawn.process": spawn,
    "remote.spawn.process.cold": spawn,
    "task.completed": lambda: batches(OUTSTANDING, small_value.remote),
}


def answer(line):
    print(json.dumps(line), file=answers, flush=True)


def main():
    # In /tmp, whatever TMPDIR says: a socket's path may have 107 characters.
    folder = tempfile.mkdtemp(prefix="flotilla-ray-", dir="/tmp")
    ray.init(
        address="local",
        num_cpus=CORES,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _temp_dir=folder,
    )
    answer({"ready": {"rows": list(ROWS), "versions": {"ray": ray.__version__}}})
    started = {}
    try:
        for line in sys.stdin:
            ask = json.loads(line)
            row = ask["row"]
            if row not in started:
                started[row] = ROWS[row]()
            try:
                answer(started[row](ask["ms"], ask["quick"]))
            except Exception as error:  # the row is lost, not the run
                answer({"error": str(error)})
    finally:
        ray.shutdown()
        # Its processes may still be writing their last lines there.
        for _ in range(REMOVE_TRIES):
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.exists(folder):
                break
            time.sleep(0.2)


main()
