"""Every state of a work tree: captured, pushed, fetched elsewhere, restored, byte for byte."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.repositories import Clone

State = Callable[[Clone], None]
# What a file is: how it is stored by git, and its bytes.
Tree = dict[bytes, tuple[str, bytes]]

STATES: dict[str, State] = {}


def state(make: State) -> State:
    STATES[make.__name__] = make
    return make


def work_tree(top: Path, *, ignored: frozenset[bytes] = frozenset()) -> Tree:
    """Return every file below a folder: type, executable or not, content."""
    found: Tree = {}
    for path in top.rglob("*"):
        relative = os.fsencode(path.relative_to(top))
        mode = path.lstat().st_mode
        if ".git" in path.relative_to(top).parts or relative in ignored:
            continue
        if stat.S_ISLNK(mode):
            found[relative] = ("link", os.fsencode(path.readlink()))
        elif stat.S_ISREG(mode):
            kind = "executable" if mode & stat.S_IXUSR else "file"
            found[relative] = (kind, path.read_bytes())
    return found


def untouched(clone: Clone) -> tuple[object, ...]:
    """Return all that a capture must leave as it is: the index and the files, with their times."""
    index = Path(
        clone.git("rev-parse", "--path-format=absolute", "--git-path", "index").rstrip("\n")
    )
    seen = index.lstat() if index.exists() else None
    about = (seen.st_mtime_ns, seen.st_ino, index.read_bytes()) if seen else None
    times = {
        path: path.lstat().st_mtime_ns
        for path in clone.path.rglob("*")
        if ".git" not in path.relative_to(clone.path).parts
    }
    return about, work_tree(clone.path), times


def make_origin(path: Path) -> Clone:
    """Return a repository with a little of everything, pushed to a bare one beside it."""
    clone = Clone.make(path / "repo")
    files = {f"{name}.py": f"{name}\n" * 5 for name in "abcdef"}
    clone.write("tool.sh", "#!/bin/sh\n").chmod(0o755)
    (clone.path / "to-a").symlink_to("a.py")
    (clone.path / "to-sub").symlink_to("sub")
    more = {".gitignore": "*.log\nbuild/\n", "sub/one.py": "1\n", "sub/deep/two.py": "2\n"}
    clone.commit("files", {**files, **more, "empty": ""})
    publish(clone, path)
    return clone


def publish(clone: Clone, path: Path) -> None:
    clone.git("init", "--quiet", "--bare", "--initial-branch=main", str(path / "hub.git"))
    clone.git("remote", "add", "origin", str(path / "hub.git"))
    clone.git("push", "--quiet", "origin", "HEAD:refs/heads/main", check=False)


def capture(clone: Clone) -> dict[str, Any]:
    """Record a run, check that nothing of the user's has changed, and return its manifest."""
    before = untouched(clone)
    clone.prov("run", "--quiet", "--", "true")
    assert untouched(clone) == before
    found: dict[str, Any] = json.loads(clone.prov("show", "--json"))
    return found


def restored(clone: Clone, path: Path, config: Mapping[str, str] | None = None) -> Clone:
    """Push, clone, pull there, restore the newest run into a new work tree, and return that."""
    clone.prov("push", "origin")
    options = [f"--config={name}={value}" for name, value in (config or {}).items()]
    fresh = Clone.of(str(path / "hub.git"), path / "fresh", *options)
    fresh.prov("pull")
    fresh.prov("restore", "last", "--worktree", str(path / "restored"))
    return Clone(path / "restored")


def assert_same(clone: Clone, back: Clone, run: Mapping[str, Any]) -> None:
    """Check that a restored work tree is the one that was captured, for git and for the eye."""
    lost = [
        name
        for name in clone.git("ls-files", "-oi", "--exclude-standard", "-z").split("\0")
        if name
    ]
    assert work_tree(back.path) == work_tree(
        clone.path, ignored=frozenset(os.fsencode(name) for name in lost)
    )
    source = run["source"]
    assert back.git("rev-parse", "HEAD").strip() == source.get("commit", source.get("snapshot"))
    assert back.call("git", "symbolic-ref", "-q", "HEAD").returncode == 1
    assert back.git("diff", "--cached", "--name-only") == ""
    back.git("add", "--all", "--force")
    assert back.git("write-tree").strip() == source["tree"]


@state
def clean(clone: Clone) -> None:
    pass


@state
def staged(clone: Clone) -> None:
    clone.write("a.py", "staged\n")
    clone.write("new.py", "staged and new\n")
    clone.git("add", "--all")


@state
def unstaged(clone: Clone) -> None:
    clone.write("a.py", "changed\n")


@state
def staged_and_unstaged(clone: Clone) -> None:
    clone.write("a.py", "staged\n")
    clone.git("add", "a.py")
    clone.write("a.py", "changed again\n")


@state
def deleted(clone: Clone) -> None:
    (clone.path / "a.py").unlink()
    shutil.rmtree(clone.path / "sub/deep")


@state
def deletion_staged(clone: Clone) -> None:
    clone.git("rm", "--quiet", "a.py")
    clone.git("rm", "--quiet", "--cached", "b.py")


@state
def renamed(clone: Clone) -> None:
    clone.git("mv", "a.py", "moved.py")
    (clone.path / "b.py").rename(clone.path / "sub/b.py")


@state
def renamed_in_case_only(clone: Clone) -> None:
    clone.git("mv", "a.py", "A.py")
    (clone.path / "b.py").rename(clone.path / "B.PY")


@state
def modes(clone: Clone) -> None:
    (clone.path / "a.py").chmod(0o755)
    (clone.path / "tool.sh").chmod(0o644)
    clone.write("new.sh", "#!/bin/sh\n").chmod(0o755)


@state
def modes_that_git_is_not_to_trust(clone: Clone) -> None:
    clone.git("config", "core.fileMode", "false")
    clone.write("a.py", "changed\n")
    clone.write("tool.sh", "#!/bin/sh\n: changed\n")
    clone.write("new.py", "new\n")


@state
def links(clone: Clone) -> None:
    (clone.path / "dangling").symlink_to("/nowhere/at/all")
    (clone.path / "folder").symlink_to("sub", target_is_directory=True)
    (clone.path / "out").symlink_to("../..")
    (clone.path / "to-a").unlink()
    (clone.path / "to-a").symlink_to("b.py")


@state
def link_in_place_of_file_and_back(clone: Clone) -> None:
    (clone.path / "a.py").unlink()
    (clone.path / "a.py").symlink_to("b.py")
    (clone.path / "to-a").unlink()
    clone.write("to-a", "a file now")


@state
def link_in_place_of_folder(clone: Clone) -> None:
    (clone.path / "sub").rename(clone.path / "real")
    (clone.path / "sub").symlink_to("real", target_is_directory=True)


@state
def untracked_and_ignored(clone: Clone) -> None:
    clone.write("new.py", "new\n")
    clone.write("new/deep/er.py", "deeper\n")
    clone.write("noise.log", "ignored\n")
    clone.write("build/out.py", "ignored\n")
    (clone.path / "nothing/in/here").mkdir(parents=True)


@state
def tracked_and_ignored(clone: Clone) -> None:
    clone.write("kept.log", "tracked though ignored\n")
    clone.git("add", "--force", "kept.log")
    clone.git("commit", "--quiet", "-m", "kept")
    clone.write("kept.log", "changed\n")


@state
def hidden_changes(clone: Clone) -> None:
    clone.git("update-index", "--skip-worktree", "a.py")
    clone.git("update-index", "--assume-unchanged", "b.py", "c.py")
    clone.write("a.py", "changed behind git's back\n")
    clone.write("b.py", "this one, too\n")
    (clone.path / "c.py").unlink()


@state
def split_index(clone: Clone) -> None:
    clone.git("config", "core.splitIndex", "true")
    clone.git("update-index", "--split-index")
    clone.write("new.py", "staged\n")
    clone.git("add", "new.py")
    clone.write("a.py", "changed\n")


@state
def line_ends_by_attributes(clone: Clone) -> None:
    clone.write(".gitattributes", "*.txt text eol=crlf\n*.bat text eol=crlf\n*.bin -text\n")
    clone.write("lines.txt", "one\r\ntwo\r\n")
    clone.write("-run.bat", "echo\r\n")
    clone.write("raw.bin", b"one\r\ntwo\n\0\xff")
    clone.write("mixed.py", "one\r\ntwo\n")


@state
def to_be_added(clone: Clone) -> None:
    clone.write("later.py", "git add -N\n")
    clone.git("add", "--intent-to-add", "later.py")
    clone.write("later-and-gone.py", "gone\n")
    clone.git("add", "--intent-to-add", "later-and-gone.py")
    (clone.path / "later-and-gone.py").unlink()


@state
def odd_names(clone: Clone) -> None:
    for name in (
        b"caf\xe9.txt", "café".encode(), b"with\nnewline", b'with "quotes"', b"-leading",
        b"--force", b":(glob)*.py", b"tab\there", b"back\\slash", b" space ", b"!bang",
        b"[a].py", b"#x#", b"\x01", b"deep\xff/er\n/x", b"...", b".gitx", b"con", b"a:b",
    ):  # fmt: skip
        clone.write(os.fsdecode(name), b"named " + name)


@state
def empty_files(clone: Clone) -> None:
    clone.write("a.py", "")
    clone.write("new", "")
    clone.write("empty", "not empty now")


@state
def folder_in_place_of_file_and_back(clone: Clone) -> None:
    (clone.path / "a.py").unlink()
    clone.write("a.py/inside.py", "a folder now")
    shutil.rmtree(clone.path / "sub")
    clone.write("sub", "a file now")


@state
def lfs_pointers(clone: Clone) -> None:
    """Pointers as git has them, where git-lfs is not installed."""
    clone.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12\n"
    clone.commit("pointers", {"model.bin": pointer.format("0" * 64)})
    clone.write("model.bin", pointer.format("1" * 64))
    clone.write("new.bin", b"not a pointer\r\n\0")


@state
def links_where_the_system_has_none(clone: Clone) -> None:
    """Links are plain files then, and stay links for git; new ones cannot be made."""
    clone.git("config", "core.symlinks", "false")
    for name in ("to-a", "to-sub"):
        (clone.path / name).unlink()
        clone.git("checkout", name)
    clone.write("to-a", "b.py")
    clone.write("new.py", "new\n")


@state
def detached(clone: Clone) -> None:
    clone.git("checkout", "--quiet", "--detach")
    clone.commit("on no branch", {"a.py": "committed on no branch\n"})
    clone.write("b.py", "changed\n")
    clone.run("true")
    clone.git("checkout", "--quiet", "--force", "main")
    clone.git("checkout", "--quiet", "--detach", "HEAD@{1}")
    clone.write("b.py", "changed\n")


def diverge(clone: Clone) -> None:
    """Leave two branches that conflict in every way; `main` is checked out."""
    clone.git("checkout", "--quiet", "-b", "other")
    (clone.path / "c.py").unlink()
    clone.git("mv", "d.py", "theirs.py")
    clone.commit(
        "theirs", {"a.py": "theirs\n", "added.py": "theirs\n", "b.py": "theirs\n", "x": "x"}
    )
    clone.git("checkout", "--quiet", "main")
    (clone.path / "b.py").unlink()
    clone.git("mv", "d.py", "ours.py")
    same = dict.fromkeys(("a.py", "added.py", "c.py"), "ours\n")
    clone.commit("ours", {**same, "x/y": "y"})


@state
def merge_in_conflict(clone: Clone) -> None:
    diverge(clone)
    clone.git("merge", "other", check=False)
    assert clone.git("ls-files", "--unmerged")


@state
def rebase_in_conflict(clone: Clone) -> None:
    diverge(clone)
    clone.git("rebase", "other", check=False)
    assert clone.git("ls-files", "--unmerged")


@state
def cherry_pick_in_conflict_half_resolved(clone: Clone) -> None:
    diverge(clone)
    clone.git("cherry-pick", "other", check=False)
    clone.write("a.py", "resolved\n")
    clone.git("add", "a.py")
    assert clone.git("ls-files", "--unmerged")


@state
def everything_deleted(clone: Clone) -> None:
    for name in clone.git("ls-files").splitlines():
        (clone.path / name).unlink()


@pytest.mark.parametrize("name", STATES)
def test_restored_elsewhere_byte_for_byte(name: str, tmp_path: Path) -> None:
    clone = make_origin(tmp_path)
    STATES[name](clone)
    run = capture(clone)
    assert "omitted" not in run["source"]
    assert run["source"].get("dirty", False) is (name != "clean")
    if name != "clean":
        assert capture(clone)["source"]["snapshot"] == run["source"]["snapshot"]
    links = clone.git("config", "--default", "true", "core.symlinks").strip()
    back = restored(clone, tmp_path, {"core.symlinks": links})
    there = Clone(tmp_path / "fresh")
    there.prov("restore", "last")
    assert work_tree(there.path) == work_tree(back.path)
    assert_same(clone, back, run)


@pytest.mark.parametrize("name", STATES)
def test_the_same_where_git_caches_what_is_untracked(name: str, tmp_path: Path) -> None:
    clone = make_origin(tmp_path)
    STATES[name](clone)
    expected = capture(clone)["source"]
    clone.git("config", "core.untrackedCache", "true")
    clone.git("status")
    assert "UNTR" in (clone.path / ".git/index").read_text("latin-1") or name == "split_index"
    assert capture(clone)["source"] == expected


def test_sparse_checkouts(tmp_path: Path) -> None:
    """What was not checked out is in the tree, and the record says that it was not there."""
    for number, options in enumerate(
        (["--no-cone", "/*", "!/sub/deep/"], ["--cone", "--sparse-index"])
    ):
        place = tmp_path / str(number)
        clone = make_origin(place)
        clone.git("sparse-checkout", "set", *options)
        absent = {b"sub/deep/two.py"} | ({b"sub/one.py"} if number else set())
        assert not absent & work_tree(clone.path).keys()
        clone.write("a.py", "changed\n")
        clone.write("other/new.py", "outside of what is checked out\n")
        run = capture(clone)
        assert f"{len(absent)} file" in run["missing"]["source.tree"]
        assert "sparse" in run["missing"]["source.tree"]
        full = work_tree(restored(clone, place).path)
        assert {path: full.pop(path)[0] for path in absent} == dict.fromkeys(absent, "file")
        assert full == work_tree(clone.path)


def test_a_linked_work_tree(tmp_path: Path) -> None:
    clone = make_origin(tmp_path)
    clone.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    side = Clone(tmp_path / "side")
    side.write("a.py", "changed on the side\n")
    side.write("new.py", "new\n")
    run = capture(side)
    assert run["source"]["ref"] == "refs/heads/side"
    assert_same(side, restored(side, tmp_path), run)


def test_a_branch_without_a_commit(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "repo", commit=False)
    publish(clone, tmp_path)
    clone.write("train.py", "print()\n")
    clone.write("staged.py", "print(1)\n").chmod(0o755)
    clone.git("add", "staged.py")
    run = capture(clone)
    assert "commit" not in run["source"]
    assert_same(clone, restored(clone, tmp_path), run)


def test_filters_of_the_configuration(tmp_path: Path) -> None:
    """With the same filters the same bytes; without, what git has in its place."""
    config = {
        "core.autocrlf": "true",
        "filter.rot13.clean": "tr a-z n-za-m",
        "filter.rot13.smudge": "tr a-z n-za-m",
    }
    clone = make_origin(tmp_path)
    for name, value in config.items():
        clone.git("config", name, value)
    clone.git("rm", "--cached", "-r", "--quiet", ".")
    clone.git("reset", "--quiet", "--hard")
    clone.write(".gitattributes", "*.secret filter=rot13\n".replace("\n", "\r\n"))
    clone.write("word.secret", "hello\r\n")
    clone.write("a.py", "changed\r\nlines\r\n")
    run = capture(clone)
    assert clone.git("show", f"{run['source']['snapshot']}:word.secret") == "uryyb\n"
    back = restored(clone, tmp_path, config)
    assert work_tree(back.path) == work_tree(clone.path)
    clone.prov("restore", "last", "--worktree", str(tmp_path / "beside"))
    assert work_tree(tmp_path / "beside") == work_tree(clone.path)


@pytest.mark.skipif(not shutil.which("git-lfs"), reason="needs git-lfs")
def test_real_git_lfs(tmp_path: Path) -> None:
    """Snapshots hold pointers; their content goes and comes as git-lfs has it go and come."""
    clone = make_origin(tmp_path)
    hub = f"file://{tmp_path}/hub.git"
    clone.git("remote", "set-url", "origin", hub)
    clone.git("lfs", "install", "--local")
    clone.git("lfs", "track", "*.bin")
    clone.commit("large files", {"model.bin": os.urandom(3000)})
    clone.git("push", "--quiet", "origin", "main")
    clone.write("model.bin", os.urandom(4000))
    clone.write("new.bin", os.urandom(100))
    run = capture(clone)
    why = "git-lfs or its like keeps the content, the snapshot a pointer: model.bin and 1 more"
    assert run["missing"]["source.tree"] == why
    assert "omitted" not in run["source"]  # its identity is in the pointer
    snapshot = run["source"]["snapshot"]
    pointer = clone.git("show", f"{snapshot}:new.bin")
    assert "git-lfs" in pointer
    clone.prov("restore", "last", "--worktree", str(tmp_path / "beside"))
    assert work_tree(tmp_path / "beside") == work_tree(clone.path)
    clone.prov("push", "origin")
    fresh = Clone.of(hub, tmp_path / "fresh")
    fresh.git("lfs", "install", "--local")
    fresh.prov("pull")
    said = fresh.prov("restore", "last", "--worktree", "../pointers", GIT_LFS_SKIP_SMUDGE="1")
    assert why in said
    assert (tmp_path / "pointers/new.bin").read_text() == pointer
    clone.git("lfs", "push", "--all", "origin", snapshot)
    fresh.prov("restore", "last", "--worktree", "../restored")
    assert work_tree(tmp_path / "restored") == work_tree(clone.path)


def test_line_ends_that_git_does_not_bring_back_are_told(tmp_path: Path) -> None:
    """Where attributes say so, git keeps one kind of them, and checks out one kind."""
    clone = make_origin(tmp_path)
    clone.write(".gitattributes", "*.txt text eol=lf\n*.dos text eol=crlf\n")
    clone.write("even.dos", "one\r\ntwo\r\n")
    clone.write("even.txt", "one\ntwo\n")
    clone.write("mixed.raw", "one\r\ntwo\n")
    assert "source.tree" not in capture(clone)["missing"]
    for name in ("mixed.txt", "mixed.dos"):
        clone.write(name, "one\r\ntwo\n")
    clone.write("other.txt", "one\r\ntwo\r\n")
    run = capture(clone)
    assert run["missing"]["source.tree"] == (
        "line ends or filters keep git from bringing back as it was: mixed.dos and 2 more"
    )
    said = clone.prov("restore", "last", "--worktree", str(tmp_path / "there"))
    assert run["missing"]["source.tree"] in said
    assert (tmp_path / "there/mixed.dos").read_bytes() == b"one\r\ntwo\r\n"
    assert (tmp_path / "there/mixed.txt").read_bytes() == b"one\ntwo\n"


def test_files_that_git_writes_otherwise_are_told(tmp_path: Path) -> None:
    """Git stores them as they are, and brings them back with what they do not have."""
    clone = make_origin(tmp_path)
    clone.write(".gitattributes", "*.id ident\n*.dos eol=crlf\n*.raw -text\n")
    clone.write("none.id", "no keyword\n")
    clone.write("even.dos", "one\r\n")
    assert "source.tree" not in capture(clone)["missing"]
    clone.write("one.id", "$Id$\n")
    clone.write("one.dos", "one\n")
    as_it_was = "line ends or filters keep git from bringing back as it was: "
    assert capture(clone)["missing"]["source.tree"] == f"{as_it_was}one.dos and 1 more"
    (clone.path / "one.dos").unlink()
    (clone.path / "one.id").unlink()
    clone.write("one.txt", "one\n")
    clone.write("one.raw", "one\n")
    assert "source.tree" not in capture(clone)["missing"]
    clone.git("config", "core.autocrlf", "true")
    run = capture(clone)
    changed = {".gitattributes", "none.id", "one.txt"}
    assert run["missing"]["source.tree"] == f"{as_it_was}.gitattributes and 2 more"
    clone.prov("restore", "last", "--worktree", str(tmp_path / "beside"))
    before, after = work_tree(clone.path), work_tree(tmp_path / "beside")
    untracked = {
        os.fsdecode(path) for path in before if clone.git("ls-files", os.fsdecode(path)) == ""
    }
    assert {name for name in untracked if before[name.encode()] != after[name.encode()]} == changed


def test_filters_that_lose_something_are_told(tmp_path: Path) -> None:
    clone = make_origin(tmp_path)
    for name, value in {
        "filter.strip.clean": "sed s/secret//",
        "filter.strict.clean": "cat; echo",
        "filter.strict.smudge": "false",
        "filter.strict.required": "true",
        "filter.two-way.clean": "tr a-z n-za-m",
        "filter.two-way.smudge": "tr a-z n-za-m",
    }.items():
        clone.git("config", name, value)
    clone.write(".gitattributes", "*.ipynb filter=strip\n*.x filter=strict\n*.y filter=two-way\n")
    clone.write("plain.ipynb", "nothing to strip\n")
    clone.write("word.y", "hello\n")
    assert "source.tree" not in capture(clone)["missing"]
    clone.write("out.ipynb", "a secret output\n")
    assert "it was: out.ipynb" in capture(clone)["missing"]["source.tree"]
    clone.write("word.x", "hello\n")
    assert "it was: out.ipynb and 1 more" in capture(clone)["missing"]["source.tree"]


class TestSubmodules:
    @pytest.fixture
    def clone(self, tmp_path: Path) -> Clone:
        library = Clone.make(tmp_path / "library")
        clone = make_origin(tmp_path)
        clone.git(
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            str(library.path),
            "lib",
        )
        clone.commit("library")
        clone.git("push", "--quiet", "origin", "main")
        return clone

    def outside(self, clone: Clone) -> Tree:
        return {path: what for path, what in work_tree(clone.path).items() if path[:4] != b"lib/"}

    def moved(self, clone: Clone) -> str:
        inner = Clone(clone.path / "lib")
        commit = inner.commit("further", {"more.py": "more\n"})
        inner.git("push", "--quiet", "origin", "HEAD:refs/heads/further")
        return commit

    def test_at_another_commit(self, clone: Clone, tmp_path: Path) -> None:
        commit = self.moved(clone)
        run = capture(clone)
        assert "omitted" not in run["source"]
        back = restored(clone, tmp_path)
        assert self.outside(back) == self.outside(clone)
        back.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
        assert work_tree(back.path) == work_tree(clone.path)
        assert Clone(back.path / "lib").git("rev-parse", "HEAD").strip() == commit

    @pytest.mark.parametrize("name", ["train.py", "untracked.py"])
    def test_with_changes_of_its_own(self, clone: Clone, tmp_path: Path, name: str) -> None:
        commit = self.moved(clone)
        clone.write(f"lib/{name}", "changed inside\n")
        clone.write("a.py", "changed\n")
        run = capture(clone)
        [omission] = run["source"]["omitted"]
        assert omission["path"] == "lib"
        assert "changes inside it are not" in omission["reason"]
        assert capture(clone)["source"]["omitted"] == [omission]
        clone.write(f"lib/{name}", "changed otherwise\n")
        [other] = capture(clone)["source"]["omitted"]
        assert omission["digest"].keys() == other["digest"].keys() == {"hmac_sha256"}
        assert omission["digest"] != other["digest"]
        assert f"160000 commit {commit}\tlib" in clone.git("ls-tree", run["source"]["snapshot"])
        clone.prov("push", "origin")
        back = restored(clone, tmp_path)
        assert self.outside(back) == self.outside(clone)
        assert back.prov("restore", "last").endswith("put it in place yourself\n")

    def test_in_place_its_folder_is_left_alone(self, clone: Clone) -> None:
        before = Clone(clone.path / "lib").git("rev-parse", "HEAD")
        commit = self.moved(clone)
        clone.write("a.py", "changed\n")
        capture(clone)
        clone.git("checkout", "--quiet", "a.py")
        clone.git("submodule", "--quiet", "update")
        said = clone.prov("restore", "last")
        assert f"git -C lib checkout {commit}" in said
        assert (clone.path / "a.py").read_text() == "changed\n"
        assert Clone(clone.path / "lib").git("rev-parse", "HEAD") == before
        assert clone.prov_call("restore", "last", "lib/train.py").returncode == 26

    def test_new_and_only_staged(self, clone: Clone, tmp_path: Path) -> None:
        source = str(tmp_path / "library")
        clone.git(
            "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", source, "second"
        )
        run = capture(clone)
        assert "omitted" not in run["source"]
        commit = Clone(clone.path / "second").git("rev-parse", "HEAD").strip()
        assert f"160000 commit {commit}\tsecond" in clone.git("ls-tree", run["source"]["snapshot"])

    def test_deleted(self, clone: Clone, tmp_path: Path) -> None:
        shutil.rmtree(clone.path / "lib")
        run = capture(clone)
        assert "omitted" not in run["source"]
        assert "\tlib" not in clone.git("ls-tree", run["source"]["snapshot"])
        assert work_tree(restored(clone, tmp_path).path) == work_tree(clone.path)


def test_what_cannot_be_captured_is_named(tmp_path: Path) -> None:
    clone = make_origin(tmp_path)
    inner = Clone.make(clone.path / "inner")
    large = os.urandom(1 << 20) + b"x"
    clone.write("large.bin", large)
    run = capture(clone)
    named = {item["path"]: item for item in run["source"]["omitted"]}
    assert named.keys() == {"inner/", "large.bin"}
    clone.prov("push", "origin")
    fresh = Clone.of(str(tmp_path / "hub.git"), tmp_path / "fresh")
    fresh.prov("pull")
    said = fresh.prov("restore", "last", "--worktree", "../restored")
    commit = inner.git("rev-parse", "HEAD").strip()
    assert f"inner/: a git repository of its own, at commit {commit}" in said
    assert hashlib.sha256(large).hexdigest() in said
    assert said.endswith("put it in place yourself, and compare its sha256\n")
    shown = json.loads(fresh.prov("restore", "last", "--worktree", "../again", "--json"))
    assert shown["omitted"] == list(named.values())


def test_no_hook_runs_for_an_index_that_is_not_the_users(tmp_path: Path) -> None:
    clone = make_origin(tmp_path)
    hidden_changes(clone)
    hook = clone.path / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    hook.chmod(0o755)
    clone.write("d.py", "changed\n")
    clone.git("add", "d.py")
    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").unlink()
    assert capture(clone)["source"]["snapshot"]
    assert not (tmp_path / "ran").exists()


def test_a_clone_that_has_no_content_yet(tmp_path: Path) -> None:
    """A partial clone gets what it lacks while it restores."""
    clone = make_origin(tmp_path)
    unstaged(clone)
    run = capture(clone)
    clone.prov("push", "origin")
    for name in ("allowFilter", "allowAnySHA1InWant"):
        Clone(tmp_path / "hub.git").git("config", f"uploadpack.{name}", "true")
    url = f"file://{tmp_path}/hub.git"
    fresh = Clone.of(url, tmp_path / "fresh", "--filter=blob:none", "--no-checkout")
    fresh.prov("pull")
    fresh.prov("restore", "last", "--worktree", "../restored")
    assert_same(clone, Clone(tmp_path / "restored"), run)
