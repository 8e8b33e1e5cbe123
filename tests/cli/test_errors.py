"""Every situation that has an error of its own: one line, a stable status, and no traceback.

Whatever is wrong with the repository, `git prov run` runs the command and returns its status.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gitprov.model.ids import new_id
from tests.support import runs
from tests.support.repositories import Clone

NOBODY = 65534
PROV = [sys.executable, "-m", "gitprov"]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "repo")


def assert_error(
    clone: Clone, status: int, words: str, *arguments: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Check that a command fails with this status and one line, which says `words`."""
    result = clone.prov_call(*arguments, **env)
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("git prov")
    assert words in line
    return result


def assert_command_runs(clone: Clone, **env: str) -> list[str]:
    """Check that a command under `git prov run` is as it were alone; return what gitprov says."""
    result = clone.prov_call("run", "--", "sh", "-c", "echo out; exit 7", **env)
    assert result.returncode == 7, result.stderr
    assert result.stdout == "out\n"
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) <= 7
    return lines


def assert_unrecorded(clone: Clone, words: str, **env: str) -> None:
    """Check that a command runs, with one line that says why it is not recorded."""
    [line] = assert_command_runs(clone, **env)
    assert line.startswith("gitprov: warning: not recorded: ")
    assert words in line


class TestNoRepository:
    def test_not_a_repository(self, tmp_path: Path) -> None:
        outside = Clone(tmp_path)
        for verb in (["log"], ["show"], ["verify"], ["init"], ["push"], ["pull"], ["sync"]):
            assert_error(outside, 10, "make one with: git init", *verb)
        assert_unrecorded(outside, "make one with: git init")

    def test_git_is_not_installed(self, clone: Clone, tmp_path: Path) -> None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/sh").symlink_to("/bin/sh")
        assert_error(clone, 40, "install git", "log", PATH=str(tmp_path / "bin"))
        assert_unrecorded(clone, "install git", PATH=str(tmp_path / "bin"))

    def test_the_folder_is_gone(self, tmp_path: Path) -> None:
        (tmp_path / "gone").mkdir()
        program = "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.executable, sys.argv[1:])"
        command = [sys.executable, "-c", program, *PROV, "log"]
        result = Clone(tmp_path).call(*command, cwd=tmp_path / "gone")
        assert result.returncode not in (0, 1)
        assert "Traceback" not in result.stderr


class TestUnusualRepositories:
    def test_no_commit_yet(self, tmp_path: Path) -> None:
        clone = Clone.make(tmp_path / "new", commit=False)
        assert clone.prov("log") == ""
        assert clone.prov("log", "--json") == ""
        assert_error(clone, 20, "record one with: git prov run", "show")
        assert_error(clone, 22, "git log --oneline", "log", "main")
        assert_command_runs(clone)
        run = json.loads(clone.prov("show", "--json"))
        assert run["missing"]["source.commit"] == "the branch has no commit yet"
        assert "no commit" in clone.prov("log")
        assert clone.prov_call("verify").returncode == 0

    def test_a_detached_head(self, clone: Clone) -> None:
        clone.git("checkout", "--quiet", "--detach")
        assert_command_runs(clone)
        run = json.loads(clone.prov("show", "--json"))
        assert run["missing"]["source.ref"] == "HEAD is detached"
        assert run["source"]["commit"] == clone.git("rev-parse", "HEAD").strip()

    def test_a_bare_repository(self, clone: Clone, tmp_path: Path) -> None:
        clone.run("true")
        clone.git("clone", "--quiet", "--mirror", ".", str(tmp_path / "bare.git"))
        bare = Clone(tmp_path / "bare.git")
        assert len(bare.prov("log", "--oneline").splitlines()) == 1
        assert bare.prov_call("verify").returncode == 0
        assert_command_runs(bare)
        run = json.loads(bare.prov("show", "--json"))
        assert run["missing"]["source"] == "the repository is bare"

    def test_inside_the_git_folder(self, clone: Clone) -> None:
        inside = Clone(clone.path / ".git")
        assert inside.prov("log") == ""
        assert_command_runs(inside)

    def test_no_identity(self, clone: Clone, tmp_path: Path) -> None:
        nameless = dict.fromkeys(
            ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), ""
        )
        clone.git("config", "user.useConfigOnly", "true")
        clone.write("train.py", "changed, so that a snapshot is made\n")
        assert_command_runs(clone, HOME=str(tmp_path), **nameless)
        run = json.loads(clone.prov("show", "--json"))
        assert run["agent"] == {"type": "person"}
        assert "git config user.name" in run["missing"]["agent.name"]
        assert run["source"]["snapshot"]
        clone.git("fsck", "--strict")

    def test_objects_named_by_sha256(self, tmp_path: Path) -> None:
        clone = Clone(tmp_path)
        clone.git("init", "--quiet", "--object-format=sha256")
        clone.commit("first", {"a": "a"})
        for verb in ("log", "show", "verify", "init"):
            assert_error(clone, 11, "use a sha1 repository", verb)
        assert_unrecorded(clone, "use a sha1 repository")

    def test_an_extension_that_git_does_not_know(self, clone: Clone) -> None:
        clone.git("config", "core.repositoryFormatVersion", "1")
        clone.git("config", "extensions.fromTheFuture", "true")
        assert_error(clone, 11, "git cannot open the repository", "log")
        assert_unrecorded(clone, "git cannot open the repository")

    def test_a_damaged_repository(self, clone: Clone) -> None:
        (clone.path / ".git/config").write_text("[core\n")
        assert_error(clone, 11, "git cannot open the repository", "log")
        assert_unrecorded(clone, "git cannot open the repository")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_somebody_elses_repository(clone: Clone) -> None:
    os.chown(clone.path, NOBODY, NOBODY)
    os.chown(clone.path / ".git", NOBODY, NOBODY)
    assert_error(clone, 11, "git config --global --add safe.directory", "log")
    assert_unrecorded(clone, "belongs to somebody else")


class TestReadOnly:
    """A repository in which nothing can be written."""

    # Permissions do not bind root, unless it gives up what lets it pass them by.
    PREFIX = (
        "setpriv",
        "--bounding-set=-dac_override,-dac_read_search",
        "--inh-caps=-dac_override,-dac_read_search",
    )

    @pytest.fixture
    def prefix(self, clone: Clone) -> Iterator[Sequence[str]]:
        """Take all permissions to write away, and yield what to start commands with."""
        prefix = self.PREFIX if os.geteuid() == 0 else ()
        clone.run("true")
        clone.prov("log")
        clone.write("train.py", "changed\n")
        paths = [clone.path, *clone.path.rglob("*")]
        modes = {path: path.stat().st_mode for path in paths}
        for path, mode in modes.items():
            path.chmod(mode & 0o555)
        probe = clone.call(*prefix, "touch", str(clone.path / ".git/probe"))
        if probe.returncode == 0:
            pytest.skip("this user can write everywhere, and setpriv does not help")
        yield prefix
        for path in paths:
            if path.exists():
                path.chmod(modes[path])

    def test_a_command_runs(self, clone: Clone, prefix: Sequence[str]) -> None:
        result = clone.call(*prefix, *PROV, "run", "--", "sh", "-c", "echo out; exit 7")
        assert (result.returncode, result.stdout) == (7, "out\n"), result.stderr
        [line] = result.stderr.splitlines()
        assert line.startswith("gitprov: warning: not recorded: cannot write to ")
        assert "check its permissions" in line

    def test_what_is_recorded_can_be_read(self, clone: Clone, prefix: Sequence[str]) -> None:
        for verb in ("log", "show", "verify"):
            result = clone.call(*prefix, *PROV, verb)
            assert result.returncode == 0, result.stderr
            assert result.stderr == ""
        result = clone.call(*prefix, *PROV, "init")
        assert result.returncode == 13
        assert result.stderr.startswith("git prov: cannot write to ")

    def test_what_is_recorded_can_be_read_without_the_index(
        self, clone: Clone, prefix: Sequence[str]
    ) -> None:
        prov = clone.path / ".git/prov"
        prov.chmod(0o755)
        (prov / "index.sqlite").unlink()
        prov.chmod(0o555)
        result = clone.call(*prefix, *PROV, "log", "--oneline")
        assert (result.returncode, len(result.stdout.splitlines())) == (0, 1), result.stderr

    def test_a_folder_that_cannot_be_read_whole(self, clone: Clone) -> None:
        clone.write("data/file", "x")
        closed = clone.path / "data/closed"
        closed.mkdir()
        closed.chmod(0)
        prefix = self.PREFIX if os.geteuid() == 0 else ()
        if clone.call(*prefix, "ls", str(closed)).returncode == 0:
            pytest.skip("this user can read everything, and setpriv does not help")
        clone.call(*prefix, *PROV, "run", "-i", "data", "--", "true", check=True)
        closed.chmod(0o755)
        run = json.loads(clone.prov("show", "--json"))
        assert run["missing"]["inputs.data/closed"] == "Permission denied"
        assert run["inputs"][0]["file_count"] == 1


class TestNames:
    def test_an_unknown_run(self, clone: Clone) -> None:
        assert_error(clone, 20, "there are none yet; record one", "show")
        clone.run("true")
        assert_error(clone, 20, "there are 1", "show", "last~1")
        assert_error(clone, 20, "see them with: git prov log", "show", "zzzzzzzz-no")
        assert_error(clone, 20, "git prov pull", "show", new_id())
        clone.commit("without a run")
        assert_error(clone, 20, "no run was made from main", "show", "main")
        assert_error(clone, 20, "git prov log", "show", "--", "-x")
        assert_error(clone, 20, r"two\nlines\x1b[31m", "show", "two\nlines\x1b[31m")

    def test_an_ambiguous_prefix(self, clone: Clone) -> None:
        store = clone.store()
        first, second = "kkmm" + "k" * 28, "kkmn" + "k" * 28
        for run_id in (first, second):
            runs.record(store, id=run_id)
        store.close()
        result = assert_error(clone, 21, "give more letters", "show", "kkm")
        assert "kkmmkkkk, kkmnkkkk" in result.stderr
        assert json.loads(clone.prov("show", "--json", "kkmn"))["id"] == second

    def test_an_unknown_revision(self, clone: Clone) -> None:
        for revision in ("nope", "main~99..main", "a\nb"):
            assert_error(clone, 22, "git log --oneline", "log", "--", revision)

    def test_an_option_of_gits_is_no_revision(self, clone: Clone, tmp_path: Path) -> None:
        target = tmp_path / "written"
        assert_error(clone, 22, "git log --oneline", "log", "--", f"--output={target}")
        assert not target.exists()

    def test_a_query_that_cannot_be_understood(self, clone: Clone) -> None:
        assert_error(clone, 23, "position 12: metrics.a >»the end", "log", "--where", "metrics.a >")
        assert_error(clone, 23, "did you mean name?", "log", "--where", "nam = 1")
        assert_error(clone, 23, "is not valid", "log", "--where", 'name ~ "("')
        assert_error(clone, 23, "at position 2: »", "log", "--where", " ")


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["lgo"], "did you mean log?"),
            (["frobnicate"], "see: git prov --help"),
            (["log", "--onelin"], "--oneline"),
            (["log", "-n", "many"], "git prov log -h"),
            (["log", "-n", "-1"], "git prov log -h"),
            (["show", "one", "two"], "git prov show -h"),
            (["run"], "git prov run -h"),
            (["run", "--mesage", "x", "--", "true"], "git prov run -h"),
            (["run", "-p", "lr", "--", "true"], "'lr' is not NAME=VALUE"),
        ],
    )
    def test_mistakes(self, clone: Clone, arguments: list[str], words: str) -> None:
        assert_error(clone, 2, words, *arguments)

    def test_help_is_there_for_every_verb(self, clone: Clone) -> None:
        overview = clone.prov("--help")
        assert overview == clone.prov() == clone.prov("help") == clone.prov("-h")
        for line in overview.splitlines():
            if line.startswith("  "):
                verb = line.split()[0]
                shown = clone.prov(verb, "-h")
                assert f"git prov {verb}" in shown
                assert shown == clone.prov("help", verb)

    def test_help_fills_its_lines(self, clone: Clone) -> None:
        shown = clone.prov("restore", "-h", COLUMNS="200")
        assert "commit, branch and index stay. Work that is not committed is in the way" in shown

    def test_the_version(self, clone: Clone) -> None:
        assert clone.prov("--version").startswith("gitprov ")


def test_a_traceback_is_there_for_the_asking(clone: Clone, tmp_path: Path) -> None:
    result = clone.prov_call("show", GITPROV_DEBUG="1")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "gitprov.errors.UnknownRun" in result.stderr


def test_a_damaged_journal_does_not_stop_anything(clone: Clone) -> None:
    clone.run("true")
    folder = clone.path / ".git/prov/journal" / new_id()
    folder.mkdir(parents=True)
    (folder / "started").write_bytes(b"no msgpack")
    result = clone.prov_call("log", "--oneline")
    assert result.returncode == 0
    assert "damaged" in result.stderr
    assert "Traceback" not in result.stderr
    assert (clone.path / ".git/prov/rejected" / folder.name).is_dir()
    assert_command_runs(clone)
