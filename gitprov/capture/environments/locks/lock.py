"""What lock files say, in one form for all of them: packages, their versions and their files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gitprov.model.environment import Origin

Ecosystem = Literal["pypi", "conda"]
FileKind = Literal["wheel", "sdist", "conda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """A file that a package may be installed from. `hashes` are in hex, by algorithm.

    Some locks have hashes alone: `name` is empty then, and `kind` None.
    """

    name: str
    kind: FileKind | None
    url: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One package at one version; a universal lock may have others of the same name.

    `name` is as PEP 503 has it where it is Python's. `version` is None where the lock leaves it to
    the package's source, which `origin` then says. `marker` (PEP 508), `groups` and `optional` say
    when it is not for every installation. `platform` is conda's subdir (linux-64); `build` is
    conda's too, and None where any will do. `index` is where its files are looked for.
    """

    ecosystem: Ecosystem
    name: str
    version: str | None = None
    files: tuple[LockedFile, ...] = ()
    origin: Origin | None = None
    editable: bool = False
    marker: str | None = None
    groups: tuple[str, ...] = ()
    optional: bool = False
    index: str | None = None
    platform: str | None = None
    build: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock file: its path in the repository, its kind (`uv`, `poetry`, …), and what it names."""

    path: str
    kind: str
    packages: tuple[LockedPackage, ...] = ()
