"""What the sweep of system calls does over and over: a repository prepared, and one command in it.

Gitprov runs in forks of this process, which has it loaded: a command costs what it does, without
Python's start.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

# Before the verbs: the module of the verb `run` takes the function's place.
from gitprov.cli import VERBS
from gitprov.cli import run as gitprov
from gitprov.store.writer import shard_of
from tests.support import runs
from tests.support.repositories import Clone, clean_environment
from tests.support.servers import bare_repository
from tests.support.tracer import Fault, Traced, Watch, trace

SCRIPT = (
    'echo words; echo loss=0.5 >> "$GITPROV_METRICS"; echo result > out.txt; '
    "echo $$ > results/of/pid.txt; exit 3"
)
# Files, and folders whose listings are made at the start and at the end.
_DATA = ("-i", "data.csv", "-i", "data", "-o", "out.txt", "-o", "results")
RECORDED = ("run", "-t", "now", *_DATA, "--", "sh", "-c", SCRIPT)
_SERVERS = frozenset({"git-receive-pack", "git-upload-pack"})
_SECONDS = 30.0


class Answer(NamedTuple):
    """What a command printed, and how it went."""

    stdout: str
    stderr: str
    traced: Traced

    @property
    def status(self) -> int:
        """The exit status; negative for a signal."""
        return self.traced.status


def call(clone: Clone, *arguments: str, fault: Fault | None = None) -> Answer:
    """Run gitprov in a clone and wait until all that it started is gone."""
    for verb in VERBS.values():
        import_module(verb.module)
    watch = Watch(top=clone.path, apart=frozenset({"sh"}), elsewhere=_SERVERS, seconds=_SECONDS)
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:

        def action() -> int:
            # A session of its own, and no standard input.
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            fresh = clean_environment()
            os.environ.clear()
            os.environ.update(fresh)
            os.chdir(clone.path)
            return gitprov(arguments)

        traced = trace(action, watch, fault)
        texts = []
        for file in (stdout, stderr):
            file.seek(0)
            texts.append(file.read())
    return Answer(texts[0], texts[1], traced)


def must(clone: Clone, *arguments: str) -> Answer:
    """Run gitprov where nothing stands in its way."""
    answer = call(clone, *arguments)
    assert answer.status in {0, 3}, f"{arguments}: {answer.stderr}"
    return answer


@dataclass(frozen=True, slots=True)
class Scenario:
    """A repository, prepared in a folder as `clone`, and the command that meets the faults.

    Once the command has been repeated, all runs are in the repository `reaches` as well.
    """

    name: str
    prepare: Callable[[Path], None]
    command: tuple[str, ...]
    reaches: str = "clone"


def _write_data(clone: Clone) -> None:
    clone.write("data.csv", "1,2\n")
    clone.write("data/a", "a\n")
    clone.write("data/sub/b", "b\n")
    clone.write("results/of/earlier", "")


def _base(folder: Path) -> Clone:
    """Make a clone with a remote, one published run, and changes that are not committed."""
    bare_repository(folder / "remote")
    clone = Clone.make(folder / "clone")
    _write_data(clone)
    clone.commit("data")
    clone.git("remote", "add", "origin", str(folder / "remote"))
    clone.git("push", "--quiet", "--set-upstream", "origin", "main")
    must(clone, *RECORDED)
    must(clone, "push")
    clone.write("train.py", "print('more')\n")
    return clone


def _prepare_init(folder: Path) -> None:
    _base(folder)


def _prepare_run(folder: Path) -> None:
    must(_base(folder), "init")


def _prepare_first_run(folder: Path) -> None:
    _write_data(Clone.make(folder / "clone"))


def _prepare_push(folder: Path) -> None:
    clone = _base(folder)
    must(clone, "init")
    must(clone, *RECORDED)
    must(clone, *RECORDED)


def _prepare_join(folder: Path) -> None:
    clone = _base(folder)
    _publish_from_elsewhere(folder, clone)
    must(clone, *RECORDED)


def _prepare_pull(folder: Path) -> None:
    clone = _base(folder)
    must(clone, *RECORDED)
    _publish_from_elsewhere(folder, clone)


def _prepare_drain(folder: Path) -> None:
    clone = _base(folder)
    store = clone.store()
    for number in range(3):
        runs.finish(
            store,
            environment={"lock": b"1"},
            params={"number": number},
            source={"commit": clone.git("rev-parse", "HEAD").strip()},
        )
    store.close()


def _prepare_dead(folder: Path) -> None:
    clone = _base(folder)
    script = 'echo words; echo loss=0.5 >> "$GITPROV_METRICS"; kill -KILL $PPID'
    assert call(clone, "run", "--", "sh", "-c", script).status < 0


def _prepare_index(folder: Path) -> None:
    clone = _base(folder)
    must(clone, *RECORDED)
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (clone.path / ".git/prov" / name).unlink(missing_ok=True)


def _publish_from_elsewhere(folder: Path, clone: Clone) -> None:
    """Let the remote have runs that the clone lacks, one in the shard that the clone writes to."""
    other = Clone.of(str(folder / "remote"), folder / "other")
    store, ours = other.store(), clone.store()
    writer = (clone.path / ".git/prov/writer").read_text().split()[0]
    runs.use_shard(store, shard_of(writer))
    runs.record(store, 2)
    for opened in (store, ours):
        opened.close()
    must(other, "push")


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("init", _prepare_init, ("init",)),
        Scenario("run", _prepare_run, RECORDED),
        Scenario("first run", _prepare_first_run, RECORDED),
        Scenario("push", _prepare_push, ("push",), reaches="remote"),
        Scenario("push and join", _prepare_join, ("push",), reaches="remote"),
        Scenario("pull", _prepare_pull, ("pull",)),
        Scenario("drain", _prepare_drain, ("log",)),
        Scenario("dead run", _prepare_dead, ("log",)),
        Scenario("index", _prepare_index, ("log",)),
    )
}
