"""Secrets in what a snapshot would hold: the content of files, and their names.

- Text is looked at as a whole: UTF-8, UTF-16 that says so, else a letter for each byte.
- Of binary content, which holds a NUL, the printable ASCII is looked at: runs of eight letters or
  more, of one byte or two each, as databases, pickles and programs hold them. What is compressed
  or encrypted in it is not.
- A secret on a line that the same file has in the commit does not count: it is in the history
  already. Neither does a file that the commit has under another name, nor a name that it has.
"""

import codecs
import hmac
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from gitprov.capture.secrets.clean_texts import CleanTexts
from gitprov.capture.secrets.commitments import load_salt
from gitprov.capture.secrets.library import library_version
from gitprov.capture.secrets.redaction import Redactor
from gitprov.capture.secrets.scanner import Scanner, apart
from gitprov.capture.secrets.token_forms import BEGINNINGS
from gitprov.store.git import Git
from gitprov.store.objects import GitObjects, object_id
from gitprov.version import __version__

_BOMS_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LETTER = rb"[\t\n\r\x20-\x7e]"
_STRINGS = re.compile(rb"%b{8,}|(?:%b\0){8,}" % (_LETTER, _LETTER))
# In a row of a database nothing stands between one field and the next.
_BETWEEN = re.compile(
    "|".join(f"(?={beginning})" for beginning in BEGINNINGS) + "|(?<=A[KS]IA[A-Z0-9]{16})"
)


class Secret(NamedTuple):
    """The kind of a secret, and the line where it begins; names and binary content have none."""

    kind: str
    line: int | None = None

    def __str__(self) -> str:
        return self.kind if self.line is None else f"{self.kind}, line {self.line}"


class ContentCheck:
    """Looks at content. What was clean before costs no second look: `cache` is where it is kept."""

    def __init__(self, redactor: Redactor, cache: Path) -> None:
        self._redactor = redactor
        self._scanner = Scanner(redactor.allowed)
        # By whole files, so that what was clean is not even gone through.
        rules = [b"files", __version__.encode(), library_version().encode()]
        self._clean = CleanTexts(cache, [*rules, redactor.allowed.fingerprint])

    def in_content(
        self, path: bytes, content: bytes, before: Callable[[], bytes | None]
    ) -> list[Secret]:
        """Return the secrets in a file that it did not have `before`, where it was there."""
        if self._redactor.allowed.allows_path(path):
            return []
        name = _decoded(path.rpartition(b"/")[2])
        remembered = f"{name}\0{content.decode('latin-1')}"
        is_clean = remembered in self._clean
        if is_clean and not self._redactor.may_be_in(content):
            return []
        text, has_lines = _text(content)
        found = [] if is_clean else self._scanner.find(text, name, remember=False)
        if not found and not is_clean:
            self._clean.add(remembered)
        found = apart([*found, *self._redactor.known_in(text)])
        if not found:
            return []
        known, _ = _text(before() or b"")
        known_lines = _lines(known, 0, len(known))
        return [
            Secret(item.kind, text.count("\n", 0, item.start) + 1 if has_lines else None)
            for item in found
            if not _lines(text, item.start, item.end) <= known_lines
        ]

    def in_names(self, paths: Sequence[bytes]) -> dict[bytes, Secret]:
        """Return the paths that hold a secret themselves."""
        names = [_decoded(path) for path in paths]
        ends = list(accumulate(len(name) + 1 for name in names))
        found = self._redactor.find("\n".join(names))
        hits = {paths[bisect_right(ends, item.start)]: Secret(item.kind) for item in found}
        allows = self._redactor.allowed.allows_path
        return {path: secret for path, secret in hits.items() if not allows(path)}


class FileCheck:
    """Looks at files that differ from a commit; a context manager.

    `prov_dir` is gitprov's own folder, where the key of the clone and the caches are.
    """

    def __init__(self, git: Git, commit: str | None, redactor: Redactor, prov_dir: Path) -> None:
        self._git = git
        self._commit = commit
        self._redactor = redactor
        self._prov_dir = prov_dir
        self._check = ContentCheck(redactor, prov_dir / "cache")
        self._objects = GitObjects(git)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._objects.close()

    def in_content(self, path: bytes, content: bytes) -> list[Secret]:
        """Return the secrets in the content of a file that its commit has not.

        What the commit has under another name is in the history, too.
        """
        found = self._check.in_content(path, content, lambda: self._committed_content(path))
        is_known = bool(found) and object_id("blob", content) in self._committed.values()
        return [] if is_known else found

    def in_names(self, paths: Sequence[bytes]) -> dict[bytes, Secret]:
        """Return the paths that hold a secret themselves, and that the commit has not."""
        found = self._check.in_names(paths)
        return {path: secret for path, secret in found.items() if path not in self._committed}

    def tell(self, path: bytes, found: Sequence[Secret]) -> None:
        """Have the user told of a file that is left out for secrets."""
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        self._redactor.tell(_decoded(path), f"{found[0]}{more}")

    def commitment(self, content: bytes) -> Mapping[str, bytes]:
        """Return a digest against which nobody can try contents who has not this clone's key."""
        salt = load_salt(self._prov_dir)
        return {"hmac_sha256": hmac.digest(salt, content, "sha256")}

    @cached_property
    def _committed(self) -> Mapping[bytes, str]:
        """The blobs of the commit, by path."""
        if self._commit is None:
            return {}
        listing = self._git.run("ls-tree", "-r", "-z", "--full-tree", self._commit)
        items = (item.partition(b"\t") for item in listing.split(b"\0") if item)
        return {path: words.split(b" ")[2].decode() for words, _, path in items}

    def _committed_content(self, path: bytes) -> bytes | None:
        """Return what the commit has at a path; None where that is nothing, or not in the clone."""
        oid = self._committed.get(path)
        found = next(self._objects.read_many([oid])) if oid else None
        return found.data if found else None


def why_left_out(found: Sequence[Secret], where: str = "holds") -> str:
    """Return the reason why a file with secrets is not recorded."""
    what = f"a secret ({found[0]})"
    if len(found) > 1:
        what = f"{len(found)} secrets (the first: {found[0]})"
    return f"{where} {what}; see: git prov scan"


def _decoded(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def _text(content: bytes) -> tuple[str, bool]:
    """Return what there is to look at in content, and whether its lines are lines of the file."""
    if content.startswith(_BOMS_16):
        return content.decode("utf-16", "replace"), True
    if b"\0" in content:
        text = b"\n".join(run.replace(b"\0", b"") for run in _STRINGS.findall(content))
        return _BETWEEN.sub("\n", text.decode("ascii")), False
    try:
        return content.decode(), True
    except UnicodeDecodeError:
        return content.decode("latin-1"), True


def _lines(text: str, start: int, end: int) -> frozenset[str]:
    """Return the lines that a part of a text stands on, without the space around them."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    lines = text[first : len(text) if last < 0 else last].split("\n")
    return frozenset(line.strip() for line in lines)
