"""Many clones that push runs to one remote at once: how often each has to try, and for how long."""

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.repositories import Clone, clean_environment

# Records a run and pushes it, as often as told, once it is told to begin. What could not be pushed
# goes with the next run, or is tried again at the end, as a person would.
_WORKER = """
import json, sys, time
from pathlib import Path
from gitprov.errors import StoreBusy
from gitprov.store import sync
from gitprov.store.sending import Sending
from gitprov.store.store import Store
from tests.support.runs import record, use_shard

store = Store.open(Path(sys.argv[1]))
if sys.argv[3]:
    use_shard(store, sys.argv[3])
commit = store.repository.git.run("rev-parse", "HEAD").decode().strip()
attempts, once = 0, Sending.once
def counted(*arguments):
    global attempts
    attempts += 1
    return once(*arguments)
Sending.once = counted
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    ids = record(store, source={"commit": commit})
    begun, attempts, busy = time.perf_counter(), 0, 0
    while True:
        try:
            done = sync.push(store, "origin")
        except StoreBusy:
            busy += 1
        else:
            break
    assert not done.refused, done.refused
    took = time.perf_counter() - begun
    print(json.dumps({"ids": ids, "attempts": attempts, "busy": busy, "seconds": took}), flush=True)
"""


class Pushes(NamedTuple):
    """For each run, how often it was pushed until it was there, and for how long.

    `busy` counts how often a push has given up.
    """

    ids: list[str]
    attempts: list[int]
    seconds: list[float]
    busy: int
    all_seconds: float

    @property
    def median_attempts(self) -> float:
        """Return how many pushes a run takes, at the median."""
        return statistics.median(self.attempts)


def push_at_once(
    folder: Path, url: str, *, clones: int, runs: int, shard: str = "", timeout: float = 600
) -> Pushes:
    """Let so many clones push so many runs each, one by one, to the repository at `url`.

    Each has a writer of its own, in the `shard` that is named or anywhere. The caller sees to the
    repository; what all have pushed is in the result.
    """
    seed = Clone.make(folder / "seed")
    seed.git("remote", "add", "origin", url)
    seed.git("push", "--quiet", "origin", "main")
    workers = []
    try:
        for number in range(clones):
            path = folder / f"clone{number}"
            shutil.copytree(seed.path, path, symlinks=True)
            command = [sys.executable, "-c", _WORKER, str(path), str(runs), shard]
            workers.append(
                subprocess.Popen(
                    command, env=clean_environment(), stdin=subprocess.PIPE, text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                )
            )  # fmt: skip
        for worker in workers:
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n"
        begun = time.perf_counter()
        for worker in workers:
            assert worker.stdin
            worker.stdin.write("go\n")
            worker.stdin.flush()
        done = Pushes([], [], [], 0, 0.0)
        for worker in workers:
            output, errors = worker.communicate(timeout=timeout)
            assert worker.returncode == 0, errors
            for line in map(json.loads, output.splitlines()):
                done.ids.extend(line["ids"])
                done.attempts.append(line["attempts"])
                done.seconds.append(line["seconds"])
                done = done._replace(busy=done.busy + line["busy"])
        return done._replace(all_seconds=time.perf_counter() - begun)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
