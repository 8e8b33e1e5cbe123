"""`git prov run --trace=strace`: what any program is seen to read and write."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_trace_audit import Seen
from tests.support.repositories import Clone, clean_environment

PROV = [sys.executable, "-m", "gitprov", "run", "--quiet", "--trace=strace", "--"]
SECONDS = 60


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "repo")
    clone.commit(
        "source",
        {
            ".gitignore": "data/\nout/\n__pycache__/\n",
            "config.json": "{}\n",
            "lib/__init__.py": "",
            "lib/net.py": "open('config.json').read()\n",
            "main.py": "import lib.net\nopen('out/py', 'w').write(open('data/a.csv').read())\n",
        },
    )
    for name in ("a", "b", "c"):
        clone.write(f"data/{name}.csv", f"{name}\n")
    (clone.path / "out").mkdir()
    return clone


def last(clone: Clone) -> Seen:
    return Seen(json.loads(clone.prov("show", "--json")))


def shell(clone: Clone, script: str, *options: str, status: int = 0) -> Seen:
    done = clone.prov_call("run", "--quiet", "--trace=strace", *options, "--", "sh", "-c", script)
    assert done.returncode == status, done.stderr
    return last(clone)


class TestFiles:
    def test_what_is_read_and_written(self, clone: Clone) -> None:
        seen = shell(
            clone,
            "cat config.json data/a.csv > out/both; cat out/both > /dev/null\n"
            "cp data/b.csv out/copy; mv out/copy out/moved\n"
            "cd out; ln both linked; echo more >> ../data/c.csv; cat ../data/c.csv; : > empty\n"
            "echo x > temporary; rm temporary; exit 4",
            status=4,
        )
        assert set(seen.inputs) == {"data/a.csv", "data/b.csv"}
        assert set(seen.outputs) == {
            "out/both", "out/moved", "out/linked", "out/empty", "data/c.csv"
        }  # fmt: skip
        assert seen.inputs["data/a.csv"]["seen"] == "observed"
        assert seen.inputs["data/a.csv"]["size"] == 2
        assert seen.run["source"]["reads"] == ["config.json"]
        assert seen.trace == {"method": "strace", "processes": 8, "unseen": ["remote data"]}
        assert "watched by  strace, 8 processes" in clone.prov("show")

    def test_programs_and_their_modules_count_as_source(self, clone: Clone) -> None:
        clone.write("tool.sh", "#!/bin/sh\npython main.py\n").chmod(0o755)
        for _ in range(2):  # the second time, Python reads what it has compiled
            clone.call(*PROV, "./tool.sh", check=True, PYTHONDONTWRITEBYTECODE="")
            seen = last(clone)
            assert seen.run["source"]["reads"] == [
                "config.json", "lib/__init__.py", "lib/net.py", "main.py", "tool.sh"
            ]  # fmt: skip
            assert set(seen.inputs) == {"data/a.csv"}
            assert set(seen.outputs) == {"out/py"}

    def test_what_was_declared_stands_once(self, clone: Clone) -> None:
        options = ["-i", "data/a.csv", "-o", "out"]
        seen = shell(clone, "cat data/*.csv > out/all", *options)
        assert set(seen.inputs) == {"data/a.csv", "data/b.csv", "data/c.csv"}
        assert seen.inputs["data/a.csv"].get("seen", "declared") == "declared"
        assert set(seen.outputs) == {"out"}

    def test_inputs_that_the_run_changes_or_takes_away(self, clone: Clone) -> None:
        seen = shell(
            clone,
            "cat data/a.csv; echo more >> data/a.csv; cat data/b.csv; rm data/b.csv\n"
            "mv data/c.csv out/c.csv",
        )
        assert {name: "digest" in item for name, item in seen.inputs.items()} == {
            "data/a.csv": False, "data/b.csv": False, "data/c.csv": False
        }  # fmt: skip
        assert seen.missing["inputs.data/a.csv"] == "the run has changed it"
        assert seen.missing["inputs.data/b.csv"] == "it was there, and is no more"
        assert set(seen.outputs) == {"data/a.csv", "out/c.csv"}

    def test_a_folder_that_is_moved(self, clone: Clone) -> None:
        seen = shell(clone, "mkdir out/t; echo x > out/t/x; mv out/t out/final")
        assert set(seen.outputs) == {"out/final/x"}

    def test_files_that_may_have_been_there(self, clone: Clone) -> None:
        seen = shell(clone, "echo x 1<> out/new")
        assert set(seen.outputs) == {"out/new"}
        assert "not known" in seen.missing["inputs.out/new"]
        assert "reads" not in seen.run["source"]

    def test_folders_elsewhere(self, clone: Clone, tmp_path: Path) -> None:
        (tmp_path / "store").mkdir()
        (tmp_path / "store/in").write_text("x")
        clone.git("config", "prov.data.root", "../store")
        seen = shell(clone, "cp ../store/in ../store/out; cp ../store/in ../beside")
        assert set(seen.inputs) == {(tmp_path / "store/in").as_uri()}
        assert set(seen.outputs) == {(tmp_path / "store/out").as_uri()}

    def test_threads_and_children_that_outlive_the_command(self, clone: Clone) -> None:
        os.mkfifo(clone.path / "out/go")
        body = (
            "import os, threading\n"
            "def work():\n"
            "    os.chdir('data'); os.rename('a.csv', 'x.csv')\n"
            "thread = threading.Thread(target=work); thread.start(); thread.join()\n"
            "os.rename('b.csv', 'y.csv')\n"
            "if os.fork() == 0:\n"
            "    os.close(1); os.close(2); open('../out/go').read(1); open('../out/late', 'w')\n"
        )
        clone.call(*PROV, sys.executable, "-c", body, check=True)
        # The tracer must live on: without it, the kernel would refuse to open files.
        go = os.open(clone.path / "out/go", os.O_RDWR)  # waits for nobody
        os.write(go, b"x")
        end = time.monotonic() + SECONDS
        while not (clone.path / "out/late").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        os.close(go)
        seen = last(clone)
        assert set(seen.outputs) == {"data/x.csv", "data/y.csv"}
        assert seen.trace["processes"] == 2, seen.trace
        assert seen.trace["unseen"][0] == "a process went on after the command's end"


class TestWhereItCannotBe:
    def test_without_strace(self, clone: Clone, tmp_path: Path) -> None:
        tools = tmp_path / "tools"
        tools.mkdir()
        for name in ("sh", "git", "cat"):
            found = subprocess.run(["which", name], capture_output=True, text=True, check=True)
            (tools / name).symlink_to(found.stdout.strip())
        done = clone.call(*PROV, "sh", "-c", "cat config.json; exit 6", PATH=str(tools))
        assert (done.returncode, done.stdout) == (6, "{}\n")
        assert "not traced: strace is not installed; install it" in done.stderr
        assert "apt-get install strace" in last(clone).missing["trace"]

    def test_where_it_may_not_trace(self, clone: Clone) -> None:
        # What is traced already cannot be traced by another.
        strace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=none"]
        done = clone.call(*strace, *PROV, "sh", "-c", "echo ran; exit 6")
        assert (done.returncode, done.stdout) == (6, "ran\n")
        assert "strace may not trace here" in done.stderr
        assert "SYS_PTRACE" in last(clone).missing["trace"]

    @pytest.mark.parametrize(
        ("program", "status", "said"),
        [
            ("no-such-command", 127, "command not found"),
            ("./plain.txt", 126, "Permission denied"),
            ("./no-interpreter", 127, "No such file"),
        ],
    )
    def test_commands_that_cannot_be_started(
        self, clone: Clone, program: str, status: int, said: str
    ) -> None:
        clone.write("plain.txt", "x")
        clone.write("no-interpreter", "#!/no/such/shell\n").chmod(0o755)
        done = clone.call(*PROV, program)
        assert done.returncode == status
        assert said in done.stderr

    def test_programs_for_another_machine(self, clone: Clone) -> None:
        clone.write("other", b"\x7fELF" + bytes(60)).chmod(0o755)
        ends = []
        for trace in ("off", "strace"):
            done = clone.prov_call("run", "--quiet", f"--trace={trace}", "--", "./other")
            lines = [line for line in done.stderr.splitlines() if "not traced" not in line]
            ends.append((done.returncode, lines))
        assert ends[0] == ends[1]
        assert "another machine" in last(clone).missing["trace"]

    def test_scripts_that_name_no_interpreter(self, clone: Clone) -> None:
        clone.write("script", "echo ran; exit 5\n").chmod(0o755)
        done = clone.call(*PROV, "./script")
        assert (done.returncode, done.stdout) == (5, "ran\n")
        assert "neither a binary nor a script" in last(clone).missing["trace"]


@pytest.fixture
def waiting(clone: Clone) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a command on a terminal of its own that waits for signals, and yield that, too."""
    ours, theirs = pty.openpty()
    script = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(21))\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(22))\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(0.01)\n"
    )

    def own_terminal() -> None:
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [*PROV, sys.executable, "-c", script],
        cwd=clone.path,
        env=clean_environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=own_terminal,  # noqa: PLW1509 -- there are no threads
    )
    os.close(theirs)
    try:
        _wait_for(ours, b"ready")
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _wait_for(terminal: int, text: bytes) -> None:
    shown = b""
    end = time.monotonic() + SECONDS
    while text not in shown:
        assert select.select([terminal], [], [], max(0, end - time.monotonic()))[0], shown
        shown += os.read(terminal, 65536)


def _drain(process: subprocess.Popen[bytes], terminal: int) -> int:
    """Read what the terminal shows until the process ends, and return its status."""
    end = time.monotonic() + SECONDS
    while process.poll() is None:
        assert time.monotonic() < end
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:
                break
    return process.wait(SECONDS)


def test_a_typed_interrupt(clone: Clone, waiting: tuple[subprocess.Popen[bytes], int]) -> None:
    process, terminal = waiting
    os.write(terminal, b"\x03")
    assert _drain(process, terminal) == 22
    assert last(clone).trace["processes"] == 1


def test_a_request_to_end(clone: Clone, waiting: tuple[subprocess.Popen[bytes], int]) -> None:
    process, terminal = waiting
    process.send_signal(signal.SIGTERM)
    assert _drain(process, terminal) == 21
    assert last(clone).trace["processes"] == 1


def test_a_killed_git_prov_leaves_the_command_as_it_is(clone: Clone) -> None:
    os.mkfifo(clone.path / "out/go")
    script = "cat out/go; cat data/a.csv > out/after"
    process = subprocess.Popen(
        [*PROV, "sh", "-c", script], cwd=clone.path, env=clean_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + SECONDS
    go = -1
    while go < 0:  # until cat reads
        assert process.poll() is None
        assert time.monotonic() < end
        with suppress(OSError):
            go = os.open(clone.path / "out/go", os.O_WRONLY | os.O_NONBLOCK)
    process.kill()
    process.wait(SECONDS)
    os.write(go, b"x")
    os.close(go)
    while not (clone.path / "out/after").exists() or not (clone.path / "out/after").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
    run: dict[str, Any] = json.loads(clone.prov("show", "--json"))
    assert run["status"] == "aborted"
