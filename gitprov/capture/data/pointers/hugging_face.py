"""Hugging Face: files of its local cache, and `hf://` URIs pinned to a commit.

The cache names repository and commit in the path, and in a link the etag of the content: its
sha256, or for small files git's name of the blob. The service is asked as its client would:
`HF_ENDPOINT`, `HF_TOKEN` and the token of `hf auth login` are respected.
"""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from gitprov.capture.data.pointers.kind import BrokenPointer, Question
from gitprov.capture.data.pointers.reading import read
from gitprov.capture.data.pointers.web import ask

_COMMIT = re.compile("[0-9a-f]{40}")
_SHA256 = re.compile("[0-9a-f]{64}")
_SNAPSHOTS = "snapshots"
_TYPES = ("models", "datasets", "spaces")
_URI = re.compile(
    r"hf://(?P<type>(?:datasets|spaces|models)/)?(?P<repo>[^/@]+/[^/@]+)"
    r"(?:@(?P<ref>refs/(?:convert|pr)/[^/]+|[^/]+))?(?P<path>/.*)?"
)
_YES = ("1", "ON", "YES", "TRUE")
_BUCKETS = "hf://buckets/"
_MAX_BLOB_BYTES = 64 << 20
_MAX_TOKEN_BYTES = 4096


def identity(question: Question) -> Mapping[str, str]:
    """Return repository, commit and etag of what lies in the local cache."""
    parts = question.path.parts
    for number in range(len(parts) - 1, 1, -1):
        if parts[number - 1] == _SNAPSHOTS and _COMMIT.fullmatch(parts[number]):
            repo = _repo(parts[number - 2])
            if repo is not None:
                said = {"hf.repo": repo, "hf.revision": parts[number]}
                return said | _etag(question)
    return {}


def pinned(uri: str) -> tuple[str, Mapping[str, str]]:
    """Return the URI of the commit that a branch, tag or pull request means now."""
    match = _URI.fullmatch(uri)
    if match is None or uri.startswith(_BUCKETS):
        raise BrokenPointer("not like hf://datasets/ORGANISATION/NAME@REVISION/PATH")
    kind = (match["type"] or "models/").removesuffix("/")
    ref = unquote(match["ref"] or "main")
    prefix = "" if kind == "models" else f"{kind}/"
    said = {"hf.repo": f"{prefix}{match['repo']}", "hf.ref": ref}
    commit = ref if _COMMIT.fullmatch(ref) else _commit(kind, match["repo"], ref)
    place = f"hf://{prefix}{match['repo']}@{commit}{match['path'] or ''}"
    return place, said | {"hf.revision": commit}


def _repo(folder: str) -> str | None:
    """Return the id of a repository from the name of its folder in the cache."""
    kind, *names = folder.split("--")
    if kind not in _TYPES or not names:
        return None
    return "/".join(names if kind == "models" else [kind, *names])


def _etag(question: Question) -> dict[str, str]:
    if not stat.S_ISLNK(question.mode):
        return {}
    etag = os.path.basename(os.readlink(question.path))
    if _SHA256.fullmatch(etag):
        ours = question.digest.get("sha256")
        actual = ours.hex() if ours is not None else None
    elif _COMMIT.fullmatch(etag):
        actual = _blob(question.path) if question.digest else None
    else:
        return {}
    if actual is None:
        matches = "unknown: no such digest was taken"
    else:
        matches = "yes" if actual == etag else "no: the content has another digest"
    return {"hf.etag": etag, "hf.matches": matches}


def _blob(path: Path) -> str:
    """Return git's name of a file's content; the cache has these of small files."""
    data = read(path, _MAX_BLOB_BYTES)
    return hashlib.sha1(b"blob %d\0%s" % (len(data), data), usedforsecurity=False).hexdigest()


def _commit(kind: str, repo: str, ref: str) -> str:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in _YES:
        raise BrokenPointer("HF_HUB_OFFLINE is set; name the commit instead")
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    token = _token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    place = f"{endpoint}/api/{kind}/{quote(repo)}/revision/{quote(ref, safe='')}"
    commit = ask(place, headers).get("sha")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise BrokenPointer("the service names no commit")
    return commit


def _token() -> str | None:
    """Return the token that the service's own client would use."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if token := os.environ.get(name, "").strip():
            return token
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", f"{cache}/huggingface")
    place = os.environ.get("HF_TOKEN_PATH", f"{home}/token")
    try:
        return read(Path(place).expanduser(), _MAX_TOKEN_BYTES).decode().strip() or None
    except (OSError, UnicodeError):
        return None
