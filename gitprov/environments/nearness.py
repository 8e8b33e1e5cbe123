"""How near a rebuilt environment has come to the recorded one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from gitprov.capture.environments import capture_environment
from gitprov.codec.environment_files import read_environment
from gitprov.environments.interpreters import plain_environment
from gitprov.environments.packages import normalised
from gitprov.model.environment import CondaPackage, Environment, Package

Verdict = Literal["identical", "same versions", "differs"]
Item = TypeVar("Item", Package, CondaPackage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A thing that is otherwise than recorded; None stands for what is absent."""

    name: str
    recorded: str | None
    restored: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """What differs in versions, and which packages are of other content, or of unknown content."""

    differences: tuple[Difference, ...] = ()
    contents: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """`identical` is said only where all content was compared."""
        if self.differences:
            return "differs"
        return "same versions" if self.contents or self.unknown else "identical"


def capture_again(folder: Path, python: Path, *, conda: Path | None = None) -> Environment:
    """Return the environment in a folder, captured as that of a run is.

    `conda` is the folder of a conda environment, which may hold no Python.
    """
    env = plain_environment()
    env["PATH"] = f"{python.parent}:{env.get('PATH', '')}"
    if conda is not None:
        env["CONDA_PREFIX"] = str(conda)
    captured = capture_environment([str(python)], cwd=folder, top=None, env=env, cache=None)
    return read_environment(captured.files, captured.locks)


def compare(
    recorded: Environment, restored: Environment, *, python: bool = True, conda: bool = False
) -> Nearness:
    """Return in what two environments differ: the interpreter, its packages, those of conda.

    Without `python`, there was none to restore, and without `conda` no environment of that.
    """
    if not python:
        recorded, restored = replace(recorded, python=None), replace(restored, python=None)
    differences = [*_interpreters(recorded, restored)]
    contents: list[str] = []
    unknown: list[str] = []
    before, after = _by_name(recorded.python.packages if recorded.python else ()), _by_name(
        restored.python.packages if restored.python else ()
    )  # fmt: skip
    differences += _versions(before, after)
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        if old.version != new.version or old.editable or new.editable:
            continue  # an editable installation holds the path of its source, and no more
        if old.content_sha256 is None or new.content_sha256 is None:
            unknown.append(name)
        elif old.content_sha256 != new.content_sha256:
            contents.append(name)
    if conda:
        differences += _conda(recorded, restored, contents)
    return Nearness(
        differences=tuple(differences), contents=tuple(contents), unknown=tuple(unknown)
    )


def _interpreters(recorded: Environment, restored: Environment) -> Iterable[Difference]:
    old = recorded.python.interpreter if recorded.python else None
    new = restored.python.interpreter if restored.python else None
    before = f"{old.implementation} {old.version}" if old else None
    after = f"{new.implementation} {new.version}" if new else None
    if before is not None and before != after:
        yield Difference(name="python", recorded=before, restored=after)


def _by_name(packages: Iterable[Package]) -> dict[str, Package]:
    return {normalised(package.name): package for package in packages}


def _versions(before: Mapping[str, Item], after: Mapping[str, Item]) -> list[Difference]:
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        versions = _version(old), _version(new)
        if versions[0] != versions[1]:
            found.append(Difference(name=name, recorded=versions[0], restored=versions[1]))
    return found


def _version(item: Package | CondaPackage | None) -> str | None:
    if isinstance(item, CondaPackage):
        return f"{item.version} {item.build}"
    return item.version if item is not None else None


def _conda(
    recorded: Environment, restored: Environment, contents: list[str]
) -> Iterable[Difference]:
    old = recorded.conda.packages if recorded.conda else ()
    new = restored.conda.packages if restored.conda else ()
    before = {f"{package.name} (conda)": package for package in old}
    after = {f"{package.name} (conda)": package for package in new}
    for name in sorted(before.keys() & after.keys()):
        digests = {(item.sha256 or item.md5) for item in (before[name], after[name])}
        if len(digests) > 1 and None not in digests:
            contents.append(name)
    return _versions(before, after)
