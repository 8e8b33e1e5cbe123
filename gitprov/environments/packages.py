"""What two lists of packages differ in, by name: versions, and what a version does not tell."""

import re
from collections.abc import Iterable, Iterator

from gitprov.environments.named_changes import come_or_gone, version_changes, version_kind
from gitprov.model.environment import CondaPackage, Origin, Package
from gitprov.model.environment_changes import Change, Section
from gitprov.model.environment_wording import origin_text


def normalised(name: str) -> str:
    """Return a name in the one form in which names of Python packages are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def package_changes(
    section: Section,
    before: Iterable[Package],
    after: Iterable[Package],
    within: str | None = None,
) -> Iterator[Change]:
    """Yield how Python packages differ, by name."""
    one = {normalised(item.name): item for item in before}
    two = {normalised(item.name): item for item in after}
    for name in sorted(one.keys() | two.keys()):
        was, now = one.get(name), two.get(name)
        if was is not None and now is not None:
            details = tuple(_details(was, now))
            if was.version != now.version or details:
                yield Change(
                    section=section,
                    kind=version_kind(was.version, now.version, pep440=True),
                    name=now.name,
                    before=was.version,
                    after=now.version,
                    within=within,
                    details=details,
                )
        elif was is not None:
            yield come_or_gone(section, was.name, was.version, None, within)
        elif now is not None:
            yield come_or_gone(section, now.name, None, now.version, within)


def _details(before: Package, after: Package) -> Iterator[str]:
    """Yield what differs besides the version."""
    if before.editable != after.editable:
        yield "editable now" if after.editable else "no longer editable"
    elif before.editable:  # where it lies is not what it is; its state is compared by itself
        return
    contents = before.content_sha256, after.content_sha256
    is_known = None not in contents
    if is_known and contents[0] != contents[1] and before.version == after.version:
        yield "other content"
    if _place(before.origin) == _place(after.origin):
        return
    is_equal = is_known and contents[0] == contents[1]
    is_versioned = any(item.origin is not None and item.origin.vcs for item in (before, after))
    if not is_equal or is_versioned:
        yield f"from {_from(after)}, before from {_from(before)}"


def _from(package: Package) -> str:
    return origin_text(package.origin) if package.origin else "an index"


def _place(origin: Origin | None) -> tuple[object, ...]:
    """Return what tells one origin from another: a commit, a hash, else a place."""
    if origin is None:
        return ()
    if origin.commit:
        return origin.vcs, origin.commit, origin.subdirectory
    return tuple(sorted(origin.hashes.items())) or (origin.url, origin.subdirectory)


def conda_changes(
    before: Iterable[CondaPackage], after: Iterable[CondaPackage]
) -> Iterator[Change]:
    """Yield how packages of conda differ, by name."""
    one = {item.name: item for item in before}
    two = {item.name: item for item in after}
    versions = [{name: item.version for name, item in side.items()} for side in (one, two)]
    yield from version_changes("conda", *versions)
    for name in sorted(one.keys() & two.keys()):
        was, now = one[name], two[name]
        if was.version == now.version and (details := tuple(_conda_details(was, now))):
            yield Change(
                section="conda",
                kind="changed",
                name=name,
                before=was.version,
                after=now.version,
                details=details,
            )


def _conda_details(before: CondaPackage, after: CondaPackage) -> Iterator[str]:
    is_told = False
    for field in ("build", "channel", "subdir"):
        was, now = getattr(before, field), getattr(after, field)
        if was != now:
            is_told = True
            yield f"{field} {was} -> {now}"
    digests = (before.sha256, after.sha256), (before.md5, after.md5)
    if not is_told and any(was and now and was != now for was, now in digests):
        yield "other content"
