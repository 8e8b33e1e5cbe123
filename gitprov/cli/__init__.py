"""The command line: `git prov VERB …`.

This module is what every call loads, so it imports next to nothing: `--version` and the list of
verbs need no framework, and a verb's module is loaded when the verb is called. A new verb is one
module with an `app` and one line in `VERBS`.
"""

import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, TextIO

from gitprov.version import __version__


class Verb(NamedTuple):
    """A verb: the module that has it, and its line in the list."""

    module: str
    summary: str
    hidden: bool = False


VERBS = {
    "init": Verb("gitprov.cli.init", "set a repository up: hooks, fetch refspecs, notes"),
    "run": Verb("gitprov.cli.run", "run a command and record it"),
    "log": Verb("gitprov.cli.log", "list runs, the newest first"),
    "show": Verb("gitprov.cli.show", "show one run: all that is known, and what is missing"),
    "status": Verb("gitprov.cli.status", "show what waits, here and for remotes"),
    "links": Verb("gitprov.cli.links", "explain which commits stand for a run's source today"),
    "data": Verb("gitprov.cli.data", "record data, and compare it with what is there"),
    "env": Verb("gitprov.cli.env", "show, compare, check and rebuild the environments of runs"),
    "scan": Verb("gitprov.cli.scan", "show what would be recorded and pushed, secrets in it"),
    "restore": Verb("gitprov.cli.restore", "bring the source of a run back"),
    "notes": Verb("gitprov.cli.notes", "bring the notes of commits up to date"),
    "verify": Verb("gitprov.cli.verify", "check everything that is recorded, offline"),
    "push": Verb("gitprov.cli.push", "send runs, and their sources, to a remote"),
    "pull": Verb("gitprov.cli.pull", "fetch runs from a remote and take them in"),
    "fetch": Verb("gitprov.cli.fetch", "fetch logs and series, on demand"),
    "sync": Verb("gitprov.cli.sync", "pull, then push"),
    "bundle": Verb("gitprov.cli.bundle", "carry runs in a file, where there is no remote"),
    "doctor": Verb("gitprov.cli.doctor", "look at what gitprov keeps here, and put it right"),
    "demo": Verb("gitprov.cli.demo", "show the whole of it on a small experiment"),
    "hook": Verb("gitprov.cli.hook", "what the git hooks call", hidden=True),
}
_USAGE_STATUS = 2
_BROKEN_PIPE_STATUS = 141
_INTERRUPTED_STATUS = 130


def main() -> None:
    """Run the command line and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        # A letter that the terminal's encoding lacks is shown as an escape.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    first = arguments[0] if arguments else "--help"
    if first in ("--version", "-V", "version"):
        print(f"gitprov {__version__}")
        return 0
    if first in ("--help", "-h", "help"):
        if len(arguments) > 1 and arguments[1] in VERBS:
            return run([arguments[1], "--help"])
        print(overview())
        return 0
    if first not in VERBS:
        print(f"git prov: there is no command {first!r}{_nearest(first)}", file=sys.stderr)
        return _USAGE_STATUS
    return _call(first, arguments[1:])


def overview() -> str:
    """Return the list of verbs."""
    width = max(len(name) for name in VERBS)
    verbs = "\n".join(
        f"  {name.ljust(width)}  {verb.summary}" for name, verb in VERBS.items() if not verb.hidden
    )
    return (
        "usage: git prov COMMAND [OPTIONS]\n\n"
        "gitprov keeps the provenance of experiments in this git repository.\n\n"
        f"{verbs}\n\n"
        "git prov COMMAND -h says more. Begin with: git prov init"
    )


def _call(name: str, arguments: Sequence[str]) -> int:
    # Late: importlib and the verb's module are paid for by this verb alone.
    from importlib import import_module  # noqa: PLC0415

    from gitprov.errors import GitprovError  # noqa: PLC0415

    app = import_module(VERBS[name].module).app
    try:
        return _invoke(app, name, arguments)
    except GitprovError as error:
        if os.environ.get("GITPROV_DEBUG") == "1":
            raise
        _complain("git prov", str(error))
        return error.exit_status
    except BrokenPipeError:
        # The reader has gone, as `head` does; nothing is left to say. Python would complain
        # when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE_STATUS
    except KeyboardInterrupt:
        return _INTERRUPTED_STATUS
    except Exception as error:
        # Wrong usage; the framework's class has another home in each of its versions.
        if hasattr(error, "format_message"):
            message = error.format_message().rstrip(".")
            _complain(f"git prov {name}", f"{message}; see: git prov {name} -h")
            return _USAGE_STATUS
        if os.environ.get("GITPROV_DEBUG") == "1":
            raise
        kind = "" if isinstance(error, OSError) else f"a fault in gitprov: {type(error).__name__}: "
        _complain("git prov", f"{kind}{error}; GITPROV_DEBUG=1 shows where")
        return GitprovError.exit_status


def _invoke(app: Callable[..., object], name: str, arguments: Sequence[str]) -> int:
    """Call a verb's application and return its exit status; its errors are raised."""
    stdout: TextIO | None = sys.stdout
    try:
        status = app(args=list(arguments), prog_name=f"git prov {name}", standalone_mode=False)
        # Here, where a reader that has gone is noticed, and not when Python shuts down.
        if stdout is not None:  # closed by who started us
            stdout.flush()
    except SystemExit as stop:
        # The framework's answer to a broken pipe: it swaps stdout and exits with 1.
        return _BROKEN_PIPE_STATUS if sys.stdout is not stdout else int(stop.code or 0)
    return status if isinstance(status, int) else 0


def _complain(who: str, message: str) -> None:
    """Say in one line what went wrong."""
    # Late: nearly all goes well.
    from gitprov.model.wording import printable  # noqa: PLC0415

    print(f"{who}: {printable(' '.join(message.split()))}", file=sys.stderr)


def _nearest(name: str) -> str:
    # Late: only a mistake needs it.
    from difflib import get_close_matches  # noqa: PLC0415

    near = get_close_matches(name, [verb for verb in VERBS if not VERBS[verb].hidden], n=1)
    return f"; did you mean {near[0]}?" if near else "; see: git prov --help"
