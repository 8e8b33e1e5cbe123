"""Refs that somebody sets back, here or at a remote: no run is lost, and all of it is said."""

from pathlib import Path

import pytest

from gitprov.errors import RemoteFailed
from tests.support.repositories import Clone
from tests.support.runs import ledger_tips, record, run_ids, use_shard
from tests.support.servers import bare_repository


@pytest.fixture
def hub(tmp_path: Path) -> Clone:
    return Clone(bare_repository(tmp_path / "hub.git"))


@pytest.fixture
def clone(tmp_path: Path, hub: Clone) -> Clone:
    """Return a clone with three runs that the remote has, and one that it has not."""
    clone = Clone.make(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(hub.path))
    clone.git("push", "--quiet", "-u", "origin", "main")
    clone.prov("init")
    for _ in range(3):
        record(clone.store(), 1)
    clone.prov("push")
    record(clone.store(), 1)
    return clone


def ledger_ref(clone: Clone) -> str:
    (ref,) = ledger_tips(clone.store())
    return ref


def test_ref_that_was_rewound_is_put_back(clone: Clone) -> None:
    ref, ids = ledger_ref(clone), run_ids(clone.store())
    clone.git("update-ref", ref, f"{ref}~2")
    said = clone.prov_call("log", "--oneline")
    assert f"{ref} was set back; 2 entries of ledger" in said.stderr
    assert len(said.stdout.splitlines()) == 4
    assert run_ids(clone.store()) == ids
    assert "set back" not in clone.prov_call("log").stderr


def test_ref_that_was_deleted_is_put_back(clone: Clone) -> None:
    ref, ids = ledger_ref(clone), run_ids(clone.store())
    clone.git("update-ref", "-d", ref)
    assert "4 entries" in clone.prov_call("log").stderr
    assert run_ids(clone.store()) == ids


@pytest.mark.parametrize("chain", ["another", "the same"])
def test_mirror_fetch_over_everything(clone: Clone, hub: Clone, tmp_path: Path, chain: str) -> None:
    other = Clone.of(str(hub.path), tmp_path / "other")
    other.prov("init")
    own = ledger_ref(clone).rpartition("/")[2]
    use_shard(other.store(), own if chain == "the same" else f"{int(own, 16) ^ 1:02x}")
    other.run("true")
    other.prov("push")
    ids = run_ids(clone.store())
    # Git refuses to fetch over what is checked out. No hook is to move refs at the same time.
    clone.git("checkout", "--quiet", "--detach", GITPROV_HOOKS="0")
    # Without the refmap, git moves what it has just pruned, and fails, in one of sixteen chains.
    clone.git("fetch", "--quiet", "--prune", "--refmap=", "origin", "+refs/*:refs/*")
    clone.prov("log")
    if chain == "the same":  # ours was put back by the one, theirs is joined by the next
        clone.prov("log")
    assert set(run_ids(clone.store())) == {*ids, *run_ids(other.store())}
    assert "overwritten" not in clone.git("for-each-ref", "refs/prov-remote")
    assert clone.prov_call("verify").returncode == 0


def test_overwritten_with_another_chain(clone: Clone) -> None:
    ref, ids = ledger_ref(clone), run_ids(clone.store())
    tip, parent = (clone.git("rev-parse", name).strip() for name in (ref, f"{ref}~2"))
    tree = clone.git("rev-parse", f"{tip}^{{tree}}").strip()
    message = clone.git("log", "-1", "--format=%B", tip)
    forged = clone.git("commit-tree", tree, "-p", parent, "-m", message).strip()
    clone.git("update-ref", ref, forged)
    clone.prov("log")
    assert set(run_ids(clone.store())) == set(ids)


def test_overwritten_with_nonsense(clone: Clone) -> None:
    ref, ids = ledger_ref(clone), run_ids(clone.store())
    clone.git("update-ref", ref, "main")
    said = clone.prov_call("log")
    assert "was set back" in said.stderr
    assert "is not taken in" in said.stderr
    assert clone.prov_call("log").stderr == ""
    assert run_ids(clone.store()) == ids


def test_objects_that_are_gone_are_reported(clone: Clone, tmp_path: Path) -> None:
    ref = ledger_ref(clone)
    clone.git("update-ref", ref, f"{ref}~1")
    clone.git("update-ref", "-d", "refs/notes/prov")
    clone.git("reflog", "expire", "--expire=now", "--all")
    clone.git("repack", "-adq")
    clone.git("prune", "--expire=now")
    assert "git has collected what it held" in clone.prov_call("log").stderr
    assert clone.prov_call("log").stderr == ""
    assert len(run_ids(clone.store())) == 3


@pytest.mark.parametrize("how", ["rewound", "gone"])
def test_what_a_remote_has_lost_goes_back_with_the_next_push(
    clone: Clone, hub: Clone, tmp_path: Path, how: str
) -> None:
    ref, ids = ledger_ref(clone), run_ids(clone.store())
    if how == "rewound":
        hub.git("update-ref", ref, f"{ref}~2")
    else:
        hub.git("update-ref", "-d", ref)
    said = clone.prov_call("pull").stderr
    count = "2 entries" if how == "rewound" else "3 entries"
    assert f"remote origin lost {count} of ledger" in said
    assert "they are still here" in said
    assert "lost" not in clone.prov_call("pull").stderr, "it is said once"
    assert f"lost {count}" in clone.prov("status")
    clone.prov("push")
    assert "lost" not in clone.prov("status")
    other = Clone.of(str(hub.path), tmp_path / "other")
    other.prov("init")
    other.prov("pull")
    assert run_ids(other.store()) == ids


def test_plain_fetch_with_prune_and_force_takes_nothing(clone: Clone, hub: Clone) -> None:
    ids = run_ids(clone.store())
    hub.git("update-ref", "-d", ledger_ref(clone))
    clone.git("fetch", "--quiet", "--prune", "--force", "origin")
    clone.prov("log")
    assert run_ids(clone.store()) == ids
    assert "remote origin lost 3 entries" in clone.prov_call("pull").stderr
    assert run_ids(clone.store()) == ids


def test_marks_can_be_deleted(clone: Clone) -> None:
    (clone.path / ".git/prov/tips").unlink()
    assert clone.prov_call("log").stderr == ""
    (clone.path / ".git/prov/tips").write_bytes(b"no marks")
    assert clone.prov_call("log").stderr == ""
    ref, ids = ledger_ref(clone), run_ids(clone.store())
    clone.git("update-ref", ref, f"{ref}~1")
    clone.prov("log")
    assert run_ids(clone.store()) == ids


def test_a_remote_that_mends_its_chain_has_lost_nothing(clone: Clone, hub: Clone) -> None:
    ref = "refs/prov/ledger/2020-01/03"
    hub.git("update-ref", ref, "main")
    assert "is not taken in" in clone.prov_call("pull").stderr
    hub.git("update-ref", "-d", ref)
    pulled = clone.prov_call("pull")
    assert (pulled.returncode, "lost" in pulled.stderr) == (0, False)
    assert "lost" not in clone.prov("status")
    assert clone.prov_call("log").stderr == ""


def test_a_broken_chain_of_one_remote_is_not_anothers(
    clone: Clone, hub: Clone, tmp_path: Path
) -> None:
    fork = Clone(bare_repository(tmp_path / "fork.git"))
    clone.git("push", "--quiet", str(fork.path), "main")
    fork.git("update-ref", "refs/prov/ledger/2020-01/03", "main")
    clone.git("remote", "add", "fork", str(fork.path))
    assert clone.prov_call("pull", "fork").returncode == RemoteFailed.exit_status
    pulled = clone.prov_call("pull", "origin")
    assert (pulled.returncode, pulled.stdout) == (0, "0 new runs from origin\n")
    assert "of remote fork is not taken in" in pulled.stderr
    clone.git("remote", "remove", "fork")
    clone.prov("log")
    assert clone.prov_call("pull").stderr == ""
