"""`packages.json`: the interpreter that the command runs under, and what is installed for it.

The interpreter is started at most once as long as nothing changes: its answer and the finished
listing are kept together, under a key for the interpreter and with a fingerprint of all metadata
and .pth entries on its path. Where an entry is so young that another change could leave no trace
in its time stamp, nothing is kept.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gitprov.capture.environments.cache import Cache
from gitprov.capture.environments.commands.interpreter import Interpreter, find_interpreter
from gitprov.capture.environments.kind import Findings, Request
from gitprov.capture.environments.python.distributions import (
    Broken,
    Entry,
    Installed,
    Package,
    fingerprint,
    read,
    scan,
)
from gitprov.capture.environments.python.probe import Answer, ProbeError, Question
from gitprov.capture.environments.python.probe_key import probe_key
from gitprov.codec.environment_text import PACKAGES, text

# Fields of `missing`.
PACKAGES_FIELD, INTERPRETER_FIELD = "environment.packages", "environment.interpreter"

_RACY_NS = 2_000_000_000  # coarser than the time stamps of any filesystem in use
# Entries, and what was read of them.
_Early = tuple[list[Entry], list[Package], list[Broken]]
_IMPLEMENTATIONS = {"cpython": "CPython", "graalpy": "GraalPy", "pypy": "PyPy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What an interpreter says of itself, packages.json, and the state that this describes."""

    answer: Answer
    text: str
    installed: Installed

    @property
    def title(self) -> str:
        """Return implementation and version."""
        name = self.answer.implementation
        return f"{_IMPLEMENTATIONS.get(name, name)} {self.answer.version}"


def capture(request: Request, /) -> Findings:
    """Return packages.json for the command's interpreter, or why there is none."""
    interpreter = find_interpreter(request.argv, cwd=request.cwd, env=request.env)
    if interpreter is None:
        return Findings(missing={PACKAGES_FIELD: "no Python interpreter is on PATH"})
    missing = {INTERPRETER_FIELD: interpreter.doubt} if interpreter.doubt else {}
    cwd = interpreter.cwd or request.cwd
    env = request.env if interpreter.env is None else interpreter.env
    try:
        listing = list_packages(interpreter, cwd=cwd, env=env, cache=request.cache)
    except ProbeError as error:
        return Findings(missing=missing | {PACKAGES_FIELD: str(error)})
    return Findings(
        files={PACKAGES: listing.text.encode()},
        python=listing.title,
        missing=missing,
        installed=listing.installed,
    )


def list_packages(
    interpreter: Interpreter, *, cwd: Path, env: Mapping[str, str], cache: Path | None
) -> Listing:
    """Return what is installed for an interpreter that starts in `cwd` with `env`.

    Raises ProbeError where it does not say where to look.
    """
    answers = Cache(cache)
    key = probe_key(interpreter, cwd=cwd, env=env)
    if kept := _kept(answers, key):
        return kept
    with Question(interpreter, cwd=cwd, env=env) as question:
        early = _read_early(interpreter)
        answer = question.answer()
    now = time.time_ns()
    entries, installed = _look_at(answer)
    text = _document(answer, entries, early)
    if all(entry.mtime_ns < now - _RACY_NS for entry in entries):
        document = {"answer": asdict(answer), "fingerprint": installed.fingerprint, "listing": text}
        answers.write(key, document)
    return Listing(answer=answer, text=text, installed=installed)


def _read_early(interpreter: Interpreter) -> _Early:
    """Return what is in the library of the interpreter's prefix, to be used if that is its path.

    Read while it starts, which takes about as long.
    """
    prefix = Path(os.path.normpath(interpreter.path)).parent.parent
    folders = sorted(map(str, prefix.glob("lib/python*/site-packages")))
    entries = scan(folders)
    return entries, *read(entries)


def _kept(cache: Cache, key: str) -> Listing | None:
    """Return the answer and listing kept under `key`, if nothing has changed since."""
    document = cache.read(key)
    if document is None:
        return None
    try:
        answer, text = Answer(**document["answer"]), str(document["listing"])
        known = document["fingerprint"]
    except (KeyError, TypeError):  # another release's
        return None
    _, installed = _look_at(answer)
    if installed.fingerprint != known:
        return None
    return Listing(answer=answer, text=text, installed=installed)


def _look_at(answer: Answer) -> tuple[list[Entry], Installed]:
    """Return the entries on the path, and in the folders that could come to extend it."""
    began = time.perf_counter_ns()
    folders = (*answer.folders, *answer.sites)
    entries = scan(folders)
    return entries, Installed(folders, fingerprint(entries), time.perf_counter_ns() - began)


def _document(answer: Answer, entries: Sequence[Entry], early: _Early) -> str:
    """Return the text of packages.json."""
    on_path = set(answer.folders)
    wanted = [entry for entry in entries if entry.folder in on_path]
    known, packages, broken = early
    if known != wanted:
        packages, broken = read(wanted)
    interpreter = {
        "executable": answer.executable,
        "version": answer.version,
        "implementation": answer.implementation,
        "soabi": answer.soabi,
        "prefix": answer.prefix,
        "base_prefix": answer.base_prefix,
        "kind": _kind(Path(answer.prefix)),
        "platform": answer.platform,
    }
    document = {
        "broken": broken,
        "interpreter": {name: value for name, value in interpreter.items() if value},
        "packages": packages,
    }
    return text("packages.1", document).decode()


def _kind(prefix: Path) -> str:
    """Return what made the environment: venv, uv, virtualenv or conda; system if nothing did."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text("utf-8", "replace").splitlines()
    except OSError:
        return "conda" if (prefix / "conda-meta").is_dir() else "system"
    keys = {line.partition("=")[0].strip().lower() for line in lines}
    return next((maker for maker in ("uv", "virtualenv") if maker in keys), "venv")
