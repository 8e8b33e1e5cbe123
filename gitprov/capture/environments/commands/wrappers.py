"""Programs that start another in the same environment: with limits, variables, or many times.

A table of them: which of their options take a value, how many words stand before the command, and
which option changes its folder. What such a program starts, it finds on PATH as anyone would.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gitprov.capture.environments.commands.launching import Command, Launcher, options_before


@dataclass(frozen=True, slots=True)
class _Wrapper:
    """How to find the command in the words of a program."""

    with_value: str = ""
    with_two: str = ""
    positional: int = 0
    folder: tuple[str, ...] = ()
    # Options with which something else than the command's own surroundings decides.
    doubtful: tuple[str, ...] = ()

    def __call__(self, command: Command) -> Command | None:
        """Return what is started."""
        program, *words = command.argv
        found = options_before(words, self.with_value, self.with_two, positional=self.positional)
        if not found.rest:
            return None
        inner = replace(command, argv=found.rest)
        if (folder := found.value(*self.folder)) is not None:
            inner = replace(inner, cwd=command.cwd / folder)
        given = [name for name in self.doubtful if found.has(name)]
        name = Path(program).name
        return inner.doubting(
            *(f"{name} {option} may give another environment" for option in given)
        )


def _env(command: Command) -> Command | None:
    found = options_before(_spliced(command.argv[1:]), "-u --unset -C --chdir")
    words = list(found.rest)
    is_bare = found.has("-i", "--ignore-environment")
    if words[:1] == ["-"]:
        is_bare = bool(words.pop(0))
    unset = found.values("-u", "--unset")
    env = {} if is_bare else {n: value for n, value in command.env.items() if n not in unset}
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    cwd = command.cwd / (found.value("-C", "--chdir") or "")
    return replace(command, argv=tuple(words), cwd=cwd, env=env) if words else None


def _spliced(words: Sequence[str]) -> list[str]:
    """Return the words of env, with what `-S` has in one of them as words of their own."""
    for index, word in enumerate(words):
        if word in ("-S", "--split-string"):
            text = "".join(words[index + 1 : index + 2])
            return [*words[:index], *_split(text), *words[index + 2 :]]
        if word.startswith(("-S", "--split-string=")):
            text = word.removeprefix("-S").removeprefix("--split-string=")
            return [*words[:index], *_split(text), *words[index + 1 :]]
        if not word.startswith("-"):
            break
    return list(words)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


_MPI = _Wrapper(
    with_value=(
        "-n -np --n --np -c -N -H -host --host -hosts -hostfile --hostfile -machinefile "
        "--machinefile -f -ppn -perhost -x -map-by --map-by -bind-to --bind-to -rank-by "
        "--rank-by -wdir --wdir -wd -path --path -prefix --prefix -npernode --npernode "
        "-npersocket --npersocket -genvlist -envlist -launcher -bootstrap -rmk -iface "
        "-output-filename --output-filename -outfile -report-uri --report-uri -rf --rankfile "
        "-am --am -tune --tune -timeout --timeout"
    ),
    with_two="-mca --mca -gmca --gmca -pmca --pmca -prtemca --prtemca -genv -env",
    folder=("-wdir", "--wdir", "-wd"),
    doubtful=("-path", "--path", "-genv", "-env"),
)
_SRUN = _Wrapper(
    with_value=(
        "-A --account -c --cpus-per-task -C --constraint -d --dependency -D --chdir -e --error "
        "--export -G --gpus --gpus-per-node --gpus-per-task --gpu-bind --gres --gres-flags -i "
        "--input -J --job-name --jobid -L --licenses -m --distribution --mail-type --mail-user "
        "--mem --mem-per-cpu --mem-per-gpu --mem-bind --mpi -n --ntasks -N --nodes "
        "--ntasks-per-node --ntasks-per-gpu --ntasks-per-socket -o --output -p --partition -q "
        "--qos -r --relative --reservation -t --time -w --nodelist -x --exclude -W --wait "
        "--cpu-bind --hint --container-image --container-mounts --container-workdir "
        "--container-name --het-group --kill-on-bad-exit --threads-per-core --tmp "
        "--cpus-per-gpu --signal --comment"
    ),
    folder=("-D", "--chdir"),
    doubtful=("--container-image", "--container-name", "--export"),
)

WRAPPERS: Mapping[str, Launcher] = {
    "aprun": _Wrapper("-n -N -d -S -m -cc -L -e"),
    "caffeinate": _Wrapper("-t -w"),
    "catchsegv": _Wrapper(),
    "chrt": _Wrapper("-T -P -D --sched-runtime --sched-period --sched-deadline", positional=1),
    "env": _env,
    "ibrun": _Wrapper("-n -np -o"),
    "ionice": _Wrapper("-c --class -n --classdata"),
    "mpiexec": _MPI,
    "mpiexec.hydra": _MPI,
    "mpiexec.mpich": _MPI,
    "mpiexec.openmpi": _MPI,
    "mpirun": _MPI,
    "mpirun.mpich": _MPI,
    "mpirun.openmpi": _MPI,
    "nice": _Wrapper("-n --adjustment"),
    "nohup": _Wrapper(),
    "numactl": _Wrapper(
        "-i --interleave -p --preferred -P --preferred-many -N --cpunodebind -C --physcpubind "
        "-m --membind -w --weighted-interleave"
    ),
    "orterun": _MPI,
    "prterun": _MPI,
    "setsid": _Wrapper(),
    "srun": _SRUN,
    "stdbuf": _Wrapper("-i --input -o --output -e --error"),
    "taskset": _Wrapper(positional=1),
    "time": _Wrapper("-f --format -o --output"),
    "timeout": _Wrapper("-k --kill-after -s --signal", positional=1),
    "unbuffer": _Wrapper(),
    "xvfb-run": _Wrapper(
        "-e --error-file -f --auth-file -n --server-num -p --xauth-protocol -s --server-args "
        "-w --wait"
    ),
}
