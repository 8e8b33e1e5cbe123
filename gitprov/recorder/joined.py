"""The run that is around this process, found through the environment that it left us.

`GITPROV_RUN_ID` says which run that is. With `GITPROV_JOURNAL` it can be joined; without, a run
that is started here is a part of it.
"""

import os
from pathlib import Path

from gitprov.model.ids import is_id
from gitprov.recorder.contribution import Contribution
from gitprov.recorder.ranks import rank_of
from gitprov.store.journal import Journal

RUN_ID_VARIABLE = "GITPROV_RUN_ID"
JOURNAL_VARIABLE = "GITPROV_JOURNAL"
WORK_TREE_VARIABLE = "GITPROV_WORK_TREE"

# The runs that this process has announced, and what its environment said before.
_announced: list[str] = []
_before: dict[str, str] = {}


def outer_run() -> Contribution | None:
    """Return write access to the run that this process is part of, or None.

    A run that is finished takes nothing more; the variables of one are ignored, as are those that
    do not lead to a run's folder.
    """
    environ = _environment()
    run_id = outer_run_id()
    folder = Path(environ.get(JOURNAL_VARIABLE, ""))
    if run_id is None or folder.name != run_id:
        return None
    journal = Journal(folder.parent).open(run_id)
    if journal.is_over:
        return None
    top = os.environ.get(WORK_TREE_VARIABLE)
    rank = rank_of(os.environ)
    return Contribution(journal, Path(top) if top else None, rank=rank.number if rank else 0)


def outer_run_id() -> str | None:
    """Return the id of the run around this process, be it over or not."""
    run_id = _environment().get(RUN_ID_VARIABLE, "")
    return run_id if is_id(run_id) else None


def variables_for(contribution: Contribution) -> dict[str, str]:
    """Return the environment variables by which processes join a run."""
    variables = {
        RUN_ID_VARIABLE: contribution.journal.id,
        JOURNAL_VARIABLE: str(contribution.journal.path),
    }
    if contribution.top is not None:
        variables[WORK_TREE_VARIABLE] = str(contribution.top)
    return variables


def announce(run_id: str) -> None:
    """Let the processes that this one starts know the run that they are part of.

    Their runs are runs of their own, as are those that this process starts meanwhile.
    """
    if not _announced:
        _before.clear()
        _before.update(_variables_of(os.environ))
    _announced.append(run_id)
    _show_last()


def retract(run_id: str) -> None:
    """Undo `announce`; the runs of several threads may end in any order."""
    if run_id in _announced:
        _announced.remove(run_id)
        _show_last()


def _show_last() -> None:
    for name in (RUN_ID_VARIABLE, JOURNAL_VARIABLE):
        os.environ.pop(name, None)
    os.environ.update({RUN_ID_VARIABLE: _announced[-1]} if _announced else _before)


def _environment() -> dict[str, str]:
    """Return what was said to this process, not what it says to others."""
    return _before if _announced else _variables_of(os.environ)


def _variables_of(environ: "os._Environ[str]") -> dict[str, str]:
    names = (RUN_ID_VARIABLE, JOURNAL_VARIABLE)
    return {name: environ[name] for name in names if name in environ}
