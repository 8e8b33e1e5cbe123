"""git-lfs: pointers whose content was not fetched, and files that git has pointers for."""

import stat
from collections.abc import Mapping

from gitprov.capture.data.pointers.kind import Question
from gitprov.capture.data.pointers.reading import read_if
from gitprov.capture.data.pointers.staged import staged_pointer
from gitprov.capture.pointer_files import LFS, MAX_LFS_BYTES, lfs_pointer


def identity(question: Question) -> Mapping[str, str]:
    """Return the oid that git-lfs has for a file, and whether the file is that content."""
    if not stat.S_ISREG(question.mode):
        return {}
    if question.size < MAX_LFS_BYTES:
        pointer = lfs_pointer(read_if(question.path, LFS, MAX_LFS_BYTES) or b"")
        if pointer is not None:
            matches = "no: the file is a pointer; fetch its content with: git lfs pull"
            return {"lfs.oid": pointer.oid, "lfs.size": str(pointer.size), "lfs.matches": matches}
    staged = staged_pointer(question, "lfs", MAX_LFS_BYTES)
    pointer = lfs_pointer(staged or b"")
    if pointer is None:
        return {}
    ours = question.digest.get("sha256")
    if ours is None:
        matches = "unknown: no such digest was taken"
    elif f"sha256:{ours.hex()}" == pointer.oid:
        matches = "yes"
    else:
        matches = "no: it was changed after it was staged"
    return {"lfs.oid": pointer.oid, "lfs.size": str(pointer.size), "lfs.matches": matches}
