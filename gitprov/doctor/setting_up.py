"""What `git prov init` sets up, and what git must know."""

import os
import re

from gitprov.capture.source import capture_agent
from gitprov.doctor.findings import Finding, Findings, fault, good, note
from gitprov.hooks.hosting import missing_host_hooks
from gitprov.hooks.pre_receive import is_off
from gitprov.hooks.setup import (
    PROGRAM_SETTING,
    missing_hooks,
    missing_settings,
    outdated_settings,
)
from gitprov.store.home import home_of
from gitprov.store.refs import OURS
from gitprov.store.store import Store

_OLDEST_GIT = (2, 36)
_INIT = "git prov init"
_HOST = "git prov init --server"


def git_version(store: Store) -> Findings:
    """Look whether git is new enough."""
    said = store.repository.git.run("version").decode().strip()
    version = re.search(r"(\d+)\.(\d+)[\w.]*", said)
    if version and (int(version[1]), int(version[2])) < _OLDEST_GIT:
        oldest = ".".join(map(str, _OLDEST_GIT))
        yield fault(f"git {version[0]} is too old", f"install git {oldest} or newer")
    else:
        yield good(f"git {version[0]}" if version else said)


def what_init_sets_up(store: Store) -> Findings:
    """Look whether hooks and settings are there, and whether hooks find gitprov."""
    if store.repository.is_bare:
        yield _checks_of_pushes(store)
        return
    config = store.repository.config
    missing = list(missing_hooks(store.repository))
    missing += [f"{name} lacks {value}" for name, value, _ in missing_settings(config)]
    missing += [f"{name} has {value} still" for name, value in outdated_settings(config)]
    program = config.get(PROGRAM_SETTING)
    if missing:
        done = "only in part" if program else "not"
        yield note(f"this clone is {done} set up: {'; '.join(missing)}", _INIT)
    elif program and not os.access(program, os.X_OK):
        yield fault(f"hooks cannot start {program} ({PROGRAM_SETTING})", _INIT)
    else:
        yield good("hooks and settings in place")


def _checks_of_pushes(store: Store) -> Finding:
    """Look whether a repository that others push to checks what they push."""
    config = store.repository.config
    missing = list(missing_host_hooks(store.repository))
    program = config.get(PROGRAM_SETTING)
    if missing:
        return note(f"pushes are not checked: {'; '.join(missing)}", _HOST)
    if is_off(config):
        return note("pushes are not checked: prov.receive is off", "git config prov.receive on")
    if program and not os.access(program, os.X_OK):
        return fault(f"the hook cannot start {program} ({PROGRAM_SETTING})", _HOST)
    return good("pushes are checked")


def where_runs_live(store: Store) -> Findings:
    """Look which remotes have their runs in another place than usual."""
    config = store.repository.config
    for remote in config.remotes():
        home = home_of(config, remote)
        if home.remote != remote:
            yield good(f"the runs of {remote} live at {home.remote}")
        elif home.namespace != OURS:
            yield good(f"the runs of {remote} live there below {home.namespace}")


def identity(store: Store) -> Findings:
    """Look whether runs can say who ran them."""
    agent, missing = capture_agent(store.repository.config, os.environ)
    for reason in missing.values():
        what, _, advice = reason.partition("; ")
        yield note(f"{what}: runs cannot say who ran them", advice.partition(": ")[2])
    if not missing:
        yield good(f"runs are {agent.name or agent.email}'s")
