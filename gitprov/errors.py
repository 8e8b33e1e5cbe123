"""Every error that gitprov raises on purpose: one tree, each with a stable code.

A message is one line and says what to do next. `code` never changes once released, so scripts
may match on it; `exit_status` is what the command line returns. `docs/errors.md` is generated
from these classes. Statuses 0 to 2 are taken: success, a negative verdict (`git prov verify`),
wrong usage.
"""


class GitprovError(Exception):
    """Something that gitprov cannot do, said in one line."""

    code = "internal"
    exit_status = 70


class NotARepository(GitprovError):
    """The current folder is not inside a git repository."""

    code = "not-a-repository"
    exit_status = 10


class UnsupportedRepository(GitprovError):
    """The repository uses a format that gitprov cannot write to."""

    code = "unsupported-repository"
    exit_status = 11


class NoWorkTree(GitprovError):
    """The repository is bare, and the command needs a work tree."""

    code = "no-work-tree"
    exit_status = 12


class RepositoryReadOnly(GitprovError):
    """Nothing can be written to the repository's git directory."""

    code = "read-only"
    exit_status = 13


class HooksElsewhere(GitprovError):
    """Git takes the hooks of a host's repository from a folder that is not the repository's own."""

    code = "hooks-elsewhere"
    exit_status = 14


class UnknownRun(GitprovError):
    """No run has this id, prefix, tag or commit."""

    code = "unknown-run"
    exit_status = 20


class AmbiguousRun(GitprovError):
    """Several runs have ids that begin like this."""

    code = "ambiguous-run"
    exit_status = 21


class UnknownRevision(GitprovError):
    """Git does not know this commit, branch, tag or range."""

    code = "unknown-revision"
    exit_status = 22


class QueryError(GitprovError):
    """A search expression cannot be understood."""

    code = "bad-query"
    exit_status = 23


class PayloadMissing(GitprovError):
    """A log, series or listing is not in this clone."""

    code = "payload-missing"
    exit_status = 24


class SourceMissing(GitprovError):
    """The source of a run was not captured, or is not in this clone."""

    code = "source-missing"
    exit_status = 25


class UnknownPath(GitprovError):
    """The source of a run has nothing of this name."""

    code = "unknown-path"
    exit_status = 26


class UnknownData(GitprovError):
    """No run has recorded data under this name, and nothing lies there now."""

    code = "unknown-data"
    exit_status = 27


class DataUnavailable(GitprovError):
    """The bytes of recorded data cannot be had any more, or not from here."""

    code = "data-unavailable"
    exit_status = 28


class EnvironmentMissing(GitprovError):
    """The environment of a run was not recorded, or is not in this clone."""

    code = "environment-missing"
    exit_status = 29


class MalformedRecord(GitprovError):
    """Bytes that claim to be a record break the format."""

    code = "malformed-record"
    exit_status = 30


class IntegrityError(GitprovError):
    """Stored content does not match its hash."""

    code = "integrity"
    exit_status = 31


class InputError(GitprovError):
    """An input, parameter or metrics file cannot be read."""

    code = "bad-input"
    exit_status = 32


class MissingDependency(GitprovError):
    """A Python package is needed for this and is not installed."""

    code = "missing-dependency"
    exit_status = 33


class RunStateError(GitprovError):
    """The run is finished, or not started, and cannot do this."""

    code = "run-state"
    exit_status = 34


class InTheWay(GitprovError):
    """Something in the work tree would be overwritten, and is not committed."""

    code = "in-the-way"
    exit_status = 35


class UnsafeTree(GitprovError):
    """A recorded tree has names that git refuses, as they could lead out of the work tree."""

    code = "unsafe-tree"
    exit_status = 36


class UnknownPackage(GitprovError):
    """No environment that was recorded has a package of this name."""

    code = "unknown-package"
    exit_status = 37


class GitFailed(GitprovError):
    """The git program failed in a way that gitprov did not expect."""

    code = "git-failed"
    exit_status = 40


class RemoteFailed(GitprovError):
    """A remote could not be reached, or refused what was sent."""

    code = "remote-failed"
    exit_status = 41


class RestoreFailed(GitprovError):
    """An environment could not be rebuilt; nothing is left of what was begun."""

    code = "restore-failed"
    exit_status = 42


class StoreBusy(GitprovError):
    """Another process kept the store locked, or kept moving a ref."""

    code = "store-busy"
    exit_status = 50


class StoreDamaged(GitprovError):
    """A file of gitprov's own in the git directory is unreadable."""

    code = "store-damaged"
    exit_status = 51


class ObjectMissing(GitprovError):
    """A git object that something refers to is not in this clone."""

    code = "object-missing"
    exit_status = 52
