"""Files of rewritten commits that wait, and what a rebase has really made."""

import os
from pathlib import Path

import pytest

from gitprov.errors import InputError
from gitprov.model.rewrite import Replacement
from gitprov.store.rebase_log import without_skipped
from gitprov.store.repository import Repository
from gitprov.store.rewrites import read_map, rewrites_wait, settle, waiting_rewrites
from tests.support.repositories import Clone

A, B, C, D = (letter * 40 for letter in "abcd")
NONE = "0" * 40


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.discover(Clone.make(tmp_path / "repo").path)


def leave(repository: Repository, name: str, text: str, *, age: int = 0) -> Path:
    path = repository.prov_dir / "rewrites" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    return path


def pairs(*commits: tuple[str, str | None]) -> tuple[Replacement, ...]:
    return tuple(Replacement(old=old, new=new) for old, new in commits)


class TestFiles:
    def test_nothing_waits(self, repository: Repository) -> None:
        assert not rewrites_wait(repository)
        assert waiting_rewrites(repository) == []

    def test_oldest_first(self, repository: Repository) -> None:
        leave(repository, "one.pairs", f"rebase\n{B} {C}\n", age=1)
        leave(repository, "two.pairs", f"amend\n{A} {B}\n", age=2)
        assert rewrites_wait(repository)
        first, second = waiting_rewrites(repository)
        assert (first.how, first.commits) == ("amend", pairs((A, B)))
        assert (second.how, second.commits) == ("rebase", pairs((B, C)))

    def test_being_written(self, repository: Repository) -> None:
        leave(repository, "one.new", f"amend\n{A} {B}\n")
        assert not rewrites_wait(repository)
        assert waiting_rewrites(repository) == []

    def test_lines(self, repository: Repository) -> None:
        """Git may say more of a pair; other lines, and commits that stayed, are no pairs."""
        text = (
            f"amend\n{A} {B} more\n{C} {NONE}\n{D} {D}\n\n{A[:12]} {B}\nold new\n{B} {C}x\n{B} {D}"
        )
        leave(repository, "one.pairs", text)
        (found,) = waiting_rewrites(repository)
        assert found.commits == pairs((A, B), (C, None), (B, D))

    @pytest.mark.parametrize("how", ["", "two words", "\x1b[31m", "x" * 40, "\xe9"])
    def test_odd_words(self, repository: Repository, how: str) -> None:
        leave(repository, "one.pairs", f"{how}\n{A} {B}\n")
        (found,) = waiting_rewrites(repository)
        assert (found.how, found.commits) == ("rewrite", pairs((A, B)))

    def test_settled(self, repository: Repository) -> None:
        leave(repository, "one.pairs", f"amend\n{A} {B}\n")
        (found,) = waiting_rewrites(repository)
        for _ in range(2):  # somebody else may have been quicker
            settle(repository, found)
        assert not rewrites_wait(repository)


class TestFilterRepo:
    def leave_map(self, repository: Repository, *lines: str) -> None:
        path = repository.common_dir / "filter-repo" / "commit-map"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(("old new", *lines, "")))
        repository.require_writable()

    def test_whenever_it_has_changed(self, repository: Repository) -> None:
        for lines, expected in (
            ((f"{A} {B}", f"{C} {C}"), pairs((A, B))),
            ((f"{A} {D}", f"{C} {NONE}", f"{D} {D}"), pairs((A, D), (C, None))),
        ):
            self.leave_map(repository, *lines)
            assert rewrites_wait(repository)
            (found,) = waiting_rewrites(repository)
            assert (found.how, found.commits) == ("filter-repo", expected)
            settle(repository, found)
            assert found.path.exists()
            assert not rewrites_wait(repository)

    def test_when_remotes_have_brought_something(self, repository: Repository) -> None:
        self.leave_map(repository, f"{A} {B}")
        settle(repository, *waiting_rewrites(repository))
        assert not rewrites_wait(repository)
        commit = repository.git.run("rev-parse", "HEAD").decode().strip()
        ref = "refs/prov-remote/origin/ledger/2026-01/00"
        repository.git.run("update-ref", ref, commit)
        assert rewrites_wait(repository)


class TestMaps:
    def test_with_a_heading(self, tmp_path: Path) -> None:
        path = tmp_path / "map"
        path.write_text(f"old   new\n{A} {B}\n# a remark\n{C} {NONE}\n")
        assert read_map(path) == pairs((A, B), (C, None))

    @pytest.mark.parametrize("content", [None, "", f"{A[:12]} {B[:12]}\n", f"{A} {A}\n"])
    def test_without_pairs(self, tmp_path: Path, content: str | None) -> None:
        path = tmp_path / "map"
        if content is not None:
            path.write_text(content)
        with pytest.raises(InputError, match="map"):
            read_map(path)


class TestRebaseLog:
    """What `tests/interop/test_rewriting.py` tries on real rebases, with logs of other kinds."""

    def log(self, repository: Repository, *steps: tuple[str, str, str], place: str = "") -> None:
        path = repository.common_dir / place / "logs/HEAD"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "".join(f"{old} {new} Ada <ada> 1 +0000\t{about}\n" for old, new, about in steps)
        )

    def commit(self, repository: Repository, author: str, message: str) -> str:
        git = repository.git
        env = {f"GIT_{role}_EMAIL": "ada@example.org" for role in ("AUTHOR", "COMMITTER")}
        env |= {"GIT_AUTHOR_NAME": author, "GIT_COMMITTER_NAME": message}
        env |= {"GIT_AUTHOR_DATE": "@1700000000 +0000"}
        return git.run("commit-tree", "HEAD^{tree}", "-m", message, env=env).decode().strip()

    def test_no_log(self, repository: Repository) -> None:
        """A rebase leaves authors as they are: somebody else's commit was there before."""
        (repository.common_dir / "logs/HEAD").unlink()
        old = [self.commit(repository, "Ada", name) for name in ("one", "two")]
        new = [self.commit(repository, "Ada", name) for name in ("new one", "both")]
        upstream = self.commit(repository, "Grace", "upstream")
        other = self.commit(repository, "Grace", "fixup")
        skipped = Replacement(old=old[0], new=upstream)
        made = pairs((old[0], new[0]), (old[1], new[1]), (other, new[1]))
        assert without_skipped(repository, [skipped, *made]) == list(made)

    def test_of_another_rebase(self, repository: Repository) -> None:
        self.log(repository, (D, A, "rebase (start): checkout main"), (A, B, "rebase (pick): b"))
        given = pairs((A, C), (B, C))
        assert without_skipped(repository, given) == list(given)

    @pytest.mark.parametrize(
        "action", ["rebase", "rebase -i", "pull --rebase ssh://host:2 main", "sync", "(my) sync"]
    )
    def test_skipped(self, repository: Repository, action: str) -> None:
        self.log(
            repository,
            (D, C, "commit: (start): of something"),
            (D, A, f"{action} (start): checkout main"),
            (A, B, f"{action} (pick): (start): all of it"),
            (B, B, f"{action} (finish): returning to refs/heads/main"),
        )
        given = pairs(("1" * 40, A), ("2" * 40, B), ("3" * 40, B))
        assert without_skipped(repository, given) == [given[1]]

    def test_in_another_work_tree(self, repository: Repository) -> None:
        self.log(
            repository,
            (D, A, "rebase (start): checkout main"),
            (A, B, "rebase (pick): b"),
            place="worktrees/other",
        )
        given = pairs(("1" * 40, A), ("2" * 40, B))
        assert without_skipped(repository, given) == [given[1]]

    def test_the_latest_counts(self, repository: Repository) -> None:
        self.log(
            repository,
            (D, A, "rebase (start): checkout main"),
            (A, B, "rebase (pick): b"),
            (B, C, "checkout: moving from topic to other"),
            (C, B, "rebase (start): checkout topic"),
            (B, D, "rebase (pick): d"),
        )
        given = pairs(("1" * 40, B), ("2" * 40, D))
        assert without_skipped(repository, given) == [given[1]]

    def test_fast_forward_is_no_making(self, repository: Repository) -> None:
        self.log(
            repository,
            (D, A, "rebase (start): checkout main"),
            (A, B, "rebase (pick): fast-forward"),
            (B, C, "rebase (pick): c"),
        )
        given = pairs(("1" * 40, C), ("2" * 40, C))
        assert without_skipped(repository, given) == [given[0]]

    def test_all_that_was_squashed(self, repository: Repository) -> None:
        self.log(
            repository,
            (D, A, "rebase (start): checkout main"),
            (A, B, "rebase (fixup): b"),
            (B, C, "rebase (squash): c"),
        )
        given = pairs(*((digit * 40, C) for digit in "1234"))
        assert without_skipped(repository, given) == list(given[:3])
