"""Delta tables: the version that the log ends with, and the table's id."""

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitprov.capture.data.pointers.kind import BrokenPointer, Question
from gitprov.capture.data.pointers.reading import read, text_of

_LOG = "_delta_log"
_COMMIT = re.compile(r"([0-9]{20})\.json")
_CHECKPOINT = re.compile(r"([0-9]{20})\.checkpoint\..+")
_LAST_CHECKPOINT = "_last_checkpoint"
_MAX_POINTER_BYTES = 4 << 20
# The id is looked for in so much of the log; it nearly always stands near the beginning of one.
_MAX_LINE_BYTES = 8 << 20
_MAX_LOG_BYTES = 64 << 20


def identity(question: Question) -> Mapping[str, str]:
    """Return version and id of the table in a folder."""
    log = question.path / _LOG
    if stat.S_ISREG(question.mode) or not log.is_dir():
        return {}
    commits: list[int] = []
    newest = -1
    with os.scandir(log) as entries:
        for entry in entries:
            if match := _COMMIT.fullmatch(entry.name):
                commits.append(int(match[1]))
            elif match := _CHECKPOINT.fullmatch(entry.name):
                newest = max(newest, int(match[1]))
    newest = max([newest, *commits])
    if newest < 0:
        raise BrokenPointer("the log of the table is empty")
    said = {"delta.version": str(newest)}
    table = _from_commits(log, sorted(commits, reverse=True)) or _from_checkpoint(log)
    return said | ({"delta.table_id": table} if table else {})


def _from_commits(log: Path, commits: list[int]) -> str | None:
    """Return the id that the newest commit with one names."""
    left = _MAX_LOG_BYTES
    for number in commits:
        descriptor = os.open(log / f"{number:020}.json", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            while left > 0 and (line := stream.readline(_MAX_LINE_BYTES)):
                left -= len(line)
                if b'"metaData"' in line and (table := _table_id(_json(line))):
                    return table
        if left <= 0:
            break
    return None


def _from_checkpoint(log: Path) -> str | None:
    """Return the id where the pointer to the checkpoint repeats it: commits were cleaned up."""
    try:
        found = _json(read(log / _LAST_CHECKPOINT, _MAX_POINTER_BYTES))
    except FileNotFoundError:
        return None
    sidecar = found.get("v2Checkpoint") if isinstance(found, dict) else None
    actions = sidecar.get("nonFileActions") if isinstance(sidecar, dict) else None
    ids = map(_table_id, actions if isinstance(actions, list) else ())
    return next(filter(None, ids), None)


def _table_id(action: Any) -> str | None:
    return text_of(action.get("metaData") if isinstance(action, dict) else None, "id")


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BrokenPointer("the log of the table is damaged") from error
