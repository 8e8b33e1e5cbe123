"""How far a long transfer, or the hashing of data, is, on a terminal."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gitprov.store.transfer import Watch

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

    Show = Callable[[str], tuple[Progress, TaskID]]

# What takes less needs no bar.
_LONG_SECONDS = 1.0


@contextmanager
def progress_bar() -> Iterator[Watch | None]:
    """Yield what shows how far something is, on standard error; None where that is no terminal."""
    with _bar(_show_steps) as bar:
        yield bar


@contextmanager
def data_bar() -> Iterator[Watch | None]:
    """Yield the same for bytes, with their rate and the time that is left."""
    with _bar(_show_bytes) as bar:
        yield bar


@contextmanager
def _bar(show: "Show") -> Iterator[Watch | None]:
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield None
        return
    bar = _Bar(show)
    try:
        yield bar
    finally:
        bar.end()


class _Bar:
    """A bar that appears once something takes long, and is gone when it ends."""

    def __init__(self, show: "Show") -> None:
        self._show = show
        self._begun = time.monotonic()
        self._step = ""
        self._shown: tuple[Progress, TaskID] | None = None

    def __call__(self, step: str, done: int, total: int) -> None:
        if self._shown is None:
            if time.monotonic() - self._begun < _LONG_SECONDS:
                return
            self._shown = self._show(step)
        progress, task = self._shown
        if step != self._step:
            self._step = step
            progress.reset(task, description=step)
        progress.update(task, completed=done, total=total or None)

    def end(self) -> None:
        """Take the bar away."""
        if self._shown is not None:
            self._shown[0].stop()


def _show_steps(step: str) -> "tuple[Progress, TaskID]":
    # Late: whoever does not wait for anything does not pay for it.
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return _started(
        step,
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )


def _show_bytes(step: str) -> "tuple[Progress, TaskID]":
    # Late, as above.
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return _started(
        step,
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )


def _started(step: str, *columns: "ProgressColumn") -> "tuple[Progress, TaskID]":
    # Late, as above.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.start()
    return progress, progress.add_task(step)
