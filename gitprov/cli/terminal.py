"""Where output goes: colours or not, through git's pager or not."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Annotated, Any, TypeVar

import typer

from gitprov.store.repository import Repository
from gitprov.views.style import Style

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

Json = Annotated[
    bool, typer.Option("--json", help="Print JSON, with the manifest's keys, one object a line.")
]


class _Verb(typer.Typer):
    """An application whose help is wrapped anew, not where the docstring's lines end."""

    def command(self, *arguments: Any, **options: Any) -> Callable[[CommandT], CommandT]:
        register = super().command

        def decorated(function: CommandT) -> CommandT:
            paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
            text = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)
            return register(*arguments, **{"help": text, **options})(function)

        return decorated


def verb() -> typer.Typer:
    """Return the application of one verb."""
    return _Verb(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


class VerbGroup:
    """Verbs under a verb, as in `git prov data status`: the module of the one that is called loads.

    `about` says what they are for; `modules` have a function `register(app)` that adds their verbs.
    """

    def __init__(self, about: Callable[[], None], modules: Mapping[str, Sequence[str]]) -> None:
        self._about = about
        self._modules = modules

    def __call__(self, args: Sequence[str], **options: Any) -> object:
        """Run the verb that the first argument names, as a typer application does."""
        named = [module for module, verbs in self._modules.items() if set(args[:1]) & set(verbs)]
        return self._with(named or self._modules)(args=args, **options)

    def whole(self) -> typer.Typer:
        """Return the application with all of its verbs."""
        return self._with(self._modules)

    def _with(self, modules: Iterable[str]) -> typer.Typer:
        app = verb()
        app.callback()(self._about)
        for module in modules:
            import_module(module).register(app)
        return app


def say(message: str) -> None:
    """Tell the user something beside the output; one who has stopped listening is no fault."""
    if sys.stderr is not None:  # closed by who started us; print would turn to standard output
        with suppress(OSError):
            print(message, file=sys.stderr)


def style_for(repository: Repository) -> Style:
    """Return the style for standard output, by git's `color.ui` and by NO_COLOR."""
    setting = repository.config.get("color.prov") or repository.config.get("color.ui", "auto")
    if setting in ("always", "never", "false"):
        return Style(colour=setting == "always")
    dumb = os.environ.get("TERM", "dumb") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return Style(colour=sys.stdout.isatty() and not dumb)


@contextmanager
def paged(repository: Repository) -> Iterator[None]:
    """Send standard output through git's pager while the block runs, on a terminal."""
    pager = repository.git.run("var", "GIT_PAGER").decode().strip() if sys.stdout.isatty() else ""
    if pager in ("", "cat"):
        yield
        return
    env = {"LESS": "FRX", "LV": "-c", **os.environ}
    options: dict[str, Any] = {"stdin": subprocess.PIPE, "text": True, "errors": "backslashreplace"}
    # GIT_PAGER is a shell command by git's definition.
    with subprocess.Popen(pager, shell=True, env=env, **options) as process:  # noqa: S602
        terminal, sys.stdout = sys.stdout, process.stdin
        try:
            yield
        except BrokenPipeError:
            pass  # the reader has seen enough
        finally:
            sys.stdout = terminal
            with suppress(BrokenPipeError):
                process.stdin.close()  # type: ignore[union-attr]
