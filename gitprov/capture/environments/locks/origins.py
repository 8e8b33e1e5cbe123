"""Where locks say that a package comes from when it is from no index, as `Origin`s of the model."""

import re
from urllib.parse import parse_qs

from gitprov.capture.environments.locks.reading import hashes_of, url_of
from gitprov.model.environment import Origin

# Whole ids: what is shorter may be a tag, and cannot be compared.
_COMMIT = re.compile("[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_SYSTEMS = ("git", "hg", "svn", "bzr")


def directory(path: str | None, subdirectory: str | None = None) -> Origin | None:
    """Return a folder beside the lock file."""
    path = _one_line(path)
    return Origin(url=path, is_directory=True, subdirectory=subdirectory) if path else None


def repository(
    vcs: str,
    url: str | None,
    commit: str | None,
    *,
    revision: str | None = None,
    subdirectory: str | None = None,
) -> Origin | None:
    """Return a commit of a repository; one that is no commit's id is left out."""
    url = _one_line(url)
    if not url:
        return None
    return Origin(
        url=url.removeprefix(f"{vcs}+"),
        vcs=vcs,
        commit=commit if commit and _COMMIT.fullmatch(commit) else None,
        revision=_one_line(revision),
        subdirectory=_one_line(subdirectory),
    )


def from_requirement(url: str) -> Origin | None:
    """Return what the URL of a requirement means (PEP 440, PEP 508 and pip's own forms)."""
    bare, _, fragment = url.partition("#")
    try:
        said = {key: values[0] for key, values in parse_qs(fragment).items()}
    except ValueError:  # too many of them
        return None
    scheme = bare.partition(":")[0]
    vcs, plus, _ = scheme.partition("+")
    if plus and vcs in _SYSTEMS:
        head, at, revision = bare.rpartition("@")
        if not at or "/" not in head.partition("://")[2]:  # the @ is that of a user
            head, revision = bare, ""
        return repository(
            vcs, head, revision, revision=revision or None, subdirectory=said.get("subdirectory")
        )
    if not url_of(bare):
        return directory(bare)
    if scheme == "file" and not bare.endswith((".whl", ".gz", ".zip", ".bz2", ".xz")):
        return directory(bare, said.get("subdirectory"))
    return archive(bare, *(f"{name}:{value}" for name, value in said.items()))


def archive(url: str | None, *hashes: str | None, subdirectory: str | None = None) -> Origin | None:
    """Return an archive or wheel at a URL, with digests such as `sha256:…`."""
    url = _one_line(url)
    if not url:
        return None
    return Origin(url=url, hashes=hashes_of(*hashes), subdirectory=_one_line(subdirectory))


def _one_line(text: str | None) -> str | None:
    return text if text and text.isprintable() else None
