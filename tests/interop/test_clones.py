"""Every kind of clone takes part: it records, pushes, pulls, lists, verifies and links."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gitprov.recorder.recovery import catch_up
from gitprov.store.store import Store
from gitprov.store.sync import pull, push
from tests.support.repositories import Clone
from tests.support.runs import ledger_tips, record, run_ids, runs, use_shard
from tests.support.servers import bare_repository

COMMITS = 12
BYTES = 100_000


class Hub(NamedTuple):
    """A remote with some history and runs, and a clone of it that has made them."""

    server: Clone
    other: Clone
    runs: list[str]

    @property
    def url(self) -> str:
        return f"file://{self.server.path}"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a hub: each commit of its history has a file that git cannot pack."""
    top = tmp_path_factory.mktemp("template")
    server = Clone(bare_repository(top / "server.git"))
    for name in ("allowFilter", "allowAnySHA1InWant"):
        server.git("config", f"uploadpack.{name}", "true")
    other = Clone.make(top / "other")
    for number in range(COMMITS):
        files = {"model.bin": os.urandom(BYTES), f"src/part{number % 3}.py": f"x = {number}\n"}
        other.commit(f"commit {number}", files)
    other.git("remote", "add", "origin", str(server.path))
    other.git("push", "--quiet", "-u", "origin", "main")
    use_shard(other.store(), "05")
    other.run("true")
    other.write("train.py", "changed = 1\n")
    other.run("true")
    other.git("checkout", "--quiet", "HEAD~8", "--force")
    other.run("true")
    other.git("checkout", "--quiet", "main")
    other.prov("push")
    return top


@pytest.fixture
def hub(template: Path, tmp_path: Path) -> Hub:
    for name in ("server.git", "other"):
        shutil.copytree(template / name, tmp_path / name, symlinks=True)
    server, other = Clone(tmp_path / "server.git"), Clone(tmp_path / "other")
    other.git("config", "remote.origin.url", str(server.path))
    other.git("config", "prov.fsync", "off")
    use_shard(other.store(), "05")
    return Hub(server, other, run_ids(other.store()))


def log(clone: Clone, **env: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in clone.prov("log", "--json", **env).splitlines()]


def has(clone: Clone, oid: str) -> bool:
    """Say whether an object is here, without fetching it."""
    return clone.call("git", "cat-file", "-e", oid, GIT_ALLOW_PROTOCOL="none").returncode == 0


def history(hub: Hub) -> list[str]:
    return hub.other.git("rev-list", "main").split()


def takes_part(clone: Clone, hub: Hub, *, kind: str = "exact", **env: str) -> str:
    """Record, push, list, verify and link; return the new run, which others see."""
    clone.prov("init", **env)
    clone.prov("run", "--quiet", "--", "true", **env)
    new = log(clone, **env)[0]["id"]
    expected = sorted([*hub.runs, new])
    assert sorted(run["id"] for run in log(clone, **env)) == expected
    assert "sent 1 run" in clone.prov("push", **env)
    assert run_ids(hub.server.store()) == expected
    assert clone.prov_call("verify", **env).returncode == 0
    assert kind in clone.prov("links", new, **env)
    more = record(hub.other.store())
    push(hub.other.store(), "origin")
    clone.prov("pull", **env)
    store = Store.open(Path(env.get("GIT_DIR", clone.path)))
    assert run_ids(store) == sorted(expected + more)
    pull(hub.other.store(), "origin")
    assert run_ids(hub.other.store()) == sorted(expected + more)
    for either in (clone, hub.server):
        # What is on no branch and not here makes no difference to git.
        assert either.git("fsck", "--strict", "--no-dangling", **env) == ""
    return str(new)


@pytest.mark.parametrize("race", [False, True], ids=["alone", "race"])
def test_shallow_clone_of_ci_gets_no_source_history(
    hub: Hub, tmp_path: Path, *, race: bool
) -> None:
    """Only the runs come, however the push goes: no old commit, and none of its files."""
    job = Clone.of(hub.url, tmp_path / "job", "--depth=1")
    job.prov("init")
    before = size(job)
    use_shard(job.store(), "05" if race else "06")
    job.write("train.py", "changed = 2\n")
    new = job.run("true")
    assert "sent 1 run, 1 snapshot" in job.prov("push")
    assert not [oid for oid in history(hub)[1:] if has(job, oid)]
    assert job.git("rev-list", "--count", "HEAD").strip() == "1"
    assert size(job) - before < BYTES
    assert "has everything" in job.prov("push")
    assert len(log(job)) == 4
    assert job.prov_call("verify").returncode == 0
    assert "exact" in job.prov("links", new)
    hub.other.prov("pull")
    assert "could not be checked" not in hub.other.prov("verify")
    # Whoever asks for the sources gets them, and what was left out with them.
    job.git("fetch", "--quiet", "--unshallow")
    job.prov("pull")
    assert not (job.path / ".git" / "shallow").exists()
    assert "could not be checked" not in job.prov("verify")
    assert job.git("fsck", "--strict", "--no-dangling") == ""


def test_jobs_that_share_a_chain_and_have_no_history(hub: Hub, tmp_path: Path) -> None:
    """Each joins what it has not seen, and nothing of any of them is lost."""
    expected = list(hub.runs)
    snapshots = []
    for number in range(3):
        job = Clone.of(hub.url, tmp_path / f"job{number}", "--depth=1")
        use_shard(job.store(), "05")
        job.write("train.py", f"changed = {number}\n")
        expected.append(job.run("true"))
        snapshots.append(log(job)[0]["source"]["snapshot"])
        done = push(job.store(), "origin")
        assert (done.runs, done.snapshots, done.refused) == (1, 1, {})
    hub.other.prov("pull")
    assert run_ids(hub.other.store()) == sorted(expected)
    assert all(has(hub.other, oid) for oid in snapshots)
    assert hub.other.prov_call("verify").returncode == 0
    assert hub.server.git("fsck", "--strict", "--no-dangling") == ""


def test_a_fetch_with_a_depth_hides_no_run(hub: Hub) -> None:
    """Git cuts the ledger, too: what came before is let go by the next gc, if nobody looks."""
    clone, remote = hub.other, hub.url
    clone.git("config", "remote.origin.url", remote)
    clone.prov("init")
    clone.git("fetch", "--quiet", "--depth=1", "origin")
    (tip,) = ledger_tips(clone.store()).values()
    assert tip in (clone.path / ".git" / "shallow").read_text()
    assert len(log(clone)) == 3
    clone.git("reflog", "expire", "--expire=now", "--all")
    clone.git("gc", "--quiet", "--prune=now")
    assert len(log(clone)) == 3
    verified = clone.prov_call("verify")
    assert verified.returncode == 0, verified.stdout
    assert clone.git("rev-list", "--count", "main").strip() == "1", "as the user has asked"


def test_entries_that_a_depth_has_left_out_are_asked_for(hub: Hub, tmp_path: Path) -> None:
    clone = Clone.of(hub.url, tmp_path / "clone")
    clone.prov("init")
    fresh = record(hub.other.store(), 3)
    push(hub.other.store(), "origin")
    clone.git("fetch", "--quiet", "--depth=1", "origin")
    listed = clone.prov_call("log", "--json")
    assert len(listed.stdout.splitlines()) == 3
    assert "git fetch --depth has cut it off; bring the rest: git prov pull" in listed.stderr
    assert "lost" not in listed.stderr
    assert "3 new runs" in clone.prov("pull")
    assert run_ids(clone.store()) == sorted([*hub.runs, *fresh])
    assert ledger_tips(clone.store()) == ledger_tips(hub.other.store())
    record(clone.store())
    push(clone.store(), "origin")
    assert clone.prov_call("verify").returncode == 0


@pytest.mark.parametrize("left_out", ["blob:none", "tree:0"])
def test_partial_clone(hub: Hub, tmp_path: Path, left_out: str) -> None:
    clone = Clone.of(hub.url, tmp_path / "clone", f"--filter={left_out}")
    takes_part(clone, hub)
    # A fetch of the user's leaves out the records as well: they come in one go.
    record(hub.other.store(), 6)
    push(hub.other.store(), "origin")
    trace = tmp_path / "trace"
    clone.git("fetch", "--quiet")
    clone.prov("log", GIT_TRACE2=str(trace))
    assert trace.read_text().count("fetch --quiet") == 1
    assert run_ids(clone.store()) == run_ids(hub.server.store())
    old = hub.other.git("rev-parse", "main~3:model.bin").strip()
    assert not has(clone, old)


def test_partial_clone_whose_remote_is_away(hub: Hub, tmp_path: Path) -> None:
    """What was left with it is unknown; all else works."""
    clone = Clone.of(hub.url, tmp_path / "clone", "--filter=blob:none")
    clone.prov("init")
    clone.prov("pull")
    record(hub.other.store(), 2)
    push(hub.other.store(), "origin")
    clone.git("fetch", "--quiet")
    hub.server.path.rename(tmp_path / "away.git")
    for _ in range(2):
        listed = clone.prov_call("log", "--json")
        assert len(listed.stdout.splitlines()) == 3
        assert "objects with origin, and cannot get them" in listed.stderr
    assert clone.prov_call("verify").returncode == 0
    clone.write("train.py", "changed = 2\n")
    clone.run("true")
    (tmp_path / "away.git").rename(hub.server.path)
    assert len(log(clone)) == 6
    assert "sent 1 run, 1 snapshot" in clone.prov("push")


def test_mirror(hub: Hub, tmp_path: Path) -> None:
    mirror = Clone.of(hub.url, tmp_path / "mirror.git", "--mirror")
    takes_part(mirror, hub, kind="bare")
    waiting = record(mirror.store())
    fresh = record(hub.other.store())
    push(hub.other.store(), "origin")
    mirror.git("remote", "update", "--prune")
    catch_up(mirror.store())
    assert set(run_ids(mirror.store())) >= {*waiting, *fresh}
    mirror.prov("push")
    assert run_ids(hub.server.store()) == run_ids(mirror.store())


def test_bare_clone_by_name(hub: Hub, tmp_path: Path) -> None:
    bare = Clone.of(hub.url, tmp_path / "bare.git", "--bare")
    outside = Clone(tmp_path)
    takes_part(outside, hub, kind="bare", GIT_DIR=str(bare.path))
    assert not (tmp_path / ".git").exists()


def test_linked_work_trees_are_one_clone(hub: Hub, tmp_path: Path) -> None:
    clone = Clone.of(hub.url, tmp_path / "clone")
    clone.git("worktree", "add", "--quiet", str(tmp_path / "side"), "-b", "side")
    side = Clone(tmp_path / "side")
    takes_part(side, hub)
    one = clone.run("true")
    side.write("train.py", "changed = 2\n")
    two = side.run("true")
    assert [run["id"] for run in log(clone)[:2]] == [two, one]
    assert log(side) == log(clone)
    assert log(clone)[0]["source"]["ref"] == "refs/heads/side"
    own = [run.writer for run in runs(side.store()) if run.id not in hub.runs and run.writer]
    assert len({place.id for place in own if place.id != other_writer(hub)}) == 1
    side.commit("on the side")
    assert "sent 2 runs" in side.call("git", "push", "origin", "side", check=True).stderr
    clone.git("worktree", "remove", "--force", str(side.path))
    assert clone.prov_call("verify").returncode == 0


def test_submodule_and_the_project_around_it(hub: Hub, tmp_path: Path) -> None:
    """Each has its own runs: a run belongs to the repository that it was started in."""
    around = Clone.make(tmp_path / "around")
    remote = bare_repository(tmp_path / "around.git")
    around.git("remote", "add", "origin", str(remote))
    allowed = ("-c", "protocol.file.allow=always")
    around.git(*allowed, "submodule", "--quiet", "add", hub.url, "part")
    around.commit("with a part")
    takes_part(Clone(around.path / "part"), hub)
    around.prov("init")
    above = around.run("true")
    assert [run["id"] for run in log(around)] == [above]
    around.git("config", "push.recurseSubmodules", "check")
    assert "sent 1 run" in around.call("git", "push", "-u", "origin", "main", check=True).stderr
    around.prov("push")
    assert run_ids(Clone(remote).store()) == [above]
    other = Clone.of(str(remote), tmp_path / "other-around")
    other.git(*allowed, "submodule", "--quiet", "update", "--init")
    other.prov("init")
    assert [run["id"] for run in log(other)] == [above]
    assert above not in run_ids(Clone(other.path / "part").store())
    for clone in (around, other):
        assert clone.prov_call("verify").returncode == 0


@pytest.mark.parametrize("option", ["--shared", "--reference"])
def test_borrowed_objects(hub: Hub, tmp_path: Path, option: str) -> None:
    """The origin tidies up, and the runs of whoever borrows from it are whole."""
    reference = [f"--reference={hub.other.path}"] if option == "--reference" else ["--shared"]
    url = hub.url if option == "--reference" else str(hub.server.path)
    clone = Clone.of(url, tmp_path / "clone", *reference)
    clone.write("train.py", "changed = 2\n")
    dirty = takes_part(clone, hub)
    for lender in (hub.server, hub.other):
        lender.git("reflog", "expire", "--expire=now", "--all")
        lender.git("gc", "--prune=now", "--quiet")
    clone.git("gc", "--prune=now", "--quiet")
    assert clone.prov_call("verify").returncode == 0
    assert clone.git("fsck", "--strict", "--no-dangling") == ""
    clone.git("checkout", "--quiet", "--", ".")
    clone.prov("restore", dirty)
    assert (clone.path / "train.py").read_text() == "changed = 2\n"


def test_second_remote(hub: Hub, tmp_path: Path) -> None:
    second = Clone(bare_repository(tmp_path / "second.git"))
    clone = Clone.of(hub.url, tmp_path / "clone")
    clone.git("remote", "add", "second", str(second.path))
    new = takes_part(clone, hub)
    assert "5 runs" in clone.prov("push", "second")
    assert run_ids(second.store()) == run_ids(clone.store())
    assert new in run_ids(second.store())
    other = Clone.of(hub.url, tmp_path / "other2")
    other.git("remote", "add", "second", str(second.path))
    other.prov("init")
    record(other.store())
    other.prov("push", "second")
    assert "1 new run" in clone.prov("pull", "second")
    assert "sent 1 run" in clone.prov("push", "origin")
    assert run_ids(hub.server.store()) == run_ids(second.store())
    assert ledger_tips(hub.server.store()) == ledger_tips(second.store())


def test_fork_and_upstream(hub: Hub, tmp_path: Path) -> None:
    """Runs of both are seen together; an ordinary push tells the fork alone."""
    fork = Clone(bare_repository(tmp_path / "fork.git"))
    fork.git("fetch", "--quiet", hub.url, "refs/heads/*:refs/heads/*")
    clone = Clone.of(str(fork.path), tmp_path / "clone")
    clone.git("remote", "add", "upstream", hub.url)
    assert "3 runs from upstream" in clone.prov("init")
    mine = clone.run("true")
    clone.commit("mine")
    assert "to origin" in clone.call("git", "push", "origin", "main", check=True).stderr
    assert run_ids(fork.store()) == sorted([*hub.runs, mine])
    assert run_ids(hub.server.store()) == hub.runs
    theirs = record(hub.other.store())
    push(hub.other.store(), "origin")
    clone.git("fetch", "--quiet", "--all")
    assert {run["id"] for run in log(clone)} == {*hub.runs, mine, *theirs}
    assert clone.prov_call("verify").returncode == 0
    # Whoever has the fork alone sees the upstream's runs, too.
    clone.prov("push", "origin")
    reader = Clone.of(str(fork.path), tmp_path / "reader")
    reader.prov("init")
    assert {run["id"] for run in log(reader)} == {*hub.runs, mine, *theirs}


def test_clone_of_a_clone(hub: Hub, tmp_path: Path) -> None:
    """Runs go from clone to clone, and on to the remote of the one in the middle."""
    below = Clone.of(str(hub.other.path), tmp_path / "below")
    below.prov("init")
    new = below.run("true")
    assert {run["id"] for run in log(below)} == {*hub.runs, new}
    assert "sent 1 run" in below.prov("push")
    assert run_ids(hub.other.store()) == sorted([*hub.runs, new])
    hub.other.prov("push")
    assert run_ids(hub.server.store()) == sorted([*hub.runs, new])
    more = record(hub.other.store())
    below.git("fetch", "--quiet")
    assert more[0] in {run["id"] for run in log(below)}
    for clone in (below, hub.other):
        assert clone.prov_call("verify").returncode == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda url, path: Clone.of(url, path, "--single-branch"),
        lambda url, path: Clone.of(url, path, "--no-tags", "--origin=team/lab"),
        lambda url, path: Clone.of(url, path, "--separate-git-dir", f"{path}.elsewhere"),
    ],
    ids=["single branch", "other name", "separate git dir"],
)
def test_other_clones(hub: Hub, tmp_path: Path, make: Callable[[str, Path], Clone]) -> None:
    takes_part(make(hub.url, tmp_path / "clone"), hub)


@pytest.mark.parametrize("left_out", [None, "blob:none"])
def test_sparse_checkout(hub: Hub, tmp_path: Path, left_out: str | None) -> None:
    """Files that are not checked out are part of the source all the same."""
    options = [f"--filter={left_out}"] if left_out else []
    clone = Clone.of(hub.url, tmp_path / "clone", "--sparse", *options)
    assert not (clone.path / "src").exists()
    clone.write("train.py", "changed = 2\n")
    dirty = takes_part(clone, hub)
    tree = {run["id"]: run for run in log(clone)}[dirty]["source"]["tree"]
    assert "src" in clone.git("ls-tree", "--name-only", tree).split()
    hub.other.prov("pull")
    hub.other.prov("restore", dirty, "--worktree", str(tmp_path / "restored"))
    assert (tmp_path / "restored" / "src" / "part1.py").exists()
    assert (tmp_path / "restored" / "train.py").read_text() == "changed = 2\n"


def size(clone: Clone) -> int:
    """Return how many bytes the objects of a clone take."""
    return sum(path.stat().st_size for path in (clone.path / ".git/objects").rglob("*.pack"))


def other_writer(hub: Hub) -> str:
    return (hub.other.path / ".git/prov/writer").read_text().split()[0]
