"""`git prov init --server`: one hook on a host, beside what is there, under each shell."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from gitprov.errors import HooksElsewhere
from gitprov.hooks.shims import shims_folder
from tests.support.chains import entry, run_folder
from tests.support.hooks import SHELLS
from tests.support.hosts import started_by
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import ledger_tips, record

ZERO, ONE = "0" * 40, "1" * 40
BRANCH = f"{ZERO} {ONE} refs/heads/main"
LEDGER = "refs/prov/ledger/2026-01/05"


@pytest.fixture
def clone(tmp_path: Path, server: Clone) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(server.path))
    record(clone.store())
    return clone


def hook(server: Clone) -> Path:
    return server.path / "hooks" / "pre-receive"


def contents(server: Clone) -> dict[str, bytes]:
    """Return the configuration and the hooks, byte for byte."""
    hooks = [path for path in server.path.glob("hooks*/*") if path.is_file()]
    hooks = [path for path in hooks if path.suffix != ".sample"]
    return {path.name: path.read_bytes() for path in [server.path / "config", *hooks]}


def push(clone: Clone, *refspecs: str) -> subprocess.CompletedProcess[str]:
    return clone.call("git", "push", "--no-verify", "origin", *refspecs)


def bad_push(clone: Clone) -> subprocess.CompletedProcess[str]:
    return push(clone, f"{entry(clone.store(), run_folder(b'malformed'))}:{LEDGER}")


# Setting up


def test_says_what_it_changes_and_changes_it_once(server: Clone) -> None:
    said = server.prov("init", "--server")
    assert "prov.program = " in said
    assert "hooks installed: pre-receive\n" in said
    assert "pushes are checked" in said
    assert hook(server).stat().st_mode & 0o111
    before = contents(server)
    assert set(before) == {"config", "pre-receive"}
    assert server.prov("init", "--server") == "pushes are checked\n"
    assert json.loads(server.prov("init", "--server", "--json"))["changes"] == []
    assert contents(server) == before
    server.git("config", "prov.receive", "off")
    assert server.prov("init", "--server") == "pushes are not checked: prov.receive is off\n"


@pytest.mark.parametrize("options", [["--server", "--uninstall"], ["--uninstall"]])
def test_is_taken_out_again(server: Clone, clone: Clone, options: list[str]) -> None:
    hook(server).write_text("#!/bin/sh\nexit 0\n")
    hook(server).chmod(0o755)
    before = contents(server)
    assert "hook pre-receive: yours is kept and called first" in server.prov("init", "--server")
    assert bad_push(clone).returncode == 1
    assert "hook pre-receive: yours is back in place" in server.prov("init", *options)
    after = contents(server)
    assert after.pop("config") == before.pop("config") or "--server" in options
    assert after == before
    assert bad_push(clone).returncode == 0


def test_a_host_that_is_a_clone_as_well(server: Clone) -> None:
    server.prov("init")
    client = set(contents(server))
    server.prov("init", "--server")
    assert set(contents(server)) == client | {"pre-receive"}
    server.prov("init")
    assert set(contents(server)) == client | {"pre-receive"}
    server.prov("init", "--server", "--uninstall")
    assert set(contents(server)) == client


@pytest.mark.parametrize("folder", [".", ".git"])
def test_a_repository_that_somebody_works_in_is_no_host(clone: Clone, folder: str) -> None:
    done = Clone(clone.path / folder).prov_call("init", "--server")
    assert done.returncode == 2
    assert "--server is for bare repositories" in done.stderr
    assert not (clone.path / ".git" / "hooks" / "pre-receive").exists()


def test_hooks_that_many_repositories_share(server: Clone, clone: Clone, tmp_path: Path) -> None:
    """They are not touched, and told what to call; that works as the hook itself does."""
    shared = tmp_path / "shared"
    shared.mkdir()
    server.git("config", "core.hooksPath", str(shared))
    for options in (["--server"], ["--server", "--uninstall"]):
        done = server.prov_call("init", *options)
        assert done.returncode == HooksElsewhere.exit_status
        assert "let a pre-receive there call: git prov hook pre-receive" in done.stderr
    assert not list(shared.iterdir())
    script = shared / "pre-receive"
    script.write_text("#!/bin/sh\nexec git-prov hook pre-receive\n")
    script.chmod(0o755)
    assert bad_push(clone).returncode == 1
    assert push(clone, "main", "refs/prov/*:refs/prov/*").returncode == 0
    server.git("config", "prov.receive", "off")
    assert bad_push(clone).returncode == 0


# Beside another hook


def chain(server: Clone, script: str) -> None:
    hook(server).write_text(f"#!/bin/sh\n{script}\n")
    hook(server).chmod(0o755)
    server.prov("init", "--server")


def test_another_hook_gets_what_git_gave(server: Clone, clone: Clone, tmp_path: Path) -> None:
    given, seen = tmp_path / "given", tmp_path / "seen"
    chain(
        server,
        f"cat >'{given}'; while read -r old new ref; do git cat-file -t $new; done"
        f" <'{given}' >'{seen}'; echo $# \"$GIT_QUARANTINE_PATH\" >>'{seen}'",
    )
    (ref,) = ledger_tips(clone.store())
    tips = [clone.git("rev-parse", name).strip() for name in ("main", ref)]
    assert push(clone, "main", f"{ref}:{ref}").returncode == 0
    assert given.read_text() == f"{ZERO} {tips[0]} refs/heads/main\n{ZERO} {tips[1]} {ref}\n"
    assert seen.read_text().startswith("commit\ncommit\n0 /")


def test_both_must_agree(server: Clone, clone: Clone) -> None:
    chain(server, "cat >/dev/null; test ! -e refuse")
    assert bad_push(clone).returncode == 1
    assert push(clone, "refs/prov/*:refs/prov/*").returncode == 0
    (server.path / "refuse").touch()
    for refspec in ("main", f"{ledger_tips(clone.store()).popitem()[1]}:{LEDGER}"):
        assert push(clone, refspec).returncode == 1
    (server.path / "refuse").unlink()
    assert push(clone, "main").returncode == 0


# The script itself


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    command = SHELLS[request.param].split()
    if not Path(command[0]).exists():
        pytest.skip(f"there is no {request.param} on this machine")
    return command


def run_hook(
    shell: list[str], cwd: Path, lines: list[str], **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*shell, str(shims_folder() / "pre-receive")],
        cwd=cwd,
        env=clean_environment(**env),
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_push_of_branches_starts_nothing_but_cat(
    shell: list[str], server: Clone, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "cat").symlink_to(shutil.which("cat") or "")
    names = ["refs/heads/main", "refs/heads/refs/prov/x", "refs/provenance/x", "refs/notes/prov"]
    lines = [f"{ZERO} {ONE} {name}" for name in names] * 3000
    done = run_hook(shell, server.path, lines, PATH=str(programs))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("ref", [LEDGER, "refs/prov", "refs/prov-pin/x"])
@pytest.mark.parametrize("alone", [True, False])
def test_gitprov_gets_the_whole_push(
    shell: list[str], server: Clone, tmp_path: Path, ref: str, *, alone: bool
) -> None:
    given = tmp_path / "given"
    started_by(server, tmp_path / "git-prov", f"echo \"$@\" >'{given}'; exec cat >>'{given}'")
    lines = [f"{ZERO} {ONE} {ref}", *([] if alone else [BRANCH])]
    done = run_hook(shell, server.path, lines)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert given.read_text().splitlines() == ["hook pre-receive", *lines]


def test_its_verdict_stands(shell: list[str], server: Clone, tmp_path: Path) -> None:
    started_by(server, tmp_path / "git-prov", "exit 1")
    assert run_hook(shell, server.path, [f"{ZERO} {ONE} {LEDGER}"]).returncode == 1


def test_nobody_to_look(shell: list[str], server: Clone) -> None:
    server.git("config", "prov.program", "/nowhere/git-prov")
    lines = [BRANCH, f"{ZERO} {ONE} {LEDGER}", f"{ZERO} {ONE} refs/prov-pin/x"]
    done = run_hook(shell, server.path, lines, PATH="/usr/bin:/bin")
    assert done.returncode == 1
    reason = "gitprov cannot be started here, so nobody has checked it"
    assert done.stderr.splitlines() == [
        f"gitprov: refused: {LEDGER}: {reason}",
        f"gitprov: refused: refs/prov-pin/x: {reason}",
        "gitprov: for who keeps this host: git prov init --server, or git config prov.receive off",
    ]
    for value in ("off", "false", "no", "0"):
        server.git("config", "prov.receive", value)
        assert run_hook(shell, server.path, lines, PATH="/usr/bin:/bin").returncode == 0
    for value in ("on", "nonsense"):
        server.git("config", "prov.receive", value)
        assert run_hook(shell, server.path, lines, PATH="/usr/bin:/bin").returncode == 1
