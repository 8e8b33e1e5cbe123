"""`git prov verify`: what can be checked, checked."""

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.terminal import Json, style_for, verb
from gitprov.model.wording import printable
from gitprov.policy.findings import Findings
from gitprov.policy.verify import verify as verify_store
from gitprov.views.json import json_line
from gitprov.views.style import Style

app = verb()
_SHOWN = 20


@app.command()
def verify(as_json: Json = False) -> None:
    """Check everything that is recorded, from raw objects, offline.

    Exit status: 0 where nothing failed, 1 where something did. What this clone lacks is unknown.
    """
    with current_store(put_back=False) as store:
        findings = verify_store(store)
        if as_json:
            print(json_line(findings.document()))
        else:
            _print(findings, style_for(store.repository))
    if not findings.is_good:
        raise typer.Exit(1)


def _print(findings: Findings, style: Style) -> None:
    if not findings.counts:
        print("nothing is recorded here; record a run with: git prov run -- COMMAND")
        return
    print(style.label(f"{'':14}{'checked':>9}{'failed':>9}{'unknown':>9}"))
    for kind, counts in findings.counts.items():
        print(f"{kind:14}{counts['checked']:>9}{counts['failed']:>9}{counts['unknown']:>9}")
    for item in findings.reasons[:_SHOWN]:
        mark = style.bad("failed ") if item.outcome == "failed" else "unknown"
        print(f"{mark} {item.kind}: {printable(item.subject)}: {printable(item.reason)}")
    if (rest := len(findings.reasons) - _SHOWN) > 0:
        print(f"… and {rest} more: git prov verify --json")
    print(_verdict(findings, style))


def _verdict(findings: Findings, style: Style) -> str:
    checked, failed = findings.total("checked"), findings.total("failed")
    unknown = findings.total("unknown")
    rest = f", {unknown} could not be checked here" if unknown else ""
    if failed:
        return style.bad(f"FAILED: {failed} of {checked + failed} checks failed{rest}")
    return style.good(f"good: {checked} checks, none failed{rest}")
