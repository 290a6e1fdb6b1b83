"""The page of explored logs: one HTML file; of several logs the numbers side by side come first."""

from __future__ import annotations

from collections.abc import Sequence

from matinee.explore.beside import Overlap, rows_of
from matinee.explore.exploration import Exploration
from matinee.explore.wording import date, listed, percent
from matinee.report.explored_parts import Grid, Part, Section, fine
from matinee.report.explored_sections import sections
from matinee.report.page import environment


def page(logs: Sequence[Exploration], overlaps: Sequence[Overlap]) -> str:
    """The whole page. Equal explorations give equal bytes."""
    several = len(logs) > 1
    prefixes = [f"log{at}-" if several else "" for at in range(1, len(logs) + 1)]
    parts = [(log.name, _summary(log), sections(log, prefix)) for log, prefix in zip(logs, prefixes, strict=True)]
    first = [_side_by_side(logs, overlaps)] if several else []
    title = listed([log.name for log in logs])
    return (
        environment()
        .get_template("explored.html.j2")
        .render(
            title=title,
            kicker="logs side by side" if several else "a log explored",
            several=several,
            summary=[_summary(log) for log in logs],
            first=first,
            logs=list(zip(prefixes, parts, strict=True)),
            facts={f"{log.name}, fingerprint": log.fingerprint for log in logs},
        )
    )


def _summary(log: Exploration) -> str:
    f = log.figures
    text = f"{f.n_events:,} events of {f.n_users:,} users and {f.n_items:,} items"
    if f.first is not None and f.last is not None:
        text += f", {date(f.first)} to {date(f.last)}"
    return f"{text}: {percent(f.density)} of all pairs of user and item."


def _side_by_side(logs: Sequence[Exploration], overlaps: Sequence[Overlap]) -> Section:
    rows = [(row.name, [fine(text) for text in row.texts()]) for row in rows_of([log.numbers for log in logs])]
    parts = [Part("table", Grid("Side by side", [log.name for log in logs], rows))]
    parts += [Part("note", fine(str(each))) for each in overlaps]
    return Section("beside", "Side by side", "The same numbers of each log.", parts)
