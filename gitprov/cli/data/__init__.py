"""`git prov data`: what data was when runs read or wrote it, and what has become of it."""

from gitprov.cli.terminal import VerbGroup


def data() -> None:
    """Record data, and compare what was recorded with what is there.

    Data is named as RUN:NAME, where it was recorded (last:data/train.csv, or a file in a folder:
    last:data/images/1.png), or by its path or URI, as it is now.
    """


app = VerbGroup(
    data,
    {
        "gitprov.cli.data.snapshot": ("snapshot",),
        "gitprov.cli.data.checking": ("status", "verify", "get"),
        "gitprov.cli.data.comparing": ("diff",),
        "gitprov.cli.data.listing": ("ls", "log"),
    },
)
