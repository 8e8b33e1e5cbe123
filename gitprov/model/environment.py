"""The environment of a run as it was recorded: what was installed, on what, locked by what.

What is absent was not there, or is named in the run's `missing`. Paths are those of the machine
that recorded. Specification: section 4.4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a distribution came from that no index was asked for, as PEP 610 has it.

    `commit` is of the version control system `vcs`; `hashes` are of an archive, by algorithm.
    """

    url: str
    vcs: str | None = None
    commit: str | None = None
    revision: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    subdirectory: str | None = None
    is_directory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An installed Python distribution.

    `record_sha256` is of its RECORD; `content_sha256` of what stands there about the files that
    the wheel brought, the same wherever and by whatever it was installed.
    """

    name: str
    version: str
    purl: str
    installer: str | None = None
    record_sha256: str | None = None
    content_sha256: str | None = None
    origin: Origin | None = None
    editable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Something among the installed distributions that is none, and why."""

    entry: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python interpreter; `kind` is what made its environment: venv, uv, conda, system, …."""

    version: str
    implementation: str
    executable: str | None = None
    soabi: str | None = None
    prefix: str | None = None
    base_prefix: str | None = None
    kind: str | None = None
    platform: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonEnvironment:
    """An interpreter, and what is installed for it."""

    interpreter: Interpreter
    packages: tuple[Package, ...] = ()
    broken: tuple[Broken, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Editable:
    """A distribution that is imported from where it is written: which state of it that was.

    `is_source`: it is the repository of the run itself, whose state the run's source tells.
    """

    name: str
    path: str
    commit: str | None = None
    dirty: bool | None = None
    tree: str | None = None
    is_source: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaPackage:
    """A package of a conda environment; `url` is what it was downloaded from."""

    name: str
    version: str
    build: str
    channel: str | None = None
    subdir: str | None = None
    url: str | None = None
    md5: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaEnvironment:
    """A conda environment; `prefix` is its folder."""

    prefix: str
    platform: str | None = None
    packages: tuple[CondaPackage, ...] = ()
    broken: tuple[Broken, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryPackage:
    """A package of a language or system that names it by name and version."""

    name: str
    version: str
    source: str | None = None
    architecture: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageEnvironment:
    """What another language than Python had installed: R, Julia."""

    version: str | None = None
    packages: tuple[LibraryPackage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPackages:
    """The packages of the operating system, as its `manager` (dpkg, rpm, apk) lists them."""

    manager: str
    packages: tuple[LibraryPackage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The container around a run, as far as it shows itself."""

    runtime: str
    image: str | None = None
    digest: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A device that computes; `toolkits` are versions of what drives it, by name."""

    name: str
    driver: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine that a run was on. Toolkits (CUDA, ROCm) are versions by name."""

    cpu: str | None = None
    flags: tuple[str, ...] = ()
    memory_bytes: int | None = None
    accelerators: tuple[Accelerator, ...] = ()
    toolkits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearAlgebra:
    """A BLAS or LAPACK that a package uses: `library` names it, with a version where known."""

    user: str
    library: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """What a lock says of a package, and what is installed; either is None where it is absent."""

    lock: str
    name: str
    locked: str | None = None
    installed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """All of it. `others` are Pythons that the run started besides, by the name of their folder.

    `system` are facts about the operating system by name; `locks` are lock files by their path in
    the repository, byte for byte; `compared` are those that were compared with what is installed.
    """

    python: PythonEnvironment | None = None
    others: Mapping[str, PythonEnvironment] = field(default_factory=dict)
    editables: tuple[Editable, ...] = ()
    conda: CondaEnvironment | None = None
    languages: Mapping[str, LanguageEnvironment] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)
    system_packages: SystemPackages | None = None
    container: Container | None = None
    machine: Machine | None = None
    linear_algebra: tuple[LinearAlgebra, ...] = ()
    locks: Mapping[str, bytes] = field(default_factory=dict)
    compared: tuple[str, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
