"""Which files of its source a run has read: recorded where they are known, and else why not."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.repositories import Clone

OBSERVE = ["--trace=audit"]
SOURCE = {
    "config.json": "{}\n",
    "lib/__init__.py": "",
    "lib/net.py": "def data():\n    return open('lib/data.txt').read()\n",
    "lib/data.txt": "data\n",
    "lib/unused.py": "",
    "out.json": "0\n",
    "other.py": "open('config.json')\n",
    ".gitignore": "__pycache__/\n*.log\n",
}
TRAIN = """
import json
from lib import net

net.data()
config = json.load(open("config.json"))
open("noise.log").close()
with open("out.json", "w") as out:
    out.write("1")
open("out.json").close()
"""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "repo")
    clone.commit("source", {**SOURCE, "train.py": TRAIN})
    clone.write("noise.log", "ignored")
    return clone


def last(clone: Clone) -> tuple[list[str] | None, str | None]:
    """Return what the newest run has read, and why that is not known."""
    run: dict[str, Any] = json.loads(clone.prov("show", "--json"))
    return run["source"].get("reads"), run["missing"].get("source.reads")


def command(clone: Clone, *words: str, **env: str) -> tuple[list[str] | None, str | None]:
    clone.prov_call("run", "--quiet", *OBSERVE, "--", *words, **env)
    return last(clone)


def program(clone: Clone, body: str, *, name: str = "main.py", cwd: Path | None = None) -> None:
    """Write a program, commit it and run it under Python, without `git prov run`."""
    clone.commit("program", {name: body})
    clone.call(sys.executable, str(clone.path / name), check=True, cwd=cwd)


class TestCommands:
    def test_what_python_reads(self, clone: Clone) -> None:
        clone.write("config.json", '{"changed": true}\n')
        clone.write("lib/new.txt", "untracked\n")
        clone.write("large.bin", b"x" * ((1 << 20) + 1))
        clone.write("train.py", TRAIN + "open('lib/new.txt'); open('large.bin'); open('/dev/null')")
        reads, gap = command(clone, "python", "train.py")
        assert gap is None
        assert reads == [
            "config.json", "large.bin", "lib/__init__.py", "lib/data.txt", "lib/net.py",
            "lib/new.txt", "train.py",
        ]  # fmt: skip

    def test_only_where_it_is_asked_for(self, clone: Clone) -> None:
        for options, config in ([], "off"), (["--trace=off"], "audit"):
            clone.git("config", "prov.trace", config)
            clone.run("python", "train.py", options=options)
            assert last(clone) == (None, None)
        clone.run("python", "train.py", options=["--trace=auto"])
        assert "train.py" in (last(clone)[0] or ())

    @pytest.mark.parametrize(
        "words",
        [
            ["python", "-c", "import lib"],
            ["python", "-m", "lib"],
            ["python3", "-u", "-X", "utf8", "run.py", "--an", "option"],
            ["./run.py", "an argument"],
            [sys.executable, "run.py"],
        ],
    )
    def test_every_way_of_starting_python(self, clone: Clone, words: list[str]) -> None:
        clone.write("lib/__main__.py", "")
        clone.write("run.py", "#!/usr/bin/env python3\nimport lib\n").chmod(0o755)
        reads, gap = command(clone, *words)
        assert gap is None
        assert "lib/__init__.py" in (reads or ())

    def test_processes_that_are_python_too(self, clone: Clone) -> None:
        clone.write(
            "many.py",
            "import multiprocessing, subprocess, sys\n"
            "def work(name):\n"
            "    open(name).read()\n"
            "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
            "    pool.map(work, ['lib/data.txt', 'lib/net.py'])\n"
            "subprocess.run([sys.executable, 'other.py'], check=True)\n",
        )
        reads, gap = command(clone, "python", "many.py")
        assert gap is None
        assert reads == ["config.json", "lib/data.txt", "lib/net.py", "many.py", "other.py"]

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["true"], "true is not a Python program"),
            (["sh", "-c", "python other.py"], "sh is not a Python program"),
            (["sh", "-c", "cat config.json; exec python other.py"], "sh is not a Python program"),
            (["./wrapper.sh"], "wrapper.sh is not a Python program"),
            (["env", "python", "other.py"], "env is not a Python program"),
            (["python", "-I", "other.py"], "python is not a Python program that could be"),
            (["python", "-S", "other.py"], "python is not a Python program that could be"),
            (["python", "-c", "import subprocess as s; s.run('true')"], "true is not a Python"),
            (["python", "-c", "import os; os.system('true')"], "sh is not a Python program"),
            (["python", "-c", "import os; os.execvp('python', ['python', 'other.py'])"],
             "put another in its place"),
            (["python", "-c", "import os; os.kill(os.getpid(), 9)"], "a program was cut short"),
            (["python", "-c", "import os; os._exit(0)"], "a program was cut short"),
            (["python", "-c", "import subprocess, sys; subprocess.run(sys.executable, env={})"],
             "is not a Python program that could be observed"),
            (["python", "-c", "import ctypes; ctypes.CDLL(None).system(b'true')"],
             "in a way that is not seen"),
            (["python", "-c", "import pygit2"], "compiled code"),
        ],
    )  # fmt: skip
    def test_what_may_have_read_unseen(self, clone: Clone, words: list[str], why: str) -> None:
        clone.write("wrapper.sh", "#!/bin/sh\nexec python other.py\n").chmod(0o755)
        reads, gap = command(clone, *words)
        assert reads is None
        assert why in (gap or "")

    def test_the_program_sees_nothing_of_it(self, clone: Clone, tmp_path: Path) -> None:
        site = tmp_path / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text("import builtins\nbuiltins.customized = True\n")
        body = (
            "import os, sys, sitecustomize\n"
            "print(customized, sitecustomize.__file__, sitecustomize.__spec__.origin)\n"
            "print(os.environ.get('PYTHONPATH'), sys.path, sys.argv, sys.flags, __name__)\n"
            "print('observer' in str(os.environ), sorted(os.environ))\n"
            "raise SystemExit(7)\n"
        )
        clone.write("look.py", body)
        said = []
        for options in (["--trace=off"], OBSERVE):
            done = clone.prov_call(
                "run", "--quiet", *options, "--", "python", "look.py", "x", PYTHONPATH=str(site)
            )
            assert done.returncode == 7
            said.append(done.stdout)
        assert said[0] == said[1]
        assert str(site) in said[0]
        assert last(clone) == (["look.py"], None)

    def test_without_any_sitecustomize(self, clone: Clone) -> None:
        words = ["python", "-c", "import sys; print(sys.modules.get('sitecustomize'))"]
        done = clone.prov_call("run", "--quiet", *OBSERVE, "--", *words, PYTHONPATH="")
        assert done.returncode == 0
        assert done.stderr == ""

    def test_a_sitecustomize_that_fails_says_so_as_ever(self, clone: Clone, tmp_path: Path) -> None:
        (tmp_path / "sitecustomize.py").write_text("raise RuntimeError('broken')\n")
        said = []
        for options in (["--trace=off"], OBSERVE):
            done = clone.prov_call(
                "run", "--quiet", *options, "--", "python", "other.py", PYTHONPATH=str(tmp_path)
            )
            assert done.returncode == 0
            said.append(done.stderr)
        assert said[0] == said[1]
        assert "broken" in said[0]

    def test_a_program_may_close_all_descriptors(self, clone: Clone) -> None:
        body = "import os; os.closerange(3, 256); f = open('mine', 'w'); open('config.json'); "
        reads, gap = command(clone, "python", "-c", body + "f.write('mine'); f.close()")
        assert (reads, gap) == (["config.json"], None)
        assert (clone.path / "mine").read_text() == "mine"


class TestPrograms:
    def test_all_from_the_import_on(self, clone: Clone) -> None:
        program(
            clone,
            '"""Words."""\n'
            "import json\n"
            "try:\n    import no_such_module\nexcept ImportError:\n    no_such_module = None\n"
            "import gitprov\n"
            "from lib import net\n"
            "config = json.load(open('config.json'))\n"
            "with gitprov.start_run(params=config, inputs=['other.py']) as run:\n"
            "    net.data()\n"
            "    open('noise.log').close()\n"
            "    open('out.json', 'w').close()\n"
            "    open('out.json').close()\n"
            "    run.log_input('lib/unused.py')\n"
            "    run.log_output('out.json')\n",
        )
        assert last(clone) == (
            ["config.json", "lib/__init__.py", "lib/data.txt", "lib/net.py", "main.py"],
            None,
        )

    def test_each_run_of_a_program(self, clone: Clone) -> None:
        program(
            clone,
            "import gitprov\n"
            "@gitprov.track\n"
            "def first():\n"
            "    open('out.json', 'w').close()\n"
            "    open('out.json').close()\n"
            "@gitprov.track\n"
            "def second():\n"
            "    open('out.json').close()\n"
            "first()\n"
            "list(gitprov.search_runs())\n"
            "second()\n",
        )
        runs = [json.loads(line) for line in clone.prov("log", "--json").splitlines()]
        reads = {run["name"]: run["source"].get("reads") for run in runs}
        assert reads == {"first": ["main.py"], "second": ["main.py", "out.json"]}

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            ("open('config.json')\nimport gitprov\n", "main.py does more than import"),
            ("import lib.net\nimport gitprov\n", "was imported before"),
            ("def late():\n    import gitprov\nlate()\nimport gitprov\n", "was running"),
            ("import gitprov\nimport subprocess\nsubprocess.run(['true'])\n", "true"),
            ("import gitprov\nimport os\nos.fork() or os._exit(0)\n", "forked"),
            ("import gitprov\nimport pygit2\n", "compiled code of"),
        ],
    )
    def test_where_not_all_is_known(self, clone: Clone, body: str, why: str) -> None:
        program(clone, body + "with gitprov.start_run():\n    pass\n")
        reads, gap = last(clone)
        assert reads is None
        assert why in (gap or "")

    def test_from_elsewhere_and_turned_off(self, clone: Clone, tmp_path: Path) -> None:
        there = repr(str(clone.path))
        body = f"import gitprov\nimport os\nos.chdir({there})\ngitprov.start_run().finish()\n"
        program(clone, body, cwd=tmp_path)
        assert last(clone) == (
            None, "the import of gitprov was not in the work tree, or was not to observe"
        )  # fmt: skip
        inner = Clone.make(tmp_path / "inner")
        program(clone, body, cwd=inner.path)
        assert last(clone) == (None, "gitprov was imported in another folder than the work tree")
        clone.call(
            sys.executable,
            "main.py",
            check=True,
            GITPROV_OBSERVE_READS="0",
            PWD=os.fspath(tmp_path),
        )
        assert "not to observe" in (last(clone)[1] or "")

    def test_not_from_standard_input(self, clone: Clone) -> None:
        code = "import gitprov; gitprov.start_run().finish()"
        clone.call(sys.executable, "-c", code, check=True)
        assert last(clone) == (None, "gitprov was imported in an interactive session")

    def test_a_run_that_joins_another_is_not_observed(self, clone: Clone) -> None:
        clone.commit("program", {"main.py": "import gitprov\ngitprov.start_run().finish()\n"})
        clone.run(sys.executable, "main.py", options=["--trace=off"])
        assert last(clone) == (None, None)
        clone.run(sys.executable, "main.py", options=OBSERVE)
        assert last(clone) == (["main.py"], None)
