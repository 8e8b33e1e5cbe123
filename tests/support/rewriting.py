"""Two clones and their remote, whose commits are rewritten, and what both say of the runs then."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gitprov.model.source_link import INFERRED
from tests.support.repositories import Clone, clean_environment
from tests.support.servers import bare_repository

# Several commands in one process: most of what a command takes is Python's start.
_COMMANDS = """
import contextlib, io, json, sys
from gitprov.cli import run

answers = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        with contextlib.redirect_stderr(io.StringIO()) as err:
            status = run(arguments)
    answers.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""

# By commit, the kind of link; for a run, or for what is expected of it.
Kinds = Mapping[str, str]


class Answer(NamedTuple):
    """The exit status of a command, and what it printed."""

    status: int
    stdout: str
    stderr: str


def prov(clone: Clone, *commands: Sequence[str]) -> list[Answer]:
    """Run gitprov in a clone, one command after another; a warning fails."""
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS], cwd=clone.path, env=clean_environment(),
        input=json.dumps(commands), text=True, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [Answer(*answer) for answer in json.loads(done.stdout)]
    for answer in answers:
        assert "warning" not in answer.stderr, answer.stderr
    return answers


class Running:
    """A run under way; `run_id` is there once it has ended."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.run_id = ""

    def wait_for(self, path: Path) -> None:
        """Wait until the command has made a file."""
        until = time.monotonic() + 60
        while not path.exists():
            assert self._process.poll() is None, "it has ended"
            assert time.monotonic() < until, f"no {path}"
            time.sleep(0.01)


class Lab:
    """A bare remote `origin`, and the clones `here` and `there`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Clone(folder / "server")
        self.here = Clone(folder / "here")
        self.there = Clone(folder / "there")
        self._recorded: dict[str, str] = {}

    @classmethod
    def make(cls, folder: Path) -> "Lab":
        """Make it, with one commit on main that all have."""
        lab = cls(folder)
        bare_repository(lab.server.path)
        Clone.make(lab.here.path)
        lab.here.git("remote", "add", "origin", "../server")
        lab.here.git("push", "--quiet", "-u", "origin", "main")
        Clone.of(str(lab.server.path), lab.there.path)
        lab.there.git("remote", "set-url", "origin", "../server")
        for clone in (lab.here, lab.there):
            clone.prov("init")
        return lab

    def copy(self, folder: Path) -> "Lab":
        """Copy it as it is."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Lab(folder)

    def run(self, *, at: str | None = None, clone: Clone | None = None) -> str:
        """Record a run of what is checked out, or of a commit; return its id."""
        clone = clone or self.here
        if at is not None:
            before = clone.git("symbolic-ref", "--short", "HEAD").strip()
            clone.git("checkout", "--quiet", "--detach", at)
        recorded, shown = prov(clone, ["run", "--quiet", "--", "true"], ["show", "--json", "last"])
        if at is not None:
            clone.git("checkout", "--quiet", before)
        assert recorded.status == 0
        run_id = str(json.loads(shown.stdout)["id"])
        self._recorded[run_id] = shown.stdout
        return run_id

    @contextmanager
    def started(self, *command: str) -> Iterator["Running"]:
        """Let a run be under way in `here` while the block runs, and wait for its end."""
        process = subprocess.Popen(
            [sys.executable, "-m", "gitprov", "run", "--quiet", "--", *command],
            cwd=self.here.path, env=clean_environment(), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        running = Running(process)
        try:
            yield running
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
        (shown,) = prov(self.here, ["show", "--json", "last"])
        running.run_id = str(json.loads(shown.stdout)["id"])
        self._recorded[running.run_id] = shown.stdout

    def commits(self, count: int, *, branch: str | None = None) -> list[str]:
        """Commit so many times, each a file of its own; return the commits."""
        if branch is not None:
            self.here.git("checkout", "--quiet", "-b", branch)
        return [
            self.here.commit(f"c{number}", {f"{branch or 'f'}{number}.py": f"x = {number}\n"})
            for number in range(count)
        ]

    def rebase(self, onto: str, todo: Sequence[str], *options: str, **env: str) -> None:
        """Rebase interactively, with these lines as what is to be done."""
        plan = self.folder / "todo"
        plan.write_text("".join(f"{line}\n" for line in todo))
        env = {"GIT_SEQUENCE_EDITOR": f"cp '{plan}'", "GIT_EDITOR": "true", **env}
        self.here.git("rebase", "--quiet", "--interactive", *options, onto, **env)

    def publish(self) -> None:
        """Push what `here` has, its commits without a hook's help, and bring it to `there`."""
        self.here.git("push", "--quiet", "--force", "origin", "main", GITPROV_HOOKS="0")
        self.exchange()

    def exchange(self) -> None:
        """Bring the ledger alone to `there`, and what the remote has of branches."""
        (pushed,) = prov(self.here, ["push"])
        assert pushed.status == 0, pushed.stdout
        self.there.git("fetch", "--quiet", "--prune", "origin", GITPROV_HOOKS="0")
        self.there.git("reset", "--quiet", "--hard", "origin/main")
        (pulled,) = prov(self.there, ["pull"])
        assert pulled.status == 0, pulled.stdout

    def expect(
        self, links: Mapping[str, Kinds], *, there: Mapping[str, Kinds] | None = None
    ) -> None:
        """Check all that both clones say of runs: these kinds of links and no others.

        `there` is what is expected of the other clone, where that differs.
        """
        self.expect_in(self.here, links)
        self.expect_in(self.there, {**links, **(there or {})})

    def expect_in(self, clone: Clone, links: Mapping[str, Kinds]) -> None:
        """Check all that one clone says of runs."""
        ids = list(links)
        verified, listed, *answers = prov(
            clone,
            ["verify"],
            ["log", "main", "--oneline"],
            *[["links", run_id, "--json"] for run_id in ids],
            *[["links", run_id] for run_id in ids],
            *[["show", "--json", run_id] for run_id in ids],
        )
        assert verified.status == 0, verified.stdout
        lines = {line.split()[0]: line for line in listed.stdout.splitlines()}
        history = set(clone.git("rev-list", "main").split())
        shown: dict[str, dict[str, Any]] = {}
        for number, (run_id, kinds) in enumerate(links.items()):
            found = json.loads(answers[number].stdout)
            page = answers[number + len(ids)].stdout
            shown[run_id] = json.loads(answers[number + 2 * len(ids)].stdout)
            assert self._recorded[run_id] == answers[number + 2 * len(ids)].stdout
            _check_links(found, kinds)
            _check_page(page, found)
            line = next((text for name, text in lines.items() if run_id.startswith(name)), None)
            _check_line(line, found, history)
        _check_shown(clone, shown, links)


def _check_links(found: dict[str, Any], kinds: Kinds) -> None:
    """Check the links of a run, as programs get them."""
    actual = {link["commit"]: link["kind"] for link in found["links"]}
    assert actual == dict(kinds), f"{actual} instead of {kinds}"
    assert len(found["links"]) == len(kinds)
    for link in found["links"]:
        assert link["inferred"] == (link["kind"] in INFERRED)
        assert link["branches"]
        before = found["commit"]
        for step in link["steps"]:
            assert step["new"] != before
            before = step["new"]
        if link["kind"] == "rewritten":
            assert link["steps"]
            assert before == link["commit"] == link["via"]


def _check_page(page: str, found: dict[str, Any]) -> None:
    """Check that people are told the same as programs."""
    listed = [
        line.split()[:2] for line in page.splitlines() if line[:3] != "   " and line[:2] == "  "
    ]
    named = [[link["commit"][:12], link["kind"]] for link in found["links"]]
    nowhere = [] if named or found["branches"] else [["no", "commit"]]
    assert listed == [[found["commit"][:12], "exact"], *named, *nowhere]
    assert page.count("inferred: ") == sum(link["inferred"] for link in found["links"])


def _check_line(line: str | None, found: dict[str, Any], history: set[str]) -> None:
    """Check that a listing of main has a run for what links say, marked with the surest."""
    if found["commit"] in history:
        assert line is not None
        assert " -> " not in line
        return
    inside = [link for link in found["links"] if link["commit"] in history]
    if not inside:
        assert line is None
        return
    assert line is not None
    commit, _, words = line.partition(" -> ")[2].partition(" ")
    words = words[: words.index(")")]
    assert any(link["commit"].startswith(commit) for link in inside)
    surest = inside[0]["kind"]
    assert {link["kind"] for link in inside if link["commit"].startswith(commit)} == {surest}
    assert ("inferred" in words) == inside[0]["inferred"]


def _check_shown(
    clone: Clone, shown: dict[str, dict[str, Any]], links: Mapping[str, Kinds]
) -> None:
    """Check that each commit leads to its own newest run, or the newest that it stands for."""
    ordered = sorted(shown.items(), key=lambda item: item[1]["started_ns"])
    wanted = {commit: run_id for run_id, _ in ordered for commit in links[run_id]}
    wanted |= {run["source"]["commit"]: run_id for run_id, run in ordered}
    here = [oid for oid in wanted if not clone.call("git", "cat-file", "-e", oid).returncode]
    answers = prov(clone, *[["show", "--json", oid] for oid in here])
    for oid, answer in zip(here, answers, strict=True):
        assert answer.status == 0, answer.stderr
        run = json.loads(answer.stdout)
        assert run["id"] == wanted[oid]
        assert ("stands for it" in answer.stderr) == (run["source"]["commit"] != oid)


def head(clone: Clone, name: str = "HEAD") -> str:
    """Return the commit that a name leads to."""
    return clone.git("rev-parse", name).strip()


def newest(clone: Clone, count: int, name: str = "HEAD") -> list[str]:
    """Return so many commits, the oldest first."""
    return clone.git("rev-list", "--reverse", f"--max-count={count}", name).split()


def main_moves_on(lab: Lab) -> str:
    """Commit to main, and go back to the branch that was checked out."""
    branch = lab.here.git("symbolic-ref", "--short", "HEAD").strip()
    lab.here.git("checkout", "--quiet", "main")
    moved = lab.here.commit("meanwhile", {"meanwhile.py": "y = 1\n"})
    lab.here.git("checkout", "--quiet", branch)
    return moved
