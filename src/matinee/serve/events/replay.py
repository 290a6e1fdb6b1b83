"""What another model would have shown where the log of a service has an answer, and what that is worth."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matinee import rank
from matinee.data.moments import moment_of
from matinee.errors import MatineeError, MatineeWarning, counted, either
from matinee.evaluate.off_policy import OffPolicy, off_policy
from matinee.files import StrPath
from matinee.progress import track
from matinee.serve.asking import Ask, queries_of
from matinee.serve.events.export import DAY, as_seconds, impression_frame
from matinee.serve.events.records import Event
from matinee.serve.events.store import EventStore
from matinee.serve.live import Live, load_live
from matinee.serve.schemas import RecommendRequest
from matinee.serve.states import State, state_of, with_events
from matinee.store import load_model

if TYPE_CHECKING:
    import polars as pl

BLOCK = 512
"""Answers for which lists are made at once."""
ASKED = RecommendRequest(user="somebody")  # whose state says who it is
Answered = tuple[str, float, str]
"""A request, its time, and the person."""


def evaluate_log(
    model: StrPath,
    url: str,
    *,
    k: int | None = None,
    within: float | str = DAY,
    clip: float | None = None,
    served: Sequence[StrPath] = (),
) -> OffPolicy:
    """What a saved model's lists would have been worth to the people whom a service answered, by its event store.

    For each answer in the store the model is asked about that person as they were then: its log and the stored events,
    both before the second of the answer. Its k best items (when left out, as many as the longest answer had) are then
    judged by `off_policy`. within: how much later an item counts as watched, as in `export_events`. clip: as in
    `off_policy`. served: folders of the models that served, from whose items the random answers were drawn; when left
    out, the items that were ever shown.

    Where some answers were random, or might have been (they have candidates), only those count: the others had rules of
    the request's own. Warns where the model was fitted on events from after the first answer: it has seen what it is
    judged by. Raises MatineeError for a log in which nothing was left to chance, and as `off_policy` and `load_model`.

    Example: `print(mt.evaluate_log("models/ease", "events.db"))`
    """
    seconds = as_seconds(within)
    live = load_live("other", Path(model))
    with EventStore.open(url, create=False) as store:
        shown = impression_frame(store, seconds)
        events: dict[str, list[Event]] = defaultdict(list)
        for event in store.events():
            events[event.person].append(event)
        where = store.where
    if not len(shown):
        raise MatineeError("holds no answers", where=where, hint="let `matinee serve --events` answer some requests")
    if not (shown["probability"] < 1).any():
        return off_policy(shown, {})  # which says that nothing was left to chance
    shown = _without_own_rules(shown)
    _warn_of_what_was_seen(live, float(shown["timestamp"].min()))  # type: ignore[arg-type]
    k = int(shown["position"].max()) if k is None else k  # type: ignore[arg-type]
    catalogue = {str(item) for folder in served for item in load_model(folder).items.ids.tolist()}
    lists = replayed(live, answers_of(shown), events, k)
    return off_policy(shown.filter(shown["position"] <= k), lists, clip=clip, candidates=catalogue or None)


def _without_own_rules(shown: pl.DataFrame) -> pl.DataFrame:
    """What was shown in answers that were random, or might have been. Where there are such, the others had rules of the
    request's own, which are not known here; a MatineeWarning counts them."""
    free = (shown["share"] > 0) | (shown["candidates"] > 0)
    if not free.any() or free.all():
        return shown
    n = shown.filter(~free)["request"].n_unique()
    text = (
        f"{counted(n, 'answer')} without a randomised share {either(n, 'is', 'are')} left out: rules of the request's"
    )
    warnings.warn(f"{text} own may have made {either(n, 'it', 'them')}", MatineeWarning, stacklevel=3)
    return shown.filter(free)


def answers_of(shown: pl.DataFrame) -> list[Answered]:
    """Each answer once, by time."""
    return list(shown.select("request", "timestamp", "user_id").unique(maintain_order=True).iter_rows())


def replayed(live: Live, answers: Sequence[Answered], events: dict[str, list[Event]], k: int) -> pl.DataFrame:
    """The k best items at each answer: request, position, item_id. events: of each person, by time."""
    import polars as pl

    rows: list[tuple[str, int, str]] = []
    logged: dict[str, State] = {}
    starts = range(0, len(answers), BLOCK)
    for start in track(starts, "asking the model", total=len(starts)):
        block = answers[start : start + BLOCK]
        asks = [_ask(live, person, time, events.get(person, []), logged) for _, time, person in block]
        found = rank.recommend(live.model, queries_of(asks), k)
        for (request, _, _), codes in zip(block, found.item, strict=True):
            rows += [(request, at, str(live.ids[code])) for at, code in enumerate(codes.tolist(), 1) if code >= 0]
    return pl.DataFrame(rows, {"request": pl.String, "position": pl.Int64, "item_id": pl.String}, orient="row")


def _ask(live: Live, person: str, time: float, events: Sequence[Event], logged: dict[str, State]) -> Ask:
    """The request of a person, who is known as they were before this second."""
    second = np.floor(time)
    if person not in logged:
        logged[person] = state_of(live, person, [])
    state = logged[person]
    if state.time is not None:
        before = state.time < second
        parts = {name: getattr(state, name) for name in ("rating", "time", "weight")}
        parts = {name: None if column is None else column[before] for name, column in parts.items()}
        state = replace(state, item=state.item[before], **parts)
    earlier = [event for event in events if event.time is not None and event.time < second]
    return Ask(live, ASKED, with_events(live, state, earlier), alone=False)


def _warn_of_what_was_seen(live: Live, first: float) -> None:
    """Warn where the model was fitted on events that are later than the first answer."""
    times = live.data.timestamp
    n = 0 if times is None else int(np.count_nonzero(times >= np.floor(first)))
    if n:
        text = f"{live.folder}: {counted(n, 'event')} of its log {either(n, 'is', 'are')} from after the first answer"
        text += f" ({moment_of(int(first)):%Y-%m-%d %H:%M}): the model may have seen what it is judged by"
        warnings.warn(text, MatineeWarning, stacklevel=3)
