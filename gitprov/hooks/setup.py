"""What `git prov init` sets up in a repository, and `--uninstall` takes out again.

Everything is a line of git configuration or a hook script; each step says what it changed, and
doing it twice changes nothing. Records are never touched.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gitprov.errors import GitFailed
from gitprov.hooks.shims import install_shims, program, remove_shims
from gitprov.store.git import last_line
from gitprov.store.git_locks import CONFIG, announce, mend
from gitprov.store.lock import store_lock
from gitprov.store.refs import NOTES, OURS, REMOTE
from gitprov.store.repository import Config, Repository
from gitprov.store.sync import fetch_refspecs

NOTES_SETTING = "notes.displayRef"
PROGRAM_SETTING = "prov.program"


class Setting(NamedTuple):
    """One value that a configuration name must have among its values, and what it is for."""

    name: str
    value: str
    purpose: str


def settings(config: Config) -> Iterator[Setting]:
    """Yield the multi-valued settings for a repository with these remotes."""
    for remote in config.remotes():
        if not config.all(f"remote.{remote}.fetch"):
            # As in a bare clone: our refspec would become the only one, and `git fetch` would
            # bring no branches any more. `git prov pull` needs none.
            continue
        for refspec in fetch_refspecs(remote, ["ledger"]):
            yield Setting(f"remote.{remote}.fetch", refspec, f"git fetch {remote} brings runs")
    yield Setting(NOTES_SETTING, NOTES, "git log shows the runs of a commit")


def missing_settings(config: Config) -> Iterator[Setting]:
    """Yield the settings that are not there."""
    for setting in settings(config):
        if setting.value not in config.all(_stored(setting.name)):
            yield setting


def install(repository: Repository) -> list[str]:
    """Set everything up; return what was changed, in words."""
    repository.require_writable()
    config, changes = repository.config, []
    with _configuring(repository) as configure:
        for setting in missing_settings(config):
            configure("--add", setting.name, setting.value)
            changes.append(f"{setting.name} = {setting.value} ({setting.purpose})")
        path = program()
        if path and config.get(PROGRAM_SETTING) != path:
            configure(PROGRAM_SETTING, path)
            changes.append(f"{PROGRAM_SETTING} = {path} (hooks find gitprov)")
    return changes + install_shims(repository)


def uninstall(repository: Repository) -> list[str]:
    """Take everything out; return what was changed, in words."""
    repository.require_writable()
    config, changes = repository.config, remove_shims(repository)
    with _configuring(repository) as configure:
        for name, value in _present(config):
            configure("--fixed-value", "--unset-all", name, value)
            changes.append(f"{name}: {value} removed")
        if config.get(PROGRAM_SETTING):
            configure("--unset-all", PROGRAM_SETTING)
            changes.append(f"{PROGRAM_SETTING}: removed")
    return changes


@contextmanager
def _configuring(repository: Repository) -> Iterator[Callable[..., None]]:
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
    for remote in config.remotes():
        name = f"remote.{remote}.fetch"
        for value in config.all(name):
            if value.startswith(f"+{OURS}/") and f":{REMOTE}/" in value:
                yield name, value
    if NOTES in config.all(_stored(NOTES_SETTING)):
        yield NOTES_SETTING, NOTES


def _stored(name: str) -> str:
    """Return a setting's name as git lists it: first and last part in lower case."""
    section, _, rest = name.partition(".")
    middle, dot, last = rest.rpartition(".")
    return f"{section.lower()}.{middle}{dot}{last.lower()}"
