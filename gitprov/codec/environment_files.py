"""What the files of an environment say: the documents of `gitprov.codec.environment_text`, read.

Documents without a `schema` are of version 1. Readers know every version that was ever written.
Specification: section 4.4.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gitprov.codec.canonical import Document
from gitprov.codec.documents import from_document
from gitprov.codec.environment_text import (
    AGREEMENT,
    CONDA,
    CONTAINER,
    EDITABLES,
    INTERPRETERS,
    LANGUAGES,
    LINEAR_ALGEBRA,
    MACHINE,
    PACKAGES,
    SYSTEM,
    SYSTEM_PACKAGES,
)
from gitprov.errors import MalformedRecord
from gitprov.model.environment import (
    Broken,
    CondaEnvironment,
    Container,
    Disagreement,
    Editable,
    Environment,
    Interpreter,
    LanguageEnvironment,
    LinearAlgebra,
    Machine,
    Origin,
    Package,
    PythonEnvironment,
    SystemPackages,
)

T = TypeVar("T")


def read_environment(files: Mapping[str, bytes], locks: Collection[str]) -> Environment:
    """Return what the files of an environment say; `locks` are those that are lock files.

    Files that it does not know are passed over: later versions may have more. Raises
    MalformedRecord for a document that is not what its kind says, or of a later major version.
    """
    found: dict[str, Any] = {"locks": {path: files[path] for path in locks if path in files}}
    others: dict[str, PythonEnvironment] = {}
    languages: dict[str, LanguageEnvironment] = {}
    for path, data in files.items():
        if path in found["locks"]:
            continue
        folder, _, name = path.rpartition("/")
        if path in _READERS:
            found |= _READERS[path](path, data)
        elif path in LANGUAGES:
            kind = path.removesuffix(".json")
            languages[LANGUAGES[path]] = _read(LanguageEnvironment, kind, path, data)
        elif (
            name == PACKAGES
            and folder.startswith(f"{INTERPRETERS}/")
            and (python := _python(path, data)) is not None
        ):
            others[folder.removeprefix(f"{INTERPRETERS}/")] = python
    return Environment(**found, others=others, languages=languages)


def _document(kind: str, path: str, data: bytes) -> Document:
    """Return a document of version 1; raise MalformedRecord where it is none."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedRecord(f"{path} in the environment is not JSON") from error
    if not isinstance(document, dict):
        raise MalformedRecord(f"{path} in the environment is not a map")
    schema = document.pop("schema", f"{kind}.1")
    if schema != f"{kind}.1":
        raise MalformedRecord(
            f"{path} in the environment is {str(schema)[:40]!r}; this gitprov reads {kind}.1"
        )
    return document


def _read(record: type[T], kind: str, path: str, data: bytes) -> T:
    return from_document(record, _document(kind, path, data), path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A package as `packages.json` has it; `direct_url` is that of PEP 610."""

    name: str
    version: str
    purl: str
    installer: str | None = None
    record_sha256: str | None = None
    content_sha256: str | None = None
    direct_url: Mapping[str, Any] | None = None
    editable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packages:
    interpreter: Interpreter
    packages: tuple[_Row, ...] = ()
    broken: tuple[Broken, ...] = ()


def _python(path: str, data: bytes) -> PythonEnvironment | None:
    """Return what is installed; None where the document knows no interpreter and no packages."""
    read = _document("packages", path, data)
    if not (read.get("interpreter") or read.get("packages")):
        return None
    document = from_document(_Packages, read, path)
    packages = [
        Package(
            name=row.name,
            version=row.version,
            purl=row.purl,
            installer=row.installer,
            record_sha256=row.record_sha256,
            content_sha256=row.content_sha256,
            origin=_origin(row.direct_url, path),
            editable=row.editable,
        )
        for row in document.packages
    ]
    return PythonEnvironment(
        interpreter=document.interpreter, packages=tuple(packages), broken=document.broken
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vcs:
    vcs: str
    commit_id: str | None = None
    requested_revision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Archive:
    hash: str | None = None
    hashes: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _DirectUrl:
    """PEP 610."""

    url: str
    vcs_info: _Vcs | None = None
    archive_info: _Archive | None = None
    dir_info: Mapping[str, Any] | None = None
    subdirectory: str | None = None


def _origin(direct_url: Mapping[str, Any] | None, where: str) -> Origin | None:
    """Return where a package came from; None where that is not as PEP 610 has it."""
    if direct_url is None:
        return None
    try:
        return origin_of(direct_url, where)
    except MalformedRecord:  # an installer's oddity, which must not hide all other packages
        return None


def origin_of(direct_url: Mapping[str, Any], where: str) -> Origin:
    """Return what a direct_url.json says (PEP 610); raise MalformedRecord."""
    said = from_document(_DirectUrl, dict(direct_url), where)
    vcs, archive = said.vcs_info, said.archive_info
    hashes = dict(archive.hashes or {}) if archive else {}
    if archive and archive.hash and "=" in archive.hash:  # as it was before `hashes`
        name, _, value = archive.hash.partition("=")
        hashes.setdefault(name, value)
    return Origin(
        url=said.url,
        vcs=vcs.vcs if vcs else None,
        commit=vcs.commit_id if vcs else None,
        revision=vcs.requested_revision if vcs else None,
        hashes=hashes,
        subdirectory=said.subdirectory,
        is_directory=said.dir_info is not None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Editables:
    editables: tuple[Editable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agreement:
    compared: tuple[str, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _LinearAlgebra:
    libraries: tuple[LinearAlgebra, ...] = ()


def _system(path: str, data: bytes) -> dict[str, str]:
    """Return facts about the system by name; what has a name and a version, as both."""
    facts = {}
    for name, value in _document("system", path, data).items():
        if isinstance(value, dict):
            facts[name] = " ".join(str(value[key]) for key in ("name", "version") if key in value)
        else:
            facts[name] = str(value)
    return facts


_READERS: Mapping[str, Callable[[str, bytes], dict[str, Any]]] = {
    PACKAGES: lambda path, data: {"python": _python(path, data)},
    SYSTEM: lambda path, data: {"system": _system(path, data)},
    EDITABLES: lambda path, data: {
        "editables": _read(_Editables, "editables", path, data).editables
    },
    CONDA: lambda path, data: {"conda": _read(CondaEnvironment, "conda", path, data)},
    MACHINE: lambda path, data: {"machine": _read(Machine, "machine", path, data)},
    LINEAR_ALGEBRA: lambda path, data: {
        "linear_algebra": _read(_LinearAlgebra, "linear-algebra", path, data).libraries
    },
    CONTAINER: lambda path, data: {"container": _read(Container, "container", path, data)},
    SYSTEM_PACKAGES: lambda path, data: {
        "system_packages": _read(SystemPackages, "system-packages", path, data)
    },
    AGREEMENT: lambda path, data: {
        "compared": (said := _read(_Agreement, "agreement", path, data)).compared,
        "disagreements": said.disagreements,
    },
}
