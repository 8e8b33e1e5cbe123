"""The run that an outer process owns, found through the environment that it left us."""

import os
from pathlib import Path

from gitprov.model.ids import is_id
from gitprov.recorder.contribution import Contribution
from gitprov.store.journal import Journal

RUN_ID_VARIABLE = "GITPROV_RUN_ID"
JOURNAL_VARIABLE = "GITPROV_JOURNAL"
WORK_TREE_VARIABLE = "GITPROV_WORK_TREE"


def outer_run() -> Contribution | None:
    """Return write access to the run that this process is part of, or None.

    A run that is finished takes nothing more; the variables of one are ignored, as are those that
    do not lead to a run's folder.
    """
    run_id = os.environ.get(RUN_ID_VARIABLE, "")
    folder = Path(os.environ.get(JOURNAL_VARIABLE, ""))
    if not is_id(run_id) or folder.name != run_id:
        return None
    journal = Journal(folder.parent).open(run_id)
    if journal.is_finished or journal.started is None:
        return None
    top = os.environ.get(WORK_TREE_VARIABLE)
    return Contribution(journal, Path(top) if top else None)


def variables_for(contribution: Contribution) -> dict[str, str]:
    """Return the environment variables by which processes join a run."""
    variables = {
        RUN_ID_VARIABLE: contribution.journal.id,
        JOURNAL_VARIABLE: str(contribution.journal.path),
    }
    if contribution.top is not None:
        variables[WORK_TREE_VARIABLE] = str(contribution.top)
    return variables
