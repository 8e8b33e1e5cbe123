"""`git prov scan`: what would be recorded and pushed, the secrets in it, and what opens one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitprov.errors import UnknownPath, UnknownRun
from tests.support import runs
from tests.support.everywhere import everything
from tests.support.repositories import Clone, clean_environment
from tests.support.secrets import github_token, letters, password, private_key


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "repo")
    clone.git("init", "--quiet", "--bare", str(tmp_path / "hub.git"))
    clone.git("remote", "add", "origin", str(tmp_path / "hub.git"))
    clone.git("push", "--quiet", "--set-upstream", "origin", "main")
    return clone


def scanned(clone: Clone, *arguments: str, **env: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(clone.prov("scan", "--json", *arguments, check=False, **env))
    assert found["schema"] == "scan.1"
    return found


def in_push(clone: Clone) -> list[tuple[str, str]]:
    """Return the places and kinds of secrets that a push would send."""
    return [(item["place"], item["kind"]) for item in scanned(clone)["next_push"]["secrets"]]


def test_a_clean_tree_has_nothing_to_tell(clone: Clone) -> None:
    done = clone.prov_call("scan")
    assert done.returncode == 0
    assert "nothing differs" in done.stdout
    assert "no secrets found" in done.stdout
    found = scanned(clone)
    assert found["next_run"]["files"] == []
    assert found["next_push"] == {
        "remote": "origin", "runs": 0, "snapshots": 0, "commits": 0, "waiting": 0,
        "unread": [], "secrets": [],
    }  # fmt: skip


def test_it_shows_what_the_next_run_then_records(clone: Clone) -> None:
    clone.run("true", options=["-m", github_token()])  # there is a key from here on
    clone.write("new.py", "new = 1\n")
    clone.write("uv.lock", "version = 1\n")
    clone.write("gone.py", "gone = 1\n")
    clone.commit("more", {"gone.py": "gone = 1\n"})
    (clone.path / "gone.py").unlink()
    clone.write("train.py", "changed = 1\n")
    clone.write("large.bin", "x" * 2000)
    clone.write("sub/key.py", f"\nkey = '{github_token()}'\n")
    clone.git("config", "prov.snapshot.maxFileSize", "1000")
    clone.git("config", "remote.origin.url", f"https://ada:{password()}@hub.internal/line.git")
    command = ["python", "train.py", "--password", password()]
    found = scanned(clone, "--", *command, OMP_NUM_THREADS="3")["next_run"]
    clone.prov("run", "--quiet", "--", *command, check=False, OMP_NUM_THREADS="3")
    run = json.loads(clone.prov("show", "--json"))
    assert {**found["command"], "entrypoint": "git prov run"} == run["command"]
    assert found["command"]["argv"][3].startswith("{secret:")
    assert found["command"]["env"]["OMP_NUM_THREADS"] == "3"
    assert found["source"]["repo_uri"] == run["source"]["repo_uri"]
    assert found["source"]["repo_uri"] == "https://hub.internal/line.git"
    assert found["environment"]["locks"] == run["environment"]["locks"] == ["uv.lock"]
    assert found["deleted"] == 1
    named = {item["path"]: item["reason"] for item in run["source"]["omitted"]}
    assert {item["path"]: item["reason"] for item in found["omitted"]} == named
    assert set(named) == {"large.bin", "sub/key.py"}
    changed = clone.git("diff", "--name-only", "--diff-filter=d", "HEAD", run["source"]["snapshot"])
    sizes = {item["path"]: item["size"] for item in found["files"]}
    assert sorted(sizes) == changed.splitlines()
    assert sizes["train.py"] == len("changed = 1\n")


def test_it_tells_places_and_kinds_and_never_the_secret(clone: Clone) -> None:
    secret, word = github_token(), password()
    clone.write("sub/new.py", f"one = 1\ntwo = '{secret}'\nthree = '{secret}'\n")
    clone.write(f"{secret}.csv", "1\n")
    clone.write("requirements.txt", f"--extra-index-url https://ada:{word}@hub.internal/simple\n")
    clone.write("mine.py", f"connect('{word}')\n")
    done = clone.prov_call("scan", "--", "echo", secret, DB_PASSWORD=word)
    assert done.returncode == 1
    for line in (
        "  command.argv[1]: GitHub Token",
        "  sub/new.py, line 2: GitHub Token",
        "  sub/new.py, line 3: GitHub Token",
        "  mine.py, line 1: Environment Variable",
    ):
        assert line in done.stdout.splitlines()
    for place in ("environment.locks.requirements.txt", "requirements.txt, line 1"):
        assert f"  {place}: " in done.stdout
    assert "7 secrets found" in done.stdout  # and the name of the table
    assert secret not in done.stdout + done.stderr
    assert word not in done.stdout + done.stderr


def test_paths_pick_files(clone: Clone) -> None:
    clone.write("sub/new.py", f"new = '{github_token()}'\n")
    clone.write("sub/fine.py", "fine = 1\n")
    clone.write("other.py", f"other = '{github_token()}'\n")
    found = scanned(clone, "sub")["next_run"]
    assert [item["path"] for item in found["files"]] == ["sub/fine.py"]
    assert [item["path"] for item in found["omitted"]] == ["sub/new.py"]
    assert [item["place"] for item in found["secrets"]] == ["sub/new.py"]
    assert clone.prov_call("scan", "sub/fine.py").returncode == 0


def test_paths_that_are_not_looked_at_are_no_all_clear(clone: Clone) -> None:
    clone.commit("more", {"same.py": "same = 1\n", "gone.py": "gone = 1\n", "old/a.py": "a = 1\n"})
    (clone.path / "gone.py").unlink()
    clone.write(".gitignore", "*.bin\n")
    clone.write("a.bin", "1\n")
    for path, problem in [
        ("../elsewhere", "is not in the work tree"),
        ("wrong.py", "wrong.py: there is no such file"),
    ]:
        done = clone.prov_call("scan", ".gitignore", path)
        assert done.returncode == UnknownPath.exit_status
        assert problem in done.stderr
        assert done.stdout == ""
    for path in ("same.py", "old", "a.bin"):
        done = clone.prov_call("scan", path)
        assert done.returncode == 0
        assert f"{path} is as committed, or ignored by git: not looked at" in done.stderr
    done = clone.prov_call("scan", ".", "gone.py")
    assert done.returncode == 0
    assert done.stderr == ""
    assert scanned(clone, "gone.py")["next_run"]["deleted"] == 1
    assert scanned(clone, "old")["next_run"]["deleted"] == 0


def test_nothing_is_written(clone: Clone) -> None:
    clone.write("new.py", f"new = '{github_token()}'\n")
    clone.write("fine.py", "fine = 1\n")
    clone.git("add", "fine.py")
    git_dir = clone.path / ".git"
    for _ in range(2):
        before = list(everything(git_dir))
        assert clone.prov_call("scan", "--", "true").returncode == 1
        assert list(everything(git_dir)) == before
        clone.run("true")  # with a key and caches, too


def test_what_is_allowed_is_no_secret(clone: Clone) -> None:
    clone.write("new.py", f"new = '{github_token()}'\n")
    assert clone.prov_call("scan").returncode == 1
    clone.write(".gitprov.toml", '[secrets]\nallow-paths = ["new.py"]\n')
    assert clone.prov_call("scan").returncode == 0
    clone.write(".gitprov.toml", '[secrets]\nallow-path = ["new.py"]\n')
    done = clone.prov_call("scan")
    assert done.returncode == 1
    assert "did you mean allow-paths?" in done.stderr


def test_it_says_what_a_push_would_publish(clone: Clone) -> None:
    clone.run("true")
    clone.commit("not pushed", {"b.py": "b = 1\n"})
    clone.write("dirty.py", "dirty = 1\n")
    clone.run("echo", "hello")
    sent = json.loads(clone.prov("push", "--dry-run", "--json"))["sent"]
    found = scanned(clone)["next_push"]
    told = {"runs": 2, "snapshots": 1, "commits": 1}
    assert told.items() <= sent.items()
    assert told.items() <= found.items()
    assert "2" in clone.prov("scan")
    clone.prov("push")
    assert scanned(clone)["next_push"]["runs"] == 0


def test_runs_that_wait_in_the_journal_are_counted(clone: Clone) -> None:
    store = clone.store()
    runs.finish(store)
    store.close()
    assert scanned(clone)["next_push"]["waiting"] == 1
    assert "0 and 1 that wait" in clone.prov("scan")


def test_what_was_recorded_under_other_rules_is_looked_at_by_those_of_today(clone: Clone) -> None:
    secret, key = github_token(), private_key()
    everything_goes = '[secrets]\nallow-patterns = ["."]\n'
    clone.write(".gitprov.toml", everything_goes)
    clone.write("dirty.py", f"dirty = '{secret}'\n")
    clone.write("requirements.txt", f"# {secret}\n")
    (clone.path / "key").write_text(key)
    (clone.path / ".git/info/exclude").write_text("key\n")
    clone.run("sh", "-c", f"cat key; echo {secret}")
    clone.write(".gitprov.toml", "# nothing is allowed\n")
    run = clone.last_id()[:8]
    snapshot = json.loads(clone.prov("show", "--json"))["source"]["snapshot"][:9]
    found = in_push(clone)
    assert (f"run {run}, command.argv[2]", "GitHub Token") in found
    assert (f"run {run}, environment/requirements.txt", "GitHub Token") in found
    assert (f"run {run}, output.log", "Private Key") in found
    assert (f"run {run}, output.log", "GitHub Token") in found
    assert (f"commit {snapshot}, dirty.py", "GitHub Token") in found
    assert clone.prov_call("scan").returncode == 1
    # What has been pushed cannot be helped any more.
    clone.prov("push")
    assert in_push(clone) == []
    clone.write(".gitprov.toml", everything_goes)
    assert clone.prov_call("scan").returncode == 0


def test_names_in_listings_are_looked_at(clone: Clone) -> None:
    """Each node once, by whatever rules there are today."""
    secret = github_token()
    clone.write(".gitprov.toml", '[secrets]\nallow-patterns = ["."]\n')
    for number in range(1100):
        clone.write(f"data/many/{number}", "")
    clone.write(f"data/many/{secret}", "")
    (clone.path / "data" / "link").symlink_to(f"/home/{secret}")
    clone.write("other/fine", "")
    clone.run("true", options=["-i", "data", "-i", "other"])
    clone.write(".gitprov.toml", "# nothing is allowed\n")
    run = json.loads(clone.prov("show", "--json"))
    data, other = (item["listing"] for item in run["inputs"])
    found = in_push(clone)
    place = f"run {run['id'][:8]}, {data}"
    assert found.count((place, "GitHub Token")) == 2
    assert not any(other in place for place, _ in found)
    assert clone.prov_call("scan").returncode == 1
    # One more run with the same folder has nothing new to tell, but for what is new.
    clone.run("true", options=["-i", "data/many"])
    again = in_push(clone)
    assert len([place for place, _ in again if "listing-" in place]) == 2
    clone.prov("push")
    assert in_push(clone) == []


def test_long_output_is_looked_at_as_well(clone: Clone) -> None:
    secret = github_token()
    clone.write(".gitprov.toml", '[secrets]\nallow-patterns = ["."]\n')
    lines = "; ".join(["seq 1 5000", f'echo {secret[:20]}""{secret[20:]}', "seq 1 5000"])
    clone.run("sh", "-c", lines)
    (clone.path / ".gitprov.toml").unlink()
    run = clone.last_id()[:8]
    assert (f"run {run}, output.log", "GitHub Token") in in_push(clone)


def test_commits_of_the_users_own_that_a_push_publishes_are_looked_at(clone: Clone) -> None:
    old, new = github_token(), github_token()
    clone.commit("pushed", {"a.py": f"a = '{old}'\n"})
    clone.git("push", "--quiet", "origin", "main")
    commit = clone.commit("not pushed", {"a.py": f"a = '{old}'\nb = '{new}'\n", "b.bin": "x"})
    clone.run("true")
    found = scanned(clone)["next_push"]["secrets"]
    assert found == [{"place": f"commit {commit[:9]}, a.py", "kind": "GitHub Token", "line": 2}]


def test_large_files_are_named_and_not_looked_at(clone: Clone) -> None:
    large = f"a = '{github_token()}'\n" + "x" * (16 << 20)
    commit = clone.commit("large", {"large.txt": large})
    clone.run("true")
    found = scanned(clone)["next_push"]
    assert found["unread"] == [f"commit {commit[:9]}, large.txt"]
    assert found["secrets"] == []
    assert "too large: commit" in clone.prov("scan")


def test_without_a_remote_or_a_work_tree(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "alone")
    assert "next_push" not in scanned(clone)
    assert "there is no remote" in clone.prov("scan")
    clone.git("init", "--quiet", "--bare", "../bare.git")
    bare = Clone(tmp_path / "bare.git")
    assert bare.prov_call("scan").returncode == 0
    assert scanned(bare)["next_run"]["files"] == []


def asked(clone: Clone, value: str, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gitprov", "scan", "--opens", name],
        input=value,
        cwd=clone.path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def opens(clone: Clone, value: str, name: str = "last") -> list[str]:
    """Return which places a value opens; fails where the exit status does not say the same."""
    done = asked(clone, value, name)
    places = done.stdout.splitlines()
    assert done.returncode == (0 if places else 1)
    assert value not in done.stdout + done.stderr
    return places


def test_a_value_opens_its_commitments(clone: Clone, tmp_path: Path) -> None:
    secret, word, text = github_token(), password(), f"key = '{github_token()}'\n"
    clone.write("dirty.py", text)
    options = ["-m", f"with {secret}", "-p", f"password={word}"]
    clone.run("echo", secret, options=options)
    assert opens(clone, secret) == ["command.argv[1]", "message", "output.log"]
    assert opens(clone, f"{secret}\n") == opens(clone, secret)
    assert opens(clone, word) == ["params.password"]
    assert opens(clone, text) == ["source.omitted[0].digest.hmac_sha256"]
    assert opens(clone, github_token()) == []
    assert opens(clone, letters(5)) == []
    # Of an earlier run, by name; and elsewhere nobody can tell.
    clone.run("true")
    assert opens(clone, secret) == []
    assert opens(clone, secret, "last~1") == ["command.argv[1]", "message", "output.log"]
    clone.prov("push")
    other = Clone.of(str(tmp_path / "hub.git"), tmp_path / "other")
    other.prov("init")
    other.prov("pull", "--payload")
    assert "{secret:" in other.prov("show", "last~1", "--json")
    assert opens(other, secret, "last~1") == []
    assert asked(clone, secret, "nobody").returncode == UnknownRun.exit_status


def test_kinds_that_are_none_are_told(clone: Clone) -> None:
    kinds = ["AWS Access Key", "Github Token", "Nonsense"]
    clone.write(".gitprov.toml", f"[secrets]\nallow-kinds = {json.dumps(kinds)}\n")
    done = clone.prov_call("scan")
    assert done.returncode == 0
    said = done.stderr.splitlines()
    assert len(said) == 2
    assert "holds 'Github Token', which is no kind; did you mean GitHub Token?" in said[0]
    assert "holds 'Nonsense', which is no kind; there is AWS Access Key, Age Secret Key," in said[1]
