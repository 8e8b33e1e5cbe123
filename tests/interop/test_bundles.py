"""Runs in a file: what is made comes in whole, and what is damaged not at all."""

from pathlib import Path

import pytest

from tests.support.repositories import Clone
from tests.support.runs import run_ids


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
    assert f"{file}: 2 runs, " in clone.prov("bundle", "create", str(file))
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
    clone.prov("bundle", "create", "--ledger-only", str(file))
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


@pytest.mark.parametrize("damage", ["flipped", "cut", "text", "empty", "absent"])
def test_damaged_file_brings_nothing(clone: Clone, far: Clone, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "runs.bundle"
    clone.prov("bundle", "create", str(file))
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
    done = far.prov_call("bundle", "import", str(file))
    assert done.returncode in (31, 32)
    assert str(file) in done.stderr
    assert run_ids(far.store()) == []
    assert far.git("for-each-ref", "refs/prov", "refs/prov-remote") == ""
    assert [path.name for path in (far.path / ".git/prov").glob(".bundle-*")] == []


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
