"""Items that a model meets for the first time when it is asked: no event of them is left in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from matinee.data.arrays import Bools, Ragged
from matinee.data.dataset import Dataset, Holdout, Split
from matinee.errors import MatineeError, counted
from matinee.split.parts import answers
from matinee.split.shares import check_ratio, generator, words_of

NEW = "new"
"""The kind of answers that are such items: `recall:new` counts them alone."""


def new_items(split: Split, share: float = 0.1, *, seed: int = 0) -> Split:
    """The split with some items new: of the n items with an event in train, max(1, floor(share n)) at random lose all
    of their events in train and in train_valid, and stand in no history. What a query's history held of them becomes
    an answer, as if they had come out after it. `Holdout.kinds` has as "new" the answers without an event in train:
    these, and what the split had hidden altogether.

    Raises MatineeError for a share that is not between 0 and 1, and where nothing would be left to train on.

    Example: `mt.split.new_items(mt.split.random(data), 0.1)`
    """
    check_ratio("new_items", share)
    counts = split.train.item_counts()
    there = np.flatnonzero(counts)
    chosen = generator(seed).permutation(there)[: max(1, int(share * len(there)))]
    new = np.zeros(len(counts), np.bool_)
    new[chosen] = True
    if len(chosen) == len(there):
        raise MatineeError("no event is left to train on without the new items", hint="read a log with more items")
    words = f", {words_of(share)} of the items new"
    events = int(counts[new].sum())
    note = (
        f"{counted(len(chosen), 'item')} of {len(there):,} in train are new: {counted(events, 'event')} left out of "
        "train, and of histories, where they are answers"
    )
    train = _without(split.train, new)
    unseen = train.item_counts() == 0
    return replace(
        split,
        train=train,
        valid=_asked(split.valid, new, unseen, words),
        test=_asked(split.test, new, unseen, words),
        train_valid=None if split.train_valid is None else _without(split.train_valid, new),
        notes=(*split.notes, note),
    )


def _without(data: Dataset, new: Bools) -> Dataset:
    return data.rows(~new[data.item])


def _asked(holdout: Holdout, new: Bools, unseen: Bools, words: str) -> Holdout:
    """New items out of the histories, and among the answers."""
    queries = holdout.queries
    gone = new[queries.history.values]
    moved = queries.history.keep(gone)
    exclude = _minus(queries.exclude, moved, len(new))
    whole = holdout.truth.join(moved)
    truth = answers(whole.rows, whole.values, exclude, len(new))
    asked = replace(queries.keep_events(~gone), exclude=exclude)
    protocol = replace(holdout.protocol, split=holdout.protocol.split + words)
    kinds = {**holdout.kinds, NEW: truth.keep(unseen[truth.values])}
    return replace(holdout, queries=asked, truth=truth, kinds=kinds, protocol=protocol)


def _minus(rows: Ragged, less: Ragged, n_items: int) -> Ragged:
    """int32 (B rows): the items of each row that are not in the same row of `less`."""
    gone = np.isin(rows.rows * n_items + rows.values, less.rows * n_items + less.values)
    return rows.keep(~gone)
