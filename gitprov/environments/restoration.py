"""A recorded environment rebuilt in a new folder, by a plan that was made before.

Only the folder changes, and the caches of the installers. Where it cannot be made at all, or is
interrupted, nothing of it is left. A package that cannot be installed costs no other: it is named,
and what has come of the whole is captured and compared with the record.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gitprov.capture.environments.python.distributions import read, scan
from gitprov.capture.origin import Origin
from gitprov.environments.conda_restoration import conda_tool
from gitprov.environments.interpreters import Found
from gitprov.environments.nearness import Nearness, capture_again, compare
from gitprov.environments.other_locks import write_locks
from gitprov.environments.packages import normalised
from gitprov.environments.requirement_lines import archive_place, from_archive
from gitprov.environments.restoration_plan import SOURCES_FOLDER, Left, Plan, Step
from gitprov.environments.source_checkout import check_out
from gitprov.environments.source_projects import find_project
from gitprov.environments.tools import Pip, Sources, Tool, ToolFailedError, our_pip, uv_on_path
from gitprov.errors import InTheWay, RestoreFailed, SourceMissing
from gitprov.model.environment import Environment, Interpreter
from gitprov.model.wording import plural
from gitprov.store.repository import Repository

LOCKS_FOLDER = "locks"
_HOPELESS = 3  # so many failures and no success, and no other one is tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What has come of it: what was installed, what could not be, how near it is."""

    tool: str
    installed: tuple[Step, ...]
    failed: tuple[Left, ...]
    nearness: Nearness


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the source of the run is."""

    repository: Repository
    origin: Origin

    def project(self, path: str, name: str) -> str:
        """Return the folder of a project in the source, by where it lay; raise SourceMissing."""
        found = find_project(self.repository, self.origin.tree, path, name)
        if found is None:
            raise SourceMissing(f"the source of the run has no project {name}")
        return found


def require_free(folder: Path) -> None:
    """Raise InTheWay unless the folder is not there, or is empty."""
    try:
        if not folder.is_symlink() and (not folder.exists() or not any(folder.iterdir())):
            return
    except NotADirectoryError:
        pass
    raise InTheWay(f"{folder} is there already; name a folder that is not, or an empty one")


def restore(
    plan: Plan, environment: Environment, folder: Path, *,
    python: Found | None, source: Source | None, sources: Sources, allow_builds: bool,
    say: Callable[[str], None],
) -> Outcome:  # fmt: skip
    """Do what is planned, in a folder that is not there or empty.

    Raises InTheWay, RestoreFailed; MissingDependency where nothing here makes conda environments.
    """
    require_free(folder)
    was_there = folder.exists()
    work = _Work(plan, environment, folder, sources, say, allow_builds=allow_builds)
    try:
        with ExitStack() as stack:
            return work.do(stack, python, source)
    except BaseException as error:
        _clear(folder, keep=was_there)
        if isinstance(error, ToolFailedError | OSError):
            done = f" after {', '.join(work.done)}" if work.done else ""
            raise RestoreFailed(f"nothing was restored{done}: {error}") from error
        raise


class _Work:
    def __init__(
        self, plan: Plan, environment: Environment, folder: Path, sources: Sources,
        say: Callable[[str], None], *, allow_builds: bool,
    ) -> None:  # fmt: skip
        self._plan = plan
        self._environment = environment
        self._folder = folder
        self._python = folder / "bin" / "python"
        self._sources = sources
        self._say = say
        self._allow_builds = allow_builds
        self.done: list[str] = []
        self._installed: list[Step] = []
        self._failed: list[Left] = []

    def do(self, stack: ExitStack, python: Found | None, source: Source | None) -> Outcome:
        if self._plan.maker == "conda":
            tool, name = self._make_conda(stack)
        else:
            tool = self._make_venv(python)
            name = tool.name
        if self._plan.steps:
            self._install_all(tool, source)
        if self._plan.maker != "conda":
            self._remove_what_was_not_there(tool)
        if self._plan.locks:
            write_locks(self._environment.locks, self._folder / LOCKS_FOLDER)
        conda = self._folder if self._plan.maker == "conda" else None
        restored = capture_again(self._folder, self._python, conda=conda)
        return Outcome(
            tool=name,
            installed=tuple(self._installed),
            failed=tuple(self._failed),
            nearness=compare(
                self._environment,
                restored,
                python=self._plan.python is not None,
                conda=conda is not None,
            ),
        )

    def _make_conda(self, stack: ExitStack) -> tuple[Tool, str]:
        maker = conda_tool()
        count = plural(len(self._plan.conda), "conda package")
        self._say(f"gitprov: installing {count} with {maker.name}")
        maker.make(self._plan.conda, self._folder, offline=self._sources.offline)
        self.done.append("the packages of conda")
        if not self._plan.steps:
            return Pip(), maker.name
        tool = uv_on_path() or _pip_for(self._python, self._plan.python, stack)
        return tool, f"{maker.name}, {tool.name}"

    def _make_venv(self, python: Found | None) -> Tool:
        if python is None:
            raise RestoreFailed("the run has recorded no Python interpreter to rebuild")
        tool: Tool | None = uv_on_path() if self._plan.maker == "uv" else None
        if tool is None and "pip" not in self._recorded():
            tool = our_pip(python.version)
        tool = tool or Pip()
        self._say(f"gitprov: making a virtual environment of {python.title} with {tool.name}")
        tool.make(python.path, self._folder)
        self.done.append("an empty environment")
        return tool

    def _install_all(self, tool: Tool, source: Source | None) -> None:
        present = self._present()
        steps = [step for step in self._plan.steps if present.get(step.name) != step.version]
        self._say(f"gitprov: installing {plural(len(steps), 'package')} with {tool.name}")
        if any(step.how == "source" for step in steps):
            if source is None:
                raise RestoreFailed("the source of the run is not here; fetch it: git prov pull")
            check_out(source.repository, source.origin, self._folder / SOURCES_FOLDER)
        # First those that only the very files can be, as they are most and the surest.
        for hashed, builds in ((True, False), (False, False), (True, True), (False, True)):
            group = [step for step in steps if (step.hashed, step.builds) == (hashed, builds)]
            if group:
                self._install(tool, group)

    def _install(self, tool: Tool, group: Sequence[Step]) -> None:
        """Install all at once; where that fails, by halves, so that one costs no other."""
        try:
            self._call(tool, group)
        except ToolFailedError as error:
            if len(group) == 1:
                self._failed.append(
                    Left(name=group[0].name, version=group[0].version, reason=str(error))
                )
                if len(self._failed) >= _HOPELESS and not self._installed:
                    raise
                return
            middle = len(group) // 2
            self._install(tool, group[:middle])
            self._install(tool, group[middle:])
        else:
            self._installed += group
            self.done[1:] = [plural(len(self._installed), "package")]

    def _call(self, tool: Tool, group: Sequence[Step]) -> None:
        tool.install(
            self._python,
            [self._line(step) for step in group if not step.editable],
            [self._folder / step.folder for step in group if step.folder and step.editable],
            hashed=group[0].hashed,
            builds=group[0].builds or self._allow_builds,
            sources=self._sources,
        )

    def _line(self, step: Step) -> str:
        if step.folder is None:
            return step.line
        return from_archive(step.name, archive_place((self._folder / step.folder).as_uri()))

    def _present(self) -> dict[str, str]:
        """Return what the new environment has of itself, by name: pip, where venv has put it."""
        folders = sorted(str(path) for path in self._folder.glob("lib/*/site-packages"))
        packages, _ = read(scan(folders))
        return {normalised(item["name"]): item["version"] for item in packages}

    def _recorded(self) -> set[str]:
        python = self._environment.python
        return {normalised(item.name) for item in python.packages} if python else set()

    def _remove_what_was_not_there(self, tool: Tool) -> None:
        if surplus := sorted(self._present().keys() - self._recorded()):
            tool.remove(self._python, surplus)


def _pip_for(python: Path, interpreter: Interpreter | None, stack: ExitStack) -> Pip:
    """Return the environment's own pip, or one outside."""
    if any(python.parent.parent.glob("lib/*/site-packages/pip/__main__.py")):
        return Pip()
    if interpreter is not None and (ours := our_pip(interpreter.version)):
        return ours
    private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gitprov-")))
    Pip().make(python, private / "pip")
    return Pip(private / "pip" / "bin" / "python")


def _clear(folder: Path, *, keep: bool) -> None:
    """Remove a folder, or what is in it."""
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
