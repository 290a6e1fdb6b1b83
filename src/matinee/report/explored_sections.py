"""The sections of an explored log's page: its numbers as text, tables and drawings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from matinee.explore.exploration import Exploration
from matinee.explore.times import TimeFigures
from matinee.explore.wording import count, date, duration, percent
from matinee.explore.years import YearFigures
from matinee.report import explored_plots as draw
from matinee.report import plots
from matinee.report.explored_parts import Grid, Part, Picture, Section, dash, fine, lines_of, measures, ticks_of
from matinee.report.explored_tables import described, grouped, repeats, split
from matinee.report.format import span
from matinee.report.sections import Figure, figures_of

WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
GAPS = ("0", "1s", "1m", "10m", "1h", "6h", "1d", "7d", "30d", "1y")
"""From how long a gap each bar is; the first is below a second."""


def sections(log: Exploration, prefix: str = "") -> list[Section]:
    """Those for which the log has numbers, in their order. prefix: of ids, where a page has several logs."""
    made = (
        take, shape, split, ratings, time, arrivals, release, grouped, described, repeats, left_out,
    )  # fmt: skip
    return [section for make in made for section in make(log, prefix)]


def take(log: Exploration, prefix: str) -> Iterator[Section]:
    aside = "Sentences made of the numbers below, and what follows for the choice of split and models."
    yield Section(
        f"{prefix}take",
        "What to know",
        aside,
        [Part("takeaways", [(each.topic, fine(each.found), fine(each.so)) for each in log.takeaways])],
    )


def shape(log: Exploration, prefix: str) -> Iterator[Section]:
    f, users, items = log.figures, log.activity, log.popularity
    alt = f"Histogram of events per user: from {users.smallest:g} to {users.largest:g}, median {users.median:g}"
    share = (
        f"The top tenth holds {percent(items.top_10)} of the events among items and {percent(users.top_10)} among users"
    )
    names = ["items", "users"]
    pictures = [
        Picture("Users by number of events", plots.activity(f.activity, alt, f"{prefix}activity")),
        Picture(
            "Events held by the most active",
            draw.held(f"{prefix}held", items.curve, users.curve, share),
            draw.key(names),
        ),
    ]
    rows = measures({"user": users, "item": items})
    more: dict[str, tuple[str, Callable[[float], str]]] = {
        "Gini": ("gini", "{:.2f}".format),
        "Events of the top hundredth": ("top_1", percent),
        "Events of the top tenth": ("top_10", percent),
        "Share that holds half": ("half", percent),
        "With a single event": ("once", percent),
    }
    rows += [(name, [write(getattr(s, field)) for s in (users, items)]) for name, (field, write) in more.items()]
    note = (
        "Of users and items with an event. Gini: 0 where all have equally many events, near 1 where one has them all. "
    )
    note += "The curve bends away from the straight line the more unequal they are."
    parts = [Part("figures", figures_of(f)), Part("plots", pictures)]
    parts += [Part("head", "How events are shared")]
    parts += [Part("table", Grid("How events are shared", ["Per user", "Per item"], rows)), Part("note", note)]
    if f.kinds is not None:
        kinds = [(kind, [count(n), percent(n / f.n_events)]) for kind, n in f.kinds.items()]
        note = "All kinds count alike here: what each of them is worth is said where the log is read."
        parts += [Part("head", "Kinds of events"), Part("table", Grid("Kinds of events", ["Events", "Share"], kinds))]
        parts.append(Part("note", note))
    yield Section(f"{prefix}shape", "Size and shape", "What the log holds, after filters and before any split.", parts)


def ratings(log: Exploration, prefix: str) -> Iterator[Section]:
    r, levels = log.ratings, log.figures.ratings
    if r is None:
        return
    s, u = r.spread, r.users
    each = f"{r.distinct:,} {'level' if r.distinct == 1 else 'levels'} from {s.smallest:g} to {s.largest:g}"
    figures = [
        Figure("Mean rating", f"{s.mean:.2f}", f"standard deviation {s.std:.2f}; {each}"),
        Figure("Commonest", f"{r.commonest:g}", f"{percent(r.share)} of all ratings"),
        Figure("Middle half", span(f"{s.lower:g}", f"{s.upper:g}"), f"median {s.median:g}"),
        Figure("A user’s mean", f"{u.median:.2f}", f"median; middle half {span(f'{u.lower:.2f}', f'{u.upper:.2f}')}"),
    ]
    if r.between is not None:
        figures.append(Figure("Between users", percent(r.between), "of the variance: some rate higher than others"))
    if r.alike is not None:
        figures.append(Figure("Always the same", percent(r.alike), "of the users with two ratings or more"))
    parts = [Part("figures", figures)]
    if levels is not None:
        alt = f"Histogram of ratings, mean {levels.mean:.2f}"
        parts.append(Part("plots", [Picture("Events by rating", plots.ratings(levels, alt, f"{prefix}ratings"))]))
    yield Section(f"{prefix}ratings", "Ratings", "How users rate.", parts)


def time(log: Exploration, prefix: str) -> Iterator[Section]:
    t = log.times
    if t is None:
        return
    shown = list(_when(log, t, prefix))
    columns = {"gap": t.gaps, "span": t.span}
    heads = ["Between neighbouring events", "From the first to the last event"]
    sessions = {"events": t.session_events, "sessions": t.user_sessions}
    parts = [Part("plots", shown)] if shown else []
    parts += [
        Part("head", "How long users stay"),
        Part(
            "tables",
            [
                Grid("Times of a user", heads, measures(columns, duration)),
                Grid("Sessions", ["Events of a session", "Sessions of a user"], measures(sessions)),
            ],
        ),
        Part("note", _time_note(t)),
    ]
    yield Section(f"{prefix}time", "Time", "When events happen (UTC), and how they follow one another.", parts)


def _time_note(t: TimeFigures) -> str:
    note = f"{percent(t.tied)} of neighbouring events have the same time; {percent(t.one_day)} of the users with two "
    note += "events or more were active within 24 hours only. A session ends where the next event is more than "
    note += (
        f"{duration(t.pause)} away: {t.sessions:,} of them; {percent(t.one_session)} of those users have a single one."
    )
    if t.resolution > 1:
        unit = {60: "minutes", 3600: "hours"}.get(t.resolution, "days")
        note += f" All times are whole {unit}, so nothing finer can be said."
    return note


def _when(log: Exploration, t: TimeFigures, prefix: str) -> Iterator[Picture]:
    over = log.figures.over_time
    if over is not None:
        bar = duration(float(over.edges[1] - over.edges[0]))
        alt = f"Histogram of events from {date(t.first)} to {date(t.last)}"
        yield Picture(f"Events over time (a bar is {bar})", plots.over_time(over, alt, f"{prefix}over-time"))
    if t.gaps.n:
        numbers = t.gap_counts.tolist()
        alt = "Gaps from: " + ", ".join(f"{at} {n:,}" for at, n in zip(GAPS, numbers, strict=True))
        yield Picture("Gaps between a user’s events, from", draw.bars(f"{prefix}gaps", GAPS, numbers, alt))
    if t.hours is not None:
        alt = "By hour: " + ", ".join(f"{at}: {n:,}" for at, n in enumerate(t.hours.tolist()))
        hours = [f"{hour}:00" for hour in range(24)]
        yield Picture("Events by hour", draw.bars(f"{prefix}hours", hours, t.hours.tolist(), alt, every=4))
    if t.weekdays is not None:
        numbers = t.weekdays.tolist()
        alt = "By weekday: " + ", ".join(f"{at} {n:,}" for at, n in zip(WEEK, numbers, strict=True))
        yield Picture("Events by weekday", draw.bars(f"{prefix}weekdays", WEEK, numbers, alt))


def arrivals(log: Exploration, prefix: str) -> Iterator[Section]:
    if log.arrivals is None:
        return
    periods, head = log.arrivals.periods, log.arrivals.head
    ticks = ticks_of(periods)
    new = {"by new users": [p.cold_user_events for p in periods], "of new items": [p.cold_item_events for p in periods]}
    drift = {
        "popular in the tenth before": [p.recent for p in periods],
        "popular until then": [p.all_time for p in periods],
    }
    pictures = []
    for name, caption, values in (
        ("cold", "Events by new users, of new items", new),
        ("drift", f"Events on what was popular (the top {head:,})", drift),
    ):
        lines = [draw.Line(label, each) for label, each in values.items()]
        alt = f"{caption}. {lines_of(dict(values), ticks)}"
        pictures.append(Picture(caption, draw.lines_over(prefix + name, ticks, lines, alt), draw.key(list(values))))
    heads = [
        "Events", "Users", "New users", "of the users", "of the events", "Items", "New items", "of the items",
        "of the events", "Head kept",
    ]  # fmt: skip
    rows = [
        (
            date(p.first),
            [
                *map(count, (p.events, p.users, p.new_users)), percent(p.cold_users), percent(p.cold_user_events),
                *map(count, (p.items, p.new_items)), percent(p.cold_items), percent(p.cold_item_events), dash(p.kept),
            ],
        )
        for p in periods
    ]  # fmt: skip
    note = (
        "Each row is a tenth of the events, in the order of time; equal times stay together. New: without an event in "
    )
    note += f"an earlier tenth. Head kept: of the {head:,} most popular items of this tenth, those that were among the "
    note += f"{head:,} most popular of the tenth before."
    aside = "Who and what is new as time goes on, and how long what is popular stays so."
    parts = [Part("plots", pictures), Part("head", "The log in tenths"), Part("table", Grid("Tenths", heads, rows))]
    yield Section(f"{prefix}arrivals", "New and known", aside, [*parts, Part("note", note)])


def release(log: Exploration, prefix: str) -> Iterator[Section]:
    y = log.years
    if y is None:
        return
    alt = f"Items by release year, from {y.items.smallest:.0f} to {y.items.largest:.0f}"
    pictures = [Picture("Items by year of release", draw.items_by_year(f"{prefix}years", y.year, y.per_year, alt))]
    if y.ages is not None and y.age is not None and y.age_last is not None:
        alt = (
            f"Years from release to the event: median {y.age.median:g}, of each user’s last five {y.age_last.median:g}"
        )
        drawn = draw.ages(f"{prefix}ages", y.ages, alt)
        pictures.append(Picture("Events by years since release", drawn, [("soft", "■", "all"), _LAST_FIVE]))
    spreads = {"items": y.items, "events": y.events, "last": y.last}
    rows = measures(spreads, lambda year: f"{year:.0f}")
    rows[1] = ("Standard deviation", [f"{spread.std:.1f}" for spread in spreads.values()])
    tables = [Grid("Years of release", ["Items", "Events", "Each user’s last five"], rows, title="Year of release")]
    if y.age is not None:
        ages = measures({"all": y.age, "last": y.age_last}, lambda years: f"{years:.1f}".removesuffix(".0"))
        ages.append(("In the year of release or the next", [dash(y.fresh), dash(y.fresh_last)]))
        tables.append(
            Grid("Years since release", ["Events", "Each user’s last five"], ages, title="Years since release")
        )
    parts = [Part("plots", pictures), Part("tables", tables), Part("note", _known_years(y))]
    if y.table is not None:
        parts += _by_decade(y)
    yield Section(
        f"{prefix}release", "Release years", "How old what people choose is, over all events and at the end.", parts
    )


_LAST_FIVE = ("accent", "━", "each user’s last five")


def _known_years(y: YearFigures) -> str:
    known = f"The year is known of {percent(y.known)} of the events."
    early = (
        f" {y.before:,} came before the year of release: a first showing elsewhere, or a mistake." if y.before else ""
    )
    return known + early


def _by_decade(y: YearFigures) -> list[Part]:
    assert y.table is not None
    rows, tints = [], []
    for when, counts in zip(y.when, y.table.tolist(), strict=True):
        total = max(sum(counts), 1)
        rows.append((when, ["·" if not n else percent(n / total) for n in counts]))
        tints.append([round(0.6 * n / total, 3) for n in counts])
    grid = Grid("Decade of release by time of the event", [f"{decade}s" for decade in y.decades], rows, tints)
    note = "Each row is the time of the event, and its shares are of that row’s events."
    return [Part("head", "Release against the time of the event"), Part("table", grid), Part("note", note)]


def left_out(log: Exploration, prefix: str) -> Iterator[Section]:
    if log.absent or log.impossible:
        texts = [*log.absent.values()]
        texts += [f"No split {name.replace('_', ' ')}: {why}." for name, why in log.impossible.items()]
        parts = [Part("note", text) for text in texts]
        yield Section(f"{prefix}absent", "Left out", "What this log has nothing for, and how to give it.", parts)
