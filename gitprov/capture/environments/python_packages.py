"""`packages.json`: the interpreter that the command runs under, and what is installed for it.

The interpreter is started at most once as long as nothing changes: its answer and the finished
listing are kept together, under a key for the interpreter and with a fingerprint of all metadata
and .pth entries on its path. Where an entry is so young that another change could leave no trace
in its time stamp, nothing is kept.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gitprov.capture.environments.cache import Cache
from gitprov.capture.environments.distributions import Entry, read, scan
from gitprov.capture.environments.interpreter import Interpreter, find_interpreter
from gitprov.capture.environments.kind import Findings, Request
from gitprov.capture.environments.probe import Answer, ProbeError, ask
from gitprov.capture.environments.probe_key import probe_key
from gitprov.codec.environment_text import PACKAGES, text

_RACY_NS = 2_000_000_000  # coarser than the time stamps of any filesystem in use
_IMPLEMENTATIONS = {"cpython": "CPython", "graalpy": "GraalPy", "pypy": "PyPy"}
_ABSENT = "environment.packages"


def capture(request: Request, /) -> Findings:
    """Return packages.json for the command's interpreter, or why there is none."""
    interpreter = find_interpreter(request.argv, cwd=request.cwd, env=request.env)
    if interpreter is None:
        return Findings(missing={_ABSENT: "no Python interpreter is on PATH"})
    missing = {"environment.interpreter": interpreter.doubt} if interpreter.doubt else {}
    try:
        answer, listing = _listing(interpreter, request)
    except ProbeError as error:
        return Findings(missing=missing | {_ABSENT: str(error)})
    return Findings(
        files={PACKAGES: listing.encode()},
        python=_title(answer),
        missing=missing,
    )


def _listing(interpreter: Interpreter, request: Request) -> tuple[Answer, str]:
    cache = Cache(request.cache)
    key = probe_key(interpreter, cwd=request.cwd, env=request.env)
    if kept := _kept(cache, key):
        return kept
    answer = ask(interpreter, cwd=request.cwd, env=request.env)
    now = time.time_ns()
    entries = _entries(answer)
    listing = _document(answer, entries)
    if all(entry.mtime_ns < now - _RACY_NS for entry in entries):
        fingerprint = _fingerprint(entries)
        cache.write(key, {"answer": asdict(answer), "fingerprint": fingerprint, "listing": listing})
    return answer, listing


def _kept(cache: Cache, key: str) -> tuple[Answer, str] | None:
    """Return the answer and listing kept under `key`, if nothing has changed since."""
    document = cache.read(key)
    if document is None:
        return None
    try:
        answer, listing = Answer(**document["answer"]), str(document["listing"])
        fingerprint = document["fingerprint"]
    except (KeyError, TypeError):  # another release's
        return None
    return (answer, listing) if fingerprint == _fingerprint(_entries(answer)) else None


def _entries(answer: Answer) -> list[Entry]:
    """Return the entries on the path, and in the folders that could come to extend it."""
    return scan([*answer.folders, *answer.sites])


def _fingerprint(entries: Sequence[Entry]) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(repr(entry).encode())
    return digest.hexdigest()


def _document(answer: Answer, entries: Sequence[Entry]) -> str:
    """Return the text of packages.json."""
    on_path = set(answer.folders)
    packages, broken = read(entry for entry in entries if entry.folder in on_path)
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


def _title(answer: Answer) -> str:
    return f"{_IMPLEMENTATIONS.get(answer.implementation, answer.implementation)} {answer.version}"
