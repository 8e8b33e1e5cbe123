"""Opening the store for a verb that reads, with everything that waits taken in first."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gitprov.cli.terminal import say
from gitprov.model.ids import short
from gitprov.model.wording import printable
from gitprov.recorder.recovery import catch_up, update_notes
from gitprov.store.store import Store


@contextmanager
def current_store(*, put_back: bool = True) -> Iterator[Store]:
    """Yield the store of the current folder, level with its journal and its remotes.

    Refs that somebody has set back are put back, unless they are to be looked at as they are.
    """
    store = Store.open()
    done = catch_up(store, put_back=put_back)
    if done.adopted:
        ids = ", ".join(short(run_id) for run_id in done.adopted)
        say(f"gitprov: recorded as aborted, because their process died: {ids}")
    warn(done.problems)
    try:
        yield store
    finally:
        store.close()


def note_links(store: Store) -> None:
    """Note runs on the commits that stand for their sources; what hinders it is a warning."""
    warn(update_notes(store).problems)


def warn(problems: Iterable[str]) -> None:
    """Tell the user what is not as it should be, a line each."""
    for problem in problems:
        say(f"gitprov: warning: {printable(problem)}")
