"""What models answer: their lists, why each item stands there, and what the lists share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from matinee import rank
from matinee.data.items import ItemCard
from matinee.data.queries import Queries
from matinee.demo.asking import Asked, queries_of
from matinee.demo.opened import Opened, Shown, with_weights
from matinee.errors import MatineeError
from matinee.explain import explain_items
from matinee.models.base import Model
from matinee.models.families.listwise import Described
from matinee.models.mmr import MMR

NEWEST = 60  # events of a history that are left out in turn to find reasons
SAID = 2  # reasons beside an item


@dataclass(frozen=True)
class Reason:
    """An item of the history, and how much it raises a score; None where nothing known is left without it."""

    code: int
    push: float | None


@dataclass(frozen=True)
class Film:
    """A recommended item. reasons: what raises its score, the most first. also: labels of other models that have it."""

    code: int
    card: ItemCard
    score: float
    reasons: tuple[Reason, ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The list of one model. fallback: popularity answered, because the model knows nothing of what was said."""

    shown: Shown
    films: tuple[Film, ...]
    fallback: bool

    @property
    def codes(self) -> tuple[int, ...]:
        return tuple(film.code for film in self.films)


def answers(opened: Opened, labels: Iterable[str], asked: Asked) -> list[Answer]:
    """The list of each of these models, with what it shares with the others."""
    found = [answer(opened, label, asked) for label in labels]
    return [
        Answer(each.shown, tuple(_shared(film, each, found) for film in each.films), each.fallback) for each in found
    ]


def _shared(film: Film, own: Answer, others: Sequence[Answer]) -> Film:
    also = tuple(other.shown.label for other in others if other is not own and film.code in other.codes)
    return Film(film.code, film.card, film.score, film.reasons, also)


@lru_cache(maxsize=256)
def answer(opened: Opened, label: str, asked: Asked) -> Answer:
    """The list of one model. Raises MatineeError for a user who is not of the log."""
    shown, query = opened.model(label), queries_of(opened.data, asked)
    model = as_asked(shown, asked)
    recs = rank.recommend(diverse(opened, model, asked), query, asked.k)
    kept = recs.item[0] >= 0
    codes, scores = recs.item[0][kept].tolist(), recs.score[0][kept].tolist()
    fallback = bool(recs.fallback[0])
    why = [()] * len(codes) if fallback else reasons(model, query, codes)
    films = (Film(c, opened.cards[c], s, r) for c, s, r in zip(codes, scores, why, strict=True))
    return Answer(shown, tuple(films), fallback)


def as_asked(shown: Shown, asked: Asked) -> Model:
    """The model, with the weights that were set."""
    weights = dict(asked.weights).get(shown.label)
    return shown.model if weights is None else with_weights(shown.model, weights)


def diverse(opened: Opened, model: Model, asked: Asked) -> Model:
    """The model, its list chosen by maximal marginal relevance where diversity is asked for."""
    if not asked.diversity:
        return model
    reranked = MMR(base=model, lam=asked.diversity, places=asked.k, n=max(100, asked.k))
    return reranked.standing(opened.data, Described((model,), opened.similarity))


def reasons(model: Model, query: Queries, codes: Sequence[int]) -> list[tuple[Reason, ...]]:
    """For each item what raises its score, the most first; nothing where the model cannot say."""
    try:
        whys = explain_items(model, query, codes, newest=NEWEST)
    except MatineeError:  # nothing in the history that the model knows, or a member that cannot score an item alone
        return [()] * len(codes)
    found = []
    for why in whys:
        order = np.argsort(-np.nan_to_num(why.push, nan=np.inf), kind="stable")
        pushes = zip(why.history[order].tolist(), why.push[order].tolist(), strict=True)
        found.append(tuple(Reason(code, None if push != push else push) for code, push in pushes))
    return found


def because(film: Film) -> list[int]:
    """The items that are named as reasons: those that raise the score, at most SAID, none far weaker than the first."""
    pushes = [reason for reason in film.reasons if reason.push is None or reason.push > 0]
    most = pushes[0].push if pushes else None
    return [r.code for r in pushes[:SAID] if r.push is None or most is None or r.push >= most / 4]


@lru_cache(maxsize=256)
def similar(opened: Opened, label: str, code: int, k: int) -> Answer:
    """The k items that go with one, by one model."""
    shown = opened.model(label)
    recs = rank.similar_to(shown.model, [code], k)
    pairs = zip(recs.item[0].tolist(), recs.score[0].tolist(), strict=True)
    films = tuple(Film(item, opened.cards[item], score) for item, score in pairs if item >= 0)
    return Answer(shown, films, bool(recs.fallback[0]))


def overlap(found: Sequence[Answer]) -> list[list[int]]:
    """How many items each two lists share; a list with itself: its length."""
    return [[len(set(one.codes) & set(other.codes)) for other in found] for one in found]


def agreed(found: Sequence[Answer]) -> list[tuple[int, int]]:
    """(item, in how many lists) of items that at least two lists have, the most agreed first, then by their places."""
    often = Counter(code for each in found for code in each.codes)
    longest = max((len(each.codes) for each in found), default=0)

    def places(code: int) -> int:
        return sum(each.codes.index(code) if code in each.codes else longest for each in found)

    several = [(code, n) for code, n in often.items() if n > 1]
    return sorted(several, key=lambda pair: (-pair[1], places(pair[0])))


def genres(cards: Iterable[ItemCard], n: int = 6) -> list[tuple[str, float]]:
    """The n most frequent genres, each with its share; an item of two genres counts half for each."""
    shares: defaultdict[str, float] = defaultdict(float)
    for card in cards:
        for genre in card.genres:
            shares[genre] += 1 / len(card.genres)
    total = sum(shares.values())
    most = sorted(shares.items(), key=lambda pair: -pair[1])[:n]
    return [(genre, share / total) for genre, share in most]


@lru_cache(maxsize=256)
def favourites(opened: Opened, user: int, n: int = 12) -> tuple[int, ...]:
    """Item codes of a user's history: the best rated, the latest of equals; without ratings the latest."""
    query = opened.data.queries_of(np.array([user], np.int32))
    history, ratings = query.history.values, query.history_ratings
    order = np.argsort(ratings, kind="stable")[::-1] if ratings is not None else np.arange(len(history))[::-1]
    return tuple(dict.fromkeys(history[order].tolist()))[:n]
