"""Patch ids in bulk: plain git is the oracle. `test_patch_ids.py` has those of the source."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from gitprov.errors import GitFailed
from gitprov.store.git import Git
from gitprov.store.patch_ids import content_sizes, file_changes, patch_ids, series_patch_ids
from tests.support.repositories import Clone, clean_environment


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "repo")


def git(clone: Clone) -> Git:
    return clone.store().repository.git


def tree(clone: Clone, name: str) -> str:
    return clone.git("rev-parse", f"{name}^{{tree}}").strip()


def by_git(clone: Clone, *command: str) -> str:
    diff = subprocess.run(
        ["git", *command, "--full-index", "--no-renames"], cwd=clone.path,
        env=clean_environment(), check=True, capture_output=True,
    ).stdout  # fmt: skip
    said = subprocess.run(
        ["git", "patch-id", "--stable"], cwd=clone.path, env=clean_environment(), input=diff,
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    return said.decode()[:40]


def series(clone: Clone, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return the patch ids of what names have beyond others."""
    asked = [(tree(clone, name), tree(clone, base)) for name, base in pairs]
    made = series_patch_ids(git(clone), [f"{new} {base}" for new, base in asked])
    return [made[new] for new, _ in asked]


def sizes(clone: Clone, names: Iterable[str]) -> dict[str, int | None]:
    return content_sizes(git(clone), file_changes(git(clone), names))


def commits(clone: Clone) -> list[str]:
    return [
        clone.git("rev-parse", "HEAD").strip(),
        clone.commit("lines", {"train.py": "one\n\n two\n", "empty": "", "a b\n.py": "x\n"}),
        clone.commit("bytes", {"a.bin": bytes(range(256))}),
        clone.commit("other bytes", {"a.bin": bytes(range(255, -1, -1)), "train.py": "one\n"}),
    ]


def test_of_commits(clone: Clone) -> None:
    made = commits(clone)
    expected = {oid: by_git(clone, "show", oid) for oid in made}
    assert patch_ids(git(clone), made) == expected
    assert len(set(expected.values())) == len(made)


def test_of_commits_that_have_none(clone: Clone) -> None:
    empty = clone.commit("nothing")
    clone.git("checkout", "--quiet", "-b", "topic", "HEAD^")
    clone.commit("one", {"one.py": "1\n"})
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-ff", "topic")
    assert patch_ids(git(clone), [empty, clone.git("rev-parse", "HEAD").strip()]) == {}
    assert patch_ids(git(clone), []) == {}
    assert series_patch_ids(git(clone), []) == {}


def test_of_series(clone: Clone) -> None:
    commits(clone)
    pairs = [("HEAD", "HEAD~3"), ("HEAD~1", "HEAD~3"), ("HEAD~2", "HEAD~3")]
    assert series(clone, pairs) == [by_git(clone, "diff", base, name) for name, base in pairs]
    clone.git("checkout", "--quiet", "-b", "squashed", "HEAD~3")
    clone.git("merge", "--quiet", "--squash", "main")
    clone.git("commit", "--quiet", "-m", "squashed")
    squash = clone.git("rev-parse", "HEAD").strip()
    assert patch_ids(git(clone), [squash]) == {squash: series(clone, [("main", "main~3")])[0]}


def test_a_mode_counts(clone: Clone) -> None:
    (clone.path / "train.py").chmod(0o755)
    on = clone.commit("may be run")
    (clone.path / "train.py").chmod(0o644)
    off = clone.commit("may not")
    made = patch_ids(git(clone), [on, off])
    assert len({*made.values()}) == 2


def test_attributes_in_the_work_tree_change_nothing(clone: Clone) -> None:
    made = commits(clone)
    expected = patch_ids(git(clone), made)
    beyond = series(clone, [("HEAD", "HEAD~3")])
    clone.write(".gitattributes", "*.py -diff\n*.bin diff\n")
    assert by_git(clone, "show", made[1]) != expected[made[1]]
    assert patch_ids(git(clone), made) == expected
    assert series(clone, [("HEAD", "HEAD~3")]) == beyond


def test_sizes(clone: Clone) -> None:
    first, *made = commits(clone)
    before, lines = len("print('trained')\n"), len("one\n\n two\n")
    asked = [first, *made, f"{tree(clone, 'HEAD')} {tree(clone, 'HEAD~3')}"]
    assert sizes(clone, asked) == dict(
        zip(
            asked,
            [before, before + lines + 2, 256, 512 + lines + 4, before + 4 + 2 + 256],
            strict=True,
        )
    )


def test_changed_files(clone: Clone) -> None:
    first, lines, *_, last = commits(clone)
    clone.git("checkout", "--quiet", "-b", "topic", first)
    clone.commit("one", {"one.py": "1\n"})
    clone.git("merge", "--quiet", "--no-edit", lines)
    merge = clone.git("rev-parse", "HEAD").strip()
    pair = f"{tree(clone, last)} {tree(clone, first)}"
    found = file_changes(git(clone), [lines, merge, last, pair])
    paths = {name: [change.path for change in changes] for name, changes in found.items()}
    quoted = rb'"a b\n.py"'
    assert paths == {
        lines: [quoted, b"empty", b"train.py"],
        merge: [],
        last: [b"a.bin", b"train.py"],
        pair: [quoted, b"a.bin", b"empty", b"train.py"],
    }
    (change,) = [change for change in found[last] if change.path == b"train.py"]
    assert change.after == ("100644", clone.git("rev-parse", f"{last}:train.py").strip())
    assert change.before == ("100644", clone.git("rev-parse", f"{last}^:train.py").strip())


def test_a_submodule_has_no_size(clone: Clone) -> None:
    clone.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},library")
    clone.git("commit", "--quiet", "-m", "a library")
    oid = clone.git("rev-parse", "HEAD").strip()
    assert sizes(clone, [oid]) == {oid: 0}
    assert len(patch_ids(git(clone), [oid])[oid]) == 40


def test_nothing_is_fetched(clone: Clone, tmp_path: Path) -> None:
    """Of a partial clone, what is not here has no size, and asking for it is a failure."""
    commits(clone)
    clone.commit("a new file", {"new.py": "n\n"})
    clone.git("config", "uploadpack.allowFilter", "true")
    options = ("--filter=blob:none", "--no-checkout")
    partial = Clone.of(f"file://{clone.path}", tmp_path / "partial", *options)
    oids = clone.git("rev-list", "HEAD").split()
    assert sizes(partial, oids) == dict.fromkeys(oids)
    with pytest.raises(GitFailed):
        patch_ids(git(partial), oids[:1])
    missing = partial.git("rev-list", "--objects", "--missing=print", "HEAD")
    assert missing.count("?") == 8
    partial.git("checkout", "--quiet", "HEAD")
    assert sizes(partial, oids) == {**dict.fromkeys(oids), oids[0]: 2}
