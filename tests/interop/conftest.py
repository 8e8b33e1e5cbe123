"""Two clones and their remote, for tests of what becomes of commits."""

from pathlib import Path

import pytest

from tests.support.rewriting import Lab


@pytest.fixture(scope="session")
def lab_template(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab.make(tmp_path_factory.mktemp("template") / "lab")


@pytest.fixture
def lab(lab_template: Lab, tmp_path: Path) -> Lab:
    return lab_template.copy(tmp_path / "lab")
