"""What the lines of strace say, and what they come to: made up ones, and those of a real strace."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitprov.capture.tracing.strace import _OPTIONS
from gitprov.capture.tracing.strace_lines import (
    Call,
    Ended,
    Folder,
    Joined,
    NotUnderstood,
    unescaped,
)
from gitprov.capture.tracing.strace_reader import Trace
from tests.support.repositories import clean_environment

HERE = Folder(is_current=True, path=b"/w")


def said(*lines: str) -> list[Call | Ended]:
    joined = Joined()
    return [found for line in lines if (found := joined.take(line.encode() + b"\n")) is not None]


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ('openat(AT_FDCWD</w>, "a", O_RDONLY|O_CLOEXEC) = 3</w/a>',
         Call(7, "openat", (b"a",), (HERE,), frozenset({"O_RDONLY", "O_CLOEXEC"}), b"/w/a")),
        ('openat(AT_FDCWD, "/w/a", O_RDONLY)      = 3</w/a>',
         Call(7, "openat", (b"/w/a",), (Folder(is_current=True, path=None),),
              frozenset({"O_RDONLY"}), b"/w/a")),
        ('openat(4</w/sub>, "a", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 5</w/sub/a>',
         Call(7, "openat", (b"a",), (Folder(is_current=False, path=b"/w/sub"),),
              frozenset({"O_WRONLY", "O_CREAT", "O_TRUNC"}), b"/w/sub/a")),
        (r'open("we<i>rd\n\"\\n\303\251", O_RDONLY) = 3</w/we\74i\76rd\n"\\n\303\251>',
         Call(7, "open", (b'we<i>rd\n"\\n\xc3\xa9',), (), frozenset({"O_RDONLY"}),
              b'/w/we<i>rd\n"\\n\xc3\xa9')),
        ('open("gone", O_RDWR) = 3</w/gone>(deleted)',
         Call(7, "open", (b"gone",), (), frozenset({"O_RDWR"}), b"/w/gone")),
        ('creat("new", 0644) = 3</w/new>',
         Call(7, "creat", (b"new",), (), frozenset({"O_WRONLY", "O_CREAT", "O_TRUNC"}), b"/w/new")),
        ('openat2(AT_FDCWD</w>, "a", {flags=O_RDONLY, resolve=RESOLVE_BENEATH}, 24) = 3</w/a>',
         Call(7, "openat2", (b"a",), (HERE,), frozenset({"O_RDONLY"}), b"/w/a")),
        ('rename("a, \\"b", "c) = 0") = 0', Call(7, "rename", (b'a, "b', b"c) = 0"))),
        ('renameat2(AT_FDCWD</w>, "a", 3</w/sub>, "b", RENAME_NOREPLACE) = 0',
         Call(7, "renameat2", (b"a", b"b"), (HERE, Folder(is_current=False, path=b"/w/sub")))),
        ('linkat(AT_FDCWD</w>, "a", AT_FDCWD</w>, "b", 0) = 0',
         Call(7, "linkat", (b"a", b"b"), (HERE, HERE))),
        ('execve("/bin/sh", [...], 0x7ffd /* 3 vars */) = 0', Call(7, "execve", (b"/bin/sh",))),
        ('chdir("sub")                    = 0', Call(7, "chdir", (b"sub",))),
        ("fchdir(3</w/sub>) = 0",
         Call(7, "fchdir", (), (Folder(is_current=False, path=b"/w/sub"),))),
        ("vfork()                         = 12", Call(7, "vfork", process=12)),
        ("clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f) = 12",
         Call(7, "clone", process=12)),
        ("clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x7f}, 88 => {parent_tid=[12]}, 88) = 12",
         Call(7, "clone3", flags=frozenset({"CLONE_THREAD"}), process=12)),
        ("io_uring_setup(8, {flags=0}) = 4<anon_inode:[io_uring]>", Call(7, "io_uring_setup")),
        ("+++ exited with 3 +++", Ended(7)),
        ("+++ killed by SIGKILL (core dumped) +++", Ended(7)),
    ],
)  # fmt: skip
def test_what_a_line_says(line: str, call: Call | Ended) -> None:
    assert said(f"7     {line}") == [call]


@pytest.mark.parametrize(
    "line",
    [
        'openat(AT_FDCWD</w>, "no", O_RDONLY) = -1 ENOENT (No such file or directory)',
        'open("a", O_RDONLY) = ?',
        'execve("/bin/sh", [...], 0x7ffd /* 3 vars */) = -1 EACCES (Permission denied)',
        "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED} ---",
    ],
)
def test_what_says_nothing(line: str) -> None:
    assert said(f"7 {line}") == []


@pytest.mark.parametrize("line", ["", "x", "7 ", "7 openat(", "7 open(1) = 3", "7 read(3) = 1"])
def test_what_is_not_understood(line: str) -> None:
    with pytest.raises(NotUnderstood):
        said(line)


def test_calls_that_others_interrupt() -> None:
    found = said(
        '7 openat(AT_FDCWD</w>, "a b", O_RDONLY <unfinished ...>',
        '8 open("c", O_RDONLY <unfinished ...>',
        "7 <... openat resumed>) = 3</w/a b>",
        "8 <... open resumed>) = 4</w/c>",
    )
    assert [(call.pid, call.opened) for call in found if isinstance(call, Call)] == [
        (7, b"/w/a b"),
        (8, b"/w/c"),
    ]


def test_a_process_that_is_killed_in_a_call() -> None:
    assert said(
        '7 openat(AT_FDCWD</w>, "a", O_RDONLY <unfinished ...>', "7 +++ killed by SIGKILL +++"
    ) == [Ended(7)]


@pytest.mark.parametrize(
    ("text", "meant"),
    [(rb"a\tb\v\f\r", b"a\tb\v\f\r"), (rb"\1\0012\x41", b"\1\x012A"), (rb"\"\\\?", b'"\\?')],
)
def test_escapes(text: bytes, meant: bytes) -> None:
    assert unescaped(text) == meant


def traced(top: Path, *lines: str) -> Trace:
    trace = Trace(str(top), ["/elsewhere/data"], str(top))
    for line in lines:
        trace.take(line.replace("/w", str(top)).encode() + b"\n")
    return trace


def test_working_folders_are_inherited_and_those_of_threads_shared(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    trace = traced(
        tmp_path,
        '1 execve("/bin/x", [...], 0x7 /* 0 vars */) = 0',
        '1 chdir("sub") = 0',
        "1 clone(flags=CLONE_VM|CLONE_THREAD) = 2",
        "1 fork() = 3",
        '2 rename("a", "b") = 0',
        '2 chdir("..") = 0',
        '1 rename("c", "d") = 0',
        '3 rename("e", "f") = 0',
    )
    assert set(trace.touched.writes) == {"sub/b", "d", "sub/f"}
    assert trace.processes == 2


def test_a_thread_that_is_heard_of_before_the_call_that_made_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    trace = traced(
        tmp_path,
        '4200001 execve("/bin/x", [...], 0x7 /* 0 vars */) = 0',
        '4200002 chdir("sub") = 0',
        "4200001 clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x7f}, 88) = 4200002",
        '4200001 rename("a", "b") = 0',
    )
    assert set(trace.touched.writes) == {"sub/b"}
    assert (trace.processes, trace.living - trace.threads) == (1, {4200001})


def test_a_child_that_has_ended_before_the_call_that_made_it(tmp_path: Path) -> None:
    trace = traced(
        tmp_path,
        '4200001 execve("/bin/x", [...], 0x7 /* 0 vars */) = 0',
        '4200002 execve("/bin/y", [...], 0x7 /* 0 vars */) = 0',
        "4200002 +++ exited with 0 +++",
        "4200001 vfork() = 4200002",
        "4200001 fork() = 4200003",
        "4200001 +++ exited with 0 +++",
    )
    assert trace.is_over
    assert (trace.processes, trace.living) == (3, {4200003})


def test_only_what_is_below_the_top_and_the_roots_counts(tmp_path: Path) -> None:
    trace = traced(
        tmp_path,
        '1 open("/w/a", O_RDONLY) = 3</w/a>',
        '1 open("/w/.git/HEAD", O_RDONLY) = 3</w/.git/HEAD>',
        '1 open("/wx", O_RDONLY) = 3</wx>',
        '1 open("/elsewhere/data/b", O_RDONLY) = 3</elsewhere/data/b>',
        '1 open("/elsewhere/c", O_RDONLY) = 3</elsewhere/c>',
        '1 open("/w", O_RDONLY|O_DIRECTORY) = 3</w>',
        '1 open("/w/p", O_RDONLY|O_PATH) = 3</w/p>',
    )
    assert set(trace.touched.reads) == {"a", "/elsewhere/data/b"}
    assert trace.gaps == {}


@pytest.mark.parametrize(
    ("line", "gap"),
    [
        ("1 io_uring_setup(8, {flags=0}) = 4", "io_uring"),
        ('1 chroot("/x") = 0', "root"),
        ('1 mount("a", "b", "ext4", 0, NULL) = 0', "mounted"),
        ("nonsense", "not understood"),
    ],
)
def test_what_may_have_been_missed(tmp_path: Path, line: str, gap: str) -> None:
    assert gap in next(iter(traced(tmp_path, line).gaps))


def test_of_too_many_there_are_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitprov.capture.tracing.strace_reader.MAX_PATHS", 2)
    trace = traced(tmp_path, *(f'1 open("/w/{n}", O_RDONLY) = 3</w/{n}>' for n in range(4)))
    assert set(trace.touched.reads) == {"0", "1"}
    assert list(trace.gaps) == ["there are more than 2 files"]


def test_compiled_python_counts_as_its_source(tmp_path: Path) -> None:
    trace = traced(
        tmp_path,
        '1 open("/w/p/__pycache__/m.cpython-311.opt-1.pyc", O_RDONLY)'
        " = 3</w/p/__pycache__/m.cpython-311.opt-1.pyc>",
    )
    assert "p/m.py" in trace.touched.reads


NAMES = [
    b"plain", b"with space", b'q"uote', b"new\nline", b"<angle>", b"back\\slash\\", b"caf\xe9",
    b"\xc3\xa9", b") = 3", b"a, b", b"\x01\x7f", b"(deleted)", b" <unfinished ...>",
]  # fmt: skip


def test_names_as_a_real_strace_writes_them(tmp_path: Path) -> None:
    top = os.fsencode(tmp_path.resolve())
    for name in NAMES:
        Path(os.fsdecode(os.path.join(top, name))).write_text("x")  # noqa: PTH118
    body = (
        "import os, sys\n"
        "for name in sorted(os.listdir(b'.')):\n"
        "    os.close(os.open(name, os.O_RDONLY))\n"
        "    os.mkdir(b'd' + name); folder = os.open(b'd' + name, os.O_RDONLY)\n"
        "    os.close(os.open(b'new', os.O_WRONLY | os.O_CREAT, dir_fd=folder))\n"
        "    os.rename(b'new', b'moved', src_dir_fd=folder, dst_dir_fd=folder)\n"
        "    os.close(folder); os.chdir(b'd' + name); os.rename(b'moved', name); os.chdir('..')\n"
    )
    log = tmp_path.parent / "log"
    options = [option for option in _OPTIONS if option != "-D"]  # so that strace ends last
    subprocess.run(
        ["strace", *options, "-o", log, sys.executable, "-S", "-c", body],
        cwd=tmp_path,
        env=clean_environment(),
        check=True,
        timeout=60,
    )
    trace = Trace(os.fsdecode(top), [], os.fsdecode(top))
    with log.open("rb") as lines:
        for line in lines:
            trace.take(line)
    assert (trace.gaps, trace.is_over) == ({}, True)
    reads = {os.fsencode(name) for name in trace.touched.reads}
    writes = {os.fsencode(name) for name in trace.touched.writes}
    assert set(NAMES) <= reads
    assert {b"d" + name + b"/" + name for name in NAMES} <= writes


def test_the_rest_of_a_call_without_its_process() -> None:
    """As strace says it now and then, with -z, where another process comes between."""
    [first] = said('22 openat(AT_FDCWD</w>, "a", O_RDONLY <unfinished ...>', ") = 3</w/a>")
    assert (first.pid, first.name) == (22, "openat")
    with pytest.raises(NotUnderstood):
        said(") = 3</w/a>")


@pytest.mark.parametrize(
    ("begun", "rest"),
    [
        ("clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD", ", child_tidptr=0x7f) = 9"),
        ("clone3({flags=CLONE_VM|CLONE_THREAD}", " => {parent_tid=[9]}, 88) = 9"),
        ("vfork(", ")  = 9"),
    ],
)
def test_the_rest_of_a_new_process_without_its_maker(begun: str, rest: str) -> None:
    [made, other] = said(f"7 {begun} <unfinished ...>", rest, '9 chdir("/w") = 0')
    assert isinstance(made, Call)
    assert (made.pid, made.process) == (7, 9)
    assert isinstance(other, Call)
    assert other.pid == 9
