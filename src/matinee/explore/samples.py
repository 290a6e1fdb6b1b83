"""A few users of a log: what they liked best, and what each model recommends to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.rank import Recommendations


@dataclass(frozen=True)
class ItemCard:
    """An item as people see it. title: without the year at its end; the item's id where it has no title. hit: whether
    it was hidden. rating: the user's own."""

    title: str
    year: int | None = None
    genres: tuple[str, ...] = ()
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
    favourites: tuple[ItemCard, ...]
    picks: Mapping[str, tuple[ItemCard, ...]]


def user_samples(
    data: Dataset,
    holdout: Holdout,
    recommendations: Mapping[str, Recommendations],
    *,
    n: int = 5,
    seed: int = 0,
    n_favourites: int = 5,
    n_picks: int = 10,
) -> list[UserSample]:
    """Up to n queries, one at random from each nth of the answerable ones by length of history, shortest first."""
    out = []
    for group, query in enumerate(_sample(holdout, n, seed), start=1):
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
                picks={label: films(data, items[items >= 0], truth) for label, items in picks.items()},
            )
        )
    return out


def films(data: Dataset, codes: NDArray[np.int32], truth: Iterable[int] = ()) -> tuple[ItemCard, ...]:
    """The cards of items, in the order of codes; those in `truth` are hits."""
    hidden = {int(code) for code in truth}
    rows = data.item_features[codes.tolist()].to_dicts() if data.item_features is not None else [{}] * len(codes)
    ids = data.items.decode(codes)
    return tuple(
        _film(row, str(external), int(code) in hidden) for row, external, code in zip(rows, ids, codes, strict=True)
    )


def _favourites(data: Dataset, queries: Queries, query: int) -> tuple[ItemCard, ...]:
    """The items of a history in the order of UserSample.favourites. A log whose values are all equal has no ratings."""
    start, stop = queries.history.offsets[query : query + 2]
    items = queries.history.values[start:stop][::-1]
    values = None if queries.history_ratings is None else queries.history_ratings[start:stop][::-1]
    newest = np.sort(np.unique(items, return_index=True)[1])
    if values is None or data.value is None or not len(data) or data.value.min() == data.value.max():
        return films(data, items[newest])
    best = newest[np.argsort(-values[newest], kind="stable")]
    rated = zip(films(data, items[best]), values[best].tolist(), strict=True)
    return tuple(replace(film, rating=rating) for film, rating in rated)


def _film(row: Mapping[str, object], external: str, hit: bool) -> ItemCard:
    title, year, genres = row.get("title"), row.get("year"), row.get("genres")
    text = external if title is None else str(title)
    if isinstance(year, int | float):
        year = int(year)
        text = re.sub(rf"\s*\({year}\)$", "", text) or text
    if isinstance(genres, str):
        genres = genres.split("|")
    names = tuple(str(genre) for genre in genres if genre) if isinstance(genres, Iterable) else ()
    return ItemCard(text, year if isinstance(year, int) else None, names, hit)


def _sample(holdout: Holdout, n: int, seed: int) -> list[int]:
    answerable = np.flatnonzero(holdout.truth.lengths)
    ordered = answerable[np.argsort(holdout.queries.history.lengths[answerable], kind="stable")]
    rng = np.random.default_rng(seed)
    return [int(rng.choice(part)) for part in np.array_split(ordered, min(n, len(ordered)) or 1) if len(part)]
