"""Locks that a killed git has left: told from those of the living, and removed.

Git never breaks a lock: what a killed git leaves would block a ref for ever, and the lock names
nobody. So before a git of ours changes what others may change, too, a file in
`<common dir>/prov/moving/` announces what, and where to (`announce`). That git shares the store's
lock: whoever gets it and finds the file knows that this git is dead, and that a lock with the
announced value in it is nobody else's. An empty one might be; it is dead where it is seconds old
and no git is alive that is as old. A git that takes long, a fetch or push, does not share the
store's lock: there, who waits for it keeps a lock on the announcement itself (`announced`).
Specification: section 9.3.
"""

import fcntl
import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from gitprov.store.liveness import is_local
from gitprov.store.refs import NOTES, OURS, REMOTE
from gitprov.store.repository import Repository

PACKED = "packed-refs"
CONFIG = "config"
SHALLOW = "shallow"
_WHOLE = (PACKED, CONFIG, SHALLOW)  # files that are locked as a whole
# Git holds such a lock for milliseconds, and gives up waiting for one after 0.1 (of the packed
# refs, 1.0) seconds.
LONGEST_SECONDS = 5
# Commands that may go on for days, and lock nothing of ours. The last is what started us.
_HARMLESS = frozenset(
    b"cat-file credential-cache--daemon daemon fsmonitor--daemon log prov".split()
)

# What is to change, as a path in the common directory, and the new value where it is a ref.
Plan = Mapping[str, str | None]


class GitLock(NamedTuple):
    """A lock on a ref of ours, or where we have announced one.

    Its file, its age, why it is known to be dead, if it is, and whether age alone is wanting.
    """

    path: Path
    age_seconds: float
    proof: str | None
    is_ripening: bool


class _Announced(NamedTuple):
    value: str
    since: float


def announce(repository: Repository, plan: Plan) -> Path:
    """Say what a git of ours is about to change; the file goes once that git has ended well."""
    path = _new(repository)
    path.write_text("".join(f"{name} {value or ''}\n" for name, value in plan.items()))
    return path


@contextmanager
def announced(repository: Repository, *names: str) -> Iterator[None]:
    """Say what a git may lock that runs in the block, without the store's lock."""
    path = _new(repository)
    temporary = repository.prov_dir / f".{path.name}.tmp"
    with temporary.open("w") as file:
        with suppress(OSError):  # there are filesystems without
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write("".join(f"{name} \n" for name in names))
        file.flush()
        temporary.replace(path)
        try:
            yield
        finally:
            if not any((repository.common_dir / f"{name}.lock").exists() for name in names):
                path.unlink(missing_ok=True)


def left_moving(repository: Repository) -> bool:
    """Say whether a git of ours was killed at work. Under the store's lock."""
    return any(_announcements(repository))


def has_locks(repository: Repository) -> bool:
    """Say whether there are any locks on our refs, which is quick to tell."""
    return any(path.exists() for path in _lock_files(repository.common_dir, ()))


def mend(repository: Repository) -> None:
    """Clear up after a git that was killed, where there is anything to; under the store's lock."""
    if left_moving(repository) or has_locks(repository):
        release_dead_locks(repository)


def release_dead_locks(repository: Repository) -> list[GitLock]:
    """Remove the locks that are known to be dead; return the others. Under the store's lock.

    Where nothing is wanting but age, it is waited for: a few seconds.
    """
    locks = git_locks(repository)
    if young := [lock.age_seconds for lock in locks if lock.is_ripening]:
        time.sleep(LONGEST_SECONDS - max(0.0, min(young)) + 0.1)
        locks = git_locks(repository)
    alive = []
    for lock in locks:
        if lock.proof:
            _remove(lock.path)
        else:
            alive.append(lock)
    if not alive:
        for path in _announcements(repository):
            path.unlink(missing_ok=True)
    return alive


def git_locks(repository: Repository) -> list[GitLock]:
    """Return the locks on our refs. What is known of them holds under the store's lock."""
    announced = _read(repository)
    found = []
    for path in _lock_files(repository.common_dir, announced):
        with suppress(FileNotFoundError):
            made, value = path.stat().st_mtime, path.read_text(errors="replace").strip()
            name = path.relative_to(repository.common_dir).as_posix().removesuffix(".lock")
            age, plans = time.time() - made, announced.get(name, [])
            proof = next(filter(None, (_proof_by_plan(plan, value, made) for plan in plans)), None)
            if proof is None and is_local(path):
                proof = _proof_by_age(name, made)
            ripens = proof is None and -1 <= age <= LONGEST_SECONDS
            ripens = ripens and (bool(plans) or name.startswith(REMOTE))
            found.append(GitLock(path, age, proof, ripens))
    return found


def _proof_by_plan(plan: _Announced, value: str, made: float) -> str | None:
    killed = "left by a gitprov that was killed"
    if plan.value and value == plan.value:
        return killed
    fits = plan.value.startswith(value) or not plan.value
    ripe = time.time() - made > LONGEST_SECONDS and not _git_lives_since(made)
    return killed if fits and made >= plan.since and ripe else None


def _proof_by_age(name: str, made: float) -> str | None:
    """Return why a lock on a filesystem of this machine alone is dead that nobody has announced.

    `git fetch` and `git push` cannot announce where they will see a remote's refs.
    """
    if made < _boot_time():
        return None if _git_lives_since(made) else "older than this machine's start"
    old = time.time() - made > LONGEST_SECONDS
    if name.startswith(REMOTE) and old and not _git_lives_since(made):
        return "left by a git that was killed"
    return None


def _lock_files(common_dir: Path, announced: Collection[str]) -> Iterator[Path]:
    for top in (OURS, REMOTE):
        # Not rglob, which takes its time: each drain looks here.
        for folder, _, names in os.walk(common_dir / top):
            yield from (Path(folder, name) for name in names if name.endswith(".lock"))
    yield common_dir / f"{NOTES}.lock"
    yield from (common_dir / f"{name}.lock" for name in _WHOLE if name in announced)


def _remove(lock: Path) -> None:
    if lock.stem == PACKED:
        # What it guards: git stumbles over one that is there.
        lock.with_suffix(".new").unlink(missing_ok=True)
    lock.unlink(missing_ok=True)


def _folder(repository: Repository) -> Path:
    return repository.prov_dir / "moving"


def _new(repository: Repository) -> Path:
    folder = _folder(repository)
    folder.mkdir(exist_ok=True)
    return folder / f"{os.getpid()}-{os.urandom(4).hex()}"


def _announcements(repository: Repository) -> Iterator[Path]:
    """Yield the announcements of gits that are gone, or share the store's lock."""
    with suppress(FileNotFoundError):
        yield from (path for path in _folder(repository).iterdir() if not _is_kept(path))


def _is_kept(announcement: Path) -> bool:
    """Say whether somebody waits for the git that was announced."""
    with suppress(FileNotFoundError), announcement.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # there are filesystems without
            return False
    return False


def _read(repository: Repository) -> dict[str, list[_Announced]]:
    """Return what was announced, by name."""
    found: dict[str, list[_Announced]] = defaultdict(list)
    for path in _announcements(repository):
        with suppress(FileNotFoundError):
            since = path.stat().st_mtime
            for line in path.read_text(errors="replace").splitlines():
                name, _, value = line.partition(" ")
                found[name].append(_Announced(value, since))
    return found


def _git_lives_since(moment: float) -> bool:
    """Say whether a git may be alive on this machine that was there at a moment of the past."""
    boot, ticks = _boot_time(), os.sysconf("SC_CLK_TCK")
    try:
        processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    except OSError:
        return True
    for process in processes:
        with suppress(OSError, IndexError):
            name, _, rest = (process / "stat").read_text(errors="replace").rpartition(")")
            words = rest.split()
            if "(git" not in name or words[0] in "ZX":
                continue
            if _subcommand((process / "cmdline").read_bytes().split(b"\0")) in _HARMLESS:
                continue
            if boot + int(words[19]) / ticks < moment + 1:
                return True
    return not boot


def _subcommand(words: list[bytes]) -> bytes:
    """Return which command of git's a command line is."""
    for word in words[:2]:  # a script, such as ours, stands behind its interpreter
        program = word.rpartition(b"/")[2]
        if program.startswith(b"git-"):
            return program.removeprefix(b"git-")
    rest = iter(words[1:])
    for word in rest:
        if word in (b"-c", b"-C"):
            next(rest, None)
        elif not word.startswith(b"-"):
            return word
    return b""


def _boot_time() -> float:
    """Return when this machine was started, by its present clock; 0 where that is not known."""
    try:
        stat = Path("/proc/stat").read_text()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in stat.splitlines() if "btime" in line), 0.0)
