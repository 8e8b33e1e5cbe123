"""The hook scripts under each shell: nothing to do starts nothing, and nothing is in the way."""

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gitprov.hooks.shims import NAMES, shim
from tests.support.hooks import SHELLS, Gate, Started, git, set_shell, settled
from tests.support.repositories import IDENTITY, Clone, clean_environment
from tests.support.runs import finish

CATCH_UP = ["hook catch-up"]


@pytest.fixture(params=SHELLS, autouse=True)
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    path = SHELLS[name]
    if not Path(path.split()[0]).exists():
        pytest.skip(f"there is no {name} on this machine")
    return path


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = Clone.make(tmp_path_factory.mktemp("template") / "clone")
    clone.prov("init")
    return clone.path


@pytest.fixture
def clone(tmp_path: Path, template: Path, shell: str) -> Clone:
    path = shutil.copytree(template, tmp_path / 'it\'s a $HOME `x` "ü"')
    clone = Clone(path)
    set_shell(clone, shell)
    return clone


@pytest.fixture
def started(clone: Clone, tmp_path: Path) -> Started:
    return Started(clone, tmp_path)


def head(clone: Clone) -> str:
    return clone.git("rev-parse", "HEAD").strip()


def prov_dir(clone: Clone) -> Path:
    return clone.path / ".git" / "prov"


def keep(clone: Clone, name: str, content: str) -> Path:
    """Make a hook that was there before ours."""
    theirs = clone.write(f".git/hooks.before-gitprov/{name}", content)
    theirs.chmod(0o755)
    return theirs


def mark_dirty(clone: Clone) -> None:
    """Leave what a dirty run leaves on HEAD."""
    dirty = prov_dir(clone) / "dirty"
    dirty.mkdir(exist_ok=True)
    (dirty / head(clone)).touch()


def take_note(clone: Clone) -> None:
    """Leave what a run leaves on HEAD."""
    clone.git("notes", "--ref=prov", "add", "-f", "-m", "run kzmwtqpx ok", "HEAD")


def see_remote(clone: Clone) -> None:
    """Leave what a fetch leaves that has brought a run."""
    clone.git("update-ref", "refs/prov-remote/origin/ledger/2026-01/00", "HEAD")


def commit(clone: Clone, *options: str, **env: str) -> str:
    said = git(clone, "commit", "--quiet", "--allow-empty", "-m", "more", *options, **env)
    return said.stdout.decode() + said.stderr.decode()


def pairs(clone: Clone) -> list[str]:
    """Return what waits to be recorded, each file's text."""
    folder = prov_dir(clone) / "rewrites"
    files = sorted(folder.iterdir()) if folder.exists() else []
    assert all(path.suffix == ".pairs" for path in files)
    return [path.read_text() for path in files]


def test_nothing_to_do_starts_nothing(clone: Clone, started: Started, tmp_path: Path) -> None:
    remote = tmp_path / "remote.git"
    clone.git("init", "--quiet", "--bare", str(remote))
    clone.git("remote", "add", "origin", str(remote))
    mark_dirty(clone)
    take_note(clone)
    clone.git("commit", "--quiet", "--allow-empty", "-m", "beyond it", GITPROV_HOOKS="0")
    for command in (
        "commit --quiet --allow-empty -m more",
        "commit --quiet --allow-empty --amend -m other",
        "checkout --quiet -b side HEAD~1",
        "merge --quiet --no-edit main",
        "checkout --quiet main -- train.py",
        "push --quiet origin main",
        "push --quiet ../remote.git side",
    ):
        assert git(clone, *command.split()).stderr == b""
    assert started.calls() == []
    assert pairs(clone) == []


def test_a_commit_after_a_dirty_run(clone: Clone, started: Started) -> None:
    mark_dirty(clone)
    assert commit(clone) == ""
    assert started.calls() == CATCH_UP
    commit(clone)
    assert started.calls() == []


def test_the_first_commit_of_all(tmp_path: Path, started: Started, clone: Clone) -> None:
    git(clone, "checkout", "--quiet", "--orphan", "other")
    assert commit(clone) == ""
    assert commit(clone, "--amend") == ""
    assert started.calls() == []


def test_the_first_commit_after_a_dirty_run(clone: Clone, started: Started) -> None:
    (prov_dir(clone) / "dirty").mkdir()
    (prov_dir(clone) / "dirty" / ("0" * 40)).touch()
    commit(clone)
    assert started.calls() == []
    git(clone, "checkout", "--quiet", "--orphan", "other")
    assert commit(clone) == ""
    assert started.calls() == CATCH_UP


def test_an_amended_commit_that_has_a_run(clone: Clone, started: Started) -> None:
    take_note(clone)
    old = head(clone)
    commit(clone, "--amend")
    assert pairs(clone) == [f"amend\n{old} {head(clone)}\n"]
    assert started.calls() == CATCH_UP
    middle = head(clone)
    commit(clone, "--amend", "-m", "once more")  # git has copied the note
    assert sorted(pairs(clone)) == sorted(
        [f"amend\n{old} {middle}\n", f"amend\n{middle} {head(clone)}\n"]
    )


def test_an_amended_commit_while_a_run_waits(clone: Clone, started: Started) -> None:
    finish(clone.store())
    old = head(clone)
    commit(clone, "--amend")
    assert pairs(clone) == [f"amend\n{old} {head(clone)}\n"]
    assert started.calls() == CATCH_UP


def test_a_commit_that_git_cannot_read_counts_as_one_with_a_run(
    clone: Clone, started: Started
) -> None:
    hook = str(clone.path / ".git/hooks/post-rewrite")
    done = settled([hook, "amend"], cwd=clone.path, stdin=f"{'1' * 40} {head(clone)}\n".encode())
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
    assert pairs(clone) == [f"amend\n{'1' * 40} {head(clone)}\n"]
    assert started.calls() == CATCH_UP


@pytest.mark.parametrize("backend", ["--merge", "--apply"])
def test_a_rebase_starts_once_at_most(clone: Clone, started: Started, backend: str) -> None:
    mark_dirty(clone)
    git(clone, "checkout", "--quiet", "-b", "onto")
    clone.commit("onto", {"onto": "x"})
    git(clone, "checkout", "--quiet", "main")
    old = [clone.commit(f"number {i}", {"file": str(i)}) for i in range(4)]
    started.calls()
    take_note(clone)
    mark_dirty(clone)
    clone.git("update-ref", "refs/heads/tip", "HEAD")
    (prov_dir(clone) / "dirty" / clone.git("rev-parse", "onto").strip()).touch()
    git(clone, "rebase", "--quiet", backend, "onto")
    new = clone.git("rev-list", "--reverse", "onto..HEAD").split()
    lines = "".join(f"{before} {after}\n" for before, after in zip(old, new, strict=True))
    assert pairs(clone) == [f"rebase\n{lines}"]
    assert started.calls() == CATCH_UP


@pytest.mark.parametrize(
    "command", ["checkout --quiet -b other", "merge --quiet --ff-only ahead", "switch -q -c third"]
)
def test_runs_that_came_with_a_fetch(clone: Clone, started: Started, command: str) -> None:
    commit(clone)
    clone.git("branch", "ahead")
    clone.git("reset", "--quiet", "--hard", "HEAD~1")
    see_remote(clone)
    git(clone, *command.split())
    assert started.calls() == CATCH_UP
    # As it is written when they are taken in.
    clone.prov("hook", "catch-up")
    git(clone, "checkout", "--quiet", "-b", "later")
    git(clone, "merge", "--quiet", "--no-edit", "ahead")
    assert started.calls() == []


def test_single_files_that_are_checked_out_are_not_looked_at(
    clone: Clone, started: Started
) -> None:
    see_remote(clone)
    git(clone, "checkout", "--quiet", "HEAD", "--", "train.py")
    assert started.calls() == []


def test_a_second_one_leaves_it_to_the_first(clone: Clone, started: Started) -> None:
    asked = prov_dir(clone) / "catching-up"
    asked.write_text(f"{os.getpid()}\n")  # alive, and has not begun
    see_remote(clone)
    git(clone, "checkout", "--quiet", "-b", "second")
    assert started.calls() == []
    dead = subprocess.Popen(["true"])
    dead.wait()
    asked.write_text(f"{dead.pid}\n")
    git(clone, "checkout", "--quiet", "-b", "third")
    assert started.calls() == CATCH_UP
    assert not asked.exists()


CHAINED = """#!/bin/sh
printf '<%s>' "$@"
cat
exit $STATUS
"""


@pytest.mark.parametrize("status", ["0", "3"])
@pytest.mark.parametrize("name", NAMES)
def test_a_chained_hook_gets_all_and_says_how_it_ends(
    clone: Clone, started: Started, name: str, status: str
) -> None:
    hook = clone.path / ".git/hooks" / name
    keep(clone, name, CHAINED)
    stdin = f"{head(clone)} {head(clone)}\n no end of line, \\n %s *".encode()
    for skipped in ("", "0"):
        env = clean_environment(STATUS=status, GITPROV_HOOKS=skipped)
        done = settled([str(hook), "a b", "", "*"], cwd=clone.path, stdin=stdin, env=env)
        assert done.returncode == int(status), done.stderr
        assert done.stdout == b"<a b><><*>" + stdin
        assert done.stderr == b""


def test_a_chained_hook_that_does_not_read_is_no_fault(clone: Clone) -> None:
    keep(clone, "post-rewrite", "#!/bin/sh\nexec <&-\nexit 3\n")
    stdin = f"{head(clone)} {head(clone)}\n".encode() * 10_000
    hook = clone.path / ".git/hooks/post-rewrite"
    done = settled([str(hook), "rebase"], cwd=clone.path, stdin=stdin)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")


def test_chained_hooks_that_git_would_not_run(clone: Clone) -> None:
    for name in NAMES:
        keep(clone, name, "#!/bin/sh\nexit 3\n").chmod(0o644)
    assert commit(clone) == ""
    git(clone, "checkout", "--quiet", "-b", "other")
    # What has no interpreter fails, as it does under git alone.
    keep(clone, "post-checkout", "#!/nowhere/sh\n")
    done = settled(["git", "checkout", "--quiet", "-b", "third"], cwd=clone.path)
    assert done.returncode == 1
    assert b"hooks.before-gitprov/post-checkout" in done.stderr


def test_skipped(clone: Clone, started: Started) -> None:
    mark_dirty(clone)
    take_note(clone)
    see_remote(clone)
    finish(clone.store())
    commit(clone, GITPROV_HOOKS="0")
    commit(clone, "--amend", GITPROV_HOOKS="0")
    git(clone, "checkout", "--quiet", "-b", "other", GITPROV_HOOKS="0")
    git(clone, "merge", "--quiet", "--no-ff", "--no-edit", "main", GITPROV_HOOKS="0")
    assert started.calls() == []
    assert pairs(clone) == []


def each_hook(clone: Clone, *prefix: str, env: Mapping[str, str] | None = None) -> None:
    """Commit, amend and check out, with something to do each time."""
    mark_dirty(clone)
    marked = prov_dir(clone) / "dirty" / head(clone)
    for command in (
        "commit -q --allow-empty -m x",
        "commit -q --allow-empty --amend -m y",
        "checkout -q -b z",
    ):
        done = settled([*prefix, "git", *command.split()], cwd=clone.path, env=env)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        marked.unlink(missing_ok=True)
        take_note(clone)
        see_remote(clone)


def test_a_bare_path(clone: Clone, started: Started) -> None:
    each_hook(clone, env={"PATH": "/usr/bin:/bin", **IDENTITY})
    assert started.calls() == CATCH_UP * 3
    assert len(pairs(clone)) == 1


def test_closed_streams(clone: Clone, started: Started) -> None:
    each_hook(clone, "sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-')
    assert started.calls() == CATCH_UP * 3
    assert len(pairs(clone)) == 1


def test_where_gitprov_is_gone(clone: Clone) -> None:
    clone.git("config", "prov.program", "/nowhere/git-prov")
    mark_dirty(clone)
    env = {"PATH": "/usr/bin:/bin", **IDENTITY}
    command = ["git", "commit", "-q", "--allow-empty", "-m", "x"]
    done = settled(command, cwd=clone.path, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.fixture
def gate(clone: Clone, tmp_path: Path) -> Iterator[Gate]:
    mark_dirty(clone)
    gate = Gate(clone, tmp_path)
    yield gate
    gate.close()


def test_nobody_waits(clone: Clone, gate: Gate) -> None:
    line = "git commit --quiet --allow-empty -m x 3>&1 4>&2 | cat"
    done = clone.call("sh", "-c", line)  # which waits for the end of the pipe
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert gate.begun()
    assert gate.passed()


@pytest.mark.parametrize("with_setsid", [True, False])
def test_the_end_of_the_terminal_does_not_end_it(
    clone: Clone, gate: Gate, tmp_path: Path, *, with_setsid: bool
) -> None:
    env = clean_environment()
    if not with_setsid:
        env["PATH"] = str(tools_without_setsid(tmp_path))
        env["GIT_EXEC_PATH"] = env["PATH"]  # git would add its own
    line = "git commit --quiet --allow-empty -m x; echo committed; read -r line"
    process, terminal = os.forkpty()
    if not process:
        os.chdir(clone.path)
        os.execve("/bin/sh", ["sh", "-c", line], env)  # noqa: S606 -- the terminal is its own
    said = b""
    while b"committed" not in said:
        assert select.select([terminal], [], [], 60)[0]
        said += os.read(terminal, 1000)
    assert gate.begun()
    os.close(terminal)  # SIGHUP for all that is in its foreground
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGHUP
    assert gate.passed()
    assert said == b"committed\r\n"


def tools_without_setsid(folder: Path) -> Path:
    tools = folder / "tools"
    tools.mkdir()
    for name in ("git", "sh", "cat", "mkdir", "mv"):
        (tools / name).symlink_to(str(shutil.which(name)))
    return tools


def test_the_end_of_the_callers_group_does_not_end_it(clone: Clone, gate: Gate) -> None:
    command = ["git", "commit", "--quiet", "--allow-empty", "-m", "x"]
    process = subprocess.Popen(command, cwd=clone.path, env=clean_environment(), process_group=0)
    assert process.wait(60) == 0
    assert gate.begun()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)  # nobody is left in it
    assert gate.passed()


def test_a_work_tree_beside(clone: Clone, started: Started, tmp_path: Path) -> None:
    clone.git("worktree", "add", "--quiet", str(tmp_path / "side"))
    side = Clone(tmp_path / "side")
    mark_dirty(clone)
    take_note(clone)
    old = head(side)
    see_remote(clone)
    commit(side, "--amend")
    assert pairs(clone) == [f"amend\n{old} {head(side)}\n"]
    assert started.calls() == CATCH_UP
    mark_dirty(clone)
    git(side, "checkout", "--quiet", "--detach", "main")
    commit(side)
    assert started.calls() == CATCH_UP * 2


def test_a_git_directory_elsewhere(clone: Clone, started: Started, tmp_path: Path) -> None:
    mark_dirty(clone)
    elsewhere = tmp_path / "elsewhere.git"
    (clone.path / ".git").rename(elsewhere)
    env = clean_environment(GIT_DIR="elsewhere.git", GIT_WORK_TREE=str(clone.path))
    command = ["git", "commit", "--quiet", "--allow-empty", "-m", "x"]
    for _ in range(2):
        assert settled(command, cwd=tmp_path, env=env).returncode == 0
    assert started.calls() == CATCH_UP


def test_a_repository_inside_another(clone: Clone, started: Started, tmp_path: Path) -> None:
    inner = Clone.make(tmp_path / "inner")
    allow = ("-c", "protocol.file.allow=always")
    clone.git(*allow, "submodule", "--quiet", "add", str(inner.path), "sub")
    sub = Clone(clone.path / "sub")
    sub.prov("init")
    Started(sub, tmp_path)
    prov = clone.path / ".git/modules/sub/prov"
    (prov / "dirty").mkdir()
    (prov / "dirty" / head(sub)).touch()
    commit(sub)
    assert started.calls() == CATCH_UP


def test_a_bare_repository(tmp_path: Path, clone: Clone, started: Started) -> None:
    bare = Clone.of(str(clone.path), tmp_path / "bare.git", "--bare")
    bare.prov("init")
    Started(bare, tmp_path)
    for name in NAMES:
        hook = str(bare.path / "hooks" / name)
        done = settled([hook, "origin", str(clone.path)], cwd=bare.path)
        assert (done.returncode, done.stderr) == (0, b"")
    assert started.calls() == ["hook post-rewrite origin /" + str(clone.path).lstrip("/")]


def test_a_repository_that_cannot_be_written_to(clone: Clone, started: Started, shell: str) -> None:
    if "busybox" in shell and os.geteuid() == 0:
        pytest.skip("busybox takes it that root may write everywhere")
    mark_dirty(clone)
    take_note(clone)
    see_remote(clone)
    drop = "-dac_override,-dac_read_search"
    prefix = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}"]
    prefix = prefix if os.geteuid() == 0 else []
    old = head(clone)
    clone.git("commit", "--quiet", "--allow-empty", "-m", "x", GITPROV_HOOKS="0")
    paths = [path for path in (clone.path / ".git").rglob("*") if not path.is_symlink()]
    modes = {path: path.stat().st_mode for path in (clone.path / ".git", *paths)}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    try:
        if clone.call(*prefix, "touch", str(prov_dir(clone) / "probe")).returncode == 0:
            pytest.skip("this user can write everywhere, and setpriv does not help")
        for name in NAMES:
            hook = str(clone.path / ".git/hooks" / name)
            stdin = f"{old} {head(clone)}\n".encode()
            done = settled([*prefix, hook, "x", "x"], cwd=clone.path, stdin=stdin)
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), name
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert started.calls() == []
    assert pairs(clone) == []


def test_outside_any_repository(clone: Clone, tmp_path: Path) -> None:
    for name in NAMES:
        hook = str(clone.path / ".git/hooks" / name)
        env = clean_environment(GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
        done = settled([hook, "origin", "url"], cwd=tmp_path, stdin=b"a b\n", env=env)
        assert (done.returncode, done.stdout) == (0, b"")
        assert name == "pre-push" or done.stderr == b""


def test_they_start_gitprov_in_the_same_way() -> None:
    endings = {
        shim(name).partition(b"# Whoever was started")[2]
        for name in NAMES
        if name.startswith("post-")
    }
    assert len(endings) == 1
    assert b"hook catch-up" in endings.pop()
