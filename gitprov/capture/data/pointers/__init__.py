"""Other people's pointers: what DVC, git-annex, git-lfs and others say that an input is.

Their names are recorded beside ours, in `Artifact.remote`; identity is our digest alone. A kind for
local data is a module with one function (see `kind`) and a line in `KINDS`; one that pins URIs has
a line in `PINS`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from unicodedata import category

from gitprov.capture.data.pointers import (
    annex,
    delta,
    dvc,
    hugging_face,
    iceberg,
    lakefs,
    lfs,
)
from gitprov.capture.data.pointers.dvc_md5 import md5_of_file
from gitprov.capture.data.pointers.kind import BrokenPointer, Hasher, Kind, Pin, Question
from gitprov.errors import GitprovError

KINDS: Mapping[str, Kind] = {
    "dvc": dvc.identity,
    "annex": annex.identity,
    "lfs": lfs.identity,
    "hf": hugging_face.identity,
    "delta": delta.identity,
    "iceberg": iceberg.identity,
}
PINS: Mapping[str, Pin] = {"lakefs": lakefs.pinned, "hf": hugging_face.pinned}
_MAX_LENGTH = 4096


def identity_of(
    path: Path, top: Path | None, digest: Mapping[str, bytes], *, md5: Hasher | None = md5_of_file
) -> dict[str, str]:
    """Return what other tools say of local data that has the digest `digest`; never raises.

    `top` is the top of the work tree. `digest` is empty where the content could not be read. DVC
    names content by md5, for which `md5` is asked; with None, nothing is read. A pointer that
    cannot be understood gives `<tool>.error`.
    """
    absolute = Path(os.path.abspath(path))
    try:
        found = absolute.lstat()
        mode, size = found.st_mode, found.st_size
    except (OSError, ValueError):
        mode, size = 0, 0
    question = Question(path=absolute, top=top, mode=mode, size=size, digest=digest, md5=md5)
    said: dict[str, str] = {}
    for tool, kind in KINDS.items():
        try:
            said |= _clean(tool, kind(question))
        except _EXPECTED as error:
            said[f"{tool}.error"] = _reason(error)
    return said


def pinned(uri: str) -> tuple[str, dict[str, str]]:
    """Return the URI of the version that `uri` means now, and what its service says of that.

    Any other URI, and one whose service cannot be asked, comes back as it is; the latter with
    `<tool>.error`. Never raises.
    """
    tool = uri.partition("://")[0]
    pin = PINS.get(tool)
    if pin is None:
        return uri, {}
    try:
        place, said = pin(uri)
        return place, _clean(tool, said)
    except _EXPECTED as error:
        return uri, {f"{tool}.error": _reason(error)}


_EXPECTED = (BrokenPointer, GitprovError, OSError, ValueError, RecursionError)


def _reason(error: BaseException) -> str:
    if isinstance(error, BrokenPointer | GitprovError):
        return _shown(str(error)) or type(error).__name__
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or "it cannot be understood"


def _clean(tool: str, said: Mapping[str, str]) -> dict[str, str]:
    """Return what a stranger's file says, fit to be recorded and shown."""
    if any(_shown(text) != text for text in said.values()):
        raise BrokenPointer(f"a field of {tool} is no text of a line")
    return dict(said)


def _shown(text: str) -> str:
    """Return text without what moves a terminal, and what is no text."""
    return "".join(sign for sign in text[:_MAX_LENGTH] if category(sign) not in ("Cc", "Cs"))
