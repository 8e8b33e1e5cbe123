"""What a probe's answer depends on, as a key under which it may be kept.

A real interpreter's answer depends on its file, on `pyvenv.cfg` and on a few variables. Behind a
chooser (a shim of pyenv, asdf or mise, or any script named python) it depends on version files
above the current folder too.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from gitprov.capture.environments.commands.interpreter import Interpreter
from gitprov.capture.environments.commands.shebang import is_python

_VERSION = 3  # raise it when the probe or the listing changes: older answers are then ignored
_VARIABLES = (
    "HOME",
    "PYTHONHOME",
    "PYTHONNOUSERSITE",
    "PYTHONPATH",
    "PYTHONPLATLIBDIR",
    "PYTHONSAFEPATH",
    "PYTHONUSERBASE",
    "VIRTUAL_ENV",
    "__PYVENV_LAUNCHER__",
)
_CHOOSER_VARIABLES = ("ASDF_", "MISE_", "PYENV_")
_VERSION_FILES = (
    ".mise.toml",
    ".python-version",
    ".tool-versions",
    "mise.toml",
)


def probe_key(interpreter: Interpreter, *, cwd: Path, env: Mapping[str, str]) -> str:
    """Return a key that changes whenever the interpreter may answer differently."""
    path = interpreter.path
    parts: list[object] = [
        _VERSION,
        str(path),
        interpreter.options,
        [
            _state(path),
            _state(path.parent.parent / "pyvenv.cfg"),
            _state(path.parent / "pyvenv.cfg"),
        ],
        [env.get(name) for name in _VARIABLES],
    ]
    if _depends_on_cwd(env.get("PYTHONPATH", "")):
        parts.append(str(cwd))
    if _is_chooser(path):
        parts.append(list(_choice(cwd, env)))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _depends_on_cwd(search_path: str) -> bool:
    return any(
        not Path(entry).is_absolute() for entry in search_path.split(os.pathsep) if search_path
    )


def _is_chooser(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!" or not is_python(path.resolve().name)
    except OSError:
        return True


def _choice(cwd: Path, env: Mapping[str, str]) -> Iterator[object]:
    """Yield what a chooser looks at."""
    yield env.get("PATH")
    yield [item for item in sorted(env.items()) if item[0].startswith(_CHOOSER_VARIABLES)]
    for folder in (cwd, *cwd.parents):
        for name in _VERSION_FILES:
            if state := _state(folder / name):
                yield str(folder / name), state
    home = Path(env.get("HOME", "/"))
    yield _state(Path(env.get("PYENV_ROOT") or home / ".pyenv") / "version")
    yield _state(home / ".tool-versions")
    yield _state(home / ".config" / "mise" / "config.toml")
