"""Many processes that record runs in one repository at once, and how long each had to wait."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.repositories import clean_environment

# Prints, for each run, its id and for how long `finish` took, as soon as it is acknowledged.
# Warnings go to stderr, each of them.
_WORKER = """
import sys, time, warnings
import gitprov

warnings.simplefilter("always", gitprov.GitprovWarning)
for number in range(int(sys.argv[1])):
    run = gitprov.start_run(params={f"param{i}": i * 0.5 for i in range(20)})
    run.log_metrics({f"metric{i}": number + i / 7 for i in range(20)})
    begun = time.perf_counter()
    run.finish()
    took = time.perf_counter() - begun
    print(run.id, took, flush=True)
"""


class Acknowledged(NamedTuple):
    """The ids of the runs that were acknowledged, how long each took, and what was warned of."""

    ids: list[str]
    milliseconds: list[float]
    warnings: list[str]

    def quantile(self, share: float) -> float:
        """Return the time within which so large a share was acknowledged."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def record_at_once(path: Path, *, processes: int, runs: int, timeout: float = 3600) -> Acknowledged:
    """Let so many processes record so many runs each, and wait for all of them."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(runs)],
            cwd=path, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, text=True,
        )
        for _ in range(processes)
    ]  # fmt: skip
    done = Acknowledged([], [], [])
    try:
        for worker in workers:
            output, errors = worker.communicate(timeout=timeout)
            if worker.returncode != 0:
                raise AssertionError(f"a recording process exited {worker.returncode}\n{errors}")
            done.warnings.extend(errors.splitlines())
            for line in output.splitlines():
                run_id, took = line.split()
                done.ids.append(run_id)
                done.milliseconds.append(float(took) * 1000)
    finally:
        for worker in workers:
            worker.kill()
    return done


@contextmanager
def repeating(path: Path, commands: Sequence[Sequence[str]]) -> Iterator[list[int]]:
    """Run commands in turn, again and again, while the block runs; yields their exit statuses."""
    ended = threading.Event()
    statuses: list[int] = []

    def work() -> None:
        while not ended.is_set():
            for command in commands:
                done = subprocess.run(
                    command, cwd=path, env=clean_environment(), check=False, capture_output=True
                )
                statuses.append(done.returncode)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        thread.join()


def bare_fsync_milliseconds(folder: Path, times: int = 200) -> float:
    """Return the median time of an fsync of a new file of 1 kB."""
    taken = []
    for number in range(times):
        path = folder / f"fsync-{number}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, bytes(1024))
        begun = time.perf_counter()
        os.fsync(descriptor)
        taken.append((time.perf_counter() - begun) * 1000)
        os.close(descriptor)
        path.unlink()
    return sorted(taken)[times // 2]


def ids_in_log(output: str) -> list[str]:
    """Return the ids that `git prov log --json` lists."""
    return [json.loads(line)["id"] for line in output.splitlines()]
