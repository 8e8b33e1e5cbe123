"""`git prov log` and `git prov show`: what is listed, how runs are named, and terminals."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitprov.codec import canonical
from gitprov.codec.records import decode_record
from gitprov.model.run import Artifact
from gitprov.store.refs import PAYLOAD, list_refs
from gitprov.views.show import page
from gitprov.views.style import Style
from tests.support import runs
from tests.support.chains import entry
from tests.support.repositories import Clone
from tests.support.terminal import on_terminal

COMMITS = 4
ESCAPE = "\x1b["
NASTY = "\x1b[2Jred\x07 \u202egnp.exe\u200b \x9b31m\x7f"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a history of four commits with two runs each; tests only read it."""
    clone = Clone.make(tmp_path_factory.mktemp("history") / "repo", commit=False)
    store = clone.store()
    for number in range(COMMITS):
        commit = clone.commit(f"commit {number}", {"train.py": f"print({number})\n"})
        for part in range(2):
            count = 2 * number + part
            runs.record(
                store,
                name=f"number-{count}",
                started_ns=runs.STARTED_NS + count * 1_000_000_000,
                ended_ns=runs.STARTED_NS + (count + 1) * 1_000_000_000,
                source={"commit": commit, "ref": "refs/heads/main", "object_format": "sha1"},
                params={"lr": count / 10},
                metrics=[{"name": "accuracy", "value": 0.9 + count / 100}],
                message=f"why {count}",
            )
    clone.git("branch", "side", "main~2")
    store.close()
    return clone


@pytest.fixture
def empty(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "empty")


def names(clone: Clone, *arguments: str) -> list[str]:
    lines = clone.prov("log", "--json", *arguments).splitlines()
    return [json.loads(line)["name"] for line in lines]


def numbered(*numbers: int) -> list[str]:
    return [f"number-{number}" for number in numbers]


class TestLog:
    def test_the_newest_is_first(self, clone: Clone) -> None:
        assert names(clone) == numbered(7, 6, 5, 4, 3, 2, 1, 0)
        assert names(clone, "--reverse") == numbered(0, 1, 2, 3, 4, 5, 6, 7)

    def test_a_number_of_runs(self, clone: Clone) -> None:
        assert names(clone, "-n", "3") == numbered(7, 6, 5)
        assert names(clone, "--max-count", "1", "--reverse") == numbered(0)
        assert names(clone, "-n", "0") == []

    def test_one_line_a_run(self, clone: Clone) -> None:
        lines = clone.prov("log", "--oneline").splitlines()
        assert len(lines) == 2 * COMMITS
        commit = clone.git("rev-parse", "main").strip()
        assert lines[0].split()[1:] == (
            f"{commit[:9]} (main) ok 1.0s accuracy=0.97 lr=0.7 true # why 7".split()
        )
        run_id = json.loads(clone.prov("show", "--json"))["id"]
        assert run_id.startswith(lines[0].split()[0])

    def test_a_paragraph_a_run(self, clone: Clone) -> None:
        paragraphs = clone.prov("log", "-n", "2").split("\n\n\n")
        text = clone.prov("log", "-n", "2")
        assert len(paragraphs) >= 1
        assert text.count("\nDate:    ") == 2
        assert "Metrics: accuracy=0.97\n" in text
        assert "\n    why 7\n" in text
        assert text.index("why 7") < text.index("why 6")

    def test_json_is_the_manifest(self, clone: Clone) -> None:
        lines = clone.prov("log", "--json").splitlines()
        stored = {run.id for run in runs.runs(clone.store())}
        assert {json.loads(line)["id"] for line in lines} == stored
        keys = "command ended_ns exit_code id message metrics name params recorder schema source"
        assert sorted(json.loads(lines[0])) == sorted(f"{keys} started_ns status writer".split())

    @pytest.mark.parametrize(
        ("revisions", "numbers"),
        [
            (["main~2..main"], [7, 6, 5, 4]),
            (["main~1.."], [7, 6]),
            (["side"], [3, 2, 1, 0]),
            (["main", "^side"], [7, 6, 5, 4]),
            (["side...main"], [7, 6, 5, 4]),
            (["main~3"], [1, 0]),
            (["main..side"], []),
        ],
    )
    def test_runs_of_commits(self, clone: Clone, revisions: list[str], numbers: list[int]) -> None:
        assert names(clone, *revisions) == numbered(*numbers)

    def test_runs_that_a_query_picks(self, clone: Clone) -> None:
        assert names(clone, "--where", "metrics.accuracy > 0.945") == numbered(7, 6, 5)
        where = 'params.lr <= 0.2 or name = "number-7"'
        assert names(clone, "--where", where) == numbered(7, 2, 1, 0)
        assert names(clone, "--where", where, "side", "-n", "2") == numbered(2, 1)

    def test_nothing_is_there(self, empty: Clone) -> None:
        for options in ([], ["--oneline"], ["--json"], ["main"]):
            assert empty.prov("log", *options) == ""

    def test_ids_are_as_long_as_tells_them_apart(self, empty: Clone) -> None:
        store = empty.store()
        ids = ["k" * 12 + letter * 20 for letter in "lm"]
        for run_id in ids:
            runs.record(store, id=run_id)
        store.close()
        shown = [line.split()[0] for line in empty.prov("log", "--oneline").splitlines()]
        assert shown == [run_id[:13] for run_id in ids]
        for short, run_id in zip(shown, ids, strict=True):
            assert json.loads(empty.prov("show", "--json", short))["id"] == run_id


class TestShow:
    @pytest.mark.parametrize(
        ("given", "number"),
        [
            ([], 7),
            (["last"], 7),
            (["last~0"], 7),
            (["last~1"], 6),
            (["last~7"], 0),
            (["number-3"], 3),
            (["main"], 7),
            (["side"], 3),
            (["main~3"], 1),
            (["refs/heads/side"], 3),
            (["HEAD"], 7),
        ],
    )
    def test_by_name(self, clone: Clone, given: list[str], number: int) -> None:
        shown = json.loads(clone.prov("show", "--json", *given))
        assert shown["name"] == f"number-{number}"

    def test_by_id_and_its_beginning(self, clone: Clone) -> None:
        for run in runs.runs(clone.store())[:3]:
            for length in (32, 20, 10):
                assert json.loads(clone.prov("show", "--json", run.id[:length]))["id"] == run.id

    def test_by_commit(self, clone: Clone) -> None:
        commit = clone.git("rev-parse", "main~1").strip()
        for name in (commit, commit[:10]):
            assert json.loads(clone.prov("show", "--json", name))["name"] == "number-5"

    def test_the_latest_of_several_with_one_name(self, empty: Clone) -> None:
        store = empty.store()
        runs.record(store, name="twin", started_ns=2, ended_ns=3, params={"n": 2})
        runs.record(store, name="twin", started_ns=1, ended_ns=3, params={"n": 1})
        store.close()
        assert json.loads(empty.prov("show", "--json", "twin"))["params"] == {"n": 2}

    def test_json_is_the_stored_manifest(self, empty: Clone) -> None:
        empty.write("data/in.txt", "in")
        empty.run("sh", "-c", "echo out", options=["-i", "data", "-p", "lr=0.1", "-m", "why"])
        [record] = [record for record in runs.records(empty.store()) if record.schema == "run.1"]
        document = decode_record(record.schema, record.data).document
        assert json.loads(empty.prov("show", "--json")) == in_json(document)
        assert len(empty.prov("show", "--json").splitlines()) == 1

    def test_the_page_has_everything(self, empty: Clone) -> None:
        empty.write("data/in.txt", "in")
        options = ["-i", "data", "-o", "none", "-p", "lr=0.1", "-m", "why", "-t", "tagged"]
        script = "echo printed; echo acc=0.5 step=3 >> $GITPROV_METRICS; exit 2"
        run_id = empty.prov_call("run", *options, "--", "sh", "-c", script) and empty.last_id()
        page = empty.prov("show")
        for words in (
            f"run {run_id}\n", "    why\n", "failed (exit 2)", "tagged", "uncommitted, kept in",
            "lr  0.1", "acc  0.5 (step 3)", "data  1 file, 2 B, sha256:", "none  not hashed",
            "outputs.none", "No such file or directory", "| printed", "Ada <ada@example.org>",
        ):  # fmt: skip
            assert words in page


def in_json(value: Any) -> Any:
    """Return what a document is in JSON, digests as hexadecimal text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: in_json(item) for key, item in value.items()}
    return [in_json(item) for item in value] if isinstance(value, list) else value


def without_age(text: str) -> str:
    """Return a page without how long ago its run was, which may change between two looks."""
    return re.sub(r"\(\d+ seconds? ago\)", "", text)


class TestTerminal:
    def test_colours_on_a_terminal_alone(self, clone: Clone) -> None:
        for verb in (["log"], ["log", "--oneline"], ["show"]):
            assert ESCAPE in on_terminal(clone, *verb)
            assert ESCAPE not in clone.prov(*verb)
            assert ESCAPE not in on_terminal(clone, *verb, NO_COLOR="1")
            assert ESCAPE not in on_terminal(clone, *verb, TERM="dumb")
        assert ESCAPE in on_terminal(clone, "show", NO_COLOR="")

    def test_git_decides_on_colours(self, empty: Clone) -> None:
        empty.run("true")
        empty.git("config", "color.ui", "always")
        assert ESCAPE in empty.prov("log")
        empty.git("config", "color.prov", "never")
        assert ESCAPE not in on_terminal(empty, "log")

    @pytest.mark.parametrize("verb", [["log"], ["show"], ["show", "--output"]])
    def test_gits_pager(self, empty: Clone, tmp_path: Path, verb: list[str]) -> None:
        empty.run("echo", "printed")
        pager = tmp_path / "pager with a space"
        pager.write_text(
            f"#!/bin/sh\necho \"$LESS\" > '{tmp_path}/used'\nsed 's/^/paged: /'\n", encoding="utf-8"
        )
        pager.chmod(0o755)
        shown = on_terminal(empty, *verb, GIT_PAGER=f"'{pager}'")
        assert (tmp_path / "used").read_text() == "FRX\n"
        assert all(line.startswith("paged: ") for line in shown.splitlines())
        assert without_age(shown.replace("paged: ", "")) == without_age(on_terminal(empty, *verb))

    def test_no_pager_without_a_terminal(self, clone: Clone) -> None:
        assert clone.prov("log", GIT_PAGER="false") == clone.prov("log")

    def test_a_pager_that_stops_early(self, clone: Clone) -> None:
        shown = on_terminal(clone, "log", GIT_PAGER="head -n 1")
        assert len(shown.splitlines()) == 1

    @pytest.mark.parametrize("reader", ["head -n 1", "true"])
    def test_a_reader_that_stops_early(self, clone: Clone, reader: str) -> None:
        command = f'"$0" -m gitprov log | {reader}; echo "${{PIPESTATUS[0]}}"'
        result = clone.call("bash", "-c", command, sys.executable)
        assert result.stderr == ""
        assert result.stdout.splitlines()[-1] in ("0", "141")

    def test_a_reader_that_stops_early_of_much(self, empty: Clone) -> None:
        empty.run("seq", "200000")
        command = '"$0" -m gitprov show --output | head -n 1; echo "${PIPESTATUS[0]}"'
        result = empty.call("bash", "-c", command, sys.executable)
        assert (result.stderr, result.stdout) == ("", "1\n141\n")


class TestUntrustedText:
    """What a record holds may come from anyone; none of it reaches a terminal as it is."""

    @pytest.fixture
    def nasty(self, empty: Clone) -> Clone:
        store = empty.store()
        artifact = {"kind": "file", "path": f"in-{NASTY}", "seen": "declared"}
        runs.record(
            store,
            message=f"why {NASTY}\nsecond {NASTY}",
            error=f"error {NASTY}",
            params={"text": NASTY, "name\u202e": 1},
            tags=["tag\u202e"],
            metrics=[{"name": "metric\u202e", "value": 1.0}],
            inputs=[artifact],
            outputs=[{**artifact, "path": f"out-{NASTY}".encode()}],
            command={"argv": ["echo", NASTY], "cwd": NASTY},
            source={
                "commit": empty.git("rev-parse", "main").strip(),
                "object_format": "sha1",
                "ref": f"refs/heads/{NASTY}",
                "repo_uri": NASTY,
                "omitted": [{"path": NASTY, "reason": NASTY}],
            },
            agent={"type": "person", "name": NASTY, "email": NASTY},
            hardware={"cpu": NASTY, "accelerators": [NASTY]},
            recorder={"purl": NASTY},
            missing={NASTY: NASTY},
            links=[{"rel": NASTY, "id": "k" * 32}],
        )
        store.close()
        return empty

    @pytest.mark.parametrize(
        "verb",
        [["log"], ["log", "--oneline"], ["log", "--json"], ["show"], ["show", "--json"],
         ["verify"]],
    )  # fmt: skip
    def test_on_a_terminal(self, nasty: Clone, verb: list[str]) -> None:
        shown = on_terminal(nasty, *verb, NO_COLOR="1")
        assert not [letter for letter in shown if not letter.isprintable() and letter != "\n"]
        if verb != ["verify"]:
            assert "gnp.exe" in shown

    def test_json_keeps_the_text(self, nasty: Clone) -> None:
        shown = json.loads(nasty.prov("show", "--json"))
        assert shown["params"]["text"] == NASTY

    def test_in_gits_own_log(self, nasty: Clone) -> None:
        for arguments in (["--glob=refs/prov/ledger/*"], ["--notes=prov"]):
            shown = nasty.git("log", *arguments)
            assert "gnp.exe" in shown
            assert not [letter for letter in shown if not letter.isprintable() and letter != "\n"]


def test_the_page_is_shown_whatever_is_in_a_payload(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone")
    run_id = clone.run("echo", "the words")
    store = clone.store()
    (ref,) = list_refs(store.repository.git, PAYLOAD)
    clone.git("update-ref", ref, entry(store, {run_id: {"output.log": b"forged"}}))
    (clone.path / ".git/prov/tips").unlink()  # or it would be put back
    page = clone.prov("show", "last")
    assert "does not match its hash" in page
    assert "echo 'the words'" in page
    assert "forged" not in page
    output = clone.prov_call("show", "--output", "last")
    assert (output.returncode, output.stdout) == (31, "")


def test_names_of_digests_are_shown_safely() -> None:
    """The codec refuses such a name; the page does not depend on that."""
    artifact = Artifact(kind="file", path="a", digest={NASTY: b"\1"})
    document = runs.manifest("k" * 32)
    run = decode_record("run.1", canonical.encode(document)).record
    shown = page(replace(run, inputs=(artifact,)), Style(colour=False), now_ns=0)
    assert shown.replace("\n", "").isprintable()
