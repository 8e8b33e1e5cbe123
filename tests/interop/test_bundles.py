"""Runs in a file: what is made comes in whole, and what is damaged not at all."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repositories import Clone, clean_environment
from tests.support.runs import run_ids
from tests.support.terminal import on_terminal


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    clone.run("echo", "words")
    clone.write("train.py", "changed = 1\n")
    clone.run("true")
    return clone


@pytest.fixture
def far(clone: Clone, tmp_path: Path) -> Clone:
    """Return a clone that no network reaches, with the same source."""
    return Clone.of(f"file://{clone.path}", tmp_path / "far")  # without what refs do not reach


def test_everything_comes_over(clone: Clone, far: Clone, tmp_path: Path) -> None:
    file = tmp_path / "runs.bundle"
    said = clone.prov("bundle", "create", str(file))
    assert f"{file}: 2 runs, 1 snapshot of uncommitted work, 1 commit, " in said
    assert [path.name for path in tmp_path.glob(".*")] == []
    assert clone.git("bundle", "verify", "--quiet", str(file)) is not None
    assert f"2 new runs from {file}" in far.prov("bundle", "import", str(file))
    assert run_ids(far.store()) == run_ids(clone.store())
    assert far.prov("show", "--output", "last~1") == "words\n"
    far.prov("restore", "last", "--worktree", str(tmp_path / "restored"))
    assert (tmp_path / "restored/train.py").read_text() == "changed = 1\n"
    assert "none failed" in far.prov("verify")
    assert "@bundle" not in far.git("for-each-ref")
    assert "0 new runs" in far.prov("bundle", "import", str(file))


def test_ledger_alone_has_no_source(clone: Clone, far: Clone, tmp_path: Path) -> None:
    file = tmp_path / "runs.bundle"
    clone.prov("bundle", "create", "--ledger-only", "../runs.bundle")
    far.prov("bundle", "import", str(file))
    assert run_ids(far.store()) == run_ids(clone.store())
    assert far.prov_call("show", "--output", "last~1").returncode == 24
    assert far.git("for-each-ref", "refs/prov/keep") == ""


def test_runs_of_both_sides_meet(clone: Clone, far: Clone, tmp_path: Path) -> None:
    file = tmp_path / "runs.bundle"
    clone.prov("bundle", "create", str(file))
    far.run("true")
    ours = run_ids(far.store())
    far.prov("bundle", "import", str(file))
    assert run_ids(far.store()) == sorted([*ours, *run_ids(clone.store())])


def harm(file: Path, damage: str) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    match damage:
        case "flipped":
            file.write_bytes(data)
        case "cut":
            file.write_bytes(data[:-30])
        case "text":
            file.write_text("no bundle\n")
        case "empty":
            file.write_bytes(b"")
        case "absent":
            file.unlink()


@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_damage_shows_where_everything_is_here(clone: Clone, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "runs.bundle"
    clone.prov("bundle", "create", str(file))
    harm(file, damage)
    assert clone.prov_call("bundle", "import", str(file)).returncode == 31


@pytest.mark.parametrize("damage", ["flipped", "cut", "text", "empty", "absent"])
def test_damaged_file_brings_nothing(clone: Clone, far: Clone, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "runs.bundle"
    clone.prov("bundle", "create", str(file))
    harm(file, damage)
    done = far.prov_call("bundle", "import", str(file))
    assert done.returncode in (31, 32)
    assert str(file) in done.stderr
    assert run_ids(far.store()) == []
    assert far.git("for-each-ref", "refs/prov", "refs/prov-remote") == ""
    assert not (far.path / ".git/prov/.bundle").exists()


def test_forged_chain_in_a_bundle_is_refused(clone: Clone, far: Clone, tmp_path: Path) -> None:
    clone.git("update-ref", "refs/prov/ledger/2026-01/0a", "main")
    file = tmp_path / "runs.bundle"
    clone.git("bundle", "create", "--quiet", str(file), "refs/prov/ledger/2026-01/0a")
    done = far.prov_call("bundle", "import", str(file))
    assert done.returncode == 41
    assert "is not taken in" in done.stderr
    assert run_ids(far.store()) == []


def test_bundle_of_branches_alone(clone: Clone, far: Clone, tmp_path: Path) -> None:
    file = tmp_path / "code.bundle"
    clone.git("bundle", "create", "--quiet", str(file), "main")
    done = far.prov_call("bundle", "import", str(file))
    assert (done.returncode, "no runs" in done.stderr) == (32, True)


def test_nothing_to_bundle(far: Clone, tmp_path: Path) -> None:
    done = far.prov_call("bundle", "create", str(tmp_path / "runs.bundle"))
    assert done.returncode == 32
    assert not (tmp_path / "runs.bundle").exists()


def test_no_source_where_none_is_shared(clone: Clone, tmp_path: Path) -> None:
    clone.git("config", "prov.share", "ledger")
    file = tmp_path / "runs.bundle"
    assert f"{file}: 2 runs, " in clone.prov("bundle", "create", str(file))
    listed = clone.git("bundle", "list-heads", str(file))
    assert "refs/prov/ledger/" in listed
    assert "refs/prov/keep/" not in listed
    assert "refs/prov/payload/" not in listed


def test_shallow_clone_leaves_out_what_it_has_in_part(
    clone: Clone, far: Clone, tmp_path: Path
) -> None:
    clone.commit("second", {"train.py": "changed = 2\n"})
    shallow = Clone.of(f"file://{clone.path}", tmp_path / "shallow", "--depth=1")
    shallow.run("echo", "words")
    file = tmp_path / "runs.bundle"
    done = shallow.prov_call("bundle", "create", str(file))
    assert done.returncode == 0
    assert "warning: keep/" in done.stderr
    assert "is left out: this clone is shallow" in done.stderr
    far.prov("bundle", "import", str(file))
    assert run_ids(far.store()) == run_ids(shallow.store())
    assert far.prov("show", "--output", "last") == "words\n"
    shallow.git("fetch", "--quiet", "--unshallow")
    done = shallow.prov_call("bundle", "create", str(file))
    assert ", 2 commits, " in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("place", ["folder", "nowhere/runs.bundle", "file/runs.bundle"])
def test_place_that_cannot_be_written_to(clone: Clone, tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*.bundle"))
    done = clone.prov_call("bundle", "create", str(tmp_path / place))
    assert (done.returncode, done.stdout) == (32, "")
    assert f"cannot write {tmp_path / place}: " in done.stderr
    assert sorted(tmp_path.rglob("*.bundle")) == before


def git_that(folder: Path, pattern: str, action: str) -> str:
    """Return a PATH with a git that does something else first, for some commands."""
    folder.mkdir()
    git = folder / "git"
    git.write_text(
        f'#!/bin/sh\ncase " $* " in {pattern}) {action};; esac\nexec {shutil.which("git")} "$@"\n'
    )
    git.chmod(0o755)
    return f"{folder}:{clean_environment()['PATH']}"


def test_what_a_killed_import_has_left_goes_with_the_next(
    clone: Clone, far: Clone, tmp_path: Path
) -> None:
    file = tmp_path / "runs.bundle"
    clone.prov("bundle", "create", str(file))
    left = far.path / ".git" / "prov" / ".bundle"
    path = git_that(tmp_path / "bin", '*" fsck "*', "kill -9 0")  # the whole group
    command = [sys.executable, "-m", "gitprov", "bundle", "import", str(file)]
    killed = subprocess.run(
        command, cwd=far.path, env=clean_environment(PATH=path), start_new_session=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert left.exists()
    assert "2 new runs" in far.prov("bundle", "import", str(file))
    assert not left.exists()


def test_what_takes_long_shows_a_bar(clone: Clone, far: Clone, tmp_path: Path) -> None:
    file = tmp_path / "runs.bundle"
    path = git_that(tmp_path / "bin", '*" bundle create "*|*" fetch "*', "sleep 1.3")
    made = on_terminal(clone, "bundle", "create", str(file), PATH=path)
    assert "Counting objects" in made
    assert f"{file}: 2 runs" in made
    taken = on_terminal(far, "bundle", "import", str(file), PATH=path)
    assert "Receiving objects" in taken
    assert "2 new runs" in taken
