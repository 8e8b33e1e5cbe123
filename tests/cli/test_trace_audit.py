"""`git prov run --trace=audit`: what Python programs are seen to read and write."""

import functools
import http.server
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.repositories import Clone

IGNORED = "data/\nout/\n__pycache__/\nvenv/\n*.tmp\n"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "repo")
    clone.commit("source", {".gitignore": IGNORED, "config.json": "{}\n", "lib.py": "value = 1\n"})
    for name in ("a", "b", "c"):
        clone.write(f"data/{name}.csv", f"{name}\n")
    (clone.path / "out").mkdir()
    return clone


class Seen:
    """What a run says that was seen."""

    def __init__(self, run: dict[str, Any]) -> None:
        self.run = run
        self.inputs = self._named("inputs")
        self.outputs = self._named("outputs")
        self.trace: dict[str, Any] = run.get("trace", {})
        self.missing: dict[str, str] = run.get("missing", {})

    def _named(self, role: str) -> dict[str, dict[str, Any]]:
        items = self.run.get(role, [])
        return {str(item.get("path") or item["uri"]): item for item in items}


def python(clone: Clone, body: str, *options: str, status: int = 0, **env: str) -> Seen:
    """Run a program under `git prov run`, and return what was seen."""
    clone.write("main.py", body)
    done = clone.prov_call("run", "--quiet", *options, "--", "python", "main.py", **env)
    assert done.returncode == status, done.stderr
    return Seen(json.loads(clone.prov("show", "--json")))


class TestFiles:
    def test_what_is_read_and_written(self, clone: Clone) -> None:
        seen = python(
            clone,
            "import json, lib\n"
            "json.load(open('config.json'))\n"
            "text = open('data/a.csv').read()\n"
            "open('out/model', 'w').write(text)\n"
            "open('out/model').read()\n"
            "open('metrics.json', 'w').write('{}')\n",
        )
        assert set(seen.inputs) == {"data/a.csv"}
        assert set(seen.outputs) == {"out/model", "metrics.json"}
        assert {item["seen"] for item in (*seen.inputs.values(), *seen.outputs.values())} == {
            "observed"
        }
        assert seen.inputs["data/a.csv"]["size"] == 2
        assert seen.outputs["out/model"]["digest"] == seen.inputs["data/a.csv"]["digest"]
        assert seen.run["source"]["reads"] == ["config.json", "lib.py", "main.py"]
        assert seen.trace["method"] == "audit"
        assert seen.trace["processes"] == 1
        assert seen.trace["unseen"] == ["remote data that is not read through fsspec or pyarrow"]

    def test_off(self, clone: Clone) -> None:
        body = "open('data/a.csv'); open('out/x', 'w')\n"
        for options in (["--trace=off"], []):
            clone.git("config", "prov.trace", "audit" if options else "off")
            seen = python(clone, body, *options)
            assert (seen.inputs, seen.outputs, seen.trace) == ({}, {}, {})

    def test_by_itself_only_where_the_command_is_python(self, clone: Clone) -> None:
        assert python(clone, "open('out/x', 'w')").outputs
        clone.run("sh", "-c", "echo > out/y")
        assert "trace" not in json.loads(clone.prov("show", "--json"))

    @pytest.mark.parametrize("option", ["-S", "-I", "-uE"])
    def test_a_python_that_would_see_it_is_left_alone(self, clone: Clone, option: str) -> None:
        body = "import os, sys; print(sys.path, sorted(os.environ))"
        said = clone.prov_call("run", "--quiet", "--", "python", option, "-c", body).stdout
        assert "PATH" in said
        assert "observer" not in said
        assert "trace" not in json.loads(clone.prov("show", "--json"))

    def test_no_such_way(self, clone: Clone) -> None:
        done = clone.prov_call("run", "--trace=magic", "--", "true")
        assert done.returncode == 2
        clone.git("config", "prov.trace", "magic")
        done = clone.prov_call("run", "--", "true")
        assert done.returncode == 0
        assert "'magic' is no way to trace" in done.stderr
        assert "magic" in json.loads(clone.prov("show", "--json"))["missing"]["trace"]

    def test_what_was_declared_stands_once(self, clone: Clone) -> None:
        seen = python(
            clone,
            "open('data/a.csv').read(); open('data/b.csv').read()\n"
            "open('out/x', 'w').write('x'); open('y', 'w').write('y')\n",
            "-i", "data", "-o", "out", "-o", "y",
        )  # fmt: skip
        assert set(seen.inputs) == {"data"}
        assert {name: item.get("seen", "declared") for name, item in seen.outputs.items()} == {
            "out": "declared",
            "y": "declared",
        }

    def test_an_input_that_the_run_changes_has_no_digest(self, clone: Clone) -> None:
        seen = python(
            clone,
            "text = open('data/a.csv').read(); open('data/a.csv', 'a').write('more')\n"
            "open('data/b.csv', 'r+').read()\n",
        )
        assert "digest" not in seen.inputs["data/a.csv"]
        assert seen.missing["inputs.data/a.csv"] == "the run has changed it"
        assert "digest" in seen.inputs["data/b.csv"]
        assert set(seen.outputs) == {"data/a.csv"}

    def test_what_is_looked_for_and_made_is_an_output_alone(self, clone: Clone) -> None:
        seen = python(
            clone,
            "try: open('out/x')\nexcept FileNotFoundError: open('out/x', 'w').write('x')\n",
        )
        assert (seen.inputs, set(seen.outputs)) == ({}, {"out/x"})

    def test_what_is_no_data(self, clone: Clone) -> None:
        clone.write("venv/pyvenv.cfg", "")
        clone.write("venv/lib/thing.json", "{}")
        clone.write("lib.py", "value = 2\n")
        seen = python(
            clone,
            "import os, lib, tempfile\n"
            "open('venv/lib/thing.json')\n"
            "open('gone.tmp', 'w').close(); os.remove('gone.tmp')\n"
            "os.makedirs('.pytest_cache'); open('.pytest_cache/x', 'w').close()\n"
            "try: open('no such file')\nexcept FileNotFoundError: pass\n"
            "os.mkfifo('fifo'); os.close(os.open('fifo', os.O_RDWR))\n"
            "open('.git/description').read()\n",
            PYTHONDONTWRITEBYTECODE="",
        )
        assert (seen.inputs, seen.outputs) == ({}, {})

    def test_files_that_come_by_another_name(self, clone: Clone) -> None:
        (clone.path / "data/link.csv").symlink_to("b.csv")
        seen = python(
            clone,
            "import os, shutil\n"
            "open('data/link.csv').read()\n"
            "open('out/t', 'w').write('x'); os.replace('out/t', 'out/final')\n"
            "shutil.copy('data/a.csv', 'out/copy'); os.link('out/copy', 'out/linked')\n"
            "os.truncate('data/c.csv', 0)\n",
        )
        assert set(seen.inputs) == {"data/b.csv", "data/a.csv"}
        assert set(seen.outputs) == {"out/final", "out/copy", "out/linked", "data/c.csv"}

    def test_odd_names(self, clone: Clone) -> None:
        seen = python(
            clone,
            r"name = b'out/caf\xe9 \n*[x]'" + "\n"
            "open(name, 'w').write('x')\n"
            "open('out/s3:', 'w').write('x')\n",
        )
        assert len(seen.outputs) == 2
        assert all("digest" in item for item in seen.outputs.values())

    def test_a_failing_program(self, clone: Clone) -> None:
        seen = python(clone, "open('out/x', 'w').write('x'); raise SystemExit(9)", status=9)
        assert set(seen.outputs) == {"out/x"}

    def test_more_than_a_run_notes(self, clone: Clone) -> None:
        for number in range(10_050):
            clone.write(f"data/many/{number}", "")
        body = "import os\nfor name in os.listdir('data/many'): open(f'data/many/{name}').close()\n"
        seen = python(clone, body, "-i", "data")
        assert set(seen.inputs) == {"data"}
        assert "there are more than 10000 files" in seen.missing["inputs.rest"]
        assert "there are more than 10000 files" in seen.trace["unseen"]

    def test_databases(self, clone: Clone) -> None:
        with sqlite3.connect(clone.path / "data/old.db") as database:
            database.execute("CREATE TABLE t (x)")
        database.close()
        seen = python(
            clone,
            "import sqlite3\n"
            "old = sqlite3.connect('data/old.db'); old.execute('SELECT * FROM t'); old.close()\n"
            "new = sqlite3.connect('out/new.db'); new.execute('CREATE TABLE t (x)'); new.close()\n",
        )
        assert set(seen.inputs) == {"data/old.db"}
        assert set(seen.outputs) == {"out/new.db"}


class TestWhatIsNotClaimed:
    def test_what_keeps_its_times_is_not_what_was_there(self, clone: Clone) -> None:
        clone.write("data/in.csv", "before\n")
        seen = python(
            clone,
            "import subprocess\n"
            "subprocess.run(['cp', '-p', 'data/a.csv', 'out/made'], check=True)\n"
            "open('out/made').read(); open('data/in.csv').read()\n"
            "subprocess.run(['cp', '-p', 'data/a.csv', 'data/in.csv'], check=True)\n",
        )
        assert {name: "digest" in item for name, item in seen.inputs.items()} == {
            "out/made": False, "data/in.csv": False
        }  # fmt: skip
        assert "was made since" in seen.missing["inputs.out/made"]

    def test_very_many_files_that_others_made(self, clone: Clone) -> None:
        seen = python(
            clone,
            "import os, subprocess\n"
            "subprocess.run('for n in $(seq 1050); do : > out/$n; done', shell=True, check=True)\n"
            "for name in os.listdir('out'): open('out/' + name).close()\n",
        )
        assert len(seen.inputs) == 1000
        assert sum(name.startswith("inputs.out/") for name in seen.missing) == 1000
        assert seen.missing["trace.inputs.changed"].startswith("50 more files")

    def test_forked_processes_that_cannot_tell(self, clone: Clone) -> None:
        seen = python(
            clone,
            "import os, resource\n"
            "limits = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))\n"
            "pid = os.fork()\n"
            "if not pid:\n"
            "    open('config.json').read(); os._exit(0)\n"
            "os.waitpid(pid, 0)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, limits)\n",
        )
        assert "reads" not in seen.run["source"]


class TestWhereNothingCanBeWrittenDown:
    def test_a_process_that_outlives_the_run(self, clone: Clone) -> None:
        os.mkfifo(clone.path / "out/go")
        os.mkfifo(clone.path / "out/said")
        clone.write(
            "main.py",
            "import os\n"
            "if os.fork() == 0:\n"
            "    os.setsid(); os.close(1); os.close(2)\n"
            "    open('out/go').read()\n"
            "    said = 'well'\n"
            "    try:\n"
            "        open('config.json').read(); open('out/new', 'w').close()\n"
            "        os.waitpid(os.fork() or os._exit(0), 0)\n"
            "    except BaseException as error: said = repr(error)\n"
            "    open('out/said', 'w').write(said)\n",
        )
        clone.run("python", "main.py")
        (clone.path / "out/go").write_text("x")
        assert (clone.path / "out/said").read_text() == "well"

    def test_without_room(self, clone: Clone) -> None:
        seen = python(
            clone,
            "import resource\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
            "open('data/a.csv').read(); open('config.json').read()\n",
        )
        assert "reads" not in seen.run["source"]

    def test_hooks_of_the_program_that_forbid_it(self, clone: Clone) -> None:
        seen = python(
            clone,
            "import sys\n"
            "def hook(event, arguments):\n"
            "    if event == 'open' and 'journal' in str(arguments[0]): raise PermissionError\n"
            "sys.addaudithook(hook)\n"
            "open('data/a.csv').read(); open('config.json').read()\n",
        )
        assert "reads" not in seen.run["source"]

    def test_functions_that_a_program_replaces(self, clone: Clone) -> None:
        seen = python(
            clone,
            "from unittest import mock\n"
            "with mock.patch('os.open') as a, mock.patch('os.write') as b,\\\n"
            "     mock.patch('os.close') as c, mock.patch('time.monotonic_ns') as d:\n"
            "    open('data/a.csv').read()\n"
            "    assert not any(each.called for each in (a, b, c, d))\n",
        )
        assert set(seen.inputs) == {"data/a.csv"}
        assert seen.run["source"]["reads"] == ["main.py"]


class TestFoldersElsewhere:
    BODY = (
        "import sys\n"
        "open(sys.path[0] + '/../store/in.bin').read()\n"
        "open(sys.path[0] + '/../store/new.bin', 'w').write('x')\n"
    )

    @pytest.fixture
    def store(self, clone: Clone) -> Path:
        store = clone.path.parent / "store"
        store.mkdir()
        (store / "in.bin").write_text("x")
        (store / "declared.bin").write_text("y")
        return store

    def test_of_the_configuration(self, clone: Clone, store: Path) -> None:
        assert python(clone, self.BODY).inputs == {}
        clone.git("config", "--add", "prov.data.root", "/no/such/folder")
        clone.git("config", "--add", "prov.data.root", "../store")
        (store / "new.bin").unlink()
        seen = python(clone, self.BODY)
        assert set(seen.inputs) == {(store / "in.bin").as_uri()}
        assert set(seen.outputs) == {(store / "new.bin").as_uri()}

    def test_of_what_is_declared(self, clone: Clone, store: Path) -> None:
        seen = python(clone, self.BODY, "-i", str(store / "declared.bin"))
        assert set(seen.inputs) == {
            (store / "in.bin").as_uri(), (store / "declared.bin").as_uri()
        }  # fmt: skip
        seen = python(clone, self.BODY, "-i", str(store / "*.bin"))
        assert (store / "in.bin").as_uri() in seen.inputs

    @pytest.mark.usefixtures("store")
    def test_but_not_what_holds_everything(self, clone: Clone) -> None:
        beside = clone.path.parent / "beside.bin"
        beside.write_text("x")
        assert set(python(clone, self.BODY, "-i", str(beside)).inputs) == {beside.as_uri()}


class TestProcesses:
    @pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
    def test_of_multiprocessing(self, clone: Clone, way: str) -> None:
        seen = python(
            clone,
            "import multiprocessing\n"
            "def work(name):\n"
            "    open(f'out/{name}', 'w').write(open(f'data/{name}.csv').read())\n"
            "if __name__ == '__main__':\n"
            f"    with multiprocessing.get_context({way!r}).Pool(2) as pool:\n"
            "        pool.map(work, ['a', 'b', 'c'])\n",
        )
        assert set(seen.inputs) == {"data/a.csv", "data/b.csv", "data/c.csv"}
        assert set(seen.outputs) == {"out/a", "out/b", "out/c"}
        assert seen.trace["processes"] >= 3

    def test_children_by_way_of_a_shell(self, clone: Clone) -> None:
        clone.write("step.py", "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read())")
        seen = python(
            clone,
            "import os, subprocess, sys\n"
            "subprocess.run([sys.executable, 'step.py', 'data/a.csv', 'out/1'], check=True)\n"
            "os.system('python step.py out/1 out/2; python step.py data/b.csv out/3;'\n"
            "          'cat data/c.csv > out/4')\n",
        )
        assert set(seen.inputs) == {"data/a.csv", "data/b.csv"}
        assert set(seen.outputs) == {"out/1", "out/2", "out/3"}
        assert seen.trace["processes"] == 4
        assert "sh is not a Python program that could be observed" in seen.trace["unseen"]

    @pytest.mark.parametrize("option", ["-I", "-S", "-E"])
    def test_pythons_that_are_not_observed_are_said(self, clone: Clone, option: str) -> None:
        clone.write("main.py", "open('out/x', 'w')\n")
        clone.run("python", option, "main.py", options=["--trace=audit"])
        seen = Seen(json.loads(clone.prov("show", "--json")))
        assert seen.outputs == {}
        assert seen.trace["processes"] == 0
        assert seen.trace["unseen"][0] == "python is not a Python program that could be observed"

    def test_what_gitprov_reads_in_the_program_is_not_the_programs(self, clone: Clone) -> None:
        clone.call("sh", "-c", "echo x > out/theirs", check=True)
        seen = python(
            clone,
            "import gitprov, pathlib\n"
            "with gitprov.start_run() as run:\n"
            "    open('data/a.csv').read()\n"
            "    run.log_input('data/a.csv')\n"
            "    run.log_output('out/theirs')\n",
        )
        assert set(seen.inputs) == {"data/a.csv"}
        assert set(seen.outputs) == {"out/theirs"}
        assert len(seen.run["inputs"]) == 1

    def test_the_processes_with_which_gitprov_hashes(self, clone: Clone) -> None:
        for number in range(2_600):
            clone.write(f"data/many/{number}", "")
        body = "import gitprov\nwith gitprov.start_run() as run:\n    run.log_input('data/many')\n"
        seen = python(clone, body)
        assert seen.run["source"].get("reads") == ["main.py"], seen.missing
        assert seen.trace["unseen"] == ["remote data that is not read through fsspec or pyarrow"]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve a folder over HTTP."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "remote.csv").write_text("1,2\n")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class TestLibraries:
    def test_files_by_fsspec(self, clone: Clone) -> None:
        seen = python(
            clone,
            "import fsspec\n"
            "with fsspec.open('data/a.csv') as file: file.read()\n"
            "with fsspec.open('memory://x', 'w') as file: file.write('x')\n"
            "fsspec.filesystem('memory').cat_file('/x')\n"
            "with fsspec.open('file://' + __import__('os').path.abspath('out/x'), 'w') as file:\n"
            "    file.write('x')\n",
        )
        assert set(seen.inputs) == {"data/a.csv"}
        assert set(seen.outputs) == {"out/x"}

    def test_http_by_fsspec(self, clone: Clone, address: str) -> None:
        pytest.importorskip("aiohttp")
        seen = python(
            clone,
            "import fsspec\n"
            f"with fsspec.open('{address}/remote.csv') as file: file.read()\n"
            f"fsspec.filesystem('http').cat_file('{address}/remote.csv?again=1')\n",
        )
        assert set(seen.inputs) == {f"{address}/remote.csv", f"{address}/remote.csv?again=1"}
        [first, _] = seen.inputs.values()
        assert (first["kind"], first["seen"]) == ("remote", "observed")

    def test_remote_objects_that_changed_meanwhile(
        self, clone: Clone, address: str, tmp_path: Path
    ) -> None:
        pytest.importorskip("aiohttp")
        os.utime(tmp_path / "served/remote.csv", (1_000_000_000, 1_000_000_000))
        (tmp_path / "served/new.csv").write_text("new")
        later = time.time() + 60
        os.utime(tmp_path / "served/new.csv", (later, later))
        seen = python(
            clone,
            "import fsspec\n"
            f"with fsspec.open('{address}/remote.csv') as file: file.read()\n"
            f"with fsspec.open('{address}/new.csv') as file: file.read()\n",
        )
        assert seen.inputs[f"{address}/remote.csv"]["remote"]["last_modified"].startswith("2001")
        assert "after the run" in seen.missing[f"inputs.{address}/remote.csv"]
        assert not seen.inputs[f"{address}/new.csv"].keys() & {"remote", "size"}
        assert "has changed" in seen.missing[f"inputs.{address}/new.csv"]

    def test_secrets_are_not_written_down(self, clone: Clone) -> None:
        pytest.importorskip("aiohttp")
        body = (
            "import fsspec, os, pathlib\n"
            "uri = 'http://ada:hidden-word@127.0.0.1:9/x?X-Amz-Signature=hidden-too&part=1'\n"
            "try: fsspec.filesystem('http').cat_file(uri)\n"
            "except Exception: pass\n"
            "reads = pathlib.Path(os.environ['GITPROV_JOURNAL'], 'reads')\n"
            "pathlib.Path('out/said').write_text(''.join(f.read_text() for f in reads.iterdir()))\n"
        )
        python(clone, body)
        said = (clone.path / "out/said").read_text()
        assert "http://127.0.0.1:9/x?part=1" in said
        assert "hidden" not in said

    def test_tracebacks_and_functions_are_as_ever(self, clone: Clone) -> None:
        body = (
            "import fsspec, inspect, pickle, traceback\n"
            "from fsspec.spec import AbstractFileSystem as System\n"
            "print(System.open, System.open.__code__.co_firstlineno)\n"
            "print(inspect.signature(System.open), inspect.getsource(System.open))\n"
            "print(pickle.loads(pickle.dumps(System.open)) is System.open, System.open.__doc__)\n"
            "print(type(fsspec.spec.__spec__))\n"
            "try:\n    fsspec.open('memory://none').open()\n"
            "except FileNotFoundError:\n    print(traceback.format_exc())\n"
            "fsspec.filesystem('memory').cat_file('/none')\n"
        )
        clone.write("main.py", body)
        said = []
        for trace in ("off", "audit"):
            done = clone.prov_call("run", "-q", f"--trace={trace}", "--", "python", "main.py")
            assert done.returncode == 1
            said.append((done.stdout.split(" at 0x")[0], done.stdout.split(">", 1)[1], done.stderr))
        assert said[0] == said[1]

    def test_parquet_by_pyarrow(self, clone: Clone) -> None:
        pytest.importorskip("pyarrow")
        seen = python(
            clone,
            "import pyarrow as pa, pyarrow.parquet as parquet, pyarrow.dataset as dataset\n"
            "table = pa.table({'x': [1, 2]})\n"
            "parquet.write_table(table, 'out/one.parquet')\n"
            "parquet.write_to_dataset(table, 'out/many', partition_cols=['x'])\n"
            "dataset.dataset('out/many').to_table()\n",
        )
        assert "out/one.parquet" in seen.outputs
        assert sum(name.startswith("out/many/x=") for name in seen.outputs) == 2
        (clone.path / "out").rename(clone.path / "data/made")
        (clone.path / "out").mkdir()
        seen = python(
            clone,
            "import pyarrow.parquet as parquet, pyarrow.dataset as dataset\n"
            "parquet.read_table('data/made/one.parquet')\n"
            "dataset.dataset('data/made/many').to_table()\n",
        )
        assert "data/made/one.parquet" in seen.inputs
        assert sum(name.startswith("data/made/many/x=") for name in seen.inputs) == 2
        assert seen.outputs == {}
        assert "the compiled code of pyarrow may read files by itself" in seen.trace["unseen"]

    def test_tables_by_pandas(self, clone: Clone) -> None:
        pytest.importorskip("pandas")
        seen = python(
            clone,
            "import pandas\npandas.read_csv('data/a.csv').to_csv('out/x.csv')\n",
        )
        assert set(seen.inputs) == {"data/a.csv"}
        assert set(seen.outputs) == {"out/x.csv"}

    def test_arrays_by_numpy(self, clone: Clone) -> None:
        pytest.importorskip("numpy")
        seen = python(
            clone,
            "import numpy\n"
            "numpy.save('out/x.npy', numpy.zeros(4))\n"
            "numpy.load('out/x.npy', mmap_mode='r')\n"
            "numpy.memmap('out/map', mode='w+', shape=8)[:] = 1\n"
            "numpy.fromfile('data/a.csv', dtype='u1')\n",
        )
        assert set(seen.inputs) == {"data/a.csv"}
        assert set(seen.outputs) == {"out/x.npy", "out/map"}


PROGRAMS = {
    "prints": "print('out', flush=True); import sys; print('err', file=sys.stderr)",
    "fails": "open('no such file')",
    "path": "import sys, os; print(sys.path, sys.argv, [*os.environ], len(sys.meta_path))",
    "exits": "import os; os._exit(5)",
    "dies": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "aborts": "import os; os.abort()",
    "pickles": "import pickle, pathlib; print(pickle.dumps(pathlib.Path('x')))",
    "modules": "import sys; print(sorted({*sys.modules} - sys.stdlib_module_names))",
    "children": "import os\npid = os.fork() or os._exit(3)\nprint(os.waitpid(pid, 0)[1])",
    "alone": "import os\ntry: os.wait()\nexcept ChildProcessError: print('no children')",
    "descriptors": "import os; print(sorted(os.listdir('/proc/self/fd')))",
    "signals": "import signal; print(*map(signal.getsignal, signal.valid_signals()))",
}  # fmt: skip


@pytest.mark.parametrize("method", ["audit", "strace"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_cannot_tell(clone: Clone, name: str, method: str) -> None:
    clone.write("main.py", PROGRAMS[name])
    said = []
    for trace in ("off", method):
        done = clone.prov_call("run", "-q", f"--trace={trace}", "--", sys.executable, "main.py")
        lines = [line for line in done.stderr.splitlines() if not line.startswith("gitprov: ")]
        said.append((done.returncode, done.stdout.replace(clone.last_id(), "ID"), lines))
    assert said[0] == said[1]
    assert json.loads(clone.prov("show", "--json"))["trace"]["method"] == method
