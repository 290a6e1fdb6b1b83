"""Quality against what is known: someone with no item, with one, two, five...; and items that nobody watched yet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee import split as splits
from matinee.data.dataset import Dataset, Holdout, Split
from matinee.errors import MatineeError, listed, option, option_name
from matinee.evaluate.evaluate import Evaluation, evaluate, text_table
from matinee.evaluate.metrics import formulas_of, kind_of
from matinee.models import registry
from matinee.models.base import Model
from matinee.notebook import html_notes, html_panel, html_table
from matinee.progress import track
from matinee.rank import recommend
from matinee.split.shares import check_ratio

if TYPE_CHECKING:
    import polars as pl

KNOWN = (0, 1, 2, 5, 10, 25)
ALL, NEW = "all", "new"


@dataclass(frozen=True, repr=False)
class ColdStart:
    """How good models are by how much is known.

    frame: items ("all": the whole catalogue is ranked; "new": those without a training event alone), model, known (how
    many items of the list are shown), metric, k, value, ci_low, ci_high, n_queries. unable: models that score no new
    item. n_new: how many items were new; chance: recall@k of items drawn at random from these. notes: what a reader of
    the numbers should know.

    Example: `mt.cold_start(data, ["popularity", "ease"], known=[0, 1, 5], new_items=0).frame`
    """

    frame: pl.DataFrame
    unable: tuple[str, ...]
    n_new: int
    chance: float
    notes: tuple[str, ...]

    def table(self, items: str = ALL) -> tuple[list[str], list[list[str]]]:
        """The head and the rows of a table: a model a row, the number of known items a column."""
        rows = self.frame.filter(items=items)
        known = rows["known"].unique().sort().to_list()
        found = []
        for model in rows["model"].unique(maintain_order=True):
            of = dict(rows.filter(model=model).select("known", "value").iter_rows())
            found.append([model, *(f"{of[n]:.4f}" if n in of else "" for n in known)])
        metric, k = rows.select("metric", "k").row(0) if len(rows) else ("", 0)
        return [f"{metric}@{k}", *(f"{n} known" for n in known)], found

    def parts(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """What each table is of, its head and its rows."""
        parts = [("Lists by how many of their items are known", *self.table())]
        if self.n_new:
            words = f"New items alone, {self.n_new:,} of them; at random {self.chance:.4f}"
            parts.append((words, *self.table(NEW)))
        return parts

    def words(self) -> list[str]:
        """What stands below the tables, a sentence each."""
        said = [f"{listed(self.unable)}: cannot score a new item"] if self.unable else []
        return [*said, *self.notes]

    def __str__(self) -> str:
        lines = [line for words, head, rows in self.parts() for line in (words, *_table(head, rows), "")]
        return "\n".join([*lines, *self.words()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [
            html_notes(words) + html_table(head, rows, numbers=range(1, len(head)), named=True)
            for words, head, rows in self.parts()
            if rows
        ]
        return html_panel("Cold start", *parts, html_notes(*self.words()))


def cold_start(
    data: Dataset, models: Mapping[str, Any] | Sequence[Any], known: Sequence[int] = KNOWN, *, metric: str = "ndcg",
    k: int = 10, new_items: float = 0.1, valid: float = 0.1, test: float = 0.1, seed: int = 0,
) -> ColdStart:  # fmt: skip
    """How good models are for users (lists) of whom they know little, and for items that nobody watched.

    models: names, models, or label -> one of these; each is fitted on train with valid for early stopping. Hidden users
    are asked about with their title, where they have one, and their first `known` items (split.lists): at n are those
    who have more than n. new_items: the share of the items that has no event in train (split.new_items); for those the
    models that can score them are fitted once more, and rank new items alone, by recall@k. 0 leaves that out; where no
    hidden list holds a new item, a note says so.
    Raises MatineeError for numbers of items that are none, for a metric of one kind of answers ("recall:new") or of all
    lists together, and as the split, fit and evaluate do.

    Example: `mt.cold_start(data, ["popularity", "ease"], known=[0, 1, 5], new_items=0)`
    """
    named = models if isinstance(models, Mapping) else {_label(model): model for model in models}
    if not named:
        raise MatineeError("there is no model to study", hint='name some: ["popularity", "ease"]')
    if not known or any(not isinstance(n, int | np.integer) or n < 0 for n in known) or len(set(known)) < len(known):
        raise MatineeError(f"known = {list(known)} are no numbers of items", hint=f"say known={list(KNOWN)}")
    _check_metric(metric)
    titled = data.user_titles(np.arange(min(1, data.n_users), dtype=np.int32)) is not None
    tasks = [_task(n, titled) for n in sorted(known)]
    whole = splits.lists(data, valid=valid, test=test, tasks=tasks, seed=seed)
    parts = {ALL: (whole, whole.test, metric)}
    alone, notes = _new_alone(whole, new_items, seed) if new_items else (None, ())
    if alone is not None:
        parts[NEW] = (*alone, "recall")
    n_new = 0 if alone is None else len(np.unique(alone[1].truth.values))
    found: dict[str, list[Evaluation]] = {name: [] for name in parts}
    unable: list[str] = []
    jobs = [(name, label) for name in parts for label in named]
    for name, label in track(jobs, "fitting", total=len(jobs)):
        if label in unable:  # the fit on the whole has said so
            continue
        split, holdout, measure = parts[name]
        model = registry.as_model(named[label]).__sklearn_clone__().fit(split.train, valid=split.valid, seed=seed)
        if NEW in parts and not model.scores_unknown_items():
            unable.append(label)
        if name == ALL or label not in unable:
            found[name].append(_measured(model, holdout, label, measure, k, split.train))
    return ColdStart(_frame(found), tuple(unable), n_new, min(1.0, k / max(n_new, 1)), (*whole.notes, *notes))


def _check_metric(name: str) -> None:
    """Raise MatineeError for a metric that has no value by how much is known, before anything is fitted."""
    if kind := kind_of(name):
        hint = f"pass {option('metric', name.partition(':')[0])}; new items have a table of their own"
        raise MatineeError(f"{name!r} counts answers of one kind, {kind!r}, and these lists have no kinds", hint=hint)
    if not formulas_of([name], "matinee"):
        hint = f"pass a metric that each list has: {option('metric', 'ndcg')}"
        raise MatineeError(f"{name!r} is a number of all lists together", hint=hint)


def _new_alone(whole: Split, share: float, seed: int) -> tuple[tuple[Split, Holdout] | None, tuple[str, ...]]:
    """The split with some items new, and its test of these alone; or None, and a note that says why."""
    check_ratio("new_items", share)
    try:
        split = splits.new_items(whole, share, seed=seed)
        return (split, splits.new_alone(split.test)), ()
    except MatineeError as error:
        larger = f"pass {option_name('new_items')} with a larger share than {share:g}"
        return None, (f"new items are not measured, because {error.what}: {larger}, or 0 to leave this out",)


def _label(model: Any) -> str:
    return model if isinstance(model, str) else registry.name_of(registry.as_model(model))


def _task(n: int, titled: bool) -> str:
    """As split.lists spells it."""
    return "title" if n == 0 else f"title + first {n}" if titled else f"first {n}"


def _measured(model: Model, holdout: Holdout, label: str, metric: str, k: int, train: Dataset) -> Evaluation:
    """The model's lists for the queries, measured."""
    recs = recommend(model, holdout.queries, k)
    return evaluate(recs, holdout, k=k, metrics=[metric], label=label, train=train)


def _frame(found: Mapping[str, Sequence[Evaluation]]) -> pl.DataFrame:
    """The columns of ColdStart.frame."""
    import polars as pl

    order = "items", "model", "known", "metric", "k", "value", "ci_low", "ci_high", "n_queries"
    parts = [
        evaluation.by_task().rename({"label": "model"}).with_columns(
            items=pl.lit(items),
            known=pl.col("task").map_elements(_number, return_dtype=pl.Int64),
        )
        for items, evaluations in found.items()
        for evaluation in evaluations
    ]  # fmt: skip
    return pl.concat(parts).select(*order)


def _number(task: str) -> int:
    """How many items a task shows."""
    return int((re.search(r"\d+", task) or ["0"])[0])


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return text_table(head, rows) if rows else []
