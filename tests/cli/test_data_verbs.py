"""`git prov data`: snapshots, what has become of data, what differs, its versions, its bytes."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.data.stat_cache import StatCache
from gitprov.capture.hashing import pack_stat
from tests.support.repositories import Clone, clean_environment
from tests.support.secrets import github_token

# However the tests were started: in the background, shells have Ctrl-C ignored.
_INTERRUPTIBLE = ("env", "--default-signal=INT")

UNKNOWN_DATA = 27
UNAVAILABLE = 28
IN_THE_WAY = 35


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Return a repository with a data folder that git does not track."""
    clone = Clone.make(tmp_path / "repo")
    clone.commit("ignore data", {".gitignore": "data\ncopy*\n"})
    clone.write("data/a.csv", "a,b\n1,2\n")
    clone.write("data/images/1.png", b"\x89PNG one")
    clone.write("data/images/2.png", b"\x89PNG two")
    clone.write("data/empty", "")
    (clone.path / "data/link").symlink_to("a.csv")
    return clone


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def changed(clone: Clone, *arguments: str) -> str:
    """Return what a verb prints that ends with 1."""
    result = clone.prov_call("data", *arguments)
    assert result.returncode == 1, result.stderr
    # Without pyarrow, tables are compared as files.
    assert not result.stderr or "pip install 'gitprov[tables]'" in result.stderr
    return result.stdout


def change(clone: Clone) -> None:
    """Change, add, remove and rename a file each."""
    clone.write("data/a.csv", "a,b\n1,2\n3,4\n")
    clone.write("data/new.csv", "new\n")
    (clone.path / "data/images/1.png").rename(clone.path / "data/images/one.png")
    (clone.path / "data/empty").unlink()


CHANGES = {"a.csv": "changed", "empty": "removed", "images/one.png": "renamed", "new.csv": "added"}


class TestSnapshot:
    def test_a_folder(self, clone: Clone) -> None:
        said = clone.prov("data", "snapshot", "data", "--name", "train", "-m", "raw", "-t", "v1")
        assert said.startswith("train (data): 5 files, 24 B, sha256:")
        assert "recorded for the first time" in said
        [run] = lines(clone.prov("show", "--json"))
        assert (run["name"], run["message"], run["tags"]) == ("train", "raw", ["v1"])
        assert (run["status"], run["command"]["argv"][1:4]) == (
            "completed",
            ["prov", "data", "snapshot"],
        )
        [item] = run["inputs"]
        assert (item["kind"], item["path"], item["file_count"]) == ("tree", "data", 5)
        assert item["listing"] == f"listing-{item['digest']['sha256']}"
        clone.prov("verify")

    def test_what_has_changed_since(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data")
        assert "unchanged since run" in clone.prov("data", "snapshot", "data")
        change(clone)
        said = clone.prov("data", "snapshot", "data")
        command = said.partition("see: git prov ")[2].split()
        assert "1 added, 1 removed, 1 changed, 1 renamed" in changed(clone, *command[1:])

    def test_what_cannot_be_read(self, clone: Clone) -> None:
        os.mkfifo(clone.path / "data/pipe")
        result = clone.prov_call("data", "snapshot", "data", "gone.csv")
        assert result.returncode == 1
        assert "data/pipe: neither a file" in result.stderr
        assert "gone.csv: No such file" in result.stderr
        [run] = lines(clone.prov("show", "--json"))
        assert run["status"] == "failed"
        assert [bool(item.get("digest")) for item in run["inputs"]] == [True, False]

    def test_json_and_a_glob(self, clone: Clone) -> None:
        found = lines(clone.prov("data", "snapshot", "data/images/*.png", "--json"))
        assert [item["path"] for item in found] == ["data/images/1.png", "data/images/2.png"]

    def test_links_are_followed_on_request(self, clone: Clone) -> None:
        (clone.path / "data/around").symlink_to(".")
        clone.prov("data", "snapshot", "data", "--follow-links")
        kinds = {
            item["path"]: item["kind"]
            for item in lines(clone.prov("data", "ls", "last:data", "-r", "--json"))
        }
        assert (kinds["link"], kinds["around"]) == ("file", "link")
        assert clone.prov("data", "status").startswith("same")

    @pytest.mark.parametrize("setting", ["sha256,md5", "crc32"])
    def test_digests_that_are_none(self, clone: Clone, setting: str) -> None:
        clone.git("config", "prov.data.digest", setting)
        result = clone.prov_call("data", "snapshot", "data/a.csv")
        if "crc32" in setting:
            assert result.returncode == 1
            assert "prov.data.digest takes sha256, blake3" in result.stderr
        else:
            [run] = lines(clone.prov("show", "--json"))
            assert run["inputs"][0]["digest"].keys() == {"sha256", "md5"}

    def test_names_that_look_like_patterns(self, clone: Clone) -> None:
        clone.write("x[1].csv", "one\n")
        clone.write("x1.csv", "other\n")
        assert "for the first time" in clone.prov("data", "snapshot", "x1.csv")
        assert "for the first time" in clone.prov("data", "snapshot", "x[1].csv")
        assert "unchanged" in clone.prov("data", "snapshot", "x[1].csv")
        assert clone.prov("data", "log", "x[1].csv").count("input of run") == 2

    def test_what_is_a_secret_by_now(self, clone: Clone) -> None:
        """An unchanged folder is not listed as it was when its names were no secrets."""
        clone.write("data/Xq7-pLm2-vTz9.csv", "x\n")
        clone.prov("data", "snapshot", "data")
        assert "Xq7-pLm2-vTz9" in clone.prov("data", "ls", "last:data")
        clone.prov("data", "snapshot", "data", API_TOKEN="Xq7-pLm2-vTz9")  # noqa: S106
        assert "Xq7-pLm2-vTz9" not in clone.prov("data", "ls", "last:data")


class TestStatus:
    def test_nothing_has_changed(self, clone: Clone) -> None:
        clone.prov("run", "-i", "data", "-o", "train.py", "--", "true")
        said = clone.prov("data", "status").splitlines()
        assert [line.split()[:3] for line in said] == [
            ["same", "input", "data"], ["same", "output", "train.py"]
        ]  # fmt: skip

    def test_what_has_changed_is_named(self, clone: Clone) -> None:
        clone.prov("run", "-i", "data", "-i", "data/a.csv", "--", "true")
        change(clone)
        said = changed(clone, "status")
        assert "changed  input  data  1 added, 1 removed, 1 changed, 1 renamed" in said
        for path, kind in CHANGES.items():
            assert any(kind in line and path in line for line in said.splitlines())
        [first, second] = lines(changed(clone, "status", "--json"))
        assert (first["state"], second["state"]) == ("changed", "changed")
        assert first["changes"] == {
            "added": 1, "removed": 1, "changed": 1, "renamed": 1, "mode": 0
        }  # fmt: skip

    def test_a_run_that_changes_its_input(self, clone: Clone) -> None:
        """What it has read is no more, and what it has written is as it was."""
        script = "echo 22 >data/a.csv"
        clone.prov("run", "-i", "data/a.csv", "-o", "data/a.csv", "--", "sh", "-c", script)
        said = clone.prov("data", "status").splitlines()
        assert said[0].startswith("unknown  input")
        assert "the run itself has changed it" in said[1]
        assert said[2].startswith("same     output")
        assert clone.prov("data", "status", "--all").startswith("same     output")

    def test_all_of_the_work_tree(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", ".")
        assert clone.prov("data", "ls", "last:data/images").count("png") == 2
        assert clone.prov("data", "status", "last:data/a.csv").startswith("same")

    def test_what_has_become_something_else(self, clone: Clone) -> None:
        clone.prov("run", "-i", "data", "-i", "data/images/1.png", "--", "true")
        for name in ("1.png", "2.png"):
            (clone.path / "data/images" / name).unlink()
        (clone.path / "data/images").rmdir()
        clone.write("data/images", "a file by now")
        said = changed(clone, "status").splitlines()
        assert said[0].startswith("changed")
        assert said[-1].startswith("gone     input  data/images/1.png")

    def test_of_a_place(self, clone: Clone) -> None:
        """A path stands for what was recorded there last; a run comes before a file of its name."""
        clone.prov("run", "-i", "data", "--", "true")
        clone.write("last", "")
        assert clone.prov("data", "status").startswith("same")
        assert clone.prov("data", "status", "data").startswith("same")
        result = clone.prov_call("data", "status", "last~7:data")
        assert (result.returncode, result.stdout) == (UNKNOWN_DATA, "")

    @pytest.mark.parametrize("digests", ["blake3", "sha256,blake3"])
    @pytest.mark.parametrize("has_listing", [True, False])
    def test_other_digests(self, clone: Clone, digests: str, *, has_listing: bool) -> None:
        pytest.importorskip("blake3")
        clone.git("config", "prov.data.digest", digests)
        clone.prov("run", "-i", "data", "--", "true")
        clone.git("config", "--unset", "prov.data.digest")
        (clone.path / ".git/prov/stat-cache.sqlite").unlink()
        payload = clone.git("for-each-ref", "--format=%(refname)", "refs/prov/payload").split()
        for ref in payload if not has_listing else ():
            clone.git("update-ref", "-d", ref)
        assert clone.prov("data", "status").startswith("same")
        assert clone.prov("data", "verify").startswith("same")
        clone.write("data/images/2.png", b"\x89PNG 222")
        assert changed(clone, "status").startswith("changed")

    def test_gone_and_not_hashed(self, clone: Clone) -> None:
        clone.prov("run", "-i", "data/a.csv", "-i", "gone", "--", "true")
        (clone.path / "data/a.csv").unlink()
        said = changed(clone, "status")
        assert "gone     input  data/a.csv" in said
        assert "unknown  input  gone" in said
        assert "it was not hashed when it was recorded" in said

    def test_a_secret_in_a_name(self, clone: Clone) -> None:
        """A commitment stands for it in the listing, and in what is compared with that."""
        token = github_token()
        clone.write(f"data/{token}.csv", "x\n")
        clone.prov("run", "-i", "data", "--", "true")
        (clone.path / ".git/prov/stat-cache.sqlite").unlink()
        assert clone.prov("data", "status").startswith("same")
        clone.write("data/new", "new\n")
        said = changed(clone, "status") + changed(clone, "diff", "last:data")
        assert "1 added" in said
        assert token not in said

    def test_one_of_several_and_a_part_of_a_folder(self, clone: Clone) -> None:
        clone.prov("run", "-i", "data", "--", "true")
        clone.write("data/a.csv", "other\n")
        assert clone.prov("data", "status", "last:data/images").startswith("same")
        assert "changed" in changed(clone, "status", "last:data/a.csv")

    def test_the_newest_of_all(self, clone: Clone) -> None:
        clone.prov("run", "-i", "data/a.csv", "--", "true")
        clone.prov("run", "-i", "train.py", "--", "true")
        said = clone.prov("data", "status", "--all")
        assert [line.split()[2] for line in said.splitlines()] == ["data/a.csv", "train.py"]

    def test_in_a_clone_without_the_listing(self, clone: Clone) -> None:
        """The digest in the record tells enough, but for what has changed."""
        clone.prov("run", "-i", "data", "--", "true")
        listing = next((clone.path / ".git/prov").glob("stat-cache*"))
        listing.unlink()
        for ref in clone.git("for-each-ref", "--format=%(refname)", "refs/prov/payload").split():
            clone.git("update-ref", "-d", ref)
        assert clone.prov("data", "status").startswith("same")
        clone.write("data/a.csv", "other\n")
        assert changed(clone, "status").startswith("changed")


class TestVerify:
    def deceive(self, clone: Clone, name: str) -> None:
        """Change a byte, set size and times back, and have the cache believe it."""
        path = clone.path / name
        before = path.stat()
        data = bytearray(path.read_bytes())
        data[0] ^= 1
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        old, new = pack_stat(before), pack_stat(path.stat())
        with closing(StatCache(clone.path / ".git/prov/stat-cache.sqlite", ["sha256"])) as cache:
            for place in (path, path.parent):
                known = cache.get(os.fsencode(place))
                assert known is not None
                cache.put(os.fsencode(place), known._replace(stats=known.stats.replace(old, new)))

    def test_one_flipped_byte(self, clone: Clone) -> None:
        """In a large file, and in one of a folder: the quick check cannot see it."""
        clone.write("data/large", os.urandom(1 << 20))
        for path in (clone.path / "data").rglob("*"):
            if path.is_file() and not path.is_symlink():
                os.utime(path, ns=(0, 0))
        clone.prov("run", "-i", "data", "-i", "data/large", "--", "true")
        clone.prov("data", "status")
        self.deceive(clone, "data/large")
        assert {item["state"] for item in lines(clone.prov("data", "status", "--json"))} == {"same"}
        said = changed(clone, "verify")
        assert said.count("changed  input") == 2
        assert "large  (1.0 MiB, other content)" in said
        # What was read counts from now on.
        assert "changed" in changed(clone, "status")

    def test_all_is_as_it_was(self, clone: Clone) -> None:
        clone.prov("run", "-i", "data", "--", "true")
        assert clone.prov("data", "verify").startswith("same")

    def test_what_was_left_out_is_not_good(self, clone: Clone) -> None:
        os.mkfifo(clone.path / "data/pipe")
        clone.prov_call("data", "snapshot", "data")
        assert clone.prov("data", "status").startswith("same")
        assert "pipe could not be read" in changed(clone, "verify")

    def test_what_cannot_be_checked_is_not_good(self, clone: Clone) -> None:
        clone.prov("run", "-i", "gone", "--", "true")
        clone.prov("data", "status")
        assert "unknown" in changed(clone, "verify")


class TestDiff:
    def test_digests_of_different_kinds(self, clone: Clone) -> None:
        pytest.importorskip("blake3")
        clone.prov("data", "snapshot", "data")
        clone.git("config", "prov.data.digest", "sha256,blake3")
        clone.prov("data", "snapshot", "data")
        said = clone.prov("data", "diff", "last~1:data", "last:data")
        assert said.endswith("the same\n")
        clone.git("config", "prov.data.digest", "blake3")
        clone.prov("data", "snapshot", "data")
        result = clone.prov_call("data", "diff", "last~2:data", "last:data")
        assert "no digest in common" in result.stderr

    def test_two_runs(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data")
        change(clone)
        clone.prov("data", "snapshot", "data")
        found = lines(changed(clone, "diff", "last~1:data", "last:data", "--json"))
        assert {item["path"]: item["change"] for item in found} == CHANGES
        [renamed] = [item for item in found if item["change"] == "renamed"]
        assert renamed["before_path"] == "images/1.png"
        back = lines(changed(clone, "diff", "last:data", "last~1:data", "--json"))
        assert {item["change"] for item in back} == {"changed", "added", "renamed", "removed"}
        assert clone.prov("data", "diff", "last:data", "last:data").endswith("the same\n")

    def test_with_what_is_there_now(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data")
        assert clone.prov("data", "diff", "last:data").endswith("the same\n")
        change(clone)
        assert "1 added" in changed(clone, "diff", "last:data")
        assert "1 added" in changed(clone, "diff", "last:data", "data")
        assert "1 added" in changed(clone, "diff", "last:data", str(clone.path / "data"))
        said = changed(clone, "diff", "last:data", "--stat")
        assert "new.csv" not in said

    def test_parts_of_folders_and_files(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data")
        said = changed(clone, "diff", "last:data/images/1.png", "last:data/images/2.png")
        assert said.endswith("1 changed\n")
        assert "2 removed" not in changed(clone, "diff", "last:data/images", "data")

    def test_modes_and_links(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data")
        (clone.path / "data/a.csv").chmod(0o755)
        (clone.path / "data/link").unlink()
        (clone.path / "data/link").symlink_to("empty")
        found = lines(changed(clone, "diff", "last:data", "--json"))
        assert {item["path"]: item["change"] for item in found} == {
            "a.csv": "mode", "link": "changed"
        }  # fmt: skip

    def test_a_file_and_a_folder(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data", "data/a.csv")
        result = clone.prov_call("data", "diff", "last:data", "last:data/a.csv")
        assert "is a folder and" in result.stderr

    def test_names_that_are_none(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data")
        for arguments in (["nope"], ["last:nope"], ["last:data/nope"], ["last:data", "nope"]):
            result = clone.prov_call("data", "diff", *arguments)
            assert (result.returncode, result.stdout) == (UNKNOWN_DATA, ""), arguments
            [line] = result.stderr.splitlines()
            assert "nope" in line


class TestLists:
    def test_all_data(self, clone: Clone) -> None:
        assert clone.prov("data", "ls") == ""
        clone.prov("run", "-i", "data", "-o", "train.py", "--", "true")
        change(clone)
        clone.prov("data", "snapshot", "data", "-n", "train")
        first, second = clone.prov("data", "ls").splitlines()
        assert first.startswith("train (data)")
        assert "2 versions" in first
        assert "output of" in second
        found = lines(clone.prov("data", "ls", "--json"))
        assert [(item["place"], item["versions"]) for item in found] == [
            ("data", 2), ("train.py", 1)
        ]  # fmt: skip

    def test_data_of_a_run(self, clone: Clone) -> None:
        clone.prov("run", "-i", "data", "-o", "train.py", "--", "true")
        rows = [line.split()[:2] for line in clone.prov("data", "ls", "last").splitlines()]
        assert rows == [["input", "data"], ["output", "train.py"]]

    def test_files_of_a_folder(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data", "-n", "train")
        for name in ("last:train", "last:data", "data"):
            shown = clone.prov("data", "ls", name).splitlines()
            assert [line.split()[-1] for line in shown] == ["a.csv", "empty", "images/", "a.csv"]
        below = clone.prov("data", "ls", "last:data/images").splitlines()
        assert [line.split()[-1] for line in below] == ["1.png", "2.png"]
        every = lines(clone.prov("data", "ls", "-r", "last:data", "--json"))
        assert [item["path"] for item in every] == [
            "a.csv", "empty", "images", "images/1.png", "images/2.png", "link"
        ]  # fmt: skip

    def test_versions(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data", "-n", "train")
        clone.prov("run", "-i", "data", "--", "true")
        change(clone)
        clone.prov("data", "snapshot", "data")
        for name in ("data", "train", "dat*", str(clone.path / "data")):
            new, old = lines(clone.prov("data", "log", name, "--json"))
            assert [len(new["runs"]), len(old["runs"])] == [1, 2]
        said = clone.prov("data", "log", "data")
        assert said.count("input of run") == 3
        assert clone.prov_call("data", "log", "nope").returncode == UNKNOWN_DATA
        (clone.path / "sub").mkdir()
        below = Clone(clone.path / "sub").prov("data", "log", "../data", "--json")
        assert below == clone.prov("data", "log", "data", "--json")


class TestGet:
    def test_the_very_folder(self, clone: Clone) -> None:
        (clone.path / "data/images/2.png").chmod(0o755)
        clone.prov("data", "snapshot", "data")
        clone.prov("data", "get", "last", "data", "copy")
        clone.prov("data", "diff", "last:data", "copy")
        assert (clone.path / "copy/link").readlink() == Path("a.csv")
        clone.prov("data", "get", "last:data/images/1.png", "copy.png")
        assert (clone.path / "copy.png").read_bytes() == b"\x89PNG one"

    def test_into_a_folder_that_is_to_be_made(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data/a.csv")
        clone.prov("data", "get", "last:data/a.csv", "copy/below/a.csv")
        assert (clone.path / "copy/below/a.csv").read_text() == "a,b\n1,2\n"
        (clone.path / "copy/closed").write_text("")
        result = clone.prov_call("data", "get", "last:data/a.csv", "copy/closed/a.csv")
        assert result.returncode != 0
        assert "cannot be had" not in result.stderr

    def test_nothing_is_written_through_links(self, clone: Clone) -> None:
        """Whatever names a listing has: its links are made when all files are there."""
        victim = clone.write("victim", "as it was")
        clone.write("data/x", "attack")
        for name in (".x", "made", "w", "zz"):
            (clone.path / "data" / name).symlink_to(victim)
        clone.prov("data", "snapshot", "data")
        clone.prov("data", "get", "last", "data", "copy")
        assert victim.read_text() == "as it was"
        assert (clone.path / "copy/x").read_text() == "attack"
        assert not list(clone.path.glob(".gitprov-*"))

    def test_bytes_that_are_gone(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data")
        change(clone)
        result = clone.prov_call("data", "get", "last", "data", "copy")
        assert result.returncode == UNAVAILABLE
        assert "a.csv" in result.stderr
        assert "images/1.png" in result.stderr
        assert not list(clone.path.glob("*copy*"))

    def test_from_the_source_of_the_run(self, clone: Clone) -> None:
        """A snapshot has what was not committed; it is looked at where the file has changed."""
        clone.write("tracked.csv", "1\n")
        clone.write("folder/x", "x\n")
        clone.prov("run", "-i", "tracked.csv", "-i", "folder", "--", "true")
        clone.write("tracked.csv", "2\n")
        clone.write("folder/x", "y\n")
        clone.prov("data", "get", "last", "tracked.csv", "copy1")
        clone.prov("data", "get", "last:folder", "copy2")
        assert (clone.path / "copy1").read_text() == "1\n"
        assert (clone.path / "copy2/x").read_text() == "x\n"

    def test_nothing_is_overwritten(self, clone: Clone) -> None:
        clone.prov("data", "snapshot", "data")
        result = clone.prov_call("data", "get", "last", "data", "data")
        assert result.returncode == IN_THE_WAY

    def test_in_another_clone(self, clone: Clone, tmp_path: Path, server: Clone) -> None:
        """Listings travel as payload; bytes come from the source."""
        clone.write("seen/x", "x\n")
        clone.prov("init")
        clone.git("remote", "add", "origin", str(server.path))
        clone.prov("run", "-i", "seen", "--", "true")
        clone.git("push", "--quiet", "origin", "main")
        clone.prov("push", "origin")
        other = Clone.of(str(server.path), tmp_path / "other")
        other.prov("init")
        other.prov("pull", "--payload")
        assert other.prov("data", "ls", "last:seen").split()[-1] == "x"
        other.prov("fetch", "--payload", "last", check=False)
        assert "gone" in other.prov_call("data", "status").stdout


def test_an_interruption_keeps_what_is_hashed(clone: Clone) -> None:
    """Ctrl-C on a terminal reaches the whole group: the workers, too."""
    for number in range(300):
        clone.write(f"data/small/{number}", str(number))
    (clone.path / "data/huge").mkdir()
    with (clone.path / "data/huge/file").open("wb") as file:
        file.truncate(1 << 40)  # of zeros, which take no room
    cache = clone.path / ".git/prov/stat-cache.sqlite"
    with subprocess.Popen(
        [*_INTERRUPTIBLE, sys.executable, "-m", "gitprov", "data", "snapshot", "data"],
        cwd=clone.path,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while not _opened_huge(process.pid):
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in said) == (130, False)
    with closing(sqlite3.connect(cache)) as found:
        [(names,)] = found.execute(
            "SELECT names FROM folders WHERE CAST(path AS TEXT) LIKE '%small'"
        )
        assert names.count(b"\0") == 300
    assert not list((clone.path / ".git/prov/journal").iterdir())


def _opened_huge(pid: int) -> bool:
    """Say whether a process, or one that it has started, reads the huge file."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    links = (link for one in (pid, *children) for link in Path(f"/proc/{one}/fd").glob("*"))
    for link in links:
        with suppress(OSError):
            if link.readlink().name == "file":
                return True
    return False


def test_a_flat_folder_is_kept_as_far_as_it_is_hashed(clone: Clone) -> None:
    for number in range(600):
        clone.write(f"data/{number:03}", str(number))
    with (clone.path / "data/file").open("wb") as file:
        file.truncate(1 << 40)
    with subprocess.Popen(
        [*_INTERRUPTIBLE, sys.executable, "-m", "gitprov", "data", "snapshot", "data"],
        cwd=clone.path,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        while not _opened_huge(process.pid):
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    with closing(sqlite3.connect(clone.path / ".git/prov/stat-cache.sqlite")) as found:
        names = b"".join(row[0] for row in found.execute("SELECT names FROM folders"))
    assert names.count(b"\0") >= 512  # all requests before the one with the huge file


def test_wrong_usage(clone: Clone) -> None:
    assert clone.prov_call("data").returncode == 2
    assert clone.prov_call("data", "snapshot").returncode == 2
    assert clone.prov_call("data", "nope").returncode == 2
    assert "snapshot" in clone.prov("data", "-h")
