"""What lists are like, beside what they hit: popular or not, alike or not, close to the history or not.

The metrics of lists stand in `metrics.METRICS` with all others; here are their formulas. Those of the first part are
functions of (Hits, k) with a value a query: NaN where a query has no answer, as for every metric, so that all means are
of the same queries, and where a list tells nothing (no item, or none of which the item table says anything). OF_MODELS
has the numbers that only all lists together have. Functions of plain arrays follow, for those who have no holdout.
item: int32 (B, K) codes, best first, -1 = none; the first k count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ints, Ragged, binary_csr, gini
from matinee.data.dataset import Dataset
from matinee.data.features.attributes import history_shares, item_column
from matinee.errors import MatineeError
from matinee.evaluate.hits import Hits, Values, find_hits
from matinee.evaluate.known import Known
from matinee.kernels import parallel

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ALPHA = 0.01  # Steck's: the share of the history in the list's distribution, so that no value has the share 0
GENRES, ARTIST = "genres", "artist"  # the columns that are meant where none is named
CREDIT = 0.25  # of a hit, for an artist
_CHUNK = 512  # queries a thread takes at once
_CELLS = 1 << 21  # of dense (queries, values) arrays held at once


# --- values a query -------------------------------------------------------------------------------------------------


def head_share(hits: Hits, k: int, column: str = "") -> Values:
    """float64 (B,): the share of the listed items that are among the 300 most popular of train (`head_share:100`:
    among 100); where there are fewer than 1500 items, among the most popular fifth."""
    item, known = _lists(hits, k)
    return _of_answered(hits, _mean_over_list(item, known.head(int(column) if column else None)))


def mean_popularity(hits: Hits, k: int) -> Values:
    """float64 (B,): the mean place of the listed items by training events, from 0, the least, to 1, the most
    popular."""
    item, known = _lists(hits, k)
    return _of_answered(hits, _mean_over_list(item, known.popularity_rank))


def novelty(hits: Hits, k: int) -> Values:
    """float64 (B,): the mean self-information of the listed items in bits, -log2 of the share of train's users who have
    an item (Zhou et al., PNAS 2010). 0 for items that everybody has; without an upper end."""
    item, known = _lists(hits, k)
    return _of_answered(hits, _mean_over_list(item, known.self_information))


def serendipity(hits: Hits, k: int) -> Values:
    """float64 (B,): hits@k that popularity would not have listed, / k: the relevant ones of the unexpected items (Ge,
    Delgado-Battenfeld and Jannach, RecSys 2010, their primitive model being the k most popular items that the query
    does not exclude)."""
    item, known = _lists(hits, k)
    popular = known.popular_lists(k)
    expected = find_hits(item, Ragged.of_lengths((popular >= 0).sum(axis=1), popular[popular >= 0])).hit
    return _of_answered(hits, np.count_nonzero(hits.hit[:, :k] & ~expected, axis=1) / k)


def diversity(hits: Hits, k: int, column: str = GENRES) -> Values:
    """float64 (B,): `intra_list_diversity` by a column of the item table, genres unless another is named
    (`diversity:directors`)."""
    item, known = _lists(hits, k)
    return _of_answered(hits, intra_list_diversity(item, known.attribute(column).unit_rows(), k))


def diversity_cooccurrence(hits: Hits, k: int) -> Values:
    """float64 (B,): `intra_list_diversity` by train's users: 1 - cosine of two items is 1 - (users of both) /
    sqrt(users of one * users of the other), so items that different people watch are unlike."""
    item, known = _lists(hits, k)
    return _of_answered(hits, intra_list_diversity(item, known.users_of, k))


def calibration(hits: Hits, k: int, column: str = GENRES) -> Values:
    """float64 (B,): `calibration_error` by a column of the item table, genres unless another is named, against the
    query's history. Less is better."""
    item, known = _lists(hits, k)
    shares = known.attribute(column).shares()
    value = np.full(len(item), np.nan)
    step = max(1, _CELLS // max(shares.shape[1], 1))
    for start in range(0, len(item), step):
        rows = slice(start, start + step)
        target = history_shares(known.queries.slice(start, start + step), shares)
        value[rows] = calibration_error(item[rows], target, shares, k)
    return _of_answered(hits, value)


def recall_debiased(hits: Hits, k: int) -> Values:
    """float64 (B,): recall@k in which an answer weighs its inverse propensity, (largest count / its events)^.5: the
    weights of the hits / the weights of all answers. Events: of train.

    Self-normalised inverse propensities (Yang et al., RecSys 2018), with the propensity of Saito et al. (WSDM 2020), a
    power .5 of popularity: hidden events are no fair sample of what people like, because popular items are seen more.
    """
    item, known = _lists(hits, k)
    found = hits.hit[:, :k] * known.inverse_propensity[item]
    all_answers = np.bincount(known.truth.rows, known.answer_weight, minlength=len(item))
    return _of_answered(hits, found.sum(axis=1) / np.where(all_answers > 0, all_answers, np.nan))


def ndcg_debiased(hits: Hits, k: int) -> Values:
    """float64 (B,): ndcg@k with the gains of `recall_debiased`: DCG@k / the DCG of the k heaviest answers first."""
    item, known = _lists(hits, k)
    gain = hits.hit[:, :k] * known.inverse_propensity[item]
    ideal = known.ideal_dcg(k)
    dcg = gain @ (1 / np.log2(np.arange(2, gain.shape[1] + 2)))
    return _of_answered(hits, dcg / np.where(ideal > 0, ideal, np.nan))


def r_precision_credit(hits: Hits, k: int, column: str = ARTIST) -> Values:
    """float64 (B,): (hits@n + a quarter of the distinct artists that the first n items and the answers share) / n, n =
    |rel|, at most the first k items counting; of another column of the item table: `r_precision_credit:directors`.

    The R-precision of the RecSys Challenge 2018, (|S_T and G_T| + .25 |S_A and G_A|) / |G_T| (Zamani, Schedl, Lamere
    and Chen, ACM TIST 2019): artists of hits count too, so it is above figures that give the quarter for missed tracks
    alone, and can exceed 1."""
    item, known = _lists(hits, k)
    values, n_values = known.attribute(column).codes, len(known.attribute(column).values)
    row, place = np.nonzero((item >= 0) & (np.arange(item.shape[1]) < hits.relevant[:, None]))
    both = [
        _distinct_values(rows, codes, values, (len(item), n_values))
        for rows, codes in ((row, item[row, place]), (known.truth.rows, known.truth.values))
    ]
    shared = np.asarray(both[0].multiply(both[1]).sum(axis=1), np.float64)
    found = hits.first(k).sum(axis=1) + CREDIT * shared
    return np.asarray(found / np.where(hits.relevant > 0, hits.relevant, np.nan), np.float64)


def _distinct_values(
    row: NDArray[np.integer[Any]], item: NDArray[np.integer[Any]], values: Ragged, shape: tuple[int, int]
) -> csr_array:
    """csr float32 (B, values): 1 where a row holds an item with the value. values: int32 (n_items rows)."""
    there = item < len(values)  # an answer may be an item that the log does not know
    row, item = row[there], item[there]
    found = values.values[values.positions(item)]
    return binary_csr(np.repeat(row, values.lengths[item]), found, shape)


OF_LISTS: Mapping[str, Callable[..., Values]] = {
    "recall_debiased": recall_debiased,
    "ndcg_debiased": ndcg_debiased,
    "serendipity": serendipity,
    "novelty": novelty,
    "mean_popularity": mean_popularity,
    "head_share": head_share,
    "diversity": diversity,
    "diversity_cooccurrence": diversity_cooccurrence,
    "calibration_error": calibration,
    "r_precision_credit": r_precision_credit,
}
"""Metrics with a value a query, which need the log that was learned from."""
WITH_COLUMN = {"diversity": GENRES, "calibration_error": GENRES, "r_precision_credit": ARTIST}
"""Those that take a column of the item table after a colon, and which one where none is named."""


def check_option(name: str) -> None:
    """Raise MatineeError for a metric's name with an option ("diversity:directors") that it does not take."""
    plain, colon, option = name.partition(":")
    if not colon:
        return
    if plain not in (*WITH_COLUMN, "head_share"):
        raise MatineeError(f"{name!r} is not a metric: {plain} takes nothing after a colon", hint=f'write "{plain}"')
    if plain == "head_share" and not (option.isdecimal() and int(option)):
        raise MatineeError(f"{name!r} names no number of items", hint='write "head_share:100", say')
    if not option:
        raise MatineeError(f"{name!r} names no column", hint=f'write "{plain}:directors", say, or "{plain}"')


def asking_the_log(metrics: Sequence[str]) -> list[str]:
    """Those of the metrics that need the log that was learned from."""
    return [name for name in metrics if name.partition(":")[0] in (*OF_LISTS, *OF_MODELS)]


def refuse_missing(metrics: Sequence[str], data: Dataset) -> None:
    """Raise MatineeError where one of the metrics needs a column of the item table that is not there."""
    for name in metrics:
        plain, _, column = name.partition(":")
        if plain in WITH_COLUMN:
            item_column(data.item_features, column or WITH_COLUMN[plain])


# --- numbers of all lists together ----------------------------------------------------------------------------------


def catalogue_coverage(hits: Hits, k: int) -> float:
    """Distinct items in the first k of all lists, over the items with a training event."""
    item, known = _lists(hits, k)
    return coverage(item, known.counts, k)


def exposure_gini(hits: Hits, k: int) -> float:
    """The Gini coefficient of how often each item with a training event is in the first k of a list: 0 where all are
    equally often, near 1 where few have all the places."""
    item, known = _lists(hits, k)
    given = np.bincount(item[item >= 0], minlength=len(known.counts))
    return gini(given[(known.counts > 0) | (given > 0)])


OF_MODELS: Mapping[str, Callable[[Hits, int], float]] = {"coverage": catalogue_coverage, "gini": exposure_gini}


# --- of plain arrays ------------------------------------------------------------------------------------------------


def intra_list_diversity(item: Ints, unit_rows: csr_array, k: int) -> Values:
    """float64 (B,): the mean over pairs of items of 1 - cosine (Ziegler et al., WWW 2005, there as similarity), from 0,
    all alike, to 1. unit_rows: csr (n_items, values), rows of length 1; items without a value are left out. NaN where
    fewer than two are left.
    """
    from matinee.kernels.lists import sum_squares

    first = np.ascontiguousarray(item[:, :k])
    square, listed = np.zeros(len(first)), np.zeros(len(first), np.int64)
    rows = (unit_rows.indptr, unit_rows.indices, unit_rows.data, unit_rows.shape[1])
    parallel(lambda a, b: sum_squares(a, b, first, *rows, square, listed), len(first), chunk=_CHUNK)
    pairs = listed * (listed - 1) / 2
    # |sum of v|^2 = n + 2 * the sum of cosines over pairs, as each v has length 1
    cosines = np.maximum((square - listed) / 2, 0.0)
    return np.asarray(1.0 - cosines / np.where(pairs > 0, pairs, np.nan), np.float64)


def calibration_error(item: Ints, target: NDArray[np.float64], shares: csr_array, k: int) -> Values:
    """float64 (B,): KL(p || .99 q + .01 p), Steck's C_KL (RecSys 2018, eq. 4 and 5), 0 where list and history agree.

    target: float64 (B, values), p, see `history_shares`. shares: csr (n_items, values), see `Attribute.shares`; q is
    their mean over the list's items that have any. NaN where nothing is known of the history or of the list.
    """
    sums, listed = _summed(item[:, :k], shares)
    known = (listed > 0) & (target.sum(axis=1) > 0)
    smooth = (1 - ALPHA) * sums / np.maximum(listed, 1)[:, None] + ALPHA * target
    there = target > 0
    ratio = np.divide(target, smooth, out=np.ones_like(target), where=there)
    error = np.sum(target * np.log(ratio), axis=1)
    return np.where(known, error, np.nan)


def coverage(item: Ints, train_counts: NDArray[np.integer], k: int) -> float:
    """Distinct items in the first k of all lists, over the items with a training event."""
    given = item[:, :k]
    return len(np.unique(given[given >= 0])) / max(int(np.count_nonzero(train_counts)), 1)


def _summed(item: Ints, rows: csr_array) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """float64 (B, values) and int64 (B,): the sum of the listed items' rows, and how many of them have a value."""
    from scipy.sparse import csr_array

    there = item >= 0
    offsets = np.append(0, np.cumsum(there.sum(axis=1)))
    lists = csr_array((np.ones(int(there.sum())), item[there], offsets), shape=(len(item), rows.shape[0]))
    known = (np.diff(rows.indptr) > 0).astype(np.float64)
    sums = np.asarray((lists @ rows.astype(np.float64)).toarray(), np.float64)
    return sums, np.asarray(lists @ known, np.float64).astype(np.int64)


def _lists(hits: Hits, k: int) -> tuple[Ints, Known]:
    """int32 (B, k) and what is known. Raises MatineeError where it was not given."""
    if hits.item is None or hits.known is None:
        hint = "pass train=, the log that the model was fitted on (split.train), or leave these metrics out"
        raise MatineeError("metrics of what lists are like need the log that was learned from", hint=hint)
    return hits.item[:, :k], hits.known


def _mean_over_list(item: Ints, value: NDArray[Any]) -> Values:
    """float64 (B,): the mean of the listed items' values (n_items,); NaN for an empty list."""
    there = item >= 0
    listed = there.sum(axis=1)
    total = np.where(there, value[np.maximum(item, 0)], 0).sum(axis=1)
    return np.asarray(total / np.where(listed > 0, listed, np.nan), np.float64)


def _of_answered(hits: Hits, value: Values) -> Values:
    """float64 (B,): NaN where a query has no answer."""
    return np.where(hits.relevant > 0, value, np.nan)
