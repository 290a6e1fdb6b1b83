"""Measuring against a file of hidden pairs: a fitted model, or recommendations in a file, from whatever made them."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.data.arrays import Floats, Ints, Ragged
from matinee.data.dataset import Dataset, Holdout, Protocol, Queries
from matinee.data.ids import IdMap
from matinee.data.query import Fitted, queries_of_codes, refuse_no_histories
from matinee.data.read.log import read
from matinee.data.read.tables import table_of
from matinee.errors import MatineeError, MatineeWarning, counted, either, option
from matinee.files import StrPath
from matinee.rank import Recommendations


def hidden_pairs(model: Fitted, truth: StrPath, *, exclude_seen: bool = True, **reading: Any) -> Holdout:
    """A file of hidden pairs as a holdout for a fitted model; the queries have the histories of the model's log.

    truth: a .csv, .tsv or .parquet file with user_id and item_id; reading: how it is written, options of `read`. Its
    users that are not in the model's log have empty histories (a MatineeWarning counts them); its items that the model
    does not know stay in recall's denominator.
    Raises MatineeError for a model without histories, and where a hidden pair is in its log, unless exclude_seen is
    False.

    Example: `holdout = mt.hidden_pairs(model, "hidden.csv")`
    """
    data = model.data
    hidden, words = _read_truth(truth, reading)
    refuse_no_histories(data)
    user = data.users.encode(hidden.users.series)
    if exclude_seen:
        _refuse_seen(data, hidden, user)
    if unknown := int((user < 0).sum()):
        who = f"{unknown:,} of {counted(len(user), 'user')} {either(unknown, 'is', 'are')}"
        text = f"{who} not in the model's log: {either(unknown, 'gets', 'they get')} popular items"
        warnings.warn(text, MatineeWarning, stacklevel=2)
    if (data.items.encode(hidden.items.series) < 0).all():
        text = "no hidden item is in the model's log, so every value is 0: check the ids of both files"
        warnings.warn(text, MatineeWarning, stacklevel=2)
    queries = queries_of_codes(data, user, exclude_seen=exclude_seen)
    excluded = "the model's log" if exclude_seen else "nothing"
    protocol = Protocol(data.fingerprint, words, "test", history="the model's log", exclude=excluded)
    return Holdout(queries, _truth(hidden, data.items), protocol)


def read_recommendations(path: StrPath, truth: StrPath, **reading: Any) -> tuple[Recommendations, Holdout]:
    """A file of recommendations, and a file of hidden pairs as the holdout that measures them.

    path: a .csv, .tsv or .parquet file with user_id, item_id and rank (from 1) or score (more is better). truth,
    reading: as in `hidden_pairs`. Users without hidden pairs are left out; users without recommendations count as
    misses, with a MatineeWarning. So have files that share few users (less than half of either), or no item.
    Raises MatineeError without a rank or score, for two items of a user at one rank, for a list that names an item
    twice, and where the files share no user.

    Example: `mt.evaluate(*mt.read_recommendations("recs.csv", "hidden.csv"), k=2)`
    """
    path = Path(path)
    hidden, words = _read_truth(truth, reading)
    listed, ascending = _read_listed(path)
    columns = [hidden.items.series, listed.items.series]
    if hidden.items.is_integer != listed.items.is_integer:
        columns = [column.cast(pl.String) for column in columns]
    items = IdMap.from_series(*columns, what="item")
    row, item = hidden.users.encode(listed.users.series)[listed.user], items.encode(listed.items.series)[listed.item]
    assert listed.value is not None  # `_read_listed` names its column
    score = -listed.value if ascending else listed.value
    order = np.lexsort((item, -score, row))
    order = order[row[order] >= 0]
    row = row[order]
    if not len(row):
        raise MatineeError("none of its users has a hidden pair", where=str(path), hint="check the ids of both files")
    for text in _doubts(hidden, listed, len(np.unique(row)), path.name):
        warnings.warn(text, MatineeWarning, stacklevel=2)
    if len(items) == hidden.n_items + listed.n_items:
        text = f"no item of {path.name} is a hidden item, so every value is 0: check the ids of both files"
        warnings.warn(text, MatineeWarning, stacklevel=2)
    recs = _recommendations(hidden.users, items, row, item[order], score[order])
    given = "as given"
    protocol = Protocol(f"recommendations {path.name}", words, "test", history=given, exclude=given, candidates=given)
    empty = Ragged.empty(hidden.n_users)
    return recs, Holdout(Queries(recs.user, empty, empty), _truth(hidden, items), protocol)


def _doubts(hidden: Dataset, listed: Dataset, common: int, name: str) -> Iterator[str]:
    """Warnings about users that are in one file only. common: how many are in both."""
    if 2 * common < min(hidden.n_users, listed.n_users):
        each = f"{counted(listed.n_users, 'user')} of {name} and {hidden.n_users:,} with hidden pairs"
        yield f"only {common:,} of the {each} {either(common, 'is', 'are')} in both files: check the ids of both"
    if missing := hidden.n_users - common:
        who = f"{missing:,} of {counted(hidden.n_users, 'user')} {either(missing, 'has', 'have')}"
        yield f"{who} no recommendations in {name}: counted as {either(missing, 'a miss', 'misses')}"


def _refuse_repeats(path: Path, listed: Dataset) -> None:
    """Raise MatineeError where a user's list names an item twice."""
    pair = listed.user.astype(np.int64) * listed.n_items + listed.item
    order = np.argsort(pair, kind="stable")
    again = order[1:][pair[order[1:]] == pair[order[:-1]]]
    if not len(again):
        return
    row = int(again.min())
    user, item = listed.users.decode([listed.user[row]])[0], listed.items.decode([listed.item[row]])[0]
    more = f", and {counted(len(again) - 1, 'more row')} like it" if len(again) > 1 else ""
    what = f"the list of user {user!r} names item {item!r} a second time{more}"
    raise MatineeError(what, where=table_of(path).place(row), hint="name each item of a list once")


def _recommendations(users: IdMap, items: IdMap, row: Ints, item: Ints, score: Floats) -> Recommendations:
    """One list for each user. row, item, score: what is recommended, sorted by user and then from best to worst."""
    place = np.arange(len(row)) - np.searchsorted(row, row)
    shape = (len(users), int(place.max()) + 1)
    best, scores = np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32)
    best[row, place], scores[row, place] = item, score
    none = np.zeros(len(users), np.bool_)
    return Recommendations(users, items, np.arange(len(users), dtype=np.int32), best, scores, none, none)


def _read_truth(path: StrPath, reading: dict[str, Any]) -> tuple[Dataset, str]:
    """The hidden pairs, and the words that name them in a protocol: the file and the start of its SHA-256."""
    path = Path(path)
    hidden = read(path, **{"rating": None, "timestamp": None, "weight": None, **reading})
    return hidden, f"provided, {path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


def _refuse_seen(data: Dataset, hidden: Dataset, user: Ints) -> None:
    """Raise MatineeError where the model was fitted on an answer. user: the log's codes of the hidden users."""
    codes, item = user[hidden.user], data.items.encode(hidden.items.series)[hidden.item]
    known = (codes >= 0) & (item >= 0)
    n = data.n_items
    both = np.isin(codes[known].astype(np.int64) * n + item[known], data.user.astype(np.int64) * n + data.item)
    if both.any():
        which = f"{both.sum():,} of the {counted(len(hidden), 'hidden pair')} {either(int(both.sum()), 'is', 'are')}"
        what = f"{which} in the log the model was fitted on"
        raise MatineeError(what, hint=f"fit on a log without them, or say {option('exclude_seen', False)}")


def _truth(hidden: Dataset, items: IdMap) -> Ragged:
    """int32 (hidden users rows): their answers in codes of `items`; an item it does not know gets one past its end."""
    code = items.encode(hidden.items.series).copy()
    unknown = code < 0
    code[unknown] = len(items) + np.arange(unknown.sum(), dtype=np.int32)
    pairs = np.unique(np.stack([hidden.user, code[hidden.item]]), axis=1)
    return Ragged.from_rows(pairs[0], pairs[1], hidden.n_users)


def _read_listed(path: Path) -> tuple[Dataset, bool]:
    """The recommendations as a log whose values are ranks (True: ascending) or scores (False)."""
    columns = table_of(path).frame.columns
    order = next((name for name in ("rank", "score") if name in columns), None)
    if order is None:
        what = f"there is no column 'rank' or 'score'; it has {', '.join(map(repr, columns[:20]))}"
        hint = "name the columns user_id, item_id and rank (from 1) or score"
        raise MatineeError(what, where=str(path), hint=hint)
    listed = read(path, rating=order, timestamp=None, weight=None)
    if order == "rank":
        assert listed.value is not None  # the column is there
        by_rank = np.lexsort((listed.value, listed.user))
        user, rank = listed.user[by_rank], listed.value[by_rank]
        shared = (user[1:] == user[:-1]) & (rank[1:] == rank[:-1])
        if shared.any():
            first = int(shared.argmax())
            what = f"user {listed.users.decode([user[first]])[0]} has two items at rank {rank[first]:g}"
            raise MatineeError(what, where=str(path), hint="give each user one list")
    _refuse_repeats(path, listed)
    return listed, order == "rank"
