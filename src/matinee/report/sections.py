"""The content of each section of the report: numbers from explore and scores as text, plots and table cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from markupsafe import Markup

from matinee.data.dataset import Dataset, Holdout
from matinee.data.side_table_report import SideTableReport
from matinee.errors import counted
from matinee.evaluate.evaluate import named
from matinee.evaluate.intervals import FEW, FEW_WORDS
from matinee.evaluate.known import head_size
from matinee.evaluate.metrics import CONVENTIONS, METRICS
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.explore import activity_groups, list_figures, overlap, user_samples
from matinee.explore import key_figures as figures_of_log
from matinee.explore.log import KeyFigures, Spread
from matinee.explore.recommended import ListFigures
from matinee.report import format as words
from matinee.report import plots
from matinee.report.format import THIN, percent
from matinee.report.metric_groups import Grouped, places
from matinee.report.palette import Look
from matinee.report.scores import Cell, Column, Table, rows_behind
from matinee.report.seconds import fit_seconds
from matinee.report.study import Study

MAX_PANELS = 4
N_PEOPLE = 5  # at most; fewer where there would be more than about N_LISTS lists
N_LISTS = 20
MOST_ABREAST = 5  # lists of a user
PARTS = {2: "half", 3: "third", 4: "quarter", 5: "fifth"}
HITS = ("recall", "recall_capped", "hit_rate", "precision", "ndcg", "mrr", "map")  # 0 where nothing was found
LEVELS = {"fail": "Failure", "warn": "Warning", "info": "Note"}


class Figure(NamedTuple):
    """A key figure: its name, its value, and an explanation."""

    name: str
    number: str
    words: str


class Plot(NamedTuple):
    caption: str
    svg: Markup


def summary(study: Study) -> str:
    """What was done, in one sentence."""
    n_models = study.metrics["label"].n_unique() if len(study.metrics) else len(study.recommendations)
    recommend = "it recommends" if n_models == 1 else "they recommend"
    learned = f"learned from {len(study.split.train):,} of the {counted(len(study.data), 'event')}"
    done = f"{counted(n_models, 'model')} {learned} in {study.data.name}; "
    return done + f"what {recommend} was compared with events kept hidden."


def key_figures(data: Dataset, side_tables: Sequence[SideTableReport] = ()) -> dict[str, Any]:
    found, tables = figures_of_log(data), [_sentence(str(table)) for table in side_tables]
    return {"grid": figures_of(found), "plots": _data_plots(found), "tables": tables}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def figures_of(f: KeyFigures) -> list[Figure]:
    """The key figures of a log, with an explanation each."""
    unused, share = f.n_catalogue - f.n_items, percent(f.repeated / max(f.n_events, 1))
    repeated = f"{share} repeat a pair of user and item" if f.repeated else "no pair of user and item twice"
    if f.at_once:
        repeated += f", {percent(f.at_once / f.n_events)} the event just before"
    items = "with at least one event" + (f"; {unused:,} more without" if unused else "")
    held = f"of events on the 10{THIN}% most popular items ({f.top_items:,} of them)"
    figures = [
        Figure("Events", words.count(f.n_events), repeated),
        Figure("Users", words.count(f.n_users), "with at least one event"),
        Figure("Items", words.count(f.n_items), items),
        Figure("Density", percent(f.density), "of all pairs of user and item occur"),
        Figure("Events per user", words.count(f.user_events.median), _spread(f.user_events)),
        Figure("Events per item", words.count(f.item_events.median), _spread(f.item_events)),
        Figure("Long tail", percent(f.top_share), held),
    ]
    if f.ratings is not None:
        low, high = f.ratings.value[0], f.ratings.value[-1]
        levels = "" if f.ratings.binned else f"; {len(f.ratings.value)} levels from {low:g} to {high:g}"
        figures.append(Figure("Mean rating", f"{f.ratings.mean:.2f}", f"of all events{levels}"))
    if f.weights is not None:
        figures.append(Figure("Mean weight", f"{f.weights.mean:.2f}", "of all events"))
    if f.dislikes:
        figures.append(Figure("Dislikes", words.count(f.dislikes), "that say no, and are no events to learn from"))
    if f.first is not None and f.last is not None:
        span = f"{words.date(f.first)} to {words.date(f.last)}"
        figures.append(Figure("Time span", words.duration(f.last - f.first), span))
    if f.tied is not None:
        figures.append(Figure("Equal times", percent(f.tied), "of a user’s neighbouring events share a timestamp"))
    return figures


def _spread(s: Spread) -> str:
    middle = words.span(words.count(s.lower), words.count(s.upper))
    return f"median; middle half {middle}, all {words.span(f'{s.smallest:,}', f'{s.largest:,}')}"


def _data_plots(f: KeyFigures) -> list[Plot]:
    u = f.user_events
    users = f"Histogram of events per user: from {u.smallest:,} to {u.largest:,}, median {u.median:g}"
    held = f"Cumulative curve: the top tenth of items holds {percent(f.top_share)}"
    out = [
        Plot("Users by number of events", plots.activity(f.activity, users)),
        Plot("Events held by the most popular items", plots.tail(f.tail, f.top_share, held)),
    ]
    if f.ratings is not None:
        mean = f"Histogram of ratings, mean {f.ratings.mean:.2f}"
        out.append(Plot("Events by rating", plots.ratings(f.ratings, mean)))
    if f.over_time is not None and f.first is not None and f.last is not None:
        bar = words.duration(float(f.over_time.edges[1] - f.over_time.edges[0]))
        alt = f"Histogram of events from {words.date(f.first)} to {words.date(f.last)}"
        out.append(Plot(f"Events over time (a bar is {bar})", plots.over_time(f.over_time, alt)))
    return out


def scores(
    number: int, table: Table, remarks: Sequence[str], groups: Grouped, looks: Mapping[str, Look]
) -> dict[str, Any]:
    """number: the table's, on the page. remarks: what a reader of its numbers should know."""
    fewest, most = table.n_queries
    cells = [cell for row in table.rows for cell in row.cells if cell is not None]
    return {
        "table": table,
        "groups": groups.groups,
        "folded": groups.folded,
        "remarks": [_sentence(text) for text in remarks],
        "queries": counted(most, "query", "queries") if fewest == most else f"{fewest:,} to {most:,} queries",
        "first": named(*table.columns[0]),
        "runs": _runs(table, cells),
        "run": "fold" if table.n_folds > 1 else "seed",
        "repeated": any(len(cell.runs) > 1 for cell in cells),
        "close": any(cell.close for cell in cells),
        "intervals": any(cell.half is not None for cell in cells),
        "few": FEW_WORDS if 0 < fewest < FEW else "",
        "plots": _score_plots(number, table, groups, looks) if table.split == "test" else [],
    }


def plus_minus(cell: Cell) -> str:
    if cell.bounds is not None:
        return f"{cell.value:.4f} ({cell.bounds[0]:.4f} to {cell.bounds[1]:.4f})"
    half = "" if cell.half is None else f"\u00a0±{THIN}{cell.half:.4f}"
    return f"{cell.value:.4f}{half}"


def _runs(table: Table, cells: list[Cell]) -> str:
    n = len(table.seeds)
    seeds = f"{'one seed' if n == 1 else f'{n} seeds'} ({words.listed(list(map(str, table.seeds)))})"
    if n == table.n_folds == 1:
        return seeds
    apart = max(max(cell.runs) - min(cell.runs) for cell in cells)
    over = seeds if table.n_folds == 1 else f"{table.n_folds} folds of {seeds}"
    return f"means over {over}, which differ by {apart:.4f} at most"


def _score_plots(number: int, table: Table, groups: Grouped, looks: Mapping[str, Look]) -> list[Plot]:
    """One panel per shown column; with many columns, one per metric at its first k."""
    chosen: list[Column] = [table.columns[at] for at in groups.columns]
    if len(chosen) > MAX_PANELS:
        chosen = [next(c for c in chosen if c[0] == metric) for metric in dict.fromkeys(m for m, _ in chosen)]
    out = []
    for column in chosen:
        at = table.columns.index(column)
        rows = [
            plots.Dot(row.label, cell, looks.get(row.label))
            for row in table.rows
            if (cell := row.cells[at]) is not None
        ]
        if rows:
            name = named(*column)
            alt = f"{name}: " + ", ".join(f"{dot.label} {plus_minus(dot.cell)}" for dot in rows)
            out.append(Plot(name, plots.dots(f"table-{number}-{name}", rows, alt)))
    return out


def calibrations(study: Study, looks: Mapping[str, Look]) -> list[Plot]:
    """How well each model's predicted probabilities are calibrated."""
    out = []
    for label, bins in study.calibration.items():
        rows = ", ".join(f"predicted {b.predicted:.2f}, positive {b.positive:.2f} of {b.n:,}" for b in bins)
        if bins:
            alt, colour = f"Calibration of {label}: {rows}", plots.colour_of(label, looks)
            out.append(Plot(label, plots.calibration(f"calibration-{label}", bins, alt, colour)))
    return out


def costs(study: Study) -> dict[str, Any] | None:
    """Medians over runs, in the order given: on a shared machine single runs may take many times as long. The time of a
    model made of others is with theirs, and its own is beside it."""
    frame = study.costs
    if frame.is_empty():
        return None
    medians = pl.col("fit_seconds", "recommend_seconds").median()
    middle = frame.group_by("label", maintain_order=True).agg(medians, pl.col("peak_mb").max())
    own, whole = dict(middle.select("label", "fit_seconds").iter_rows()), fit_seconds(study)
    fitting = pl.Series([whole.get(label) for label in own], dtype=pl.Float64)
    middle = middle.with_columns(fit_seconds=fitting)
    ranks = middle.select(pl.exclude("label").rank("ordinal") - 1).rows()  # to sort by; unknown ones last
    rows = [
        (
            label, words.seconds(fit), words.seconds(own[label]) if fit != own[label] else "", words.seconds(answer),
            "–" if peak is None else words.megabytes(peak), rank,
        )
        for (label, fit, answer, peak), rank in zip(middle.iter_rows(), ranks, strict=True)
    ]  # fmt: skip
    return {
        "rows": rows,
        "n_runs": int(frame["label"].value_counts()["count"].to_numpy().max()),
        "n_queries": len(study.split.test),
    }


def trainings(study: Study, looks: Mapping[str, Look]) -> dict[str, Any] | None:
    """Loss and validation by round (epoch, tree) of each model that trains in rounds."""
    out, apart = [], False
    for label, curve in study.curves.items():
        loss, metric = (
            [np.nan if (x := row[name]) is None else x for row in curve.rows] for name in ("train_loss", "valid_metric")
        )
        if np.isnan([*loss, *metric]).all():  # no rounds, or nothing there to measure
            continue
        best = None if np.isnan(metric).all() else int(np.nanargmax(metric))
        step = curve.rounds.removesuffix("s")
        caption = f"{label}: {counted(len(loss), step)}"
        if best is not None:
            metric = [-x for x in metric] if curve.validation in LOWER_IS_BETTER else metric
            caption += f", best validation {curve.validation} {metric[best]:.4f} in {step} {best + 1}"
        shared = curve.loss == curve.validation
        apart |= best is not None and not shared
        drawn = plots.curve(
            f"training-{label}", loss, metric, caption, step=step, best=best, shared=shared,
            colour=plots.colour_of(label, looks),
        )  # fmt: skip
        out.append(Plot(caption, drawn))
    return {"plots": out, "apart": apart} if out else None


def lists(study: Study) -> dict[str, ListFigures]:
    """What each model's lists are like, by label; none without lists."""
    if not study.recommendations or not len(study.split.test):
        return {}
    train = study.split.train
    head = head_size(train.item_counts())
    return {label: list_figures(one, train, head=head) for label, one in study.recommendations.items()}


def recommended(study: Study, found: Mapping[str, ListFigures]) -> dict[str, Any] | None:
    """found: of `lists`."""
    recs = study.recommendations
    if not found:
        return None
    common = overlap(recs) if len(recs) > 1 else np.zeros((0, 0))
    longest, models = max(one.k for one in recs.values()), range(len(common))

    def shared(a: int, b: int) -> tuple[str, float] | None:
        """As text, and as the tint of a cell."""
        return (f"{common[a, b]:.1f}", round(0.3 * common[a, b] / longest, 3)) if a != b else None

    fallback = any(f.fallback > 0 for f in found.values())
    figures = [[f.n_distinct, f.coverage, f.head_share, f.median_events, f.fallback] for f in found.values()]
    lower = [False, False, True, True, True]
    shown = len(lower) if fallback else len(lower) - 1
    return {
        "rows": list(found.items()),
        "ranks": places([row[:shown] for row in figures], lower[:shown]),
        "head": next(iter(found.values())).head,
        "k": longest,
        "fallback": fallback,
        "overlap": [[shared(a, b) for b in models] for a in models],
    }


def groups(study: Study, tables: list[Table]) -> dict[str, Any] | None:
    """The test's first metric per quarter of the queries by length of history, in the first seed."""
    test = [table for table in tables if table.split == "test"]
    if not test or not test[0].columns[0][1]:
        return None
    (metric, k), labels = test[0].columns[0], [row.label for row in test[0].rows]
    mine = (pl.col("metric") == metric) & (pl.col("k") == k)
    part = rows_behind(study.per_query, test[0].split, test[0].fingerprint).filter(mine).collect()
    for run in ("seed", "fold"):  # of the first run, as the recommendations
        if run in part.columns and len(part):
            part = part.filter(pl.col(run).eq_missing(part[run][0]))
    part = part.filter(pl.col("label").is_in(labels)) if len(part) else part
    if part["query"].n_unique() < 8:
        return None
    means = activity_groups(part, study.split.test, metric, k)
    heads = means.select("group", "shortest", "longest", "n_queries").unique("group").sort("group").rows()
    if len(heads) < 2:
        return None
    value = {(label, group): value for label, group, value in means.select("label", "group", "value").iter_rows()}
    values = [[value[label, group] for group, *_ in heads] for label in labels]
    return {
        "column": named(metric, k),
        "ranks": places(values, [metric in LOWER_IS_BETTER] * len(heads)),
        "heads": [(f"{a:,}" if a == b else words.span(f"{a:,}", f"{b:,}"), f"{n:,}") for _, a, b, n in heads],
        "rows": [(label, [f"{x:.4f}" for x in row]) for label, row in zip(labels, values, strict=True)],
        "missed": _missed(part.filter(label=labels[0]), study.split.test, metric, k) if metric in HITS else [],
        "best": labels[0],
    }


def _missed(part: pl.DataFrame, test: Holdout, metric: str, k: int) -> list[str]:
    """In each of the groups, the share of the queries for which a model finds nothing; empty without values."""
    if part.is_empty():
        return []
    nothing = part.with_columns(value=(pl.col("value") == 0).cast(pl.Float64))
    return [percent(x) for x in activity_groups(nothing, test, metric, k).sort("group")["value"]]


def sample(study: Study) -> dict[str, Any] | None:
    """A few users, their favourites and what each model recommends to them; fewer users where there are many models."""
    if not study.recommendations:
        return None
    n = min(N_PEOPLE, max(1, N_LISTS // (1 + len(study.recommendations))))
    chosen = user_samples(study.data, study.split.test, study.recommendations, n=n, seed=0)
    if not chosen:
        return None
    rated = any(item.rating is not None for person in chosen for item in person.favourites)
    n_lists = 1 + len(study.recommendations)
    columns = -(-n_lists // -(-n_lists // MOST_ABREAST))  # rows about equally full: no list is alone in the last one
    return {"chosen": chosen, "part": PARTS.get(len(chosen), "part"), "rated": rated, "columns": columns}


def findings(study: Study) -> list[tuple[str, str, str]]:
    """(level, its name, text): failures, then warnings, then notes; without the checks that passed."""
    found: list[tuple[str, str]] = [(f.level, _sentence(f.words)) for f in study.findings if f.level != "info"]
    found += [("warn", text) for text in study.warnings] + [("info", text) for text in study.split.notes]
    found.sort(key=lambda one: list(LEVELS).index(one[0]))
    return [(level, LEVELS[level], text) for level, text in dict.fromkeys(found)]


def passed(study: Study) -> list[str]:
    """The audit's checks that found nothing to mind."""
    return list(dict.fromkeys(f.words for f in study.findings if f.level == "info"))


def definitions(tables: list[Table]) -> list[tuple[str, str]]:
    """Each metric that was measured, as its table's convention defines it; a metric without a definition is named."""
    used = dict.fromkeys(
        (metric if k == 0 else f"{metric}@k", metric, "matinee" if table.protocol is None else table.protocol.metrics)
        for table in tables
        for metric, k in table.columns
    )
    out = []
    for name, metric, convention in used:
        theirs = CONVENTIONS[convention].metrics.get(metric) if convention in CONVENTIONS else None
        text = words.METRICS.get(metric.partition(":")[0], metric)
        if theirs is not None and theirs is not METRICS.get(metric):
            said = " ".join((theirs.__doc__ or "").split()).removeprefix("float64 (B,): ")  # not for readers
            text = f"of {convention}: {said[:1].upper()}{said[1:]}"
        out.append((name, text))
    return out
