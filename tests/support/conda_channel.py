"""A conda channel in a folder: packages made on the spot, one of them a Python that runs.

That Python is the interpreter of the tests: its program is copied, its library linked to.
"""

import asyncio
import hashlib
import io
import json
import shutil
import sys
import sysconfig
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rattler.index import index_fs

PLATFORM = "linux-64"


class Channel:
    """A channel on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (PLATFORM, "noarch"):
            (folder / name).mkdir(parents=True)

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def add(
        self, name: str, version: str, files: Mapping[str, bytes | Path], *,
        depends: Sequence[str] = (), build: str = "0", python: bool = False,
    ) -> Path:  # fmt: skip
        """Add a package; a path among its files is a link to it. With `python`, one for any."""
        subdir = "noarch" if python else PLATFORM
        index = {
            "name": name,
            "version": version,
            "build": build,
            "build_number": 0,
            "depends": list(depends),
            "subdir": subdir,
            "arch": None if python else "x86_64",
            "platform": None if python else "linux",
        }
        if python:
            index["noarch"] = "python"
        members = {"info/index.json": json.dumps(index).encode(), **files}
        members["info/paths.json"] = json.dumps(_paths(files)).encode()
        members["info/files"] = "".join(f"{path}\n" for path in files).encode()
        if python:
            members["info/link.json"] = (
                b'{"noarch": {"type": "python"}, "package_metadata_version": 1}'
            )
        file = self.folder / subdir / f"{name}-{version}-{build}.tar.bz2"
        with tarfile.open(file, "w:bz2", compresslevel=1) as archive:
            for path, data in members.items():
                archive.addfile(*_member(path, data))
        return file

    def add_python(self) -> str:
        """Add the interpreter of the tests; returns its version."""
        series = f"{sys.version_info.major}.{sys.version_info.minor}"
        version = f"{series}.{sys.version_info.micro}"
        library = Path(sysconfig.get_paths()["stdlib"])
        program = Path(sys.executable).resolve()
        files: dict[str, bytes | Path] = {f"bin/python{series}": program.read_bytes()}
        for name in ("python", "python3"):
            files[f"bin/{name}"] = Path(f"python{series}")
        for path in library.iterdir():
            if path.name not in ("__pycache__", "site-packages", "EXTERNALLY-MANAGED"):
                files[f"lib/python{series}/{path.name}"] = path
        for path in library.parent.glob("libpython*"):
            files[f"lib/{path.name}"] = path.resolve()
        self.add("python", version, files)
        return version

    def add_distribution(self, name: str, version: str) -> None:
        """Add a Python package, as conda has it."""
        info = f"site-packages/{name}-{version}.dist-info"
        self.add(
            name,
            version,
            {
                f"site-packages/{name}.py": b"",
                f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
                .encode(),
                f"{info}/INSTALLER": b"conda\n",
                f"{info}/RECORD": f"{name}.py,,\n".encode(),
            },
            depends=["python"],
            build="pyh0_0",
            python=True,
        )  # fmt: skip

    def index(self) -> None:
        """Write the listings."""
        asyncio.run(index_fs(self.folder, write_zst=False, write_shards=False))

    def remove(self) -> None:
        shutil.rmtree(self.folder)


def _paths(files: Mapping[str, bytes | Path]) -> dict[str, object]:
    rows: list[dict[str, object]] = []
    for path, data in files.items():
        is_link = isinstance(data, Path)
        content = b"" if isinstance(data, Path) else data
        rows.append(
            {
                "_path": path,
                "path_type": "softlink" if is_link else "hardlink",
                "sha256": hashlib.sha256(content).hexdigest(),
                "size_in_bytes": len(content),
            }
        )
    return {"paths": rows, "paths_version": 1}


def _member(path: str, data: bytes | Path) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    member = tarfile.TarInfo(path)
    if isinstance(data, Path):
        member.type, member.linkname = tarfile.SYMTYPE, str(data)
        return member, None
    member.size, member.mode = len(data), 0o755 if path.startswith("bin/") else 0o644
    return member, io.BytesIO(data)
