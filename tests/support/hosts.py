"""Repositories that others push to, which check what is pushed."""

import os
import shlex
import sys
import time
from pathlib import Path
from typing import NamedTuple

from gitprov.hooks.hosting import start_checking
from gitprov.store.repository import Repository
from tests.support.repositories import Clone
from tests.support.servers import bare_repository

TOP = Path(__file__).resolve().parents[2]


class State(NamedTuple):
    """What a push may change."""

    refs: str
    objects: frozenset[str]
    files: frozenset[str]


def host(path: Path, repository: Path | None = None) -> Clone:
    """Return a bare repository that checks pushes, by a gitprov that is started from anywhere."""
    server = Clone(repository or bare_repository(path))
    start_checking(Repository.discover(server.path))
    started_by(server, path.with_name("git-prov"), "")
    return server


def started_by(server: Clone, program: Path, before: str) -> None:
    """Let a host start gitprov by a script that does something first."""
    command = f"PYTHONPATH={shlex.quote(str(TOP))} exec {shlex.quote(sys.executable)} -m gitprov"
    program.write_text(f'#!/bin/sh\n{before}\n{command} "$@"\n')
    program.chmod(0o755)
    server.git("config", "prov.program", str(program))


def state(server: Clone) -> State:
    """Return refs, objects and gitprov's own files, and folders that a push has left behind."""
    end = time.monotonic() + 20
    while left := [path.name for path in (server.path / "objects").glob("*_objdir-*")]:
        if time.monotonic() > end:
            break
        time.sleep(0.01)  # a client is told before the server clears up
    objects = server.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
    prov = [os.fspath(path) for path in (server.path / "prov").rglob("*")]
    return State(server.git("for-each-ref"), frozenset(objects.split()), frozenset([*left, *prov]))
