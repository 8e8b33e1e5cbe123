"""How far a long transfer is, on a terminal."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gitprov.store.transfer import Watch

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# What takes less needs no bar.
_LONG_SECONDS = 1.0


@contextmanager
def progress_bar() -> Iterator[Watch | None]:
    """Yield what shows how far something is, on standard error; None where that is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield None
        return
    bar = _Bar()
    try:
        yield bar
    finally:
        bar.end()


class _Bar:
    """A bar that appears once something takes long, and is gone when it ends."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._step = ""
        self._shown: tuple[Progress, TaskID] | None = None

    def __call__(self, step: str, done: int, total: int) -> None:
        if self._shown is None:
            if time.monotonic() - self._begun < _LONG_SECONDS:
                return
            self._shown = _show(step)
        progress, task = self._shown
        if step != self._step:
            self._step = step
            progress.reset(task, description=step)
        progress.update(task, completed=done, total=total)

    def end(self) -> None:
        """Take the bar away."""
        if self._shown is not None:
            self._shown[0].stop()


def _show(step: str) -> "tuple[Progress, TaskID]":
    # Late: whoever does not wait for anything does not pay for it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.start()
    return progress, progress.add_task(step)
