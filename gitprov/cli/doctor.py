"""`git prov doctor`: what is wrong in this clone, and what was put right."""

from typing import Annotated

import typer

from gitprov.cli.terminal import Json, style_for, verb
from gitprov.doctor.examination import Examination, examine, mend
from gitprov.doctor.findings import State
from gitprov.model.wording import plural, printable
from gitprov.store.store import Store
from gitprov.views.json import json_line
from gitprov.views.style import Style

app = verb()
_MARKS: dict[State, str] = {
    "good": "ok",
    "note": "note",
    "mendable": "found",
    "mended": "mended",
    "fault": "FAULT",
}
_SHOWN = 8


@app.command()
def doctor(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only look; put nothing right.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look at everything that gitprov keeps in this clone, and put right what can be.

    Runs whose process died are recorded, dead locks and other leftovers removed, the index made
    again. Nothing is removed that may be in use. Exit status: 0 where all is well, or was put
    right, 1 where something is left for a person to see to.
    """
    store = Store.open()
    try:
        seen = examine(store)
        if as_json:
            done = Examination() if dry_run else mend(store, seen)
            print(json_line(_document(seen, done, dry_run=dry_run)))
        else:
            style = style_for(store.repository)
            _print(seen, style)
            done = Examination() if dry_run else mend(store, seen)
            _print(done, style)
            print(_verdict(seen, done, style, dry_run=dry_run))
    finally:
        store.close()
    if _faults(seen, done):
        raise typer.Exit(1)


def _document(seen: Examination, done: Examination, *, dry_run: bool) -> dict[str, object]:
    return {
        "schema": "doctor.1",
        "verdict": _word(seen, done),
        "dry_run": dry_run,
        "findings": seen.document() + done.document(),
    }


def _faults(seen: Examination, done: Examination) -> int:
    return seen.count("fault") + done.count("fault")


def _print(examination: Examination, style: Style) -> None:
    """Print a line for each finding, and one for all that is well in an area."""
    for area, items in examination.found.items():
        well = [item.text for item in items if item.state == "good"]
        others = [item for item in items if item.state != "good"]
        if well:
            print(_line("good", area, "; ".join(well), style))
        for item in others[:_SHOWN]:
            print(_line(item.state, area, item.text, style))
            if item.advice:
                print(f"{'':16}{style.label('next:')} {printable(item.advice)}")
        if (rest := len(others) - _SHOWN) > 0:
            print(f"{'':16}… and {rest} more: git prov doctor --json")


def _line(state: State, area: str, text: str, style: Style) -> str:
    mark = _MARKS[state].ljust(6)
    if state in ("good", "mended"):
        mark = style.good(mark)
    elif state == "fault":
        mark = style.bad(mark)
    return f"{mark}  {area.ljust(7)} {printable(text)}"


def _word(seen: Examination, done: Examination) -> str:
    if _faults(seen, done):
        return "fault"
    return "unknown" if seen.busy or done.busy else "good"


def _verdict(seen: Examination, done: Examination, style: Style, *, dry_run: bool) -> str:
    if faults := _faults(seen, done):
        return style.bad(f"{plural(faults, 'fault')} left for you to see to")
    if dry_run and (count := seen.count("mendable")):
        return f"{plural(count, 'thing')} can be put right by: git prov doctor"
    if seen.busy or done.busy:
        return "another process is at work: not all was looked at; try again"
    return style.good("all is well" + (" now" if done.count("mended") else ""))
