"""What stands on the page, as a query: a person, what they picked, liked and disliked, and the moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset
from matinee.data.ids import Id
from matinee.data.moments import moment_of
from matinee.data.queries import Queries
from matinee.data.query import with_request_time

if TYPE_CHECKING:
    import polars as pl

MOST_CHOICES = 60  # values of a column from which one is chosen


@dataclass(frozen=True)
class Asked:
    """A question to the models. user: an id of the log, None for someone new. picked, liked, disliked: item codes,
    oldest first. title: of a list. at: Unix seconds. who: (column, value) of the table of users. diversity: 0..1, see
    MMR. weights: (label of an ensemble, its members' weights)."""

    user: Id | None = None
    picked: tuple[int, ...] = ()
    liked: tuple[int, ...] = ()
    disliked: tuple[int, ...] = ()
    title: str | None = None
    at: int | None = None
    who: tuple[tuple[str, Any], ...] = ()
    k: int = 10
    diversity: float = 0.0
    weights: tuple[tuple[str, tuple[float, ...]], ...] = ()

    @property
    def says_something(self) -> bool:
        return self.user is not None or bool(self.picked or self.liked or self.title)


def queries_of(data: Dataset, asked: Asked) -> Queries:
    """One query. A like is a new event at the end of the history; a disliked item leaves the history, and is never
    answered. Raises MatineeError for an unknown user."""
    if asked.user is None:
        history = Ragged.from_lists([list(dict.fromkeys([*asked.picked, *asked.liked]))])
        query = Queries(np.array([-1], np.int32), history, history)
    else:
        query = _with_events(data, data.queries([asked.user]), [*asked.picked, *asked.liked], asked.at)
    if asked.disliked:
        away = np.array(asked.disliked, np.int32)
        query = query.keep_events(~np.isin(query.history.values, away))
        query = replace(query, exclude=query.exclude.join(Ragged.from_lists([away])))
    if asked.title:
        query = replace(query, title=(asked.title,))
    if asked.who:
        query = replace(query, user_features=_who(data, int(query.user[0]), dict(asked.who)))
    return query if asked.at is None else with_request_time(query, asked.at)


def _with_events(data: Dataset, query: Queries, codes: list[int], at: int | None) -> Queries:
    """The query of a user with further events, liked as well as can be: rated as the best, just after the last."""
    new = np.array(list(dict.fromkeys(codes)), np.int32)
    if not len(new):
        return query
    times = query.history_times
    last = at if at is not None else int(times.max()) + 1 if times is not None and len(times) else 0
    best = 0.0 if data.value is None else float(data.value.max())
    more = Ragged.from_lists([new])
    return replace(
        query,
        history=query.history.join(more),
        exclude=query.exclude.join(more),
        history_ratings=_longer(query.history_ratings, best, len(new)),
        history_times=_longer(times, last, len(new)),
        history_weights=_longer(query.history_weights, 1.0, len(new)),
    )


def _longer(column: NDArray[Any] | None, value: float, n: int) -> NDArray[Any] | None:
    """(len(column) + n,) of the column's kind, None where there is none: the value n times at the end."""
    return None if column is None else np.append(column, np.full(n, value, column.dtype))


def _who(data: Dataset, user: int, said: dict[str, Any]) -> pl.DataFrame:
    """One row of the table of users: what was said, and the rest as the log knows it."""
    import polars as pl

    table = data.user_features
    assert table is not None
    row = table[user] if user >= 0 else table.clear(1)
    return row.with_columns(pl.lit(value, table.schema[name]).alias(name) for name, value in said.items())


def people_columns(data: Dataset) -> dict[str, list[Any]]:
    """Columns of the table of users from which one value can be chosen, with their values, most frequent first."""
    table = data.user_features
    found: dict[str, list[Any]] = {}
    for column in () if table is None else table.iter_columns():
        if column.dtype.is_nested() or column.name == "title" or column.n_unique() > MOST_CHOICES:
            continue
        counts = column.drop_nulls().value_counts(sort=True)
        if len(counts) > 1:
            found[column.name] = counts[column.name].to_list()
    return found


def moment(year: int, month: int, hour: int) -> int:
    """Unix seconds in the middle of a month, at this hour, UTC."""
    return int(datetime(year, month, 15, hour, tzinfo=UTC).timestamp())


def years(data: Dataset) -> tuple[int, int] | None:
    """The first and the last year of the log, None where it has no times."""
    times = data.timestamp
    if times is None or not len(times):
        return None
    return moment_of(float(times.min())).year, moment_of(float(times.max())).year
