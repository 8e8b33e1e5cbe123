"""`git prov demo`: the whole of it, on a small experiment that really runs.

scikit-learn's bundled digits, a classifier trained twice with different parameters, both runs
recorded, listed, pushed to a bare remote, cloned and verified there. Every step is a command that
the reader could type; nothing is staged.
"""

import importlib.util
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from gitprov.cli.terminal import say, verb
from gitprov.errors import InputError, MissingDependency
from gitprov.views.style import Style

app = verb()
_SCRIPTS = Path(__file__).parent


@app.command()
def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(help="A new folder to work in; a temporary one without it."),
    ] = None,
) -> None:
    """Show the whole of it: record, list, show, push, clone, verify. Needs scikit-learn."""
    if importlib.util.find_spec("sklearn") is None:
        raise MissingDependency("the demo needs scikit-learn; pip install 'gitprov[demo]'")
    top = _new_folder(folder)
    _Demo(top).play()


def _new_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="gitprov-demo-"))
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise InputError(f"{folder} exists; name a new folder") from error
    return folder.resolve()


class _Demo:
    """The steps, each told and then done."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._style = Style(colour=sys.stdout.isatty())
        # The commands below must find this Python and this gitprov, installed or not.
        self._env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        own = Path(sys.executable).parent
        self._env["PATH"] = f"{own}{os.pathsep}{os.environ.get('PATH', '')}"

    def play(self) -> None:
        """Run every step; stop at the first that fails."""
        project, remote, elsewhere = (self._top / name for name in ("digits", "hub.git", "review"))
        self._tell("An experiment in a git repository: a script and its data.")
        project.mkdir()
        for name in ("prepare.py", "train.py"):
            (project / name).write_bytes((_SCRIPTS / f"{name}.txt").read_bytes())
        (project / ".gitignore").write_text("data/\nmodel.joblib\nmetrics.json\n")
        self._do(project, "git init --quiet --initial-branch=main")
        self._name_somebody(project)
        self._do(project, "git add .")
        self._do(project, "git commit --quiet -m 'Train a classifier of digits'")
        self._tell("gitprov is set up once in a repository.")
        self._do(project, "git prov init")
        self._tell(
            "From then on, commands run under it. Their output and exit status are their own."
        )
        self._do(project, "git prov run -o data/digits.csv -- python prepare.py")
        self._do(project, self._training("a first try", gamma="0.01"))
        self._tell("A change that is not committed is part of the record, too.")
        train = project / "train.py"
        train.write_text(train.read_text().replace("C=1.0", "C=10.0"))
        self._do(project, self._training("smaller gamma, larger C", gamma="0.001"))
        self._tell("What was run, and how it went: all of it, then the latest in full.")
        self._do(project, "git prov log")
        self._do(project, "git prov log --oneline --where 'metrics.accuracy > 0.98'")
        self._do(project, "git prov show last")
        self._do(project, "git log --notes=prov --oneline")
        self._tell("Runs travel with an ordinary push. Sources that are not pushed yet do not;")
        self._tell("git prov push sends those, too, and says so.", gap=False)
        self._do(self._top, "git init --quiet --bare --initial-branch=main hub.git")
        self._do(project, f"git remote add origin {shlex.quote(str(remote))}")
        self._do(project, "git prov init")
        self._do(project, "git push --quiet -u origin main")
        self._do(project, "git prov push")
        self._tell("Somebody else clones, and has the runs, and can check them offline.")
        self._do(self._top, f"git clone --quiet hub.git {elsewhere.name}")
        self._do(elsewhere, "git prov init")
        self._do(elsewhere, "git prov pull --payload")
        self._do(elsewhere, "git prov log --oneline")
        self._do(elsewhere, "git prov verify")
        self._tell(f"It is all in {self._top}. Go on there:")
        print(f"  cd {shlex.quote(str(project))}")
        for line in (
            "git prov show last --json         # a run, for programs",
            "git prov show last --output       # what it printed",
            "git show $(git for-each-ref --format='%(objectname)' refs/prov/ledger | head -1)",
            "git prov run -m 'your own idea' -- python train.py --gamma 0.002",
        ):
            print(f"  {line}")

    def _training(self, message: str, *, gamma: str) -> str:
        return (
            f"git prov run -m {shlex.quote(message)} -i data/digits.csv -o model.joblib"
            f" --metrics metrics.json -p gamma={gamma} -- python train.py --gamma {gamma}"
        )

    def _name_somebody(self, project: Path) -> None:
        """Give the repository an author where git knows none, as on a new machine."""
        known = subprocess.run(
            ["git", "var", "GIT_COMMITTER_IDENT"],
            cwd=project,
            env=self._env,
            capture_output=True,
            check=False,
        )
        if known.returncode != 0:
            self._do(project, "git config user.name 'A gitprov user'")
            self._do(project, "git config user.email user@example.org")

    def _tell(self, text: str, *, gap: bool = True) -> None:
        print(("\n" if gap else "") + self._style.label(f"# {text}"), flush=True)

    def _do(self, folder: Path, command: str) -> None:
        print(f"{self._style.good('$')} {command}", flush=True)
        words = shlex.split(command)
        if words[:2] == ["git", "prov"]:
            words = [sys.executable, "-m", "gitprov", *words[2:]]
        result = subprocess.run(words, cwd=folder, env=self._env, check=False)
        if result.returncode != 0:
            say(f"gitprov: the demo stopped: that exited {result.returncode}; see {self._top}")
            raise typer.Exit(1)
