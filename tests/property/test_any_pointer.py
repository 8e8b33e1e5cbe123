"""Whatever stands where a pointer should: it is read or refused, and never more."""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gitprov.capture.data.pointers import identity_of
from gitprov.capture.data.pointers.dvc_md5 import md5_of_folder

_WORDS = """
    outs deps path md5 hash size files relpath cloud wdir repo url rev_lock schema stages 2.0 s X
    metaData id add table-uuid current-snapshot-id d41d8cd98f00b204e9800998ecf8427e .. / s3://b/k
""".split()
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(_WORDS),
    lambda below: (
        st.lists(below, max_size=4) | st.dictionaries(st.sampled_from(_WORDS), below, max_size=6)
    ),
    max_leaves=20,
)
_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=8
).filter(lambda name: name not in (".", "..", ".git", ".hg", ".dvc", ".dvcignore"))


@given(_VALUES, st.binary(max_size=60))
@settings(max_examples=300)
def test_any_document_is_read_or_refused(value: Any, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for name in (".dvc", "_delta_log", "metadata"):
            (top / name).mkdir()
        (top / "X").write_bytes(data)
        text = json.dumps(value)
        for name in (
            "X.dvc",
            "dvc.lock",
            "dvc.yaml",
            "_delta_log/00000000000000000000.json",
            "metadata/v1.metadata.json",
        ):
            (top / name).write_text(text)
        for name in ("X", "X.dvc", "", "dvc.lock"):
            said = identity_of(top / name, top, {"sha256": hashlib.sha256(data).digest()})
            for key, text_said in said.items():
                assert key.count(".") == 1
                assert "\n" not in text_said


@given(st.dictionaries(_NAMES, st.binary(max_size=4), max_size=8), _NAMES)
def test_the_md5_of_a_folder_is_that_of_its_sorted_listing(
    files: dict[str, bytes], above: str
) -> None:
    """Streaming, folder by folder, is as sorting all paths at once."""
    folder = Path(tempfile.mkdtemp())
    try:
        for name, data in files.items():
            for place in (folder, folder / f"{above}.d"):
                place.mkdir(exist_ok=True)
                (place / name).write_bytes(data)
        listing = [
            {
                "md5": hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
                "relpath": path.relative_to(folder).as_posix(),
            }
            for path in folder.rglob("*")
            if path.is_file()
        ]
        whole = json.dumps(sorted(listing, key=lambda item: item["relpath"]), sort_keys=True)
        expected = hashlib.md5(whole.encode(), usedforsecurity=False).hexdigest()
        assert md5_of_folder(folder) == f"{expected}.dir"
    finally:
        shutil.rmtree(folder)
