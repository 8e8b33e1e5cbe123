"""What has to be done to have a recorded environment again, decided before anything is done.

A record may be a stranger's, and building what it names executes code: so all of it can be shown
first, with the hosts that things would come from. What cannot be had again is named, with why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from gitprov.environments.local_files import find_file, is_wheel
from gitprov.environments.other_locks import OtherLock, other_locks
from gitprov.environments.packages import normalised
from gitprov.environments.requirement_lines import (
    Place,
    RefusedError,
    archive_place,
    from_archive,
    from_git,
    git_place,
    hashes_of,
    hashes_of_lock,
    pinned,
)
from gitprov.environments.tools import Sources
from gitprov.errors import SourceMissing
from gitprov.exchange.environments.pins import Pin
from gitprov.model.environment import CondaPackage, Editable, Environment, Interpreter
from gitprov.model.wording import plural

How = Literal["locked", "pinned", "archive", "file", "vcs", "source"]
Maker = Literal["venv", "uv", "conda"]
SOURCES_FOLDER = "src"
# From where a distribution lay, and its name, to its folder in the source of the run. Raises
# SourceMissing where it is not in there, or that is not here.
ProjectOf = Callable[[str, str], str]
OF_CONDA = "conda"  # what the INSTALLER of a conda package says


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A package to install. `line` is for the installer; `folder` is in the run's source instead.

    `how`: by the hashes of a lock, by its version alone, an archive from a URL, a file of the
    user's, a commit of a repository, or the source of the run. `host` is what it is fetched from
    that is no index. `hashed` says that only the very files will do. `builds`: code is executed.
    """

    name: str
    version: str
    how: How
    line: str = ""
    folder: str | None = None
    editable: bool = False
    place: str | None = None
    host: str = ""
    hashed: bool = False
    builds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A package that is not installed, and why."""

    name: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is to be done. `conda` comes first, then `steps`, in one environment.

    `left` is what cannot be had again, or not without building; `notes` say what else differs.
    """

    maker: Maker
    python: Interpreter | None
    conda: tuple[CondaPackage, ...] = ()
    steps: tuple[Step, ...] = ()
    left: tuple[Left, ...] = ()
    locks: tuple[OtherLock, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that are asked beside indexes."""
        named = {step.host for step in self.steps}
        named |= {_host_of(package.url) for package in self.conda}
        return tuple(sorted(named - {""}))


class _LeftError(Exception):
    """A package is left out; the message says why."""


def make_plan(
    environment: Environment, pins: Sequence[Pin], *,
    project_of: ProjectOf, sources: Sources, allow_builds: bool, refused: Sequence[str] = (),
) -> Plan:  # fmt: skip
    """Return what is to be done; `pins` are those of the environment's own Python.

    `refused` says in words which of its packages have none, and why.
    """
    maker = _maker(environment)
    python = environment.python
    notes = [*_notes(environment), *(f"not restored: {words}" for words in refused)]
    if maker == "conda" and python is not None and python.interpreter.kind != "conda":
        version = python.interpreter.version
        notes.append(f"the conda environment had no Python; {version} stood elsewhere on PATH")
        python, pins = None, ()
    planner = _Planner(environment.editables, project_of, sources, allow_builds=allow_builds)
    by_conda = _conda_names(environment)
    steps: list[Step] = []
    left: list[Left] = []
    for pin in pins:
        if pin.name in by_conda:
            continue
        try:
            steps.append(planner.step(pin))
        except (_LeftError, RefusedError) as error:
            left.append(Left(name=pin.name, version=pin.version, reason=str(error)))
    conda, left_conda = _conda(environment)
    return Plan(
        maker=maker,
        python=python.interpreter if python else None,
        conda=conda,
        steps=tuple(steps),
        left=(*left_conda, *left),
        locks=other_locks(environment.locks),
        notes=tuple(notes),
    )


class _Planner:
    def __init__(
        self, editables: Sequence[Editable], project_of: ProjectOf, sources: Sources, *,
        allow_builds: bool,
    ) -> None:  # fmt: skip
        self._editables = {normalised(item.name): item for item in editables}
        self._sources = sources
        self._allow_builds = allow_builds
        self._project_of = project_of

    def step(self, pin: Pin) -> Step:
        """Return how to install a package; raise _LeftError, RefusedError where it is left out."""
        if pin.editable:
            step = self._editable(pin)
        elif pin.origin is None:
            step = self._of_index(pin)
        elif pin.origin.vcs is not None:
            step = self._vcs(pin, pin.origin.vcs)
        elif pin.origin.is_directory:
            step = self._directory(pin)
        else:
            step = self._archive(pin)
        if step.builds and not self._allow_builds:
            raise _LeftError(
                f"it has to be built{_from(step)}, which executes its code: --allow-builds"
            )
        return step

    def _of_index(self, pin: Pin) -> Step:
        hashes = hashes_of_lock(pin.hashes)
        only_sources = bool(pin.files) and all(file.kind == "sdist" for file in pin.files)
        return Step(
            name=pin.name,
            version=pin.version,
            how="locked" if hashes else "pinned",
            line=pinned(pin.name, pin.version, hashes),
            hashed=bool(hashes),
            builds=only_sources,
        )

    def _vcs(self, pin: Pin, vcs: str) -> Step:
        origin = pin.origin
        if origin is None or vcs != "git":
            raise _LeftError(f"it came from {vcs}, which is not restored from")
        place = git_place(origin.url)
        self._require_reach(place)
        return Step(
            name=pin.name,
            version=pin.version,
            how="vcs",
            line=from_git(pin.name, place, origin.commit, origin.subdirectory),
            place=place.url,
            host=place.host,
            builds=True,
        )

    def _archive(self, pin: Pin) -> Step:
        origin = pin.origin
        url, digests = (origin.url, origin.hashes) if origin else ("", {})
        hashes = hashes_of(digests) or hashes_of_lock(pin.hashes)
        place = archive_place(url)
        here = self._file(pin, dict(one.split(":", 1) for one in hashes) or digests)
        if here is not None:
            return self._file_step(pin, here, hashes)
        if not place.host:
            raise _LeftError(
                f"it was installed from a local file, {place.file_name}; name its folder: "
                "--find-links DIR"
            )
        self._require_reach(place)
        return Step(
            name=pin.name,
            version=pin.version,
            how="archive",
            line=from_archive(pin.name, place, hashes),
            place=place.url,
            host=place.host,
            hashed=bool(hashes),
            builds=not is_wheel(place.file_name),
        )

    def _directory(self, pin: Pin) -> Step:
        here = self._file(pin, {})
        if here is not None:
            return self._file_step(pin, here, ())
        try:
            return self._source(pin, unquote(urlsplit(pin.origin.url if pin.origin else "").path))
        except SourceMissing as error:
            raise _LeftError(
                "it was built from a local folder, which was not recorded; name a folder with "
                "a wheel of it: --find-links DIR"
            ) from error

    def _editable(self, pin: Pin) -> Step:
        known = self._editables.get(pin.name)
        if known is not None and known.is_source:
            try:
                return self._source(pin, known.path)
            except SourceMissing as error:
                raise _LeftError(str(error)) from error
        commit = known.commit if known else pin.commit
        at = f" at commit {commit}" if commit else ""
        raise _LeftError(
            f"it was an editable installation of a folder outside the run's repository{at}"
        )

    def _source(self, pin: Pin, path: str) -> Step:
        """Return how to install from the run's own source; raise SourceMissing."""
        inside = self._project_of(path, pin.name)
        return Step(
            name=pin.name,
            version=pin.version,
            how="source",
            folder="/".join(part for part in (SOURCES_FOLDER, inside) if part),
            editable=pin.editable,
            builds=True,
        )

    def _file(self, pin: Pin, digests: Mapping[str, str]) -> Path | None:
        return find_file(self._sources.find_links, pin.name, pin.version, digests)

    def _file_step(self, pin: Pin, file: Path, hashes: Sequence[str]) -> Step:
        return Step(
            name=pin.name,
            version=pin.version,
            how="file",
            line=from_archive(pin.name, archive_place(file.as_uri()), hashes),
            place=str(file),
            hashed=bool(hashes),
            builds=not is_wheel(file.name),
        )

    def _require_reach(self, place: Place) -> None:
        if self._sources.offline and place.host:
            raise _LeftError(f"it comes from {place.host}, and nothing is fetched (--offline)")


def _from(step: Step) -> str:
    if step.how == "source":
        return " from the source of the run"
    return f" from {step.place}" if step.place else ", as its lock names no wheel"


def _maker(environment: Environment) -> Maker:
    python = environment.python
    # A system's Python beside an active conda environment is what stands on PATH, and no more.
    if environment.conda is not None and (
        python is None or python.interpreter.kind in ("conda", "system", None)
    ):
        return "conda"
    if python is not None and python.interpreter.kind == "uv":
        return "uv"
    installers = [package.installer for package in python.packages] if python else []
    return "uv" if "uv" in installers and "pip" not in installers else "venv"


def _conda_names(environment: Environment) -> frozenset[str]:
    """Return the Python packages that conda has brought."""
    if _maker(environment) != "conda" or environment.python is None:
        return frozenset()
    packages = environment.python.packages
    by_conda = [package for package in packages if package.installer == OF_CONDA]
    return frozenset(normalised(package.name) for package in by_conda)


def _conda(
    environment: Environment,
) -> tuple[tuple[CondaPackage, ...], tuple[Left, ...]]:
    if environment.conda is None or _maker(environment) != "conda":
        return (), ()
    kept: list[CondaPackage] = []
    left: list[Left] = []
    for package in environment.conda.packages:
        try:
            if package.url is None:
                raise _LeftError("where it was downloaded from is not known")
            place = archive_place(package.url)
            if not place.file_name.endswith((".conda", ".tar.bz2")):
                raise _LeftError("its URL names no conda package")
            if not place.host and not place.path.is_file():
                raise _LeftError(f"{place.path} is not here")
            kept.append(package)
        except (_LeftError, RefusedError) as error:
            left.append(Left(name=package.name, version=package.version, reason=str(error)))
    return tuple(kept), tuple(left)


def _host_of(url: str | None) -> str:
    try:
        return archive_place(url).host if url else ""
    except RefusedError:
        return ""


def _notes(environment: Environment) -> list[str]:
    notes = []
    if environment.conda is not None and _maker(environment) != "conda":
        count = plural(len(environment.conda.packages), "package")
        notes.append(f"a conda environment was active besides, with {count}: it is not restored")
    if environment.others:
        notes.append(
            "the run started other Pythons, too, which are not restored: "
            + ", ".join(sorted(environment.others))
        )
    broken = environment.python.broken if environment.python else ()
    notes += [f"{item.entry} was broken and is not restored: {item.reason}" for item in broken]
    return notes
