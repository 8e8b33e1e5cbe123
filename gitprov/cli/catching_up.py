"""Opening the store for a verb that reads, with everything that waits taken in first."""

from collections.abc import Iterator
from contextlib import contextmanager

from gitprov.cli.terminal import say
from gitprov.model.ids import short
from gitprov.model.wording import printable
from gitprov.recorder.recovery import catch_up
from gitprov.store.store import Store


@contextmanager
def current_store() -> Iterator[Store]:
    """Yield the store of the current folder, level with its journal and its remotes."""
    store = Store.open()
    done = catch_up(store)
    if done.adopted:
        ids = ", ".join(short(run_id) for run_id in done.adopted)
        say(f"gitprov: recorded as aborted, because their process died: {ids}")
    for problem in done.problems:
        say(f"gitprov: warning: {printable(problem)}")
    try:
        yield store
    finally:
        store.close()
