"""Hooks of others: `git prov init` destroys none, whatever is there and comes later."""

from pathlib import Path

import pytest

from tests.support.repositories import Clone

OURS = "Removed by: git prov init --uninstall"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    hooks(clone).mkdir(exist_ok=True)
    return clone


def hooks(clone: Clone) -> Path:
    return clone.path / ".git" / "hooks"


def texts(clone: Clone) -> dict[str, str]:
    """Return the hooks, ours as `ours`."""
    found = {path.name: path.read_text() for path in hooks(clone).iterdir()}
    return {
        name: "ours" if OURS in text else text
        for name, text in found.items()
        if name.startswith("pre-push") and not name.endswith(".sample")
    }


def test_no_hook_that_was_kept_is_overwritten(clone: Clone) -> None:
    hook = hooks(clone) / "pre-push"
    for tool in ("first", "second", "third"):
        hook.unlink(missing_ok=True)
        hook.write_text(tool)
        said = clone.prov("init")
        assert "hook pre-push: yours is kept and called first" in said
    assert "pre-push.before-gitprov.2 and not called" in said
    assert texts(clone) == {
        "pre-push": "ours",
        "pre-push.before-gitprov": "third",
        "pre-push.before-gitprov.1": "first",
        "pre-push.before-gitprov.2": "second",
    }
    assert "yours is back in place" in clone.prov("init", "--uninstall")
    assert texts(clone)["pre-push"] == "third"
    assert len(texts(clone)) == 3


@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_is_moved_aside_and_not_written_through(
    clone: Clone, tmp_path: Path, *, dangling: bool
) -> None:
    target = tmp_path / "theirs"
    if not dangling:
        target.write_text("theirs")
    hook = hooks(clone) / "pre-push"
    hook.symlink_to(target)
    assert "yours is kept" in clone.prov("init")
    assert "(it was before)" in clone.prov("init")
    assert target.exists() != dangling
    assert not hook.is_symlink()
    assert hook.with_name("pre-push.before-gitprov").readlink() == target
    clone.git("commit", "--quiet", "--allow-empty", "-m", "more")
    clone.prov("init", "--uninstall")
    assert hook.readlink() == target
    assert dangling or target.read_text() == "theirs"


def test_uninstall_finds_ours_after_the_hooks_folder_was_set(clone: Clone, tmp_path: Path) -> None:
    (hooks(clone) / "pre-push").write_text("theirs")
    clone.prov("init")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "pre-push").write_text(f"a company's copy of ours: {OURS}")
    clone.git("config", "core.hooksPath", str(elsewhere))
    said = clone.prov("init", "--uninstall")
    assert "hooks removed: post-checkout" in said
    assert texts(clone) == {"pre-push": "theirs"}
    assert (elsewhere / "pre-push").exists()


def test_a_hooks_folder_that_is_a_link_is_not_touched(clone: Clone, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    hooks(clone).rename(shared)
    hooks(clone).symlink_to(shared)
    before = sorted(shared.iterdir())
    assert "were not touched" in clone.prov("init")
    assert sorted(shared.iterdir()) == before
