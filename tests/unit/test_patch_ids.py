"""Patch ids of the source: plain git is the oracle, and no setting, cache or clone changes them."""

import os
import shutil
import subprocess
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from gitprov.capture import patch_ids
from gitprov.capture.patch_ids import Patches, PatchIds
from gitprov.capture.source import capture_source
from gitprov.capture.word_cache import MAX_BYTES, WordCache
from gitprov.store.patch_ids import DIFF_OPTIONS
from gitprov.store.repository import Repository
from tests.support.repositories import Clone, clean_environment

CHANGES: dict[str, Callable[[Clone], object]] = {
    "lines": lambda clone: clone.write("a.py", "one\n\ntwo \n\tthree\nfour"),
    "binary": lambda clone: clone.write("a.bin", b"\0" + bytes(range(256))),
    "binary file gone": lambda clone: (clone.path / "old.bin").unlink(),
    "mode": lambda clone: (clone.path / "a.py").chmod(0o755),
    "empty file": lambda clone: clone.write("empty", ""),
    "file gone": lambda clone: (clone.path / "a.py").unlink(),
    "renamed": lambda clone: (clone.path / "a.py").rename(clone.path / "moved.py"),
    "odd names": lambda clone: [
        clone.write(os.fsdecode(name), "x\n")
        for name in (b"caf\xe9", "café".encode(), b'q"', b"n\nl", b" ")
    ],
    "link": lambda clone: (clone.path / "link").symlink_to("a.py"),
    "functions": lambda clone: clone.write(
        "f.py", "".join(f"def f{n}():\n\n    x = {n}\n\n    return x\n\n\n" for n in (1, 2, 9, 3))
    ),
}
LINES = "one\n\ntwo\nthree\n"
FUNCTIONS = "".join(f"def f{n}():\n\n    x = {n}\n\n    return x\n\n\n" for n in (1, 2, 3))


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "repo")
    clone.commit("more", {"a.py": LINES, "f.py": FUNCTIONS, "old.bin": b"\0old"})
    return clone


def patches(clone: Clone) -> Patches:
    repository = Repository.discover(clone.path)
    with PatchIds(repository) as made:
        return made.collect(clone.git("rev-parse", "HEAD").strip())


def by_git(clone: Clone, *command: str) -> str:
    """Return what `git patch-id` says of a diff, with no settings of anybody."""
    diff = subprocess.run(
        ["git", *command], cwd=clone.path, env=clean_environment(), check=True, capture_output=True
    )
    said = subprocess.run(
        ["git", "patch-id", "--stable"], cwd=clone.path, env=clean_environment(),
        input=diff.stdout, check=True, capture_output=True,
    )  # fmt: skip
    return said.stdout.decode()[:40]


def forget(clone: Clone) -> None:
    shutil.rmtree(clone.path / ".git/prov", ignore_errors=True)


def branch(clone: Clone, name: str = "topic") -> list[str]:
    """Commit three times on a new branch; return what it left and the commits."""
    start = clone.git("rev-parse", "HEAD").strip()
    clone.git("checkout", "--quiet", "-b", name)
    return [start, *[clone.commit(f"c{n}", {f"{name}{n}": "x\n" * n}) for n in (1, 2, 3)]]


def fake_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, then: str) -> None:
    """Put a git before the one on PATH that does something else for one verb."""
    real = shutil.which("git")
    script = tmp_path / f"without {verb}" / "git"
    script.parent.mkdir()
    chosen = f'case " $* " in *" {verb} "*) {then};; esac'
    script.write_text(f"#!/bin/sh\n{chosen}\nexec '{real}' \"$@\"\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("name", CHANGES)
def test_as_plain_git_has_it(name: str, clone: Clone) -> None:
    CHANGES[name](clone)
    clone.commit(name)
    expected = by_git(clone, "show", "--full-index", "--no-renames")
    assert len(expected) == 40
    assert patches(clone) == Patches(patch_id=expected)


def test_the_specification_names_the_options() -> None:
    specification = Path(__file__).parents[2] / "docs/format/spec-v1.md"
    _, _, rest = specification.read_text().partition("git diff-tree -p ")
    assert sorted(["-p", *rest.partition("```")[0].split()]) == sorted(DIFF_OPTIONS)


def test_of_the_first_commit(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "repo")
    assert patches(clone).patch_id == by_git(clone, "diff-tree", "-p", "--root", "HEAD")


@pytest.mark.parametrize("name", CHANGES)
def test_no_setting_changes_it(
    name: str, clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CHANGES[name](clone)
    clone.commit(name)
    expected = patches(clone).patch_id
    forget(clone)
    order = tmp_path / "order"
    order.write_text("z*\n*\n")
    attributes = "* diff=odd\n*.py -diff\n"
    for setting, value in {
        "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.srcPrefix": "x/",
        "diff.renames": "copies", "diff.algorithm": "patience", "diff.external": "false",
        "diff.context": "9", "diff.interHunkContext": "9", "diff.indentHeuristic": "false",
        "diff.suppressBlankEmpty": "true", "diff.orderFile": str(order), "diff.relative": "true",
        "diff.ignoreSubmodules": "all", "diff.submodule": "log", "diff.wsErrorHighlight": "all",
        "diff.colorMoved": "zebra", "color.ui": "always", "color.diff": "always",
        "core.quotePath": "false", "core.bigFileThreshold": "1", "core.abbrev": "4",
        "core.attributesFile": str(tmp_path / "attributes"), "patchid.stable": "false",
        "patchid.verbatim": "true", "diff.odd.textconv": "tr a-z A-Z <",
        "diff.odd.command": "false", "diff.odd.binary": "true", "diff.odd.algorithm": "histogram",
    }.items():  # fmt: skip
        clone.git("config", setting, value)
    (tmp_path / "attributes").write_text(attributes)
    clone.write(".gitattributes", attributes)
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("GIT_DIFF_OPTS", "--unified=7")
    assert by_git(clone, "show") != expected
    assert patches(clone).patch_id == expected
    clone.git("add", ".gitattributes")
    forget(clone)
    assert patches(clone).patch_id == expected


def test_commits_without_one_say_why(clone: Clone) -> None:
    clone.commit("nothing")
    assert patches(clone) == Patches(missing={"source.patch_id": "there is no difference"})
    branch(clone)
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-ff", "topic")
    assert patches(clone) == Patches(missing={"source.patch_id": "the commit has several parents"})


def test_a_branch_has_that_of_its_squash_merge(clone: Clone) -> None:
    start, *_ = branch(clone)
    clone.git("checkout", "--quiet", "main")
    other = clone.commit("meanwhile", {"other.py": "other\n"})
    clone.git("checkout", "--quiet", "topic")
    found = patches(clone).series
    assert found is not None
    assert found.base == start
    clone.git("merge", "--quiet", "main")
    merged = patches(clone)
    assert merged.patch_id is None
    assert merged.series is not None
    assert merged.series.base == other
    assert merged.series.patch_id == found.patch_id
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--squash", "topic")
    clone.commit("squashed")
    assert patches(clone) == Patches(patch_id=found.patch_id)


def test_a_branch_of_one_commit(clone: Clone) -> None:
    clone.git("checkout", "--quiet", "-b", "topic")
    clone.commit("one", {"one.py": "1\n"})
    found = patches(clone)
    assert found.series is not None
    assert found.series.patch_id == found.patch_id


def test_which_branch_is_the_default_one(clone: Clone, tmp_path: Path) -> None:
    def base(at: str) -> str | None:
        clone.git("checkout", "--quiet", "--detach", at)
        series = patches(clone).series
        return series.base if series else None

    zero, one, two, three = branch(clone, "trunk")
    assert base("trunk") == zero
    clone.git("branch", "-m", "main", "master")
    assert base("trunk") == zero
    hub = tmp_path / "hub.git"
    clone.git("init", "--quiet", "--bare", str(hub))
    clone.git("remote", "add", "company", str(hub))
    clone.git("push", "--quiet", "company", f"{one}:refs/heads/master")
    assert base("trunk") == one
    clone.git("push", "--quiet", "company", f"{two}:refs/heads/main")
    assert base("trunk") == two
    clone.git("push", "--quiet", "company", "trunk")
    clone.git("remote", "set-head", "company", "trunk")
    assert base("trunk") is None
    assert base(two) is None
    clone.commit("ahead", {"ahead.py": "1\n"})
    assert base("HEAD") == two
    clone.git("remote", "remove", "company")
    clone.git("checkout", "--quiet", "trunk")
    clone.git("branch", "--quiet", "-D", "master")
    assert "no default branch is known" in patches(clone).missing["source.series"]
    assert three


def test_a_branch_with_nothing_in_common(clone: Clone) -> None:
    clone.git("checkout", "--quiet", "--orphan", "pages")
    clone.commit("pages", {"index.html": "<p>\n"})
    assert "nothing in common" in patches(clone).missing["source.series"]


def test_a_large_diff_is_stopped(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch_ids, "MAX_DIFF_BYTES", 1 << 17)
    clone.commit("large", {"large.txt": "x\n" * (1 << 22)})
    found = patches(clone)
    assert found.patch_id is None
    assert "larger than" in found.missing["source.patch_id"]
    assert patches(clone) == found  # from the cache


def test_what_takes_too_long_is_stopped(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch(clone)
    commit = clone.git("rev-parse", "HEAD").strip()
    pid = tmp_path / "pid"
    fake_git(tmp_path, monkeypatch, "diff-tree", f"echo $$ > {pid}; exec sleep 600")
    with PatchIds(Repository.discover(clone.path), seconds=0.5) as made:
        found = made.collect(commit)
    assert found.patch_id is None
    assert "longer" in found.missing["source.patch_id"]
    assert not pid.exists() or not Path("/proc", pid.read_text().strip()).exists()


def test_what_is_not_in_the_clone_is_neither_guessed_nor_fetched(
    clone: Clone, tmp_path: Path
) -> None:
    for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        clone.git("config", name, "true")
    clone.commit("further", {"a.py": "changed\n"})
    url = f"file://{clone.path}"
    shallow = Clone.of(url, tmp_path / "shallow", "--depth=1")
    partial = Clone.of(url, tmp_path / "partial", "--filter=blob:none", "--no-checkout")
    for incomplete in (shallow, partial):
        before = incomplete.git("count-objects", "-v")
        found = patches(incomplete)
        assert found.patch_id is None
        assert "not all in this clone" in found.missing["source.patch_id"]
        assert incomplete.git("count-objects", "-v") == before
    shallow.git("fetch", "--quiet", "--unshallow")
    assert patches(shallow) == patches(clone)


def test_a_run_is_captured_whatever_becomes_of_it(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "workspace").mkdir()
    fake_git(tmp_path, monkeypatch, "patch-id", "exit 1")
    clone.write("a.py", "changed\n")
    found = capture_source(Repository.discover(clone.path), tmp_path / "workspace")
    assert found.source is not None
    assert found.source.snapshot
    assert found.source.patch_id is None
    assert "could not be made" in found.missing["source.patch_id"]


def test_head_that_moves_meanwhile(clone: Clone) -> None:
    with PatchIds(Repository.discover(clone.path)) as made:
        found = made.collect("0" * 40)
        assert made.commit_at("0" * 40) is None
    assert found == Patches(missing={"source.patch_id": "HEAD has moved while it was made"})


def test_a_branch_without_a_commit_says_nothing(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "repo", commit=False)
    with PatchIds(Repository.discover(clone.path)) as made:
        assert made.collect(None) == Patches()


def test_they_are_made_once_for_each_commit(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch(clone)
    found = patches(clone)
    assert found.series is not None
    for verb in ("diff-tree", "merge-base", "patch-id"):
        fake_git(tmp_path, monkeypatch, verb, "exit 1")
        assert patches(clone) == found
    forget(clone)
    assert patches(clone) != found


class TestCache:
    def test_many_at_once_lose_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "cache"
        with ThreadPool(8) as pool:
            pool.map(lambda n: WordCache(path).put(f"key {n}", f"word{n}"), range(200))
        assert all(WordCache(path).get(f"key {n}") == f"word{n}" for n in range(200))
        assert WordCache(path).get("key") is None
        assert WordCache(path).get("ey 1") is None

    def test_what_is_damaged_is_not_there(self, tmp_path: Path) -> None:
        path = tmp_path / "cache"
        WordCache(path).put("a", "first")
        WordCache(path).put("a", "second")
        whole = path.read_bytes()
        for damaged in (whole[:-1], whole[:-9] + b"\n", whole.replace(b"second", b"sacond")):
            path.write_bytes(damaged)
            assert WordCache(path).get("a") in ("first", "second" if damaged[:-1] else None)
            assert WordCache(path).get("a") != "sacond"
        path.write_bytes(whole[: len(whole) - 5])
        WordCache(path).put("b", "third")  # behind a torn line
        WordCache(path).put("c", "fourth")
        assert WordCache(path).get("a") == "first"
        assert WordCache(path).get("c") == "fourth"

    def test_it_is_bounded_and_keeps_what_is_new(self, tmp_path: Path) -> None:
        path = tmp_path / "cache"
        line = "x" * 1000
        for number in range(300):
            WordCache(path).put(f"key {number}", line)
        assert path.stat().st_size <= MAX_BYTES + 2000
        assert WordCache(path).get("key 299") == line
        assert WordCache(path).get("key 0") is None

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "cache").mkdir()
        cache = WordCache(tmp_path / "cache")
        cache.put("a", "word")
        assert cache.get("a") == "word"
        assert WordCache(tmp_path / "cache").get("a") is None
