"""Two models at a time: how much of their lists they share, and which hidden answers both of them find."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Ints, Ragged
from matinee.data.dataset import Holdout
from matinee.errors import MatineeError
from matinee.evaluate.intervals import clusters_of
from matinee.rank import Recommendations

_CELLS = 1 << 24  # comparisons held at once by overlap
_COUNTS = ("total", "both", "only_a", "only_b", "neither")
PAIRS = {
    "a": pl.String(), "b": pl.String(), "common": pl.Float64(), "share": pl.Float64(),
    **dict.fromkeys(_COUNTS, pl.Int64()), "p": pl.Float64(),
}  # fmt: skip


def pairs(recommendations: Mapping[str, Recommendations], holdout: Holdout, k: int) -> pl.DataFrame:
    """A row for every two models, of the first k of their lists.

    a, b: labels. common: items in both lists of a query, on average; total: over all queries; share: of all places.
    both, only_a, only_b, neither: hidden answers that both models have among the first k, and so on. p: of a two-sided
    test that each finds as many as the other (see `mcnemar`), not corrected for the number of pairs.
    Raises MatineeError where two models did not answer the same queries.
    """
    refuse_other_queries(recommendations)
    cut = {label: recs.item[:, :k] for label, recs in recommendations.items()}
    found = {label: found_answers(item, holdout.truth) for label, item in cut.items()}
    clusters = clusters_of(holdout.queries.user)
    owner = holdout.truth.rows if clusters is None else clusters[holdout.truth.rows]
    rows = []
    for a, b in combinations(cut, 2):
        total = common(cut[a], cut[b])
        places = (np.count_nonzero(cut[a] >= 0) + np.count_nonzero(cut[b] >= 0)) / 2
        one, other = found[a], found[b]
        table = [int(np.count_nonzero(cell)) for cell in (one & other, one & ~other, ~one & other, ~one & ~other)]
        p = mcnemar(one, other, owner)
        rows.append((a, b, total / max(len(cut[a]), 1), total / max(places, 1), total, *table, p))
    return pl.DataFrame(rows, PAIRS, orient="row")


def overlap(recommendations: Mapping[str, Recommendations]) -> NDArray[np.float64]:
    """float64 (M, M): how many items two models both recommend for one query, on average; on the diagonal, the length
    of the lists.

    Raises MatineeError where two models did not answer the same queries.
    """
    refuse_other_queries(recommendations)
    lists = list(recommendations.values())
    out = np.zeros((len(lists), len(lists)))
    for a, one in enumerate(lists):
        for b, other in enumerate(lists[: a + 1]):
            out[a, b] = out[b, a] = common(one.item, other.item) / max(len(one), 1)
    return out


def refuse_other_queries(recommendations: Mapping[str, Recommendations]) -> None:
    """Raise MatineeError where two models did not answer the same queries."""
    labels = list(recommendations)
    for label in labels[1:]:
        if not np.array_equal(recommendations[labels[0]].user, recommendations[label].user):
            what = f"{label} and {labels[0]} did not answer the same queries"
            raise MatineeError(what, hint="compare recommendations for one holdout")


def common(a: Ints, b: Ints) -> int:
    """Items that are in the same row of both, summed over rows. A row holds an item once; -1 pads."""
    step = max(1, _CELLS // max(a.shape[1] * b.shape[1], 1))
    total = 0
    for start in range(0, len(a), step):
        left, right = a[start : start + step, :, None], b[start : start + step, None, :]
        total += int(np.count_nonzero((left == right) & (left >= 0)))
    return total


def found_answers(item: Ints, truth: Ragged) -> Bools:
    """bool (number of answers,): whether each hidden answer, in the order of truth.values, is in its query's list.
    item: int32 (B, k), -1 = none."""
    row, rank = np.nonzero(item >= 0)
    listed = item[row, rank]
    n = 1 + max(int(listed.max(initial=0)), int(truth.values.max(initial=0)))
    return np.isin(truth.rows * n + truth.values, row * n + listed)


def mcnemar(one: Bools, other: Bools, owner: NDArray[np.int64]) -> float:
    """Two-sided p of McNemar's test for answers that belong together: with d = (only one finds it) - (only the other)
    summed over the answers of a user, (sum of d)^2 / sum of d^2 is chi-squared with one degree of freedom (Yang, Sun
    and Hardin, Biometrical Journal 2010). Of one answer a user it is McNemar's (b - c)^2 / (b + c). 1 where nothing
    differs. one, other: bool (n,); owner: int64 (n,), equal for answers of one user."""
    difference = one.astype(np.float64) - other
    sums = np.bincount(owner, difference) if len(owner) else np.zeros(1)
    square = float((sums**2).sum())
    return math.erfc(math.sqrt(float(sums.sum()) ** 2 / square / 2)) if square else 1.0
