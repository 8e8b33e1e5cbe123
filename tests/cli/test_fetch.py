"""`git prov fetch`: logs and series of runs, when somebody asks for them."""

from pathlib import Path

import pytest

from tests.support.repositories import Clone
from tests.support.servers import bare_repository


@pytest.fixture
def reader(tmp_path: Path) -> Clone:
    """Return a clone that has the runs of two others, and no payload."""
    hub = bare_repository(tmp_path / "hub.git")
    for number, name in enumerate(("one", "two")):
        writer = Clone.make(tmp_path / name)
        writer.git("remote", "add", "origin", str(hub))
        writer.prov("init")
        writer.run("echo", f"the words of {number}")
        writer.prov("push")
    reader = Clone.make(tmp_path / "reader")
    reader.git("remote", "add", "origin", str(hub))
    reader.prov("init")
    reader.prov("pull")
    assert reader.prov_call("show", "--output", "last").returncode == 24
    return reader


def test_payload_of_one_run(reader: Clone) -> None:
    reader.prov("fetch", "--payload", "last")
    assert reader.prov("show", "--output", "last") == "the words of 1\n"


def test_payload_since_a_date(reader: Clone) -> None:
    assert "logs and series of" in reader.prov("fetch", "--since", "2020-01-01")
    assert reader.prov("show", "--output", "last") == "the words of 1\n"
    assert reader.prov("show", "--output", "last~1") == "the words of 0\n"
    assert reader.prov_call("verify").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "fetch what?"),
        (["--since", "yesterday"], "yesterday is no date"),
        (["--since", "2999-01-01"], "no run is recorded here since"),
        (["--payload", "nobody"], "no run, commit, branch or tag"),
        (["elsewhere", "--payload", "last"], "elsewhere"),
    ],
)
def test_what_cannot_be_fetched(reader: Clone, arguments: list[str], words: str) -> None:
    done = reader.prov_call("fetch", *arguments)
    assert done.returncode != 0
    assert words in done.stderr


def test_run_whose_payload_the_remote_does_not_have(reader: Clone, tmp_path: Path) -> None:
    reader.run("echo", "only here")
    assert reader.prov_call("fetch", "--payload", "last").returncode == 0
    assert reader.prov("show", "--output", "last") == "only here\n"


class TestPayloadThatTheRemoteLacks:
    """Whoever has recorded the run has sent the ledger alone."""

    @pytest.fixture
    def writer(self, reader: Clone) -> Clone:
        writer = Clone(reader.path.with_name("two"))
        writer.run("echo", "kept back")
        return writer

    def test_no_chain_of_it(self, tmp_path: Path) -> None:
        hub = bare_repository(tmp_path / "hub.git")
        for name in ("writer", "reader"):
            Clone.make(tmp_path / name).git("remote", "add", "origin", str(hub))
        writer, reader = Clone(tmp_path / "writer"), Clone(tmp_path / "reader")
        run = writer.run("echo", "kept back")
        writer.git("config", "prov.share", "ledger")
        writer.prov("push")
        reader.prov("pull")
        done = reader.prov_call("fetch", "--payload", "last")
        assert (done.returncode, done.stdout) == (24, "")
        assert f"origin has no logs and series of {run[:8]}" in done.stderr
        by_date = reader.prov("fetch", "--since", "2020-01-01")
        assert by_date == "origin has no logs and series of these runs\n"

    def test_a_chain_without_it(self, reader: Clone, writer: Clone) -> None:
        writer.git("config", "prov.share", "ledger")
        writer.prov("push")
        reader.prov("pull")
        done = reader.prov_call("fetch", "--payload", "last", "--payload", "last~1")
        assert (done.returncode, done.stdout) == (24, "logs and series of 1 chain from origin\n")
        assert f"no logs and series of {writer.last_id()[:8]}" in done.stderr
        assert reader.prov("show", "--output", "last~1") == "the words of 1\n"

    def test_a_run_that_has_none(self, reader: Clone, writer: Clone) -> None:
        writer.run("true")
        writer.prov("push")
        reader.prov("pull")
        assert reader.prov_call("fetch", "--payload", "last").returncode == 0
