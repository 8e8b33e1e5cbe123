"""Docstrings lead to sections of the specification; the sections exist, in order, once each."""

import re
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SPECIFICATION = (TOP / "docs" / "format" / "spec-v1.md").read_text()
_HEADING = re.compile(r"^#{2,3} ([0-9]+(?:\.[0-9]+)?)\.? ", re.MULTILINE)
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
# "section 4", "sections 3 and 4", "sections 5, 7 and 8", "sections 2 to 8"
_NAMED = re.compile(
    rf"\bsections?\s+({_NUMBER}(?:(?:,\s*|\s+and\s+|\s+to\s+){_NUMBER})*)", re.IGNORECASE
)


def headings() -> list[tuple[int, ...]]:
    outside_code = re.sub(r"^```.*?^```", "", SPECIFICATION, flags=re.MULTILINE | re.DOTALL)
    return [tuple(map(int, number.split("."))) for number in _HEADING.findall(outside_code)]


def named(text: str) -> set[tuple[int, ...]]:
    numbers = (number for match in _NAMED.findall(text) for number in re.findall(_NUMBER, match))
    return {tuple(map(int, number.split("."))) for number in numbers}


def test_sections_are_numbered_in_order() -> None:
    found = headings()
    assert [number[0] for number in found if len(number) == 1] == list(range(12))
    assert found == sorted(set(found))


def test_every_section_that_the_code_names_exists() -> None:
    missing = {
        f"{path.relative_to(TOP)}: section {'.'.join(map(str, number))}"
        for folder in ("gitprov", "tests")
        for path in (TOP / folder).rglob("*.py")
        if path != Path(__file__).resolve()
        for number in named(path.read_text())
        if number not in headings()
    }
    assert not missing


def test_the_code_names_every_part_of_the_format() -> None:
    sources = "\n".join(path.read_text() for path in (TOP / "gitprov").rglob("*.py"))
    assert {number[0] for number in named(sources)} == set(range(2, 12))


def test_every_section_that_the_specification_names_exists() -> None:
    assert named(SPECIFICATION) <= set(headings())


def test_names_are_found_in_all_their_forms() -> None:
    text = "Section 4.2, sections 3 and\n4 and sections 5, 7 and 8 (sections 2 to 8); section one"
    assert named(text) == {(4, 2), (3,), (4,), (5,), (7,), (8,), (2,)}
