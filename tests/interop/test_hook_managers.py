"""Real hook managers beside our hooks: husky, and the pre-commit framework in both orders."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gitprov.doctor.examination import examine
from gitprov.hooks.shims import NAMES
from tests.support.examining import texts
from tests.support.hooks import Started, settled
from tests.support.repositories import IDENTITY, Clone, clean_environment
from tests.support.runs import record, run_ids
from tests.support.servers import bare_repository

HUSKY = "husky@9.1.7"
PRE_COMMIT = [sys.executable, "-m", "pre_commit"]
ROOT = Path(__file__).parents[2]


def complaints(clone: Clone) -> str:
    return " ".join(text for text in texts(examine(clone.store()), "note") if "set up" in text)


class Seen:
    """What hooks of others have written down."""

    def __init__(self, clone: Clone, log: Path) -> None:
        self.clone = clone
        self.log = log

    def __call__(self, *command: str, fails: bool = False, **env: str) -> list[str]:
        """Run a command, wait for what it started, and return who was called."""
        self.log.write_text("")
        done = settled(command, cwd=self.clone.path, env=clean_environment(**env))
        assert (done.returncode != 0) == fails, (done.stdout + done.stderr).decode()
        return self.log.read_text().splitlines()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


@pytest.fixture
def seen(clone: Clone, tmp_path: Path) -> Seen:
    return Seen(clone, tmp_path / "seen")


COMMIT = ("git", "commit", "--quiet", "--allow-empty", "-m", "more")
AMEND = (*COMMIT, "--amend")


def head(clone: Clone) -> str:
    return clone.git("rev-parse", "HEAD").strip()


def take_note(clone: Clone) -> str:
    """Leave what a run leaves on HEAD; return HEAD."""
    clone.git("notes", "--ref=prov", "add", "-f", "-m", "a run", "HEAD")
    return head(clone)


def waiting(clone: Clone) -> list[str]:
    """Return the rewrites that wait, and let them wait no longer."""
    found = []
    for path in sorted((clone.path / ".git/prov/rewrites").glob("*")):
        found.append(path.read_text())
        path.unlink()
    return found


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return husky's program."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on this machine")
    folder = tmp_path_factory.mktemp("husky")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), HUSKY]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    if "code E" in done.stderr and "network" in done.stderr:
        pytest.skip("npm reaches no registry")
    assert done.returncode == 0, done.stderr
    return folder / "node_modules/husky/bin.js"


class TestHusky:
    @pytest.fixture
    def husky(self, package: Path, clone: Clone, seen: Seen) -> list[str]:
        """Let husky set up the clone, with hooks that say that they were called."""
        command = ["node", str(package)]
        clone.call(*command, check=True)
        for name in ("pre-commit", "commit-msg", "post-commit", "post-rewrite", "pre-push"):
            clone.write(f".husky/{name}", f"echo {name} $* >>'{seen.log}'\n")
        clone.git("add", "--all")
        clone.git("commit", "--quiet", "-m", "husky")
        return command

    @pytest.mark.usefixtures("husky")
    def test_beside_ours(self, clone: Clone, seen: Seen, tmp_path: Path) -> None:
        config = (clone.path / ".git/config").read_bytes()
        theirs = ["pre-commit", "commit-msg .git/COMMIT_EDITMSG", "post-commit"]
        assert seen(*COMMIT) == theirs
        said = clone.prov("init")
        assert "(those of .husky/_, then ours)" in said
        assert "hooks passed on: applypatch-msg, commit-msg, " in said
        assert complaints(clone) == ""
        started = Started(clone, tmp_path)
        assert seen(*COMMIT) == theirs
        assert started.calls() == []
        old = take_note(clone)
        assert seen(*AMEND) == [*theirs, "post-rewrite amend"]
        assert waiting(clone) == [f"amend\n{old} {head(clone)}\n"]
        assert started.calls() == ["hook catch-up"]
        assert seen(*AMEND, HUSKY="0") == []
        clone.write(".husky/pre-commit", "exit 3\n")
        assert seen(*COMMIT, fails=True) == []
        clone.prov("init", "--uninstall")
        assert (clone.path / ".git/config").read_bytes() == config

    def test_set_up_again(self, husky: list[str], clone: Clone, seen: Seen) -> None:
        clone.prov("init")
        clone.call(*husky, check=True)  # as each `npm install` does
        assert "core.hooksPath leads to .husky/_, past our hooks" in complaints(clone)
        assert "post-commit" in seen(*COMMIT)
        assert "core.hooksPath = " in clone.prov("init")
        assert complaints(clone) == ""
        assert "post-commit" in seen(*COMMIT)
        clone.call(*husky, check=True)
        clone.prov("init", "--uninstall")
        assert clone.git("config", "core.hooksPath") == ".husky/_\n"
        assert seen(*COMMIT)

    @pytest.mark.usefixtures("husky")
    def test_ours_called_by_hand(self, clone: Clone, seen: Seen, tmp_path: Path) -> None:
        for name in NAMES:
            clone.write(f".husky/{name}", f'git prov hook {name} "$@"\n')
        server = Clone(bare_repository(tmp_path / "server.git"))
        clone.git("remote", "add", "origin", str(server.path))
        ids = record(clone.store(), source={"commit": head(clone)})
        seen("git", "push", "--quiet", "origin", "main")
        assert run_ids(server.store()) == ids
        started = Started(clone, tmp_path)
        old = take_note(clone)
        seen(*AMEND)
        assert waiting(clone) == [f"amend\n{old} {head(clone)}\n"]
        seen("git", "checkout", "--quiet", "-b", "other")
        assert started.calls() == ["hook catch-up"]


class TestPreCommit:
    TYPES = ("pre-commit", *NAMES)

    @pytest.fixture(autouse=True)
    def configured(
        self, clone: Clone, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("PRE_COMMIT_COLOR", "never")
        hook = {
            "id": "say",
            "name": "say",
            "language": "system",
            "entry": f"sh -c 'echo theirs >>{seen.log}'",
            "stages": list(self.TYPES),
            "always_run": True,
            "pass_filenames": False,
        }
        self.configure(clone, {"repo": "local", "hooks": [hook]})

    def configure(self, clone: Clone, repo: object) -> None:
        config = {"default_install_hook_types": list(self.TYPES), "repos": [repo]}
        clone.commit("configured", {".pre-commit-config.yaml": json.dumps(config)})
        clone.commit("beyond it")

    def pre_commit(self, clone: Clone, *arguments: str) -> str:
        return clone.call(*PRE_COMMIT, *arguments, check=True).stdout

    def hooks(self, clone: Clone) -> dict[str, str]:
        """Return whose the hooks are."""
        found = {}
        folder = clone.path / ".git"
        for path in sorted(folder.glob("hooks*/post-commit*")):
            text = path.read_text()
            if path.suffix != ".sample":
                by_them = "File generated by pre-commit" in text
                by_us = "git prov init --uninstall" in text
                whose = "theirs" if by_them else "ours" if by_us else "user's"
                found[str(path.relative_to(folder)).removeprefix("hooks/")] = whose
        return found

    def check(self, clone: Clone, seen: Seen, started: Started, *users: str) -> None:
        """See all at work: theirs, ours, and a hook of the user's own."""
        assert complaints(clone) == ""
        assert seen(*COMMIT) == ["theirs", *users, "theirs"]
        assert started.calls() == []
        old = take_note(clone)
        assert sorted(seen(*AMEND)) == sorted(["theirs"] * 3 + [*users])
        assert waiting(clone) == [f"amend\n{old} {head(clone)}\n"]
        # Theirs keeps the pairs to itself.
        assert started.calls() == ["hook post-rewrite amend", "hook catch-up"]

    def put_users_hook(self, clone: Clone, seen: Seen) -> None:
        hook = clone.write(".git/hooks/post-commit", f"#!/bin/sh\necho mine >>{seen.log}\n")
        hook.chmod(0o755)

    def test_theirs_after_ours(self, clone: Clone, seen: Seen, tmp_path: Path) -> None:
        self.put_users_hook(clone, seen)
        clone.prov("init")
        self.pre_commit(clone, "install")
        both = {
            "post-commit": "theirs",
            "hooks.before-gitprov/post-commit": "user's",
            "post-commit.legacy": "ours",
        }
        for _ in range(2):
            assert self.hooks(clone) == both
            self.check(clone, seen, Started(clone, tmp_path), "mine")
            assert "installed" not in clone.prov("init")
            self.pre_commit(clone, "install")
        self.pre_commit(clone, "uninstall")
        del both["post-commit.legacy"]
        assert self.hooks(clone) == {**both, "post-commit": "ours"}
        clone.prov("init", "--uninstall")
        assert self.hooks(clone) == {"post-commit": "user's"}

    def test_ours_after_theirs(self, clone: Clone, seen: Seen, tmp_path: Path) -> None:
        self.put_users_hook(clone, seen)
        self.pre_commit(clone, "install")
        before = self.hooks(clone)
        assert before == {"post-commit": "theirs", "post-commit.legacy": "user's"}
        assert "hook post-commit.legacy: yours is kept and called first" in clone.prov("init")
        self.check(clone, seen, Started(clone, tmp_path), "mine")
        self.pre_commit(clone, "install")
        self.check(clone, seen, Started(clone, tmp_path), "mine")
        clone.prov("init", "--uninstall")
        assert self.hooks(clone) == before
        assert seen(*COMMIT) == ["theirs", "mine", "theirs"]

    def test_theirs_alone(self, clone: Clone, seen: Seen, tmp_path: Path) -> None:
        clone.prov("init")
        self.pre_commit(clone, "install", "--overwrite")
        assert "hook post-commit is not there" in complaints(clone)
        clone.prov("init")
        self.check(clone, seen, Started(clone, tmp_path))

    def test_ours_taken_out_first(self, clone: Clone, seen: Seen) -> None:
        self.put_users_hook(clone, seen)
        clone.prov("init")
        self.pre_commit(clone, "install")
        clone.prov("init", "--uninstall")
        assert self.hooks(clone) == {"post-commit": "theirs", "post-commit.legacy": "user's"}
        self.pre_commit(clone, "uninstall")
        assert self.hooks(clone) == {"post-commit": "user's"}

    def test_a_push_and_a_rebase_through_theirs(
        self, clone: Clone, seen: Seen, tmp_path: Path
    ) -> None:
        clone.prov("init")
        self.pre_commit(clone, "install")
        server = Clone(bare_repository(tmp_path / "server.git"))
        clone.git("remote", "add", "origin", str(server.path))
        ids = record(clone.store(), source={"commit": head(clone)})
        assert "theirs" in seen("git", "push", "--quiet", "origin", "main")
        assert run_ids(server.store()) == ids
        clone.git("checkout", "--quiet", "-b", "onto", "HEAD~1")
        clone.commit("onto", {"onto": "x"})
        clone.git("checkout", "--quiet", "main")
        old = take_note(clone)
        started = Started(clone, tmp_path)
        assert "theirs" in seen("git", "rebase", "--quiet", "onto")
        assert waiting(clone) == [f"rebase\n{old} {head(clone)}\n"]
        assert started.calls()[-2:] == ["hook post-rewrite rebase", "hook catch-up"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a repository of this source tree."""
    source = Clone.make(tmp_path_factory.mktemp("source") / "gitprov", commit=False)
    shutil.copytree(
        ROOT / "gitprov", source.path / "gitprov", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "hooks", source.path / "hooks")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, source.path / name)
    source.commit("all of it")
    return source


class TestHooksForPreCommit:
    """`.pre-commit-hooks.yaml`: pre-commit installs gitprov by itself, and nobody calls init."""

    def test_the_manifest_is_valid(self, source: Clone) -> None:
        source.call(*PRE_COMMIT, "validate-manifest", check=True)

    def test_all_stages(self, source: Clone, clone: Clone, tmp_path: Path) -> None:
        home = {"PRE_COMMIT_HOME": str(tmp_path / "home")}
        hooks = [{"id": f"gitprov-{name}"} for name in NAMES]
        repo = {"repo": str(source.path), "rev": head(source), "hooks": hooks}
        config = {"default_install_hook_types": list(NAMES), "repos": [repo]}
        clone.commit("configured", {".pre-commit-config.yaml": json.dumps(config)})
        clone.commit("beyond it")
        done = clone.call(*PRE_COMMIT, "install", "--install-hooks", PYTHONPATH="", **home)
        if "No matching distribution" in done.stdout + done.stderr:
            pytest.skip("pip reaches no index")
        assert done.returncode == 0, done.stdout + done.stderr

        # There is no gitprov but the one that pre-commit has installed.
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **IDENTITY, **home}

        def call(*command: str) -> str:
            done = settled(["git", *command], cwd=clone.path, env=env)
            assert done.returncode == 0, done.stderr.decode()
            return done.stderr.decode()

        def is_taken_in() -> bool:
            path = clone.path / ".git/prov/remotes-seen"
            found = path.exists()
            path.unlink(missing_ok=True)
            return found

        server = Clone(bare_repository(tmp_path / "server.git"))
        clone.git("remote", "add", "origin", str(server.path))
        ids = record(clone.store(), source={"commit": head(clone)})
        call("push", "--quiet", "origin", "main")
        assert run_ids(server.store()) == ids
        is_taken_in()
        clone.git("update-ref", "refs/prov-remote/other/ledger/2026-01/00", "HEAD")
        call("checkout", "--quiet", "-b", "side", "HEAD~1")
        assert is_taken_in()
        call("merge", "--quiet", "main")
        assert is_taken_in()
        take_note(clone)
        call("commit", "--quiet", "--allow-empty", "--amend", "--message", "other")
        assert is_taken_in()
        assert waiting(clone) == []
        dirty = clone.path / ".git/prov/dirty"
        dirty.mkdir(exist_ok=True)
        (dirty / head(clone)).touch()
        call("commit", "--quiet", "--allow-empty", "--message", "more")
        assert is_taken_in()
