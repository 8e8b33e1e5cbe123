"""Whether this machine matches the environment of a recorded run.

What decides by default is what a run of the same command would import: the interpreter's version,
the packages of all languages and of conda, the states of editable ones, the lock files. System,
hardware and variables are compared and shown; with `strict`, they decide as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gitprov.environments.comparison import compare
from gitprov.environments.present import PresentEnvironment
from gitprov.model.environment import Environment
from gitprov.model.environment_changes import Change, Difference, Section
from gitprov.model.run import Run

_DECIDING: frozenset[Section] = frozenset({"packages", "editables", "conda", "languages", "locks"})
_OF_INTERPRETER = frozenset({"interpreter", "version", "implementation", "soabi"})
# Where an environment lies is not what it is.
_PLACES = frozenset({"executable", "base_prefix"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What differs here from what was recorded: what decides, and what is said beside it.

    `unknown` says in words what could not be compared.
    """

    deciding: tuple[Change, ...]
    other: tuple[Change, ...]
    unknown: tuple[str, ...] = ()

    @property
    def matches(self) -> bool:
        """Whether nothing differs that decides."""
        return not self.deciding


def check(
    run: Run, recorded: Environment, present: PresentEnvironment, *, strict: bool = False
) -> Checked:
    """Compare a recorded environment with the one that is here."""
    # Interpreters that a run starts besides are seen while it runs only.
    before = replace(recorded, others={}, disagreements=())
    after = replace(present.environment, others={}, disagreements=())
    difference = compare(before, after, variables=(run.command.env, present.variables))
    deciding = [change for change in difference.changes if _decides(change, strict=strict)]
    other = [change for change in difference.changes if change not in deciding]
    return Checked(
        deciding=tuple(deciding),
        other=tuple(other),
        unknown=tuple(_unknown(recorded, difference, present.missing)),
    )


def _decides(change: Change, *, strict: bool) -> bool:
    if change.section == "interpreter":
        return change.name in _OF_INTERPRETER or (strict and change.name not in _PLACES)
    return strict or change.section in _DECIDING


def _unknown(
    recorded: Environment, difference: Difference, missing: Mapping[str, str]
) -> list[str]:
    words = [
        f"{section.replace('-', ' ')}: not recorded in the run"
        if side == "before"
        else f"{section.replace('-', ' ')}: cannot be told here"
        for section, side in difference.unrecorded.items()
    ]
    if recorded.others:
        words.append("other interpreters: seen only while a run goes on")
    words += [
        f"{name.removeprefix('environment.')}: {reason}"
        for name, reason in missing.items()
        if name.startswith(("environment.packages", "environment.interpreter", "environment.conda"))
    ]
    return words
