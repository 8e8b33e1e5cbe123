"""What a snapshot leaves out, what is hidden from git, and sources that cannot be captured."""

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.killed_git import needs_strace
from tests.support.repositories import Clone

# Without the right of root to read everything.
WITHOUT_RIGHTS = {
    True: ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
    * bool(shutil.which("setpriv")),
    False: ["env"],
}[os.geteuid() == 0]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "repo")
    clone.commit("files", {"a.py": "a\n", "b.py": "b\n", "sub/c.py": "c\n"})
    return clone


def recorded(clone: Clone) -> dict[str, Any]:
    """Record a run and return its manifest."""
    clone.run("true")
    found: dict[str, Any] = json.loads(clone.prov("show", "--json"))
    return found


def files(clone: Clone, source: dict[str, Any]) -> list[str]:
    return clone.git("ls-tree", "-r", "--name-only", source["snapshot"]).splitlines()


def omitted(source: dict[str, Any]) -> dict[str, str]:
    return {item["path"]: item["reason"] for item in source.get("omitted", [])}


def test_the_limit_holds_for_tracked_files_too(clone: Clone) -> None:
    clone.git("config", "prov.snapshot.maxFileSize", "10")
    text = "tracked and longer than the limit\n"
    clone.write("a.py", text)
    clone.write("new.py", "untracked and longer than the limit\n")
    clone.write("b.py", "fits\n")
    source = recorded(clone)["source"]
    assert omitted(source) == dict.fromkeys(
        ["a.py", "new.py"], "larger than prov.snapshot.maxFileSize (10)"
    )
    assert files(clone, source) == ["b.py", "sub/c.py", "train.py"]
    assert source["omitted"][0]["size"] == len(text)
    assert source["omitted"][0]["digest"]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    oid = clone.git("hash-object", "a.py").strip()
    assert clone.call("git", "cat-file", "-e", oid).returncode != 0
    assert clone.git("ls-files", "a.py") == "a.py\n"


def test_a_large_file_that_did_not_change_is_in_the_snapshot(clone: Clone) -> None:
    clone.git("config", "prov.snapshot.maxFileSize", "10")
    clone.commit("large", {"large.bin": "x" * 100})
    clone.write("b.py", "fits\n")
    source = recorded(clone)["source"]
    assert "omitted" not in source
    assert clone.git("show", f"{source['snapshot']}:large.bin") == "x" * 100


def test_the_largest_files_go_first_where_all_are_too_much(clone: Clone) -> None:
    clone.git("config", "prov.snapshot.maxTotal", "60")
    clone.write("a.py", "a" * 40)
    for size in (5, 20, 30):
        clone.write(f"new{size}", "n" * size)
    source = recorded(clone)["source"]
    reason = "all together are larger than prov.snapshot.maxTotal (60)"
    assert omitted(source) == {"a.py": reason}
    assert files(clone, source) == ["b.py", "new20", "new30", "new5", "sub/c.py", "train.py"]
    clone.git("config", "prov.snapshot.maxTotal", "0")
    source = recorded(clone)["source"]
    assert set(omitted(source)) == {"a.py", "new5", "new20", "new30"}
    assert all(item["digest"]["sha256"] for item in source["omitted"])


def test_deleted_files_and_links_do_not_count(clone: Clone) -> None:
    clone.git("config", "prov.snapshot.maxFileSize", "0")
    (clone.path / "a.py").unlink()
    (clone.path / "link").symlink_to("b.py")
    source = recorded(clone)["source"]
    assert "omitted" not in source
    assert files(clone, source) == ["b.py", "link", "sub/c.py", "train.py"]


def test_a_limit_that_is_no_size_is_told_and_costs_nothing(clone: Clone) -> None:
    clone.git("config", "prov.snapshot.maxTotal", "much")
    clone.git("config", "prov.snapshot.maxFileSize", "10")
    clone.write("a.py", "short\n")
    clone.write("b.py", "longer than the limit\n")
    problem = "prov.snapshot.maxtotal=much is not a size, as 10m is; 67108864 bytes count"
    assert problem in clone.prov_call("run", "--", "true").stderr
    run = json.loads(clone.prov("show", "--json"))
    assert omitted(run["source"]) == {"b.py": "larger than prov.snapshot.maxFileSize (10)"}
    assert clone.git("show", f"{run['source']['snapshot']}:a.py") == "short\n"
    assert problem in clone.prov_call("scan").stderr


@pytest.mark.skipif(not WITHOUT_RIGHTS, reason="root may read everything")
def test_what_cannot_be_read_is_no_claim(clone: Clone) -> None:
    """A tracked file and an untracked one, in folders that are closed."""
    clone.write("closed/new.py", "new\n")
    folders = [clone.path / "sub", clone.path / "closed"]
    for folder in folders:
        folder.chmod(0)
    try:
        clone.call(*WITHOUT_RIGHTS, "git-prov", "run", "--quiet", "--", "true", check=True)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    why = json.loads(clone.prov("show", "--json"))["missing"]["source.tree"]
    assert why.startswith("not all could be looked at for changes: sub/c.py: Permission denied and")
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "-m", "all")
    clone.run("true")
    assert "source.tree" not in json.loads(clone.prov("show", "--json"))["missing"]


def test_safecrlf_does_not_refuse_files(clone: Clone) -> None:
    clone.git("config", "core.autocrlf", "true")
    clone.git("config", "core.safecrlf", "true")
    clone.write("new.py", "one\ntwo\n")
    run = recorded(clone)
    assert "omitted" not in run["source"]
    assert clone.git("show", f"{run['source']['snapshot']}:new.py") == "one\ntwo\n"


def test_files_that_git_cannot_add_are_named_and_the_rest_is_captured(clone: Clone) -> None:
    clone.commit("filter", {".gitattributes": "*.bin filter=large\n"})
    clone.git("config", "filter.large.clean", "no-such-program-at-all")
    clone.git("config", "filter.large.required", "true")
    for number in range(20):
        clone.write(f"new{number:02}.py", f"{number}\n")
    for name in ("one.bin", "sub/two.bin"):
        clone.write(name, name)
    source = recorded(clone)["source"]
    assert set(omitted(source)) == {"one.bin", "sub/two.bin"}
    for item in source["omitted"]:
        assert item["reason"].startswith("git cannot add it: git update-index failed: ")
        assert item["digest"]["sha256"] == hashlib.sha256(item["path"].encode()).hexdigest()
    listed = files(clone, source)
    assert [name for name in listed if name.startswith("new")] == [
        f"new{number:02}.py" for number in range(20)
    ]
    assert not [name for name in listed if name.endswith(".bin")]


def test_a_tracked_file_that_git_cannot_add_is_not_there_in_an_old_version(clone: Clone) -> None:
    clone.commit("large", {"one.bin": "as committed"})
    clone.write(".gitattributes", "*.bin filter=large\n")
    clone.git("config", "filter.large.clean", "false")
    clone.git("config", "filter.large.required", "true")
    clone.write("one.bin", "longer than what was committed")
    source = recorded(clone)["source"]
    assert set(omitted(source)) == {"one.bin"}
    assert "one.bin" not in files(clone, source)


def test_many_files_that_git_cannot_add_take_bounded_time(clone: Clone) -> None:
    clone.commit("filter", {".gitattributes": "*.bin filter=large\n"})
    clone.git("config", "filter.large.clean", "false")
    clone.git("config", "filter.large.required", "true")
    for number in range(1100):
        clone.write(f"{number}.bin", "x")
    run = recorded(clone)
    assert len(run["source"]["omitted"]) == 1000
    assert run["missing"]["source.omitted"] == "100 more paths are left out than are named"
    assert not [name for name in files(clone, run["source"]) if name.endswith(".bin")]


@pytest.mark.parametrize("mark", ["--skip-worktree", "--assume-unchanged", "both"])
def test_files_hidden_from_git_are_captured(clone: Clone, mark: str) -> None:
    marks = ["--skip-worktree", "--assume-unchanged"] if mark == "both" else [mark]
    for option in marks:
        clone.git("update-index", option, "a.py", "sub/c.py")
    before = (clone.path / ".git/index").read_bytes()
    assert recorded(clone)["source"]["dirty"] is False
    clone.write("a.py", "changed behind git's back\n")
    assert clone.git("status", "--porcelain") == ""
    source = recorded(clone)["source"]
    assert source["dirty"] is True
    assert clone.git("show", f"{source['snapshot']}:a.py") == "changed behind git's back\n"
    assert (clone.path / ".git/index").read_bytes() == before


def test_a_hidden_deletion_is_captured(clone: Clone) -> None:
    clone.git("update-index", "--assume-unchanged", "a.py")
    (clone.path / "a.py").unlink()
    assert "a.py" not in files(clone, recorded(clone)["source"])


def test_a_sparse_checkout_keeps_what_it_leaves_out(clone: Clone) -> None:
    clone.git("sparse-checkout", "set", "--no-cone", "/*", "!/sub/")
    assert not (clone.path / "sub/c.py").exists()
    source = recorded(clone)["source"]
    assert source["dirty"] is False
    clone.write("a.py", "changed\n")
    source = recorded(clone)["source"]
    assert "sub/c.py" in files(clone, source)
    assert clone.git("show", f"{source['snapshot']}:a.py") == "changed\n"


def test_a_change_within_the_second_of_the_commit_is_captured(clone: Clone) -> None:
    """The index's own time tells git what may have changed unseen; a copy must keep it."""
    then = int(time.time()) - 10
    clone.write("a.py", "old\n")
    os.utime(clone.path / "a.py", (then, then))
    clone.git("add", "a.py")
    clone.git("commit", "--quiet", "-m", "old")
    # Nothing that git compares is different then, but for the content.
    with (clone.path / "a.py").open("r+") as file:
        file.write("new\n")
    os.utime(clone.path / "a.py", (then, then))
    os.utime(clone.path / ".git/index", (then, then))
    clone.git("config", "core.trustctime", "false")
    assert clone.git("--no-optional-locks", "status", "--porcelain") == " M a.py\n"
    source = recorded(clone)["source"]
    assert clone.git("show", f"{source['snapshot']}:a.py") == "new\n"


def test_git_may_print_in_any_encoding(clone: Clone) -> None:
    clone.git("config", "i18n.logOutputEncoding", "UTF-16")
    clone.git("config", "i18n.commitEncoding", "UTF-16")
    source = recorded(clone)["source"]
    assert source["tree"] == clone.git("rev-parse", "HEAD^{tree}").strip()
    clone.write("a.py", "changed\n")
    source = recorded(clone)["source"]
    assert "encoding" not in clone.git("cat-file", "commit", source["snapshot"])


def test_a_command_may_remove_its_own_folder(clone: Clone) -> None:
    folder = clone.path / "scratch"
    folder.mkdir()
    clone.git("config", "user.name", "Ada")
    done = Clone(folder).prov_call("run", "--", "sh", "-c", "rmdir ../scratch; echo ran")
    assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr
    assert "warning" not in done.stderr
    assert len(clone.prov("log", "--oneline").splitlines()) == 1


def test_a_repository_below_a_folder_with_line_ends(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "one\ntwo\u2028three\n")
    clone.write("train.py", "changed\n")
    source = recorded(clone)["source"]
    assert clone.git("show", f"{source['snapshot']}:train.py") == "changed\n"


def synced(clone: Clone, trace: Path) -> list[str]:
    """Record a run of changed files, and return the calls that made anything durable."""
    clone.write("a.py", "staged\n")
    clone.git("add", "a.py")
    clone.write("b.py", "changed\n")
    calls = "trace=fsync,fdatasync,sync_file_range"
    words = ["strace", "-f", "-y", "-qq", "-e", calls, "-e", "signal=none", "-o", str(trace)]
    clone.call(*words, sys.executable, "-m", "gitprov", "run", "--", "true", check=True)
    return trace.read_text().splitlines()


@needs_strace
def test_a_method_of_syncing_that_syncs_nothing_is_not_ours(clone: Clone, tmp_path: Path) -> None:
    """With writeout-only, git starts the writing, and leaves it to the disk when to end."""
    clone.git("config", "core.fsyncMethod", "writeout-only")
    calls = synced(clone, tmp_path / "trace")
    assert not [call for call in calls if "sync_file_range(" in call]
    for name in (
        "/objects/pack/tmp_pack_",
        "/refs/prov/ledger/",
        "/refs/notes/prov",
        "/.snapshot.",
    ):
        assert any("fsync(" in call and name in call for call in calls), (name, calls)


@needs_strace
def test_nothing_waits_for_the_disk_where_the_user_wants_it_so(
    clone: Clone, tmp_path: Path
) -> None:
    clone.git("config", "prov.fsync", "off")
    clone.run("true")  # sets up what is there once
    assert synced(clone, tmp_path / "trace") == []
