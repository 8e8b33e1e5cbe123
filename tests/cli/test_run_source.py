"""The source of a run: the snapshot of a dirty tree, with `git add -A` as the oracle."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.repositories import Clone


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "repo")
    files = {"a.py": "a\n", "b.py": "b\n", "sub/c.py": "c\n", "tool.sh": "#!/bin/sh\n", "gone": "g"}
    clone.commit("files", {**files, ".gitignore": "*.log\nbuild/\n"})
    return clone


def source(clone: Clone, *options: str) -> dict[str, Any]:
    """Record a run and return its source."""
    clone.run("true", options=options)
    found: dict[str, Any] = json.loads(clone.prov("show", "--json"))["source"]
    return found


def added_tree(clone: Clone, folder: Path) -> str:
    """Return the tree of `git add -A; git write-tree` in a copy of the repository."""
    shutil.copytree(clone.path, folder, symlinks=True)
    copy = Clone(folder)
    copy.git("add", "--all")
    return copy.git("write-tree").strip()


def make_untidy(clone: Clone) -> None:
    """Change files in every way that git tells apart."""
    clone.write("staged.py", "staged\n")
    clone.write("a.py", "staged change\n")
    clone.git("add", "staged.py", "a.py")
    clone.write("a.py", "changed again after staging\n")
    clone.write("b.py", "changed, not staged\n")
    clone.write("new.py", "untracked\n")
    clone.write("deep/er/new.py", "untracked, in folders\n")
    clone.write("name with spaces\nand a newline", "odd name")
    clone.write(os.fsdecode(b"caf\xe9.txt"), "no UTF-8")
    clone.write(":(glob)*.py", "looks like a pathspec")
    clone.write("noise.log", "ignored")
    clone.write("build/artefact.py", "ignored")
    (clone.path / "tool.sh").chmod(0o755)
    (clone.path / "gone").unlink()
    (clone.path / "link").symlink_to("a.py")
    (clone.path / "dangling").symlink_to("/nowhere/at/all")


def test_a_snapshot_is_the_work_tree_byte_for_byte(clone: Clone, tmp_path: Path) -> None:
    make_untidy(clone)
    expected = added_tree(clone, tmp_path / "copy")
    found = source(clone)
    assert found["dirty"] is True
    assert found["tree"] == expected
    snapshot = found["snapshot"]
    assert clone.git("rev-parse", f"{snapshot}^{{tree}}").strip() == expected
    assert clone.git("rev-parse", f"{snapshot}^").strip() == found["commit"]
    listing = clone.git("ls-tree", "-r", snapshot)
    assert listing == Clone(tmp_path / "copy").git("ls-tree", "-r", expected)
    assert "100755 blob" in listing
    assert "120000 blob" in listing
    assert "noise.log" not in listing
    assert clone.git("show", f"{snapshot}:new.py") == "untracked\n"
    assert clone.git("show", f"{snapshot}:a.py") == "changed again after staging\n"
    clone.git("fsck", "--strict")


def test_the_users_index_and_work_tree_are_not_touched(clone: Clone) -> None:
    make_untidy(clone)
    # A file whose time alone differs is what makes git refresh the index.
    os.utime(clone.path / "sub/c.py", ns=(1, 1))
    index = clone.path / ".git/index"
    before = index.read_bytes(), index.stat().st_mtime_ns, index.stat().st_ino
    status = clone.git("--no-optional-locks", "status", "--porcelain")
    source(clone)
    assert (index.read_bytes(), index.stat().st_mtime_ns, index.stat().st_ino) == before
    assert clone.git("--no-optional-locks", "status", "--porcelain") == status


def test_the_same_dirty_tree_is_the_same_snapshot(clone: Clone) -> None:
    make_untidy(clone)
    first, second = source(clone), source(clone)
    assert first["snapshot"] == second["snapshot"]
    clone.write("new.py", "another\n")
    assert source(clone)["snapshot"] != first["snapshot"]


def test_a_clean_tree_has_no_snapshot(clone: Clone) -> None:
    clone.write("noise.log", "ignored")
    found = source(clone)
    assert "snapshot" not in found
    assert found["tree"] == clone.git("rev-parse", "HEAD^{tree}").strip()


def test_a_large_untracked_file_is_named_and_not_stored(clone: Clone) -> None:
    data = os.urandom(1 << 20) + b"x"
    clone.write("large.bin", data)
    clone.write("fits.bin", data[:-1])
    found = source(clone)
    [omission] = found["omitted"]
    assert (omission["path"], omission["size"]) == ("large.bin", len(data))
    assert omission["digest"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert "prov.snapshot.maxFileSize" in omission["reason"]
    listing = clone.git("ls-tree", "-r", "--name-only", found["snapshot"])
    assert "fits.bin" in listing
    assert "large.bin" not in listing
    oid = clone.git("hash-object", "large.bin").strip()
    assert clone.call("git", "cat-file", "-e", oid).returncode != 0
    assert "large.bin" in clone.prov("show")


def test_a_file_in_place_of_a_folder_and_a_folder_in_place_of_a_file(
    clone: Clone, tmp_path: Path
) -> None:
    (clone.path / "a.py").unlink()
    clone.write("a.py/inside.py", "a folder now")
    shutil.rmtree(clone.path / "sub")
    clone.write("sub", "a file now")
    expected = added_tree(clone, tmp_path / "copy")
    assert source(clone)["tree"] == expected


def test_a_merge_in_conflict(clone: Clone, tmp_path: Path) -> None:
    clone.git("checkout", "--quiet", "-b", "other")
    clone.commit("theirs", {"a.py": "theirs\n"})
    clone.git("checkout", "--quiet", "main")
    clone.commit("ours", {"a.py": "ours\n"})
    clone.git("merge", "other", check=False)
    assert "UU a.py" in clone.git("status", "--porcelain")
    expected = added_tree(clone, tmp_path / "copy")
    assert source(clone)["tree"] == expected


def test_a_file_that_is_to_be_added(clone: Clone, tmp_path: Path) -> None:
    clone.write("later.py", "git add -N\n")
    clone.git("add", "--intent-to-add", "later.py")
    expected = added_tree(clone, tmp_path / "copy")
    assert source(clone)["tree"] == expected


def test_content_filters_apply_as_in_a_commit(clone: Clone, tmp_path: Path) -> None:
    clone.commit("filters", {".gitattributes": "*.txt text eol=crlf\n"})
    clone.write("lines.txt", "one\r\ntwo\r\n")
    expected = added_tree(clone, tmp_path / "copy")
    found = source(clone)
    assert found["tree"] == expected
    assert clone.git("cat-file", "-p", f"{found['snapshot']}:lines.txt") == "one\ntwo\n"


def test_everything_is_deleted(clone: Clone) -> None:
    for name in clone.git("ls-files").splitlines():
        (clone.path / name).unlink()
    assert source(clone)["tree"] == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_the_first_commit_is_yet_to_come(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "new", commit=False)
    clone.write("train.py", "print()\n")
    found = source(clone)
    assert "commit" not in found
    assert clone.git("show", f"{found['snapshot']}:train.py") == "print()\n"
    assert clone.git("rev-list", "--count", found["snapshot"]).strip() == "1"
    clone.git("fsck", "--strict")


def test_a_repository_inside_is_named(clone: Clone) -> None:
    inner = Clone.make(clone.path / "inner")
    digest = {"git_commit": inner.git("rev-parse", "HEAD").strip()}
    reason = "a git repository of its own"
    assert source(clone)["omitted"] == [{"path": "inner/", "reason": reason, "digest": digest}]
    inner.git("update-ref", "-d", "HEAD")
    assert source(clone)["omitted"] == [{"path": "inner/", "reason": reason}]


def test_the_configuration_of_a_repository_inside_is_not_obeyed(
    clone: Clone, tmp_path: Path
) -> None:
    inner = Clone.make(clone.path / "inner")
    for name in ("core.fsmonitor", "filter.x.clean"):
        inner.git("config", name, f"touch '{tmp_path}/ran'; cat")
    inner.write(".git/info/attributes", "* filter=x\n")
    inner.write("train.py", "other\n")
    assert source(clone)["omitted"][0]["digest"]
    assert not (tmp_path / "ran").exists()


def test_a_linked_work_tree(clone: Clone, tmp_path: Path) -> None:
    clone.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    side = Clone(tmp_path / "side")
    side.write("a.py", "changed on the side\n")
    found = source(side)
    assert found["ref"] == "refs/heads/side"
    assert side.git("show", f"{found['snapshot']}:a.py") == "changed on the side\n"
    assert len(clone.prov("log", "--oneline").splitlines()) == 1


def test_a_snapshot_survives_gc(clone: Clone) -> None:
    clone.write("a.py", "changed\n")
    found = source(clone)
    clone.git("checkout", "--quiet", "--", "a.py")
    clone.git("reflog", "expire", "--expire=now", "--all")
    clone.git("gc", "--quiet", "--prune=now")
    assert clone.git("show", f"{found['snapshot']}:a.py") == "changed\n"


def test_a_work_tree_that_git_cannot_read_does_not_stop_the_run(clone: Clone) -> None:
    (clone.path / ".git/index").write_bytes(b"no index")
    result = clone.prov_call("run", "--", "sh", "-c", "echo ran; exit 6")
    assert (result.returncode, result.stdout) == (6, "ran\n")
    run = json.loads(clone.prov("show", "--json"))
    assert run["source"]["dirty"] is True
    assert "snapshot" not in run["source"]
    assert run["source"]["commit"] == clone.git("rev-parse", "HEAD").strip()
    assert run["source"]["ref"] == "refs/heads/main"
    assert "tree" not in run["source"]
    assert run["missing"]["source.tree"].startswith("could not be captured: ")
    assert "could not be captured" in result.stderr
