"""Requests -> queries -> answers: requests that arrive together become one block of queries where they can."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from matinee import rank
from matinee.data.arrays import Ints, Ragged
from matinee.data.dataset import Queries
from matinee.data.ids import Id
from matinee.errors import MatineeError, MatineeWarning
from matinee.rules import Rules
from matinee.serve.live import Live
from matinee.serve.problems import Problem, unfit
from matinee.serve.schemas import Asker, RecommendRequest, Watched
from matinee.serve.states import State


@dataclass(frozen=True)
class Ask:
    """A request made ready for its model. state: who asks, with the request's own history. alone: it is no row of a
    block, since it has lists, rules or columns of its own."""

    live: Live
    request: RecommendRequest
    state: State
    alone: bool
    unknown: tuple[Id, ...] = ()
    told: tuple[str, ...] = ()
    allow: Ints | None = None
    deny: Ints = field(default_factory=lambda: np.empty(0, np.int32))

    @property
    def columns(self) -> tuple[Any, ...]:
        """Requests of which this is equal can be rows of one block: the same model, and the same columns."""
        state, request = self.state, self.request
        present = state.rating is None, state.time is None, state.weight is None
        return id(self.live), *present, request.at is None, request.exclude_seen


@dataclass(frozen=True)
class Ranked:
    """The answer to an Ask. item: codes, best first. score: None = no number. drawn: the list was drawn at random."""

    ask: Ask
    item: list[int]
    score: list[float | None]
    fallback: bool
    told: tuple[str, ...] = ()
    drawn: bool = False


def ready(live: Live, state: State, request: RecommendRequest) -> Ask:
    """Raises MatineeError for a title that several items have."""
    state, unknown, told = watched(live, state, request)
    lists: list[Ints] = []
    for given in (request.allow or (), request.deny):
        codes = [(item, live.item(item)) for item in given]
        unknown += [item for item, code in codes if code < 0]
        lists.append(np.array([code for _, code in codes if code >= 0], np.int32))
    alone = request.allow is not None or bool(
        request.deny or request.where or request.rules or request.context or request.user_features or request.diversity
    )
    allow = None if request.allow is None else lists[0]
    return Ask(live, request, state, alone, tuple(dict.fromkeys(unknown)), tuple(told), allow, lists[1])


def watched(live: Live, state: State, asker: Asker) -> tuple[State, list[Id], list[str]]:
    """The state with the history that the request holds; which of its items are unknown; and what was not read."""
    if asker.title is not None:
        state = replace(state, title=asker.title)
    if not asker.history:
        return state, [], []
    events = [event if isinstance(event, Watched) else Watched(item=event) for event in asker.history]
    codes = np.array([live.item(event.item) for event in events], np.int32)
    unknown = [event.item for event, code in zip(events, codes.tolist(), strict=True) if code < 0]
    told: list[str] = []
    timed, rated = events[0].time is not None, events[0].rating is not None
    if timed and live.data.timestamp is None:
        told.append("the model's log has no times: those of the history are not read")
    if rated and live.data.value is None:
        told.append("the model's log has no ratings: those of the history are not read")
    return (
        _joined(live, state, [e for e, code in zip(events, codes, strict=True) if code >= 0], codes[codes >= 0]),
        unknown,
        told,
    )


def _joined(live: Live, state: State, events: Sequence[Watched], codes: Ints) -> State:
    """The state with these events behind it; what nobody told of them is as in the log on average, or left out where
    the whole history is the request's."""
    told = not len(state.item)  # the history is the request's alone
    rating, time, weight = state.rating, state.time, state.weight
    if rating is not None:
        values = [live.typical_rating if event.rating is None else live.rating(event.rating) for event in events]
        rating = np.concatenate([rating, np.array(values, np.float32)])
        rating = None if told and any(event.rating is None for event in events) else rating
    if time is not None:
        latest = int(time[-1]) if len(time) else 0
        seconds = [latest if event.time is None else event.time for event in events]
        time = np.concatenate([time, np.array(seconds, np.int64)])
        time = None if told and any(event.time is None for event in events) else time
    if weight is not None:
        weight = np.concatenate([weight, np.ones(len(events), np.float32)])
        weight = None if told else weight
    item = np.concatenate([state.item, codes])
    if time is not None and (np.diff(time) < 0).any():
        order = np.argsort(time, kind="stable")
        item, time = item[order], time[order]
        rating, weight = (None if column is None else column[order] for column in (rating, weight))
    return replace(state, item=item, rating=rating, time=time, weight=weight)


def queries_of(asks: Sequence[Ask], *, exclude: bool = True) -> Queries:
    """One query for each, all with the same columns."""
    states, first = [ask.state for ask in asks], asks[0]
    lengths = [len(state.item) for state in states]
    history = Ragged.of_lengths(lengths, np.concatenate([state.item for state in states]))
    seen = exclude and first.request.exclude_seen
    excluded = Ragged.from_lists(
        [np.concatenate([state.item, state.disliked]) if seen else state.disliked for state in states]
    )

    def column(name: str) -> Any:
        """In parallel with the histories, None where the first has none: then none has."""
        values = [getattr(state, name) for state in states]
        return None if values[0] is None else np.concatenate(values)

    titles = tuple(state.title for state in states)
    at = [ask.request.at for ask in asks]
    return Queries(
        user=np.array([state.user for state in states], np.int32),
        history=history,
        exclude=excluded if exclude else Ragged.empty(len(asks)),
        history_ratings=column("rating"),
        history_times=column("time"),
        request_time=None if at[0] is None else np.array(at, np.int64),
        title=titles if any(title is not None for title in titles) else None,
        history_weights=column("weight"),
    )


def answer(asks: Sequence[Ask]) -> list[Ranked | Problem]:
    """The answers, in the order of the requests. One that fails does not touch the others."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, ask in enumerate(asks):
        groups.setdefault((row,) if ask.alone else ask.columns, []).append(row)
    found: dict[int, Ranked | Problem] = {}
    for rows in groups.values():
        some = [asks[row] for row in rows]
        found.update(zip(rows, _group(some), strict=True))
    return [found[row] for row in range(len(asks))]


def _group(asks: list[Ask]) -> Sequence[Ranked | Problem]:
    try:
        if asks[0].alone:
            return [_alone(asks[0])]
        return ranked(asks, rank.recommend(asks[0].live.model, queries_of(asks), max(ask.request.k for ask in asks)))
    except (MatineeError, Problem) as error:
        if len(asks) > 1:
            return [each for ask in asks for each in _group([ask])]
        return [error if isinstance(error, Problem) else unfit(error)]


def _alone(ask: Ask) -> Ranked:
    """One request with lists, rules, or columns of its own."""
    request, live = ask.request, ask.live
    with _RECORDING, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MatineeWarning)
        rules = Rules.from_dict(request.rules)
        rules = rules.and_(where=request.where) if request.where else rules
        queries = replace(
            queries_of([ask]),
            context=one_row(live.data.context, request.context, "context"),
            user_features=one_row(live.data.user_features, request.user_features, "user_features"),
        )
        allow = None if ask.allow is None else live.model.items.decode(ask.allow)
        model = live.diverse(request.diversity, request.k) if request.diversity else live.model
        found = rank.recommend(
            model, queries, request.k, allow=allow, deny=live.model.items.decode(ask.deny), rules=rules or None
        )
    told = tuple(dict.fromkeys(str(each.message) for each in caught if issubclass(each.category, MatineeWarning)))
    return replace(ranked([ask], found)[0], told=told)


_RECORDING = threading.Lock()
"""Python keeps the filters of warnings for all threads."""


def ranked(asks: Sequence[Ask], found: rank.Recommendations) -> list[Ranked]:
    """The rows of a block as answers."""
    rows = zip(asks, kept(found, [ask.request.k for ask in asks]), found.fallback.tolist(), strict=True)
    return [Ranked(ask, items, scores, popular) for ask, (items, scores), popular in rows]


def kept(found: rank.Recommendations, ks: Sequence[int]) -> list[tuple[list[int], list[float | None]]]:
    """The best k of each row: item codes, and scores as JSON has them, None = no number."""
    lists: list[tuple[list[int], list[float | None]]] = []
    for k, item, score in zip(ks, found.item.tolist(), found.score.tolist(), strict=True):
        n = next((place for place, code in enumerate(item[:k]) if code < 0), k)
        lists.append((item[:n], [value if abs(value) < np.inf else None for value in score[:n]]))
    return lists


def one_row(table: Any, given: dict[str, Any], what: str) -> Any:
    """polars, one row: the columns of a table of the log with what the request says; missing ones are null. None where
    nothing is given. Raises Problem for columns there are not, and values of another kind."""
    if not given:
        return None
    import polars as pl

    known = {} if table is None else dict(table.schema)
    if unknown := sorted(set(given) - set(known)):
        has = f"it has {', '.join(sorted(known))}" if known else "the model's log has none"
        raise Problem(422, f"{what}: there is no column {unknown[0]!r}; {has}")
    try:
        return pl.DataFrame({name: [given.get(name)] for name in known}, schema=known, strict=True)
    except (pl.exceptions.PolarsError, TypeError, OverflowError, ValueError):
        raise Problem(422, f"{what}: a value is not of its column's kind") from None
