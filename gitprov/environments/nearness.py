"""How near a rebuilt environment has come to the recorded one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from gitprov.capture.environments import capture_environment
from gitprov.codec.environment_files import read_environment
from gitprov.environments.interpreters import plain_environment
from gitprov.environments.packages import normalised
from gitprov.environments.restoration_plan import OF_CONDA
from gitprov.model.environment import CondaPackage, Environment, Package
from gitprov.model.environment_wording import interpreter_text

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
    differences: list[Difference] = []
    contents: dict[str, bool | None] = {}
    if python:
        differences += _interpreters(recorded, restored)
        before, after = (_packages(side) for side in (recorded, restored))
        differences += _versions(before, after)
        contents |= _same_contents(before, after, _same_package)
    if conda:
        conda_before, conda_after = (_conda_packages(side) for side in (recorded, restored))
        differences += _versions(conda_before, conda_after)
        contents |= _same_contents(conda_before, conda_after, _same_conda_package)
    return Nearness(
        differences=tuple(differences),
        contents=tuple(name for name, same in contents.items() if same is False),
        unknown=tuple(name for name, same in contents.items() if same is None),
    )


def _interpreters(recorded: Environment, restored: Environment) -> Iterable[Difference]:
    old = recorded.python.interpreter if recorded.python else None
    new = restored.python.interpreter if restored.python else None
    before, after = (
        interpreter_text(replace(side, kind=None)) if side else None for side in (old, new)
    )
    if before is not None and before != after:
        yield Difference(name="python", recorded=before, restored=after)


def _packages(environment: Environment) -> dict[str, Package]:
    packages = environment.python.packages if environment.python else ()
    return {normalised(package.name): package for package in packages}


def _conda_packages(environment: Environment) -> dict[str, CondaPackage]:
    packages = environment.conda.packages if environment.conda else ()
    return {f"{package.name} (conda)": package for package in packages}


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


def _same_contents(
    before: Mapping[str, Item],
    after: Mapping[str, Item],
    same: Callable[[Item, Item], bool | None],
) -> dict[str, bool | None]:
    """Return by name whether packages of equal version are equal; None where that is not known."""
    return {
        name: same(before[name], after[name])
        for name in sorted(before.keys() & after.keys())
        if _version(before[name]) == _version(after[name])
    }


def _same_package(old: Package, new: Package) -> bool | None:
    if old.editable or new.editable:
        return old.editable == new.editable  # it holds the path of its source, and no more
    if old.installer == new.installer == OF_CONDA:
        return True  # or its conda package says otherwise
    if old.content_sha256 is None or new.content_sha256 is None:
        return None
    return old.content_sha256 == new.content_sha256


def _same_conda_package(old: CondaPackage, new: CondaPackage) -> bool | None:
    if old.sha256 and new.sha256:
        return old.sha256 == new.sha256
    return old.md5 == new.md5 if old.md5 and new.md5 else None
