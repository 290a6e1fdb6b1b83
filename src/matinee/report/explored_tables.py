"""The sections of an explored log that are mostly tables: splits, groups of items and users, columns, repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from matinee.explore.exploration import Exploration
from matinee.explore.hidden import SplitFigures
from matinee.explore.spread import Quartiles
from matinee.explore.tables import AttributeFigures, ColumnFigures
from matinee.explore.wording import count, date, percent
from matinee.report.explored_parts import Grid, Part, Section, dash, ticks_of
from matinee.report.format import span
from matinee.report.plots import shorten
from matinee.report.sections import Figure

LONGEST = 40  # digits of a value in a table

HIDDEN: dict[str, Callable[[SplitFigures], str]] = {
    "Queries": lambda s: count(s.queries),
    "Hidden events": lambda s: count(s.hidden),
    "Answers": lambda s: count(s.answers),
    "Left out, as they repeat": lambda s: count(s.left_out),
    "Known events of a query, median": lambda s: count(s.history.median),
    "Queries without a known event": lambda s: percent(s.cold_queries),
    "Hidden events of unknown items": lambda s: percent(s.cold_items),
    "Known events of a hidden item, median": lambda s: count(s.popularity.median),
    "Hidden events on the top tenth of items": lambda s: percent(s.head),
    "Known events on the top tenth of items": lambda s: percent(s.known_head),
    "Hidden before a known event of the user": lambda s: dash(s.own_future),
    "Known events later than a hidden one": lambda s: dash(s.future),
    "First hidden event": lambda s: dash(s.first, date),
    "Last hidden event": lambda s: dash(s.last, date),
    "Release year of hidden events, median": lambda s: _median(s.years),
    "Release year of known events, median": lambda s: _median(s.known_years),
}
DEFINITIONS = (
    "Known is everything but the test. Unknown items have no known event; queries without a known event are of users "
    "who come first in the test. Known events later than a hidden one: the mean share, over hidden events. A split "
    "that hides events before known ones tests with knowledge of the future."
)


def split(log: Exploration, prefix: str) -> Iterator[Section]:
    if not log.splits:
        return
    names = [each.strategy.replace("_", " ") for each in log.splits]
    table = [(name, [write(each) for each in log.splits]) for name, write in HIDDEN.items()]
    rows = [(name, cells) for name, cells in table if set(cells) != {"–"}]
    parts = [Part("table", Grid("What each split hides", names, rows)), Part("note", DEFINITIONS)]
    over = {name: each.over_time for name, each in zip(names, log.splits, strict=True) if each.over_time is not None}
    if over and log.arrivals is not None:
        parts += [Part("head", "Hidden events over the tenths of the log"), Part("table", _over_time(log, over))]
        parts.append(
            Part("note", "Each row adds up to 100 %. A column is a tenth of the events, named by its first event.")
        )
    words = "; ".join(dict.fromkeys(each.words for each in log.splits))
    parts.append(Part("note", f"The splits: {words}."))
    aside = "The test of each way to split this log, without a valid part where there can be none."
    yield Section(f"{prefix}splits", "What a split hides", aside, parts)


def _over_time(log: Exploration, over: dict[str, tuple[float, ...]]) -> Grid:
    assert log.arrivals is not None
    heads = ticks_of(log.arrivals.periods)
    rows = [(name, [percent(share) if share else "·" for share in shares]) for name, shares in over.items()]
    tints = [[round(0.6 * share, 3) for share in shares] for shares in over.values()]
    return Grid("Hidden events over the tenths of the log", heads, rows, tints)


def grouped(log: Exploration, prefix: str) -> Iterator[Section]:
    if not log.attributes:
        return
    tables = [_group(each, log.figures.n_events) for each in log.attributes]
    note = (
        "The values that most items (or users) have. Events are counted once for each value, so their shares may add "
    )
    note += "up to more than all."
    title = "Genres, people, groups"
    aside = "Lists and short texts in the tables of items and users, by how many have each value."
    yield Section(f"{prefix}groups", title, aside, [Part("tables", tables), Part("note", note)])


def _group(each: AttributeFigures, n_events: int) -> Grid:
    rated = any(value.rating is not None for value in each.top)
    rows = []
    for value in each.top:
        cells = [count(value.n), percent(value.events / max(n_events, 1))]
        rows.append(
            (shorten(value.value, LONGEST), cells + ([dash(value.rating, lambda x: f"{x:.2f}")] if rated else []))
        )
    heads = [each.what.capitalize(), "Of events", *(["Mean rating"] if rated else [])]
    shown = f"the first {len(each.top)} of {each.distinct:,}" if each.distinct > len(each.top) else f"{each.distinct:,}"
    title = f"{each.column} of {each.what}: {shown}"
    if each.mean > 1:
        title += f", {each.mean:.1f} each"
    return Grid(f"{each.column} of {each.what}", heads, rows, title=title)


def described(log: Exploration, prefix: str) -> Iterator[Section]:
    if not log.tables:
        return
    parts = []
    for table in log.tables:
        rows = [(column.name, _cells(column, table.rows)) for column in table.columns]
        heads = ["Kind", "Missing", "Missing, share", "Distinct", "Range", "Commonest"]
        name = {"users": "Users", "items": "Items", "events": "Columns beside each event"}[table.what]
        parts.append(Part("head", f"{name} ({table.rows:,})"))
        parts.append(Part("table", Grid(f"Columns of {table.what}", heads, rows, words=(0, 4, 5))))
    parts += [Part("note", f"{text[:1].upper()}{text[1:]}.") for text in log.side_tables]
    aside = "What is known beside the events, of users and items with an event."
    yield Section(f"{prefix}columns", "Columns", aside, parts)


def _cells(column: ColumnFigures, rows: int) -> list[str]:
    reach = "–"
    if column.smallest is not None and column.largest is not None:
        reach = f"{span(f'{column.smallest:g}', f'{column.largest:g}')}, median {column.median:g}"
    distinct = count(column.unique) + (f" in {count(column.members)}" if column.members is not None else "")
    common = "–"
    if column.commonest is not None:
        common = f"{shorten(column.commonest, LONGEST)} ({column.commonest_n:,})"
    missing = percent(column.missing / max(rows, 1))
    return [column.kind, count(column.missing), missing, distinct, reach, common]


def repeats(log: Exploration, prefix: str) -> Iterator[Section]:
    r, n = log.repeats, max(log.figures.n_events, 1)
    figures = [
        Figure("Repeats", count(r.extra), f"events whose pair occurred before: {percent(r.extra / n)}"),
        Figure(
            "Repeated pairs",
            count(r.repeated_pairs),
            f"of {r.pairs:,}, by {r.users:,} users; at most {r.most:,} events",
        ),
        Figure("Exact copies", count(r.exact), "events that equal an earlier one in all that the log has"),
    ]
    if r.conflicts is not None:
        apart = f"their ratings are {r.width:.2f} apart on average" if r.conflicts else "a pair has one rating"
        figures.append(Figure("Conflicts", count(r.conflicts), f"pairs with different ratings; {apart}"))
    if r.same_title is not None:
        figures.append(Figure("Equal titles", count(r.same_title), "items that share their title with another"))
    parts = [Part("figures", figures)]
    if r.examples:
        rows = [
            (f"{each.user}", [shorten(each.title, LONGEST), ", ".join(f"{x:g}" for x in each.ratings)])
            for each in r.examples
        ]
        parts += [
            Part("head", "The widest conflicts"),
            Part("table", Grid("Conflicting ratings", ["Item", "Ratings, oldest first"], rows, words=(0, 1))),
        ]
    yield Section(f"{prefix}repeats", "Repeats and conflicts", "A user with the same item more than once.", parts)


def _median(years: Quartiles | None) -> str:
    return dash(None if years is None or not years.n else years.median, lambda year: f"{year:.0f}")
