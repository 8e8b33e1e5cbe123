"""Hooks outside the git directory: ours in front of them (`core.hooksPath`).

That folder is not ours to write to: husky makes its own anew, a company's serves every repository.
So git is led to `<common dir>/prov/hooks/`. There our hooks call those of that folder first, and
every other hook that it has is passed on to. What the repository's own configuration said before is
kept in `prov.hooksPath`; what the user's or the system's says is there by itself. A relative folder
stays one: git starts hooks where it looks for them.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gitprov.hooks.kept_hooks import free_name
from gitprov.hooks.shims import NAMES, is_ours, passing_on, put, shim
from gitprov.store.repository import Repository

SETTING = "core.hooksPath"
FORMER_SETTING = "prov.hooksPath"
# Git knows hooks by such names, ours and those of future versions.
_HOOK = re.compile(r"[a-z][a-z0-9-]+\Z")
_OUR_FOLDER = os.path.join("prov", "hooks")  # noqa: PTH118 -- compared with text

Configure = Callable[..., None]


@dataclass(frozen=True, slots=True)
class HooksPath:
    """Where git looks for hooks: `folder`, which `ours` stands in front of where `is_taken`.

    `former` is what `core.hooksPath` says but for us; None where that is nothing. `stale` are the
    values that lead, or led, to a folder of ours.
    """

    folder: Path
    ours: Path
    former: str | None
    is_taken: bool
    stale: tuple[str, ...]

    @property
    def can_be_taken(self) -> bool:
        """Whether git can be led to our folder instead, which then passes its hooks on."""
        return self.former is not None and (self.folder.is_dir() or not self.folder.exists())


def read_hooks_path(repository: Repository) -> HooksPath:
    """Ask git where it looks for hooks, now."""
    git, common_dir = repository.git, repository.common_dir
    said = git.run("config", "-z", "--get-all", SETTING, good=(0, 1))
    values = [os.fsdecode(value) for value in said.split(b"\0")[:-1]]
    ours = common_dir / _OUR_FOLDER
    stale = tuple(value for value in values if _was_ours(value, ours))
    is_taken = bool(values) and values[-1] == str(ours)
    kept = _kept(repository) if values and values[-1] in stale else []
    others = [value for value in values if value not in stale]
    former = next(reversed(kept or others), None)
    folder = common_dir / "hooks"
    if former is not None:
        top = repository.work_tree or repository.git_dir
        folder = top / os.path.expanduser(former)  # noqa: PTH111 -- git's own rule
    return HooksPath(folder, ours, former, is_taken, stale)


def take(repository: Repository, at: HooksPath, configure: Configure) -> list[str]:
    """Lead git to our folder; return what was changed, in words. Nothing, where git is not led."""
    at.ours.mkdir(exist_ok=True)
    changes = list(_fill(at))
    if at.is_taken:
        return changes
    former = [value for value in _local(repository, SETTING) if value not in at.stale]
    # A repository that was moved, or copied, has a folder of ours that is not this one.
    if not at.stale and former != _kept(repository):
        configure("--unset-all", FORMER_SETTING)
        for value in former:
            configure("--add", FORMER_SETTING, value)
    before = _local(repository, SETTING)
    configure("--replace-all", SETTING, str(at.ours))
    if not read_hooks_path(repository).is_taken:  # said again elsewhere, as for one work tree
        _set_all(configure, before)
        configure("--unset-all", FORMER_SETTING)
        list(_empty(at.ours))
        return []
    return [f"{SETTING} = {at.ours} (those of {at.former}, then ours)", *changes]


def give_back(repository: Repository, at: HooksPath, configure: Configure) -> list[str]:
    """Lead git to where it looked before; return what was changed, in words."""
    changes = []
    kept = _kept(repository)
    if stale := set(_local(repository, SETTING)) & set(at.stale):
        if kept:
            _set_all(configure, kept)
        for value in stale:
            configure("--fixed-value", "--unset-all", SETTING, value)
        changes.append(f"{SETTING}: {' '.join(kept)} again" if kept else f"{SETTING}: removed")
    if kept:
        configure("--unset-all", FORMER_SETTING)
    return [*changes, *_empty(at.ours)]


def what_is_not_passed_on(at: HooksPath) -> Iterator[str]:
    """Yield what is wrong with our folder in front of theirs, in words."""
    if not at.is_taken:
        where = "where this repository was before" if at.stale else f"{at.former}, past our hooks"
        yield f"{SETTING} leads to {where}"
        return
    for name, content in _wanted(at).items():
        script = at.ours / name
        if not script.is_file():
            is_new = name not in NAMES
            yield f"hook {name} " + (f"of {at.former} does not run" if is_new else "is not there")
        elif not is_ours(script):
            yield f"hook {name} in {at.ours} is not ours"
        elif script.read_bytes() != content:
            yield f"hook {name} in {at.ours} is not as it should be"
        elif not os.access(script, os.X_OK):
            yield f"hook {name} in {at.ours} is not executable"


def _wanted(at: HooksPath) -> dict[str, bytes]:
    """Return the scripts of our folder."""
    former = at.former or ""
    theirs = os.path.expanduser(former)  # noqa: PTH111 -- git's own rule
    found = {
        path.name: passing_on(os.path.join(theirs, path.name))  # noqa: PTH118 -- may be relative
        for path in (sorted(at.folder.iterdir()) if at.folder.is_dir() else ())
        if path.is_file() and _HOOK.match(path.name)
    }
    ours = {name: shim(name, os.path.join(theirs, name)) for name in NAMES}  # noqa: PTH118
    return found | ours


def _fill(at: HooksPath) -> Iterator[str]:
    wanted, written = _wanted(at), []
    for name, content in wanted.items():
        script = at.ours / name
        if is_ours(script) and script.read_bytes() == content and os.access(script, os.X_OK):
            continue
        if os.path.lexists(script) and not is_ours(script):
            kept = free_name(script)
            script.rename(kept)
            yield f"hook {name} in {at.ours}: kept as {kept.name} and not called"
        put(script, content)
        written.append(name)
    for script in at.ours.iterdir():
        if script.name not in wanted and is_ours(script):
            script.unlink()
            yield f"hook {script.name}: no longer passed on"
    if ours := [name for name in NAMES if name in written]:
        yield f"hooks installed: {', '.join(ours)}"
    if others := [name for name in written if name not in NAMES]:
        yield f"hooks passed on: {', '.join(others)}"


def _empty(folder: Path) -> Iterator[str]:
    """Remove what is ours in our folder; what others have put there stays."""
    if not folder.is_dir():
        return
    removed = [script for script in sorted(folder.iterdir()) if is_ours(script)]
    for script in removed:
        script.unlink()
    if removed:
        yield f"hooks removed: {', '.join(path.name for path in removed if path.name in NAMES)}"
    with suppress(OSError):
        folder.rmdir()
    if folder.is_dir():
        yield f"{folder}: kept, it has hooks of others"


def _set_all(configure: Configure, values: list[str]) -> None:
    """Give the setting these values in the repository's own configuration, never none between."""
    if not values:
        configure("--unset-all", SETTING)
        return
    configure("--replace-all", SETTING, values[0])
    for value in values[1:]:
        configure("--add", SETTING, value)


def _was_ours(value: str, ours: Path) -> bool:
    """Say whether a value leads to our folder, or did so before the repository was moved."""
    if value == str(ours):
        return True
    path = Path(value)
    known = path.parts[-2:] == ours.parts[-2:] and path.is_absolute()
    return known and (not path.exists() or is_ours(path / NAMES[0]))


def _kept(repository: Repository) -> list[str]:
    return _local(repository, FORMER_SETTING)


def _local(repository: Repository, name: str) -> list[str]:
    """Return the values that the repository's own configuration has, as it is now."""
    said = repository.git.run("config", "--local", "-z", "--get-all", name, good=(0, 1))
    return [os.fsdecode(value) for value in said.split(b"\0")[:-1]]
