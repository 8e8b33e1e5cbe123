"""Runs in order: the newest, those of commits, those that a query picks, one by its name."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

from gitprov.codec.records import Decoded, decode_record
from gitprov.errors import AmbiguousRun, ObjectMissing, UnknownRevision, UnknownRun
from gitprov.index.database import fill, open_index
from gitprov.index.links import Links, surest
from gitprov.index.origins import Origin, find_origins
from gitprov.model.ids import SHORT_LENGTH, is_id, is_prefix
from gitprov.model.rewrite import Replacement
from gitprov.model.run import RUN_SCHEMA, Run
from gitprov.model.source_link import SourceLink
from gitprov.model.wording import encodable
from gitprov.store.refs import LEDGER
from gitprov.store.store import Store

LAST = "last"
_LAST = re.compile(r"last(?:~([0-9]{1,9}))?\Z")
_NEWEST_FIRST = "ORDER BY started_ns DESC, id"
_PAGE = 500
_MAX_TIPS = 20
_MADE_FROM_WANTED = """(source_commit IN (SELECT name FROM temp.wanted) OR EXISTS
    (SELECT 1 FROM temp.linked WHERE oid IS source_commit AND tree IS source_tree))"""


class History:
    """The runs of one repository, level with its ledger at the time of the first question."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._linked: dict[tuple[str | None, str | None], SourceLink] = {}

    @cached_property
    def _index(self) -> sqlite3.Connection:
        connection = open_index(self._store)
        connection.create_function("REGEXP", 2, _matches, deterministic=True)
        return connection

    def count(self) -> int:
        """Return how many runs there are."""
        number: int = self._index.execute("SELECT count(*) FROM runs").fetchone()[0]
        return number

    def unreadable(self) -> int:
        """Return how many records there are that break the format, and so are not listed."""
        number: int = self._index.execute("SELECT count(*) FROM unreadable").fetchone()[0]
        return number

    def runs(
        self,
        *,
        where: str | None = None,
        revisions: Sequence[str] = (),
        limit: int | None = None,
        oldest_first: bool = False,
    ) -> Iterator[Decoded]:
        """Yield runs, the newest first unless asked otherwise.

        `revisions` are commits and ranges in git's own notation, with git's own meaning: `main`
        stands for every commit that main reaches. Runs made from those commits are yielded, and
        those whose source one of them stands for: see `link_of`. Raises QueryError,
        UnknownRevision.
        """
        conditions: list[str] = []
        parameters: list[Any] = []
        if revisions:
            self._store_commits(revisions)
            self._store_linked(revisions)
            conditions.append(_MADE_FROM_WANTED)
        if where:
            # Late: the parser takes 40 ms to import.
            from gitprov.index.query import compile_query  # noqa: PLC0415

            condition = compile_query(where)
            conditions.append(condition.sql)
            parameters += condition.parameters
        clause = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        order = "ORDER BY started_ns, id" if oldest_first else _NEWEST_FIRST
        rows = self._index.execute(
            f"SELECT blob FROM runs {clause} {order} LIMIT ?",  # noqa: S608 -- our own words
            [*parameters, -1 if limit is None else limit],
        )
        while page := rows.fetchmany(_PAGE):
            yield from self._read([row[0] for row in page])

    def link_of(self, run: Run) -> SourceLink | None:
        """Return why a run was among the last answer; None where it was made from a commit in it.

        Of `runs` with revisions, and of `find` with a commit.
        """
        source = run.source
        return self._linked.get((source.commit, source.tree)) if source else None

    def links(self, run: Run) -> list[SourceLink]:
        """Return the commits on branches that stand for a run's source, the surest first."""
        links, found = Links(self._store, self._index), list[SourceLink]()
        for origin in find_origins(self._index, "id = ?", [run.id]):
            if commit := origin.commit:
                sources = self.sources()
                # One by one, as `runs` has them: each has a place of its own where others left it.
                tips = list(dict.fromkeys(links.branches(without=commit).values()))
                for revisions in (*((tip,) for tip in tips[:_MAX_TIPS]), tips[_MAX_TIPS:]):
                    found += links.into([origin], revisions, revisions, sources).get(origin, [])
            if origin.dirty:  # it may have been committed on the very branch
                holding = list(dict.fromkeys(links.branches(holding=commit).values()))
                found += links.into([origin], holding, holding).get(origin, [])
        return surest(found)

    def made_from(self, commits: Iterable[str]) -> Iterator[Decoded]:
        """Yield the runs that were made from these very commits, in no order."""
        fill(self._index, "noted", commits)
        rows = self._index.execute(
            "SELECT blob FROM runs WHERE source_commit IN (SELECT name FROM temp.noted)"
        )
        while page := rows.fetchmany(_PAGE):
            yield from self._read([row[0] for row in page])

    def linked_runs(self, also: Collection[str] = ()) -> Iterator[tuple[Decoded, SourceLink]]:
        """Yield runs with the commits that stand for their sources, wherever that was recorded.

        What is inferred is looked for in the history of HEAD, of the main branches, and of the
        commits in `also`.
        """
        links = Links(self._store, self._index)
        origins = find_origins(self._index, "TRUE")
        tips = links.main_branches()
        found = [links.rewritten(origins)]
        found += [links.into(origins, [tip], [tip]) for tip in tips]
        if also and (apart := links.apart(also, tips)):
            found.append(links.into(origins, apart, apart))
        merged: dict[Origin, list[SourceLink]] = defaultdict(list)
        for origin, of_origin in chain.from_iterable(some.items() for some in found):
            merged[origin] += of_origin
        for origin, of_origin in merged.items():
            rows = self._index.execute(
                "SELECT blob FROM runs WHERE source_commit IS ? AND source_tree IS ?",
                [origin.commit, origin.tree],
            )
            for run in self._read([row[0] for row in rows.fetchall()]):
                yield from ((run, link) for link in surest(of_origin))

    def branches_with(self, commits: Sequence[str]) -> dict[str, list[str]]:
        """Return the branches, here and at remotes, that hold each commit that is in this clone."""
        links = Links(self._store, self._index)
        return {oid: list(links.branches(holding=oid)) for oid in links.present(commits)}

    def sources(self) -> set[str]:
        """Return the commits that runs were made from."""
        rows = self._index.execute("SELECT DISTINCT source_commit FROM runs")
        return {row[0] for row in rows if row[0]}

    def rewrites(self) -> list[Replacement]:
        """Return the recorded rewrites of commits."""
        rows = self._index.execute("SELECT old, new FROM rewrites")
        return [Replacement(old=old, new=new) for old, new in rows]

    def find(self, name: str = LAST) -> Decoded:
        """Return the run that `name` stands for.

        `last`, `last~2`, an id or its beginning; a commit, branch or tag: the newest run made
        from it; a run's name, where git knows no commit by it: whoever names a run must not be
        able to stand in for a branch. Raises UnknownRun, AmbiguousRun.
        """
        given, name = name, encodable(name)
        if match := _LAST.match(name):
            return self._nth_newest(int(match[1] or 0), name)
        if is_prefix(name) and (found := self._by_prefix(name)):
            return found
        if found := self._newest_of_commit(given):
            return found
        row = self._index.execute(
            f"SELECT blob FROM runs WHERE name = ? {_NEWEST_FIRST} LIMIT 1",  # noqa: S608
            [name],
        ).fetchone()
        if row is None:
            raise UnknownRun(
                f"no run, commit, branch or tag is called {given!r}; see them with: git prov log"
            )
        return self._one(row[0])

    def places(self, *, run_id: str | None = None, since_ns: int | None = None) -> list[str]:
        """Return where runs stand in the ledger, as `2026-11/0a`: one run, or all since a time."""
        condition, value = ("id = ?", run_id) if run_id else ("started_ns >= ?", since_ns or 0)
        rows = self._index.execute(
            f"SELECT DISTINCT entry FROM runs WHERE {condition}",  # noqa: S608 -- our own words
            [value],
        )
        entries = [f"--contains={row[0]}" for row in rows]
        found: dict[str, None] = {}
        for start in range(0, len(entries), _PAGE):
            some = entries[start : start + _PAGE]
            listed = self._store.repository.git.run(
                "for-each-ref", *some, "--format=%(refname)", LEDGER
            )
            for ref in listed.decode("ascii").split():
                found[ref.removeprefix(f"{LEDGER}/")] = None
        return list(found)

    def short_id(self, run_id: str) -> str:
        """Return the beginning of an id, as short as tells it from all others here."""
        length = SHORT_LENGTH
        for comparison, order in (("<", "DESC"), (">", "ASC")):
            row = self._index.execute(
                f"SELECT id FROM runs WHERE id {comparison} ? ORDER BY id {order} LIMIT 1",  # noqa: S608
                [run_id],
            ).fetchone()
            if row is not None:
                length = max(length, _shared_letters(row[0], run_id) + 1)
        return run_id[:length]

    def _nth_newest(self, offset: int, name: str) -> Decoded:
        row = self._index.execute(
            f"SELECT blob FROM runs {_NEWEST_FIRST} LIMIT 1 OFFSET ?",  # noqa: S608
            [offset],
        ).fetchone()
        if row is None:
            count = self.count()
            have = f"there are {count}" if count else "there are none yet"
            raise UnknownRun(f"no run {name}: {have}; record one with: git prov run -- COMMAND")
        return self._one(row[0])

    def _by_prefix(self, prefix: str) -> Decoded | None:
        rows = self._index.execute(
            "SELECT id, blob FROM runs WHERE id >= ? AND id < ? ORDER BY id LIMIT 6",
            [prefix, prefix + "\x7f"],
        ).fetchall()
        if len(rows) > 1:
            ids = ", ".join(row[0][: max(8, len(prefix) + 2)] for row in rows[:5])
            raise AmbiguousRun(f"several runs begin with {prefix}: {ids}; give more letters")
        if not rows and is_id(prefix):
            raise UnknownRun(f"no run {prefix} in this clone; fetch it with: git prov pull")
        return self._one(rows[0][1]) if rows else None

    def _newest_of_commit(self, name: str) -> Decoded | None:
        """Return the newest run made from a commit; None where git knows none by this name."""
        # --end-of-options: a name that begins with a dash is no option of git's.
        found = self._store.repository.git.call(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        )
        if found.returncode != 0:
            return None
        commit = found.stdout.decode().strip()
        self._linked = {}
        newest = f"SELECT blob FROM runs WHERE {{}} {_NEWEST_FIRST} LIMIT 1"  # noqa: S608
        row = self._index.execute(newest.format("source_commit = ?"), [commit]).fetchone()
        if row is None:
            self._store_commits([f"{commit}^!"])
            self._store_linked([f"{commit}^!"])
            row = self._index.execute(newest.format(_MADE_FROM_WANTED)).fetchone()
        if row is None:
            raise UnknownRun(f"no run was made from {name} ({commit[:10]})")
        return self._one(row[0])

    def _store_commits(self, revisions: Sequence[str]) -> None:
        """Put the commits that revisions and ranges name into a table of their own."""
        result = self._store.repository.git.call("rev-list", "--end-of-options", *revisions, "--")
        if result.returncode != 0:
            raise UnknownRevision(
                f"git knows no commit or range {' '.join(revisions)}; see: git log --oneline"
            )
        fill(self._index, "wanted", result.stdout.decode("ascii").split())

    def _store_linked(self, revisions: Sequence[str]) -> None:
        """Put the sources that the wanted commits stand for into a table of their own."""
        elsewhere = "source_commit IS NULL OR source_commit NOT IN (SELECT name FROM temp.wanted)"
        origins = find_origins(self._index, elsewhere)
        named = self._store.repository.git.run("rev-parse", "--revs-only", *revisions)
        resolved = named.decode("ascii").split()
        ends = [oid for oid in resolved if not oid.startswith("^")]
        links = Links(self._store, self._index).into(origins, resolved, ends)
        self._linked = {(origin.commit, origin.tree): found[0] for origin, found in links.items()}
        self._index.execute("CREATE TEMP TABLE IF NOT EXISTS linked (oid TEXT, tree TEXT)")
        self._index.execute("DELETE FROM temp.linked")
        self._index.executemany("INSERT INTO temp.linked VALUES (?, ?)", self._linked)

    def _one(self, blob: str) -> Decoded:
        return next(self._read([blob]))

    def _read(self, blobs: Sequence[str]) -> Iterator[Decoded]:
        for blob, found in zip(blobs, self._store.objects.read_many(blobs), strict=True):
            if found is None:
                raise ObjectMissing(f"record {blob} is gone; check with: git prov verify")
            yield decode_record(RUN_SCHEMA, found.data)


def _shared_letters(one: str, other: str) -> int:
    pairs = zip(one, other, strict=True)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), len(one))


def _matches(pattern: Any, value: Any) -> bool:
    return value is not None and re.search(pattern, str(value)) is not None
