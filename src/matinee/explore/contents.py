"""What items say of themselves, where people and models meet them: release years, and the names found most often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.dataset import Dataset, Holdout
from matinee.data.features.attributes import attribute_of
from matinee.rank import Recommendations

TOP = 10  # names listed
_OF = {"of": pl.String(), "label": pl.String()}
YEARS = {**_OF, "year": pl.Int64(), "n": pl.Int64(), "share": pl.Float64()}
TOP_VALUES = {
    "column": pl.String(), **_OF, "rank": pl.Int64(), "value": pl.String(), "n": pl.Int64(), "share": pl.Float64(),
}  # fmt: skip


Sources = Mapping[tuple[str, str | None], NDArray[np.int64]]
"""(of, label) -> int64 (n_items,), see `item_counts`."""


def item_counts(recommendations: Mapping[str, Recommendations], holdout: Holdout, k: int, n_items: int) -> Sources:
    """How often each item occurs: in the queries' histories ("history"), among the hidden answers ("hidden"), and in
    the first k of each model's lists ("recommended", with its label)."""
    found: dict[tuple[str, str | None], NDArray[np.int64]] = {
        ("history", None): np.bincount(holdout.queries.history.values, minlength=n_items),
        ("hidden", None): np.bincount(holdout.truth.values, minlength=n_items)[:n_items],
    }
    for label, recs in recommendations.items():
        item = recs.item[:, :k]
        found["recommended", label] = np.bincount(item[item >= 0], minlength=n_items)
    return found


def years(sources: Sources, data: Dataset, column: str = "year") -> pl.DataFrame | None:
    """of, label, year, n, share: how much of what is in each source was released in each year, of what has a year. None
    where the item table has no years."""
    table = data.item_features
    if table is None or column not in table.columns or not table[column].dtype.is_numeric():
        return None
    year = table[column].cast(pl.Int64, strict=False).to_numpy()
    known = np.flatnonzero(np.isfinite(year.astype(np.float64)))
    if not len(known):
        return None
    level, at = np.unique(year[known].astype(np.int64), return_inverse=True)
    rows = []
    for (of, label), counts in sources.items():
        n = np.bincount(at, counts[known], minlength=len(level)).astype(np.int64)
        held = np.flatnonzero(n)
        rows += [(of, label, int(level[i]), int(n[i]), n[i] / n.sum()) for i in held]
    return pl.DataFrame(rows, YEARS, orient="row")


def top_values(sources: Sources, data: Dataset, columns: Sequence[str], n: int = TOP) -> pl.DataFrame:
    """column, of, label, rank (from 1), value, n, share: the n most frequent values of each column in each source.
    share: of the events, or places of lists, whose item has any value; an item with several counts for each."""
    return pl.DataFrame([row for column in columns for row in _top(sources, data, column, n)], TOP_VALUES, orient="row")


def _top(sources: Sources, data: Dataset, column: str, n: int) -> Iterator[tuple[object, ...]]:
    attribute = attribute_of(data, column)
    codes = attribute.codes
    described = codes.lengths > 0
    for (of, label), counts in sources.items():
        times = np.bincount(codes.values, counts[codes.rows], minlength=len(attribute.values))
        total = int(counts[described].sum())
        order = np.argsort(-times, kind="stable")[:n]
        for rank, code in enumerate(order[times[order] > 0].tolist(), start=1):
            yield column, of, label, rank, attribute.values[code], int(times[code]), times[code] / total


def quartiles(found: pl.DataFrame) -> pl.DataFrame:
    """of, label, lower, median, upper: the quarters of the years of each source, weighted by n; see `years`."""
    rows = []
    for (of, label), part in found.sort("year").group_by("of", "label", maintain_order=True):
        year, up_to = part["year"].to_numpy(), part["n"].cum_sum().to_numpy()
        rows.append((of, label, *(int(year[np.searchsorted(up_to, q * up_to[-1])]) for q in (0.25, 0.5, 0.75))))
    schema = {**_OF, **dict.fromkeys(("lower", "median", "upper"), pl.Int64())}
    asked = found.select("of", "label").unique(maintain_order=True)
    return asked.join(pl.DataFrame(rows, schema, orient="row"), on=["of", "label"], nulls_equal=True, how="left")
