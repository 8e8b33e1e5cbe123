"""gitprov: the provenance of experiments, in git.

    import gitprov

    with gitprov.start_run(name="digits", params={"lr": 0.1}) as run:
        run.log_metrics({"accuracy": 0.97}, step=1)
        run.log_input("data/train.csv")
        run.log_output("model.json")

    for run in gitprov.search_runs("metrics.accuracy > 0.9"):
        print(run.id, run.params["lr"], run.metric("accuracy"))

Importing this package loads next to nothing: names are resolved when first used, so that the
command line pays only for what it needs. In other programs it begins to watch which files of the
work tree are read (`gitprov.capture.reads`), unless GITPROV_OBSERVE_READS is 0.
"""

import os
import sys
from typing import TYPE_CHECKING, Any

from gitprov.version import __version__

if TYPE_CHECKING:
    from gitprov.api import GitprovWarning, LiveRun, search_runs, start_run, track
    from gitprov.errors import GitprovError

__all__ = [
    "GitprovError",
    "GitprovWarning",
    "LiveRun",
    "__version__",
    "search_runs",
    "start_run",
    "track",
]

_HOMES = dict.fromkeys(__all__, "gitprov.api") | {"GitprovError": "gitprov.errors"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'gitprov' has no attribute {name!r}")
    # Late, so that importing the package stays free.
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES[name]), name)


def _is_command_line() -> bool:
    argv = getattr(sys, "argv", None) or [""]
    return argv[0].endswith("git-prov") or sys.orig_argv[1:3] == ["-m", "gitprov"]


if not _is_command_line() and os.environ.get("GITPROV_OBSERVE_READS") != "0":
    # Late, for the command line's sake.
    from gitprov.capture.own_reads import watch

    watch(sys._getframe(1))  # noqa: SLF001 -- who imports this package
