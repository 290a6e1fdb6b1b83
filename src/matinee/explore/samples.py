"""A few users of a log: what they liked best, and what each model recommends to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from matinee.data.arrays import Ints
from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.data.items import ItemCard, item_cards
from matinee.rank import Recommendations


@dataclass(frozen=True)
class SampleItem:
    """hit: whether the item was hidden. rating: the user's own."""

    card: ItemCard
    hit: bool = False
    rating: float | None = None


@dataclass(frozen=True)
class UserSample:
    """One query. user: the external id, None = unknown. group: from 1 (shortest histories) to n. favourites: items of
    the history, each once, the best rated first, of equal ratings the newest; without ratings the newest first. picks:
    label -> the model's list, best first."""

    query: int
    user: int | str | None
    group: int
    n_history: int
    n_hidden: int
    favourites: tuple[SampleItem, ...]
    picks: Mapping[str, tuple[SampleItem, ...]]


def user_samples(
    data: Dataset, holdout: Holdout, recommendations: Mapping[str, Recommendations], *, n: int = 5, seed: int = 0,
    n_favourites: int = 5, n_picks: int = 10,
) -> list[UserSample]:  # fmt: skip
    """Up to n queries, one at random from each nth of the answerable ones by length of history, shortest first."""
    answerable = np.flatnonzero(holdout.truth.lengths)
    ordered = answerable[np.argsort(holdout.queries.history.lengths[answerable], kind="stable")]
    parts = [part for part in np.array_split(ordered, min(n, len(ordered)) or 1) if len(part)]
    out, rng = [], np.random.default_rng(seed)
    for group, query in enumerate([int(rng.choice(part)) for part in parts], start=1):
        history, truth = holdout.queries.history[query], holdout.truth[query]
        code = int(holdout.queries.user[query])
        picks = {label: recs.item[query, :n_picks] for label, recs in recommendations.items()}
        out.append(
            UserSample(
                query=query,
                user=data.users.decode([code])[0] if code >= 0 else None,
                group=group,
                n_history=len(history),
                n_hidden=len(truth),
                favourites=_favourites(data, holdout.queries, query)[:n_favourites],
                picks={label: _picks(data, items, set(truth.tolist())) for label, items in picks.items()},
            )
        )
    return out


def _picks(data: Dataset, codes: Ints, hidden: set[int]) -> tuple[SampleItem, ...]:
    codes = codes[codes >= 0]
    return tuple(SampleItem(c, code in hidden) for c, code in zip(item_cards(data, codes), codes.tolist(), strict=True))


def _favourites(data: Dataset, queries: Queries, query: int) -> tuple[SampleItem, ...]:
    """The items of a history in the order of UserSample.favourites. A log whose values are all equal has no ratings."""
    start, stop = queries.history.offsets[query : query + 2]
    items = queries.history.values[start:stop][::-1]
    values = None if queries.history_ratings is None else queries.history_ratings[start:stop][::-1]
    newest = np.sort(np.unique(items, return_index=True)[1])
    if values is None or data.value is None or not len(data) or data.value.min() == data.value.max():
        return tuple(map(SampleItem, item_cards(data, items[newest])))
    best = newest[np.argsort(-values[newest], kind="stable")]
    rated = zip(item_cards(data, items[best]), values[best].tolist(), strict=True)
    return tuple(SampleItem(card, rating=rating) for card, rating in rated)
