"""Options and arguments that several of the verbs on data have."""

from typing import Annotated

import typer

Data = Annotated[
    str, typer.Argument(metavar="DATA", help="RUN:NAME, or a path or URI as it is now.")
]
Verify = Annotated[
    bool, typer.Option("--verify", help="Read everything again, whatever is known of it.")
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", metavar="URI", help="Hash on a Dask cluster: dask://HOST:PORT."),
]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Record what links lead to, not what they say.")
]
HintOnly = Annotated[
    bool,
    typer.Option(
        "--hint-only", help="Do not read remote objects: record what their store says, no digest."
    ),
]
