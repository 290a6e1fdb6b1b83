"""Tables of what is recommended, from a run's analysis: plain cells, which one template shows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from matinee.evaluate.evaluate import named
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.explore import Analysis
from matinee.report import format as words
from matinee.report.format import THIN, percent
from matinee.report.metric_groups import places

CUTS = (1, 3, 5, 10, 20, 50, 100)
SHOWN = 5  # models beside each other
LIKE = {
    "novelty": "Novelty",
    "serendipity": "Serendipity",
    "diversity": "Diversity, genres",
    "diversity_cooccurrence": "Diversity, watchers",
    "calibration_error": "Calibration error",
    "gini": "Gini",
    "recall_debiased": "Recall, debiased",
    "ndcg_debiased": "ndcg, debiased",
    "disliked": "Disliked",
}
SOURCES = {"history": "Histories", "hidden": "Hidden"}


class Frequent(NamedTuple):
    """A value, such as a genre, and how often it is found."""

    value: str
    share: str


@dataclass(frozen=True)
class ListTable:
    """head: its first cell names the rows, whose first cells are names too. note: what the numbers mean. ranks: for
    each row its place by each column but the first, from 0; empty where the order of rows means something. folded:
    shown when asked for. titles: the cells are titles of items, which need room."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Frequent]]
    note: str
    ranks: Sequence[Sequence[int]] = ()
    folded: bool = False
    titles: bool = False


def list_tables(found: Analysis | None, labels: Sequence[str], composites: Collection[str] = ()) -> list[ListTable]:
    """labels: the models, in the order of the page. composites: those made of others. Empty without an analysis."""
    if found is None:
        return []
    tables: list[ListTable | None] = [_alike(found, labels), _by_popularity(found, labels), _by_k(found, labels)]
    tables += [_hits(found, labels, composites), _years(found, labels), *_top(found, labels)]
    return [table for table in tables if table is not None and table.rows]


def _alike(found: Analysis, labels: Sequence[str]) -> ListTable:
    there = [metric for metric in LIKE if any(found.value(metric, label) is not None for label in labels)]
    values = [[found.value(metric, label) for metric in there] for label in labels]
    rows = [[label, *map(_four, row)] for label, row in zip(labels, values, strict=True)]
    ranks = places(values, [metric in LOWER_IS_BETTER for metric in there])
    note = f"Means over queries, the first {found.k} items. " + " ".join(
        f"{LIKE[metric]}: {words.METRICS[metric]}." for metric in there
    )
    return ListTable("What the lists are like", ["Model", *(LIKE[metric] for metric in there)], rows, note, ranks)


def _by_popularity(found: Analysis, labels: Sequence[str]) -> ListTable:
    frame = found.by_popularity
    metric = frame["metric"][0] if len(frame) else ""
    part = frame.filter(pl.col("metric") == metric)
    sizes = part.select("group", "n_items", "n_answers").unique(maintain_order=True).rows()
    head = [f"{group} ({items:,} items, {answers:,} answers)" for group, items, answers in sizes]
    value = {(label, group): x for label, group, x in part.select("label", "group", "value").iter_rows()}
    values = [[value.get((label, group)) for group, *_ in sizes] for label in labels]
    rows = [[label, *map(_four, row)] for label, row in zip(labels, values, strict=True)]
    ranks = places(values, [metric in LOWER_IS_BETTER] * len(sizes))
    note = "Only answers of one group of items count. Each group holds about a third of the training events."
    title = "How well popular and rare items are found"
    return ListTable(title, [named(metric, found.k), *head], rows if sizes else [], note, ranks)


def _by_k(found: Analysis, labels: Sequence[str]) -> ListTable:
    frame = found.by_k
    metric = frame["metric"][0] if len(frame) else ""
    value = {
        (label, k): x
        for label, k, x in frame.filter(pl.col("metric") == metric).select("label", "k", "value").iter_rows()
    }
    cuts = sorted({k for k in CUTS if k < found.k} | {found.k})
    values = [[value.get((label, k)) for k in cuts] for label in labels]
    rows = [[label, *map(_four, row)] for label, row in zip(labels, values, strict=True)]
    ranks = places(values, [metric in LOWER_IS_BETTER] * len(cuts))
    note = "At several lengths of the list; the run’s analysis.json has every k."
    return ListTable("How quality grows with k", [metric, *(f"k = {k}" for k in cuts)], rows, note, ranks)


def _hits(found: Analysis, labels: Sequence[str], composites: Collection[str]) -> ListTable | None:
    """The first model against every other, and which two find most together."""
    if len(labels) < 2:
        return None
    counts: dict[str, list[int]] = {}
    p_of: dict[str, float] = {}
    for a, b, *numbers, p in found.pairs.select("a", "b", "both", "only_a", "only_b", "neither", "p").iter_rows():
        if labels[0] in (a, b):
            both, one, other, _ = numbers if a == labels[0] else (numbers[0], numbers[2], numbers[1], numbers[3])
            label = b if a == labels[0] else a
            counts[label], p_of[label] = [both, one, other, both + one + other], p
    others = [label for label in labels if label in counts]
    rows = [
        [label, *(f"{n:,}" for n in counts[label]), f"<{THIN}.001" if p_of[label] < 0.001 else f"{p_of[label]:.3f}"]
        for label in others
    ]
    ranks = places([[*counts[label], p_of[label]] for label in others], [False] * 4 + [True])
    head = [f"{labels[0]} and …", "Both", f"Only {labels[0]}", "Only the other", "Either", "p"]
    note = f"Hidden answers among the first {found.k}. p: whether each finds as many alone (McNemar’s test, the "
    note += "answers of a user together)." + _most_together(found.pairs, composites)
    return ListTable("What two models both find", head, rows, note, ranks)


def _most_together(pairs: pl.DataFrame, composites: Collection[str]) -> str:
    """The two models, not made of others, of which at least one finds most of the hidden answers."""
    simple = pairs.filter(~pl.col("a").is_in(list(composites)) & ~pl.col("b").is_in(list(composites)))
    if len(simple) < 2:
        return ""
    either = simple.with_columns(either=pl.col("both") + pl.col("only_a") + pl.col("only_b"))
    top = either.row(int(either["either"].arg_max() or 0), named=True)
    text = f" Of all pairs {top['a']} and {top['b']} find most together, {top['either']:,} of "
    return text + f"{top['either'] + top['neither']:,}, in two lists: an ensemble of them has the places of one."


def _years(found: Analysis, labels: Sequence[str]) -> ListTable | None:
    if found.years.is_empty():
        return None
    of = {(of, label): years for of, label, *years in found.year_quartiles().iter_rows()}
    asked = [("history", None), ("hidden", None), *(("recommended", label) for label in labels)]
    there = [key for key in asked if key in of]
    rows = [[SOURCES.get(key[0], key[1] or ""), *map(str, of[key])] for key in there]
    ranks = places([of[key] for key in there], [False] * 3)
    note = "The quarters of the events, answers and places of lists whose item has a year, by that year."
    return ListTable("Release years", ["", "Lower quarter", "Median", "Upper quarter"], rows, note, ranks)


def _top(found: Analysis, labels: Sequence[str]) -> Iterator[ListTable]:
    """The most frequent genres, directors and writers, the first models beside the histories."""
    sources = [("history", None), ("hidden", None), *(("recommended", label) for label in labels[:SHOWN])]
    head = ["", *(SOURCES.get(of, label or "") for of, label in sources)]
    note = "Share of the items that have any; an item with several counts for each."
    if len(labels) > SHOWN:
        note += f" Of the models the first {SHOWN}."
    for at, ((column,), part) in enumerate(found.top.group_by("column", maintain_order=True)):
        cell = {
            (of, label, rank): Frequent(str(value), percent(share))
            for _, of, label, rank, value, _, share in part.iter_rows()
        }
        ranks = sorted(part["rank"].unique().to_list())
        rows = [[str(rank), *(cell.get((*source, rank), "–") for source in sources)] for rank in ranks]
        yield ListTable(f"Most frequent {column}", head, rows, note, folded=at > 0)


def _four(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.4f}"
