"""What is ranked: the whole catalogue, each query's own hidden rows, new items alone, or a file of sampled negatives.

A split hides rows; these functions change its holdouts afterwards: which hidden rows are answers (labels), and which
items are ranked (candidates). Each changes the protocol, so numbers made under different rules never share a table.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Ints, Ragged
from matinee.data.dataset import Holdout, Pairs, Split
from matinee.data.ids import IdMap
from matinee.data.read.tables import content
from matinee.errors import MatineeError, MatineeWarning, audience, counted, either, option
from matinee.split.lines import texts
from matinee.split.new_items import NEW
from matinee.split.parts import answers

LABELLED = ", answers = rows labelled 1"
RULES = ("all", "observed", "new")
NEW_ALONE = "new items alone"
OBSERVED = "each query's own hidden rows"
LINE = re.compile(r"\(([^,()]+),([^,()]+)\)")  # (user,item)


def labelled(split: Split) -> Split:
    """The split of a log with labels (0 and 1, as `filter_events(label_min=...)` makes them) in which only hidden rows
    labelled 1 are answers. A query without one stays, and counts in no average. train keeps all rows, with their labels
    in `value`. A part whose hidden pairs have no labels (`provided`) is left as it is. Raises MatineeError for other
    labels."""
    notes, parts = list(split.notes), {}
    for name, part in (("valid", split.valid), ("test", split.test)):
        parts[name] = part if part.pairs is None or part.pairs.label is None else _labelled(part)
        if len(part) and parts[name] is not part:
            asked, answered = len(part), int(np.count_nonzero(parts[name].truth.lengths))
            without = asked - answered
            which = f"{without:,} of {counted(asked, 'query', 'queries')} of {name} {either(without, 'has', 'have')}"
            notes.append(f"{which} no row labelled 1, so no answer")
    return replace(split, valid=parts["valid"], test=parts["test"], notes=tuple(notes))


def with_candidates(holdout: Holdout, rule: str | Path, users: IdMap, items: IdMap) -> Holdout:
    """The holdout under a recipe's rule: one of RULES ("all": as it is), or the path of a file of sampled negatives."""
    if rule == "all":
        return holdout
    if rule == "new":
        return new_alone(holdout)
    return observed(holdout) if rule == "observed" else sampled(holdout, rule, users, items)


def observed(holdout: Holdout) -> Holdout:
    """Each query ranks its own hidden rows and nothing else; those labelled 1 are the answers. A repeated item counts
    once, and is an answer if any of its rows is labelled 1; excluded items are not ranked. Raises MatineeError where
    the hidden rows have no labels 0 and 1."""
    made = _labelled(holdout)
    assert made.pairs is not None
    rows = _items(made.pairs.query, made.pairs.item, made.queries.exclude)
    queries = replace(made.queries, candidates=rows.padded())
    return replace(made, queries=queries, protocol=replace(made.protocol, candidates=OBSERVED))


def new_alone(holdout: Holdout) -> Holdout:
    """Each query ranks new items and nothing else: those without an event in train that are an answer to some query
    (`new_items`). A query without such an answer counts in no average. Raises MatineeError where no answer is new."""
    new = holdout.kinds.get(NEW, Ragged.empty(len(holdout)))
    if not len(new.values):
        hint = f"split with {option('new_items', 0.1)}, say"
        raise MatineeError(f"no item of {holdout.protocol.part} is new, so there is none to rank", hint=hint)
    every = np.unique(new.values)
    candidates = np.tile(every.astype(np.int32), (len(holdout), 1))
    exclude = holdout.queries.exclude
    place = np.minimum(np.searchsorted(every, exclude.values), len(every) - 1)
    gone = every[place] == exclude.values
    candidates[exclude.rows[gone], place[gone]] = -1
    queries = replace(holdout.queries, candidates=candidates)
    protocol = replace(holdout.protocol, candidates=NEW_ALONE)
    kinds = {name: _within(part, new) for name, part in holdout.kinds.items()}
    return replace(holdout, queries=queries, truth=new, pairs=None, kinds=kinds, protocol=protocol)


def sampled(holdout: Holdout, path: str | Path, users: IdMap, items: IdMap) -> Holdout:
    """One query a line of a file in the format of He et al. (Neural Collaborative Filtering, WWW 2017), in its order:

        (user,item)<tab>negative<tab>negative...

    with external ids. `item`, which must be hidden in this holdout, is the answer; it and the negatives are ranked,
    except those that the query excludes. Users of the holdout without a line get no query, and lines of users who are
    not in the holdout are left out; both are warnings, as are negatives that are not in the log.

    Raises MatineeError naming file and line for what cannot be read, and for an item that is not hidden.
    """
    lines = _read(Path(path), users, items)
    query = query_of(holdout.queries.user, lines.user)
    _check_hidden(holdout, lines, query, users, items)
    asked = np.flatnonzero(query >= 0)
    if not len(asked):
        raise MatineeError("none of the users has a query in the split", where=lines.name, hint="check the ids")
    _warn_of_gaps(lines, query, holdout)
    truth = Ragged(np.arange(len(asked) + 1), lines.item[asked])
    named = truth.join(lines.negatives.take(asked))
    queries = holdout.queries.take(query[asked])
    queries = replace(queries, candidates=_items(named.rows, named.values, queries.exclude).padded())
    protocol = replace(holdout.protocol, candidates=f"as given in {lines.name} {lines.digest}")
    pairs = Pairs(queries.user, truth.values, np.arange(len(asked), dtype=np.int32))
    dislikes = None if holdout.dislikes is None else holdout.dislikes.take(query[asked])
    return Holdout(queries, truth, protocol, pairs, dislikes)


def _labelled(holdout: Holdout) -> Holdout:
    pairs, protocol = holdout.pairs, holdout.protocol
    if protocol.split.endswith(LABELLED):
        return holdout
    if pairs is None or pairs.label is None:
        hint = f"read a log that has ratings, with {option('label_min', 4.0)}, and split it"
        raise MatineeError(f"the hidden rows of {protocol.part} have no labels that say which are answers", hint=hint)
    if not np.isin(pairs.label, (0, 1)).all():
        what = f"the labels of {protocol.part} run from {pairs.label.min():g} to {pairs.label.max():g}, not 0 and 1"
        where = "with filter_events" if audience() == "python" else "in [data]"
        hint = f"turn ratings into labels first, {where}: {option('label_min', 4.0)}, say"
        raise MatineeError(what, hint=hint)
    positive = pairs.label == 1
    truth = _items(pairs.query[positive], pairs.item[positive], holdout.queries.exclude)
    kinds = {name: _within(rows, truth) for name, rows in holdout.kinds.items()}
    return replace(holdout, truth=truth, kinds=kinds, protocol=replace(protocol, split=protocol.split + LABELLED))


def _within(rows: Ragged, truth: Ragged) -> Ragged:
    """int32 (B rows): the items of each row that are also in truth's."""
    width = 1 + max(int(rows.values.max(initial=0)), int(truth.values.max(initial=0)))
    return rows.keep(np.isin(rows.rows * width + rows.values, truth.rows * width + truth.values))


def _items(query: NDArray[np.integer], item: Ints, exclude: Ragged) -> Ragged:
    """int32 (B rows): the distinct items of each query, by code, without those that it excludes."""
    return answers(query, item, exclude, 1 + max(int(item.max(initial=0)), int(exclude.values.max(initial=0))))


@dataclass(frozen=True)
class _Lines:
    """user, item: int32 (L,), -1 where the id is not in the log. where: file and line of each. unknown: the number of
    negatives that are left out, because they are not in the log."""

    name: str
    digest: str
    where: list[str]
    user: Ints
    item: Ints
    negatives: Ragged
    unknown: int


def _read(path: Path, users: IdMap, items: IdMap) -> _Lines:
    """Raises MatineeError naming file and line."""
    raw = content(path)
    where, texts_of = zip(*texts(raw, str(path)), strict=True)
    user, item, negatives = zip(*map(_line, texts_of, where), strict=True)

    def coded(ids: IdMap, values: Sequence[str]) -> Ints:
        """int32 (n,)."""
        return ids.encode(pl.Series("id", values, pl.String))

    codes = coded(items, [text for row in negatives for text in row])
    known: Bools = codes >= 0
    every = Ragged.of_lengths([len(row) for row in negatives], codes)
    digest, unknown = hashlib.sha256(raw).hexdigest()[:8], int(np.count_nonzero(~known))
    return _Lines(path.name, digest, list(where), coded(users, user), coded(items, item), every.keep(known), unknown)


def _line(text: str, where: str) -> tuple[str, str, list[str]]:
    """(user, item, negatives) of one line."""
    head, *others = (part.strip() for part in text.strip().split("\t"))
    pair = LINE.fullmatch(head)
    negatives = [other for other in others if other]
    if pair is None or not negatives:
        what = f"is no line of sampled negatives: {head[:40]!r} with {len(negatives)} negatives"
        hint = "write (user,item), then one or more negatives, with tabs between them"
        raise MatineeError(what, where=where, hint=hint)
    return pair[1].strip(), pair[2].strip(), negatives


def query_of(asked: Ints, user: Ints) -> NDArray[np.int64]:
    """int64 (L,): the first query of each line's user, -1 where there is none."""
    known, first = np.unique(asked, return_index=True)
    at = np.minimum(np.searchsorted(known, user), max(len(known) - 1, 0))
    there = (user >= 0) & (known[at] == user) if len(known) else np.zeros(len(user), bool)
    return np.where(there, first[at] if len(known) else -1, -1)


def _check_hidden(holdout: Holdout, lines: _Lines, query: NDArray[np.int64], users: IdMap, items: IdMap) -> None:
    """Raises MatineeError at the first line whose item is not among its query's answers: a model may have learned from
    it."""
    truth, n = holdout.truth, len(items) + 1  # + 1: the item may be unknown
    hidden = np.isin(query * n + lines.item + 1, truth.rows * n + truth.values + 1)
    wrong = np.flatnonzero((query >= 0) & ~hidden)
    if len(wrong):
        line = int(wrong[0])
        user = users.decode([lines.user[line]])[0]
        item = f"item {items.decode([lines.item[line]])[0]!r}" if lines.item[line] >= 0 else "its item"
        more = f", nor are those of {counted(len(wrong) - 1, 'more line')}" if len(wrong) > 1 else ""
        what = f"{item} of user {user!r} is no answer of this split{more}"
        how = "mt.split.provided(log, test=FILE)" if audience() == "python" else option("strategy", "provided")
        hint = f"split the log as the file was made: {how} with its positives as test"
        raise MatineeError(what, where=lines.where[line], hint=hint)


def _warn_of_gaps(lines: _Lines, query: NDArray[np.int64], holdout: Holdout) -> None:
    strangers = int(np.count_nonzero(query < 0))
    silent = len(holdout) - len(np.unique(query[query >= 0]))
    for n, words in (
        (
            strangers,
            f"{strangers:,} of {counted(len(query), 'line')} {either(strangers, 'is of a user', 'are of users')} "
            "without a query in the split: left out",
        ),
        (
            silent,
            f"{silent:,} of {counted(len(holdout), 'query', 'queries')} of the split {either(silent, 'has', 'have')} "
            "no line: left out",
        ),
        (
            lines.unknown,
            f"{counted(lines.unknown, 'negative is an item', 'negatives are items')} not in the log: left out",
        ),
    ):
        if n:
            warnings.warn(f"{lines.name}: {words}", MatineeWarning, stacklevel=4)
