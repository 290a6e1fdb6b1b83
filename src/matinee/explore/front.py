"""Accuracy against coverage, diversity and calibration: one model that orders lists anew, at many values of lam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from matinee.data.dataset import Dataset, Holdout, Split
from matinee.errors import MatineeError, audience, option, option_name
from matinee.evaluate.evaluate import evaluate, named
from matinee.evaluate.lists import refuse_missing
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.families.listwise import Listwise
from matinee.progress import track
from matinee.rank import recommend
from matinee.rules import Rules

if TYPE_CHECKING:
    import polars as pl

LAMS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FRONT = ("coverage", "diversity", "calibration_error", "mean_popularity")


def front(
    model: Model, split: Split, lam: Sequence[float] = LAMS, *, part: Literal["valid", "test"] = "valid",
    metric: str = "ndcg", k: int = 10, column: str | None = "genres", rules: Rules | None = None, seed: int = 0,
) -> pl.DataFrame:  # fmt: skip
    """What accuracy costs in other respects: a row for each lam of a model such as MMR, Calibrated or
    PopularityDiscount, on one part of a split. The base is fitted once, on train, unless it is fitted already.

    Columns: model, lam, the metric (such as ndcg@10) with ci_low and ci_high, coverage (distinct items of all lists
    over items with a training event), diversity (intra-list, by the column of the item table), calibration_error
    (Steck's KL, by the same column), mean_popularity (mean rank of the listed items by training events, 1 = the most
    popular, 0 = the least), n_queries. column = None leaves diversity and calibration_error out.
    Raises MatineeError for a model without lam, and for a column that does not exist.

    Example: `mt.front(mt.models.PopularityDiscount(base="ease"), split, [0.0, 0.5], column=None)`
    """
    if not isinstance(model, Listwise):
        hint = "pass mt.models.MMR, Calibrated or PopularityDiscount with a base"
        raise MatineeError(f"{type(model).__name__} does not order lists by a lam", hint=hint)
    holdout: Holdout = getattr(split, part)
    base = (
        model.base if model.base.is_fitted else model.base.model_copy().fit(split.train, valid=split.valid, seed=seed)
    )
    beside = {"coverage": "coverage", "mean_popularity": "mean_popularity"}
    if column is not None:
        _refuse_missing(column, split.train)
        beside |= {name: f"{name}:{column}" for name in ("diversity", "calibration_error")}
    rows = []
    for value in track(lam, "ordering", total=len(lam)):
        one = type(model)(**{**model.get_params(deep=False), "base": base, "lam": value}).fit(split.train)
        recs = recommend(one, holdout.queries, k, rules=rules)
        found = evaluate(recs, holdout, k=k, metrics=[metric, *beside.values()], train=split.train)
        mean = found.mean(metric, k)
        of = {"model": registry.name_of(model), "lam": float(value), named(metric, k): mean.value}
        of |= {"ci_low": mean.low, "ci_high": mean.high}
        of |= {name: found.mean(beside[name], k).value for name in FRONT if name in beside}
        rows.append(of | {"n_queries": mean.n_queries})
    import polars as pl

    return pl.DataFrame(rows)


def _refuse_missing(column: str, data: Dataset) -> None:
    try:
        refuse_missing([f"diversity:{column}"], data)
    except MatineeError as error:
        none = option("column", None) if audience() == "python" else option_name("no_column")
        hint = f"{error.hint}; name another by {option('column', 'NAME')}, or leave diversity out by {none}"
        raise MatineeError(error.what, hint=hint) from None
