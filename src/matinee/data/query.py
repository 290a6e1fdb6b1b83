"""Queries for one person: a user of the log, or someone new with a history of titles."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from matinee.data.arrays import Ints, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.filters import Moment, seconds
from matinee.data.ids import Id
from matinee.data.items import find_items
from matinee.errors import MatineeError, MatineeWarning, option


class Fitted(Protocol):
    """A fitted model, as far as the log it was fitted on is concerned."""

    @property
    def data(self) -> Dataset: ...


def query(
    source: Dataset | Fitted,
    *,
    user: Id | None = None,
    history: Sequence[Id] | Id | None = None,
    title: str | None = None,
    at: Moment | None = None,
    exclude_seen: bool = True,
    exclude_dislikes: bool = True,
) -> Queries:
    """One query, from a user of the log or from someone new.

    source: a log, or a fitted model (its log is used). user: an id of the log. history: what someone new watched, as
    titles or ids, oldest first. title: the name of a list (a playlist), for models that read it; alone it asks for a
    list that is still empty, and with a user it stands in place of theirs. at: the time of the request, for models that
    use it: Unix seconds, an ISO text, a date or a datetime (UTC without a zone); None: the end of the history.
    exclude_seen: do not recommend watched items. exclude_dislikes: nor those that a user of the log dislikes.
    Raises MatineeError unless one of user and history, or a title, is given, for an unknown user, for an item that is
    not found (see items.find_items), for a title that is no text, and for a model that was saved without histories.
    A title that changes nothing, because the model does not read titles or learned from none, is a MatineeWarning.

    Example: `mt.recommend(model, mt.query(model, user=196), k=5)`
    """
    data = source if isinstance(source, Dataset) else source.data
    if title is not None and not isinstance(title, str):
        raise MatineeError(f"title = {title!r} is no text", hint='pass the name of a list: title="summer bbq"')
    if (user is None) == (history is None) and (title is None or user is not None):
        given = "neither a user nor a history" if user is None else "both a user and a history"
        raise MatineeError(f"{given} is given", hint="pass user=ID, or history=[TITLE_OR_ID, ...]")
    if user is not None:
        refuse_no_histories(data)
        try:
            queries = data.queries([user], exclude_seen=exclude_seen, exclude_dislikes=exclude_dislikes)
        except MatineeError as error:
            raise MatineeError(error.what, hint=f"for someone new give a history; {error.hint}") from None
    else:
        watched = Ragged.from_lists([find_items(() if history is None else history, data)])  # a title alone: empty
        exclude = watched if exclude_seen else Ragged.empty(1)
        queries = Queries(user=np.array([-1], np.int32), history=watched, exclude=exclude)
    if title is not None:
        _warn_of_unread_title(source, title)
        queries = replace(queries, title=(title,) * len(queries))
    return queries if at is None else with_request_time(queries, at)


def history(items: Sequence[Id] | Id, data: Dataset, *, title: str | None = None, at: int | None = None) -> Queries:
    """One query from someone new who watched these titles or ids, oldest first: `query(data, history=items)`.

    title: the name of the list that holds them, for models that read it; the list may be empty then.

    Example: `mt.recommend(model, mt.history(["Heat (1995)"], data), k=5)`
    """
    return query(data, history=items, title=title, at=at)


def _warn_of_unread_title(source: Dataset | Fitted, title: str) -> None:
    """A MatineeWarning where a title is given to a model to which titles say nothing."""
    reads = getattr(source, "reads_titles", None)
    if isinstance(source, Dataset) or reads is None:
        return
    name, data = type(source).__name__, source.data
    if not reads():
        why = f"{name} does not read titles"
    elif len(data) and not data.has_user_titles:
        why = f"no list that {name} learned from has a title"
    else:
        return
    warnings.warn(f"{why}: {option('title', title)} changes nothing", MatineeWarning, stacklevel=3)


def queries_of_codes(data: Dataset, user: Ints, *, exclude_seen: bool = True) -> Queries:
    """One query for each user code of a log; -1, a user that is not in it, has an empty history."""
    known = user >= 0
    queries = data.queries_of(user[known], exclude_seen=exclude_seen)

    def spread(rows: Ragged) -> Ragged:
        """int32 (len(user) rows): the rows of known users, and empty ones."""
        lengths = np.zeros(len(user), np.int64)
        lengths[known] = rows.lengths
        return Ragged.of_lengths(lengths, rows.values)

    history = spread(queries.history)
    exclude = history if queries.exclude is queries.history else spread(queries.exclude)
    return replace(queries, user=user, history=history, exclude=exclude)


def with_request_time(queries: Queries, at: Moment) -> Queries:
    """The same queries, all made at this time (see `query`)."""
    return replace(queries, request_time=np.full(len(queries), request_second(at), np.int64))


def request_second(at: Moment) -> int:
    """Unix seconds of a time as `query` takes it. Raises MatineeError."""
    second = seconds(at)
    if not 0 <= second < 1 << 62:
        raise MatineeError(f"{at} is not a time", hint="pass Unix seconds, or a date such as 2026-11-28")
    return second


def refuse_no_histories(data: Dataset) -> None:
    """Raise MatineeError for the log of a model that was saved without histories."""
    if not len(data):
        what = "this model was saved without histories, so it does not know what its users watched"
        raise MatineeError(what, hint="save it with histories, or give a history of titles or ids instead of a user")
