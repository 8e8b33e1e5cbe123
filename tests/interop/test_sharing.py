"""Runs travel with ordinary git, whatever is in the way and whoever else is at it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitprov.errors import RemoteFailed
from gitprov.hooks.shims import NAMES
from gitprov.policy.verify import verify
from gitprov.store.listing_diff import differences
from gitprov.store.objects import MODE_FILE, MODE_TREE, TreeEntry, encode_tree
from gitprov.store.pack import Existing, PackBuilder
from gitprov.store.payload import open_listing
from gitprov.store.refs import PAYLOAD, list_refs
from tests.support.chains import entry, write_pack
from tests.support.repositories import Clone
from tests.support.runs import ledger_tips, record, record_data, run_ids, runs, use_shard
from tests.support.servers import bare_repository


@pytest.fixture
def server(tmp_path: Path) -> Clone:
    """Return the bare repository of a remote that is a path."""
    path = tmp_path / "server" / "lab.git"
    return Clone(path if path.exists() else bare_repository(path))


@pytest.fixture
def clones(tmp_path: Path, server: Clone) -> Callable[[str], Clone]:
    """Return a maker of clones that are set up, all with the same first commit."""
    origin = Clone.make(tmp_path / "seed")
    origin.git("push", "--quiet", str(server.path), "main")

    def make(name: str) -> Clone:
        clone = Clone.of(str(server.path), tmp_path / name)
        clone.prov("init")
        return clone

    return make


def log(clone: Clone) -> list[dict[str, Any]]:
    return [json.loads(line) for line in clone.prov("log", "--json").splitlines()]


def refs(clone: Clone, pattern: str) -> list[str]:
    return clone.git("for-each-ref", "--format=%(refname)", pattern).split()


@pytest.mark.parametrize("order", ["here first", "there first"])
@pytest.mark.parametrize("means", ["git", "prov"])
def test_diverged_unpublished_runs_meet(
    clones: Callable[[str], Clone], order: str, means: str
) -> None:
    """Both write to the same chain; each ends with the runs of both, at the same commit."""
    here, there = clones("here"), clones("there")
    for clone in (here, there):
        use_shard(clone.store(), "05")
        record(clone.store(), 3)
    pair = [here, there] if order == "here first" else [there, here]
    for _ in range(2):
        for clone in pair:
            if means == "prov":
                clone.prov("push")
            else:
                clone.commit("something to push")
                clone.git("pull", "--quiet", "--rebase", "origin", "main")
                clone.git("push", "--quiet", "origin", "main")
    for clone in pair:
        clone.git("fetch", "--quiet")
        assert len(log(clone)) == 6
    assert log(here) == log(there)
    assert ledger_tips(here.store()) == ledger_tips(there.store())
    (tip,) = ledger_tips(here.store()).values()
    assert here.git("rev-list", "--merges", "--count", tip).strip() == "0"
    assert here.prov_call("verify").returncode == 0


def test_published_divergence_is_joined_by_the_same_commit(
    clones: Callable[[str], Clone], tmp_path: Path
) -> None:
    bare_repository(tmp_path / "second.git")
    here, there = clones("here"), clones("there")
    for clone in (here, there):
        clone.git("remote", "add", "second", str(tmp_path / "second.git"))
        use_shard(clone.store(), "05")
        record(clone.store(), 2)
    here.prov("push", "origin")
    there.prov("push", "second")
    here.prov("pull", "second")
    there.prov("pull", "origin")
    tips = ledger_tips(here.store())
    assert tips == ledger_tips(there.store())
    (tip,) = tips.values()
    assert here.git("rev-list", "--merges", "--count", tip).strip() == "1"
    assert here.git("rev-parse", f"{tip}^{{tree}}").strip().startswith("4b825dc6")
    assert len(run_ids(here.store())) == 4
    for clone in (here, there):
        record(clone.store())
        clone.prov("sync", "origin")
        clone.prov("sync", "second")
    here.prov("sync", "origin")
    assert ledger_tips(here.store()) == ledger_tips(there.store())
    assert len(run_ids(here.store())) == 6
    assert here.prov_call("verify").returncode == 0
    assert here.git("fsck", "--strict", "--no-dangling") == ""


@pytest.fixture
def refusing(server: Clone) -> Clone:
    hook = server.path / "hooks" / "pre-receive"
    hook.write_text(
        "#!/bin/sh\nwhile read -r old new ref; do\n"
        'case $ref in refs/prov/*) echo "no runs here" >&2; exit 1;; esac\ndone\n'
    )
    hook.chmod(0o755)
    return server


def test_remote_that_refuses_runs(clones: Callable[[str], Clone], refusing: Clone) -> None:
    clone = clones("clone")
    record(clone.store())
    commit = clone.commit("second")
    pushed = clone.call("git", "push", check=True)
    assert "gitprov: origin refuses the ledger: [remote rejected]" in pushed.stderr
    assert refusing.git("rev-parse", "main").strip() == commit
    assert not refs(refusing, "refs/prov")
    explicit = clone.prov_call("push")
    assert explicit.returncode == RemoteFailed.exit_status
    assert "gitprov: origin refuses refs/prov/ledger/" in explicit.stderr
    assert "Traceback" not in explicit.stderr
    assert explicit.stdout == "nothing was sent to origin\n"


def test_remote_that_is_away_for_runs_does_not_stop_branches(
    clones: Callable[[str], Clone], server: Clone, tmp_path: Path
) -> None:
    clone = clones("clone")
    record(clone.store())
    away = tmp_path / "receive-pack"
    away.write_text('#!/bin/sh\n[ -z "$GITPROV_PUSHING" ] || exit 1\nexec git-receive-pack "$@"\n')
    away.chmod(0o755)
    clone.git("config", "remote.origin.receivepack", str(away))
    commit = clone.commit("second")
    pushed = clone.call("git", "push", check=True)
    assert server.git("rev-parse", "main").strip() == commit
    assert "gitprov: runs were not sent: cannot push to origin" in pushed.stderr
    assert "later: git prov push origin" in pushed.stderr
    clone.git("config", "--unset", "remote.origin.receivepack")
    clone.prov("push")
    assert len(run_ids(server.store())) == 1


def test_remote_that_is_gone(clones: Callable[[str], Clone], server: Clone) -> None:
    clone = clones("clone")
    record(clone.store())
    server.path.rename(server.path.with_name("gone.git"))
    for verb in ("push", "pull", "sync"):
        done = clone.prov_call(verb)
        assert done.returncode == RemoteFailed.exit_status
        assert done.stderr.startswith("git prov: cannot ")
        assert "Traceback" not in done.stderr
    assert len(log(clone)) == 1


CHAINED = """#!/bin/sh
echo "arguments: $@" >&2
echo "stdin: $(cat)" >&2
exit $CHAINED_STATUS
"""


@pytest.mark.parametrize("status", ["0", "3"])
def test_hook_that_was_there_is_called_first(
    clones: Callable[[str], Clone], server: Clone, status: str
) -> None:
    clone = clones("clone")
    clone.prov("init", "--uninstall")
    hook = clone.path / ".git" / "hooks" / "pre-push"
    hook.write_text(CHAINED)
    hook.chmod(0o755)
    assert "yours is kept and called first" in clone.prov("init")
    record(clone.store())
    before = server.git("rev-parse", "main").strip()
    commit = clone.commit("second")
    pushed = clone.call("git", "push", "origin", "main", CHAINED_STATUS=status)
    assert f"arguments: origin {server.path}" in pushed.stderr
    assert f"stdin: refs/heads/main {commit} refs/heads/main {before}" in pushed.stderr
    assert (pushed.returncode == 0) == (status == "0")
    assert ("sent 1 run" in pushed.stderr) == (status == "0")
    assert server.git("rev-parse", "main").strip() == (commit if status == "0" else before)


@pytest.mark.parametrize("by_hand", [True, False])
def test_hooks_elsewhere_send_runs_along(
    clones: Callable[[str], Clone], server: Clone, tmp_path: Path, *, by_hand: bool
) -> None:
    clone = clones("clone")
    clone.prov("init", "--uninstall")
    theirs = tmp_path / "company-hooks"
    theirs.mkdir()
    for name in NAMES if by_hand else ():
        (theirs / name).write_text(f'#!/bin/sh\nexec git prov hook {name} "$@"\n')
        (theirs / name).chmod(0o755)
    before = sorted(theirs.iterdir())
    clone.git("config", "core.hooksPath", str(theirs))
    assert ("hooks installed" in clone.prov("init")) != by_hand
    assert sorted(theirs.iterdir()) == before
    record(clone.store())
    clone.commit("second")
    assert "sent 1 run" in clone.call("git", "push", check=True).stderr
    assert len(run_ids(server.store())) == 1


@pytest.mark.parametrize("means", ["environment", "configuration", "no-verify"])
def test_hook_can_be_told_not_to(clones: Callable[[str], Clone], server: Clone, means: str) -> None:
    clone = clones("clone")
    record(clone.store())
    commit = clone.commit("second")
    options, env = ["push"], {}
    if means == "environment":
        env["GITPROV_HOOKS"] = "0"
    elif means == "no-verify":
        options.append("--no-verify")
    else:
        clone.git("config", "prov.autopush", "off")
    pushed = clone.call("git", *options, check=True, **env)
    assert "gitprov" not in pushed.stderr
    assert server.git("rev-parse", "main").strip() == commit
    assert not refs(server, "refs/prov")


def test_hook_does_not_call_itself(clones: Callable[[str], Clone], tmp_path: Path) -> None:
    clone = clones("clone")
    record(clone.store())
    calls = tmp_path / "calls"
    chained = clone.write(
        ".git/hooks.before-gitprov/pre-push", f'#!/bin/sh\necho called >> "{calls}"\n'
    )
    chained.chmod(0o755)
    clone.commit("second")
    clone.git("push", "--quiet")
    assert calls.read_text() == "called\n"


def test_push_with_nothing_new_starts_nothing_but_git(
    clones: Callable[[str], Clone], tmp_path: Path
) -> None:
    clone = clones("clone")
    clone.git("remote", "rename", "origin", "team/lab")
    clone.prov("init")
    record(clone.store())
    clone.commit("second")
    assert "sent 1 run to team/lab" in clone.call("git", "push", "team/lab", "main").stderr
    started = tmp_path / "started"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho started >> "{started}"\n')
    program.chmod(0o755)
    clone.git("config", "prov.program", str(program))
    clone.commit("third")
    clone.git("push", "--quiet", "team/lab", "main")
    assert not started.exists()
    record(clone.store())
    clone.commit("fourth")
    clone.git("push", "--quiet", "team/lab", "main")
    assert started.read_text() == "started\n"


def test_remote_with_a_slash_in_its_name(clones: Callable[[str], Clone], server: Clone) -> None:
    here, there = clones("here"), clones("there")
    for clone in (here, there):
        clone.git("remote", "rename", "origin", "team/lab")
        clone.prov("init")
    record(here.store())
    assert "sent 1 run to team/lab" in here.prov("push", "team/lab").replace(",", "")
    there.git("fetch", "--quiet", "team/lab")
    assert log(there) == log(here)
    assert len(log(there)) == 1
    assert "has everything already" in here.prov("push")


@pytest.mark.parametrize(
    "command",
    [
        ["fetch", "--prune"],
        ["fetch", "--prune", "--all", "--tags"],
        ["pull", "--prune"],
        ["remote", "prune", "origin"],
        ["push", "--all"],
        ["push", "--prune", "origin", "refs/heads/*:refs/heads/*"],
        ["gc", "--prune=now", "--quiet"],
    ],
    ids=" ".join,
)
def test_everyday_git_loses_no_run(
    clones: Callable[[str], Clone], server: Clone, command: list[str]
) -> None:
    here, there = clones("here"), clones("there")
    theirs = record(there.store())
    there.prov("push")
    ours = record(here.store(), 2)
    here.git(*command)
    here.git("fetch", "--quiet")
    assert sorted(run["id"] for run in log(here)) == sorted(ours + theirs)
    assert set(run_ids(server.store())) >= set(theirs)


def test_remote_that_lost_its_runs_gets_them_again(
    clones: Callable[[str], Clone], server: Clone
) -> None:
    clone = clones("clone")
    ids = record(clone.store(), 2)
    clone.prov("push")
    for ref in refs(server, "refs/prov"):
        server.git("update-ref", "-d", ref)
    clone.git("fetch", "--prune", "--quiet")
    assert len(log(clone)) == 2
    clone.prov("push")
    assert run_ids(server.store()) == sorted(ids)


def test_listings_travel_with_the_payload(clones: Callable[[str], Clone]) -> None:
    """What two snapshots share is sent once; each clone can check all of it."""
    here, there = clones("here"), clones("there")
    for number in range(1100):
        here.write(f"data/many/{number}", f"{number}")
    here.write("data/sub/" + os.fsdecode(b"caf\xe9\n"), "x")
    first = record_data(here.store(), "data")
    here.write("data/sub/new", "new")
    second = record_data(here.store(), "data")
    here.git("config", "prov.share", "ledger")
    here.prov("push")
    there.prov("pull")
    assert {run["id"] for run in log(there)} == {first, second}
    unknown = verify(there.store())
    assert unknown.is_good
    assert unknown.counts["payloads"] == {"checked": 0, "failed": 0, "unknown": 2}
    here.git("config", "--unset", "prov.share")
    here.prov("push")
    there.prov("pull", "--payload")
    known = verify(there.store())
    assert known.is_good
    assert known.counts["payloads"] == {"checked": 2, "failed": 0, "unknown": 0}
    store = there.store()
    tips = list(list_refs(store.repository.git, PAYLOAD).values())
    sides = []
    for run in sorted(runs(store), key=lambda run: [first, second].index(run.id)):
        (artifact,) = run.inputs
        assert artifact.listing
        sides.append(open_listing(store.objects, tips, run.id, artifact.listing))
    assert [item.path for item in differences(*sides)] == [b"sub/new"]
    there.git("fsck", "--strict", "--connectivity-only")


@pytest.mark.parametrize(
    ("mode", "name"), [(MODE_TREE, b".git"), (0o100755, b"=a"), (0o120000, b"=a")]
)
def test_listing_that_is_none_is_not_taken_in(
    clones: Callable[[str], Clone], mode: int, name: bytes
) -> None:
    here, there = clones("here"), clones("there")
    here.write("data/a", "a")
    run_id = record_data(here.store(), "data")
    here.prov("push")
    ((ref, tip),) = list_refs(here.store().repository.git, PAYLOAD).items()
    listing = here.git("ls-tree", "--name-only", f"{tip}:{run_id}").strip()
    node = here.git("rev-parse", f"{tip}:{run_id}/{listing}/node").strip()
    tree = here.git("rev-parse", f"{tip}:{run_id}/{listing}").strip()
    pack = PackBuilder()
    bad = pack.add(
        "tree",
        encode_tree(
            [
                TreeEntry(mode, name, tree if mode == MODE_TREE else node),
                TreeEntry(MODE_FILE, b"node", node),
            ]
        ),
    )
    write_pack(here.store(), pack)
    files = {run_id: {listing: Existing(MODE_TREE, bad)}}
    forged = entry(here.store(), files, parents=[tip], message=b"payload\n")
    here.git("push", "--quiet", "--no-verify", "origin", f"{forged}:{ref}")
    done = there.prov_call("pull", "--payload")
    assert done.returncode
    assert "has no place in a listing" in done.stderr
    assert not refs(there, PAYLOAD)
    here.git("push", "--quiet", "--no-verify", "--force", "origin", f"{tip}:{ref}")
    there.prov("pull", "--payload")
    assert verify(there.store()).counts["payloads"]["checked"] == 1
