"""A snapshot of data by itself: a run that runs nothing, and says what the data was."""

import time
from collections.abc import Sequence
from pathlib import Path

from gitprov.capture.data.options import DataOptions
from gitprov.model.run import Run
from gitprov.recorder.active import ActiveRun, Request
from gitprov.recorder.assembly import Ending
from gitprov.store.store import Store

ENTRYPOINT = "git prov data snapshot"


def record_snapshot(
    store: Store,
    names: Sequence[str],
    cwd: Path,
    options: DataOptions,
    *,
    message: str | None = None,
    tags: Sequence[str] = (),
) -> Run:
    """Record what data is now, and return the run that says it, acknowledged.

    What cannot be read stands in its `missing`; the run has failed where something has no digest.
    Raises GitprovError or OSError where nothing can be recorded.
    """
    request = Request(
        argv=[*ENTRYPOINT.split(), *names],
        name=options.name,
        message=message,
        tags=tags,
        inputs=names,
        entrypoint=ENTRYPOINT,
        data=options,
    )
    run = ActiveRun.start(store, request, cwd)
    # What was not to be read is no failure.
    hinted = {
        f"inputs.{item.uri}"
        for item in run.inputs.artifacts
        if options.hint_only and item.remote and not item.digest
    }
    failed = bool(run.inputs.missing.keys() - hinted)
    ending = Ending(
        status="failed" if failed else "completed",
        ended_ns=time.time_ns(),
        exit_code=int(failed),
        error="not all of the data could be read" if failed else None,
    )
    return run.finish(ending)
