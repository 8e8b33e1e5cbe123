"""Where the command's Python has its packages, by what packages.json says of the interpreter.

Found by the layouts of site-packages alone, so that the answer is the same whether the
interpreter's own was kept or not. Folders that only start-up files (.pth) add are not known here.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gitprov.capture.environments.plain_files import text_or_nothing


def interpreter_of(packages: bytes) -> Mapping[str, Any]:
    """Return what packages.json says of the interpreter."""
    document = json.loads(packages)
    interpreter: Mapping[str, Any] = document.get("interpreter", {})
    return interpreter


def package_folders(
    interpreter: Mapping[str, Any], *, cwd: Path, env: Mapping[str, str], root: Path = Path("/")
) -> list[Path]:
    """Return the folders that hold its packages and are there, those that win first."""
    # Joined to `root` without their slash: below another root lie the same paths.
    places = [root / str(place).lstrip("/") for place in _places(interpreter, cwd, env, root)]
    return [place for place in dict.fromkeys(places) if _is_folder(place)]


def _is_folder(place: Path) -> bool:
    try:
        return place.is_dir()
    except OSError:  # such as a name that is too long
        return False


def _places(
    interpreter: Mapping[str, Any], cwd: Path, env: Mapping[str, str], root: Path
) -> Iterator[Path]:
    for entry in env.get("PYTHONPATH", "").split(os.pathsep):
        if entry and "\0" not in entry:
            yield cwd / entry
    prefix = Path(str(interpreter.get("prefix", "")))
    base = Path(str(interpreter.get("base_prefix", prefix)))
    name = _library(interpreter)
    settings = text_or_nothing(root / str(prefix).lstrip("/") / "pyvenv.cfg")
    inherits = any(
        line.replace(" ", "").lower() == "include-system-site-packages=true"
        for line in settings.splitlines()
    )
    if prefix == base or inherits:
        user = env.get("PYTHONUSERBASE") or f"{env.get('HOME', '/')}/.local"
        if "\0" not in user and not env.get("PYTHONNOUSERSITE"):
            yield cwd / user / "lib" / name / "site-packages"
    for folder in (prefix, base) if inherits else (prefix,):
        for library in ("lib", "lib64"):
            yield folder / library / name / "site-packages"
        # Debian's.
        yield folder / "local/lib" / name / "dist-packages"
        yield folder / "lib/python3/dist-packages"


def _library(interpreter: Mapping[str, Any]) -> str:
    """Return the name of the folder of the standard library: python3.13, python3.13t, pypy3.10."""
    kind = "pypy" if interpreter.get("implementation") == "pypy" else "python"
    minor = ".".join(str(interpreter.get("version", "")).split(".")[:2])
    # Without the global lock, as the last letter of cpython-313t-x86_64-linux-gnu.
    tag = str(interpreter.get("soabi", "")).split("-")[1:2]
    return f"{kind}{minor}{'t' if tag and tag[0].endswith('t') else ''}"
