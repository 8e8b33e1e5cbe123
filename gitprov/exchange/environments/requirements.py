"""requirements.txt: every package at its version, for `pip install --no-deps -r`.

pip takes hashes for all lines or for none, and takes none for repositories. So they are written
where all lines can have them. pip itself, setuptools and wheel are left out where only they would
be in the way of that: environments are made with them in, and no lock names them.
"""

from collections.abc import Iterable, Sequence

from gitprov.errors import InputError
from gitprov.exchange.environments import words
from gitprov.exchange.environments.exported import Exported
from gitprov.exchange.environments.pins import Pin, sorted_out
from gitprov.exchange.environments.resolving import resolved
from gitprov.model.environment import Environment

FILE_NAME = "requirements.txt"

_SEEDS = frozenset({"pip", "setuptools", "wheel"})
_SHORT_COMMIT = 12


def export(environment: Environment, /, *, resolve: bool) -> Exported:
    """Return the packages of the environment's own Python."""
    if environment.python is None:
        raise InputError("no Python was recorded with this run; see `git prov env show`")
    found, left_out = sorted_out(environment)
    if resolve:
        found = resolved(found, environment.python.interpreter)
    lines, notes = requirement_lines(found)
    if left_out:
        notes.append(f"left out: {words.names(left_out)}")
    notes += words.broken(environment.python)
    head = [f"# {words.python_of(environment)}"]
    head += [f"# locked from {index}" for index in indexes(found)]
    return Exported(text="\n".join([*head, *lines]) + "\n", file_name=FILE_NAME, notes=tuple(notes))


def requirement_lines(found: Sequence[Pin]) -> tuple[list[str], list[str]]:
    """Return the lines, and notes about what is not exact."""
    installable = [pin for pin in found if not pin.is_local]
    bare = [pin for pin in installable if not _hashes(pin)]
    with_hashes = bool(installable) and all(pin.name in _SEEDS for pin in bare)
    with_hashes = with_hashes and len(bare) < len(installable)
    lines: list[str] = []
    notes: list[str] = []
    for pin in found:
        if pin.is_local:
            lines.append(_comment(pin))
        elif not with_hashes:
            lines.append(_requirement(pin))
        elif hashes := _hashes(pin):
            lines.append(" \\\n    ".join([_requirement(pin), *hashes]))
    if bare:
        notes.append(_bare_note(bare, is_left_out=with_hashes))
    return lines, notes + local_notes(found)


def _bare_note(bare: Sequence[Pin], *, is_left_out: bool) -> str:
    """Return what follows from there being packages without hashes."""
    if is_left_out:
        named = words.names([_shown(pin) for pin in bare])
        return f"left out, as no lock names {named}: new environments bring their own"
    repositories = [pin.name for pin in bare if pin.origin is not None and pin.origin.vcs]
    others = [pin.name for pin in bare if pin.name not in repositories]
    reasons = [f"no lock has any for {words.names(others)}"] if others else []
    if repositories:
        reasons.append(f"repositories have none ({words.names(repositories)})")
    return f"without hashes, which pip takes for all packages or none: {'; '.join(reasons)}"


def local_notes(found: Iterable[Pin]) -> list[str]:
    """Return notes about what was installed from folders and files of the machine."""
    notes = []
    for pin in found:
        if not pin.is_local:
            continue
        how = "an editable installation of" if pin.editable else "installed from"
        place = pin.origin.url if pin.origin else "a folder of the machine"
        commit = f" at {pin.commit[:_SHORT_COMMIT]}" if pin.commit else ""
        changed = ", with changes" if pin.dirty else ""
        notes.append(f"{_shown(pin)} was {how} {place}{commit}{changed}: install it from there")
    return notes


def indexes(found: Iterable[Pin]) -> list[str]:
    """Return the indexes that locks name."""
    return sorted({pin.index for pin in found if pin.index})


def _hashes(pin: Pin) -> list[str]:
    """Return the options; none for a repository, as pip would refuse them."""
    if pin.origin is not None and pin.origin.vcs is not None:
        return []
    return [f"--hash={digest}" for digest in pin.hashes]


def _requirement(pin: Pin) -> str:
    origin = pin.origin
    if origin is None:
        return f"{pin.name}=={pin.version}"
    place = f"{origin.vcs}+{origin.url}@{origin.commit}" if origin.vcs else origin.url
    folder = f"#subdirectory={origin.subdirectory}" if origin.subdirectory else ""
    return f"{pin.name} @ {place}{folder}"


def _comment(pin: Pin) -> str:
    place = pin.origin.url if pin.origin else "a folder"
    if pin.editable:
        commit = f" at {pin.commit}" if pin.commit else ""
        changed = ", with changes" if pin.dirty else ""
        return f"# -e {place}  # {_shown(pin)}{commit}{changed}"
    return f"# {pin.name} @ {place}  # {pin.version}"


def _shown(pin: Pin) -> str:
    return f"{pin.name} {pin.version}"
