"""Real DVC as the second opinion: its names of files and folders, and ours."""

import json
import os
import shutil
import sys
from pathlib import Path
from random import Random

import pytest

from gitprov.capture.data.pointers import identity_of
from gitprov.capture.data.pointers.dvc_md5 import CannotTell, ignores, md5_of_file, md5_of_folder
from tests.support.repositories import Clone

pytest.importorskip("dvc", reason="needs the group `data`")
pytestmark = pytest.mark.data

FOLDERS: dict[str, dict[str, bytes]] = {
    "nothing": {},
    "empty file": {"empty": b""},
    "nested": {"a": b"a\n", "sub/b": b"b\r\n", "sub/deep/er/c": bytes(range(256))},
    "order": {"a/z": b"1", "a b": b"2", "a-b": b"3", "a.b": b"4", "a0": b"5", "A": b"6"},
    "names": {
        "é/ü.txt": b"x",
        "日本/語": b"y",
        'quote".txt': b"z",
        "back\\slash": b"b",
        "😀": b"!",
    },
    "line ends": {"dos.txt": b"one\r\ntwo\r\n"},
    "others": {".git/HEAD": b"x", ".hg/x": b"x", "kept": b"k", ".gitignore": b"g"},
    "inner repository": {"kept": b"k", "inner/.dvc/config": b"", "inner/file": b"x"},
}


class Project(Clone):
    def dvc(self, *arguments: str, check: bool = True) -> str:
        program = str(Path(sys.executable).with_name("dvc"))
        done = self.call(
            program, *arguments, check=check, DVC_NO_ANALYTICS="1", DVC_SITE_CACHE_DIR=str(self.own)
        )
        return done.stdout + done.stderr

    @property
    def own(self) -> Path:
        return self.path.parent / "dvc-site"

    def pointer(self, name: str) -> str:
        """Return the md5 in a file of DVC's."""
        lines = (self.path / f"{name}.dvc").read_text().splitlines()
        return next(line.split()[-1] for line in lines if "md5:" in line)

    def said(self, name: str) -> dict[str, str]:
        return identity_of(self.path / name, self.path, {})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = Project(Clone.make(tmp_path_factory.mktemp("dvc") / "template").path)
    project.dvc("init", "--quiet")
    return project.path


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    return Project(Path(shutil.copytree(template, tmp_path / "project")))


def fill(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.mark.parametrize("case", FOLDERS)
def test_folders_have_the_md5_that_dvc_gives_them(case: str, project: Project) -> None:
    fill(project.path / "data", FOLDERS[case])
    project.dvc("add", "--quiet", "data")
    assert md5_of_folder(project.path / "data") == project.pointer("data")
    assert project.said("data") == {
        "dvc.path": "data",
        "dvc.md5": project.pointer("data"),
        "dvc.matches": "yes",
    }


def test_many_folders_with_odd_names(project: Project) -> None:
    """The order of the listing is that of whole paths, and every letter has its place in JSON."""
    random = Random(6)  # noqa: S311 -- no secrets are made of it
    letters = "ab-._ 0~+'\"\\%#é日😀\u0301\u2028\x01\x7f\xa0"
    made = []
    for number in range(12):
        files: dict[str, bytes] = {}
        folders = [""]
        for _ in range(20):
            name = "".join(random.choices(letters, k=random.randint(1, 3))) + "x"
            place = random.choice(folders) + name
            if random.random() < 0.4:
                folders.append(f"{place}/")
            elif not any(other.startswith(f"{place}/") for other in files):
                files[place] = random.randbytes(random.randint(0, 3))
        # What is a folder is no file.
        files = {
            name: data
            for name, data in files.items()
            if not any(name.startswith(f"{other}/") for other in files)
        }
        fill(project.path / f"d{number}", files)
        made.append(f"d{number}")
    project.dvc("add", "--quiet", *made)
    for name in made:
        assert md5_of_folder(project.path / name) == project.pointer(name), name


@pytest.mark.parametrize("data", [b"", b"one\r\ntwo\r\n", bytes(3 << 20)])
def test_files_have_the_md5_that_dvc_gives_them(data: bytes, project: Project) -> None:
    path = project.write("table.csv", data)
    project.dvc("add", "--quiet", "table.csv")
    assert md5_of_file(bytes(path)) == project.pointer("table.csv")
    assert project.said("table.csv") == project.said("table.csv.dvc")
    assert project.said("table.csv")["dvc.matches"] == "yes"


def test_links(project: Project) -> None:
    """Links to files count as their content, links to folders not at all."""
    fill(project.path / "data", {"real/file": b"x"})
    (project.path / "data/to-file").symlink_to("real/file")
    (project.path / "data/to-folder").symlink_to("real")
    ours = md5_of_folder(project.path / "data")
    project.dvc("add", "--quiet", "data")
    assert project.pointer("data") == ours


@pytest.mark.parametrize("link", ["symlink", "hardlink", "copy"])
def test_content_that_dvc_has_linked_into_its_cache(link: str, project: Project) -> None:
    project.dvc("config", "cache.type", link)
    fill(project.path / "data", {"a": b"a", "sub/b": b"b"})
    project.write("one", "1")
    project.dvc("add", "--quiet", "data", "one")
    assert project.said("data")["dvc.matches"] == "yes"
    assert project.said("one")["dvc.matches"] == "yes"
    assert project.said("data/sub/b")["dvc.matches"] == "yes"


def test_what_dvc_ignores(project: Project) -> None:
    project.write(".dvcignore", "# caches\n\n*.tmp\nold/\n")
    fill(project.path / "data", {"a.tmp": b"1", "a": b"2", "old/b": b"3", "sub/c.tmp": b"4"})
    project.write("data/sub/old", "a file")
    project.dvc("add", "--quiet", "data")
    assert project.said("data")["dvc.matches"] == "yes"
    project.write(".dvcignore", "/data/a.tmp\n")
    with pytest.raises(CannotTell):
        ignores(project.path, project.path / "data")
    assert project.said("data")["dvc.matches"].startswith("unknown: a .dvcignore has patterns")


@pytest.mark.parametrize("name", [b"data/.dvcignore", b"data/\xff\xfe"])
def test_what_dvc_refuses_has_no_name_of_ours(name: bytes, project: Project) -> None:
    fill(project.path / "data", {"a": b"a"})
    Path(os.fsdecode(bytes(project.path) + b"/" + name)).write_bytes(b"x")
    assert "ERROR" in project.dvc("add", "data", check=False)
    with pytest.raises(CannotTell):
        md5_of_folder(project.path / "data")


def test_parts_of_a_folder(project: Project) -> None:
    fill(project.path / "data", {"a": b"a", "sub/b": b"b", "sub/c": b"c"})
    project.dvc("add", "--quiet", "data")
    whole = {"dvc.path": "data", "dvc.folder_md5": project.pointer("data")}
    assert project.said("data/a") == whole | {
        "dvc.md5": md5_of_file(bytes(project.path / "data/a")),
        "dvc.matches": "yes",
    }
    assert project.said("data/sub") == whole | {
        "dvc.md5": md5_of_folder(project.path / "data/sub"),
        "dvc.matches": "yes",
    }
    project.write("data/new", "n")
    assert project.said("data/new") == whole | {
        "dvc.matches": "no: DVC does not have it in the folder"
    }
    shutil.rmtree(project.path / ".dvc/cache")
    assert project.said("data/a")["dvc.matches"].startswith("unknown: DVC's cache")
    assert "dvc.md5" not in project.said("data/a")


def test_changed_content_is_not_passed_off_as_what_the_pointer_says(project: Project) -> None:
    fill(project.path / "data", {"a": b"a", "sub/b": b"b"})
    project.write("one", "1")
    project.dvc("add", "--quiet", "data", "one")
    project.write("one", "2")
    (project.path / "data/sub/b").unlink()
    (project.path / "data/sub/b").write_bytes(b"B")
    for name in ("one", "data", "data/sub", "data/sub/b", "one.dvc"):
        assert project.said(name)["dvc.matches"].startswith("no: the md5 is "), name
    assert project.said("data")["dvc.md5"] == project.pointer("data")
    assert project.said("data/a")["dvc.matches"] == "yes"
    project.write("one", "longer")
    assert project.said("one")["dvc.matches"] == "no: it has 6 bytes, not 1"
    (project.path / "one").unlink()
    assert project.said("one.dvc")["dvc.matches"] == "unknown: it is not there"
    unread = identity_of(project.path / "data", project.path, {}, md5=None)
    assert unread["dvc.matches"] == "unknown: not read"


def test_stages(project: Project) -> None:
    project.write("raw/in", "1\n")
    project.write("work/inner/.keep", "")
    project.write(
        "dvc.yaml",
        json.dumps(
            {
                "stages": {
                    "prepare": {
                        "wdir": "work",
                        "cmd": "mkdir -p out && cp ../raw/in out/a && cp ../raw/in b",
                        "deps": ["../raw"],
                        "outs": ["out", "b"],
                    },
                    "each": {
                        "foreach": ["x", "y"],
                        "do": {"cmd": "echo ${item} > ${item}", "outs": ["${item}"]},
                    },
                }
            }
        ),
    )
    project.dvc("repro", "--quiet")
    for name, path, stage in (
        ("work/out", "work/out", "prepare"),
        ("work/out/a", "work/out", "prepare"),
        ("work/b", "work/b", "prepare"),
        ("raw", "raw", "prepare"),
        ("x", "x", "each@x"),
    ):
        said = project.said(name)
        assert (said["dvc.path"], said["dvc.stage"]) == (path, stage)
        assert said["dvc.matches"] == "yes"
    assert project.said("dvc.yaml") == {}
    project.write("raw/in", "2\n")
    assert project.said("raw")["dvc.matches"].startswith("no: ")
    assert project.said("work/b")["dvc.matches"] == "yes"


def test_imported_data_says_where_it_is_from(project: Project, tmp_path: Path) -> None:
    source = Project(Path(shutil.copytree(project.path, tmp_path / "source")))
    source.write("data.csv", "1\n")
    source.dvc("add", "--quiet", "data.csv")
    commit = source.commit("data")
    project.dvc("import", "--quiet", str(source.path), "data.csv", "-o", "got.csv")
    said = project.said("got.csv")
    assert said["dvc.source"] == str(source.path)
    assert said["dvc.revision"] == commit
    assert said["dvc.matches"] == "yes"
    project.dvc("import-url", "--quiet", str(source.path / "data.csv"), "url.csv")
    said = project.said("url.csv")
    assert said["dvc.source"] == os.path.relpath(source.path / "data.csv", project.path) or said[
        "dvc.source"
    ] == str(source.path / "data.csv")
    assert said["dvc.matches"] == "yes"


def test_roots_of_dvc_below_the_top(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "repo")
    (clone.path / "inner/deep").mkdir(parents=True)
    inner = Project(clone.path / "inner")
    inner.dvc("init", "--quiet", "--subdir")
    inner.write("deep/one", "1")
    inner.dvc("add", "--quiet", "deep/one")
    said = identity_of(inner.path / "deep/one", clone.path, {})
    assert said["dvc.path"] == "deep/one"
    assert said["dvc.matches"] == "yes"
