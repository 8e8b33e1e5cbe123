"""`git prov env`: the environments of runs."""

from gitprov.cli.terminal import VerbGroup


def env() -> None:
    """Show, compare, check and rebuild the environments that runs were made in.

    An environment is what was installed, on what system and machine, locked by what, as it was
    captured when the run began.
    """


app = VerbGroup(
    env,
    {
        "gitprov.cli.env.showing": ("show",),
        "gitprov.cli.env.comparing": ("diff",),
        "gitprov.cli.env.history": ("log",),
        "gitprov.cli.env.checking": ("check",),
        "gitprov.cli.env.exporting": ("export",),
        "gitprov.cli.env.restoring": ("restore",),
    },
)
