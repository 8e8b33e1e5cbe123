"""Files that hold secrets: left out of snapshots, named, and never stored, not for a moment."""

import hmac
import json
import os
import pickle
import shutil
import sqlite3
import stat
import zlib
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.secrets.scanner import Scanner
from gitprov.capture.source import capture_source
from gitprov.model.run import Omission, Source
from gitprov.store.object_file import read_objects
from gitprov.store.objects import object_id
from gitprov.store.repository import Repository
from tests.support.repositories import Clone
from tests.support.secrets import aws_key_id, github_token, password, private_key


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "repo")
    clone.commit("files", {"a.py": "a = 1\n", "b.py": "b = 1\n"})
    return clone


class Captured:
    """The source of a work tree as it is now, and what is in its snapshot's object store."""

    def __init__(self, clone: Clone) -> None:
        repository = Repository.discover(clone.path)
        repository.require_writable()
        workspace = repository.prov_dir / f"workspace-{os.urandom(4).hex()}"
        workspace.mkdir()
        found = capture_source(repository, workspace)
        assert found.source is not None
        assert "source.tree" not in found.missing
        self.source: Source = found.source
        self.store = workspace / "unpacked"
        self._clone = clone
        for item in read_objects(workspace / "snapshot"):
            oid = object_id(item.type, item.data)
            loose = self.store / oid[:2] / oid[2:]
            loose.parent.mkdir(parents=True, exist_ok=True)
            header = f"{item.type} {len(item.data)}\0".encode()
            loose.write_bytes(zlib.compress(header + item.data))
        assert not (workspace / "objects").exists()

    @property
    def omitted(self) -> dict[str, Omission]:
        return {str(item.path): item for item in self.source.omitted}

    @property
    def files(self) -> list[str]:
        return self._git("ls-tree", "-r", "--name-only").splitlines()

    def reason(self, path: str) -> str:
        return self.omitted[path].reason

    def stored(self) -> bytes:
        """Return the content of all objects that the capture has made."""
        found = [zlib.decompress(path.read_bytes()) for path in self.store.glob("??/*")]
        assert found
        return b"\n".join(found)

    def _git(self, *arguments: str) -> str:
        assert self.source.tree is not None
        env = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.store)}
        return self._clone.git(*arguments, self.source.tree, **env)


def remembered(clone: Clone) -> dict[str, bytes]:
    """Return what is kept of files that were looked at."""
    return {path.name: path.read_bytes() for path in (clone.path / ".git/prov/cache").iterdir()}


def test_a_new_file_with_a_secret_is_left_out_and_named(clone: Clone) -> None:
    token = github_token()
    text = f"one\n\ntoken = '{token}'\n"
    clone.write("sub/new.py", text)
    clone.write("fine.py", "fine = 1\n")
    clone.write("a.py", "a = 2\n")
    found = Captured(clone)
    omission = found.omitted["sub/new.py"]
    assert omission.reason == "holds a secret (GitHub Token, line 3); see: git prov scan"
    assert omission.size == len(text)
    assert list(found.omitted) == ["sub/new.py"]
    assert found.files == ["a.py", "b.py", "fine.py", "train.py"]
    assert b"fine = 1" in found.stored()
    assert token.encode() not in found.stored()


def test_its_digest_needs_the_key_of_the_clone(clone: Clone) -> None:
    text = f"token = '{github_token()}'\n"
    clone.write("new.py", text)
    omission = Captured(clone).omitted["new.py"]
    salt = (clone.path / ".git/prov/salt").read_bytes()
    assert omission.digest == {"hmac_sha256": hmac.digest(salt, text.encode(), "sha256")}
    assert stat.S_IMODE((clone.path / ".git/prov/salt").stat().st_mode) == 0o600


def test_a_tracked_file_that_got_a_secret_is_not_there_in_its_old_version(clone: Clone) -> None:
    clone.write("a.py", f"a = '{aws_key_id()}'\n")
    found = Captured(clone)
    assert found.reason("a.py").startswith("holds a secret (AWS Access Key, line 1)")
    assert found.files == ["b.py", "train.py"]
    # The user's index has it as before.
    assert clone.git("ls-files") == "a.py\nb.py\ntrain.py\n"


def test_what_the_commit_has_on_the_same_line_does_not_count(clone: Clone) -> None:
    old, new = github_token(), github_token()
    clone.commit("a secret", {"a.py": f"a = '{old}'\nmore = 1\n"})
    clone.write("a.py", f"# indented\nif True:\n    a = '{old}'\nmore = 2\n")
    found = Captured(clone)
    assert "a.py" in found.files
    assert not found.omitted
    clone.write("a.py", f"a = '{old}'\nb = '{new}'\n")
    assert Captured(clone).reason("a.py").startswith("holds a secret (GitHub Token, line 2)")
    clone.write("a.py", f"a = '{old}' or '{new}'\n")
    assert "a.py" in Captured(clone).omitted
    # What counts is what the same file has.
    clone.git("checkout", "--quiet", "a.py")
    clone.write("like.py", f"a = '{old}'\nmore = 2\n")
    assert list(Captured(clone).omitted) == ["like.py"]


def test_a_file_that_the_commit_has_under_another_name_does_not_count(clone: Clone) -> None:
    clone.commit("a secret", {"a.py": f"a = '{github_token()}'\n"})
    clone.git("mv", "a.py", "moved.py")
    shutil.copy(clone.path / "moved.py", clone.path / "copy.py")
    found = Captured(clone)
    assert not found.omitted
    assert {"moved.py", "copy.py"} <= set(found.files)


def test_a_private_key_counts_unless_each_of_its_lines_is_committed(clone: Clone) -> None:
    key = private_key()
    clone.commit("a key", {"key.pem": key})
    clone.write("key.pem", f"a comment\n{key}")
    assert not Captured(clone).omitted
    clone.write("key.pem", key[:90] + private_key()[90:])
    assert Captured(clone).reason("key.pem").startswith("holds a secret (Private Key, line 1)")


def test_several_secrets_are_counted(clone: Clone) -> None:
    clone.write("new.py", f"a = '{github_token()}'\nb = '{github_token()}'\n")
    reason = Captured(clone).reason("new.py")
    assert reason.startswith("holds 2 secrets (the first: GitHub Token, line 1)")


def test_staged_content_with_a_secret_stays_the_users_own(clone: Clone) -> None:
    token = github_token()
    clone.write("a.py", f"a = '{token}'\n")
    clone.git("add", "a.py")
    found = Captured(clone)
    assert "a.py" in found.omitted
    assert token.encode() not in found.stored()
    # What counts is what is in the work tree: that is what runs.
    clone.write("a.py", "a = 'taken out again'\n")
    found = Captured(clone)
    assert not found.omitted
    assert b"taken out again" in found.stored()
    assert token.encode() not in found.stored()
    assert token in clone.git("show", ":a.py")


def test_the_target_of_a_link_is_content(clone: Clone) -> None:
    token = github_token()
    (clone.path / "link").symlink_to(f"https://{token}@example.org/data")
    (clone.path / "fine").symlink_to("a.py")
    found = Captured(clone)
    assert "line 1" in found.reason("link")
    assert "fine" in found.files
    assert token.encode() not in found.stored()


def test_a_name_with_a_secret_is_left_out(clone: Clone) -> None:
    token = github_token()
    clone.write(f"data/{token}.csv", "1,2\n")
    clone.write("data/fine.csv", "1,2\n")
    found = Captured(clone)
    (omission,) = found.source.omitted
    assert omission.reason == "its name holds a secret (GitHub Token); see: git prov scan"
    assert "data/fine.csv" in found.files
    assert token.encode() not in found.stored()
    # A name in the commit is in the history already.
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "-m", "a name")
    clone.write(f"data/{token}.csv", "1,3\n")
    assert not Captured(clone).omitted


def test_binary_content_is_looked_at_as_far_as_it_is_text(clone: Clone, tmp_path: Path) -> None:
    token, key = github_token(), private_key()
    with sqlite3.connect(tmp_path / "db") as database:
        database.execute("create table users (name text, token text)")
        database.execute("insert into users values (?, ?)", ("Ada", token))
    database.close()
    binaries = {
        "notes.db": (tmp_path / "db").read_bytes(),
        "state.pickle": pickle.dumps({"weights": bytes(100), "token": token}),
        "key.bin": b"\0\1\2" + key.encode() + b"\0",
        "wide.txt": f"token = '{token}'\n".encode("utf-16"),
        "wide.exe": bytes(64) + f"token = '{token}'\n".encode("utf-16-le"),
    }
    fine = {"weights.bin": os.urandom(20_000), "zeros.bin": bytes(20_000)}
    for name, content in (*binaries.items(), *fine.items()):
        clone.write(name, content)
    found = Captured(clone)
    assert sorted(found.omitted) == sorted(binaries)
    assert found.reason("wide.txt").startswith("holds a secret (GitHub Token, line 1)")
    assert found.reason("notes.db").startswith("holds a secret (GitHub Token);")
    assert set(fine) <= set(found.files)


def test_what_is_in_no_known_encoding_is_looked_at(clone: Clone) -> None:
    clone.write("latin.py", f"# caf\xe9\ntoken = '{github_token()}'\n".encode("latin-1"))
    assert "line 2" in Captured(clone).reason("latin.py")


def test_what_a_filter_makes_of_a_file_is_looked_at_too(clone: Clone) -> None:
    token = github_token()
    clone.commit("filter", {".gitattributes": "*.txt filter=fill\n"})
    clone.git("config", "filter.fill.clean", f"sed s/PLACE/{token}/")
    clone.write("new.txt", "token: PLACE\n")
    clone.write("fine.txt", "nothing to fill in\n")
    found = Captured(clone)
    assert list(found.omitted) == ["new.txt"]
    assert {"fine.txt", ".gitattributes"} <= set(found.files)
    assert token.encode() not in found.stored()


def test_converted_line_ends_do_not_matter(clone: Clone) -> None:
    clone.git("config", "core.autocrlf", "true")
    clone.write("new.py", "one = 1\r\ntwo = 2\r\n")
    clone.write("a.py", "a = 2\r\n")
    found = Captured(clone)
    assert not found.omitted
    assert b"one = 1\ntwo = 2\n" in found.stored()


def test_a_file_that_changes_between_look_and_add_is_looked_at_again(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = github_token()
    clone.write("new.py", "nothing yet\n")
    clone.write("fine.py", "fine = 1\n")
    git = shutil.which("git")
    late = tmp_path / "late" / "git"
    late.parent.mkdir()
    write = f"echo \"token = '{token}'\" > '{clone.path}/new.py'"
    late.write_text(f'#!/bin/sh\ncase "$*" in *--add*) {write};; esac\nexec {git} "$@"\n')
    late.chmod(0o755)
    monkeypatch.setenv("PATH", f"{late.parent}{os.pathsep}{os.environ['PATH']}")
    found = Captured(clone)
    assert token in (clone.path / "new.py").read_text()
    assert found.reason("new.py").startswith("holds a secret (GitHub Token, line 1)")
    assert "fine.py" in found.files
    assert token.encode() not in found.stored()


def test_content_under_a_name_that_is_allowed_stays_where_another_goes(clone: Clone) -> None:
    """Both names have one object: it must stay for the one, and the other is not in the tree."""
    text = f"token = '{github_token()}'\n"
    clone.write(".gitprov.toml", '[secrets]\nallow-paths = ["fixtures/"]\n')
    clone.write("fixtures/key.py", text)
    clone.write("key.py", text)
    found = Captured(clone)
    assert list(found.omitted) == ["key.py"]
    assert "fixtures/key.py" in found.files
    assert text.encode() in found.stored()


def test_what_is_allowed_is_taken(clone: Clone) -> None:
    token = github_token()
    clone.write("new.py", f"a = '{token}'\n")
    for allowed in (f"allow-patterns = ['^{token[:9]}']", 'allow-kinds = ["GitHub Token"]'):
        assert "new.py" in Captured(clone).omitted
        clone.write(".gitprov.toml", f"[secrets]\n{allowed}\n")
        found = Captured(clone)
        assert not found.omitted
        assert "new.py" in found.files
        (clone.path / ".gitprov.toml").unlink()


def test_large_files_are_left_out_unread(clone: Clone) -> None:
    clone.git("config", "prov.snapshot.maxFileSize", "100")
    clone.write("large.py", f"token = '{github_token()}'\n" + "x = 1\n" * 20)
    assert Captured(clone).reason("large.py").startswith("larger than")


def test_what_was_clean_is_not_scanned_again(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    token = github_token()
    clone.write("new.py", "new = 1\n")
    first = Captured(clone)
    assert "new.py" in first.files

    asked = []

    def find(self: Scanner, text: str, file: str = "", **_: Any) -> list[Any]:
        asked.append(file)
        return []

    with monkeypatch.context() as patch:
        patch.setattr(Scanner, "find", find)
        assert Captured(clone).source == first.source
        assert not any(asked)
        clone.write("a.py", "changed = 1\n")
        assert "a.py" in Captured(clone).files
        assert [name for name in asked if name] == ["a.py"]
        # Under other rules nothing is known to be clean.
        clone.write(".gitprov.toml", '[secrets]\nallow-kinds = ["AWS Access Key"]\n')
        asked.clear()
        assert "new.py" in Captured(clone).files
        assert [name for name in asked if name] == ["a.py", ".gitprov.toml", "new.py"]
    # Nothing is remembered of a file with a secret: even a digest could be tried out.
    (clone.path / ".gitprov.toml").unlink()
    clone.write("new.py", f"token = '{token}'\n")
    before = remembered(clone)
    assert "new.py" in Captured(clone).omitted
    assert remembered(clone) == before
    assert before


def test_the_run_says_what_is_left_out_and_how_to_allow_it(clone: Clone) -> None:
    token, word = github_token(), password()
    clone.write("one.py", f"\ntoken = '{token}'\n")
    clone.write("two.py", f"password = '{word}'\n")
    done = clone.prov_call("run", "--", "true")
    assert done.returncode == 0
    said = done.stderr
    assert "one.py (GitHub Token, line 2)" in said
    assert "two.py (Secret Keyword, line 1)" in said
    assert said.count("git prov scan") == 1
    assert said.count(".gitprov.toml") == 1
    assert token not in said
    assert word not in said
    run = json.loads(clone.prov("show", "--json"))
    assert {item["path"] for item in run["source"]["omitted"]} == {"one.py", "two.py"}
    assert all(list(item["digest"]) == ["hmac_sha256"] for item in run["source"]["omitted"])
    assert clone.prov_call("verify").returncode == 0
    restored = clone.prov("restore", "last", "--worktree", "../elsewhere")
    assert "left out  one.py: holds a secret (GitHub Token, line 2)" in restored


def test_settings_that_are_wrong_stop_no_run_and_allow_nothing(clone: Clone) -> None:
    clone.write(".gitprov.toml", '[secrets]\nallow-kind = ["GitHub Token"]\n')
    clone.write("new.py", f"token = '{github_token()}'\n")
    done = clone.prov_call("run", "--", "true")
    assert done.returncode == 0
    assert "allow-kind is no key of [secrets]; did you mean allow-kinds?" in done.stderr
    run = json.loads(clone.prov("show", "--json"))
    assert [item["path"] for item in run["source"]["omitted"]] == ["new.py"]
