"""A run that meets secrets on every way into a record; each is new, and a plain word goes along.

The plain word must be found where the secret must not: so it is known that one looks there.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.everywhere import Content, places_of
from tests.support.repositories import Clone, clean_environment
from tests.support.secrets import aws_key_id, github_token, letters, password, private_key

# What the run executes; it is committed, and holds no secret itself.
JOB = """
import json, os, sys
from pathlib import Path

told = json.loads(Path(os.environ["CANARIES"]).read_text())
secret, plain = told["secrets"], told["plain"]
print(plain["stdout"], secret["stdout"], "behind it", flush=True)
print(f"{plain['coloured']} \\x1b[1m{secret['coloured']}\\x1b[0m", flush=True)
print(plain["stderr"], secret["stderr"], file=sys.stderr, flush=True)
print(plain["variable"], "connected with", os.environ["DB_PASSWORD"], flush=True)
sys.stdout.write(plain["torn"] + " " + secret["torn"][:15])
sys.stdout.flush()
sys.stdout.write(secret["torn"][15:] + "\\n")
sys.stdout.flush()
print(plain["key"] + "\\n" + secret["key"], flush=True)
with open(os.environ["GITPROV_METRICS"], "a") as lines:
    print(f"{secret['line']}=0.5", file=lines)
    print(f"{plain['line']}=0.5", file=lines)
    print(f"what is this: {secret['line']}", file=lines)
Path("metrics.json").write_text(json.dumps({secret["metric"]: 1.0, plain["metric"]: 1.0}))
out = Path("out")
out.mkdir()
(out / f"{plain['output']}-{secret['output']}.txt").write_text("result")
(out / "link").symlink_to(f"../{plain['target']}-{secret['target']}")

import gitprov

try:
    with gitprov.start_run(params={"api_key": secret["python"]}, tags=[secret["python"]]) as run:
        run.log_params({plain["python"]: f"see {secret['python']}"})
        run.log_tags(f"{plain['python']}-{secret['python']}")
        run.log_input(f"https://ada:{secret['python']}@127.0.0.1:9/{plain['python']}")
        run.log_metrics({secret["python"]: 1.0})
        raise RuntimeError(f"{plain['exception']}: refused {secret['exception']}")
except RuntimeError:
    pass
Path(os.environ["READY"]).write_text(str(os.getpid()))
Path(os.environ["GO"]).read_text()
sys.exit(int(os.environ["STATUS"]))
"""

# The same from a program of one's own, without `git prov run`.
PROGRAM = """
import json, os
from pathlib import Path

import gitprov

told = json.loads(Path(os.environ["CANARIES"]).read_text())
secret, plain = told["secrets"], told["plain"]
inputs = [f"https://ada:{secret['uri']}@127.0.0.1:9/{plain['uri']}"]
with gitprov.start_run(
    name=f"{plain['name']}-{secret['name']}",
    message=f"{plain['message']} with {secret['message']}",
    params={"db": {"password": secret["param"]}, "note": plain["param"]},
    tags=[secret["tag"], plain["tag"]],
    inputs=inputs,
) as run:
    run.log_params({plain["python"]: f"see {secret['python']}"})
    run.log_metrics({f"{plain['metric']}-{secret['metric']}": 1.0}, step=1)
    run.log_metrics({f"{plain['metric']}-{secret['metric']}": 2.0}, step=2)
    os.mkdir("out")
    Path("out", f"{plain['output']}-{secret['output']}.txt").write_text("result")
    run.log_output("out")
    raise RuntimeError(f"{plain['exception']}: {os.environ['DB_PASSWORD']} {secret['exception']}")
"""

WAYS = {
    # The command line and its options.
    "argument": github_token,
    "escaped": github_token,
    "option": password,
    "assigned": password,
    "param": password,
    "params": github_token,
    "message": aws_key_id,
    "tag": github_token,
    "name": github_token,
    "uri": password,
    "signature": lambda: letters(43),
    "metric": github_token,
    # The environment.
    "variable": password,
    "recorded": github_token,
    # The work tree.
    "dirty": github_token,
    "staged": aws_key_id,
    "later": github_token,
    "untracked": private_key,
    "known": password,
    "link": github_token,
    "file name": github_token,
    "lock": password,
    "remote": password,
    # What the command does.
    "stdout": github_token,
    "coloured": github_token,
    "stderr": aws_key_id,
    "torn": github_token,
    "key": private_key,
    "line": github_token,
    "output": github_token,
    "target": github_token,
    "python": github_token,
    "exception": aws_key_id,
}  # fmt: skip

# What is cut to its beginning is no secret any more, what is cut to its end is one.
_TAIL = 8


class Canaries:
    """A clone with a remote, secrets in it, and a run that waits while one looks."""

    def __init__(self, folder: Path) -> None:
        self.secrets = {way: make() for way, make in WAYS.items()}
        self.secrets["known"] = self.secrets["variable"]
        self.plain = {way: f"plain-{way.replace(' ', '-')}-{letters(5).lower()}" for way in WAYS}
        self.folder = folder
        self.remote = folder / "remote.git"
        self.clone = Clone.make(folder / "repo")
        self._ready, self._go = folder / "ready", folder / "go"
        os.mkfifo(self._ready)
        os.mkfifo(self._go)
        files = {
            "job.py": JOB,
            "dirty.py": "a = 1\n",
            "staged.py": "a = 1\n",
            "later.py": "a = 1\n",
        }
        settings = '[environment]\nrecord = ["CANARY_*"]\n'
        self.clone.commit("as it was", {**files, ".gitprov.toml": settings, ".gitignore": "out\n"})
        self._set_up_remote()
        self.clone.prov("init")
        self._fill_work_tree()

    @contextmanager
    def running(self, status: int = 0) -> Iterator["Waiting"]:
        """Start the run, and yield it when its command has done all but end."""
        with subprocess.Popen(
            [sys.executable, "-m", "gitprov", "run", *self._options(), "--", *self._command()],
            cwd=self.clone.path,
            env=self._environment(status),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            # A run that ends early must not leave us waiting for its command.
            waiter = subprocess.Popen(["timeout", "60", "cat", self._ready], stdout=subprocess.PIPE)
            try:
                answer, _ = waiter.communicate(timeout=90)
                assert answer, process.communicate(timeout=10)
                yield Waiting(process, int(answer), self._go)
            finally:
                process.kill()

    def program(self) -> subprocess.CompletedProcess[str]:
        """Run a Python program that records itself, and fails."""
        return subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=self.clone.path,
            env=self._environment(0),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def words(self) -> Iterator[tuple[str, str]]:
        """Yield what must not be found: the ends of secrets, and of keys that of each line."""
        for way, secret in self.secrets.items():
            for line in secret.splitlines():
                if not line.startswith("-----"):
                    yield way, line[-_TAIL:]

    def leaks(self, contents: list[Content]) -> dict[str, set[str]]:
        """Return by which ways secrets have got where, but for where the user put them."""
        found: dict[str, set[str]] = {}
        for way, word in self.words():
            if places := places_of(word, contents):
                found.setdefault(way, set()).update(places)
        return found

    def missing(self, contents: list[Content], place: str, ways: str) -> list[str]:
        """Return the ways whose plain word is not found in a place, or below it."""
        return [
            way
            for way in ways.split(", ")
            if not any(
                found == place or found.startswith(f"{place}/")
                for found in places_of(self.plain[way], contents)
            )
        ]

    def _options(self) -> list[str]:
        secret, plain = self.secrets, self.plain
        params = self.folder / "params.json"
        params.write_text(
            json.dumps({"nested": {"secret_key": secret["params"]}, "note": plain["params"]})
        )
        nowhere = "https://127.0.0.1:9"
        return [
            *("-p", f"password={secret['param']}", "-p", f"note.of={plain['param']}"),
            *("-m", f"{plain['message']} with {secret['message']}"),
            *("-n", f"{plain['name']}-{secret['name']}"),
            *("-t", secret["tag"], "-t", plain["tag"]),
            *("--params", str(params), "--metrics", "metrics.json"),
            *("-i", f"https://ada:{secret['uri']}@127.0.0.1:9/{plain['uri']}"),
            *("-i", f"{nowhere}/{plain['signature']}?X-Amz-Signature={secret['signature']}"),
            *("-o", "out", "-o", f"{nowhere}/{plain['signature']}?sig={secret['signature']}"),
        ]

    def _command(self) -> list[str]:
        secret, plain = self.secrets, self.plain
        return [
            *(sys.executable, "job.py", f"{plain['argument']} {secret['argument']}"),
            f"http://127.0.0.1:9/?back={plain['escaped']}%3D{secret['escaped']}",
            *("--password", secret["option"], plain["option"]),
            *(f"--api-key={secret['assigned']}", plain["assigned"]),
        ]

    def _environment(self, status: int) -> dict[str, str]:
        told = self.folder / "canaries.json"
        told.write_text(json.dumps({"secrets": self.secrets, "plain": self.plain}))
        return clean_environment(
            CANARIES=str(told),
            CANARY_RECORDED=f"{self.plain['recorded']} {self.secrets['recorded']}",
            DB_PASSWORD=self.secrets["variable"],
            READY=str(self._ready),
            GO=str(self._go),
            STATUS=str(status),
        )

    def _set_up_remote(self) -> None:
        """Make a remote whose URL holds a password; the configuration is the user's own."""
        self.clone.git("init", "--quiet", "--bare", str(self.remote))
        url = f"https://ada:{self.secrets['remote']}@code.internal/{self.plain['remote']}.git"
        self.clone.git("config", f"url.{self.remote}.insteadOf", url)
        self.clone.git("remote", "add", "origin", url)
        self.clone.git("push", "--quiet", "origin", "main")

    def _fill_work_tree(self) -> None:
        clone, secret, plain = self.clone, self.secrets, self.plain
        clone.write("clean.py", f"# {plain['dirty']} {plain['untracked']} {plain['later']}\n")
        clone.write("dirty.py", f"a = '{secret['dirty']}'\n")
        clone.write("staged.py", f"a = '{secret['staged']}'  # {plain['staged']}\n")
        clone.git("add", "staged.py")
        clone.write("staged.py", f"a = 2  # {plain['staged']}\n")
        clone.write("later.py", f"# {plain['later']}\n")
        clone.git("add", "later.py")
        clone.write("later.py", f"a = '{secret['later']}'\n")
        clone.write("key.pem", secret["untracked"])
        clone.write("connect.py", f"connect('{secret['known']}')\n")
        clone.write(f"{plain['file name']}.csv", "1\n")
        clone.write(f"{secret['file name']}.csv", "1\n")
        (clone.path / "link").symlink_to(f"https://example.org/{secret['link']}")
        (clone.path / "fine").symlink_to(f"https://example.org/{plain['link']}")
        index = f"--extra-index-url https://ada:{secret['lock']}@packages.internal/simple\n"
        clone.write("requirements.txt", f"{index}numpy==2.0\n")
        clone.write("requirements-dev.txt", f"pytest==8.3  # {plain['lock']}\n")


class Waiting:
    """A run whose command waits to be let go."""

    def __init__(self, process: subprocess.Popen[bytes], command: int, go: Path) -> None:
        self.process = process
        self.command = command
        self._go = go

    def let_go(self) -> tuple[str, str]:
        """Let the command end; return what the run has printed, on both streams."""
        self._go.write_text("go")
        stdout, stderr = self.process.communicate(timeout=60)
        return stdout.decode(), stderr.decode()
