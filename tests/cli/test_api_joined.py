"""Python programs inside `git prov run`, and processes that die."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gitprov.model.ids import new_id
from tests.support.repositories import Clone, clean_environment

PROV = [sys.executable, "-m", "gitprov"]
WAIT_SECONDS = 60


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "repo")


def recorded(clone: Clone) -> list[dict[str, Any]]:
    return [json.loads(line) for line in clone.prov("log", "--json").splitlines()]


def metrics(run: dict[str, Any]) -> dict[str, Any]:
    return {metric["name"]: metric["value"] for metric in run.get("metrics", [])}


def start(clone: Clone, *command: str) -> subprocess.Popen[str]:
    """Start a command that says `ready` when it may be killed, and wait for that."""
    process = subprocess.Popen(
        command,
        cwd=clone.path,
        env=clean_environment(PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line == "ready\n":
            return process
    raise AssertionError("the command ended before it was ready")


def end(process: subprocess.Popen[str]) -> None:
    """Kill all that is left of a process and its children."""
    if process.stdout is not None:
        process.stdout.close()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(WAIT_SECONDS)


class TestJoined:
    def test_a_program_adds_to_the_outer_run(self, clone: Clone) -> None:
        clone.write("data.csv", "1")
        program = """
import gitprov, os
with gitprov.start_run(name="ignored", params={"a": {"b": 1}}, tags=["t"], inputs=["data.csv"]) as run:
    assert run.id == os.environ["GITPROV_RUN_ID"]
    run.log_metrics({"acc": 0.5}, step=1)
    run.log_metrics({"acc": 0.75}, step=2)
    open("model.json", "w").write("{}")
    run.log_output("model.json")
"""  # noqa: E501
        options = ["-p", "c=2", "--name", "outer", "-i", "train.py"]
        clone.prov("run", *options, "--", sys.executable, "-c", program)
        [run] = recorded(clone)
        assert run["name"] == "outer"
        assert run["params"] == {"a.b": 1, "c": 2}
        assert run["tags"] == ["t"]
        assert metrics(run) == {"acc": 0.75}
        assert [(item["path"], item["seen"]) for item in run["inputs"]] == [
            ("train.py", "declared"),
            ("data.csv", "observed"),
        ]
        assert [item["path"] for item in run["outputs"]] == ["model.json"]

    def test_the_programs_error_is_the_runs(self, clone: Clone) -> None:
        program = "import gitprov\nwith gitprov.start_run(): raise ValueError('no data')"
        result = clone.prov_call("run", "--", sys.executable, "-c", program)
        assert result.returncode == 1
        [run] = recorded(clone)
        assert (run["status"], run["exit_code"]) == ("failed", 1)
        assert run["error"] == "ValueError: no data"

    def test_a_second_run_and_a_tracked_function_are_part_of_it(self, clone: Clone) -> None:
        program = """
import gitprov
@gitprov.track
def inner(): return {"m": 1}
inner()
with gitprov.start_run():
    with gitprov.start_run(name="second"):
        pass
"""
        clone.prov("run", "--name", "outer", "--", sys.executable, "-c", program)
        runs = {run["name"]: run for run in recorded(clone)}
        link = {"rel": "part_of", "id": runs["outer"]["id"]}
        assert runs.keys() == {"outer", "inner", "second"}
        assert runs["inner"]["links"] == [link]
        assert runs["second"]["links"] == [link]
        assert metrics(runs["inner"]) == {"m": 1}

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    @pytest.mark.parametrize("outer", ["command", "program"])
    def test_children_of_a_sweep_are_part_of_it(
        self, clone: Clone, method: str, outer: str
    ) -> None:
        """Trials in worker processes, while the run of the sweep is active."""
        clone.write(
            "sweep.py",
            """
import gitprov, multiprocessing, sys
def trial(lr):
    with gitprov.start_run(name=f"trial-{lr}", params={"lr": lr}) as run:
        run.log_metrics({"loss": lr})
if __name__ == "__main__":
    with gitprov.start_run(name="sweep") as run:
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            pool.map(trial, [1, 2, 3])
        run.log_metrics({"best": 1})
""",
        )
        program = [sys.executable, "sweep.py", method]
        if outer == "command":
            clone.prov("run", "--name", "sweep", "--", *program)
        else:
            clone.call(*program, check=True)
        runs = {run["name"]: run for run in recorded(clone)}
        assert runs.keys() == {"sweep", "trial-1", "trial-2", "trial-3"}
        link = {"rel": "part_of", "id": runs["sweep"]["id"]}
        assert [runs[f"trial-{lr}"]["links"] for lr in (1, 2, 3)] == [[link]] * 3
        assert [metrics(runs[f"trial-{lr}"]) for lr in (1, 2, 3)] == [
            {"loss": lr} for lr in (1, 2, 3)
        ]
        assert metrics(runs["sweep"]) == {"best": 1}
        assert "links" not in runs["sweep"]

    @pytest.mark.parametrize("outer", ["command", "program"])
    def test_commands_of_a_sweep_are_part_of_it(self, clone: Clone, outer: str) -> None:
        inner = [*PROV, "run", "--name", "inner", "--", "true"]
        if outer == "command":
            clone.prov("run", "--name", "outer", "--", *inner)
        else:
            program = """
import gitprov, os, subprocess, sys
with gitprov.start_run(name="outer"):
    subprocess.run(sys.argv[1:], check=True)
assert "GITPROV_RUN_ID" not in os.environ
"""
            clone.call(sys.executable, "-c", program, *inner, check=True)
        runs = {run["name"]: run for run in recorded(clone)}
        assert runs["inner"]["links"] == [{"rel": "part_of", "id": runs["outer"]["id"]}]
        assert "links" not in runs["outer"]

    def test_runs_of_threads_are_no_parts_of_one_another(self, clone: Clone) -> None:
        program = """
import gitprov, os, threading
both = threading.Barrier(2)
def trial(name):
    with gitprov.start_run(name=name):
        both.wait(30)
threads = [threading.Thread(target=trial, args=(name,)) for name in "ab"]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert "GITPROV_RUN_ID" not in os.environ
"""
        clone.call(sys.executable, "-c", program, check=True)
        runs = recorded(clone)
        assert {run["name"] for run in runs} == {"a", "b"}
        assert not any("links" in run for run in runs)

    def test_a_process_that_outlives_the_run(self, clone: Clone) -> None:
        program = """
import gitprov, sys
run = gitprov.start_run()
run.log_metrics({"m": 1})
print("joined", flush=True)
with open("wait") as wait:
    wait.read()
run.log_metrics({"m": 2})
run.finish()
"""
        os.mkfifo(clone.path / "wait")
        script = '"$0" -c "$1" 2> errors > joined & while ! grep -q joined joined; do :; done'
        clone.prov("run", "--", "sh", "-c", script, sys.executable, program)
        [run] = recorded(clone)
        assert metrics(run) == {"m": 1}
        (clone.path / "wait").write_text("")
        deadline = time.monotonic() + WAIT_SECONDS
        while "has ended" not in (errors := (clone.path / "errors").read_text()):
            assert time.monotonic() < deadline, errors
            time.sleep(0.02)
        assert f"metrics not recorded: run {run['id'][:8]} has ended" in errors

    def test_two_processes_at_once(self, clone: Clone) -> None:
        clone.write(
            "worker.py",
            """
import gitprov, sys
name = sys.argv[1]
with gitprov.start_run(params={f"of-{name}": 1}, inputs=[f"{name}.csv"]) as run:
    for step in range(300):
        run.log_metrics({f"m-{name}": step, "shared": step}, step=step)
""",
        )
        for name in "ab":
            clone.write(f"{name}.csv", name)
        script = '"$0" worker.py a & "$0" worker.py b & wait'
        clone.prov("run", "--", "sh", "-c", script, sys.executable)
        [run] = recorded(clone)
        assert run["params"] == {"of-a": 1, "of-b": 1}
        assert metrics(run) == {"m-a": 299, "m-b": 299, "shared": 299}
        assert sorted(item["path"] for item in run["inputs"]) == ["a.csv", "b.csv"]

    def test_variables_of_a_run_that_is_over_are_ignored(self, clone: Clone) -> None:
        script = "env | grep ^GITPROV_ > vars"
        clone.prov("run", "--name", "first", "--", "sh", "-c", script)
        lines = (clone.path / "vars").read_text().splitlines()
        variables = dict(line.split("=", 1) for line in lines)
        assert "GITPROV_RUN_ID" in variables
        program = "import gitprov\nwith gitprov.start_run(name='second'): pass"
        clone.call(sys.executable, "-c", program, check=True, **variables)
        assert [run["name"] for run in recorded(clone)] == ["second", "first"]


class TestKilled:
    def test_a_python_run(self, clone: Clone) -> None:
        program = """
import gitprov, time
run = gitprov.start_run(name="killed", params={"lr": 0.1})
run.log_metrics({"acc": 0.5}, step=1)
run.log_input("train.py")
print("ready")
time.sleep(600)
"""
        process = start(clone, sys.executable, "-c", program)
        assert recorded(clone) == []
        end(process)
        result = clone.prov_call("log", "--oneline")
        assert "recorded as aborted" in result.stderr
        [run] = recorded(clone)
        assert (run["name"], run["status"]) == ("killed", "aborted")
        assert run["params"] == {"lr": 0.1}
        assert metrics(run) == {"acc": 0.5}
        assert [item["path"] for item in run["inputs"]] == ["train.py"]
        assert run["missing"]["exit_code"] == "the process that recorded the run died"
        assert clone.prov_call("verify").returncode == 0

    def test_the_recorder_of_a_command(self, clone: Clone) -> None:
        clone.write("train.py", "changed, so that there is a snapshot\n")
        script = "echo acc=0.5 >> $GITPROV_METRICS; echo before; echo ready; exec sleep 600"
        process = start(clone, *PROV, "run", "-m", "long", "-p", "lr=0.1", "--", "sh", "-c", script)
        try:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(WAIT_SECONDS)
            died_ns = time.time_ns()
            [run] = recorded(clone)
            assert (run["status"], run["message"]) == ("aborted", "long")
            assert run["params"] == {"lr": 0.1}
            assert run["ended_ns"] <= died_ns
            assert metrics(run) == {"acc": 0.5}
            assert clone.prov("show", "--output") == "before\nready\n"
            snapshot = run["source"]["snapshot"]
            assert clone.git("show", f"{snapshot}:train.py").startswith("changed")
            assert clone.prov_call("verify").returncode == 0
        finally:
            end(process)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_reaches_the_command(self, clone: Clone, number: signal.Signals) -> None:
        program = """
import signal, sys, time
def stop(number, frame):
    print("stopped by", number)
    sys.exit(9)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
print("ready")
time.sleep(600)
"""
        process = start(clone, *PROV, "run", "--", sys.executable, "-c", program)
        try:
            os.kill(process.pid, number)
            assert process.wait(WAIT_SECONDS) == 9
        finally:
            end(process)
        [run] = recorded(clone)
        assert run["exit_code"] == 9
        assert clone.prov("show", "--output") == f"ready\nstopped by {int(number)}\n"

    def test_a_run_that_lives_is_left_alone(self, clone: Clone) -> None:
        process = start(clone, *PROV, "run", "--", "sh", "-c", "echo ready; exec sleep 600")
        try:
            assert recorded(clone) == []
            clone.run("true")
            assert len(recorded(clone)) == 1
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(WAIT_SECONDS) == 128 + signal.SIGTERM
        finally:
            end(process)
        assert [run["status"] for run in recorded(clone)] == ["completed", "failed"]


class TestInterpreterExit:
    def test_a_run_that_was_not_finished(self, clone: Clone) -> None:
        program = "import gitprov\ngitprov.start_run(name='left').log_metrics({'a': 1})"
        clone.call(sys.executable, "-c", program, check=True)
        [run] = recorded(clone)
        assert run["status"] == "aborted"
        assert run["error"] == "the program ended without finishing the run"
        assert metrics(run) == {"a": 1}

    def test_a_forked_child_does_not_end_its_parents_run(self, clone: Clone) -> None:
        program = """
import gitprov, os, sys
run = gitprov.start_run(name="parent")
if os.fork() == 0:
    run.log_metrics({"of-child": 1})
    sys.exit(0)
os.wait()
run.log_metrics({"of-parent": 1})
run.finish()
"""
        result = clone.call(sys.executable, "-c", program, check=True)
        assert result.stderr == ""
        [run] = recorded(clone)
        assert run["status"] == "completed"
        assert metrics(run) == {"of-child": 1, "of-parent": 1}

    def test_importing_loads_what_observes_and_no_more(self, clone: Clone) -> None:
        program = "import gitprov, sys; print(sorted(m for m in sys.modules if 'gitprov' in m))"
        loaded = clone.call(sys.executable, "-c", program, check=True).stdout
        own = ("capture", "capture.own_reads", "capture.reads", "capture.real_paths", "version")
        names = ("", *(f".{name}" for name in own))
        assert loaded == f"{[f'gitprov{name}' for name in names]}\n"
        loaded = clone.call(sys.executable, "-c", program, GITPROV_OBSERVE_READS="0").stdout
        assert loaded == "['gitprov', 'gitprov.version']\n"

    def test_outside_a_repository(self, tmp_path: Path) -> None:
        program = """
import gitprov
with gitprov.start_run(params={"a": 1}) as run:
    run.log_metrics({"b": 2})
print("went on")
"""
        result = Clone(tmp_path).call(sys.executable, "-c", program, check=True)
        assert result.stdout == "went on\n"
        assert "GitprovWarning: the run is not recorded" in result.stderr


def test_folders_of_runs_that_never_began_are_removed_after_a_week(clone: Clone) -> None:
    clone.run("true")
    journal = clone.store().journal
    old, fresh = journal.create(new_id()).path, journal.create(new_id()).path
    week_ago = time.time() - 8 * 24 * 3600
    os.utime(old, (week_ago, week_ago))
    clone.prov("log")
    assert not old.exists()
    assert fresh.exists()
