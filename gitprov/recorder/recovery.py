"""Bringing the ledger up to date: runs whose process died, and what waits in the journal.

Every command that reads calls `catch_up` first, so that a run that was killed shows up without
anybody's help.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from gitprov.errors import GitprovError
from gitprov.store.head import head_is
from gitprov.store.high_water import HighWater
from gitprov.store.remote_tips import unread_tips
from gitprov.store.rewrites import rewrites_wait
from gitprov.store.store import Store


@dataclass(slots=True)
class CaughtUp:
    """What `catch_up` did: the dead runs it finished, and what it could not do, in words."""

    adopted: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def catch_up(store: Store, *, put_back: bool = True) -> CaughtUp:
    """Finish dead runs, drain the journal, take in what was fetched, record rewritten commits.

    Raises nothing (with GITPROV_DEBUG=1, what is a mistake of ours).

    Notes follow where commits were rewritten, or where runs were recorded that HEAD has left.

    A repository that cannot be written to is read as it is; the problems say so. So is one whose
    refs were set back where they are not to be `put_back`.
    """
    done = CaughtUp()
    refs: Mapping[str, str] = {}
    with _told(done, "refs cannot be read"):
        refs = store.refs()
    marks = HighWater(store.repository)
    _mend_cuts(store, done)
    if marks.ours_fallen(refs) and not (put_back and _put_back(store, done)):
        done.problems.append("refs were set back since; this is what they lead to now")
        return done
    went_on = _empty_journal(store, done)
    _take_in_fetched(store, refs, done)
    if _record_rewrites(store, done) or went_on:
        done.problems += update_notes(store).problems
    return done


# All do their imports late: nearly always there is nothing to do, and a listing should not pay.


def _empty_journal(store: Store, done: CaughtUp) -> bool:
    """Say whether HEAD has gone on from where runs were made: what they ran may be committed."""
    waiting = 0
    with _told(done, "the journal cannot be looked at"):
        waiting = len(store.journal.runs())
    if not waiting:
        return False
    from gitprov.recorder.adoption import adopt_dead_runs  # noqa: PLC0415
    from gitprov.store.drain import drain  # noqa: PLC0415

    rejected: dict[str, str] = {}
    went_on = False
    with _told(done, f"runs whose process died wait in {store.journal.folder}"):
        adopted = adopt_dead_runs(store)
        done.adopted = adopted.runs
        rejected |= adopted.rejected
    with _told(done, f"runs wait in {store.journal.folder}"):
        drained = drain(store)
        rejected |= drained.rejected
        went_on = not all(head_is(store.repository, commit) for commit in drained.sources)
    for run_id, reason in rejected.items():
        done.problems.append(f"run {run_id} could not be recorded: {reason}")
    return went_on


def _mend_cuts(store: Store, done: CaughtUp) -> None:
    with _told(done, "runs that git fetch --depth has hidden are not back"):
        if store.repository.cut_commits():
            from gitprov.store.shallow import mend_cuts  # noqa: PLC0415

            mend_cuts(store)


def _put_back(store: Store, done: CaughtUp) -> bool:
    """Put refs back that were set back; say whether that could be done."""
    with _told(done, "refs that were set back are not put back"):
        from gitprov.store.setbacks import put_back  # noqa: PLC0415

        done.problems += put_back(store)
        return True
    return False


def _take_in_fetched(store: Store, refs: Mapping[str, str], done: CaughtUp) -> None:
    with _told(done, "what was fetched is not taken in"):
        if unread_tips(store.repository, refs):
            from gitprov.store.acceptance import accept  # noqa: PLC0415

            done.problems += accept(store).refused.values()


def _record_rewrites(store: Store, done: CaughtUp) -> bool:
    """Say whether commits that concern runs were rewritten."""
    with _told(done, "rewritten commits are not recorded yet"):
        if rewrites_wait(store.repository):
            from gitprov.recorder.rewriting import record_rewrites  # noqa: PLC0415

            return bool(record_rewrites(store))
    return False


def update_notes(store: Store) -> CaughtUp:
    """Note runs on the commits that stand for their sources. Raises nothing, as `catch_up`."""
    done = CaughtUp()
    with _told(done, "the notes of commits are not up to date"):
        from gitprov.index.annotations import annotate  # noqa: PLC0415

        annotate(store)
    return done


@contextmanager
def _told(done: CaughtUp, what: str) -> Iterator[None]:
    """Turn a fault into a problem in words, a mistake of ours included."""
    try:
        yield
    except (GitprovError, OSError) as error:
        done.problems.append(f"{what}: {error}")
    except Exception as error:
        if os.environ.get("GITPROV_DEBUG") == "1":
            raise
        fault = f"{type(error).__name__}: {error}"
        done.problems.append(f"{what}: a fault in gitprov, please report it: {fault}")
