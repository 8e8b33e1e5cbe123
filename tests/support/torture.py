"""What the long form of the fault tests is made of; `scripts/torture` runs it.

A part has scenarios, a scenario has states, and each state is tried on its own, in one of several
worker processes with a single thread each.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(slots=True)
class Outcome:
    """What trying a state showed: acknowledged runs that are gone, and whatever else is wrong.

    `state` says in words how to get there, `figures` what else is worth printing. Something that
    tries many states at once says how many.
    """

    state: str = ""
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    figures: str = ""
    tried: int = 1


class Part(NamedTuple):
    """A part of the long form. Its functions are called in a worker, with a scenario's name."""

    summary: str
    scenarios: Sequence[str]
    states: Callable[[str], Sequence[Any]]
    attempt: Callable[[str, Any], Outcome]


def workers(count: int) -> ProcessPoolExecutor:
    """Return a pool of so many processes, each with a single thread of its own."""
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"))


@cache
def worker_folder() -> Path:
    """Return a folder of this process, in memory where that can be; it goes when we end."""
    return Path(_worker_folder().name)


@cache
def _worker_folder() -> tempfile.TemporaryDirectory[str]:
    memory = "/dev/shm"
    place = memory if os.access(memory, os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="gitprov-", dir=place, ignore_cleanup_errors=True)
