"""One fault at one system call of one scenario, and the judgement on what it left behind.

The promises (docs/format/spec-v1.md, section 9): no acknowledged run is lost, none is there twice
or malformed, the next command works without help, and a fault is told and is not the command's.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from errno import EDQUOT, EIO, ENOSPC, EROFS
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gitprov.store.journal import Journal
from tests.support import runs
from tests.support.repositories import Clone
from tests.support.scenarios import RECORDED, SCENARIOS, Answer, Scenario, call, must
from tests.support.torture import Outcome, Part, worker_folder
from tests.support.tracer import Call, Fault

ACKNOWLEDGED = "gitprov: next: git prov show"
_COMPLAINT = re.compile("^git prov:|warning|Traceback|fault")
AFTER = ("log", "run", "same")
# What needs no room cannot lack it.
_ROOMLESS = frozenset({"unlink", "unlinkat", "rmdir", "flock", "chmod", "fchmod", "utimensat"})
KINDS: dict[str, Fault] = {
    "kill process": Fault(at=0, kind="process"),
    "kill tree": Fault(at=0, kind="tree"),
    "ENOSPC": Fault(at=0, kind="error", error=ENOSPC, spares=_ROOMLESS),
    "ENOSPC for good": Fault(at=0, kind="error", error=ENOSPC, spares=_ROOMLESS, lasts=True),
    "EDQUOT": Fault(at=0, kind="error", error=EDQUOT, spares=_ROOMLESS),
    "EIO": Fault(at=0, kind="error", error=EIO),
    "EROFS": Fault(at=0, kind="error", error=EROFS, spares=frozenset({"flock"})),
    "EROFS for good": Fault(
        at=0, kind="error", error=EROFS, spares=frozenset({"flock"}), lasts=True
    ),
}


class State(NamedTuple):
    """A kind of fault, the number of the call that it meets, and what comes first afterwards."""

    kind: str
    at: int
    after: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}, then {self.after}"


class Stage:
    """A scenario's repository in a folder, as it was prepared again and again.

    Always in the same place, so that nothing in it must be rewritten but the inode that tells a
    clone from its copy.
    """

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self._live, self._saved = folder / "live", folder / "saved"
        self.clone = Clone(self._live / "clone")
        scenario.prepare(self._live)
        self._before = set(self._recorded("clone")) | {run.name for run in self._begun()}
        self._reached = set(self._recorded(scenario.reaches))
        self._live.rename(self._saved)

    def calls(self) -> list[Call]:
        """Return the calls that the scenario's command makes when nothing fails."""
        self.restore()
        answer = call(self.clone, *self.scenario.command)
        assert "warning" not in answer.stderr, answer.stderr
        return answer.traced.calls

    def meet(self, state: State) -> Outcome:
        """Let the command meet a fault, go on, and judge what is there."""
        self.restore()
        fault = replace(KINDS[state.kind], at=state.at)
        outcome = Outcome(str(state))
        try:
            answer = call(self.clone, *self.scenario.command, fault=fault)
            if answer.traced.hit:
                outcome.state += f" ({self._words(answer.traced.hit)})"
            outcome.wrong += self._said(answer, fault)
            self._recover(answer, state.after, outcome)
        except TimeoutError as error:
            outcome.wrong.append(f"hangs: {error}")
        return outcome

    def _words(self, met: Call) -> str:
        return str(met).replace(f"{self.clone.path}/", "")

    def _said(self, answer: Answer, fault: Fault) -> Iterator[str]:
        """Yield what is wrong with the answer of the command that met the fault."""
        if "Traceback" in answer.stderr or "a fault in gitprov" in answer.stderr:
            yield f"says: {answer.stderr}"
        if answer.status < 0 or fault.kind == "tree":
            return
        if answer.traced.hit and answer.traced.victim_is_first and fault.kind == "process":
            yield "a killed process exits"
        if self.scenario.command == RECORDED:
            yield from self._said_by_run(answer)
        elif answer.status and not re.search("^git prov: ", answer.stderr, re.MULTILINE):
            yield f"exits {answer.status} and says: {answer.stderr!r}"
        if "refuse" in answer.stderr:
            yield f"blames the remote: {answer.stderr!r}"
        waiting = self._finished()
        if waiting and str(self.clone.path / ".git/prov/journal") not in answer.stderr:
            yield f"does not say where {len(waiting)} runs wait: {answer.stderr!r}"

    def _said_by_run(self, answer: Answer) -> Iterator[str]:
        if (answer.status, answer.stdout) != (3, "words\n"):
            yield f"the command's {answer.stdout!r}, exit 3, became exit {answer.status}"
        if ACKNOWLEDGED in answer.stderr:
            return
        if "not recorded" not in answer.stderr:
            yield f"does not say that nothing is recorded: {answer.stderr!r}"
        begun = self._begun()
        if begun and not any(str(run) in answer.stderr for run in begun):
            yield f"does not say where the run's journal is: {answer.stderr!r}"

    def _recover(self, answer: Answer, after: str, outcome: Outcome) -> None:
        """Go on as a user would, and see that everything is there and works."""
        wrong = outcome.wrong
        steps = self._steps(after)
        for arguments in steps:
            reply = call(self.clone, *arguments)
            complaints = [line for line in reply.stderr.splitlines() if _COMPLAINT.search(line)]
            if reply.status != (3 if arguments == RECORDED else 0) or complaints:
                wrong.append(f"then {arguments[0]} exits {reply.status}: {complaints}")
            if arguments == RECORDED and ACKNOWLEDGED not in reply.stderr:
                wrong.append(f"then a run is not recorded: {reply.stderr}")
        wrong += [f"stays in the journal: {run.name}" for run in self._begun()]
        if said := self._fsck():
            wrong.append(f"fsck: {said}")
        verified = call(self.clone, "verify", "--json")
        if verified.status:
            wrong.append(f"verify: {verified.stdout}{verified.stderr}")
        else:
            unknown = _unknown_payload(json.loads(verified.stdout), _acknowledged(answer))
            outcome.lost += [f"payload {subject}" for subject in unknown]
        self._count(answer, steps.count(RECORDED), outcome)

    def _steps(self, after: str) -> list[tuple[str, ...]]:
        """Return what comes after the fault: one of three commands first, in the end all work."""
        same = self.scenario.command
        first = {"log": ("log",), "run": RECORDED, "same": same}[after]
        steps = [first]
        for step in (RECORDED, same):
            if step not in steps or (step == same and self.scenario.reaches != "clone"):
                steps.append(step)
        return steps

    def _count(self, answer: Answer, later: int, outcome: Outcome) -> None:
        """See that each acknowledged run is there once, and the others once or not at all."""
        lines = must(self.clone, "log", "--json").stdout.splitlines()
        listed = {run["id"]: run for run in map(json.loads, lines)}
        recorded = self._recorded("clone")
        reached = set(self._recorded(self.scenario.reaches))
        there = set(recorded) | self._finished()
        outcome.lost += sorted(self._before - there) + sorted(self._reached - reached)
        unlisted = set(recorded) ^ set(listed)
        for fault, ids in {
            "recorded twice": {run for run in recorded if recorded.count(run) > 1},
            "recorded and not listed, or the reverse": unlisted,
            f"did not reach {self.scenario.reaches}": set(recorded) - reached,
        }.items():
            outcome.wrong += [f"{fault}: {', '.join(sorted(ids))}"] if ids else []
        if self.scenario.command != RECORDED:
            return
        for short in _acknowledged(answer):
            if not any(run.startswith(short) for run in there):
                outcome.lost.append(short)
            outcome.wrong += [
                f"{run} lacks {what} and does not say so"
                for run, record in listed.items()
                if run.startswith(short) and (what := _missing(record))
            ]
        # Those that came later, and perhaps this one: whole, or broken off.
        fresh = [record["status"] for run, record in listed.items() if run not in self._before]
        whole, aborted = fresh.count("failed"), fresh.count("aborted")
        if (whole - later, aborted) not in {(0, 0), (0, 1), (1, 0)}:
            outcome.wrong.append(f"{whole} whole and {aborted} aborted runs, {later} of them later")

    def restore(self) -> None:
        """Put everything back to where the scenario begins."""
        shutil.rmtree(self._live, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self._saved), str(self._live)], check=True)
        folder = self.clone.path / ".git/prov"
        if (folder / "writer").exists():
            writer = (folder / "writer").read_text().split()[0]
            (folder / "writer").write_text(f"{writer} {folder.stat().st_ino}\n")

    def _begun(self) -> list[Path]:
        """Return the folders of the runs in the journal."""
        journal = Journal(self.clone.path / ".git/prov/journal")
        return sorted(run.path for run in journal.runs() if run.started is not None)

    def _finished(self) -> set[str]:
        """Return the runs in the journal that are acknowledged."""
        journal = Journal(self.clone.path / ".git/prov/journal")
        return {run.id for run in journal.runs() if run.is_finished}

    def _recorded(self, name: str) -> list[str]:
        """Return the ids of the runs that a repository's ledger holds, as often as it does."""
        store = Clone(self._live / name).store()
        try:
            return runs.run_ids(store)
        finally:
            store.close()

    def _fsck(self) -> str:
        """Return what git finds wrong."""
        done = self.clone.call("git", "fsck", "--strict", "--no-dangling", "--no-progress")
        return f"{done.stdout}{done.stderr}" or ("it fails" if done.returncode else "")


def _acknowledged(answer: Answer) -> list[str]:
    """Return the runs that the user was told are recorded, as shown to the user."""
    return [line.split()[-1] for line in answer.stderr.splitlines() if ACKNOWLEDGED in line]


def _unknown_payload(verified: Mapping[str, Any], acknowledged: Sequence[str]) -> list[str]:
    """Return what is not there of the output and listings of acknowledged runs."""
    return [
        item["subject"]
        for item in verified["findings"]
        if item["kind"] == "payloads" and item["subject"].startswith(tuple(acknowledged))
    ]


def _missing(record: dict[str, Any]) -> str:
    """Return what an acknowledged run lacks without saying so."""
    said = json.dumps(record.get("missing", {}))
    words = {"metrics": "metrics", "inputs": "inputs", "outputs": "outputs", "byproducts": "log"}
    lacks = [part for part, word in words.items() if not record.get(part) and word not in said]
    if not record["source"].get("snapshot") and "source" not in said:
        lacks.append("snapshot")
    if (record["status"], record.get("exit_code")) != ("failed", 3):
        lacks.append("its end")
    return ", ".join(lacks)


@cache
def stage(name: str) -> Stage:
    """Return the stage of a scenario in this process; prepared once."""
    return Stage(SCENARIOS[name], worker_folder() / name.replace(" ", "-"))


def prepare(name: str, folder: Path) -> list[Call]:
    """Prepare a scenario in a folder, ready to begin, and return the calls that it makes."""
    own = Stage(SCENARIOS[name], folder)
    calls = own.calls()
    own.restore()
    return calls


@cache
def states(name: str) -> list[State]:
    """Return every kind of fault at every call of a scenario."""
    return [
        State(kind, met.number, AFTER[met.number % len(AFTER)])
        for kind, fault in KINDS.items()
        for met in stage(name).calls()
        if met.name not in fault.spares
    ]


def sample(name: str, kind: str, place: float) -> State:
    """Return the state that stands at a place, from 0 to 1, among those of a kind."""
    of_kind = [state for state in states(name) if state.kind == kind]
    return of_kind[int(place * len(of_kind))]


def attempt(name: str, state: State) -> Outcome:
    """Try a state of a scenario."""
    return stage(name).meet(state)


PART = Part("each fault at each system call", tuple(SCENARIOS), states, attempt)
