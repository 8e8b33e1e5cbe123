"""`julia.json`: the Julia that the command runs under, and the packages of its project.

The project is that of `--project`, of JULIA_PROJECT, or the one around the current folder, which
scripts commonly activate themselves; else the shared environment of this version. What is
installed for it stands in its manifest, with a tree's id for every package.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gitprov.capture.environments.cache import Cache
from gitprov.capture.environments.commands.launching import Command
from gitprov.capture.environments.commands.programs import said_by, started_as
from gitprov.capture.environments.kind import Findings, Request, known
from gitprov.capture.environments.plain_files import read_plain, text_or_nothing
from gitprov.capture.url_credentials import without_credentials
from gitprov.codec.environment_text import text

JULIA = "julia.json"

_FIELD = "environment.julia"
_MAX_BYTES = 16 << 20
_PROGRAMS = frozenset({"julia"})
_WITH_VALUE = ("-C", "-H", "-J", "-L", "-p", "-t")
_BEFORE_CODE = ("-e", "-E", "-m", "--")
_PROJECTS = ("JuliaProject.toml", "Project.toml")
_MANIFESTS = ("JuliaManifest.toml", "Manifest.toml")


def capture(request: Request, /) -> Findings:
    """Return julia.json; nothing where the command is not Julia's."""
    command = started_as(_PROGRAMS, request)
    if command is None:
        return Findings()
    version = _version(command, Cache(request.cache))
    missing = {} if version else {f"{_FIELD}.version": "julia is not there, or does not say"}
    project, doubt = _project(command, request.top, version)
    if doubt:
        missing[f"{_FIELD}.project"] = doubt
    packages: list[dict[str, str]] = []
    if project is not None:
        manifest = _manifest(project, version)
        try:
            packages = _packages(_document(manifest))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no TOML"
            missing[f"{_FIELD}.packages"] = f"{manifest.name} cannot be read: {reason}"
    document = known(version=version, packages=packages)
    files = {JULIA: text("julia.1", document)} if document else {}
    return Findings(files=files, missing=missing)


def _version(command: Command, cache: Cache) -> str | None:
    """Return what Julia says; juliaup chooses one by `+channel`, a variable and its settings."""
    program = command.program(command.argv[0])
    if program is None:
        return None
    channel = [word for word in command.argv[1:2] if word.startswith("+")]
    depot = command.env.get("JULIAUP_DEPOT_PATH") or f"{command.env.get('HOME', '/')}/.julia"
    chosen = text_or_nothing(command.cwd / depot / "juliaup/juliaup.json")
    depends_on = [command.env.get("JULIAUP_CHANNEL"), chosen]
    said = said_by(program, [*channel, "--version"], command, cache, depends_on)
    match = re.search(r"\bversion (\d+\.\d+\.\d+\S*)", said or "")
    return match[1] if match else None


def _project(
    command: Command, top: Path | None, version: str | None
) -> tuple[Path | None, str | None]:
    """Return the folder of the project, and why it may not be the one that is used."""
    asked = _option(command.argv[1:])
    if asked is None:
        asked = command.env.get("JULIA_PROJECT") or None
    around = _around(command.cwd, top)
    if asked is not None:
        return around if asked == "@." else _named(asked, command, version), None
    if around is not None:
        return around, "the command names no project; the packages are those of the one around it"
    return _shared(f"v{_minor(version)}", command), None


def _option(options: Sequence[str]) -> str | None:
    """Return the last `--project` before the script; without a value it is that around here."""
    found = None
    words = iter(options)
    for word in words:
        if not word.startswith(("-", "+")) or word in _BEFORE_CODE:
            break
        if word in _WITH_VALUE:
            next(words, None)
        name, equals, value = word.partition("=")
        if name == "--project":
            found = value if equals else "@."
    return found


def _named(name: str, command: Command, version: str | None) -> Path | None:
    if name.startswith("@"):
        return _shared(name[1:].replace("#.#", _minor(version)), command)
    if "\0" in name:
        return None
    home = command.env.get("HOME", "/")
    place = command.cwd / (f"{home}{name[1:]}" if name.startswith("~/") else name)
    return place.parent if place.is_file() else place


def _around(cwd: Path, top: Path | None) -> Path | None:
    """Return the nearest folder with a project, from the current one up to the repository's top."""
    for folder in (cwd, *cwd.parents):
        if any((folder / name).is_file() for name in _PROJECTS):
            return folder
        if folder == (top or cwd):
            return None
    return None


def _shared(name: str, command: Command) -> Path | None:
    """Return the environment of this name in the first depot that has it."""
    depots = command.env.get("JULIA_DEPOT_PATH") or ""
    for depot in (*depots.split(os.pathsep), f"{command.env.get('HOME', '/')}/.julia"):
        place = command.cwd / depot / "environments" / name
        if depot and "\0" not in str(place) and place.is_dir():
            return place
    return None


def _minor(version: str | None) -> str:
    return ".".join((version or "").split(".")[:2])


def _manifest(project: Path, version: str | None) -> Path:
    """Return the manifest of a project: one for this version alone wins (Julia 1.11)."""
    names = list(_MANIFESTS)
    if minor := _minor(version):
        names = [name.replace(".toml", f"-v{minor}.toml") for name in _MANIFESTS] + names
    places = [project / name for name in names]
    return next((place for place in places if place.is_file()), project / "Manifest.toml")


def _document(manifest: Path) -> Mapping[str, Any]:
    # Late: most commands are not Julia's.
    from gitprov.capture.environments.strangers_toml import parsed  # noqa: PLC0415

    return parsed(read_plain(manifest, _MAX_BYTES).decode())


def _packages(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the packages of a manifest: of format 2 they stand in `deps`, of format 1 on top."""
    table = document.get("deps") if "manifest_format" in document else document
    rows = {tuple(sorted(row.items())): row for row in _rows(table)}
    return sorted(rows.values(), key=lambda row: (row["name"], row["version"]))


def _rows(table: object) -> Iterator[dict[str, str]]:
    for name, entries in table.items() if isinstance(table, dict) else ():
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                # What is of the standard library has Julia's version and none of its own.
                version = entry.get("version", "stdlib")
                yield known(name=str(name), version=str(version), source=_source(entry))


def _source(entry: Mapping[str, Any]) -> str | None:
    """Return where a package came from: a folder, a repository, or the id of its tree."""
    if isinstance(path := entry.get("path"), str):
        return path
    tree = entry.get("git-tree-sha1")
    tree = f"tree {tree}" if isinstance(tree, str) else None
    if isinstance(url := entry.get("repo-url"), str):
        words = [without_credentials(url), entry.get("repo-rev"), tree]
        return " ".join(word for word in words if isinstance(word, str))
    return tree
