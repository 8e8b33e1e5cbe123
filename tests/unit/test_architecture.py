"""docs/architecture.md is a map of the code as it is."""

import re
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs" / "architecture.md").read_text()


def section(title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def rows(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^\| `([^`]+)` \| ([^|]+)", text, re.MULTILINE)


def module_name(path: Path) -> str:
    parts = path.relative_to(TOP).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_module_has_its_line_and_nothing_else_has() -> None:
    named = [name for name, _ in rows(section("Modules"))]
    assert named == sorted(module_name(path) for path in (TOP / "gitprov").rglob("*.py"))


def test_layers_are_those_that_the_linter_checks() -> None:
    contracts = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [item["layers"] for item in contracts["contracts"] if item["type"] == "layers"]
    (block,) = re.findall(r"^```\n(.*?)^```$", section("Layers"), re.MULTILINE | re.DOTALL)
    assert block.split("\n")[:-1] == layers


def test_folders_exist() -> None:
    repository, _ = section("Folders").split("Files of a clone's own")
    shown = [name for name, _ in rows(repository)]
    assert len(shown) > 10
    assert not [name for name in shown if not (TOP / name).is_dir()]


def test_modules_named_in_the_text_exist() -> None:
    known = {name.removeprefix("gitprov.") for name, _ in rows(section("Modules"))}
    named = re.findall(r"`([a-z]+\.[a-z_]+)(?:\.[A-Z]\w+)?`", section("What happens"))
    assert named
    assert set(named) <= known
