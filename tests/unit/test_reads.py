"""What a process is seen to read; audit hooks stay for good, so each case has its own Python."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.repositories import clean_environment

ROOT = Path(__file__).resolve().parents[2]
FRAME = """
import json, os, sys
sys.path.insert(0, "")
from gitprov.capture.reads import Observer
observer = Observer(os.getcwd())
observer.start()
since = 0
{body}
gap = observer.gap
print("\\n" + json.dumps([sorted(observer.reads(since)), gap]))
"""


class Seen(NamedTuple):
    reads: list[str]
    gap: str | None


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    for name, content in {
        "a.txt": "a",
        "b.txt": "b",
        "sub/c.txt": "c",
        "pkg/__init__.py": "",
        "pkg/mod.py": "value = open('b.txt').read()\n",
        "pkg/unused.py": "",
        ".git/config": "",
    }.items():
        file = top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (top / "link").symlink_to("a.txt")
    (top / "folder").symlink_to("sub")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/to-a").symlink_to(top / "link")
    (tmp_path / "elsewhere/data").write_text("data")
    return top


def seen(top: Path, body: str, **env: str) -> Seen:
    done = subprocess.run(
        [sys.executable, "-c", FRAME.format(body=body)],
        cwd=top, env=clean_environment(**env), capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Seen(*json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("body", "reads"),
    [
        ("open('a.txt').read()", ["a.txt"]),
        ("open(b'a.txt', 'rb')", ["a.txt"]),
        ("import pathlib; pathlib.Path('sub/../a.txt').read_bytes()", ["a.txt"]),
        ("os.close(os.open(os.path.abspath('a.txt'), os.O_RDONLY))", ["a.txt"]),
        ("open(os.path.abspath('sub/c.txt')); open('sub//./c.txt')", ["sub/c.txt"]),
        ("os.chdir('sub'); open('c.txt'); open('../a.txt')", ["a.txt", "sub/c.txt"]),
        ("open('a.txt'); os.chdir('sub'); open('c.txt'); os.chdir('..'); open('b.txt')",
         ["a.txt", "b.txt", "sub/c.txt"]),
        ("open('link')", ["a.txt", "link"]),
        ("open('folder/c.txt')", ["folder", "sub/c.txt"]),
        ("f = 'folder'; open(f + '/c.txt'); os.remove(f); os.symlink('.', f); open(f + '/a.txt')",
         ["a.txt", "folder", "sub/c.txt"]),
        ("open('link'); os.symlink('b.txt', 'new'); os.replace('new', 'link'); open('link')",
         ["a.txt", "b.txt", "link", "new"]),
        ("open('../elsewhere/to-a')", ["a.txt", "link"]),
        ("open('../elsewhere/data')", []),
        ("open('.git/config')", []),
        ("open('a.txt', 'r+')", ["a.txt"]),
        ("open('a.txt', 'a+')", ["a.txt"]),
        ("open('a.txt', 'a').close()", []),
        ("open('a.txt', 'a').close(); open('a.txt')", ["a.txt"]),
        ("open('a.txt', 'w').close()", []),
        ("open('a.txt', 'w').close(); open('a.txt')", []),
        ("open('a.txt'); open('a.txt', 'w').close()", ["a.txt"]),
        ("open('new', 'x').close(); open('new')", []),
        ("open('t', 'w').close(); os.replace('t', 'a.txt'); open('a.txt')", []),
        ("os.replace('a.txt', 'moved'); open('moved')", ["a.txt"]),
        ("os.link('a.txt', 'same'); open('same')", ["a.txt", "same"]),
        ("import shutil; shutil.copyfile('a.txt', 'b.txt'); open('b.txt')", ["a.txt"]),
        ("import pkg.mod", ["b.txt", "pkg/__init__.py", "pkg/mod.py"]),
        ("import tempfile, shutil; shutil.rmtree(tempfile.mkdtemp())", []),
        ("import ctypes; ctypes.CDLL(None)", []),
        ("os.listdir('.'); os.stat('a.txt')", []),
        ("open('no such file') if os.path.exists('no such file') else None", []),
    ],
)  # fmt: skip
def test_what_is_read(top: Path, body: str, reads: list[str]) -> None:
    assert seen(top, body) == Seen(reads, None)


def test_modules_count_by_their_source_also_where_it_is_compiled(top: Path, tmp_path: Path) -> None:
    expected = ["b.txt", "pkg/__init__.py", "pkg/mod.py"]
    for prefix in ("", str(tmp_path / "cache")):
        for _ in range(2):
            env = {"PYTHONDONTWRITEBYTECODE": ""}
            env |= {"PYTHONPYCACHEPREFIX": prefix} if prefix else {}
            assert seen(top, "import pkg.mod", **env) == Seen(expected, None)
    assert list(top.glob("pkg/__pycache__/mod.*.pyc"))
    assert list(tmp_path.glob("cache/**/mod.*.pyc"))


def test_names_that_are_not_utf8(top: Path) -> None:
    found = seen(top, r"open(b'caf\xe9', 'w').close(); since = observer.now(); open(b'caf\xe9')")
    assert found.reads == ["caf\udce9"]


@pytest.mark.parametrize(
    ("body", "gap"),
    [
        ("import subprocess; subprocess.run(['true'])", "another process was started: true"),
        ("os.system('true')", "another process was started: sh"),
        ("os.posix_spawn('/bin/true', ['true'], {})", "another process was started: true"),
        ("os.waitpid(os.fork() or os._exit(0), 0)", "forked"),
        ("import pty; pid, _ = pty.fork(); pid or os._exit(0)", "forked"),
        ("import multiprocessing as m; p = m.get_context('spawn').Process(target=id); p.start()",
         "another process was started: python"),
        ("import multiprocessing as m; p = m.get_context('fork').Process(target=id); p.start()",
         "forked"),
        ("import ctypes; ctypes.CDLL('libz.so.1')", "libz.so.1"),
        ("import sqlite3; sqlite3.connect('a.txt')", "SQLite may have opened"),
        ("import sqlite3; sqlite3.connect('file:a.txt', uri=True)", "SQLite may have opened"),
        ("os.rename('sub', 'other')", "a folder was moved"),
        ("d = os.open('sub', os.O_RDONLY); os.open('c.txt', os.O_RDONLY, dir_fd=d)",
         "relative to another folder"),
        ("d = os.open(os.path.abspath('sub'), 0); os.open('a.txt', os.O_CREAT, dir_fd=d)",
         "relative to another folder"),
        ("d = os.open('sub', os.O_RDONLY); os.rename('c.txt', 'd.txt', src_dir_fd=d, dst_dir_fd=d)",
         "relative to another folder"),
    ],
)  # fmt: skip
def test_where_not_all_can_be_seen(top: Path, body: str, gap: str) -> None:
    found = seen(top, body)
    assert found.gap is not None
    assert gap in found.gap


def test_the_compiled_code_of_others_may_read(top: Path) -> None:
    assert seen(top, "import msgpack, math, _elementtree").gap is None
    found = seen(top, "import pygit2")
    assert found.gap is not None
    assert "compiled code" in found.gap


def test_what_was_imported_before(top: Path) -> None:
    body = "import pkg.mod\nlater = Observer(os.getcwd())\nlater.start()\nobserver = later"
    found = seen(top, body)
    assert found.reads == ["pkg/__init__.py", "pkg/mod.py"]
    assert found.gap is not None
    assert "imported before" in found.gap


def test_each_run_has_what_was_made_before_it(top: Path) -> None:
    body = "open('new', 'w').write('x')\nsince = observer.now()\nopen('new')\n"
    assert seen(top, body).reads == ["new"]
    body = "open('new', 'w').write('x')\nopen('new')\nsince = observer.now()\n"
    assert seen(top, body).reads == ["new"]


def test_what_could_not_be_written_is_read(top: Path) -> None:
    body = """
try:
    open("sub", "w")
except IsADirectoryError:
    pass
try:
    open("sub/c.txt/no", "w")
except NotADirectoryError:
    pass
try:
    fd = os.open("a.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
except FileExistsError:
    pass
open("a.txt")
"""
    assert seen(top, body) == Seen(["a.txt"], None)


def test_what_is_paused_is_not_the_programs(top: Path) -> None:
    body = """
with observer.paused():
    with observer.paused():
        open("a.txt")
    open("b.txt")
open("sub/c.txt")
"""
    assert seen(top, body) == Seen(["sub/c.txt"], None)


def test_of_too_many_none_are_claimed(top: Path) -> None:
    body = """
import gitprov.capture.reads as reads
reads.MAX_PATHS = 2
for name in ("a.txt", "b.txt", "sub/c.txt"):
    open(name)
"""
    found = seen(top, body)
    assert found.reads == ["a.txt", "b.txt"]
    assert found.gap == "there are more than 2 files"


def test_a_python_below_the_top_is_not_the_source(top: Path) -> None:
    body = """
sys.prefix = os.path.abspath("sub")
observer = Observer(os.getcwd())
observer.start()
open("sub/c.txt")
open("a.txt")
"""
    assert seen(top, body) == Seen(["a.txt"], None)


def test_a_fault_of_ours_does_not_fail_the_program(top: Path) -> None:
    body = """
observer._resolved = None
open("a.txt").close()
"""
    found = seen(top, body)
    assert found.gap == "a fault while observing: TypeError"


@pytest.mark.parametrize("handler", ["def late(*_)", "def late(number, frame)"])
@pytest.mark.parametrize("error", ["TimeoutError", "ValueError", "Late", "KeyboardInterrupt"])
def test_what_signal_handlers_raise_arrives(top: Path, handler: str, error: str) -> None:
    body = f"""
import signal
import gitprov.capture.real_paths as real
class Late(Exception): pass
{handler}:
    raise {error}
signal.signal(signal.SIGUSR1, late)
def with_signal(function):
    def called(*arguments):
        found = function(*arguments)
        if sys._getframe(1).f_globals["__name__"].startswith("gitprov."):
            signal.raise_signal(signal.SIGUSR1)
        return found
    return called
real.getcwd, count = with_signal(real.getcwd), 0
real.stat = with_signal(real.stat)
for name, mode in (("a.txt", "r"), ("b.txt", "w"), ("sub/c.txt", "r"), ("b.txt", "r")):
    try:
        open(name, mode).close()
    except {error}:
        count += 1
assert count == 4, count
real.getcwd, real.stat = os.getcwd, os.stat
open("a.txt").close()
"""
    found = seen(top, body, GITPROV_OBSERVE_READS="0")  # one observer is enough
    assert found.gap == f"a fault while observing: {error}"
    assert "a.txt" in found.reads


def test_functions_that_a_program_replaces_are_not_called(top: Path) -> None:
    body = """
from contextlib import ExitStack
from unittest import mock
names = [
    "os.stat", "os.lstat", "os.readlink", "os.getcwd", "os.listdir", "os.fsdecode",
    "os.path.isabs", "os.path.join", "os.path.split", "os.path.islink", "os.path.isdir",
    "os.path.lexists", "os.path.exists", "time.monotonic_ns", "time.time_ns",
]
with ExitStack() as stack:
    mocks = [stack.enter_context(mock.patch(name)) for name in names]
    open("link").close(); open("folder/c.txt").close(); open("new", "w").close(); open("b.txt")
    called = [name for name, each in zip(names, mocks) if each.call_count]
assert not called, called
"""
    assert seen(top, body) == Seen(["a.txt", "b.txt", "folder", "link", "sub/c.txt"], None)
