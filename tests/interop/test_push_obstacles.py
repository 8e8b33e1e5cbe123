"""What stands in the way of a push: chains that are none, settings meant for branches, remotes."""

import socket
import time
from pathlib import Path

import pytest

from gitprov.errors import RemoteFailed
from gitprov.hooks.pre_push import _say
from gitprov.store.refs import OURS, list_refs
from gitprov.store.sync import push
from tests.support.hosts import host
from tests.support.repositories import Clone
from tests.support.runs import copy_repository, ledger_tips, record, run_ids, use_shard
from tests.support.servers import bare_repository


@pytest.fixture
def clone(tmp_path: Path, server: Clone) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(server.path))
    clone.git("push", "--quiet", "-u", "origin", "main")
    clone.prov("init")
    return clone


def poison(clone: Clone, server: Clone) -> str:
    """Put something that is no ledger entry where the remote has our chain; return the ref."""
    record(clone.store())
    (ref,) = ledger_tips(clone.store())
    clone.git("push", "--quiet", "--no-verify", str(server.path), f"main:{ref}")
    return ref


def test_a_chain_that_cannot_be_joined_is_refused_at_once(clone: Clone, server: Clone) -> None:
    ref = poison(clone, server)
    done = push(clone.store(), "origin", ["ledger"])
    assert list(done.refused) == [ref]
    assert done.refused[ref].startswith("what is there is not taken in: ")
    assert done.attempts == 1
    explicit = clone.prov_call("push")
    assert explicit.returncode == RemoteFailed.exit_status
    assert f"origin refuses {ref}: what is there is not taken in: " in explicit.stderr
    assert "others kept pushing" not in explicit.stderr


def test_a_poisoned_remote_does_not_hold_up_an_ordinary_push(clone: Clone, server: Clone) -> None:
    poison(clone, server)
    commit = clone.commit("second")
    started = time.monotonic()
    pushed = clone.call("git", "push", check=True)
    assert time.monotonic() - started < 8
    assert "gitprov: origin refuses the ledger: what is there is not taken in: " in pushed.stderr
    assert server.git("rev-parse", "main").strip() == commit


def test_what_could_be_sent_beside_a_poisoned_chain_is_sent(clone: Clone, server: Clone) -> None:
    clone.run("true")
    ref = poison(clone, server)
    done = push(clone.store(), "origin")
    assert list(done.refused) == [ref]
    assert ref.replace("/ledger/", "/keep/") in server.git("for-each-ref", "--format=%(refname)")


def test_the_words_of_a_remote_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    _say("origin refuses the ledger: \x1b[2Jgone")
    assert capsys.readouterr().err == "gitprov: origin refuses the ledger: \\x1b[2Jgone\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("push.pushOption", "ci.skip"),
        ("remote.origin.mirror", "true"),
        ("push.followTags", "true"),
        ("push.recurseSubmodules", "check"),
        ("push.negotiate", "true"),
        ("push.gpgSign", "true"),
        ("push.default", "nothing"),
        ("push.useForceIfIncludes", "true"),
        ("remote.origin.push", "refs/heads/*:refs/heads/*"),
    ],
)
def test_settings_for_branches_do_not_stop_runs(
    clone: Clone, server: Clone, name: str, value: str
) -> None:
    ids = record(clone.store())
    clone.git("config", name, value)
    clone.git("tag", "-a", "-m", "not for others", "v1")
    assert "sent 1 run" in clone.prov("push")
    assert run_ids(server.store()) == ids
    assert server.git("tag") == ""


def test_a_mirrors_refspec_does_not_put_the_remotes_runs_over_ours(
    clone: Clone, server: Clone, tmp_path: Path
) -> None:
    first = record(clone.store())
    clone.prov("push")
    mirror = Clone.of(str(server.path), tmp_path / "mirror.git", "--mirror")
    second = record(clone.store())
    (ref, tip) = next(iter(ledger_tips(clone.store()).items()))
    mirror.git("fetch", "--quiet", str(clone.path), f"{ref}:{ref}")
    mirror.prov("pull", "origin")
    assert ledger_tips(mirror.store()) == {ref: tip}
    assert run_ids(mirror.store()) == sorted(first + second)


def test_the_reason_of_a_network_error_is_told(clone: Clone) -> None:
    record(clone.store())
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        clone.git("config", "remote.origin.url", f"git://127.0.0.1:{port}/lab.git")
        done = clone.prov_call("push")
    assert done.returncode == RemoteFailed.exit_status
    assert "unable to connect to 127.0.0.1: " in done.stderr
    assert "Connection refused" in done.stderr


class TestPushesThatAreJudgedAsAWhole:
    """A `pre-receive` hook takes all refs of a push, or none."""

    @pytest.fixture
    def refs(self, clone: Clone) -> list[str]:
        store = clone.store()
        for shard in ("01", "02", "03", "04"):
            use_shard(store, shard)
            record(store)
        return sorted(ledger_tips(store))

    @staticmethod
    def refuse(server: Clone, pattern: str) -> None:
        hook = server.path / "hooks" / "pre-receive"
        hook.write_text(
            "#!/bin/sh\necho >> asked\nwhile read -r old new ref; do case $ref in\n"
            f'{pattern}) echo "no place for $ref" >&2; exit 1;;\nesac; done\n'
        )
        hook.chmod(0o755)

    @pytest.mark.parametrize("refused", [0, 2, 3])
    def test_one_chain_does_not_hold_up_the_others(
        self, clone: Clone, server: Clone, refs: list[str], refused: int
    ) -> None:
        self.refuse(server, refs[refused])
        done = push(clone.store(), "origin")
        assert done.refused == {refs[refused]: "[remote rejected] (pre-receive hook declined)"}
        assert done.words == [f"no place for {refs[refused]}"]
        assert (done.runs, done.refs) == (3, 3)
        assert sorted(ledger_tips(server.store())) == sorted({*refs} - {refs[refused]})
        assert not done.advice
        told = clone.prov_call("push")
        assert told.returncode == RemoteFailed.exit_status
        assert f"origin says: no place for {refs[refused]}\n" in told.stderr

    def test_a_remote_that_takes_none_is_not_asked_for_ever(
        self, clone: Clone, server: Clone
    ) -> None:
        store = clone.store()
        record(store)
        (ref,) = ledger_tips(store)
        for number in range(40):
            clone.git("update-ref", f"{ref[:-10]}{2000 + number}-01/00", ref)
        self.refuse(server, "*")
        done = push(store, "origin")
        assert len(done.refused) == 41
        assert "provNamespace" in done.advice
        assert 3 < len((server.path / "asked").read_text()) < 12
        (server.path / "asked").unlink()
        clone.commit("second")
        assert "gitprov: origin says: no place for " in clone.call("git", "push").stderr
        assert len((server.path / "asked").read_text()) == 2  # one for the branch, one for runs


class TestWhatTheRemoteReallyHas:
    """What was seen of a remote may be out of date; a push on request asks it."""

    @pytest.fixture
    def shared(self, clone: Clone) -> Clone:
        clone.run("echo", "words")
        clone.write("train.py", "changed = 1\n")
        clone.run("echo", "more words")
        clone.prov("push")
        assert clone.prov("push") == "origin has everything already\n"
        return clone

    @staticmethod
    def chains(clone: Clone) -> dict[str, str]:
        return list_refs(clone.store().repository.git, OURS)

    @pytest.mark.parametrize("area", ["ledger", "keep", "payload"])
    def test_a_remote_that_has_lost_a_chain(self, shared: Clone, server: Clone, area: str) -> None:
        before = self.chains(shared)
        (ref,) = (ref for ref in before if f"/{area}/" in ref)
        server.git("update-ref", "-d", ref)
        pushed = shared.prov_call("push")
        lost = ref.removeprefix("refs/prov/")
        assert f"gitprov: warning: origin had lost {lost}; it is back\n" in pushed.stderr
        assert self.chains(server) == before

    def test_another_repository_at_the_remote(self, shared: Clone, tmp_path: Path) -> None:
        new = Clone(bare_repository(tmp_path / "new.git"))
        shared.git("remote", "set-url", "origin", str(new.path))
        pushed = shared.prov_call("push")
        assert pushed.stdout == "sent 2 runs, 1 snapshot of uncommitted work to origin\n"
        assert self.chains(new) == self.chains(shared)

    def test_a_remote_that_is_ahead(self, shared: Clone, tmp_path: Path) -> None:
        other = copy_repository(shared.store(), tmp_path / "other")
        record(other)
        push(other, "origin", ["ledger"])
        done = push(shared.store(), "origin")
        assert (done.attempts, done.refused, done.refs) == (1, {}, 0)

    def test_another_url_for_pushes(self, shared: Clone, tmp_path: Path) -> None:
        mirror = Clone(bare_repository(tmp_path / "mirror.git"))
        shared.git("remote", "set-url", "--push", "origin", str(mirror.path))
        other = Clone(copy_repository(shared.store(), tmp_path / "other").repository.work_tree)
        first, second = record(shared.store()), record(other.store())
        shared.prov("push")
        other.prov("push")  # has to join what the other URL has
        assert {*first, *second} <= {*run_ids(mirror.store())}

    def test_several_urls_of_which_one_refuses(self, shared: Clone, tmp_path: Path) -> None:
        good, bad = (Clone(bare_repository(tmp_path / name)) for name in ("good.git", "bad.git"))
        hook = bad.path / "hooks" / "pre-receive"
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
        for url in (good, bad):
            shared.git("remote", "set-url", "--add", "--push", "origin", str(url.path))
        record(shared.store())
        for _ in range(2):
            assert shared.prov_call("push").returncode == RemoteFailed.exit_status
        hook.unlink()
        shared.prov("push")
        assert run_ids(bad.store()) == run_ids(good.store()) == run_ids(shared.store())


@pytest.mark.parametrize("options", [["--dry-run"], ["-n"], ["-qn"], ["--dry"]])
def test_a_dry_run_sends_nothing(clone: Clone, server: Clone, options: list[str]) -> None:
    record(clone.store())
    clone.commit("second")
    said = clone.call("git", "push", *options, check=True).stderr
    assert "gitprov: the runs that origin does not have go with the push\n" in said
    assert not run_ids(server.store())
    assert "sent 1 run" in clone.call("git", "push", "--no-dry-run", check=True).stderr


def test_a_remote_whose_name_begins_anothers(clone: Clone, tmp_path: Path) -> None:
    clone.git("remote", "add", "lab", str(bare_repository(tmp_path / "public.git")))
    clone.git("remote", "add", "lab/x", str(bare_repository(tmp_path / "private.git")))
    clone.write("train.py", "changed = 1\n")
    clone.run("true")
    sent = "sent 1 run, 1 snapshot of uncommitted work, 1 commit that was not pushed before"
    assert clone.prov("push", "lab/x") == f"{sent} to lab/x\n"
    assert clone.prov("push", "lab") == f"{sent} to lab\n"


def test_a_push_by_url_is_one_to_its_remote(clone: Clone, server: Clone) -> None:
    record(clone.store())
    clone.commit("second")
    said = clone.call("git", "push", str(server.path), "main", check=True).stderr
    assert "gitprov: sent 1 run to origin\n" in said
    record(clone.store())
    clone.commit("third")
    clone.git("config", "remote.origin.url", "../elsewhere.git")
    assert "gitprov" not in clone.call("git", "push", str(server.path), "main", check=True).stderr


def test_a_host_that_refuses_a_record_is_no_remote_without_runs(
    clone: Clone, tmp_path: Path
) -> None:
    checking = host(tmp_path / "host" / "lab.git")
    checking.git("config", "prov.receive.maxRecordSize", "10")
    clone.git("remote", "set-url", "origin", str(checking.path))
    record(clone.store())
    (ref,) = ledger_tips(clone.store())
    done = push(clone.store(), "origin")
    assert list(done.refused) == [ref]
    assert done.words[0].startswith(f"gitprov: refused: {ref}: the record ")
    assert done.advice == ""
    assert "provNamespace" not in clone.prov_call("push").stderr
