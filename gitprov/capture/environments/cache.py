"""Answers kept between runs: JSON documents under keys, in a folder that may vanish at any time.

A cache can only save time. Every failure to read or write is ignored, and a file that is not
exactly as written, by its own checksum, counts as absent.
"""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from gitprov.store.durable import write_durably

MAX_ANSWERS = 64


class Cache:
    """A folder of answers; with no folder, nothing is ever kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, key: str) -> dict[str, Any] | None:
        """Return the document kept under `key`, or None."""
        if self._folder is None:
            return None
        try:
            checksum, _, body = self._file(self._folder, key).read_bytes().partition(b"\n")
            if checksum != _checksum(body):
                return None
            document = json.loads(body)
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def write(self, key: str, document: dict[str, Any]) -> None:
        """Keep `document` under `key`, and of all answers only the newest ones."""
        if self._folder is None:
            return
        body = json.dumps(document).encode()
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._file(self._folder, key)
            write_durably(file, _checksum(body) + b"\n" + body, fsync=False)
            kept = sorted(self._folder.glob("environment-*.json"), key=_age)
            for old in kept[MAX_ANSWERS:]:
                old.unlink(missing_ok=True)

    @staticmethod
    def _file(folder: Path, key: str) -> Path:
        return folder / f"environment-{key}.json"


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _age(file: Path) -> int:
    return -file.stat().st_mtime_ns
