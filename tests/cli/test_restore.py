"""`git prov restore` in the present work tree: what it writes, and above all what it does not."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.support import runs
from tests.support.repositories import Clone

IN_THE_WAY = 35
UNSAFE = 36


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Return a repository with a run from a dirty tree, and clean again."""
    clone = Clone.make(tmp_path / "repo")
    clone.commit("files", {"a.py": "a\n", "gone.py": "gone\n", "sub/c.py": "c\n", "same": "same\n"})
    clone.write("a.py", "a of the run\n")
    clone.write("sub/new.py", "new in the run\n").chmod(0o755)
    (clone.path / "gone.py").unlink()
    clone.run("true")
    clean(clone)
    return clone


def clean(clone: Clone) -> None:
    clone.git("reset", "--quiet", "--hard")
    clone.git("clean", "-ffdqx")


def status(clone: Clone) -> list[str]:
    return clone.git("status", "--porcelain", "--untracked-files=all").splitlines()


def refused(clone: Clone, words: str, *arguments: str, code: int = IN_THE_WAY) -> None:
    """Check that nothing is done, with one line that says why."""
    before = status(clone)
    result = clone.prov_call("restore", *arguments)
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert words in line
    assert status(clone) == before


RESTORED = [" M a.py", " D gone.py", "?? sub/new.py"]


def test_all_of_it(clone: Clone) -> None:
    index = (clone.path / ".git/index").read_bytes()
    said = clone.prov("restore", "last")
    assert "2 files written, 1 deleted, 3 as they were" in said
    assert (clone.path / ".git/index").read_bytes() == index
    assert status(clone) == RESTORED
    assert (clone.path / "a.py").read_text() == "a of the run\n"
    assert os.access(clone.path / "sub/new.py", os.X_OK)
    assert "0 files written, 0 deleted" in clone.prov("restore", "last")


def test_from_another_commit_and_from_a_subfolder(clone: Clone) -> None:
    clone.commit("later", {"a.py": "later\n", "sub/later.py": "later\n"})
    Clone(clone.path / "sub").prov("restore", "last")
    assert status(clone) == [" M a.py", " D gone.py", " D sub/later.py", "?? sub/new.py"]


def test_a_folder_goes_with_its_last_file(clone: Clone) -> None:
    clone.commit("later", {"later/on/x.py": "x\n", "here/y.py": "y\n"})
    Clone(clone.path / "here").prov("restore", "last")
    assert not (clone.path / "later").exists()
    assert (clone.path / "here").is_dir()  # somebody stands there


def test_the_source_of_a_clean_run(clone: Clone) -> None:
    run = clone.run("true")
    clone.commit("later", {"a.py": "later\n", "later.py": "later\n"})
    clone.prov("restore", run)
    assert status(clone) == [" M a.py", " D later.py"]
    assert clone.git("diff", "HEAD~1") == ""


def test_paths(clone: Clone) -> None:
    inside = Clone(clone.path / "sub")
    inside.prov("restore", "last", ".")
    assert status(clone) == ["?? sub/new.py"]
    inside.prov("restore", "last", "../gone.py", str(clone.path / "a.py"))
    assert status(clone) == RESTORED
    clean(clone)
    inside.prov("restore", "last", "..")
    assert status(clone) == RESTORED
    refused(clone, "no file and no folder nowhere", "last", "nowhere", code=26)
    refused(clone, "not in the work tree", "last", "../elsewhere", code=26)
    refused(clone, "not in the work tree", "last", "/etc/passwd", code=26)


def test_dry_run_and_json(clone: Clone) -> None:
    said = clone.prov("restore", "last", "--dry-run")
    assert "write  a.py" in said
    assert "delete gone.py" in said
    assert status(clone) == []
    shown = json.loads(clone.prov("restore", "last", "--dry-run", "--json"))
    assert (shown["written"], shown["deleted"]) == (["a.py", "sub/new.py"], ["gone.py"])
    done = json.loads(clone.prov("restore", "last", "--json"))
    assert done == {**shown, "dry_run": False}
    assert done["schema"] == "restore.1"
    assert done["unchanged"] == 3
    assert status(clone) == RESTORED
    folder = clone.path.parent / "new"
    shown = json.loads(clone.prov("restore", "last", "--worktree", "../new", "--dry-run", "--json"))
    assert not folder.exists()
    done = json.loads(clone.prov("restore", "last", "--worktree", "../new", "--json"))
    assert done == {**shown, "dry_run": False}
    assert done["worktree"] == str(folder)


class TestUncommittedWork:
    @pytest.mark.parametrize("stage", [False, True])
    def test_a_change(self, clone: Clone, *, stage: bool) -> None:
        clone.write("a.py", "my work\n")
        if stage:
            clone.git("add", "a.py")
        refused(clone, "would be overwritten: a.py", "last")
        refused(clone, "would be overwritten: a.py", "last", "--dry-run")
        assert (clone.path / "a.py").read_text() == "my work\n"
        clone.prov("restore", "last", "sub", "gone.py")
        clone.prov("restore", "last", "--force")
        assert (clone.path / "a.py").read_text() == "a of the run\n"

    def test_a_change_that_is_hidden_from_git(self, clone: Clone) -> None:
        clone.git("update-index", "--assume-unchanged", "a.py")
        clone.write("a.py", "my work\n")
        refused(clone, "a.py", "last")

    def test_in_a_file_that_the_run_did_not_have(self, clone: Clone) -> None:
        clone.write("gone.py", "my work\n")
        refused(clone, "would be overwritten: gone.py", "last")
        clone.prov("restore", "last", "--force")
        assert not (clone.path / "gone.py").exists()

    def test_a_change_that_is_the_runs_own_is_not_in_the_way(self, clone: Clone) -> None:
        clone.write("a.py", "a of the run\n")
        clone.prov("restore", "last")
        assert status(clone) == RESTORED

    def test_changes_elsewhere_stay(self, clone: Clone) -> None:
        clone.write("mine.py", "untracked\n")
        clone.write("staged.py", "staged\n")
        clone.git("add", "staged.py")
        refused(clone, "staged.py", "last")
        clone.git("rm", "--quiet", "--cached", "staged.py")
        clone.prov("restore", "last")
        assert (clone.path / "mine.py").exists()
        assert (clone.path / "staged.py").exists()

    @pytest.mark.parametrize("ignored", [False, True])
    def test_an_untracked_file(self, clone: Clone, *, ignored: bool) -> None:
        clone.write("sub/new.py", "my work\n")
        if ignored:
            (clone.path / ".git/info/exclude").write_text("new.py\n")
        refused(clone, "would be overwritten: sub/new.py", "last")
        clone.prov("restore", "last", "--force")
        assert (clone.path / "sub/new.py").read_text() == "new in the run\n"

    def test_a_folder_with_an_untracked_file(self, clone: Clone) -> None:
        clone.write("sub/new.py/deep/mine.py", "my work\n")
        refused(clone, "would be overwritten: sub/new.py/deep/mine.py", "last")
        clone.prov("restore", "last", "--force")
        assert (clone.path / "sub/new.py").read_text() == "new in the run\n"

    def test_a_link_in_place_of_a_folder_is_not_followed(
        self, clone: Clone, tmp_path: Path
    ) -> None:
        elsewhere = tmp_path / "elsewhere"
        (clone.path / "sub").rename(elsewhere)
        (elsewhere / "gone.py").write_text("theirs\n")
        (clone.path / "sub").symlink_to(elsewhere)
        refused(clone, "would be overwritten: sub;", "last")
        clone.prov("restore", "last", "--force")
        assert sorted(path.name for path in elsewhere.iterdir()) == ["c.py", "gone.py"]
        assert not (clone.path / "sub").is_symlink()
        assert (clone.path / "sub/new.py").read_text() == "new in the run\n"

    def test_a_deletion_behind_a_link_is_not_followed(self, clone: Clone, tmp_path: Path) -> None:
        clone.commit("later", {"later/x.py": "x\n"})
        (clone.path / "later").rename(tmp_path / "elsewhere")
        (clone.path / "later").symlink_to(tmp_path / "elsewhere")
        clone.prov("restore", "last", "--force")
        assert (tmp_path / "elsewhere/x.py").exists()

    def test_a_repository_inside_is_never_touched(self, clone: Clone) -> None:
        clean(clone)
        (clone.path / "sub/c.py").unlink()
        Clone.make(clone.path / "sub/c.py")
        for options in ([], ["--force"]):
            refused(clone, "a repository of its own is in the way: sub/c.py", "last", *options)
        clean(clone)
        Clone(clone.path / "sub").git("init", "--quiet")
        for options in ([], ["--force"]):
            refused(clone, "a repository of its own is in the way: sub;", "last", *options)

    def test_a_merge_in_conflict(self, clone: Clone) -> None:
        clone.git("checkout", "--quiet", "-b", "other")
        clone.commit("theirs", {"a.py": "theirs\n"})
        clone.git("checkout", "--quiet", "main")
        clone.commit("ours", {"a.py": "ours\n"})
        clone.git("merge", "other", check=False)
        assert clone.prov_call("restore", "last").returncode == IN_THE_WAY
        assert status(clone) == ["UU a.py"]
        clone.prov("restore", "last", "--force")
        assert (clone.path / "a.py").read_text() == "a of the run\n"
        assert clone.git("ls-files", "--unmerged")


class TestWorktree:
    def test_changes_are_uncommitted_and_head_is_detached(self, clone: Clone) -> None:
        commit = clone.git("rev-parse", "HEAD").strip()
        clone.git("checkout", "--quiet", "--orphan", "unrelated")
        clone.commit("unrelated")
        Clone(clone.path / "sub").prov("restore", "last", "--worktree", "../../new")
        new = Clone(clone.path.parent / "new")
        assert new.git("rev-parse", "HEAD").strip() == commit
        assert new.git("symbolic-ref", "-q", "HEAD", check=False) == ""
        assert status(new) == RESTORED
        assert status(clone) == []
        Clone(new.path / "sub").prov("restore", "last", "--force")
        new.prov("run", "--quiet", "--", "true")
        [again, first] = [json.loads(line) for line in new.prov("log", "--json").splitlines()]
        assert again["source"]["snapshot"] == first["source"]["snapshot"]

    def test_paths_alone(self, clone: Clone) -> None:
        clone.prov("restore", "last", "sub", "--worktree", "../new")
        new = Clone(clone.path.parent / "new")
        assert status(new) == ["?? sub/new.py"]

    def test_a_folder_that_is_there(self, clone: Clone) -> None:
        there = clone.path.parent / "there"
        there.mkdir()
        clone.prov("restore", "last", "--worktree", str(there))
        assert status(Clone(there)) == RESTORED
        for options in ([], ["--force"]):
            refused(clone, "is there already", "last", "--worktree", "../there", *options)
        shutil.rmtree(there)
        refused(clone, "git has a work tree on its list", "last", "--worktree", "../there")
        clone.prov("restore", "last", "--worktree", "../there", "--force")
        assert status(Clone(there)) == RESTORED
        (clone.path.parent / "link").symlink_to("/nowhere/at/all")
        refused(clone, "is there already", "last", "--worktree", "../link")

    def test_a_branch_without_a_commit(self, tmp_path: Path) -> None:
        clone = Clone.make(tmp_path / "new", commit=False)
        clone.write("train.py", "print()\n")
        clone.run("true")
        said = clone.prov("restore", "last", "--worktree", "../there")
        assert "the snapshot itself is checked out" in said
        assert (tmp_path / "there/train.py").read_text() == "print()\n"
        clone.prov("restore", "last")

    def test_a_bare_repository(self, clone: Clone, tmp_path: Path) -> None:
        clone.git("clone", "--quiet", "--mirror", ".", str(tmp_path / "bare.git"))
        bare = Clone(tmp_path / "bare.git")
        assert bare.prov_call("restore", "last").returncode == 12
        bare.prov("restore", "last", "--worktree", "../there")
        assert status(Clone(tmp_path / "there")) == RESTORED

    def test_within_the_git_directory(self, clone: Clone) -> None:
        said = Clone(clone.path / ".git").prov_call("restore", "last")
        assert said.returncode == 12
        assert f"{clone.path}/.git is a git directory; run this in its work tree" in said.stderr

    def test_no_hook_runs(self, clone: Clone, tmp_path: Path) -> None:
        for name in ("post-checkout", "post-index-change"):
            hook = clone.path / ".git/hooks" / name
            hook.parent.mkdir(exist_ok=True)
            hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
            hook.chmod(0o755)
        clone.prov("restore", "last", "--worktree", "../new")
        clone.prov("restore", "last")
        assert not (tmp_path / "ran").exists()

    def test_a_failure_leaves_no_work_tree(self, clone: Clone) -> None:
        clone.write(".gitattributes", "*.py filter=broken\n")
        clone.run("true")
        clone.git("config", "filter.broken.smudge", "false")
        clone.git("config", "filter.broken.required", "true")
        result = clone.prov_call("restore", "last", "--worktree", "../new")
        assert result.returncode == 40
        assert "git checkout-index failed" in result.stderr
        assert not (clone.path.parent / "new").exists()
        assert len(clone.git("worktree", "list").splitlines()) == 1


def test_a_sparse_checkout_stays_sparse(clone: Clone) -> None:
    clone.git("sparse-checkout", "set", "--no-cone", "/*", "!/same")
    clone.prov("restore", "last")
    assert status(clone) == RESTORED
    assert not (clone.path / "same").exists()
    clone.prov("restore", "last", "same")
    assert (clone.path / "same").read_text() == "same\n"


def test_attributes_of_the_run_decide(clone: Clone) -> None:
    clone.write(".gitattributes", "*.txt text eol=crlf\n")
    clone.write("-first.txt", "one\r\n")
    clone.run("true")
    clean(clone)
    clone.write(".gitattributes", "*.txt text eol=lf\n")
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "-m", "other attributes")
    clone.prov("restore", "last")
    assert (clone.path / "-first.txt").read_bytes() == b"one\r\n"


def test_what_was_left_out_stays_as_it_is_here(clone: Clone) -> None:
    clone.git("config", "prov.snapshot.maxFileSize", "20")
    clone.commit("short", {"data.bin": "short\n"})
    large = "longer than what may be kept\n"
    clone.write("data.bin", large)
    clone.run("true")
    clean(clone)
    said = clone.prov("restore", "last")
    assert "left out  data.bin: larger than prov.snapshot.maxFileSize" in said
    assert "left out  data.bin" in clone.prov("restore", "last", "data.bin")
    assert hashlib.sha256(large.encode()).hexdigest() in said
    assert (clone.path / "data.bin").read_text() == "short\n"
    assert status(clone) == []
    clone.prov("restore", "last", "--worktree", "../new")
    # Not with other content than the run had.
    assert status(Clone(clone.path.parent / "new")) == [" D data.bin"]


def test_what_a_failure_leaves_undone_is_named(clone: Clone) -> None:
    names = [f"{number}.x" for number in range(8)]
    clone.commit("files", dict.fromkeys(names, "before\n") | {".gitattributes": "3.x filter=x\n"})
    for name in names:
        clone.write(name, "after\n")
    clone.run("true")
    clean(clone)
    for name, value in {"clean": "cat", "smudge": "false", "required": "true"}.items():
        clone.git("config", f"filter.x.{name}", value)
    said = clone.prov_call("restore", "last")
    assert said.returncode == 40
    left = [name for name in names if not (clone.path / name).exists()
            or (clone.path / name).read_text() != "after\n"]  # fmt: skip
    assert "3.x" in left
    assert f"{len(left)} of 8 files could not be written: {', '.join(left[:5])}" in said.stderr
    clone.git("config", "filter.x.smudge", "cat")
    clone.prov("restore", "last")
    assert {(clone.path / name).read_text() for name in names} == {"after\n"}


class TestMissing:
    def test_no_snapshot_could_be_made(self, clone: Clone) -> None:
        clone.write("a.py", "changed\n")
        index = clone.path / ".git/index"
        before = index.read_bytes()
        index.write_bytes(b"torn")
        clone.prov_call("run", "--", "true")
        index.write_bytes(before)
        clean(clone)
        refused(clone, "were not captured: could not be captured", "last", code=25)

    def test_sources_that_were_not_fetched(self, clone: Clone, tmp_path: Path) -> None:
        bare = tmp_path / "hub.git"
        clone.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        clone.git("remote", "add", "origin", str(bare))
        clone.prov("init")
        clone.git("push", "--quiet", "origin", "main")
        fresh = Clone.of(str(bare), tmp_path / "fresh")
        fresh.prov("init")
        refused(fresh, "git prov pull", "last", code=25)
        clone.prov("push")
        fresh.prov("pull")
        fresh.prov("restore", "last")
        assert status(fresh) == RESTORED


def raw_tree(clone: Clone, *entries: tuple[str, bytes, str]) -> str:
    """Write a tree as no git would make it."""
    data = b"".join(
        mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries
    )
    (clone.path.parent / "raw").write_bytes(data)
    options = ("-t", "tree", "--literally", "-w", "--", str(clone.path.parent / "raw"))
    return clone.git("hash-object", *options).strip()


def recorded(clone: Clone, **source: str) -> str:
    """Record a run whose source is as its writer says, and return its id."""
    store = clone.store()
    [run] = runs.record(store, source={**source, "dirty": "snapshot" in source})
    store.close()
    return run


def hostile_run(clone: Clone, tree: str) -> str:
    head = clone.git("rev-parse", "HEAD").strip()
    snapshot = clone.git("commit-tree", tree, "-p", head, "-m", "x").strip()
    return recorded(clone, commit=head, tree=tree, snapshot=snapshot)


HOSTILE_NAMES = [
    b".git", b".GIT", b".Git", b"..", b".", b"a/../../x", b"/etc/x", b"../x", b"sub/../../x",
    b"git~1", b"GIT~1", b".git ", b".git.", b".git::$INDEX_ALLOCATION", b".git\\config",
    ".g\u200cit".encode(), ".git\u200d".encode(), "\ufeff.git".encode(),
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_refused_before_anything_is_written(tmp_path: Path, name: bytes) -> None:
    clone = Clone.make(tmp_path / "repo")
    blob = clone.git("hash-object", "-w", "train.py").strip()
    good = ("100644", b"!good", blob)
    folder = raw_tree(clone, good, ("40000", name, raw_tree(clone, ("100644", b"config", blob))))
    file = hostile_run(clone, raw_tree(clone, good, ("100644", name, blob)))
    nested = hostile_run(clone, raw_tree(clone, good, ("40000", b"sub", folder)))
    config = (clone.path / ".git/config").read_bytes()
    before = sorted(tmp_path.iterdir())
    for options in ([file], [file, "--force"], [nested], [nested, "--worktree", "../new"]):
        refused(clone, "nothing was written", *options, code=UNSAFE)
    assert (clone.path / ".git/config").read_bytes() == config
    assert sorted(tmp_path.iterdir()) == before
    assert not (clone.path / "!good").exists()


@pytest.mark.parametrize("first", ["link", "folder"])
def test_a_name_that_is_link_and_folder_at_once(tmp_path: Path, first: str) -> None:
    clone = Clone.make(tmp_path / "repo")
    (tmp_path / "outside").mkdir()
    (tmp_path / "target").write_text(str(tmp_path / "outside"))
    target = clone.git("hash-object", "-w", str(tmp_path / "target")).strip()
    blob = clone.git("hash-object", "-w", "train.py").strip()
    folder = raw_tree(clone, ("100644", b"x", blob))
    both = [("120000", b"d", target), ("40000", b"d", folder)]
    run = hostile_run(clone, raw_tree(clone, *(both if first == "link" else reversed(both))))
    for options in ([], ["--force"], ["--worktree", "../new"]):
        refused(clone, "nothing was written", run, *options, code=UNSAFE)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_record_that_names_another_tree(clone: Clone) -> None:
    head = clone.git("rev-parse", "HEAD").strip()
    tree = clone.git("rev-parse", "HEAD~1^{tree}").strip()
    refused(clone, "git prov verify", recorded(clone, commit=head, tree=tree), code=31)
