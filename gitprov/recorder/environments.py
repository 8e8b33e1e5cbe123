"""The environment of a run: how it is captured, and what stands of it in the manifest."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from gitprov.capture.environments import (
    CapturedEnvironment,
    capture_environment,
    system_packages,
)
from gitprov.capture.environments.kind import Findings
from gitprov.codec.environments import environment_digest
from gitprov.model.run import EnvironmentSummary
from gitprov.store.store import Store


def environment_of(
    store: Store,
    argv: Sequence[str],
    cwd: Path,
    *,
    env: Mapping[str, str] = os.environ,
    given: Mapping[str, Findings] | None = None,
) -> CapturedEnvironment:
    """Return the environment of a command, secrets included.

    Of kinds that are in `given` the findings are known.
    """
    repository = store.repository
    return capture_environment(
        argv,
        cwd=cwd,
        top=repository.work_tree,
        env=env,
        cache=repository.prov_dir / "cache",
        system_packages=system_packages.are_wanted(repository.work_tree, repository.config),
        given=given,
    )


def summary_of(captured: CapturedEnvironment) -> EnvironmentSummary:
    """Return what a manifest says of an environment."""
    return EnvironmentSummary(
        digest=environment_digest(captured.files),
        python=captured.python,
        platform=captured.platform,
        container=captured.container,
        locks=captured.locks,
    )
