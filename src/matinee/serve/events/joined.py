"""A model's log with the events of a store behind it: what the next model is fitted on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Dataset
from matinee.data.events import EventKinds, apply_events
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, MatineeWarning, counted, either

if TYPE_CHECKING:
    import polars as pl

KIND, ORIGIN = "matinee kind", "matinee origin"
"""Columns of the context while the two are joined."""
WEIGHTS = {"like": 1.0, "dislike": -1.0}
WHOLE = r"^(0|-?[1-9]\d{0,17})$"
"""An integer as it is usually spelled: another spelling is another id."""


@dataclass(frozen=True)
class Joined:
    """data: the log, then the events, as one log. new: bool (n,), which of its rows are events of the store. added,
    repeated: how many events were added (dislikes too), and how many the log had already."""

    data: Dataset
    new: Bools
    added: int
    repeated: int


def joined(log: Dataset, events: pl.DataFrame, *, ratings_only: bool = False) -> Joined:
    """The log with events behind it: user_id, item_id, kind, time and rating, as `event_frame` has them.

    Ids are those of the log; where its user ids are integers and a session's is none, all become text. An item that the
    log does not know is a new one; where item ids are integers, events of others are left out. An event that the log
    has already (that user, item and second), as after an earlier refit, counts once. A dislike is one of the log's: of
    a user and an item the latest event decides. In a log with ratings an event without one has the mean of the log, or
    counts as liked where ratings were made labels; ratings_only: it is left out.

    MatineeWarnings count what is left out. Raises MatineeError where no event is left.
    """
    events = _of_catalogue(log, events)
    if ratings_only and log.value is not None:
        events = _left_out(events, events["rating"].is_null() & (events["kind"] != "dislike"), "have no rating", log)
    users, items = _ids(log, events)
    coded = {"user": users.encode(events["user_id"]), "item": items.encode(events["item_id"])}
    old = _recoded(log, users, items)
    known = _known(old, coded, events)
    events, repeated = events.filter(~known), int(known.sum())
    coded = {name: codes[~known] for name, codes in coded.items()}
    if not len(events):
        what = "the event store has no event that the log does not have"
        raise MatineeError(what, where=log.name, hint="wait until people have sent some")
    both = _concatenated(old, coded, events)
    assert both.context is not None
    present = {kind: WEIGHTS[kind] for kind in both.context[KIND].unique()}
    data = apply_events(both, kinds=EventKinds(column=KIND, weights=present))
    assert data.context is not None
    new = data.context[ORIGIN].to_numpy()
    context = data.context.drop(ORIGIN)
    data = replace(data, context=context if context.width else None, dislikes=data.dislikes or None)
    return Joined(data, new, len(events), repeated)


def _of_catalogue(log: Dataset, events: pl.DataFrame) -> pl.DataFrame:
    """The events whose items can be ids of the log."""
    if not log.items.is_integer:
        return events
    return _left_out(events, ~events["item_id"].str.contains(WHOLE), "name an item that is no number", log)


def _left_out(events: pl.DataFrame, gone: pl.Series, why: str, log: Dataset) -> pl.DataFrame:
    if n := int(gone.sum()):
        text = f"{log.name}: {n:,} of {counted(len(events), 'event')} {why} and {either(n, 'is', 'are')} left out"
        warnings.warn(text, MatineeWarning, stacklevel=3)
    return events.filter(~gone)


def _ids(log: Dataset, events: pl.DataFrame) -> tuple[IdMap, IdMap]:
    """The users and the items of both."""
    import polars as pl

    made = []
    for known, asked, what in ((log.users, events["user_id"], "user"), (log.items, events["item_id"], "item")):
        whole = known.is_integer and bool(asked.str.contains(WHOLE).all())
        kind = pl.Int64 if whole else pl.String
        made.append(IdMap.from_series(known.series.cast(kind), asked.cast(kind), what=what))
    return made[0], made[1]


def _recoded(log: Dataset, users: IdMap, items: IdMap) -> Dataset:
    """The same log with the codes of these ids; tables have empty rows for new ones."""
    import polars as pl

    user, item = users.encode(log.users.series.cast(users.series.dtype)), items.encode(log.items.series)

    def table(features: pl.DataFrame | None, codes: NDArray[np.int32], n: int) -> pl.DataFrame | None:
        """The n rows of the new codes, where the old ones are now these."""
        if features is None:
            return None
        place = np.full(n, -1, np.int64)
        place[codes] = np.arange(len(codes))
        return features.select(pl.all().gather(pl.Series(place).replace(-1, None)))

    return replace(
        log, users=users, items=items, user=user[log.user], item=item[log.item],
        dislikes=None if log.dislikes is None else log.dislikes.recoded(user, item),
        user_features=table(log.user_features, user, len(users)),
        item_features=table(log.item_features, item, len(items)),
    )  # fmt: skip


def _known(log: Dataset, coded: dict[str, NDArray[np.int32]], events: pl.DataFrame) -> NDArray[np.bool_]:
    """bool (m,): whether the log has an event of that user, item and second, or it is one of the log's dislikes. In a
    log without times a user's event with an item is the same event."""
    times = None if log.timestamp is None else np.floor(events["time"].to_numpy()).astype(np.int64)
    parts = [(log.user, log.item, log.timestamp)]
    parts += [] if log.dislikes is None else [(log.dislikes.user, log.dislikes.item, log.dislikes.timestamp)]
    there: set[tuple[int, ...]] = set()
    for user, item, at in parts:
        mine = np.isin(user, coded["user"])
        columns: list[NDArray[Any]] = [user[mine], item[mine], *([] if times is None or at is None else [at[mine]])]
        there.update(zip(*(column.tolist() for column in columns), strict=True))
    asked: list[NDArray[Any]] = [coded["user"], coded["item"], *([] if times is None else [times])]
    rows = zip(*(column.tolist() for column in asked), strict=True)
    return np.array([row in there or row[:2] in there for row in rows], np.bool_)


def _concatenated(log: Dataset, coded: dict[str, NDArray[np.int32]], events: pl.DataFrame) -> Dataset:
    """Dislikes of the log, its events, then those of the store, each row with its kind and its origin."""
    import polars as pl

    no, m = log.dislikes, len(events)
    n = 0 if no is None else len(no)
    disliked = (events["kind"] == "dislike").to_numpy()
    kinds = ["dislike"] * n + ["like"] * len(log) + np.where(disliked, "dislike", "like").tolist()
    origin = np.arange(n + len(log) + m) >= n + len(log)
    empty = np.empty(0, np.int32)
    context = pl.DataFrame({KIND: pl.Series(kinds, dtype=pl.String), ORIGIN: origin})
    if log.context is not None:
        row = pl.Series([None] * n + list(range(len(log))) + [None] * m, dtype=pl.Int64)
        context = log.context.select(pl.all().gather(row)).hstack(context)
    columns: dict[str, Any] = {}
    if log.timestamp is not None:
        first = np.full(n, log.timestamp.min(initial=0)) if no is None or no.timestamp is None else no.timestamp
        arrived = np.floor(events["time"].to_numpy()).astype(np.int64)
        columns["timestamp"] = np.concatenate([first, log.timestamp, arrived])
    for name in ("user", "item"):
        columns[name] = np.concatenate([empty if no is None else getattr(no, name), getattr(log, name), coded[name]])
    value, raw = _ratings(log, events, n)
    ones = None if log.weight is None else np.concatenate([np.ones(n), log.weight, np.ones(m)]).astype(np.float32)
    return replace(
        log, **columns, value=value, raw_rating=raw, weight=ones, context=context, dislikes=None, unmatched=(),
    )  # fmt: skip


def _ratings(log: Dataset, events: pl.DataFrame, n: int) -> tuple[Floats | None, Floats | None]:
    """float32 (n + len(log) + m,): ratings, and those from which labels were made; None where the log has none. The
    first n are of dislikes, whose ratings nobody reads."""
    if log.value is None:
        return None, None
    given = events["rating"].to_numpy()
    blank = np.zeros(n)
    if not log.labelled or log.raw_rating is None:
        typical = 1.0 if log.labelled else float(np.mean(log.value, dtype=np.float64))
        own = np.where(np.isnan(given), typical, given)
        raw = None if log.raw_rating is None else np.concatenate([blank, log.raw_rating, own]).astype(np.float32)
        return np.concatenate([blank, log.value, own]).astype(np.float32), raw
    least = float(log.raw_rating[log.value == 1].min())
    own = np.where(np.isnan(given), least, given)
    labels = np.concatenate([blank, log.value, own >= least]).astype(np.float32)
    return labels, np.concatenate([blank, log.raw_rating, own]).astype(np.float32)
