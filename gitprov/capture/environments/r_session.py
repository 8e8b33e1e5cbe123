"""`r.json`: the R that the command runs under, and the packages that it finds.

Looked for where the command is one of R's, and where a `renv.lock` says that the project uses R.
Packages are read from their DESCRIPTION files, in the libraries in which R looks, first ones
winning: those of renv where the project has activated it, else R_LIBS, R_LIBS_USER and R_LIBS_SITE;
R's own last. R is started only where the script that starts it does not say where its home is.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from gitprov.capture.environments.cache import Cache
from gitprov.capture.environments.commands.launching import Command
from gitprov.capture.environments.commands.programs import said_by, started_as
from gitprov.capture.environments.kind import Findings, Request, known
from gitprov.capture.environments.plain_files import text_or_nothing
from gitprov.capture.url_credentials import without_credentials
from gitprov.codec.environment_text import text

R = "r.json"

_FIELD = "environment.r"
_LOCK = "renv.lock"
_PROGRAMS = frozenset({"R", "Rscript", "littler"})
# Patterns that few runs need are not compiled before.
_HOME = r"(?m)^R_HOME_DIR=['\"]?(/[^'\"$\n]+)['\"]?$"
_SETTING = r"(?m)^(R_LIBS(?:_USER|_SITE)?)=(?:\$\{\1[:=-]+)?['\"]?([^'\"}\n]*)"
_RENV_DEPTH = 4  # renv/library/<system>/R-4.3/<platform>/<package>


def capture(request: Request, /) -> Findings:
    """Return r.json; nothing where neither the command nor the project is R's."""
    command = started_as(_PROGRAMS, request)
    if command is None:
        if not any(PurePath(path).name == _LOCK for path in request.found):
            return Findings()
        command = Command(argv=("R",), cwd=request.cwd, env=request.env)
    home = _home(command, request)
    if home is None:
        reason = "R is not on PATH, or does not say where its home is"
        return Findings(missing={_FIELD: reason})
    return describe(home, command, request.top)


def describe(home: Path, command: Command, top: Path | None) -> Findings:
    """Return what is installed for the R whose home is `home`.

    `top` is that of the repository, above which nothing is looked for.
    """
    version = _description(home / "library/base").get("Version")
    packages: dict[str, dict[str, str]] = {}
    for library in _libraries(home, version, command, top):
        for package in _packages(library):
            packages.setdefault(package["name"], package)
    rows = [packages[name] for name in sorted(packages)]
    return Findings(files={R: text("r.1", known(version=version, packages=rows))})


def _home(command: Command, request: Request) -> Path | None:
    """Return R's home: Rscript starts the R of its own installation, which stands beside it."""
    program = command.program(command.argv[0])
    folders = (program.resolve().parent, program.parent) if program else ()
    beside = next((folder / "R" for folder in folders if (folder / "R").is_file()), None)
    beside = beside or command.program("R")
    if beside is None:
        return None
    match = re.search(_HOME, text_or_nothing(beside))
    said = match[1] if match else None
    if said is None or not (Path(said) / "library/base").is_dir():
        said = said_by(beside, ["RHOME"], command, Cache(request.cache))
    return Path(said) if said and said.startswith("/") else None


def _libraries(
    home: Path, version: str | None, command: Command, top: Path | None
) -> Iterator[Path]:
    """Yield the folders that R looks in, in order."""
    own = home / "library"
    minor = ".".join((version or "").split(".")[:2])
    renv = list(_renv_libraries(command.cwd, top, minor))
    if renv:
        yield from renv
        yield own
        return
    settings = _settings(home, command.env)
    user = Path(command.env.get("HOME", "/"))
    for name in ("R_LIBS", "R_LIBS_USER", "R_LIBS_SITE"):
        for place in settings.get(name, "").split(os.pathsep):
            for meant in _meant(place, home, user, minor):
                yield command.cwd / meant
    yield own


def _settings(home: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that name libraries: of the environment, else of R's own file."""
    said = dict(re.findall(_SETTING, text_or_nothing(home / "etc/Renviron")))
    said = {"R_LIBS_USER": "%U", "R_LIBS_SITE": "%S"} | said
    return said | {name: env[name] for name in (*said, "R_LIBS") if name in env}


def _meant(place: str, home: Path, user: Path, minor: str) -> Iterator[Path]:
    """Yield what an entry stands for; R's letters for places differ by system, so all that are."""
    if not place or "\0" in place:
        return
    if place == "%S":
        yield home / "site-library"
    elif place == "%U":
        yield from sorted((user / "R").glob(f"*-library/{minor}"))
    elif "%" in place.replace("%v", minor):
        return
    else:
        place = place.replace("%v", minor)
        yield user / place[2:] if place.startswith("~/") else Path(place)


def _renv_libraries(cwd: Path, top: Path | None, minor: str) -> Iterator[Path]:
    """Yield the library of the project's renv, for this version of R."""
    for folder in (cwd, *cwd.parents):
        if (folder / "renv/activate.R").is_file():
            yield from sorted(_below(folder / "renv/library", minor, _RENV_DEPTH))
            return
        if folder == (top or cwd):
            return


def _below(folder: Path, minor: str, depth: int) -> Iterator[Path]:
    """Yield the folders below that hold packages, but for those of other versions of R."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        return
    if any((entry / "DESCRIPTION").is_file() for entry in entries):
        yield folder
        return
    for entry in entries:
        is_other = minor and re.fullmatch(r"R-\d+\.\d+", entry.name) and entry.name != f"R-{minor}"
        if depth > 1 and not is_other:
            yield from _below(entry, minor, depth - 1)


def _packages(library: Path) -> Iterator[dict[str, str]]:
    try:
        names = sorted(entry.name for entry in os.scandir(library))
    except OSError:
        return
    for name in names:
        fields = _description(library / name)
        row = known(
            name=fields.get("Package"), version=fields.get("Version"), source=_source(fields)
        )
        if "name" in row and "version" in row:
            yield row


def _description(package: Path) -> dict[str, str]:
    """Return the fields of a DESCRIPTION, in the form of Debian's control files."""
    fields: dict[str, str] = {}
    name = None
    for line in text_or_nothing(package / "DESCRIPTION").splitlines():
        if line.startswith((" ", "\t")):
            if name:
                fields[name] += f" {line.strip()}"
            continue
        name, separator, value = line.partition(":")
        if not separator:
            name = None
            continue
        fields.setdefault(name, value.strip())
    return fields


def _source(fields: Mapping[str, str]) -> str | None:
    """Return where a package came from: the repository's name, or what it was made from."""
    kind = fields.get("RemoteType", "standard")
    if kind in ("standard", "cran", "bioconductor", "any"):
        return fields.get("Repository") or ("base" if fields.get("Priority") == "base" else None)
    place = "/".join(_present(fields, "RemoteUsername", "RemoteRepo"))
    place = place or without_credentials(fields.get("RemoteUrl", ""))
    commit = fields.get("RemoteSha", "")
    return f"{kind}::{place}" + (f"@{commit}" if commit else "")


def _present(fields: Mapping[str, str], *names: str) -> Sequence[str]:
    return [fields[name] for name in names if fields.get(name)]
