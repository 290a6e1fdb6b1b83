"""A split that someone else made: files of hidden pairs, or of whole queries."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.data.arrays import Floats, Ints, Ragged
from matinee.data.dataset import Dataset, Holdout, Pairs, Protocol, Queries, Split
from matinee.data.ids import Id, IdMap
from matinee.data.read.columns import by_position, find_column, id_column
from matinee.data.read.options import AUTO, ReadOptions, TableFile, parsed
from matinee.data.read.tables import Dialect, Table, content, dialect_of, table_of
from matinee.data.read.text import plain_suffix
from matinee.errors import COLUMNS, MatineeError, audience, counted, either, option, worded_for
from matinee.split.dislikes import excluded_words
from matinee.split.lines import Line, of_one_session, read_lines, read_prefixes
from matinee.split.parts import TEST, TRAIN, VALID, Part, VisibleRows, answers, checked, holdout

LINES = (".jsonl", ".ndjson")
PREFIXES = ".txt"
TABLES = {".csv": None, ".tsv": "\t", ".parquet": None}  # and the separator of each
Given = str | Path | Dataset | TableFile | dict[str, Any]


@dataclass(frozen=True)
class Source:
    """One part as it was given: hidden rows, or queries. words: its name in the protocol."""

    words: str
    content: Dataset | list[Line]


def provided(data: Dataset, *, test: Given, valid: Given | None = None, exclude_seen: bool = True) -> Split:
    """Train is `data` itself; valid and test are files with external ids, or Datasets.

    .csv, .tsv, .parquet, or a `table` that says how it is written: columns user_id and item_id (or usual names), a
    hidden event a row. A user is one query; history = train;
    excluded = train in valid, train + valid in the test.
    .jsonl, .ndjson: one query a line, {"user"?, "history", "exclude"?, "candidates"?, "truth"}. `history` is oldest
    first. `exclude` is all that is excluded; without it that is the history (nothing if not `exclude_seen`).
    `candidates` are all that is ranked, answers included; every line has them or none. A query without user has -1.
    .txt: one query of an anonymous session a line: items so far between spaces, a tab, the item that followed.

    Ids that only the files have join the IdMaps of the split, so that answers no model can know stay in recall's
    denominator; `Split.notes` counts them. train's codes then differ from data's.
    Raises MatineeError with file and line for what cannot be read, and when a hidden pair is in the log too (unless
    repeats are answers).
    """
    sources = {"test": _source(test, data)} | ({} if valid is None else {"valid": _source(valid, data)})
    users = _union(data.users, [_users(s.content, data.users) for s in sources.values()])
    items = _union(data.items, [_items(s.content, data.items) for s in sources.values()])
    train = _recoded(data, users, items)
    hidden = {
        name: _recoded(replace(s.content, user_features=None, item_features=None), users, items)
        for name, s in sources.items()
        if isinstance(s.content, Dataset)
    }
    whole, part = _concatenated(train, hidden)
    words = "provided, " + ", ".join(f"{name} {source.words}" for name, source in sorted(sources.items()))
    held = {}
    for name in ("valid", "test"):
        content = sources[name].content if name in sources else None
        if isinstance(content, list):
            protocol = Protocol(data=data.fingerprint, split=words, part=name, history="as given", exclude="nothing")
            held[name] = _of_lines(content, train, protocol, exclude_seen)
            continue
        if exclude_seen and name in hidden:
            _check_unseen(train, hidden[name], sources[name].words)
        held[name] = _of_rows(whole, part, (name, words), hidden.get(name), exclude_seen)
        held[name] = replace(held[name], protocol=replace(held[name].protocol, data=data.fingerprint))
    refit = "test" in hidden and (valid is None or ("valid" in hidden and _same_columns(train, hidden["valid"])))
    train_valid = whole.rows(part != TEST) if refit else None
    notes = _news(data.users, users) + _news(data.items, items) + _dependent(sources)
    split = Split(train, held["valid"], held["test"], train_valid, notes=notes)
    return checked(split, valid=valid is not None, hint="are these the files you meant?")


def _source(given: Given, data: Dataset) -> Source:
    """Raises MatineeError naming the file when it cannot be read."""
    if isinstance(given, Dataset):
        return Source(f"{given.name} {given.fingerprint[:8]}", given)
    given = parsed(TableFile, given) if isinstance(given, dict) else given
    path = Path(given.path if isinstance(given, TableFile) else given)
    kind, raw = plain_suffix(path), content(path)
    words = f"{path.name} {hashlib.sha256(raw).hexdigest()[:8]}"
    if isinstance(given, TableFile):
        with worded_for(audience(), without=COLUMNS):
            return Source(words, _read_pairs(table_of(path, dialect_of(given)), data, given))
    if kind in LINES:
        return Source(words, read_lines(raw, str(path), data))
    if kind == PREFIXES:
        lines = read_prefixes(raw, str(path), data)
        _refuse_pairs(lines, data, path)
        return Source(words, lines)
    if kind not in TABLES:
        hint = f"use one of {', '.join((*TABLES, *LINES, PREFIXES))}, or {_own(path)}"
        raise MatineeError(f"unknown kind of file {kind!r}", where=str(path), hint=hint)
    with worded_for(audience(), without=(*COLUMNS, *ReadOptions.model_fields)):
        return Source(words, _read_pairs(table_of(path, Dialect(TABLES[kind])), data))


def _own(path: Path) -> str:
    """How to say that a file is a table without a header."""
    if audience() == "recipe":
        return f'say how it is written: test = {{ path = "{path.name}", header = false, user_id = 1, item_id = 2 }}'
    return f'say how it is written: test=mt.table("{path.name}", header=False, user_id=1, item_id=2)'


def _refuse_pairs(lines: list[Line], data: Dataset, path: Path) -> None:
    """Raise MatineeError where a file of prefixes is rather one of pairs: each line is an id, a tab and an id, and the
    first ones are ids of users more often than of items, or come again as if each were a user."""
    if len(lines) < 2 or any(len(line.history) != 1 or len(line.truth) != 1 for line in lines):
        return
    firsts = [line.history[0] for line in lines]
    users = sum(data.users.find(one) >= 0 for one in firsts)
    items = sum(data.items.find(one) >= 0 for one in firsts)
    grouped = 1 + sum(a != b for a, b in itertools.pairwise(firsts)) == len(set(firsts)) < len(firsts)
    if users > items or (grouped and users == items > 0):
        what = "each line is a pair of ids, as of a user and an item; a .txt file holds sessions: items, a tab, an item"
        raise MatineeError(what, where=str(path), hint=_own(path))


def _read_pairs(table: Table, data: Dataset, given: TableFile | None = None) -> Dataset:
    """The columns of users and items as a Dataset without values and times, in the file's order."""
    asked = {role: getattr(given, role, None) or AUTO for role in ("user_id", "item_id")}
    if table.dialect.header is False and set(asked.values()) == {AUTO}:
        asked = by_position(table)
    columns = [find_column(table, role, asked[role], required=True) or "" for role in ("user_id", "item_id")]
    user, item = (_spelled(table, c, ids) for c, ids in zip(columns, (data.users, data.items), strict=True))
    users, items = IdMap.from_series(user, what="user"), IdMap.from_series(item, what="item")
    return Dataset(users, items, users.encode(user), items.encode(item), name=table.name)


def _spelled(table: Table, column: str, ids: IdMap) -> pl.Series:
    """The column's ids as in the log: Int64 or String. Raises MatineeError naming file, row and column."""
    found = id_column(table, column)
    cast = found.cast(pl.Int64 if ids.is_integer else pl.String, strict=False)
    if cast.has_nulls():
        row = int(cast.is_null().arg_max() or 0)
        what = f"{found[row]!r} is not a whole number, as the {ids.what} ids of the log are"
        raise table.error(what, row, column, hint="correct or remove the row")
    return cast


def _ids(values: Sequence[Id], ids: IdMap) -> pl.Series:
    return pl.Series("id", values, pl.Int64 if ids.is_integer else pl.String)


def _users(content: Dataset | list[Line], ids: IdMap) -> pl.Series:
    if isinstance(content, Dataset):
        return content.users.series
    return _ids([line.user for line in content if line.user is not None], ids)


def _items(content: Dataset | list[Line], ids: IdMap) -> pl.Series:
    if isinstance(content, Dataset):
        return content.items.series
    named = {
        i for line in content for i in (*line.history, *(line.exclude or ()), *(line.candidates or ()), *line.truth)
    }
    return _ids(sorted(named, key=str), ids)


def _union(ids: IdMap, more: Sequence[pl.Series]) -> IdMap:
    union = IdMap.from_series(ids.series, *more, what=ids.what)
    return ids if len(union) == len(ids) else union


def _news(old: IdMap, new: IdMap) -> tuple[str, ...]:
    more = len(new) - len(old)
    ids = f"{counted(more, f'{old.what} id')} of the provided files {either(more, 'is', 'are')}"
    return (f"{ids} not in the log",) if more else ()


def _dependent(sources: dict[str, Source]) -> tuple[str, ...]:
    """A note for each part whose queries without users are not independent, though each counts as one."""
    steps = {name: of_one_session(s.content) for name, s in sources.items() if isinstance(s.content, list)}
    return tuple(
        f"{counted(n, 'query', 'queries')} of {name} {either(n, 'continues', 'continue')} the session of the query "
        f"before {either(n, 'it', 'them')}, yet {either(n, 'counts', 'count')} as independent: "
        "intervals are narrower than they should be, and p-values smaller"
        for name, n in steps.items()
        if n
    )


def _recoded(data: Dataset, users: IdMap, items: IdMap) -> Dataset:
    """The same rows with the codes of larger IdMaps."""
    if users is data.users and items is data.items:
        return data
    user, item = users.encode(data.users.series), items.encode(data.items.series)
    of_users, of_items = _spread(data.user_features, user, len(users)), _spread(data.item_features, item, len(items))
    dislikes = data.dislikes and data.dislikes.recoded(user, item)
    user, item = user[data.user], item[data.item]
    codes: dict[str, Any] = {"users": users, "items": items, "user": user, "item": item, "dislikes": dislikes}
    return replace(data, user_features=of_users, item_features=of_items, **codes)


def _spread(table: pl.DataFrame | None, code: Ints, n: int) -> pl.DataFrame | None:
    """Row r of the table moves to row code[r] of n; the others are null."""
    if table is None:
        return None
    row = pl.Series("row", [None], pl.UInt32).new_from_index(0, n).scatter(code, np.arange(len(code), dtype=np.uint32))
    return table.select(pl.all().gather(row))


def _same_columns(train: Dataset, hidden: Dataset) -> bool:
    """Whether hidden rows can be appended to train without a gap."""
    columns = (train.value, hidden.value), (train.timestamp, hidden.timestamp), (train.weight, hidden.weight)
    return train.context is None and all(own is None or more is not None for own, more in columns)


def _concatenated(train: Dataset, hidden: dict[str, Dataset]) -> tuple[Dataset, Part]:
    """Train's rows, then the hidden ones, and the part of each, int8 (n,). Missing values and times are 0 (`_of_rows`
    leaves them out)."""
    logs = [train, *hidden.values()]
    codes = [TRAIN, *({"valid": VALID, "test": TEST}[name] for name in hidden)]
    value = [np.zeros(len(d), np.float32) if d.value is None else d.value for d in logs]
    timestamp = [np.zeros(len(d), np.int64) if d.timestamp is None else d.timestamp for d in logs]
    whole = replace(
        train,
        user=np.concatenate([d.user for d in logs]),
        item=np.concatenate([d.item for d in logs]),
        value=None if train.value is None else np.concatenate(value),
        timestamp=None if train.timestamp is None else np.concatenate(timestamp),
        weight=None if train.weight is None else np.concatenate([_weights(d) for d in logs]),
        context=None,
        raw_rating=None if any(d.raw_rating is None for d in logs) else np.concatenate([d.raw_rating for d in logs]),
    )
    return whole, np.repeat(np.array(codes, np.int8), [len(d) for d in logs])


def _weights(data: Dataset) -> Floats:
    """float32 (n,), 1 in a log without weights."""
    return np.ones(len(data), np.float32) if data.weight is None else data.weight


def _of_rows(whole: Dataset, part: Part, name: tuple[str, str], hidden: Dataset | None, exclude_seen: bool) -> Holdout:
    train = VisibleRows("train", part == TRAIN)
    seen = train if name[0] == "valid" else VisibleRows("train + valid", part != TEST)
    code = VALID if name[0] == "valid" else TEST
    held = holdout(whole, part == code, name, train, exclude_seen and seen)
    if held.pairs is None or hidden is None:
        return held
    label = None if hidden.value is None else held.pairs.label
    timestamp = None if hidden.timestamp is None else held.pairs.timestamp
    return replace(held, pairs=replace(held.pairs, label=label, timestamp=timestamp))


def _check_unseen(train: Dataset, hidden: Dataset, words: str) -> None:
    """Raises MatineeError when train holds one of the hidden pairs: a model fitted on it has seen the answer."""
    n = train.n_items
    both = np.isin(hidden.user.astype(np.int64) * n + hidden.item, train.user.astype(np.int64) * n + train.item)
    if both.any():
        row = int(np.flatnonzero(both)[0])
        user, item = train.users.decode([hidden.user[row]])[0], train.items.decode([hidden.item[row]])[0]
        pairs = f"{both.sum():,} of {counted(len(both), 'hidden pair')} {either(int(both.sum()), 'is', 'are')}"
        what = f"{pairs} in the log too, first user {user!r}, item {item!r}"
        hint = f"remove them from the log, which is train; {option('exclude_seen', False)} where repeats are answers"
        raise MatineeError(what, where=words, hint=hint)


def _of_lines(lines: list[Line], train: Dataset, protocol: Protocol, exclude_seen: bool) -> Holdout:
    """A query a line. Users and items are in train's IdMaps."""
    users, items = train.users, train.items

    def ragged(rows: list[list[Id]]) -> Ragged:
        return Ragged.of_lengths([len(r) for r in rows], items.encode(_ids([i for r in rows for i in r], items)))

    user = np.full(len(lines), -1, np.int32)
    named = [b for b, line in enumerate(lines) if line.user is not None]
    user[named] = users.encode(_ids([line.user for line in lines if line.user is not None], users))
    seen = [line.history if exclude_seen else [] for line in lines]
    otherwise = excluded_words("history" if exclude_seen else None, train)
    exclude = ragged([s if line.exclude is None else line.exclude for line, s in zip(lines, seen, strict=True)])
    given = [line.exclude is not None for line in lines]
    disliked = None if train.dislikes is None else train.dislikes.of(user)
    if disliked is not None:
        exclude = exclude.join(disliked.keep(~np.array(given)[disliked.rows]))
    truth = ragged([line.truth for line in lines])
    candidates = None if lines[0].candidates is None else ragged([line.candidates or [] for line in lines])
    queries = Queries(user, ragged([line.history for line in lines]), exclude)
    excluded = "as given" if all(given) else f"as given, else {otherwise}" if any(given) else otherwise
    protocol = replace(protocol, exclude=excluded)
    if candidates is not None:
        queries, protocol = replace(queries, candidates=candidates.padded()), replace(protocol, candidates="as given")
    pairs = Pairs(user[truth.rows], truth.values, truth.rows.astype(np.int32))
    return Holdout(queries, answers(truth.rows, truth.values, exclude, len(items)), protocol, pairs, disliked)
