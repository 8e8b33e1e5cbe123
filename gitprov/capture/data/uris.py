"""What URIs stand for, with the listings and the cache of a repository."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gitprov.capture.data.folder_scan import Redact
from gitprov.capture.data.local import Listings
from gitprov.capture.data.options import Captured, DataOptions
from gitprov.capture.data.pointers import pinned
from gitprov.model.run import Seen


def capture_uri(
    uri: str,
    listings: Listings,
    prov_dir: Path,
    options: DataOptions,
    seen: Seen,
    *,
    cwd: Path | None = None,
    redact: Redact | None = None,
) -> Iterator[Captured]:
    """Yield an object, a prefix as a tree, or what a pattern matches; `listings` takes listings.

    A branch of lakeFS or of Hugging Face is read as the commit that it means now, and so recorded.
    `redact` keeps secrets out of them; local archives are looked for from `cwd` on. Raises
    InputError where it cannot be read, MissingDependency where a driver is not installed.
    """
    # Late: fsspec takes 100 ms to import, and most runs read local files.
    from gitprov.capture.data.remote import capture_remote  # noqa: PLC0415

    place, said = pinned(uri)
    for item in capture_remote(
        place,
        options=options,
        seen=seen,
        listings=listings,
        prov_dir=prov_dir,
        cwd=cwd,
        redact=redact,
    ):
        remote = {**item.artifact.remote, **said}
        yield item._replace(artifact=replace(item.artifact, remote=remote)) if said else item
