"""uv, poetry, pdm and pip as users have them, with all that they keep in a folder of the test.

They see the index that they are given, and no configuration of the machine.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_BIN = Path(sys.executable).parent


def has_installer(name: str) -> bool:
    """Whether one of them is in the environment of the tests."""
    return (_BIN / name).exists()


@dataclass(frozen=True)
class Installers:
    """The programs, for an index at `url`; caches are in `folder`."""

    folder: Path
    url: str

    @property
    def environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "UV_NO_CONFIG": "1",
            "UV_DEFAULT_INDEX": self.url,
            "UV_CACHE_DIR": str(self.folder / "uv"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_PYTHON": sys.executable,
            "POETRY_CACHE_DIR": str(self.folder / "poetry"),
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "PDM_CACHE_DIR": str(self.folder / "pdm"),
            "PDM_CHECK_UPDATE": "0",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_INDEX_URL": self.url,
            "PIP_NO_CACHE_DIR": "1",
        }

    def run(self, name: str, *arguments: str | Path, cwd: Path) -> str:
        """Run one of them; returns what it prints, and fails where it does."""
        done = subprocess.run(
            [_BIN / name, *arguments],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{name} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def new_environment(self, folder: Path) -> Path:
        """Make an empty virtual environment; returns its Python."""
        self.run("uv", "venv", "--quiet", folder, cwd=self.folder)
        return folder / "bin" / "python"
