"""What `git prov init` sets up in a repository, and `--uninstall` takes out again.

Everything is a line of git configuration or a hook script; each step says what it changed, and
doing it twice changes nothing. Records are never touched.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gitprov.errors import GitFailed
from gitprov.hooks.hooks_path import (
    SETTING,
    Configure,
    HooksPath,
    give_back,
    read_hooks_path,
    take,
    what_is_not_passed_on,
)
from gitprov.hooks.shims import NAMES, install_shims, missing_shims, program, remove_shims
from gitprov.store.git import last_line
from gitprov.store.git_locks import CONFIG, announce, mend
from gitprov.store.home import BRANCHES, homes
from gitprov.store.lock import store_lock
from gitprov.store.refs import AREAS, NOTES, REMOTE
from gitprov.store.repository import Config, Repository

DISPLAY_SETTING = "notes.displayRef"
REWRITE_SETTING = "notes.rewriteRef"
# A pattern that fits nothing else: git warns at each rewrite of a named ref that is not there yet.
_REWRITTEN = "refs/notes/pro[v]"
PROGRAM_SETTING = "prov.program"
# Where two commits become one, the note has the lines of both, each once. It is for all notes, so
# where others are rewritten, too, that is for the user to say.
_MODE_SETTING, _MODE = "notes.rewriteMode", "cat_sort_uniq"
_OUR_MODE_SETTING = "prov.rewriteMode"
# The remotes whose namespace nobody has set but we, who have found runs there.
_FOUND_SETTING = "prov.foundAsBranches"


class Setting(NamedTuple):
    """One value that a configuration name must have among its values, and what it is for."""

    name: str
    value: str
    purpose: str


def settings(config: Config) -> Iterator[Setting]:
    """Yield the multi-valued settings for a repository with these remotes."""
    for home in homes(config):
        setting = f"remote.{home.remote}.fetch"
        # Without any, as in a bare clone, ours would become the only one, and `git fetch` would
        # bring no branches any more. `git prov pull` needs none.
        if any(f":{REMOTE}/" not in refspec for refspec in config.all(setting)):
            for refspec in home.fetch_refspecs(["ledger"]):
                yield Setting(setting, refspec, f"git fetch {home.remote} brings runs")
    yield Setting(DISPLAY_SETTING, NOTES, "git log shows the runs of a commit")
    yield Setting(REWRITE_SETTING, _REWRITTEN, "a commit that is amended or rebased keeps them")


def missing_settings(config: Config) -> Iterator[Setting]:
    """Yield the settings that are not there."""
    for setting in settings(config):
        if setting.value not in config.all(_stored(setting.name)):
            yield setting


def outdated_settings(config: Config) -> Iterator[tuple[str, str]]:
    """Yield refspecs that were ours once: the chains of the remote live elsewhere by now.

    With two for one ref, `git fetch` would stop.
    """
    wanted = {
        (f"remote.{home.remote}.fetch", refspec)
        for home in homes(config)
        for refspec in home.fetch_refspecs(AREAS)
    }
    yield from (present for present in _present_refspecs(config) if present not in wanted)


def install(repository: Repository) -> list[str]:
    """Set everything up; return what was changed, in words."""
    repository.require_writable()
    config, changes = repository.config, []
    with configuring(repository) as configure:
        for name, value in outdated_settings(config):
            configure("--fixed-value", "--unset-all", name, value)
            changes.append(f"{name}: {value} removed (runs live elsewhere)")
        for setting in missing_settings(config):
            configure("--add", setting.name, setting.value)
            changes.append(f"{setting.name} = {setting.value} ({setting.purpose})")
        if not config.get("notes.rewritemode") and not _rewrites_others(config):
            configure(_OUR_MODE_SETTING, _MODE)
            configure(_MODE_SETTING, _MODE)
            changes.append(f"{_MODE_SETTING} = {_MODE} (and has each line once)")
        path = program()
        if path and config.get(PROGRAM_SETTING) != path:
            configure(PROGRAM_SETTING, path)
            changes.append(f"{PROGRAM_SETTING} = {path} (hooks find gitprov)")
        return changes + _install_hooks(repository, configure)


def keep_as_branches(repository: Repository, remote: str) -> list[str]:
    """Let the chains of a remote live among its branches; return what was changed, in words."""
    setting = f"remote.{remote}.provNamespace"
    with configuring(repository) as configure:
        configure(setting, BRANCHES)
        configure("--add", _FOUND_SETTING, remote)
    fresh = Repository(repository.git_dir, repository.common_dir, repository.work_tree)
    changes = install(fresh)
    return [f"{setting} = {BRANCHES} ({remote} has runs there)", *changes]


def missing_hooks(repository: Repository) -> Iterator[str]:
    """Yield what is wrong with the hooks, in words."""
    at = read_hooks_path(repository)
    if is_inside(at.folder, repository) or not _is_to_be_taken(at):
        for name, reason in missing_shims(at.folder).items():
            yield f"hook {name} {reason}"
    else:
        yield from what_is_not_passed_on(at)


def uninstall(repository: Repository) -> list[str]:
    """Take everything out; return what was changed, in words."""
    repository.require_writable()
    config, at = repository.config, read_hooks_path(repository)
    # Also from where hooks are by default: `core.hooksPath` may have been set since.
    folders = dict.fromkeys((at.folder, repository.common_dir / "hooks"))
    changes = [
        change
        for folder in folders
        if is_inside(folder, repository)
        for change in remove_shims(folder)
    ]
    with configuring(repository) as configure:
        changes += give_back(repository, at, configure)
        for name, value in _present(config):
            configure("--fixed-value", "--unset-all", name, value)
            changes.append(f"{name}: {value} removed")
        for remote in dict.fromkeys(config.all(_stored(_FOUND_SETTING))):
            setting = f"remote.{remote}.provNamespace"
            if config.get(_stored(setting)) == BRANCHES:
                configure("--unset-all", setting)
                changes.append(f"{setting}: {BRANCHES} removed")
        configure("--unset-all", _FOUND_SETTING)
        if config.get("prov.rewritemode"):
            if config.get("notes.rewritemode") == _MODE:
                configure("--fixed-value", "--unset-all", _MODE_SETTING, _MODE)
                changes.append(f"{_MODE_SETTING}: {_MODE} removed")
            configure("--unset-all", _OUR_MODE_SETTING)
        if config.get(PROGRAM_SETTING):
            configure("--unset-all", PROGRAM_SETTING)
            changes.append(f"{PROGRAM_SETTING}: removed")
    return changes


def _install_hooks(repository: Repository, configure: Configure) -> list[str]:
    at = read_hooks_path(repository)
    if is_inside(at.folder, repository):
        changes = give_back(repository, at, configure) if at.stale else []
        return changes + install_shims(at.folder)
    if _is_to_be_taken(at):
        changes = take(repository, at, configure)
        if changes or at.is_taken:
            return changes
    if not missing_shims(at.folder):
        return []
    if at.folder.exists() and not at.folder.is_dir():
        return [f"hooks are turned off ({SETTING} = {at.former}); git prov does their work later"]
    lines = ", ".join(f'git prov hook {name} "$@"' for name in NAMES)
    return [f"hooks live in {at.folder} and were not touched; add: {lines}"]


def _is_to_be_taken(at: HooksPath) -> bool:
    """Say whether git is to be led to our folder, or is: not where their hooks call us."""
    return at.is_taken or (at.can_be_taken and bool(missing_shims(at.folder)))


def is_inside(folder: Path, repository: Repository) -> bool:
    """Say whether a folder is in the repository's own; one that is a link may be anybody's."""
    return folder.resolve().parent.is_relative_to(repository.common_dir.resolve())


def _rewrites_others(config: Config) -> bool:
    return any(ref not in (NOTES, _REWRITTEN) for ref in config.all(_stored(REWRITE_SETTING)))


@contextmanager
def configuring(repository: Repository) -> Iterator[Configure]:
    """Yield what runs `git config` so that, where it is killed, its lock does not outlive it."""
    with store_lock(repository.lock_path) as lock:
        mend(repository)

        def configure(*arguments: str) -> None:
            announcement = announce(repository, {CONFIG: None})
            git = repository.git.holding(lock)
            # 5: what is to be removed is not there.
            done = git.call("config", "--local", *arguments)
            if done.returncode >= 0:
                announcement.unlink(missing_ok=True)
            if done.returncode not in (0, 5):
                raise GitFailed(f"git config failed: {last_line(done.stderr)}")

        yield configure


def _present(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the multi-valued settings of ours that are there, whatever remotes were called."""
    yield from _present_refspecs(config)
    for name, value in ((DISPLAY_SETTING, NOTES), (REWRITE_SETTING, _REWRITTEN)):
        if value in config.all(_stored(name)):
            yield name, value


def _present_refspecs(config: Config) -> Iterator[tuple[str, str]]:
    for remote in config.remotes():
        name = f"remote.{remote}.fetch"
        yield from ((name, value) for value in config.all(name) if f":{REMOTE}/" in value)


def _stored(name: str) -> str:
    """Return a setting's name as git lists it: first and last part in lower case."""
    section, _, rest = name.partition(".")
    middle, dot, last = rest.rpartition(".")
    return f"{section.lower()}.{middle}{dot}{last.lower()}"
