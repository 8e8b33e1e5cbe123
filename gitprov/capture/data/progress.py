"""How far the capture of data is, in bytes."""

import time
from collections.abc import Callable
from threading import Thread

from gitprov.store.transfer import Watch

_INTERVAL_SECONDS = 0.1
# What takes less time is not worth a second look at how much there is.
_COUNT_AFTER_SECONDS = 1.0


class Progress:
    """Tells a watch how many bytes are done, and of how many once that is known.

    `total` counts them, beside the work, where it takes long.
    """

    def __init__(self, watch: Watch, step: str, total: Callable[[], int]) -> None:
        self._watch = watch
        self._step = step
        self._count = total
        self._total = 0
        self._done = 0
        self._begun = self._told = time.monotonic()
        self._counting: Thread | None = None

    def add(self, size: int) -> None:
        """Say that so many bytes more are done."""
        self._done += size
        self.check()

    def check(self) -> None:
        """Tell the watch, if it is time to."""
        now = time.monotonic()
        if now - self._told < _INTERVAL_SECONDS:
            return
        self._told = now
        if self._counting is None and now - self._begun > _COUNT_AFTER_SECONDS:
            self._counting = Thread(target=self._look, daemon=True)
            self._counting.start()
        self._watch(self._step, self._done, self._total)

    def _look(self) -> None:
        self._total = self._count()
