"""`editables.json`: which state of their repositories the editable installs are in.

Such a distribution is imported from where it is written, so its version says little. Of the
repository around it stand here the commit, its tree, and whether there are changes; compiled files
and the metadata that installing leaves are none. Of the run's own repository the run's source says
all of that, and better.

The code may change between two runs without a trace in the environment, so nothing is kept.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from gitprov.capture.environments.commands.programs import ProgramError, output_of
from gitprov.capture.environments.kind import Findings, Request
from gitprov.capture.environments.plain_files import text_or_nothing
from gitprov.capture.environments.python.folders import package_folders
from gitprov.codec.environment_text import EDITABLES, PACKAGES, text
from gitprov.store.git import git_environment

SECONDS = 10.0

_FIELD = "environment.editables"
# Nothing of the repository's is run but its filters, and those only on files that have changed.
_SAFELY = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-pager")
_COMMIT = "# branch.oid "
_OBJECT = re.compile(r"[0-9a-f]{40,64}")
_LEFT_BEHIND = ("__pycache__/", ".egg-info/")

_Row = dict[str, Any]


class _UnknownError(Exception):
    """The state of a repository cannot be told; the message says why."""


def capture(request: Request, /) -> Findings:
    """Return editables.json; nothing where there are no editable installs."""
    listing = request.found.get(PACKAGES, b"")
    if b'"editable": true' not in listing:
        return Findings()
    document = json.loads(listing)
    folders = package_folders(document["interpreter"], cwd=request.cwd, env=request.env)
    repositories = _Repositories(request.top)
    rows: list[_Row] = []
    missing: dict[str, str] = {}
    for package in document["packages"]:
        if package.get("editable") is not True:
            continue
        name = package["name"]
        place = _place(package, folders)
        if place is None:
            missing[f"{_FIELD}.{name}"] = "where it lies is not written down"
            continue
        row = {"name": name, "path": str(place)}
        try:
            row |= repositories.state(place)
        except _UnknownError as error:
            missing[f"{_FIELD}.{name}"] = str(error)
        rows.append(row)
    files = {EDITABLES: text("editables.1", {"editables": rows})} if rows else {}
    return Findings(files=files, missing=missing)


def _place(package: _Row, folders: list[Path]) -> Path | None:
    """Return the folder of an editable install: by its direct_url, or by an .egg-link."""
    url = package.get("direct_url", {}).get("url", "")
    if isinstance(url, str) and url.startswith("file:"):
        path = unquote(urlsplit(url).path, errors="surrogateescape")
        return Path(path) if path and "\0" not in path else None
    return next(_linked(package["name"], folders), None)


def _linked(name: str, folders: list[Path]) -> Iterator[Path]:
    """Yield where the links that `setup.py develop` writes lead to."""
    for folder in folders:
        for form in (name, name.replace("-", "_"), name.replace("_", "-")):
            line = text_or_nothing(folder / f"{form}.egg-link").partition("\n")[0].strip()
            if line:
                yield folder / line


class _Repositories:
    """The repositories around editable installs; all together have a bounded time to answer."""

    def __init__(self, own: Path | None) -> None:
        self._own = own
        self._states: dict[Path, _Row] = {}
        self._deadline = time.monotonic() + SECONDS
        # How paths are matched in ours says nothing of theirs.
        env = git_environment().items()
        self._env = {name: value for name, value in env if "PATHSPECS" not in name}

    def state(self, place: Path) -> _Row:
        """Return what is known of the repository around a folder, or raise _UnknownError."""
        if not place.is_dir():
            raise _UnknownError("its folder is not there")
        top = _top_of(place)
        if top is None:
            raise _UnknownError("it is in no repository")
        if top == self._own:
            return {"is_source": True}
        if top not in self._states:
            try:
                self._states[top] = self._look_at(top)
            except ProgramError as error:
                raise _UnknownError(f"its repository cannot be read: {error}") from error
        return self._states[top]

    def _look_at(self, top: Path) -> _Row:
        said = self._git(
            top, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal"
        )
        lines = said.split("\0")
        row: _Row = {"dirty": any(map(_is_change, lines))}
        commit = next((line[len(_COMMIT) :] for line in lines if line.startswith(_COMMIT)), "")
        if _OBJECT.fullmatch(commit):  # else nothing is committed yet
            row["commit"] = commit
            row["tree"] = self._git(top, "rev-parse", "--verify", f"{commit}^{{tree}}")
        return row

    def _git(self, folder: Path, *arguments: str) -> str:
        left = max(self._deadline - time.monotonic(), 0.1)
        command = ["git", *_SAFELY, *arguments]
        said = output_of(command, cwd=folder, env=self._env, timeout=left)
        return os.fsdecode(said).removesuffix("\n")


def _top_of(place: Path) -> Path | None:
    """Return the top of the work tree around a folder; no program is needed for that."""
    place = place.resolve()
    return next((each for each in (place, *place.parents) if (each / ".git").exists()), None)


def _is_change(line: str) -> bool:
    """Whether a line of `git status` counts; of renamed files the old names are lines, too."""
    return bool(line) and line[0] != "#" and not (line[0] == "?" and line.endswith(_LEFT_BEHIND))
