"""The bar that shows how far a long transfer is."""

from pathlib import Path

import pytest

from tests.support.repositories import Clone
from tests.support.runs import record
from tests.support.servers import bare_repository
from tests.support.terminal import on_terminal


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    server = Clone(bare_repository(tmp_path / "server.git"))
    other = Clone.make(tmp_path / "other")
    other.git("remote", "add", "origin", str(server.path))
    record(other.store(), 3)
    other.prov("push")
    clone = Clone.make(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(server.path))
    return clone


def slow(clone: Clone, program: str, seconds: float) -> None:
    """Let the remote's side wait before it begins."""
    script = clone.path.with_name(program)
    script.write_text(f'#!/bin/sh\nsleep {seconds}\nexec git {program} "$@"\n')
    script.chmod(0o755)
    clone.git("config", f"remote.origin.{program.replace('-', '')}", str(script))


def test_what_takes_long_shows_a_bar_that_goes_away(clone: Clone) -> None:
    slow(clone, "upload-pack", 1.3)
    shown = on_terminal(clone, "pull")
    assert "Counting objects" in shown
    assert "100%" in shown
    assert shown.endswith("3 new runs from origin\n")
    record(clone.store())
    slow(clone, "receive-pack", 1.3)
    assert "Writing objects" in on_terminal(clone, "push")


def test_first_fetch_shows_one(clone: Clone) -> None:
    slow(clone, "upload-pack", 1.3)
    assert "Counting objects" in on_terminal(clone, "init")


def test_what_is_quick_shows_none(clone: Clone) -> None:
    assert on_terminal(clone, "pull") == "3 new runs from origin\n"


def test_nothing_but_a_terminal_shows_one(clone: Clone) -> None:
    slow(clone, "upload-pack", 1.3)
    pulled = clone.prov_call("pull")
    assert (pulled.stdout, pulled.stderr) == ("3 new runs from origin\n", "")
    assert on_terminal(clone, "pull", TERM="dumb") == "0 new runs from origin\n"
