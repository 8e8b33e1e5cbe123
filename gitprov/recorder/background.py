"""Draining beside the program, so that nobody waits for the ledger once a run is acknowledged.

A thread that lives for as long as there is something to drain: a program that forks, or counts its
threads, meets none. The program's end waits for it (`join`). Where it cannot be started, as while
Python shuts down, the caller drains.
"""

import _thread
import os
import threading

from gitprov.capture.own_reads import paused
from gitprov.recorder.recovery import catch_up
from gitprov.store.store import Store

# A drain takes milliseconds, unless it waits for another one.
_LONGEST_WAIT_SECONDS = 5


class BackgroundDrain:
    """Takes stores whose journals hold finished runs; remembers what went wrong."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: list[Store] = []
        self._idle = threading.Event()
        self._idle.set()
        self._problems: list[str] = []
        os.register_at_fork(before=self._let_finish, after_in_child=self._forget)

    def take(self, store: Store) -> None:
        """Drain the journal of a store, soon, and close the store; the caller is done with it."""
        with self._guard:
            self._waiting.append(store)
            if not self._idle.is_set():
                return
            self._idle.clear()
        try:
            # Not Thread.start, which waits until the new thread gets its turn.
            _thread.start_new_thread(self._work, ())
        except RuntimeError:
            self._work()

    def problems(self) -> list[str]:
        """Return, once, what could not be done since the last call, in words."""
        with self._guard:
            found, self._problems = self._problems, []
        return found

    def join(self) -> None:
        """Wait until all is done that was taken."""
        self._idle.wait()

    def _work(self) -> None:
        try:
            with paused():
                self._drain_all()
        except BaseException:  # such as KeyboardInterrupt, where the caller drains
            self._idle.set()
            raise

    def _drain_all(self) -> None:
        while stores := self._next():
            try:
                found = catch_up(stores[0]).problems
            except Exception as error:  # noqa: BLE001 -- told by whoever asks for the problems
                found = [f"a fault in gitprov, please report it: {error!r}"]
            for store in stores:
                store.close()
            with self._guard:
                self._problems += found

    def _next(self) -> list[Store]:
        """Return the stores of one journal, which one drain empties; none ends the thread."""
        with self._guard:
            if not self._waiting:
                self._idle.set()
                return []
            first = self._waiting[0].journal.folder
            stores = [store for store in self._waiting if store.journal.folder == first]
            self._waiting = [store for store in self._waiting if store not in stores]
            return stores

    def _let_finish(self) -> None:
        """Wait before a fork: a child must not hold the store's lock, or the pipe to a git."""
        self._idle.wait(_LONGEST_WAIT_SECONDS)

    def _forget(self) -> None:
        """Begin anew: a forked child has no threads, and its parent drains what is the parent's."""
        self._guard = threading.Lock()
        self._waiting, self._problems = [], []
        self._idle = threading.Event()
        self._idle.set()
