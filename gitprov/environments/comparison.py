"""What two environments differ in: pure functions on the model.

Rules:
- What a record says nothing about is not compared, but named as unrecorded.
- Where a thing lies (a folder, a prefix) is told, but what is equal in content is not made
  different by it: a package of the same content from another folder is the same.
- Things are known by their names; of packages, in the form of PEP 503.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from gitprov.environments.machines import hardware_changes, system_changes
from gitprov.environments.named_changes import (
    come_or_gone,
    value_change,
    value_changes,
    version_changes,
)
from gitprov.environments.packages import conda_changes, package_changes
from gitprov.model.environment import (
    CondaEnvironment,
    Disagreement,
    Editable,
    Environment,
    Interpreter,
    LanguageEnvironment,
    PythonEnvironment,
)
from gitprov.model.environment_changes import SECTIONS, Change, ChangeKind, Difference, Section
from gitprov.model.environment_wording import disagreement_text, interpreter_text

Variables = Mapping[str, str]


def compare(
    before: Environment,
    after: Environment,
    *,
    variables: tuple[Variables, Variables] | None = None,
) -> Difference:
    """Return what two environments differ in.

    `variables` are the recorded environment variables of the two runs; they are no part of
    environments.
    """
    changes = [
        *_python(before.python, after.python),
        *_broken(before.python, after.python),
        *_editables(before.editables, after.editables),
        *_others(before.others, after.others),
        *_conda(before.conda, after.conda),
        *_languages(before.languages, after.languages),
        *_locks(before.locks, after.locks),
        *_agreement(before.disagreements, after.disagreements),
        *system_changes(before, after),
        *hardware_changes(before, after),
    ]
    if variables is not None:
        changes += value_changes("variables", *variables)
    order = {section: number for number, section in enumerate(SECTIONS)}
    return Difference(
        changes=tuple(sorted(changes, key=lambda change: order[change.section])),
        unrecorded=_unrecorded(before, after),
    )


def _unrecorded(
    before: Environment, after: Environment
) -> dict[Section, Literal["before", "after"]]:
    """Return what one side is silent about, be it that its gitprov did not ask for it."""
    machines = before.machine is None, after.machine is None
    sides: list[tuple[Section, bool, bool]] = [
        ("system", not before.system, not after.system),
        ("system-packages", before.system_packages is None, after.system_packages is None),
        # These three came into records together.
        ("container", *machines),
        ("hardware", *machines),
        ("linear-algebra", *machines),
    ]
    return {
        section: "before" if silent[0] else "after"
        for section, *silent in sides
        if silent[0] != silent[1]
    }


def _python(before: PythonEnvironment | None, after: PythonEnvironment | None) -> Iterator[Change]:
    if before is None or after is None:
        if before or after:
            texts = [
                interpreter_text(side.interpreter) if side else None for side in (before, after)
            ]
            yield come_or_gone("interpreter", "interpreter", *texts)
        return
    yield from _interpreter("interpreter", before.interpreter, after.interpreter)
    yield from package_changes("packages", before.packages, after.packages)


def _interpreter(
    section: Section, before: Interpreter, after: Interpreter, within: str | None = None
) -> Iterator[Change]:
    yield from version_changes(
        section, {"version": before.version}, {"version": after.version}, within=within, pep440=True
    )
    same_series = _series(before.version) == _series(after.version)
    for name in ("implementation", "soabi", "platform", "kind", "executable", "base_prefix"):
        one, two = getattr(before, name), getattr(after, name)
        if name == "soabi" and not same_series:
            continue  # it says again what the version says
        if one is None or two is None or one == two:
            continue
        yield value_change(section, name, one, two, within)


def _series(version: str) -> list[str]:
    return version.split(".")[:2]


def _broken(before: PythonEnvironment | None, after: PythonEnvironment | None) -> Iterator[Change]:
    if before is not None and after is not None:
        sides = [{item.entry: item.reason for item in side.broken} for side in (before, after)]
        yield from value_changes("broken", *sides)


def _editables(before: Iterable[Editable], after: Iterable[Editable]) -> Iterator[Change]:
    """Yield editable installs whose work tree was in another state.

    The repository of the run itself is left out: the run's source tells its state. That one is
    editable here and not there is a change of the package.
    """
    states = {item.name: item for item in before if not item.is_source}
    for now in after:
        was = states.get(now.name)
        if was is None or now.is_source or _state(was) == _state(now):
            continue
        details = []
        if was.commit == now.commit and was.dirty == now.dirty:
            details.append("other uncommitted changes")
        yield Change(
            section="editables",
            kind="changed",
            name=now.name,
            before=_commit(was),
            after=_commit(now),
            details=tuple(details),
        )


def _state(item: Editable) -> tuple[object, ...]:
    return item.commit, item.dirty, item.tree


def _commit(item: Editable) -> str:
    text = item.commit or "no commit"
    return f"{text} with uncommitted changes" if item.dirty else text


def _others(
    before: Mapping[str, PythonEnvironment], after: Mapping[str, PythonEnvironment]
) -> Iterator[Change]:
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name), after.get(name)
        if one is not None and two is not None:
            yield from _interpreter("interpreters", one.interpreter, two.interpreter, name)
            yield from package_changes("interpreters", one.packages, two.packages, within=name)
        else:
            texts = [interpreter_text(side.interpreter) if side else None for side in (one, two)]
            yield come_or_gone("interpreters", name, *texts)


def _conda(before: CondaEnvironment | None, after: CondaEnvironment | None) -> Iterator[Change]:
    if before is None or after is None:
        prefixes = [side.prefix if side else None for side in (before, after)]
        if before or after:
            yield come_or_gone("conda", "environment", *prefixes)
    elif before.platform != after.platform:
        yield value_change("conda", "platform", before.platform, after.platform)
    packages = [side.packages if side else () for side in (before, after)]
    yield from conda_changes(*packages)


def _languages(
    before: Mapping[str, LanguageEnvironment], after: Mapping[str, LanguageEnvironment]
) -> Iterator[Change]:
    for language in sorted(before.keys() | after.keys()):
        one = before.get(language, LanguageEnvironment())
        two = after.get(language, LanguageEnvironment())
        versions = [{language: side.version} if side.version else {} for side in (one, two)]
        yield from version_changes("languages", *versions, within=language)
        packages = [{item.name: item.version for item in side.packages} for side in (one, two)]
        yield from version_changes("languages", *packages, within=language)


def _locks(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[Change]:
    for path in sorted(before.keys() | after.keys()):
        one, two = before.get(path), after.get(path)
        if one is None or two is None:
            kind: ChangeKind = "added" if one is None else "removed"
            yield Change(section="locks", kind=kind, name=path)
        elif one != two:
            yield Change(section="locks", kind="changed", name=path, details=(_lines(one, two),))


def _lines(before: bytes, after: bytes) -> str:
    """Return how many lines of a file have come and gone, wherever they stand."""
    one, two = Counter(before.splitlines()), Counter(after.splitlines())
    return f"+{(two - one).total()} -{(one - two).total()} lines"


def _agreement(before: Iterable[Disagreement], after: Iterable[Disagreement]) -> Iterator[Change]:
    """Yield where locks have begun, or ceased, to say something else than was installed."""
    one, two = set(before), set(after)
    for said in sorted(one ^ two, key=lambda said: (said.lock, said.name, disagreement_text(said))):
        kind: ChangeKind = "added" if said in two else "removed"
        yield Change(
            section="agreement",
            kind=kind,
            name=said.name,
            within=said.lock,
            details=(disagreement_text(said),),
        )
