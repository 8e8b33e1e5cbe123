"""Where git is started, and what of its messages is passed on."""

import shutil
from pathlib import Path

import pytest

from gitprov.errors import GitFailed, UnsupportedRepository
from gitprov.store.git import Git, last_line
from gitprov.store.repository import Repository
from tests.support.repositories import Clone


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (b"warning: odd\nfatal: no such thing\nmore\n", "no such thing"),
        (b"fatal: unable to connect to host:\nhost[0: ::1]: errno=Refused\n\n",
         "unable to connect to host: host[0: ::1]: errno=Refused"),
        (b"fatal: nothing follows:\n", "nothing follows:"),
        (b"just\nwords\n", "words"),
        (b"\n", "it said nothing"),
    ],
)  # fmt: skip
def test_the_line_that_says_what_went_wrong(output: bytes, said: str) -> None:
    assert last_line(output) == said


def test_git_runs_without_the_work_tree(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "main")
    head = clone.git("rev-parse", "HEAD").strip()
    git_dir, work_tree = clone.path / ".git", tmp_path / "elsewhere"
    git = Git(git_dir, work_tree)
    assert git.run("rev-parse", "HEAD").decode().strip() == head
    with git.open("cat-file", "--batch-check") as conversation:
        said, _ = conversation.communicate(f"{head}\n".encode())
    assert said.startswith(head.encode())


def test_git_runs_from_a_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = Clone.make(tmp_path / "main")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    git = Git(clone.path / ".git", clone.path)
    with git.open("rev-parse", "--verify", "HEAD") as conversation:
        said, _ = conversation.communicate()
    assert len(said.strip()) == 40


def test_a_repository_that_is_gone_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "main")
    git = Git(clone.path / ".git", clone.path)
    shutil.rmtree(clone.path)
    for start in (git.run, git.open):
        with pytest.raises(GitFailed, match=r"main/\.git is gone"):
            start("rev-parse")


@pytest.mark.parametrize("name", ["line\nend", "ends\n", "\u2028", "form\x0cfeed", "\n\n"])
@pytest.mark.parametrize("bare", [False, True])
def test_paths_may_hold_line_ends(tmp_path: Path, name: str, *, bare: bool) -> None:
    path = tmp_path / name
    path.mkdir()
    Clone(path).git("init", "--quiet", *(["--bare"] if bare else []))
    found = Repository.discover(path)
    assert found.git_dir == found.common_dir == (path if bare else path / ".git")
    assert found.work_tree == (None if bare else path)


def test_a_path_that_cannot_be_told_apart_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one\nsha1\ntwo"
    path.mkdir()
    Clone(path).git("init", "--quiet")
    with pytest.raises(UnsupportedRepository, match="rename that folder"):
        Repository.discover(path)
