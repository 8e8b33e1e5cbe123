"""Texts that were found clean, by their digests, so that the same text is not looked at again.

A run's command line is mostly that of the run before, and asking the library costs its import. The
file holds digests of clean texts alone, and may be deleted at any time.
"""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_DIGEST_BYTES = 16
_MAX_BYTES = 256 << 10
_MAX_FILES = 4


class CleanTexts:
    """The memory of one way to look: what is clean under one set of rules is not under another.

    `rules` identify the way; with no folder, nothing is kept beyond this process.
    """

    def __init__(self, folder: Path | None, rules: Iterable[bytes]) -> None:
        self._rules = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for rule in rules:
            self._rules.update(len(rule).to_bytes(8) + rule)
        self._file = folder / f"clean-{self._rules.hexdigest()}" if folder else None
        self._known: set[bytes] | None = None

    def __contains__(self, text: str) -> bool:
        return self._digest(text) in self._read()

    def add(self, text: str) -> None:
        """Remember that a text is clean, for all processes."""
        digest = self._digest(text)
        if digest in self._read():
            return
        self._read().add(digest)
        if self._file is not None:
            with suppress(OSError):
                self._append(self._file, digest)

    def _digest(self, text: str) -> bytes:
        digest = self._rules.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.digest()

    def _read(self) -> set[bytes]:
        """Return what is known; a part of a digest that a killed process left matches nothing."""
        if self._known is None:
            data = b""
            if self._file is not None:
                with suppress(OSError):
                    data = self._file.read_bytes()
            starts = range(0, len(data), _DIGEST_BYTES)
            self._known = {data[start : start + _DIGEST_BYTES] for start in starts}
        return self._known

    def _append(self, file: Path, digest: bytes) -> None:
        if not file.exists() or file.stat().st_size >= _MAX_BYTES:
            self._begin_anew(file)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(descriptor, digest)
        finally:
            os.close(descriptor)

    def _begin_anew(self, file: Path) -> None:
        """Make place: what is full goes, and of other rules' memories the oldest."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        others = sorted(file.parent.glob("clean-*"), key=lambda other: -other.stat().st_mtime_ns)
        for other in others[_MAX_FILES - 1 :]:
            other.unlink(missing_ok=True)
