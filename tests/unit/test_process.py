"""The command's point of view: what it is given, gets and prints is what it would be without us.

`Session` starts a program that calls `run_command` and reports the outcome as JSON, with or
without a controlling terminal; every wait has a limit.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.output import OutputSpool
from gitprov.capture.process import CommandUnstartable, Outcome, run_command

LIMIT = 20.0
ROOT = Path(__file__).parents[2]

DRIVER = """
import fcntl, json, os, signal, sys, termios, threading
from pathlib import Path
settings = json.loads(sys.argv[1])
if settings["terminal"]:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if settings["closed"]:
    os.close(settings["closed"])
for number in settings["ignored"]:
    signal.signal(number, signal.SIG_IGN)
from gitprov.capture.output import OutputSpool
from gitprov.capture.process import run_command
spool = None
if settings["spool"]:
    spool = OutputSpool(Path(settings["spool"]), limit=settings["limit"])
before = {number: signal.getsignal(number) for number in signal.valid_signals()}
outcomes = []
def run():
    outcomes.append(run_command(settings["argv"], env=os.environ, spool=spool))
if settings["thread"]:
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
else:
    run()
outcome = outcomes[0]
after = {number: signal.getsignal(number) for number in signal.valid_signals()}
report = {
    "exit_code": outcome.exit_code,
    "signal": outcome.signal,
    "wall": outcome.usage.wall_ns / 1e9,
    "restored": before == after and signal.set_wakeup_fd(-1) == -1,
    "descriptors": len(os.listdir("/dev/fd")),
}
if spool:
    spool.close()
    report |= {"size": spool.size, "dropped": spool.dropped, "fault": spool.fault}
    report["sha256"] = spool.sha256.hex()
Path(settings["report"]).write_text(json.dumps(report))
"""


class Session:
    """A process that runs a command through `run_command`."""

    def __init__(
        self,
        folder: Path,
        argv: Sequence[str],
        *,
        streams: Sequence[int],
        terminal: bool = False,
        settings: Mapping[str, object] | None = None,
        ready: bool = False,
    ) -> None:
        self.folder = folder
        self.spool = folder / "spool"
        given: dict[str, Any] = {
            "argv": list(argv),
            "terminal": terminal,
            "spool": str(self.spool),
            "limit": 1 << 30,
            "report": str(folder / "report"),
            "ignored": [],
            "thread": False,
            "closed": None,
        }
        given.update(settings or {})
        stdin, stdout, stderr = streams
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(given)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "READY": str(folder / "ready")},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        if ready:
            wait_for((folder / "ready").exists)

    def report(self) -> dict[str, Any]:
        self.process.wait(LIMIT)
        result: dict[str, Any] = json.loads((self.folder / "report").read_text())
        assert result["restored"]
        return result

    def spooled(self) -> bytes:
        return self.spool.read_bytes()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(LIMIT)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Terminal:
    """A terminal of our own: what is typed goes in at `master`, what shows comes out of it."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        self.shown = b""

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self, text: bytes) -> None:
        """Wait until the terminal shows a text."""
        end = time.monotonic() + LIMIT
        while text not in self.shown:
            assert select.select([self.master], [], [], max(0, end - time.monotonic()))[0], (
                self.shown
            )
            self.shown += os.read(self.master, 65536)

    def rest(self) -> bytes:
        """Return all that the terminal has shown, once nobody else has it."""
        self.close_slave()
        with contextlib.suppress(OSError):
            while data := os.read(self.master, 65536):
                self.shown += data
        return self.shown

    def close_slave(self) -> None:
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def close(self) -> None:
        self.close_slave()
        os.close(self.master)


Start = Callable[..., Session]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a Session with pipes for stdout and stderr, unless told otherwise."""
    sessions: list[Session] = []

    def new(argv: Sequence[str], **options: Any) -> Session:
        streams = [
            options.pop("stdin", subprocess.DEVNULL),
            options.pop("stdout", subprocess.PIPE),
            options.pop("stderr", subprocess.PIPE),
        ]
        sessions.append(Session(tmp_path, argv, streams=streams, **options))
        return sessions[-1]

    yield new
    for session in sessions:
        session.kill()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


@pytest.fixture
def on_terminal(start: Start, terminal: Terminal) -> Start:
    """Start a Session that has the terminal for everything."""

    def new(argv: Sequence[str], **options: Any) -> Session:
        given = {"stdin": terminal.slave, "stdout": terminal.slave, "stderr": terminal.slave}
        return start(argv, terminal=True, **(given | options))

    return new


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[OutputSpool]:
    made = OutputSpool(tmp_path / "spool", limit=1 << 30)
    yield made
    made.close()


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def python(program: str) -> list[str]:
    """A command in Python that may call ready()."""
    prelude = "import os, signal, sys, time\ndef ready(): open(os.environ['READY'], 'w').close()\n"
    return [sys.executable, "-c", prelude + program]


def run(
    argv: Sequence[str], spool: OutputSpool | None = None, env: Mapping[str, str] | None = None
) -> Outcome:
    return run_command(argv, env=os.environ if env is None else env, spool=spool)


class TestOutcome:
    @pytest.mark.parametrize("code", [0, 1, 42, 255])
    @pytest.mark.parametrize("spooled", [True, False])
    def test_exit_code(self, spool: OutputSpool, code: int, *, spooled: bool) -> None:
        outcome = run(["sh", "-c", f"exit {code}"], spool if spooled else None)
        assert (outcome.exit_code, outcome.signal, outcome.shell_status) == (code, None, code)

    @pytest.mark.parametrize("spooled", [True, False])
    def test_death_by_signal(self, spool: OutputSpool, *, spooled: bool) -> None:
        outcome = run(["sh", "-c", "kill -KILL $$"], spool if spooled else None)
        assert (outcome.exit_code, outcome.signal, outcome.shell_status) == (None, 9, 137)

    def test_usage(self, spool: OutputSpool) -> None:
        # More than we ever had: the memory of who starts a command may count for its own.
        size = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) + (200 << 20)
        program = f"x = b'x' * {size}; time.sleep(0.1)\nwhile time.process_time() < 0.2: pass"
        usage = run(python(program), spool).usage
        assert usage.wall_ns > 100_000_000
        assert usage.cpu_user_ns is not None
        assert usage.cpu_system_ns is not None
        assert usage.cpu_user_ns + usage.cpu_system_ns >= 190_000_000
        assert usage.max_rss_bytes is not None
        assert size < usage.max_rss_bytes < size + (200 << 20)

    @pytest.mark.skipif(sys.platform != "linux", reason="a fault of Linux's number")
    def test_memory_of_the_recorder_is_not_reported_as_the_command_s(self) -> None:
        assert run(["true"]).usage.max_rss_bytes is None

    def test_command_that_closes_its_output_and_goes_on(self, spool: OutputSpool) -> None:
        outcome = run(["sh", "-c", "echo a; exec >&- 2>&-; sleep 0.2; exit 3"], spool)
        assert outcome.exit_code == 3
        assert outcome.usage.wall_ns > 200_000_000
        assert spool.tail == b"a\n"

    @pytest.mark.parametrize("thread", [False, True])
    def test_nothing_is_left_open(self, start: Start, *, thread: bool) -> None:
        counts = set()
        for argv in (["true"], ["sh", "-c", "echo a; echo b >&2; sleep 0.3"]):
            session = start(argv, settings={"thread": thread})
            session.process.communicate(timeout=LIMIT)
            counts.add(session.report()["descriptors"])
        plain = start(["true"], settings={"spool": ""})
        # The spool is open when descriptors are counted.
        assert counts == {plain.report()["descriptors"] + 1}


class TestUnstartable:
    @pytest.mark.parametrize("name", ["no-such-command-here", "/no/such/command"])
    def test_unknown(self, spool: OutputSpool, name: str) -> None:
        with pytest.raises(CommandUnstartable) as caught:
            run([name], spool)
        assert caught.value.shell_status == 127
        assert str(caught.value).startswith(name + ": ")

    @pytest.mark.parametrize("by_path", [True, False])
    def test_not_executable(self, tmp_path: Path, *, by_path: bool) -> None:
        (tmp_path / "plain").write_text("#!/bin/sh\n")
        name = str(tmp_path / "plain") if by_path else "plain"
        with pytest.raises(CommandUnstartable, match="Permission denied") as caught:
            run([name], env={"PATH": str(tmp_path)})
        assert caught.value.shell_status == 126

    def test_path_is_that_of_the_command_s_environment(
        self, tmp_path: Path, spool: OutputSpool
    ) -> None:
        tool = tmp_path / "tool"
        tool.write_text("#!/bin/sh\necho found by $0\n")
        tool.chmod(0o755)
        run(["tool"], spool, {"PATH": f"/nowhere:{tmp_path}"})
        assert spool.tail == f"found by {tool}\n".encode()

    @pytest.mark.parametrize("by_path", [True, False])
    def test_script_without_interpreter_line_is_for_sh(
        self, tmp_path: Path, spool: OutputSpool, *, by_path: bool
    ) -> None:
        script = tmp_path / "script"
        script.write_text("echo $# $1; exit 4\n")
        script.chmod(0o755)
        name = str(script) if by_path else "script"
        outcome = run([name, "a b"], spool, {"PATH": str(tmp_path)})
        assert (outcome.exit_code, spool.tail) == (4, b"1 a b\n")

    def test_signals_are_restored(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(CommandUnstartable):
            run(["no-such-command-here"])
        assert signal.getsignal(signal.SIGTERM) is before


class TestPipes:
    def test_stdout_and_stderr_stay_apart(self, start: Start) -> None:
        session = start(["sh", "-c", "echo out; echo err >&2"])
        assert session.process.communicate(timeout=LIMIT) == (b"out\n", b"err\n")
        assert sorted(session.spooled().split()) == [b"err", b"out"]
        assert session.report()["sha256"] == hashlib.sha256(session.spooled()).hexdigest()

    @pytest.mark.parametrize("kind", ["pipe", "file"])
    def test_order_is_kept_where_both_are_one_file(
        self, start: Start, tmp_path: Path, kind: str
    ) -> None:
        program = "for i in range(2000): os.write(1 + i % 2, b'%d\\n' % i)"
        expected = b"".join(b"%d\n" % number for number in range(2000))
        if kind == "pipe":
            session = start(python(program), stderr=subprocess.STDOUT)
            assert session.process.communicate(timeout=LIMIT)[0] == expected
        else:
            with (tmp_path / "both").open("wb") as both:
                session = start(python(program), stdout=both, stderr=both)
            session.report()
            assert (tmp_path / "both").read_bytes() == expected
        assert session.spooled() == expected

    def test_neither_is_a_terminal(self, start: Start) -> None:
        session = start(python("print(os.isatty(1), os.isatty(2))"))
        assert session.process.communicate(timeout=LIMIT)[0] == b"False False\n"

    @pytest.mark.parametrize("number", [1, 2])
    def test_closed_streams_stay_closed(self, start: Start, number: int) -> None:
        program = f"try: os.fstat({number})\nexcept OSError: os.write({3 - number}, b'closed')"
        session = start(python(program), settings={"closed": number})
        assert b"".join(session.process.communicate(timeout=LIMIT)) == b"closed"
        session.report()
        assert session.spooled() == b"closed"

    def test_stdin_passes_through(self, start: Start) -> None:
        session = start(["cat"], stdin=subprocess.PIPE)
        data = bytes(range(256)) * 1000
        assert session.process.communicate(data, timeout=LIMIT)[0] == data
        assert session.spooled() == data

    def test_other_descriptors_pass_through(self, spool: OutputSpool) -> None:
        reader, writer = os.pipe()
        os.set_inheritable(reader, True)
        os.write(writer, b"inherited\n")
        os.close(writer)
        run(["sh", "-c", f"cat /dev/fd/{reader}"], spool)
        os.close(reader)
        assert spool.tail == b"inherited\n"

    def test_any_bytes_pass_unchanged(self, start: Start) -> None:
        session = start(python("os.write(1, b'\\xff\\xfe\\x00 10%\\r 20%\\r\\r\\n\\x04\\x03')"))
        expected = b"\xff\xfe\x00 10%\r 20%\r\r\n\x04\x03"
        assert session.process.communicate(timeout=LIMIT)[0] == expected
        assert session.spooled() == expected

    def test_arguments_that_are_not_utf8(self, spool: OutputSpool) -> None:
        run(["printf", "%s", os.fsdecode(b"\xff\xe9")], spool)
        assert spool.tail == b"\xff\xe9"

    def test_big_output_is_intact(self, start: Start) -> None:
        program = "block = bytes(range(256)) * 256\nfor _ in range(320): os.write(1, block)"
        session = start(python(program))
        expected = bytes(range(256)) * 256 * 320
        assert session.process.communicate(timeout=LIMIT)[0] == expected
        report = session.report()
        assert report["size"] == len(expected)
        assert report["sha256"] == hashlib.sha256(expected).hexdigest()
        assert session.spooled() == expected

    def test_output_beyond_the_limit_still_flows(self, start: Start) -> None:
        session = start(["sh", "-c", "echo 12345; echo 67890"], settings={"limit": 7})
        assert session.process.communicate(timeout=LIMIT)[0] == b"12345\n67890\n"
        report = session.report()
        assert (report["size"], report["dropped"]) == (7, 5)
        assert session.spooled() == b"12345\n6"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
    def test_output_flows_with_a_full_disk(self, start: Start) -> None:
        session = start(["sh", "-c", "echo a; echo b; exit 3"], settings={"spool": "/dev/full"})
        assert session.process.communicate(timeout=LIMIT)[0] == b"a\nb\n"
        report = session.report()
        assert (report["exit_code"], report["size"], report["dropped"]) == (3, 0, 4)
        assert "No space left" in report["fault"]

    def test_output_is_passed_on_at_once(self, start: Start) -> None:
        session = start(["sh", "-c", "printf 'no newline'; read x; echo $x"], stdin=subprocess.PIPE)
        assert session.process.stdin is not None
        assert session.process.stdout is not None
        assert os.read(session.process.stdout.fileno(), 100) == b"no newline"
        assert session.process.communicate(b"typed\n", timeout=LIMIT)[0] == b"typed\n"

    @pytest.mark.parametrize("thread", [False, True])
    def test_closed_reader_ends_the_command(self, start: Start, *, thread: bool) -> None:
        session = start(["yes"], settings={"thread": thread})
        assert session.process.stdout is not None
        assert os.read(session.process.stdout.fileno(), 2) == b"y\n"
        session.process.stdout.close()
        report = session.report()
        assert report["signal"] == signal.SIGPIPE

    @pytest.mark.parametrize("blocking", [True, False])
    def test_slow_reader_gets_everything(self, start: Start, *, blocking: bool) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, blocking)
        session = start(python("sys.stdout.write('x' * 300_000)"), stdout=writer)
        os.close(writer)
        received = b""
        time.sleep(0.2)
        while data := os.read(reader, 30_000):
            received += data
            time.sleep(0.02)
        os.close(reader)
        assert received == b"x" * 300_000
        assert session.report()["exit_code"] == 0

    def test_reader_that_pauses_longer_than_any_grace_gets_everything(self, start: Start) -> None:
        # Both pipes are full when the command ends, and stay so for longer than we linger.
        session = start(python("sys.stdout.write('x' * 120_000)"))
        assert session.process.stdout is not None
        time.sleep(2.5)
        assert session.process.communicate(timeout=LIMIT)[0] == b"x" * 120_000
        assert session.report()["wall"] < 2

    def test_a_full_stdout_does_not_hold_up_stderr(self, start: Start) -> None:
        session = start(["sh", "-c", "yes & sleep 0.3; echo err >&2; kill $!"])
        assert session.process.stderr is not None
        assert os.read(session.process.stderr.fileno(), 10) == b"err\n"

    @pytest.mark.parametrize("thread", [False, True])
    def test_daemon_that_keeps_the_pipe_does_not_hang_us(
        self, start: Start, *, thread: bool
    ) -> None:
        session = start(
            ["sh", "-c", "sleep 60 & echo started; exit 5"],
            settings={"thread": thread},
        )
        begun = time.monotonic()
        assert session.report()["exit_code"] == 5
        assert time.monotonic() - begun < 5
        assert session.spooled() == b"started\n"

    def test_daemon_that_keeps_talking_does_not_hang_us(self, start: Start) -> None:
        session = start(["sh", "-c", "while :; do echo x; sleep 0.05; done & exit 0"])
        begun = time.monotonic()
        assert session.report()["exit_code"] == 0
        assert time.monotonic() - begun < 8

    def test_last_words_of_a_process_that_outlives_the_command_are_kept(self, start: Start) -> None:
        session = start(["sh", "-c", "{ sleep 0.1; echo last; } & echo first"])
        assert session.process.communicate(timeout=LIMIT)[0] == b"first\nlast\n"
        assert session.spooled() == b"first\nlast\n"

    def test_without_spool_the_streams_are_our_own(self, start: Start, tmp_path: Path) -> None:
        program = "status = os.fstat(1); print(status.st_ino)"
        with (tmp_path / "out").open("wb") as out:
            session = start(python(program), stdout=out, settings={"spool": ""})
        session.report()
        assert (tmp_path / "out").read_text().strip() == str((tmp_path / "out").stat().st_ino)


class TestTerminal:
    def test_command_sees_one_terminal(self, on_terminal: Start, terminal: Terminal) -> None:
        session = on_terminal(python("print([os.isatty(i) for i in (0, 1, 2)])"))
        session.report()
        assert terminal.rest() == b"[True, True, True]\r\n"
        assert session.spooled() == b"[True, True, True]\n"  # processed once, by the real one

    def test_order_of_stdout_and_stderr(self, on_terminal: Start, terminal: Terminal) -> None:
        session = on_terminal(python("for i in range(500): os.write(1 + i % 2, b'%d\\n' % i)"))
        terminal.wait(b"\n499\r\n")
        session.report()
        assert session.spooled() == b"".join(b"%d\n" % number for number in range(500))

    def test_terminal_and_pipe(self, on_terminal: Start, terminal: Terminal) -> None:
        program = "print(os.isatty(1), os.isatty(2))"
        session = on_terminal(python(program), stderr=subprocess.PIPE)
        session.report()
        assert terminal.rest() == b"True False\r\n"

    def test_pipe_and_terminal(self, on_terminal: Start, terminal: Terminal) -> None:
        program = "print(os.isatty(1), os.isatty(2)); print('err', file=sys.stderr)"
        session = on_terminal(python(program), stdout=subprocess.PIPE)
        assert session.process.communicate(timeout=LIMIT)[0] == b"False True\n"
        assert terminal.rest() == b"err\r\n"

    def test_two_terminals_are_not_mixed(self, on_terminal: Start, terminal: Terminal) -> None:
        other = Terminal()
        program = "print('out', os.isatty(1)); print('err', os.isatty(2), file=sys.stderr)"
        session = on_terminal(python(program), stderr=other.slave)
        session.report()
        assert (terminal.rest(), other.rest()) == (b"out True\r\n", b"err True\r\n")
        other.close()

    def test_bytes_are_unchanged(self, on_terminal: Start, terminal: Terminal) -> None:
        written = b"\xff\xfe 10%\r 20%\r\tx\n\x1b[0m"
        session = on_terminal(python(f"os.write(1, {written!r})"))
        session.report()
        assert session.spooled() == written
        assert terminal.rest() == written.replace(b"\n", b"\r\n")

    def test_big_output_is_intact(self, on_terminal: Start, terminal: Terminal) -> None:
        program = "block = b'0123456789abcde\\n' * 64\nfor _ in range(1000): os.write(1, block)"
        session = on_terminal(python(program + "\nprint('end')"))
        terminal.wait(b"end\r\n")
        expected = b"0123456789abcde\n" * 64_000 + b"end\n"
        assert session.report()["sha256"] == hashlib.sha256(expected).hexdigest()
        assert terminal.rest() == expected.replace(b"\n", b"\r\n")

    def test_last_words_are_never_lost(self, on_terminal: Start, terminal: Terminal) -> None:
        # The kernel moves what goes through a pty in the background; the command is gone by then.
        program = (
            "for i in range(300): print('x' * 60, i)\nos._exit(0) if sys.stdout.flush() else 0"
        )
        session = on_terminal(python(program))
        terminal.wait(b"x 299\r\n")
        session.report()
        assert len(session.spooled().splitlines()) == 300

    def test_modes_set_on_stdout_reach_the_real_terminal(
        self, on_terminal: Start, terminal: Terminal
    ) -> None:
        program = (
            "import termios\n"
            "modes = termios.tcgetattr(1)\n"
            "quiet = [*modes[:3], modes[3] & ~termios.ECHO & ~termios.ICANON, *modes[4:]]\n"
            "termios.tcsetattr(1, termios.TCSADRAIN, quiet)\n"
            "print('quiet', flush=True)\n"
            "sys.stdin.read(1)\n"
            "termios.tcsetattr(1, termios.TCSADRAIN, modes)\n"
            "print('back', flush=True)"
        )
        before = termios.tcgetattr(terminal.slave)
        session = on_terminal(python(program))
        terminal.wait(b"quiet\r\n")
        during = termios.tcgetattr(terminal.slave)
        terminal.type(b"x")  # one key, no newline: read at once only without ICANON
        terminal.wait(b"back\r\n")
        session.report()
        assert not during[3] & (termios.ECHO | termios.ICANON)
        assert during[1] & termios.OPOST
        assert termios.tcgetattr(terminal.slave) == before

    def test_curses_program(self, on_terminal: Start, terminal: Terminal) -> None:
        program = (
            "import curses\n"
            "def main(screen):\n"
            "    screen.addstr(0, 0, 'drawn'); screen.refresh(); ready(); return screen.getkey()\n"
            "key = curses.wrapper(main)\n"
            "print('got', key, flush=True)"
        )
        session = on_terminal(["env", "TERM=xterm", *python(program)])
        terminal.wait(b"drawn")
        assert not termios.tcgetattr(terminal.slave)[3] & (termios.ECHO | termios.ICANON)
        terminal.type(b"q")
        terminal.wait(b"got q")
        assert session.report()["exit_code"] == 0
        assert termios.tcgetattr(terminal.slave)[3] & termios.ECHO

    def test_window_size(self, on_terminal: Start, terminal: Terminal) -> None:
        program = (
            "signal.signal(signal.SIGWINCH, lambda *_: None)\n"
            "show = lambda: print(os.get_terminal_size(1), flush=True)\n"
            "show()\n"
            "while os.get_terminal_size(1).columns != 120: time.sleep(0.01)\n"
            "show()"
        )
        terminal.resize(30, 100)
        session = on_terminal(python(program))
        terminal.wait(b"columns=100, lines=30)")
        terminal.resize(40, 120)
        terminal.wait(b"columns=120, lines=40)")
        assert session.report()["exit_code"] == 0

    def test_size_is_right_when_the_command_hears_of_a_change_last(
        self, on_terminal: Start, terminal: Terminal
    ) -> None:
        program = (
            "def changed(*_):\n"
            "    size = os.get_terminal_size(1)\n"
            "    print(size, flush=True)\n"
            "    if size.columns == 120: sys.exit(7)\n"
            "signal.signal(signal.SIGWINCH, changed)\n"
            "ready()\n"
            "while True: time.sleep(0.01)"
        )
        session = on_terminal(python(program), ready=True)
        terminal.resize(40, 120)
        assert session.report()["exit_code"] == 7

    def test_typed_interrupt_reaches_the_command_once(
        self, on_terminal: Start, terminal: Terminal
    ) -> None:
        program = (
            "count = 0\n"
            "def caught(*_):\n"
            "    global count; count += 1\n"
            "signal.signal(signal.SIGINT, caught)\n"
            "ready()\n"
            "end = time.monotonic() + 20\n"
            "while not count and time.monotonic() < end: time.sleep(0.01)\n"
            "time.sleep(0.3)\n"
            "sys.exit(count)"
        )
        session = on_terminal(python(program), ready=True)
        terminal.type(b"\x03")
        os.kill(session.process.pid, signal.SIGINT)  # git repeats it for its own child
        assert session.report()["exit_code"] == 1

    @pytest.mark.parametrize(
        ("key", "number"), [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)]
    )
    def test_typed_signal_kills_the_command_and_not_us(
        self, on_terminal: Start, terminal: Terminal, key: bytes, number: int
    ) -> None:
        program = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        program += "signal.signal(signal.SIGINT, signal.SIG_DFL); ready(); time.sleep(60)"
        session = on_terminal(python(program), ready=True)
        terminal.type(key)
        assert session.report()["signal"] == number

    def test_line_typed_at_the_terminal(self, on_terminal: Start, terminal: Terminal) -> None:
        session = on_terminal(python("print('hello', input('name? '))"))
        terminal.wait(b"name? ")
        terminal.type(b"ann\n")
        session.report()
        assert terminal.rest() == b"name? ann\r\nhello ann\r\n"
        assert session.spooled() == b"name? hello ann\n"

    def test_password_is_asked_at_the_real_terminal(
        self, on_terminal: Start, terminal: Terminal
    ) -> None:
        session = on_terminal(python("import getpass; print('got', getpass.getpass('key? '))"))
        terminal.wait(b"key? ")
        terminal.type(b"secret\n")
        session.report()
        assert terminal.rest().split() == [b"key?", b"got", b"secret"]
        assert session.spooled() == b"got secret\n"

    def test_command_is_in_our_session_and_group(
        self, on_terminal: Start, terminal: Terminal
    ) -> None:
        session = on_terminal(python("print(os.getsid(0), os.getpgrp(), os.tcgetpgrp(0))"))
        session.report()
        assert set(terminal.rest().split()) == {str(session.process.pid).encode()}

    def test_daemon_that_keeps_the_pty_does_not_hang_us(self, on_terminal: Start) -> None:
        session = on_terminal(["sh", "-c", "sleep 60 & echo started; exit 5"])
        begun = time.monotonic()
        assert session.report()["exit_code"] == 5
        assert time.monotonic() - begun < 5
        assert session.spooled() == b"started\n"


class TestSignals:
    @pytest.mark.parametrize(
        "name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT"]
    )
    @pytest.mark.parametrize("spooled", [True, False])
    def test_sent_to_us_reaches_the_command(
        self, start: Start, name: str, *, spooled: bool
    ) -> None:
        number = signal.Signals[name]
        program = f"signal.signal({number:d}, lambda *_: sys.exit(9)); ready()\n"
        program += "while True: time.sleep(0.01)"
        settings = {} if spooled else {"spool": ""}
        session = start(python(program), ready=True, settings=settings)
        os.kill(session.process.pid, number)
        assert session.report()["exit_code"] == 9

    def test_termination_is_sent_on_with_a_terminal_too(self, on_terminal: Start) -> None:
        session = on_terminal(python("ready(); time.sleep(60)"), ready=True)
        os.kill(session.process.pid, signal.SIGTERM)
        assert session.report()["signal"] == signal.SIGTERM

    def test_termination_ends_the_wait_for_a_reader_that_has_stopped(self, start: Start) -> None:
        program = "os.write(1, b'x' * 120_000); ready(); print(os.getpid(), file=sys.stderr)"
        session = start(python(program), ready=True)
        assert session.process.stderr is not None
        command = int(session.process.stderr.readline())
        wait_for(lambda: not exists(command))
        time.sleep(0.2)
        assert session.process.poll() is None
        os.kill(session.process.pid, signal.SIGTERM)
        assert session.report()["exit_code"] == 0

    def test_command_starts_with_the_dispositions_that_we_had(self, start: Start) -> None:
        # SIGPIPE, which Python ignores, is seen where a closed reader ends the command.
        program = (
            "for name in ('INT', 'QUIT', 'TERM', 'HUP', 'USR1', 'USR2', 'CHLD'):\n"
            "    if signal.getsignal(getattr(signal, 'SIG' + name)) == signal.SIG_IGN: print(name)"
        )
        for ignored, shown in (([], b""), ([signal.SIGINT, signal.SIGHUP], b"INT\nHUP\n")):
            session = start(python(program), settings={"ignored": ignored})
            assert session.process.communicate(timeout=LIMIT)[0] == shown

    def test_exit_code_where_children_are_ignored(self, start: Start) -> None:
        session = start(["sh", "-c", "exit 6"], settings={"ignored": [signal.SIGCHLD]})
        assert session.report()["exit_code"] == 6


def test_other_threads(spool: OutputSpool, tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(
        target=lambda: outcomes.append(run(["sh", "-c", "echo a; sleep 0.05; exit 8"], spool))
    )
    thread.start()
    thread.join(LIMIT)
    assert [outcome.exit_code for outcome in outcomes] == [8]
    assert spool.tail == b"a\n"
    assert signal.getsignal(signal.SIGTERM) is before
