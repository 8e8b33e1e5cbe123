"""Which Python, or other program, a script names in its first lines.

Three forms are in use: the interpreter's path, `/usr/bin/env` and a name, and, for paths that
exceed the kernel's limit, the shell line that pip and uv write. Pure functions.
"""

import os
import re
import shlex
from pathlib import Path, PurePath

HEAD_BYTES = 8192

_PYTHON = re.compile(r"(python|pypy|graalpy)w?[0-9.]*(-intel64|-dbg|t|d|dm|m)?")
_SHELL_LINE = re.compile(r"""'''exec' (?P<words>.+) "\$0" "\$@"\s*""")
_OWN_FOLDER = '"$(dirname -- "$(realpath -- "$0")")"'  # as uv writes it for relocatable scripts


def is_python(program: str) -> bool:
    """Whether a program of this name is a Python interpreter: such as python3.12 or pypy3."""
    return _PYTHON.fullmatch(PurePath(program).name) is not None


def python_of(head: bytes, script: Path) -> list[str]:
    """Return the interpreter and its arguments that a script begins with.

    `head` are the first bytes of `script`. Empty where this is no script, or not Python's.
    """
    words = words_of(head, script)
    return words if words and is_python(words[0]) else []


def words_of(head: bytes, script: Path) -> list[str]:
    """Return the program and its arguments that a script begins with, in whichever language."""
    if not head.startswith(b"#!"):
        return []
    lines = os.fsdecode(head).split("\n", 2)
    words = lines[0][2:].split()
    if not words:
        return []
    program = PurePath(words[0]).name
    if program == "env":
        words = _after_env(words[1:])
    elif program == "sh" and len(lines) > 1:
        words = _from_shell_line(lines[1], script) or words
    return words


def _after_env(words: list[str]) -> list[str]:
    """Return the command in the arguments of `env`: behind its options and assignments."""
    for index, word in enumerate(words):
        if word.startswith("-S") and len(word) > len("-S"):
            return _after_env([word[2:], *words[index + 1 :]])
        if not word.startswith("-") and "=" not in word:
            return words[index:]
    return []


def _from_shell_line(line: str, script: Path) -> list[str]:
    match = _SHELL_LINE.fullmatch(line)
    if match is None:
        return []
    folder = shlex.quote(str(script.resolve().parent))
    try:
        return shlex.split(match["words"].replace(_OWN_FOLDER, folder))
    except ValueError:
        return []
