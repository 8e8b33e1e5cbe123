"""Real git-annex and git-lfs: what they say of their files, and what is there."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest

from gitprov.capture.data.pointers import identity_of
from tests.support.repositories import Clone, clean_environment

_BESIDE = Path(sys.executable).parent


def said(clone: Clone, name: str) -> dict[str, str]:
    """Return what is said of a file that was hashed as it is."""
    path = clone.path / name
    digest = {"sha256": hashlib.sha256(path.read_bytes()).digest()} if path.is_file() else {}
    return identity_of(path, clone.path, digest)


@pytest.fixture
def lfs(tmp_path: Path) -> Clone:
    if not shutil.which("git-lfs"):
        pytest.skip("needs git-lfs")
    clone = Clone.make(tmp_path / "lfs")
    clone.git("lfs", "install", "--local")
    clone.git("lfs", "track", "*.bin")
    return clone


def oid(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("name", ["model.bin", "sub/ü b.bin", "-x.bin", ":0:y.bin"])
def test_files_that_git_lfs_has_fetched(name: str, lfs: Clone) -> None:
    data = os.urandom(3000)
    lfs.write(name, data)
    assert said(lfs, name) == {}
    lfs.commit("model")
    found = {"lfs.oid": oid(data), "lfs.size": "3000"}
    assert said(lfs, name) == found | {"lfs.matches": "yes"}
    lfs.write(name, b"changed")
    assert said(lfs, name) == found | {"lfs.matches": "no: it was changed after it was staged"}


def test_pointers_that_git_lfs_has_left(lfs: Clone, tmp_path: Path) -> None:
    lfs.commit("model", {"model.bin": b"weights"})
    bare = Clone.of(str(lfs.path), tmp_path / "bare")
    found = said(bare, "model.bin")
    assert found.pop("lfs.matches").startswith("no: the file is a pointer")
    assert found == {"lfs.oid": oid(b"weights"), "lfs.size": "7"}


def test_git_lfs_in_a_second_work_tree(lfs: Clone, tmp_path: Path) -> None:
    lfs.commit("model", {"model.bin": b"weights"})
    lfs.git("worktree", "add", "--quiet", str(tmp_path / "second"))
    second = Clone(tmp_path / "second")
    assert (second.path / "model.bin").read_bytes() == b"weights"
    assert said(second, "model.bin")["lfs.matches"] == "yes"


def test_other_files_beside_git_lfs(lfs: Clone) -> None:
    lfs.commit("files", {"train.csv": "1\n", "sub/model.bin": b"weights"})
    assert said(lfs, "train.csv") == {}
    lfs.write("new.bin", b"not staged")
    assert said(lfs, "new.bin") == {}
    assert said(lfs, "sub") == {}


class Annex(Clone):
    def annex(self, *arguments: str) -> str:
        # Git looks for git-annex, and that for its own parts, on PATH.
        path = os.pathsep.join([str(_BESIDE), clean_environment()["PATH"]])
        return self.git("annex", *arguments, PATH=path, HOME=str(self.path.parent))


@pytest.fixture
def annex(tmp_path: Path) -> Annex:
    if not (_BESIDE / "git-annex").exists() and not shutil.which("git-annex"):
        pytest.skip("needs git-annex, of the group `data`")
    clone = Annex(Clone.make(tmp_path / "annex").path)
    clone.git("config", "user.name", "Ada")
    clone.git("config", "user.email", "ada@example.org")
    clone.annex("init", "--quiet", "first")
    return clone


@pytest.mark.data
@pytest.mark.parametrize("backend", ["SHA256E", "SHA256", "MD5E", "SHA512E"])
@pytest.mark.parametrize("form", ["locked", "unlocked"])
def test_content_of_git_annex(backend: str, form: str, annex: Annex, tmp_path: Path) -> None:
    annex.write("sub/data.tar.gz", b"content")
    annex.annex("add", "--quiet", f"--backend={backend}", "sub/data.tar.gz")
    if form == "unlocked":
        annex.annex("unlock", "--quiet", "sub/data.tar.gz")
    annex.git("commit", "--quiet", "-m", "data")
    key = annex.annex("lookupkey", "sub/data.tar.gz").strip()
    found = said(annex, "sub/data.tar.gz")
    known = "yes" if backend != "SHA512E" else "unknown: nothing of ours compares with SHA512E"
    assert found == {"annex.key": key, "annex.backend": backend, "annex.matches": known}

    clone = Annex(Clone.of(str(annex.path), tmp_path / "clone").path)
    absent = said(clone, "sub/data.tar.gz")
    assert absent["annex.key"] == key
    expected = "no: the file is a pointer" if form == "unlocked" else "unknown: the content is not"
    assert absent["annex.matches"].startswith(expected)
    assert "git annex get" in absent["annex.matches"]


@pytest.mark.data
def test_content_that_is_not_what_its_key_says(annex: Annex) -> None:
    annex.write("data", b"content")
    annex.annex("add", "--quiet", "data")
    annex.git("commit", "--quiet", "-m", "data")
    target = (annex.path / "data").resolve()
    target.chmod(0o644)
    target.write_bytes(b"Content")
    assert said(annex, "data")["annex.matches"] == "no: the content has another digest"
    target.parent.chmod(0o755)


@pytest.mark.data
def test_links_that_only_look_like_the_annex(annex: Annex) -> None:
    (annex.path / "odd").symlink_to(".git/annex/objects/aa/bb/no-key")
    assert said(annex, "odd") == {"annex.error": "a link into the annex names no key"}
    (annex.path / "other").symlink_to("train.py")
    assert said(annex, "other") == {}
