"""The environment of a recorded run, read from the ledger.

What is read comes from strangers: it is measured before it is read, compared with the digest that
the run names, and taken document by document, so that one that this version cannot read (a later
one's, or a broken one) costs no other. Specification: section 4.4.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from gitprov.codec.environment_files import read_environment
from gitprov.errors import EnvironmentMissing, IntegrityError, MalformedRecord, ObjectMissing
from gitprov.index.environments import EnvironmentIndex
from gitprov.model.environment import Environment
from gitprov.model.ids import short
from gitprov.model.run import Run
from gitprov.store.environment_trees import EnvironmentTrees
from gitprov.store.ledger import find_record
from gitprov.store.objects import MODE_FILE, decode_tree
from gitprov.store.store import Store

_KEPT = 32
_NOTHING = Environment()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEnvironment:
    """What the files of an environment say; `problems` are those of them that cannot be read."""

    environment: Environment
    problems: tuple[str, ...] = ()


class RecordedEnvironments:
    """The environments of one repository's runs; equal ones are read once."""

    def __init__(self, store: Store, index: EnvironmentIndex | None = None) -> None:
        self._store = store
        self._index = index or EnvironmentIndex(store)
        self._trees = EnvironmentTrees(store.objects)
        self._kept: OrderedDict[bytes, ReadEnvironment] = OrderedDict()

    def of(self, run: Run) -> ReadEnvironment:
        """Return the environment of a run.

        Raises EnvironmentMissing where it has none, or it is not in this clone; IntegrityError
        where it is not the one that the run names; MalformedRecord where it is none.
        """
        summary = run.environment
        if summary is None:
            raise EnvironmentMissing(_why_none(run))
        # Which of the files are locks is the run's word, not the digest's.
        key = summary.digest + "\0".join(summary.locks).encode("utf-8", "surrogatepass")
        if key not in self._kept:
            self._kept[key] = read_files(self._files(run, summary.digest), summary.locks)
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    def documents(self, run: Run, names: Collection[str]) -> ReadEnvironment:
        """Return what a few documents at the top say, without looking at the others.

        The digest of an environment is over all files, so it is not compared. Raises as `of`.
        """
        reader = self._store.objects
        try:
            found = reader.read(self._tree(run))
            if found.type != "tree":
                raise MalformedRecord(f"run {short(run.id)} has no folder for its environment")
            wanted = {
                entry.name.decode(): reader.read(entry.oid).data
                for entry in decode_tree(found.data)
                if entry.mode == MODE_FILE and entry.name.decode("utf-8", "replace") in names
            }
        except ObjectMissing as error:
            raise EnvironmentMissing(_why_not_here(run)) from error
        return read_files(wanted, ())

    def _files(self, run: Run, digest: bytes) -> Mapping[str, bytes]:
        try:
            tree = self._tree(run)
            if self._trees.digest(tree) != digest:
                raise IntegrityError(
                    f"the environment of run {short(run.id)} is not the one that its record "
                    "names; see: git prov verify"
                )
            return dict(self._trees.files(tree))
        except ObjectMissing as error:
            raise EnvironmentMissing(_why_not_here(run)) from error

    def _tree(self, run: Run) -> str:
        found = find_record(self._store.objects, self._index.entry(run.id), run.id)
        if found.environment is None:
            raise EnvironmentMissing(_why_none(run))
        return found.environment


def read_files(files: Mapping[str, bytes], locks: Collection[str]) -> ReadEnvironment:
    """Return what the files of an environment say, and which cannot be read and why."""
    try:
        return ReadEnvironment(environment=read_environment(files, locks))
    except MalformedRecord:
        pass  # one of them; the others are good
    parts, problems = [read_environment({}, ())], []
    parts.append(read_environment({path: files[path] for path in locks if path in files}, locks))
    for path, data in files.items():
        if path in locks:
            continue
        try:
            parts.append(read_environment({path: data}, ()))
        except MalformedRecord as error:
            problems.append(str(error))
    return ReadEnvironment(environment=_joined(parts), problems=tuple(problems))


def _joined(parts: Iterable[Environment]) -> Environment:
    """Return one environment of what several say; each field is said by one of them."""
    found: dict[str, Any] = {}
    for part in parts:
        for field in fields(Environment):
            value = getattr(part, field.name)
            if value == getattr(_NOTHING, field.name):
                continue
            before = found.get(field.name)
            found[field.name] = {**before, **value} if isinstance(before, dict) else value
    return replace(_NOTHING, **found)


def _why_none(run: Run) -> str:
    reason = run.missing.get("environment")
    return f"run {short(run.id)} has recorded no environment{f': {reason}' if reason else ''}"


def _why_not_here(run: Run) -> str:
    return (
        f"the environment of run {short(run.id)} is not in this clone; fetch it with: git prov pull"
    )
