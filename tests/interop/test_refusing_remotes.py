"""Remotes that take no `refs/prov/*`, and the two ways out: branches, or a remote of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gitprov.errors import RemoteFailed
from gitprov.recorder.recovery import catch_up
from gitprov.store.sync import push
from tests.support.repositories import Clone
from tests.support.runs import ledger_tips, record, run_ids, use_shard
from tests.support.servers import bare_repository

BRANCHES = "git config remote.origin.provNamespace refs/heads/prov"
APART = "git config remote.origin.provRemote NAME"


@pytest.fixture
def hub(tmp_path: Path) -> Clone:
    """Return a remote with one commit that takes branches and tags alone, as some hosts do."""
    hub = Clone(bare_repository(tmp_path / "hub.git"))
    seed = Clone.make(tmp_path / "seed")
    seed.git("push", "--quiet", str(hub.path), "main")
    hook = hub.path / "hooks" / "pre-receive"
    hook.write_text(
        "#!/bin/sh\nwhile read -r old new ref; do\n"
        "case $ref in refs/heads/*|refs/tags/*) ;;\n"
        '*) echo "only branches and tags" >&2; exit 1;; esac\ndone\n'
    )
    hook.chmod(0o755)
    return hub


@pytest.fixture
def lab(tmp_path: Path) -> Clone:
    """Return a remote that takes everything."""
    return Clone(bare_repository(tmp_path / "lab.git"))


@pytest.fixture
def clones(tmp_path: Path, hub: Clone) -> Callable[..., Clone]:
    """Return a maker of clones that are set up, with settings made before."""

    def make(name: str, **settings: str) -> Clone:
        clone = Clone.of(str(hub.path), tmp_path / name)
        clone.git("config", "prov.fsync", "off")
        clone.git("remote", "add", "lab", str(tmp_path / "lab.git"))
        for setting, value in settings.items():
            clone.git("config", f"remote.origin.{setting}", value)
        clone.prov("init")
        return clone

    return make


def names(clone: Clone, pattern: str) -> list[str]:
    return clone.git("for-each-ref", "--format=%(refname)", pattern).split()


def refspecs(clone: Clone, remote: str = "origin") -> list[str]:
    listed = clone.git("config", "--get-all", f"remote.{remote}.fetch").split()
    return [refspec for refspec in listed if "prov-remote" in refspec]


@pytest.mark.parametrize("means", ["hook", "hidden"])
def test_both_ways_out_are_named(
    clones: Callable[..., Clone], hub: Clone, lab: Clone, means: str
) -> None:
    if means == "hidden":
        (hub.path / "hooks" / "pre-receive").unlink()
        hub.git("config", "receive.hideRefs", "refs/prov")
    clone = clones("clone")
    record(clone.store())
    explicit = clone.prov_call("push", "origin")
    assert explicit.returncode == RemoteFailed.exit_status
    clone.commit("second")
    by_the_way = clone.call("git", "push", "origin", "main", check=True)
    for done in (explicit, by_the_way):
        assert f"origin takes no runs there: {BRANCHES} (as branches there), or: {APART}" in (
            done.stderr
        )
        assert "then: git prov init" in done.stderr
    assert not names(hub, "refs/prov")


def test_no_way_out_is_named_where_only_some_are_refused(
    clones: Callable[..., Clone], hub: Clone, lab: Clone
) -> None:
    hook = hub.path / "hooks" / "pre-receive"
    hook.unlink()
    clone = clones("clone")
    record(clone.store())
    clone.prov("push", "origin")
    hook.write_text("#!/bin/sh\necho full >&2\nexit 1\n")
    hook.chmod(0o755)
    record(clone.store())
    refused = clone.prov_call("push", "origin")
    assert refused.returncode == RemoteFailed.exit_status
    assert "provNamespace" not in refused.stderr


def test_runs_as_branches(clones: Callable[..., Clone], hub: Clone, lab: Clone) -> None:
    here = clones("here")
    assert refspecs(here) == ["+refs/prov/ledger/*:refs/prov-remote/origin/ledger/*"]
    use_shard(here.store(), "05")
    here.write("train.py", "changed = 1\n")
    dirty = here.run("sh", "-c", "echo words")
    assert here.prov_call("push", "origin").returncode == RemoteFailed.exit_status

    here.git("config", "remote.origin.provNamespace", "refs/heads/prov")
    assert "remote.origin.fetch has +refs/prov/ledger/*" in here.prov("doctor", check=False)
    said = here.prov("init")
    assert "removed" in said
    assert refspecs(here) == ["+refs/heads/prov/ledger/*:refs/prov-remote/origin/ledger/*"]
    assert "set up in" in here.prov("init")
    assert "origin (refs/heads/prov): 1 run" in here.prov("status")
    sent = here.prov("push", "origin")
    assert "sent 1 run, 1 snapshot of uncommitted work to origin" in sent
    (month,) = {ref.split("/")[-2] for ref in ledger_tips(here.store())}
    assert names(hub, "refs/heads/prov") == [
        f"refs/heads/prov/{area}/{month}/05" for area in ("keep", "ledger", "payload")
    ]
    assert not names(hub, "refs/prov")
    assert "has everything already" in here.prov("push", "origin")
    assert "origin (refs/heads/prov): has everything" in here.prov("status")
    assert "live there below refs/heads/prov" in here.prov("doctor", check=False)

    there = clones("there")  # nobody has told it
    assert refspecs(there) == refspecs(here)
    assert run_ids(there.store()) == [dirty]
    there.prov("pull", "--payload", "origin")
    assert "could not be checked" not in there.prov("verify")
    use_shard(there.store(), "05")
    more = [*record(there.store(), 2), *record(here.store())]
    there.commit("second")
    assert "sent 2 runs to origin" in there.call("git", "push", "origin", "main").stderr
    assert "sent 1 run to origin" in here.prov("push", "origin")
    there.git("fetch", "--quiet", "--prune")
    catch_up(there.store())
    assert run_ids(there.store()) == run_ids(here.store()) == sorted([dirty, *more])
    assert ledger_tips(there.store()) == ledger_tips(here.store())
    assert here.prov_call("verify").returncode == 0
    assert hub.git("fsck", "--strict", "--no-dangling") == ""


def test_runs_at_a_remote_of_their_own(
    clones: Callable[..., Clone], hub: Clone, lab: Clone
) -> None:
    here = clones("here", provRemote="lab")
    assert not refspecs(here)
    assert refspecs(here, "lab") == ["+refs/prov/ledger/*:refs/prov-remote/lab/ledger/*"]
    first = record(here.store())
    here.commit("second")
    assert "sent 1 run to lab" in here.call("git", "push", "origin", "main").stderr
    assert run_ids(lab.store()) == first
    assert not names(hub, "refs/prov") + names(hub, "refs/heads/prov")
    second = record(here.store())
    assert "origin: its runs live at lab" in here.prov("status")
    assert "the runs of origin live at lab" in here.prov("doctor", check=False)
    assert "lab" in here.prov("push", "--dry-run")
    assert "to lab" in here.prov("push")
    there = clones("there", provRemote="lab")
    assert run_ids(there.store()) == sorted(first + second)
    third = record(here.store())
    here.prov("sync", "origin")
    assert "1 new run from lab" in there.prov("pull")
    assert run_ids(there.store()) == sorted(first + second + third)


def test_what_init_has_found_goes_with_it(clones: Callable[..., Clone], lab: Clone) -> None:
    """Where the user has said so, it stays."""
    here = clones("here", provNamespace="refs/heads/prov")
    record(here.store())
    here.prov("push", "origin")
    there = clones("there")
    setting = "remote.origin.provNamespace"
    assert there.git("config", setting) == "refs/heads/prov\n"
    assert f"{setting}: refs/heads/prov removed" in there.prov("init", "--uninstall")
    assert "prov" not in there.git("config", "--get-regexp", r"^(remote|prov)\..*prov", check=False)
    here.prov("init", "--uninstall")
    assert here.git("config", setting) == "refs/heads/prov\n"


def test_a_push_with_nothing_new_for_the_other_remote_starts_nothing_but_git(
    clones: Callable[..., Clone], lab: Clone, tmp_path: Path
) -> None:
    clone = clones("clone", provRemote="lab")
    record(clone.store())
    clone.prov("push")
    program, started = tmp_path / "program", tmp_path / "started"
    program.write_text(f'#!/bin/sh\necho started >> "{started}"\n')
    program.chmod(0o755)
    clone.git("config", "prov.program", str(program))
    clone.commit("second")
    clone.git("push", "--quiet", "origin", "main")
    assert not started.exists()


def test_both_ways_meet_in_a_clone_that_knows_both(
    clones: Callable[..., Clone], hub: Clone, lab: Clone
) -> None:
    branches = clones("branches", provNamespace="refs/heads/prov")
    apart = clones("apart", provRemote="lab")
    between = clones("between", provNamespace="refs/heads/prov")
    everyone = (branches, apart, between)
    expected = []
    for clone in everyone:
        use_shard(clone.store(), "05")
        expected += record(clone.store(), 2)
    for _ in range(2):
        branches.prov("sync")
        apart.prov("sync")
        between.prov("sync", "origin")
        between.prov("sync", "lab")
    branches.prov("pull")
    apart.prov("pull")
    between.prov("pull", "origin")
    for clone in everyone:
        assert run_ids(clone.store()) == sorted(expected)
        assert ledger_tips(clone.store()) == ledger_tips(between.store())
        assert clone.prov_call("verify").returncode == 0


def test_settings_that_lead_nowhere(clones: Callable[..., Clone], lab: Clone) -> None:
    clone = clones("clone")
    record(clone.store())
    for settings, said in (
        ({"origin.provRemote": "nowhere"}, "git remote add nowhere URL"),
        ({"origin.provRemote": "lab", "lab.provRemote": "origin"}, "leads back to "),
        ({"origin.provNamespace": "heads/prov"}, "cannot be below heads/prov"),
    ):
        for name, value in settings.items():
            clone.git("config", f"remote.{name}", value)
        assert said in clone.prov("status")
        for verb in ("push", "pull", "init"):
            done = clone.prov_call(verb)
            assert done.returncode == RemoteFailed.exit_status
            assert said in done.stderr
        assert said in clone.prov("doctor", check=False)
        pushed = clone.call("git", "push", "origin", "main", check=True)
        assert said in pushed.stderr
        for name in settings:
            clone.git("config", "--unset", f"remote.{name}")
    assert clone.prov_call("init").returncode == 0


def test_a_branch_in_the_way_is_told(clones: Callable[..., Clone], hub: Clone, lab: Clone) -> None:
    clone = clones("clone", provNamespace="refs/heads/prov")
    clone.git("push", "--quiet", "--no-verify", "origin", "main:refs/heads/prov")
    record(clone.store())
    done = push(clone.store(), "origin")
    assert done.attempts == 1
    (reason,) = done.refused.values()
    assert "'refs/heads/prov' exists; cannot create 'refs/heads/prov/ledger/" in reason
    assert "provRemote" in done.advice
    assert "provNamespace" not in done.advice
