"""Sampled negatives for a split's test: the writer of the files that `candidates.sampled` reads."""

from __future__ import annotations

import re
import warnings

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Ints, Ragged
from matinee.data.dataset import Holdout, Split
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, MatineeWarning, counted, either
from matinee.files import StrPath, atomic_write
from matinee.split.candidates import query_of
from matinee.split.shares import generator

READABLE = re.compile(r"[^\s,()](?:[^\t\n,()]*[^\s,()])?")  # an id that `sampled` reads back unchanged


def write_negatives(split: Split, path: StrPath, *, n: int = 99, seed: int = 0) -> Ragged:
    """Draw negatives for the test and write them in the format that `sampled` reads, a user a line:

        (user,item)<tab>negative<tab>negative...

    item: the first answer, in time order, of the user's first query (most splits have one query a user). Negatives: n
    different items with an event in train, drawn uniformly from those that the user watched neither in train nor in
    valid nor in the test, whatever the label. A user with fewer gets them all. No line: users without an answer, and
    users who watched every such item (a warning).

    Returns the item codes of the negatives, int32 (lines rows). Equal splits, n and seeds give equal files. Raises
    MatineeError for n < 1, a negative seed, a test that gives no line, an id that the format cannot hold, and a file
    that cannot be written.
    """
    if n < 1:
        raise MatineeError(f"n = {n} negatives are none", hint="ask for 1 or more")
    rng = generator(seed)
    user, item = _first_answers(split.test, split.train.n_items)
    if not len(user):
        raise MatineeError("the test has no answer of a user in the log", hint="choose a split that hides users' rows")
    negatives = _drawn(_watched(split).take(user), split.train.item_counts() > 0, n, rng)
    some = np.flatnonzero(negatives.lengths)
    if full := len(user) - len(some):
        who = f"{full:,} of {counted(len(user), 'user')} watched every item with a training event"
        if not len(some):
            raise MatineeError(f"{who}: there are no negatives", hint="read a log with more items")
        text = f"{who}: {either(full, 'that user has', 'they have')} no negatives and no line"
        warnings.warn(text, MatineeWarning, stacklevel=2)
    negatives = negatives.take(some)
    log = split.train
    users, items = _texts(log.users, user[some]), _texts(log.items, item[some])
    texts = _texts(log.items, negatives.values)
    ends = negatives.offsets.tolist()
    lines = ["\t".join([f"({users[r]},{items[r]})", *texts[ends[r] : ends[r + 1]]]) for r in range(len(some))]
    atomic_write(path, "\n".join(lines) + "\n")
    return negatives


def _first_answers(test: Holdout, n_items: int) -> tuple[Ints, Ints]:
    """(user, item), int32 (L,) each: of each user's first query, the first hidden row that is an answer."""
    truth, pairs = test.truth, test.pairs
    query, item = (truth.rows, truth.values) if pairs is None else (pairs.query.astype(np.int64), pairs.item)
    asked = query_of(test.queries.user, test.queries.user[query]) == query  # the query that `sampled` would ask
    answer = np.isin(query * n_items + item, truth.rows * n_items + truth.values)
    rows = np.flatnonzero(asked & answer)
    rows = rows[np.unique(query[rows], return_index=True)[1]]
    return test.queries.user[query[rows]], item[rows]


def _watched(split: Split) -> Ragged:
    """int32 (n_users rows) item codes, some repeated: all events of a user in any part of the split."""
    log = split.train
    seen = [(log.user, log.item)]
    for part in (split.valid, split.test):
        known_to = (part.queries.history, part.queries.exclude, part.truth)
        seen += [(part.queries.user[rows.rows], rows.values) for rows in known_to]
        seen += [] if part.pairs is None else [(part.pairs.user, part.pairs.item)]
    user, item = (np.concatenate(column) for column in zip(*seen, strict=True))
    known = user >= 0
    return Ragged.from_rows(user[known], item[known], log.n_users)


def _drawn(watched: Ragged, rankable: Bools, n: int, rng: np.random.Generator) -> Ragged:
    """int32 (len(watched) rows): n different items, or as many as there are, in random order. rankable: (n_items,)."""
    rows: list[NDArray[np.int64]] = []
    for r in range(len(watched)):
        free = rankable.copy()
        free[watched[r]] = False
        there = np.flatnonzero(free)
        rows.append(rng.choice(there, min(n, len(there)), replace=False))
    return Ragged.from_lists(rows)


def _texts(ids: IdMap, codes: Ints) -> list[str]:
    """Ids as text. Raises MatineeError for an id that `sampled` would read as another one."""
    texts = [str(external) for external in ids.decode(codes)]
    if not ids.is_integer:
        for text in dict.fromkeys(texts):
            if READABLE.fullmatch(text) is None:
                hint = "use ids without commas, parentheses, tabs or spaces at their ends"
                raise MatineeError(f"the {ids.what} id {text!r} cannot stand in a file of sampled negatives", hint=hint)
    return texts
