"""What a kind of environment is: from a command about to run to the files that describe its world.

A kind is one module with one function `capture`, and one line in the table of
`gitprov.capture.environments`. It must give equal bytes for equal environments: sorted, without
times, host names or folders made for this run. What it cannot learn goes into `missing`, under
the field's name, with a reason in words; it never fails a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gitprov.capture.environments.python.distributions import Installed


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The command whose environment is asked for, and where answers may be kept.

    `cwd` and `top` are absolute and without symbolic links; `top` is None outside a work tree.
    `system_packages` says whether those are wanted, `found` holds the files of the kinds that stand
    before this one in the table; `is_guess`: the Python among them may not be the command's.
    """

    argv: Sequence[str]
    cwd: Path
    top: Path | None
    env: Mapping[str, str]
    cache: Path | None
    system_packages: bool = False
    found: Mapping[str, bytes] = field(default_factory=dict)
    is_guess: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one kind contributes. `locks` are those among `files` that a tool can install from.

    `python`, `platform` and `container` are for the summary, in a few words. `installed` is by what
    the end of the run sees whether packages have changed.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    locks: tuple[str, ...] = ()
    python: str | None = None
    platform: str | None = None
    container: str | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    installed: Installed | None = None


class Kind(Protocol):
    """One way to describe an environment."""

    def __call__(self, request: Request, /) -> Findings:
        """Return what this kind finds; an OSError is reported as the kind's being missing."""
        ...


def known(**fields: Any) -> dict[str, Any]:
    """Return those fields of a document that have a value: neither None nor empty."""
    return {name: value for name, value in fields.items() if value not in (None, "", (), [], {})}
