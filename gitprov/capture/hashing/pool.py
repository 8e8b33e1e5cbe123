"""Hashing many files: in this process while they are few, in several where it pays.

Threads do not help: hashing small files is mostly Python. Forking may break the program that
records itself, and a process that multiprocessing spawns runs its main module once more; so the
workers are programs of their own.
"""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple

from gitprov.capture.hashing.worker import Answer, Request, answer, receive, send

# Starting a worker takes as long as hashing so much.
_WORTH_FILES = 2000
_WORTH_BYTES = 64 << 20
_BATCH_FILES = 256
_BATCH_BYTES = 16 << 20
# So many batches are given to a worker beside the one whose answer is read.
_AHEAD = 2
# The workers find modules where this program does.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from gitprov.capture.hashing.worker import main; main()"
)


class Pool:
    """Hashes files in their order; workers are started once there is enough to do."""

    def __init__(self, processes: int | None = None) -> None:
        self._most = processes if processes is not None else os.cpu_count() or 1
        self._workers: list[_Worker] = []
        self._files = 0
        self._bytes = 0

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.close()
        self._workers.clear()

    def hash(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Yield the answers to requests, in their order."""
        waiting: deque[_Asked] = deque()
        try:
            for number, batch in enumerate(_batches(requests)):
                self._grow(batch)
                worker = self._workers[number % len(self._workers)] if self._workers else None
                if worker is not None:
                    worker.ask(batch)
                waiting.append(_Asked(batch, worker))
                while len(waiting) > _AHEAD * len(self._workers):
                    yield from _answers(waiting.popleft())
            while waiting:
                yield from _answers(waiting.popleft())
        except BaseException:
            # Answers that nobody has waited for must not be taken for others.
            self.close()
            raise

    def _grow(self, batch: Sequence[Request]) -> None:
        """Start the workers once they pay."""
        self._files += sum(len(request.names) for request in batch)
        self._bytes += sum(request.size for request in batch)
        worth = self._files > _WORTH_FILES or self._bytes > _WORTH_BYTES
        if worth and not self._workers and self._most > 1:
            self._workers = [_Worker() for _ in range(self._most)]


class _Asked(NamedTuple):
    batch: Sequence[Request]
    worker: "_Worker | None"


def _batches(requests: Iterable[Request]) -> Iterator[list[Request]]:
    batch: list[Request] = []
    files = size = 0
    for request in requests:
        if batch and size + request.size > _BATCH_BYTES:
            # Not with a large file: what is hashed before it is kept if that is interrupted.
            yield batch
            batch, files, size = [], 0, 0
        batch.append(request)
        files += len(request.names)
        size += request.size
        if files >= _BATCH_FILES:
            yield batch
            batch, files, size = [], 0, 0
    if batch:
        yield batch


class _Worker:
    """A process that hashes.

    A thread passes requests on: who writes to a process that is itself waiting to be read from
    would wait for ever, however large pipes are.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the program, which ends them
            env=_environment(),
        )
        self._batches: SimpleQueue[Sequence[Request] | None] = SimpleQueue()
        self._sender = Thread(target=self._send, daemon=True)
        self._sender.start()

    def ask(self, batch: Sequence[Request]) -> None:
        """Give it a batch."""
        self._batches.put(batch)

    def answers(self) -> list[Answer]:
        """Return the answers to the batch that it was given first; none where it has died."""
        assert self._process.stdout  # noqa: S101 -- opened with pipes
        try:
            found = receive(self._process.stdout)  # type: ignore[arg-type]
        except EOFError:
            return []
        return [Answer(*values) for values in found]  # type: ignore[arg-type]

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._batches.put(None)
        self._sender.join()
        self._process.communicate()

    def _send(self) -> None:
        assert self._process.stdin  # noqa: S101 -- opened with pipes
        with suppress(OSError):  # it has died
            for batch in iter(self._batches.get, None):
                send(self._process.stdin, batch)  # type: ignore[arg-type]


def _environment() -> dict[str, str]:
    """Return an environment in which nobody observes a worker: what it reads is not the program's.

    What else observes programs is in PYTHONPATH as they inherit it, not as they see it.
    """
    ours = {name: value for name, value in os.environ.items() if name != "GITPROV_JOURNAL"}
    return {**ours, "GITPROV_OBSERVE_READS": "0"}


def _answers(asked: _Asked) -> Iterator[Answer]:
    """Yield what a worker has found; what a worker that has died leaves is done here."""
    found = asked.worker.answers() if asked.worker is not None else []
    yield from found if len(found) == len(asked.batch) else map(answer, asked.batch)
