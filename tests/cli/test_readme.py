"""README.md and docs/ show commands, programs and output; all of it is as shown.

Every page gets a repository of its own: the files that README.md shows, in one commit, and a bare
repository beside it as the remote `origin`.
"""

import re
from pathlib import Path

import pytest

from tests.support.pages import (
    Failure,
    blocks,
    commit_files,
    compare,
    normalised,
    run_examples,
    sessions,
)
from tests.support.repositories import Clone

TOP = Path(__file__).resolve().parents[2]
README = TOP / "README.md"
PAGES = [README, *sorted((TOP / "docs").rglob("*.md"))]
WITH_EXAMPLES = [
    page for page in PAGES if any(block.kind in ("console", "python") for block in blocks(page))
]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_examples_do_what_the_page_says(page: Path, tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "line", commit=False)
    commit_files(README, clone, "Fit a line")
    clone.git("init", "--quiet", "--bare", "--initial-branch=main", "../hub.git")
    clone.git("remote", "add", "origin", "../hub.git")
    if page != README:
        commit_files(page, clone, "More to try")
        clone.git("push", "--quiet", "--set-upstream", "origin", "main")
        clone.prov("init")
    assert run_examples(page, clone.path) > 0


def test_the_pages_that_promise_examples_have_them() -> None:
    names = {page.name for page in WITH_EXAMPLES}
    assert {"README.md", "cli.md", "errors.md", "python.md", "queries.md"} <= names


def test_a_block_is_passed_over_for_a_reason_only() -> None:
    for page in WITH_EXAMPLES:
        for block in blocks(page):
            assert block.mark is None or block.about.strip(), f"{page.name}, line {block.line}"


def test_links_lead_to_files() -> None:
    for page in [*PAGES, TOP / "CONTRIBUTING.md", TOP / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} leads to {target}"


def test_output_is_compared_strictly() -> None:
    compare("run kzmwtqpx ok 3ms\n", "run tonvkwrr ok 840ms\n", "ids and times differ")
    compare("a\nb\nc\n", "a\n…\nc\n", "lines left out")
    for printed, expected in (
        ("run kzmwtqpx ok\n", "run kzmwtqpx failed\n"),
        ("error=0.5\n", "error=0.25\n"),
        ("a\nb\n", "a\n"),
        ("a\n", "a\n…\nb\n"),
        ("", "a\n"),
    ):
        with pytest.raises(Failure):
            compare(printed, expected, "")


def test_numbers_and_words_are_not_taken_for_names() -> None:
    text = "12345678 runs, default, accepted: 0.9700000, 2 seconds, metrics.error"
    assert normalised(text) == text


def test_commands_and_their_output_are_told_apart() -> None:
    body = "$ one \\\n> two\nprinted\n$ three\n$ four\nlast\n"
    assert list(sessions(body)) == [
        ("one \\\ntwo\n", "printed\n"),
        ("three\n", ""),
        ("four\n", "last\n"),
    ]
