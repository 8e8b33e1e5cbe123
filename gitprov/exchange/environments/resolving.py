"""Asking an index, by uv, for the files of versions that no lock names, or not with their places.

Where a lock has hashes, what the index has under the same name and version counts only with these.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence

from gitprov.capture.environments.locks import read_lock
from gitprov.capture.environments.locks.lock import LockedFile
from gitprov.capture.environments.versions import normal_form
from gitprov.errors import InputError, MissingDependency
from gitprov.exchange.environments.pins import Pin, with_files
from gitprov.model.environment import Interpreter
from gitprov.model.wording import printable

_SECONDS = 300.0
_MAX_VERSION = 24


def resolved(found: Sequence[Pin], interpreter: Interpreter) -> tuple[Pin, ...]:
    """Return the pins, with the files of an index where they had none.

    The index is the one that uv is configured for. Raises InputError where it does not have all of
    them, MissingDependency where uv is not on PATH.
    """
    wanted = [pin for pin in found if not pin.urls and pin.origin is None and not pin.editable]
    if not wanted:
        return tuple(found)
    path, text = "pylock.toml", _asked(wanted, interpreter)
    lock = read_lock(path, text)
    files = {
        (package.name, normal_form(package.version)): package
        for package in (lock.packages if lock else ())
        if package.version
    }
    completed = []
    for pin in found:
        package = files.get((pin.name, normal_form(pin.version)))
        completed.append(_completed(pin, package.files) if package and pin in wanted else pin)
    return tuple(completed)


def _completed(pin: Pin, files: Sequence[LockedFile]) -> Pin:
    """Return the pin with those files that a lock has the hashes of, if it has any hashes."""
    fitting = tuple(file for file in files if not pin.hashes or _hashes(file) & set(pin.hashes))
    return with_files(pin, fitting) if fitting else pin


def _hashes(file: LockedFile) -> set[str]:
    return {f"{name}:{value}" for name, value in file.hashes.items()}


def _asked(wanted: Sequence[Pin], interpreter: Interpreter) -> bytes:
    """Return the pylock.toml that uv makes of these versions, without what they depend on."""
    uv = shutil.which("uv")
    if uv is None:
        raise MissingDependency("uv asks the index, and is not on PATH: `pip install uv`")
    command = [uv, "pip", "compile", "-", "--no-deps", "--universal", "--no-header", "--quiet"]
    command += ["--format", "pylock.toml", "--no-annotate"]
    version = interpreter.version.rstrip("+")
    if version.replace(".", "").isalnum() and len(version) < _MAX_VERSION:
        command += ["--python-version", version]
    lines = "".join(f"{pin.name}=={pin.version}\n" for pin in wanted)
    try:
        done = subprocess.run(
            command,
            input=lines.encode(),
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "NO_COLOR": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError("the index did not answer in time; try again without --resolve") from error
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise InputError(f"the index does not have all of it; uv says: {printable(said[:500])}")
    return done.stdout
