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
    git_dir = clone.path / ".git"
    found = {path: path.read_text() for path in git_dir.glob("hooks*/pre-push*")}
    return {
        str(path.relative_to(git_dir)).removeprefix("hooks/"): "ours" if OURS in text else text
        for path, text in found.items()
        if path.suffix != ".sample"
    }


def test_no_hook_that_was_kept_is_overwritten(clone: Clone) -> None:
    hook = hooks(clone) / "pre-push"
    for tool in ("first", "second", "third"):
        hook.unlink(missing_ok=True)
        hook.write_text(tool)
        said = clone.prov("init")
        assert "hook pre-push: yours is kept and called first" in said
    assert "kept as hooks.before-gitprov/pre-push.2 and not called" in said
    assert texts(clone) == {
        "pre-push": "ours",
        "hooks.before-gitprov/pre-push": "third",
        "hooks.before-gitprov/pre-push.1": "first",
        "hooks.before-gitprov/pre-push.2": "second",
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
    assert (clone.path / ".git/hooks.before-gitprov/pre-push").readlink() == target
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


def modes(clone: Clone) -> dict[Path, int]:
    return {path: path.lstat().st_mode for path in (clone.path / ".git").glob("hooks*/**/*")}


DISPATCHER = """#!/bin/sh
. "$(dirname "$0")/words.sh"
[ "$(dirname "$0")/../.." -ef . ] || exit 1
for hook in "$0.d"/*; do "$hook" "$greeting from ${0##*/}" || exit 1; done
"""


def test_a_hook_goes_by_its_name_and_finds_what_is_beside_it(clone: Clone, tmp_path: Path) -> None:
    """A dispatcher, linked under the name of a hook, with a folder of its own and a library."""
    said = tmp_path / "said"
    clone.write(".git/hooks/dispatch", DISPATCHER).chmod(0o755)
    clone.write(".git/hooks/words.sh", "greeting=hello\n")
    each = clone.write(".git/hooks/post-commit.d/first", f"#!/bin/sh\necho $1 >>'{said}'\n")
    each.chmod(0o755)
    link = hooks(clone) / "post-commit"
    link.symlink_to("dispatch")
    before = modes(clone)

    def committed() -> str:
        said.unlink(missing_ok=True)
        clone.git("commit", "--quiet", "--allow-empty", "-m", "more")
        return said.read_text()

    assert committed() == "hello from post-commit\n"
    clone.prov("init")
    assert committed() == "hello from post-commit\n"
    clone.write(".git/hooks/words.sh", "greeting=goodbye\n")
    assert committed() == "goodbye from post-commit\n"
    assert "(it was before)" in clone.prov("init")
    clone.prov("init", "--uninstall")
    assert modes(clone) == before
    assert link.readlink() == Path("dispatch")
    assert committed() == "goodbye from post-commit\n"


def test_a_hook_that_is_linked_to_from_above(clone: Clone) -> None:
    clone.write(".git/theirs", "theirs")
    hook = hooks(clone) / "pre-push"
    hook.symlink_to("../theirs")
    clone.prov("init")
    assert texts(clone) == {"pre-push": "ours", "hooks.before-gitprov/pre-push": "theirs"}
    clone.prov("init", "--uninstall")
    assert hook.readlink() == Path("../theirs")
