"""`git prov run`, end to end: what is recorded, and what the command and the user notice."""

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.repositories import Clone, clean_environment

PROV = [sys.executable, "-m", "gitprov"]
MAX_END_LINES = 6


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "repo")


def last(clone: Clone) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(clone.prov("show", "--json", "last"))
    return shown


def metrics(run: dict[str, Any]) -> dict[str, Any]:
    return {metric["name"]: metric["value"] for metric in run.get("metrics", [])}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_transcript_of_the_readme(clone: Clone) -> None:
    clone.commit(
        "an experiment",
        {
            "data/train.csv": "1,2\n",
            "train.py": "import sys; open('model.json', 'w').write('{}'); print(sys.argv[1:])\n",
        },
    )
    command = [sys.executable, "train.py", "--lr", "0.1"]
    options = ["-m", "try a larger step", "-i", "data/train.csv", "-o", "model.json", "-p"]
    result = clone.prov_call("run", *options, "lr=0.1", "--", *command)
    assert result.returncode == 0
    assert result.stdout == "['--lr', '0.1']\n"
    run = last(clone)
    assert run["schema"] == "run.1"
    assert run["status"] == "completed"
    assert run["exit_code"] == 0
    assert run["message"] == "try a larger step"
    assert run["params"] == {"lr": 0.1}
    run["command"].pop("env", None)  # of whoever runs the tests
    assert run["command"] == {"argv": command, "cwd": ".", "entrypoint": "git prov run"}
    assert run["source"]["commit"] == clone.git("rev-parse", "HEAD").strip()
    assert run["source"]["tree"] == clone.git("rev-parse", "HEAD^{tree}").strip()
    assert run["source"]["ref"] == "refs/heads/main"
    assert run["source"].get("dirty", False) is False
    [train] = run["inputs"]
    assert (train["path"], train["size"], train["seen"]) == ("data/train.csv", 4, "declared")
    assert train["digest"] == {"sha256": sha256("1,2\n")}
    [model] = run["outputs"]
    assert (model["path"], model["digest"]) == ("model.json", {"sha256": sha256("{}")})
    assert run["agent"] == {"type": "person", "name": "Ada", "email": "ada@example.org"}
    assert run["started_ns"] <= run["ended_ns"]
    assert run["environment"]["python"].startswith("CPython 3.")
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"gitprov: run {run['id'][:8]} (")
    assert lines[-1] == f"gitprov: next: git prov show {run['id'][:8]}"
    assert any("1 input, 1 output" in line for line in lines)
    assert clone.prov("show", "--output") == "['--lr', '0.1']\n"
    assert run["id"][:8] in clone.git("log", "-1", "--notes=prov")


def test_the_folder_is_recorded_from_the_top(clone: Clone) -> None:
    clone.commit("more", {"sub/data.txt": "x"})
    result = clone.call(
        *PROV, "run", "-i", "data.txt", "--", "pwd", cwd=clone.path / "sub", check=True
    )
    assert result.stdout.strip() == str((clone.path / "sub").resolve())
    run = last(clone)
    assert run["command"]["cwd"] == "sub"
    assert run["inputs"][0]["path"] == "sub/data.txt"


@pytest.mark.parametrize("status", [0, 1, 2, 77, 255])
def test_the_exit_status_is_the_commands(clone: Clone, status: int) -> None:
    assert clone.prov_call("run", "--", "sh", "-c", f"exit {status}").returncode == status
    run = last(clone)
    assert run["exit_code"] == status
    assert run["status"] == ("failed" if status else "completed")


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV"])
def test_death_by_a_signal_is_128_and_its_number(clone: Clone, name: str) -> None:
    number = signal.Signals[f"SIG{name}"]
    result = clone.prov_call("run", "--", "sh", "-c", f"echo before; kill -{name} $$")
    assert result.returncode == 128 + number
    assert f"killed (SIG{name})" in result.stderr
    run = last(clone)
    assert run["signal"] == number
    assert run["status"] == "failed"
    assert "exit_code" not in run
    assert clone.prov("show", "--output") == "before\n"


def test_a_command_that_is_not_there(clone: Clone) -> None:
    result = clone.prov_call("run", "--", "no-such-command", "x")
    assert result.returncode == 127
    assert result.stderr.splitlines()[1:] == ["gitprov: no-such-command: command not found"]
    run = last(clone)
    assert (run["status"], run["exit_code"]) == ("failed", 127)
    assert run["error"] == "no-such-command: command not found"


def test_a_command_that_may_not_be_executed(clone: Clone) -> None:
    clone.write("plain.txt", "no program")
    result = clone.prov_call("run", "--", "./plain.txt")
    assert result.returncode == 126
    assert last(clone)["exit_code"] == 126


def test_stdin_and_environment_are_the_commands_own(clone: Clone) -> None:
    program = (
        "import os, sys; print(sys.stdin.read().upper(), end='');"
        "print(os.environ['GITPROV_RUN_ID'], os.environ['MINE'], file=sys.stderr)"
    )
    result = subprocess.run(
        [*PROV, "run", "--quiet", "--", sys.executable, "-c", program],
        cwd=clone.path,
        env=clean_environment(MINE="kept"),
        input="from a pipe\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout == "FROM A PIPE\n"
    assert result.stderr == f"{clone.last_id()} kept\n"


@pytest.mark.parametrize("stream", ["0<&-", ">&-", "2>&-", "0<&- >&- 2>&-"])
def test_closed_streams(clone: Clone, stream: str) -> None:
    script = f'"$0" -m gitprov run -- sh -c "echo ran > file; exit 8" {stream}'
    result = clone.call("sh", "-c", script, sys.executable)
    assert (result.returncode, result.stdout) == (8, "")
    assert (clone.path / "file").read_text() == "ran\n"
    assert last(clone)["exit_code"] == 8


def test_nobody_listens_to_what_is_said(clone: Clone) -> None:
    script = '{ "$0" -m gitprov run -- sh -c "echo ran > file; exit 8"; echo $? >&3; } 2>&1 | true'
    result = clone.call("sh", "-c", f"exec 3>&1; {script}", sys.executable)
    assert result.stdout == "8\n"
    assert last(clone)["exit_code"] == 8


def test_options_after_the_command_are_the_commands(clone: Clone) -> None:
    result = clone.prov_call("run", "echo", "-m", "--json", "-h", "--", "-x")
    assert result.stdout == "-m --json -h -- -x\n"
    assert last(clone)["command"]["argv"][1:] == ["-m", "--json", "-h", "--", "-x"]


class TestReported:
    """Metrics and parameters without an import."""

    def test_lines_in_the_file_of_the_environment(self, clone: Clone) -> None:
        script = r"printf 'acc=0.5 step=1\nacc=0.75 step=2\nloss=nan\n\n' >> $GITPROV_METRICS"
        result = clone.prov_call("run", "--", "sh", "-c", script)
        assert "warning" not in result.stderr
        run = last(clone)
        assert {"name": "acc", "value": 0.75, "step": 2} in run["metrics"]
        assert {"name": "loss", "value": "nan"} in run["metrics"]
        assert [item["name"] for item in run["byproducts"]] == ["series"]

    def test_lines_that_are_no_metric_are_warned_of(self, clone: Clone) -> None:
        script = r"printf 'good=1\nbad line\n=3\nx=y\n' >> $GITPROV_METRICS"
        result = clone.prov_call("run", "--", "sh", "-c", script)
        assert result.returncode == 0
        assert "'bad line'" in result.stderr
        assert metrics(last(clone)) == {"good": 1.0}
        assert len(result.stderr.splitlines()) <= 1 + MAX_END_LINES

    def test_a_metrics_file_that_the_run_writes(self, clone: Clone) -> None:
        script = """echo '{"acc": 0.9, "by": {"class": [1, 2]}, "note": "x"}' > metrics.json"""
        clone.prov("run", "--metrics", "metrics.json", "--", "sh", "-c", script)
        assert metrics(last(clone)) == {"acc": 0.9, "by.class.0": 1.0, "by.class.1": 2.0}

    def test_a_metrics_file_of_an_earlier_run_is_not_taken(self, clone: Clone) -> None:
        clone.commit("stale", {"metrics.json": '{"acc": 0.9}'})
        result = clone.prov_call("run", "--metrics", "metrics.json", "--", "true")
        assert result.returncode == 0
        assert "was not written by this run" in result.stderr
        run = last(clone)
        assert metrics(run) == {}
        assert "not written by this run" in run["missing"]["metrics.metrics.json"]

    @pytest.mark.parametrize("content", ["[1]", "{", '{"a": 1' + "0" * 400 + "}", "\ud800"])
    def test_a_metrics_file_that_cannot_be_used(self, clone: Clone, content: str) -> None:
        clone.write("wanted", content.encode("utf-8", "surrogatepass"))
        result = clone.prov_call("run", "--metrics", "m.json", "--", "cp", "wanted", "m.json")
        assert result.returncode == 0
        assert "m.json" in result.stderr.splitlines()[-1]
        assert "metrics.m.json" in last(clone)["missing"]

    def test_a_metrics_file_that_never_came(self, clone: Clone) -> None:
        result = clone.prov_call("run", "--metrics", "none.json", "--", "sh", "-c", "exit 4")
        assert result.returncode == 4
        assert "none.json: No such file" in result.stderr
        assert "metrics.none.json" in last(clone)["missing"]

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("params.json", '{"lr": 0.1, "net": {"layers": [3, 4]}, "on": true, "by": "adam"}'),
            ("params.yaml", "lr: 0.1\nnet:\n  layers: [3, 4]\n'on': true\nby: adam\n"),
            ("params.toml", 'lr = 0.1\non = true\nby = "adam"\n[net]\nlayers = [3, 4]\n'),
        ],
    )
    def test_parameter_files(self, clone: Clone, name: str, content: str) -> None:
        clone.commit("parameters", {name: content})
        clone.prov("run", "--params", name, "-p", "lr=0.2", "--", "true")
        params = {"lr": 0.2, "net.layers.0": 3, "net.layers.1": 4, "on": True, "by": "adam"}
        assert last(clone)["params"] == params

    @pytest.mark.parametrize("content", ["a: &a [*a]\n", "a: [\n", "2001-99-99", "- 1\n"])
    def test_a_parameter_file_that_cannot_be_used(self, clone: Clone, content: str) -> None:
        clone.commit("parameters", {"params.yaml": content})
        result = clone.prov_call("run", "--params", "params.yaml", "--", "echo", "ran")
        assert result.stdout == "ran\n"
        assert len(result.stderr.splitlines()) <= 1 + MAX_END_LINES
        assert "params.params.yaml" in last(clone)["missing"]

    def test_values_on_the_command_line_have_types(self, clone: Clone) -> None:
        words = ["n=3", "lr=1e-3", "flag=true", "text=a=b", "empty=", "big=1" + "0" * 30]
        clone.prov("run", *[part for word in words for part in ("-p", word)], "--", "true")
        params = last(clone)["params"]
        big = "1" + "0" * 30
        expected = {"n": 3, "lr": 0.001, "flag": True, "text": "a=b", "empty": "", "big": big}
        assert params == expected
        assert isinstance(params["n"], int)


class TestData:
    """Inputs and outputs."""

    def test_inputs_that_do_not_exist_are_warned_of_and_recorded(self, clone: Clone) -> None:
        result = clone.prov_call("run", "-i", "gone.csv", "-i", "*.parquet", "--", "echo", "ran")
        assert result.returncode == 0
        assert result.stdout == "ran\n"
        assert "gone.csv: No such file" in result.stderr
        assert "*.parquet: no file matches" in result.stderr
        run = last(clone)
        assert run["missing"]["inputs.gone.csv"] == "No such file or directory"
        assert [(item["path"], "digest" in item) for item in run["inputs"]] == [
            ("gone.csv", False),
            ("*.parquet", False),
        ]

    def test_an_output_that_was_not_written(self, clone: Clone) -> None:
        result = clone.prov_call("run", "-o", "model.bin", "--", "sh", "-c", "exit 9")
        assert result.returncode == 9
        assert "output model.bin: No such file" in result.stderr
        assert "outputs.model.bin" in last(clone)["missing"]

    def test_folders_and_globs(self, clone: Clone) -> None:
        files = {"data/a.csv": "a", "data/deep/b.csv": "bb", "x1.txt": "1", "x2.txt": "2"}
        clone.commit("data", files)
        clone.prov("run", "-i", "data", "-i", "x*.txt", "-i", "data/**/*.csv", "--", "true")
        [folder, *rest] = last(clone)["inputs"]
        assert (folder["kind"], folder["file_count"], folder["size"]) == ("tree", 2, 3)
        assert folder["listing"] == f"listing-{folder['digest']['sha256']}"
        paths = ["x1.txt", "x2.txt", "data/a.csv", "data/deep/b.csv"]
        assert [item["path"] for item in rest] == paths

    def test_an_input_is_hashed_before_and_an_output_after(self, clone: Clone) -> None:
        clone.commit("state", {"state.txt": "before"})
        script = "printf after > state.txt"
        clone.prov("run", "-i", "state.txt", "-o", "state.txt", "--", "sh", "-c", script)
        run = last(clone)
        assert run["inputs"][0]["digest"]["sha256"] == sha256("before")
        assert run["outputs"][0]["digest"]["sha256"] == sha256("after")

    def test_secrets_in_uris_stay_out_of_the_record(self, clone: Clone) -> None:
        uri = "nosuch://reader:hunter2@127.0.0.1/data"
        result = clone.prov_call("run", "-i", uri, "--", "true")
        assert "hunter2" not in result.stderr
        assert "hunter2" not in clone.prov("show", "--json")
        assert last(clone)["inputs"][0]["kind"] == "remote"


class TestOutput:
    """What the command prints, kept."""

    def test_the_whole_log_and_its_tail(self, clone: Clone) -> None:
        program = "for n in range(40000): print('line', n)"
        printed = clone.prov("run", "--quiet", "--", sys.executable, "-c", program)
        assert printed.count("\n") == 40000
        assert clone.prov("show", "--output") == printed
        log, tail = last(clone)["byproducts"]
        assert (log["name"], log["size"]) == ("output.log", len(printed))
        assert log["digest"]["sha256"] == sha256(printed)
        assert (tail["name"], tail["role"]) == ("tail.txt", "log-tail")
        assert "| line 39999" in clone.prov("show")

    def test_bytes_come_back_as_they_were(self, clone: Clone) -> None:
        data = bytes(range(256)) * 3
        clone.write("data.bin", data)
        clone.prov_bytes("run", "--quiet", "--", "cat", "data.bin")
        assert clone.prov_bytes("show", "--output") == data

    def test_a_silent_command_has_no_log(self, clone: Clone) -> None:
        clone.run("true")
        assert "byproducts" not in last(clone)
        result = clone.prov_call("show", "--output")
        assert result.returncode == 24
        assert "printed nothing" in result.stderr

    def test_a_log_beyond_the_limit(self, clone: Clone) -> None:
        clone.git("config", "prov.log.maxSize", "1k")
        printed = clone.prov("run", "--quiet", "--", "seq", "2000")
        assert clone.prov("show", "--output") == printed[:1024]
        reason = last(clone)["missing"]["byproducts.output.log"]
        assert reason == f"{len(printed) - 1024} bytes beyond prov.log.maxSize were not kept"


class TestBudget:
    """One line at the start, six at most at the end; nothing with --quiet where all is well."""

    def spoken(self, clone: Clone, *arguments: str) -> tuple[list[str], list[str]]:
        """Return gitprov's lines before and after those of the command."""
        result = clone.prov_call("run", *arguments, "--", "sh", "-c", "echo middle >&2; exit 5")
        assert result.returncode == 5
        lines = result.stderr.splitlines()
        place = lines.index("middle")
        return lines[:place], lines[place + 1 :]

    def test_with_nothing_to_say(self, clone: Clone) -> None:
        start, end = self.spoken(clone)
        assert len(start) == 1
        assert len(end) == 3

    def test_with_many_warnings_and_inputs(self, clone: Clone) -> None:
        arguments = [part for number in range(40) for part in ("-i", f"gone-{number}")]
        arguments += [part for number in range(40) for part in ("-o", f"none-{number}")]
        start, end = self.spoken(clone, *arguments, "--params", "no.toml", "--metrics", "no.json")
        assert len(start) == 1
        assert "started; warning: cannot read" in start[0]
        assert len(end) == MAX_END_LINES
        assert "40 inputs, 40 outputs" in end[2]
        assert end[-1] == "gitprov: and 80 more warnings; what is missing: git prov show"
        assert len(last(clone)["inputs"]) == 40

    @pytest.mark.parametrize(("count", "last_line"), [(2, "none-1"), (3, "and 2 more warnings")])
    def test_as_many_warnings_as_there_is_room_for(
        self, clone: Clone, count: int, last_line: str
    ) -> None:
        arguments = [part for number in range(count) for part in ("-o", f"none-{number}")]
        _, end = self.spoken(clone, *arguments)
        assert len(end) == MAX_END_LINES
        assert last_line in end[-1]

    def test_a_warning_is_one_line_whatever_is_in_it(self, clone: Clone) -> None:
        start, end = self.spoken(clone, "-i", "two\nlines\x1b[31m")
        assert len(start) == 1
        assert r"two\nlines\x1b[31m" in start[0]
        assert len(end) <= MAX_END_LINES

    def test_quiet(self, clone: Clone) -> None:
        assert self.spoken(clone, "--quiet") == ([], [])
        start, end = self.spoken(clone, "--quiet", "-i", "gone", "-o", "none")
        assert start == ["gitprov: warning: input gone: No such file or directory"]
        assert end == ["gitprov: warning: output none: No such file or directory"]

    def test_a_program_that_cannot_be_started_with_many_warnings(self, clone: Clone) -> None:
        arguments = [part for number in range(20) for part in ("-i", f"gone-{number}")]
        result = clone.prov_call("run", *arguments, "--", "no-such-command")
        assert len(result.stderr.splitlines()) <= 1 + MAX_END_LINES


@pytest.mark.parametrize(
    "option", [["-m"], ["--name"], ["-t"], ["-i"], ["-o"], ["--params"], ["--metrics"]]
)
def test_text_that_is_not_unicode_does_not_keep_a_run_from_being_recorded(
    clone: Clone, option: list[str]
) -> None:
    command = [*PROV, "run", *option, b"caf\xe9", "--", "echo", b"caf\xe9"]
    result = subprocess.run(
        command, cwd=clone.path, env=clean_environment(), capture_output=True, check=True
    )
    assert result.stdout == b"caf\xe9\n"
    assert b"not recorded" not in result.stderr
    run = last(clone)
    assert run["command"]["argv"] == ["echo", {"hex": "636166e9"}]
    assert "caf" in clone.prov("show")


def test_a_parameter_that_is_not_unicode(clone: Clone) -> None:
    command = [*PROV, "run", "-p", b"word=caf\xe9", "--", "true"]
    subprocess.run(command, cwd=clone.path, env=clean_environment(), check=True)
    assert last(clone)["params"] == {"word": r"caf\udce9"}


def test_a_run_in_a_run_is_part_of_it(clone: Clone) -> None:
    clone.prov("run", "--name", "outer", "--", *PROV, "run", "--name", "inner", "--", "true")
    inner, outer = (json.loads(clone.prov("show", "--json", name)) for name in ("inner", "outer"))
    assert inner["links"] == [{"rel": "part_of", "id": outer["id"]}]


def test_the_name_is_given_or_made_up(clone: Clone) -> None:
    clone.run("true", options=["--name", "my first run", "-t", "a", "-t", "b"])
    run = last(clone)
    assert (run["name"], run["tags"]) == ("my first run", ["a", "b"])
    clone.run("true")
    assert last(clone)["name"].count("-") == 1


def test_signals_that_come_late_do_not_lose_the_run(clone: Clone) -> None:
    # Hashing a gigabyte leaves time for signals to come after the command has ended.
    with (clone.path / "large.bin").open("wb") as file:
        file.truncate(1 << 30)
    deaf = ["sh", "-c", "trap '' TERM HUP INT; echo ended"]
    process = subprocess.Popen(
        [*PROV, "run", "-o", "large.bin", "--", *deaf],
        cwd=clone.path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ended\n"
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 0
    (run,) = clone.prov("log", "--json").splitlines()
    assert '"status": "completed"' in run
    assert '"size": 1073741824' in run
