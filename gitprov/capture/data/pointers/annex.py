"""git-annex: links to its objects, and unlocked files."""

import os
import stat
from collections.abc import Mapping

from gitprov.capture.data.pointers.kind import BrokenPointer, Question
from gitprov.capture.data.pointers.reading import read_if
from gitprov.capture.data.pointers.staged import staged_pointer
from gitprov.capture.pointer_files import ANNEX, MAX_ANNEX_BYTES, AnnexKey, annex_key, annex_pointer

_OBJECTS = ".git/annex/objects/"
_ABSENT = "the content is not in this clone; get it with: git annex get"


def identity(question: Question) -> Mapping[str, str]:
    """Return the key that git-annex has for a file, and whether the file is that content."""
    if stat.S_ISLNK(question.mode):
        target = os.readlink(question.path)
        if f"/{_OBJECTS}" not in f"/{target}":
            return {}
        key = annex_key(os.path.basename(target))
        if key is None:
            raise BrokenPointer("a link into the annex names no key")
        matches = _matches(key, question) if question.path.exists() else f"unknown: {_ABSENT}"
        return _said(key, matches)
    if not stat.S_ISREG(question.mode):
        return {}
    if question.size < MAX_ANNEX_BYTES:
        key = annex_pointer(read_if(question.path, ANNEX, MAX_ANNEX_BYTES) or b"")
        if key is not None:
            return _said(key, f"no: the file is a pointer; {_ABSENT}")
    staged = staged_pointer(question, "annex", MAX_ANNEX_BYTES)
    key = annex_pointer(staged or b"")
    return {} if key is None else _said(key, _matches(key, question))


def _said(key: AnnexKey, matches: str) -> dict[str, str]:
    return {"annex.key": key.key, "annex.backend": key.backend, "annex.matches": matches}


def _matches(key: AnnexKey, question: Question) -> str:
    """Compare the digest in a key with the content, where it is one that we have."""
    expected = key.name.partition(".")[0]
    backend = key.backend.removesuffix("E")
    if backend == "SHA256":
        ours = question.digest.get("sha256")
        actual = ours.hex() if ours is not None else None
    elif backend == "MD5":
        actual = question.md5(bytes(question.path)) if question.md5 is not None else None
    else:
        return f"unknown: nothing of ours compares with {key.backend}"
    if actual is None:
        return "unknown: no such digest was taken"
    return "yes" if actual == expected else "no: the content has another digest"
