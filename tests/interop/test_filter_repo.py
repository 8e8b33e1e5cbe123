"""`git filter-repo` makes all commits anew; runs lead to the new ones.

It filters every ref there is unless told otherwise, our own as well: what that may do is in
`docs/links.md`.
"""

import json
from pathlib import Path

import pytest

from tests.support.repositories import Clone
from tests.support.rewriting import Lab, head, newest, prov

MESSAGES = ("--replace-message", "replacements")
RENAMED = ("--path-rename", "f0.py:renamed.py")
WITHOUT = ("--path", "f1.py", "--invert-paths")
ONLY_MAIN = ("--refs", "main")


def filtered(clone: Clone, *options: str) -> None:
    (clone.path / ".git/replacements").write_text("c==>commit \n")
    options = tuple(".git/replacements" if word == "replacements" else word for word in options)
    clone.git("filter-repo", "--force", "--quiet", *options)


@pytest.fixture
def runs(lab: Lab) -> list[str]:
    """Return the runs of three commits on main, each of which adds `f<number>.py`."""
    found = [lab.run(at=commit) for commit in lab.commits(3)]
    lab.publish()
    return found


@pytest.mark.parametrize("options", [MESSAGES, RENAMED])
def test_main_alone(lab: Lab, runs: list[str], options: tuple[str, ...]) -> None:
    refs = lab.here.git("for-each-ref", "refs/prov")
    filtered(lab.here, *ONLY_MAIN, *options)
    assert lab.here.git("for-each-ref", "refs/prov") == refs
    lab.publish()
    new = newest(lab.here, 3)
    lab.expect({run: {commit: "rewritten"} for run, commit in zip(runs, new, strict=True)})


def test_a_file_less(lab: Lab, runs: list[str]) -> None:
    """A commit that is left with nothing goes; those before the file stay what they are."""
    filtered(lab.here, *ONLY_MAIN, *WITHOUT)
    lab.publish()
    assert len(newest(lab.here, 9)) == 3
    lab.expect({runs[0]: {}, runs[1]: {}, runs[2]: {head(lab.here): "rewritten"}})


def test_twice(lab: Lab, runs: list[str]) -> None:
    filtered(lab.here, *ONLY_MAIN, *MESSAGES)
    (between,) = prov(lab.here, ["log"])
    assert between.status == 0
    filtered(lab.here, *ONLY_MAIN, *RENAMED)
    lab.publish()
    new = newest(lab.here, 3)
    lab.expect({run: {commit: "rewritten"} for run, commit in zip(runs, new, strict=True)})


def test_in_a_fresh_clone(lab: Lab, runs: list[str], tmp_path: Path) -> None:
    """Where filter-repo wants to be run there are no runs yet; they come later, and count."""
    fresh = Clone.of(str(lab.server.path), tmp_path / "fresh")
    filtered(fresh, *MESSAGES)
    new = newest(fresh, 3)
    assert "no runs" in prov(fresh, ["log"])[0].stderr
    fresh.git("remote", "add", "origin", str(lab.server.path))
    fresh.git("push", "--quiet", "--force", "origin", "main")
    fresh.prov("init")
    fresh.prov("pull")
    expected = {run: {commit: "rewritten"} for run, commit in zip(runs, new, strict=True)}
    lab.expect_in(fresh, expected)
    fresh.prov("push")
    lab.there.git("fetch", "--quiet", "origin")
    lab.there.git("reset", "--quiet", "--hard", "origin/main")
    lab.there.prov("pull")
    lab.expect_in(lab.there, expected)


@pytest.mark.parametrize("options", [MESSAGES, RENAMED, WITHOUT])
def test_everything_there_is(lab: Lab, runs: list[str], options: tuple[str, ...]) -> None:
    """The entries of the ledger get other names; its records stay, and meet those of the remote."""
    unpublished = lab.run()
    shown = lab.here.prov("log", "--json")
    filtered(lab.here, *options)
    assert lab.here.prov("log", "--json") == shown
    lab.here.git("remote", "add", "origin", "../server")
    lab.here.prov("init")
    lab.here.prov("pull")
    lab.publish()
    assert lab.there.prov("log", "--json") == lab.here.prov("log", "--json") == shown
    last = head(lab.here)
    expected: dict[str, dict[str, str]] = {
        runs[2]: {last: "rewritten"},
        unpublished: {last: "rewritten"},
    }
    if options != WITHOUT:
        expected |= {runs[n]: {newest(lab.here, 3)[n]: "rewritten"} for n in (0, 1)}
    lab.expect(expected)


@pytest.mark.xfail(reason="filter-repo takes our refs for the user's, and prunes what it has left")
@pytest.mark.parametrize(
    "options",
    [("--path", "f0.py"), ("--to-subdirectory-filter", "below"), ("--replace-text", "replacements"),
     ("--strip-blobs-bigger-than", "100")],
)  # fmt: skip
def test_no_run_is_lost(lab: Lab, runs: list[str], options: tuple[str, ...]) -> None:
    """Not even one that no remote has."""
    unpublished = lab.run()
    filtered(lab.here, *options)
    listed = lab.here.prov("log", "--json", check=False).splitlines()
    assert {json.loads(line)["id"] for line in listed} == {*runs, unpublished}
    assert lab.here.prov_call("verify").returncode == 0
