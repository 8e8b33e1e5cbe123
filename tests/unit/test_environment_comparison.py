"""What two environments differ in: each section, and what is no difference."""

from typing import Any

import pytest

from gitprov.environments.comparison import compare
from gitprov.environments.versions import direction
from gitprov.model.environment import (
    Accelerator,
    Broken,
    CondaEnvironment,
    CondaPackage,
    Container,
    Disagreement,
    Editable,
    Environment,
    Interpreter,
    LanguageEnvironment,
    LibraryPackage,
    LinearAlgebra,
    Machine,
    Origin,
    Package,
    PythonEnvironment,
    SystemPackages,
)
from gitprov.model.environment_changes import Change

GIT = Origin(url="https://git.example/a.git", vcs="git", commit="1" * 40)
WHEEL = Origin(url="file:///wheels/a-1-py3-none-any.whl", hashes={"sha256": "0a"})


def package(name: str, version: str = "1", **more: Any) -> Package:
    return Package(name=name, version=version, purl=f"pkg:pypi/{name}@{version}", **more)


def python(*packages: Package, **interpreter: Any) -> PythonEnvironment:
    facts = {
        "version": "3.11.7",
        "implementation": "cpython",
        "soabi": "cpython-311",
        **interpreter,
    }
    return PythonEnvironment(interpreter=Interpreter(**facts), packages=packages)


def conda(*packages: tuple[str, str, str], prefix: str = "/opt/env") -> CondaEnvironment:
    found = [
        CondaPackage(name=name, version=version, build=build) for name, version, build in packages
    ]
    return CondaEnvironment(prefix=prefix, packages=tuple(found))


def short(change: Change) -> tuple[str, str, str, str | None, str | None]:
    return change.section, change.kind, change.name, change.before, change.after


def changes(
    before: Environment, after: Environment
) -> list[tuple[str, str, str, str | None, str | None]]:
    return [short(change) for change in compare(before, after).changes]


def of_packages(before: Package | None, after: Package | None) -> list[Change]:
    sides = [Environment(python=python(*([item] if item else []))) for item in (before, after)]
    return list(compare(*sides).changes)


class TestVersions:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("1.9", "1.10"),
            ("1.0rc1", "1.0"),
            ("1.0.dev3", "1.0a1"),
            ("1.0", "1.0.post1"),
            ("2024.1", "1!0.1"),
            ("1.0", "1.0+local"),
            ("1.0", "1.0.1"),
        ],
    )
    def test_of_python_packages(self, before: str, after: str) -> None:
        assert direction(before, after, pep440=True) == 1
        assert direction(after, before, pep440=True) == -1

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("1.9", "1.10"),
            ("1.1.1", "1.1.1w"),
            ("1.0rc1", "1.0"),
            ("2024a", "2024b"),
            ("2.36-9+deb12u4", "2.36-9+deb12u13"),
            ("1.0~beta1", "1.0"),
            ("1.0", "1.0+b1"),
            ("9" * 60, "1" + "0" * 60),
            ("0.9.x", "0.10"),
        ],
    )
    def test_of_all_others(self, before: str, after: str) -> None:
        assert direction(before, after) == 1
        assert direction(after, before) == -1

    def test_of_python_packages_that_break_the_rule_go_by_the_other_order(self) -> None:
        assert direction("2004d-broken", "2010b-broken", pep440=True) == 1
        assert direction("1.0.0", "1.0", pep440=True) == 0

    @pytest.mark.parametrize("pep440", [True, False])
    def test_of_strangers_cost_nothing(self, *, pep440: bool) -> None:
        assert direction("9" * 100_000, "8" * 100_000, pep440=pep440) == 0
        assert direction("9" * 127, "8" * 127, pep440=pep440) == -1
        assert direction("", "1", pep440=pep440) == 1


class TestPackages:
    def test_up_down_and_on_one_side(self) -> None:
        before = Environment(python=python(package("a", "1.9"), package("b", "2"), package("gone")))
        after = Environment(python=python(package("a", "1.10"), package("b", "1"), package("new")))
        assert changes(before, after) == [
            ("packages", "upgraded", "a", "1.9", "1.10"),
            ("packages", "downgraded", "b", "2", "1"),
            ("packages", "removed", "gone", "1", None),
            ("packages", "added", "new", None, "1"),
        ]

    def test_names_are_compared_in_one_form(self) -> None:
        assert of_packages(package("Foo.Bar"), package("foo_bar")) == []

    def test_other_content_of_the_same_version(self) -> None:
        (change,) = of_packages(
            package("a", content_sha256="aa", record_sha256="1"),
            package("a", content_sha256="bb", record_sha256="2"),
        )
        assert (change.kind, change.details) == ("changed", ("other content",))

    def test_a_record_alone_says_nothing(self) -> None:
        one, two = package("a", record_sha256="1"), package("a", record_sha256="2")
        assert of_packages(one, two) == []
        assert of_packages(one, package("a", record_sha256="2", content_sha256="bb")) == []

    def test_the_installer_makes_no_difference(self) -> None:
        assert of_packages(package("a", installer="pip"), package("a", installer="uv")) == []

    @pytest.mark.parametrize(
        ("before", "after", "says"),
        [
            (None, GIT, "from git+https://git.example/a.git@111111111, before from an index"),
            (GIT, None, "from an index, before from git+https://git.example/a.git@111111111"),
            (None, WHEEL, "from file:///wheels/a-1-py3-none-any.whl, before from an index"),
        ],
    )
    def test_origins(self, before: Origin | None, after: Origin | None, says: str) -> None:
        (change,) = of_packages(package("a", origin=before), package("a", origin=after))
        assert (change.kind, change.details) == ("changed", (says,))

    def test_equal_content_from_another_place_is_the_same(self) -> None:
        elsewhere = Origin(url="file:///mnt/a-1-py3-none-any.whl", hashes={"sha256": "0a"})
        assert of_packages(package("a", origin=WHEEL), package("a", origin=elsewhere)) == []
        one = package("a", content_sha256="aa", origin=Origin(url="file:///one"))
        two = package("a", content_sha256="aa", origin=Origin(url="file:///two"))
        assert of_packages(one, two) == []
        assert of_packages(one, package("a", content_sha256="aa")) == []

    def test_another_commit_is_told_whatever_the_content(self) -> None:
        other = Origin(url="https://git.example/a.git", vcs="git", commit="2" * 40)
        one, two = (package("a", content_sha256="aa", origin=origin) for origin in (GIT, other))
        (change,) = of_packages(one, two)
        assert "@222222222" in change.details[0]

    def test_editable_or_not(self) -> None:
        (change,) = of_packages(package("a"), package("a", editable=True))
        assert change.details == ("editable now",)
        (change,) = of_packages(package("a", editable=True), package("a", "2"))
        assert (change.kind, change.details) == ("upgraded", ("no longer editable",))


class TestSections:
    def test_equal_environments(self) -> None:
        environment = everything()
        difference = compare(environment, environment, variables=({"A": "1"}, {"A": "1"}))
        assert not difference
        assert difference.unrecorded == {}

    def test_the_interpreter(self) -> None:
        before = Environment(python=python(kind="venv", executable="/a/python"))
        after = Environment(
            python=python(version="3.12.0", soabi="cpython-312", kind="uv", executable="/b/python")
        )
        assert changes(before, after) == [
            ("interpreter", "upgraded", "version", "3.11.7", "3.12.0"),
            ("interpreter", "changed", "kind", "venv", "uv"),
            ("interpreter", "changed", "executable", "/a/python", "/b/python"),
        ]

    def test_another_abi_of_the_same_version(self) -> None:
        before = Environment(python=python())
        after = Environment(python=python(soabi="cpython-311d"))
        assert changes(before, after) == [
            ("interpreter", "changed", "soabi", "cpython-311", "cpython-311d")
        ]

    def test_no_interpreter(self) -> None:
        before = Environment(python=python(package("a"), kind="venv"))
        assert changes(before, Environment()) == [
            ("interpreter", "removed", "interpreter", "CPython 3.11.7 (venv)", None)
        ]

    def test_editable_states(self) -> None:
        def state(**more: Any) -> Environment:
            return Environment(editables=(Editable(name="a", path="/a", **more),))

        clean = state(commit="1" * 40, dirty=False)
        (change,) = compare(clean, state(commit="2" * 40, dirty=True)).changes
        assert short(change) == (
            "editables", "changed", "a", "1" * 40, f"{'2' * 40} with uncommitted changes",
        )  # fmt: skip
        dirty = [state(commit="1" * 40, dirty=True, tree=tree) for tree in ("aa", "bb")]
        (change,) = compare(*dirty).changes
        assert change.details == ("other uncommitted changes",)

    def test_the_repository_of_the_run_is_told_by_its_source(self) -> None:
        sides = [
            Environment(editables=(Editable(name="a", path="/a", commit=commit, is_source=True),))
            for commit in ("1" * 40, "2" * 40)
        ]
        assert not compare(*sides)

    def test_other_interpreters(self) -> None:
        before = Environment(others={"1": python(package("a", "1")), "gone": python()})
        after = Environment(others={"1": python(package("a", "2"))})
        upgraded, removed = compare(before, after).changes
        assert (upgraded.within, *short(upgraded)[1:3]) == ("1", "upgraded", "a")
        assert (removed.kind, removed.before) == ("removed", "CPython 3.11.7")

    def test_conda(self) -> None:
        before = Environment(conda=conda(("a", "1.0", "h1_0"), ("b", "1.9", "0"), ("c", "1", "0")))
        after = Environment(conda=conda(("a", "1.0", "h2_0"), ("b", "1.10", "1"), prefix="/other"))
        found = compare(before, after)
        assert sorted(map(short, found.changes)) == [
            ("conda", "changed", "a", "1.0", "1.0"),
            ("conda", "removed", "c", "1", None),
            ("conda", "upgraded", "b", "1.9", "1.10"),
        ]
        assert [change.details for change in found.changes if change.details] == [
            ("build h1_0 -> h2_0",)
        ]

    def test_conda_of_other_content(self) -> None:
        sides = [
            Environment(
                conda=CondaEnvironment(
                    prefix="/p",
                    packages=(CondaPackage(name="a", version="1", build="0", md5=md5),),
                )
            )
            for md5 in ("aa", "bb")
        ]
        (change,) = compare(*sides).changes
        assert change.details == ("other content",)

    def test_conda_on_one_side(self) -> None:
        found = changes(Environment(), Environment(conda=conda(("a", "1", "0"))))
        assert found == [
            ("conda", "added", "environment", None, "/opt/env"),
            ("conda", "added", "a", None, "1"),
        ]

    def test_other_languages(self) -> None:
        def language(version: str, **packages: str) -> Environment:
            found = [LibraryPackage(name=name, version=text) for name, text in packages.items()]
            return Environment(
                languages={"R": LanguageEnvironment(version=version, packages=tuple(found))}
            )

        found = compare(language("4.2.2", ggplot2="3.4"), language("4.3.0", ggplot2="3.3"))
        assert [(change.within, *short(change)[1:]) for change in found.changes] == [
            ("R", "upgraded", "R", "4.2.2", "4.3.0"),
            ("R", "downgraded", "ggplot2", "3.4", "3.3"),
        ]
        assert [change.kind for change in compare(Environment(), language("4")).changes] == [
            "added"
        ]

    def test_lock_files(self) -> None:
        before = Environment(locks={"uv.lock": b"a\nb\n", "old.txt": b"", "same.txt": b"x"})
        after = Environment(locks={"uv.lock": b"a\nc\nd\n", "new.txt": b"", "same.txt": b"x"})
        found = compare(before, after).changes
        assert [(change.kind, change.name, change.details) for change in found] == [
            ("added", "new.txt", ()),
            ("removed", "old.txt", ()),
            ("changed", "uv.lock", ("+2 -1 lines",)),
        ]

    def test_where_locks_began_to_disagree(self) -> None:
        said = Disagreement(lock="uv.lock", name="numpy", locked="2.1", installed="2.0")
        (change,) = compare(Environment(), Environment(disagreements=(said,))).changes
        assert (change.kind, change.details) == (
            "added",
            ("uv.lock says numpy 2.1, 2.0 is installed",),
        )

    def test_what_is_not_whole(self) -> None:
        whole = Environment(python=python())
        broken = PythonEnvironment(
            interpreter=whole.python.interpreter,  # type: ignore[union-attr]
            broken=(Broken(entry="~a.dist-info", reason="left over"),),
        )
        assert changes(whole, Environment(python=broken)) == [
            ("broken", "added", "~a.dist-info", None, "left over")
        ]

    def test_the_system(self) -> None:
        before = Environment(system={"os": "Linux", "kernel": "6.1", "libc": "glibc 2.36"})
        after = Environment(system={"os": "Linux", "kernel": "6.8", "machine": "x86_64"})
        assert changes(before, after) == [
            ("system", "changed", "kernel", "6.1", "6.8"),
            ("system", "removed", "libc", "glibc 2.36", None),
            ("system", "added", "machine", None, "x86_64"),
        ]

    def test_system_packages_by_architecture(self) -> None:
        def packages(version: str) -> Environment:
            found = (
                LibraryPackage(name="libc6", version=version, architecture="amd64"),
                LibraryPackage(name="libc6", version="2.36", architecture="i386"),
            )
            return Environment(system_packages=SystemPackages(manager="dpkg", packages=found))

        assert changes(packages("2.36"), packages("2.37")) == [
            ("system-packages", "upgraded", "libc6:amd64", "2.36", "2.37")
        ]

    def test_containers(self) -> None:
        def inside(container: Container | None) -> Environment:
            return Environment(machine=Machine(), container=container)

        one, two = (
            Container(runtime="docker", image="registry.example/train", digest=f"sha256:{letter}")
            for letter in "ab"
        )
        assert changes(inside(one), inside(two)) == [
            (
                "container",
                "changed",
                "container",
                "docker: registry.example/train@sha256:a",
                "docker: registry.example/train@sha256:b",
            )
        ]
        assert [item[1] for item in changes(inside(None), inside(one))] == ["added"]

    def test_hardware(self) -> None:
        gpu = Accelerator(name="NVIDIA A100", driver="535.1")
        before = Environment(
            machine=Machine(
                cpu="Xeon",
                flags=("avx2", "sse"),
                memory_bytes=64 << 30,
                accelerators=(gpu, gpu),
                toolkits={"CUDA": "12.2"},
            ),
            linear_algebra=(LinearAlgebra(user="numpy", library="OpenBLAS", version="0.3.27"),),
        )
        after = Environment(
            machine=Machine(
                cpu="EPYC",
                flags=("sse", "avx512f"),
                memory_bytes=32 << 30,
                accelerators=(gpu,),
                toolkits={"CUDA": "11.8"},
            ),
            linear_algebra=(LinearAlgebra(user="numpy", library="MKL"),),
        )
        found = compare(before, after)
        assert [short(change) for change in found.changes] == [
            ("hardware", "changed", "cpu", "Xeon", "EPYC"),
            ("hardware", "changed", "flags", None, None),
            ("hardware", "changed", "memory", "64.0 GiB", "32.0 GiB"),
            ("hardware", "removed", "accelerator", "NVIDIA A100 (driver 535.1)", None),
            ("hardware", "downgraded", "CUDA", "12.2", "11.8"),
            ("linear-algebra", "changed", "numpy", "OpenBLAS 0.3.27", "MKL"),
        ]
        assert found.changes[1].details == ("+avx512f", "-avx2")

    def test_memory_that_a_kernel_took_is_no_other_machine(self) -> None:
        sides = [
            Environment(machine=Machine(memory_bytes=size)) for size in (10**10, 10**10 - 10**7)
        ]
        assert not compare(*sides)

    def test_variables(self) -> None:
        found = compare(
            Environment(), Environment(), variables=({"OMP_NUM_THREADS": "4"}, {"LANG": "C"})
        )
        assert [short(change)[1:] for change in found.changes] == [
            ("added", "LANG", None, "C"),
            ("removed", "OMP_NUM_THREADS", "4", None),
        ]

    def test_what_a_record_is_silent_about_is_not_made_up(self) -> None:
        """As those of the first format are, that had packages and system alone."""
        whole = everything()
        old = Environment(python=whole.python, system=whole.system, locks=whole.locks)
        found = compare(old, whole)
        assert found.unrecorded == dict.fromkeys(
            ("system-packages", "container", "hardware", "linear-algebra"), "before"
        )
        assert {change.section for change in found.changes} == {
            "conda", "interpreters", "languages", "agreement",
        }  # fmt: skip
        assert set(compare(whole, old).unrecorded.values()) == {"after"}

    def test_sections_can_be_left_out(self) -> None:
        found = compare(Environment(), everything())
        assert found.of("conda")
        less = found.without({"conda", "hardware"})
        assert not less.of("conda")
        assert "hardware" in found.unrecorded
        assert "hardware" not in less.unrecorded


def everything() -> Environment:
    """Return an environment that has something of each kind."""
    return Environment(
        python=python(package("a", origin=GIT), package("b", editable=True)),
        others={"1": python()},
        editables=(Editable(name="b", path="/b", commit="1" * 40),),
        conda=conda(("c", "1", "0")),
        languages={"R": LanguageEnvironment(version="4.2")},
        system={"os": "Linux", "kernel": "6.1"},
        system_packages=SystemPackages(manager="dpkg"),
        container=Container(runtime="docker"),
        machine=Machine(cpu="Xeon", memory_bytes=1 << 30),
        linear_algebra=(LinearAlgebra(user="numpy", library="MKL"),),
        locks={"uv.lock": b"a"},
        compared=("uv.lock",),
        disagreements=(Disagreement(lock="uv.lock", name="a", locked="1"),),
    )


def test_where_an_editable_install_lies_is_not_what_it_is() -> None:
    here, there = (
        package(
            "own",
            editable=True,
            content_sha256=digest,
            origin=Origin(url=f"file:///{digest}/own", is_directory=True),
        )
        for digest in ("aa", "bb")
    )
    before, after = Environment(python=python(here)), Environment(python=python(there))
    assert changes(before, after) == []
