"""What `git log` says of runs below commits, after what git and its hooks have done to these."""

from pathlib import Path

import pytest

from tests.support import hooks
from tests.support.repositories import Clone
from tests.support.rewriting import Lab, head


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    clone.prov("init")
    return clone


def note(clone: Clone, name: str = "HEAD") -> list[str]:
    """Return the lines of a note, of each the run and what is said behind the command."""
    lines = clone.git("log", "-1", "--notes=prov", "--format=%N", name).split("\n")
    return [f"{line.split()[1]}{line.partition(' true')[2]}" for line in lines if line]


def git(clone: Clone, *arguments: str, **env: str) -> None:
    """Run git, and wait for what its hooks have started."""
    hooks.git(clone, *arguments, **env)


def made_anew(clone: Clone) -> bool:
    """Say whether all notes are as the ledger has it."""
    before = clone.git("notes", "--ref=prov", "list")
    clone.prov("notes", "--rebuild")
    return before == clone.git("notes", "--ref=prov", "list")


def test_the_first_commit(tmp_path: Path) -> None:
    """A run before there is any commit is linked to the one that is made of it."""
    clone = Clone.make(tmp_path / "unborn", commit=False)
    clone.prov("init")
    clone.write("train.py", "print(1)\n")
    run = clone.run("true")
    assert "made from no commit: the branch has no commit yet" in clone.prov("links")
    clone.git("add", "--all")
    git(clone, "commit", "--quiet", "-m", "first")
    assert note(clone) == [f"{run[:8]} [uncommitted changes] (these changes)"]
    page = clone.prov("links")
    assert f"{head(clone)[:12]}  committed  (main)" in page
    assert "this is the tree that ran" in page
    assert f"no commit (main) +changes -> {head(clone)[:9]} (committed since)" in clone.prov(
        "log", "main", "--oneline"
    )
    shown = clone.prov_call("show", "HEAD")
    assert run in shown.stdout
    assert f"run {run[:8]} was made from no commit, and this one stands for it" in shown.stderr
    assert made_anew(clone)


class TestCopies:
    """Git copies notes as it rewrites commits, and so says of one what ran on another."""

    def test_uncommitted_changes_that_are_amended_in(self, clone: Clone) -> None:
        clone.write("train.py", "print(2)\n")
        run = clone.run("true")
        git(clone, "commit", "--quiet", "--all", "--amend", "-m", "better")
        assert note(clone) == [f"{run[:8]} [uncommitted changes] (these changes)"]
        assert made_anew(clone)

    @pytest.mark.parametrize(
        ("content", "words"),
        [("print('trained')\n", ""), ("print('other')\n", " (amended; other code)")],
    )
    def test_amended(self, clone: Clone, content: str, words: str) -> None:
        run = clone.run("true")
        clone.git("notes", "--ref=prov", "append", "-m", "a thought")
        clone.write("train.py", content)
        git(clone, "commit", "--quiet", "--all", "--amend", "-m", "better")
        shown = clone.git("log", "-1", "--notes=prov", "--format=%N")
        assert "a thought" in shown
        assert [line for line in note(clone) if line.startswith(run[:8])] == [f"{run[:8]}{words}"]

    def test_of_what_was_skipped(self, clone: Clone) -> None:
        clone.git("checkout", "--quiet", "-b", "topic")
        clone.commit("ours", {"train.py": "print('ours')\n"})
        clone.run("true")
        clone.commit("more", {"more.py": "m = 1\n"})
        clone.git("checkout", "--quiet", "main")
        theirs = clone.commit("theirs", {"train.py": "print('theirs')\n"})
        clone.git("checkout", "--quiet", "topic")
        sync = {"GIT_REFLOG_ACTION": "sync"}
        assert clone.call("git", "rebase", "--quiet", "main", **sync).returncode == 1
        git(clone, "rebase", "--skip", **sync)
        assert note(clone, theirs) == []
        assert note(clone) == []
        assert "no commit on a branch stands for it" in clone.prov("links")
        assert made_anew(clone)

    def test_without_hooks(self, clone: Clone) -> None:
        first = head(clone)
        run = clone.run("true")
        git(clone, "commit", "--quiet", "--amend", "-m", "better", GITPROV_HOOKS="0")
        assert note(clone) == [run[:8]]
        clone.prov("notes")
        assert note(clone) == [f"{run[:8]} (same tree as {first[:9]}; inferred)"]
        clone.write("train.py", "print('other')\n")
        git(clone, "commit", "--quiet", "--all", "--amend", "-m", "other", GITPROV_HOOKS="0")
        clone.prov("notes")
        assert note(clone) == []
        assert note(clone, first) == [run[:8]]

    def test_on_a_branch_that_is_not_checked_out(self, clone: Clone) -> None:
        first = head(clone)
        git(clone, "checkout", "--quiet", "-b", "topic")
        run = clone.run("true")
        git(clone, "commit", "--quiet", "--amend", "-m", "better", GITPROV_HOOKS="0")
        git(clone, "checkout", "--quiet", "main")
        clone.commit("on", {"on.py": "o = 1\n"})
        clone.prov("notes")
        assert note(clone, "topic") == [f"{run[:8]} (same tree as {first[:9]}; inferred)"]


class TestWhileARunIsUnderWay:
    """Its notes are there once it ends: hooks came too early for it."""

    SCRIPT = "mkfifo .git/wait/go; : >.git/wait/ready; read -r line <.git/wait/go"

    def commit_meanwhile(self, lab: Lab, *commands: list[str]) -> str:
        wait = lab.here.path / ".git/wait"
        wait.mkdir()
        with lab.started("sh", "-c", self.SCRIPT) as running:
            running.wait_for(wait / "ready")
            for command in commands:
                git(lab.here, *command)
            (wait / "go").write_text("now\n")
        return running.run_id

    def line(self, lab: Lab) -> str:
        return lab.here.git("log", "-1", "--notes=prov", "--format=%N").strip()

    def test_committed(self, lab: Lab) -> None:
        lab.here.write("train.py", "print('changed')\n")
        run = self.commit_meanwhile(lab, ["commit", "--quiet", "--all", "-m", "as it runs"])
        assert self.line(lab).startswith(f"run {run[:8]} ok")
        assert self.line(lab).endswith("[uncommitted changes] (these changes)")

    def test_squashed(self, lab: Lab) -> None:
        (commit,) = lab.commits(1, branch="topic")
        run = self.commit_meanwhile(
            lab,
            ["checkout", "--quiet", "main"],
            ["merge", "--quiet", "--squash", "topic"],
            ["commit", "--quiet", "-m", "squashed"],
        )
        assert self.line(lab).startswith(f"run {run[:8]} ok")
        assert self.line(lab).endswith(f"(same tree as {commit[:9]}; inferred)")
