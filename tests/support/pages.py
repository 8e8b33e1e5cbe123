"""Pages of documentation whose examples are run.

In a page, in its order:

- a block after `<!-- file: NAME -->` is the content of a file of the repository;
- a `console` block holds commands (lines that begin with `$ `; `> ` continues one) and what each
  prints, stdout and stderr together;
- a `python` block is a program; a `text` block right after it is what it prints.

A block after `<!-- not run: REASON -->` is passed over. In expected output, a line `…` stands for
any number of lines. Everything else must be equal, after `normalised` has taken out what differs
from one run to the next.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gitprov.model.names import _ADJECTIVES, _NOUNS
from tests.support.repositories import Clone, clean_environment

ANY_LINES = "…"
HOME = "/home/you"
AUTHOR = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "A U Thor"), ("EMAIL", "author@example.com"))
}
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>file|not run): (?P<about>[^\n]+) -->\n+)?"
    r"^```(?P<kind>[a-z]*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_CHANGING = (
    (r"\b[k-z]{32}\b", "ID"),
    (r"\b[k-z]{8,12}\b", "SHORT"),
    (rf"\b(?:{'|'.join(_ADJECTIVES)})-(?:{'|'.join(_NOUNS)})\b", "NAME"),
    (r"(?<![.\d])\b(?:[0-9a-f]{7}|[0-9a-f]{9}|[0-9a-f]{12}|[0-9a-f]{40}|[0-9a-f]{64})\b", "HASH"),
    (r"\b\d+ms\b|\b\d+\.\d+s\b", "TIME"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", "DATE"),
    (r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4} [+-]\d{4}", "DATE"),
    (r"\(\d+ seconds? ago\)", "AGE"),
    (r"/\d{4}-\d\d/0[0-9a-f]\b", "/MONTH/SHARD"),
    (r"\bCPython 3\.\d+\.\d+\b", "PYTHON"),
    (r"\S+/bin/git-prov\b", "PROGRAM"),
)
_NOTE = re.compile(r"(?:^    run SHORT [^\n]+\n){2,}", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block and the mark right before it."""

    kind: str
    body: str
    mark: str | None
    about: str
    line: int


class Failure(AssertionError):
    """An example does not do what the page says."""


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("body"))
        yield Block(match["kind"], match["body"], match["mark"], match["about"] or "", line)


def commit_files(page: Path, clone: Clone, message: str) -> None:
    """Commit the files that a page shows, if any."""
    for block in blocks(page):
        if block.mark == "file":
            clone.write(block.about, block.body)
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--allow-empty", "-m", message, **AUTHOR)


def run_examples(page: Path, folder: Path) -> int:
    """Run what a page shows, in a repository; return how many commands and programs that were.

    Raises Failure where one does not exit 0, or prints something else than the page says.
    """
    shell = _Shell(folder)
    count = 0
    found = [block for block in blocks(page) if block.mark != "file"]
    for number, block in enumerate(found):
        if block.mark is not None:
            continue
        where = f"{page.name}, line {block.line}"
        if block.kind == "console":
            for command, expected in sessions(block.body):
                compare(shell.run(command, where), expected, f"{where}: {command}")
                count += 1
        elif block.kind == "python":
            following = found[number + 1] if number + 1 < len(found) else None
            expected = following.body if following and following.kind == "text" else ""
            program = folder.parent / "example.py"
            program.write_text(block.body)
            printed = shell.run(f"python {program}", where)
            compare(printed, expected, where)
            count += 1
    return count


def sessions(body: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of a console block, each with what it is said to print."""
    command, output = "", ""
    for line in body.splitlines(keepends=True):
        if line.startswith("$ "):
            if command:
                yield command, output
            command, output = line[2:], ""
        elif line.startswith("> ") and command and not output:
            command += line[2:]
        elif command:
            output += line
        else:
            raise Failure(f"output before any command: {line}")
    if command:
        yield command, output


def compare(printed: str, expected: str, where: str) -> None:
    """Raise Failure unless both say the same."""
    shown = re.split(rf"^{ANY_LINES}\n", expected, flags=re.MULTILINE)
    parts = [re.escape(normalised(part)) for part in shown]
    if not re.fullmatch("(?:.*\n)*".join(parts), normalised(printed)):
        raise Failure(f"{where}\nprints:\n{printed}\nthe page says:\n{expected}")


def normalised(text: str) -> str:
    """Return output with what differs from one run to the next replaced by its name.

    The lines of a note stand in the order of random ids.
    """
    for pattern, name in _CHANGING:
        text = re.sub(pattern, name, text)
    return _NOTE.sub(lambda note: "".join(sorted(note[0].splitlines(keepends=True))), text)


class _Shell:
    """A shell whose current folder stays from one command to the next."""

    def __init__(self, folder: Path) -> None:
        self._home = folder.parent
        self._cwd = folder
        self._place = folder.parent / ".place"

    def run(self, command: str, where: str) -> str:
        script = f"{command}\nstatus=$?\npwd >'{self._place}'\nexit $status\n"
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=self._cwd,
            env=clean_environment(HOME=str(self._home), TZ="UTC", **AUTHOR),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise Failure(f"{where}: {command}exits {done.returncode} and prints\n{done.stdout}")
        self._cwd = Path(self._place.read_text().strip())
        return done.stdout.replace(str(self._home), HOME)
