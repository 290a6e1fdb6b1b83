"""Files of one query a line, in JSON or as a session's prefix and the item that followed, checked line by line."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

from matinee.data.dataset import Dataset
from matinee.data.ids import Id, IdMap
from matinee.errors import MatineeError, suggestion

KEYS = ("user", "history", "exclude", "candidates", "truth")
INT64 = 1 << 63


@dataclass(frozen=True)
class Line:
    """One query with external ids, spelled as in the log. exclude, candidates: None where the line has none."""

    user: Id | None
    history: list[Id]
    exclude: list[Id] | None
    candidates: list[Id] | None
    truth: list[Id]


def read_lines(content: bytes, file: str, data: Dataset) -> list[Line]:
    """One Line for each line that is not blank. Raises MatineeError naming file and line."""
    lines: list[Line] = []
    for where, text in texts(content, file):
        line = _line(_object(text, where), data, where)
        if lines and (line.candidates is None) != (lines[0].candidates is None):
            hint = "give every line candidates, or none"
            raise MatineeError("candidates are on some lines only", where=where, hint=hint)
        lines.append(line)
    if lines[0].candidates is not None and not any(set(line.candidates or ()) & set(line.truth) for line in lines):
        hint = "candidates are all that is ranked: add the answers to the negatives"
        raise MatineeError("no line has an answer among its candidates", where=file, hint=hint)
    return lines


def read_prefixes(content: bytes, file: str, data: Dataset) -> list[Line]:
    """One Line for each line that is not blank: item ids with spaces between them (a session so far, perhaps empty), a
    tab, and the item that followed. Raises MatineeError naming file and line."""
    lines: list[Line] = []
    for where, text in texts(content, file):
        prefix, tab, target = text.rstrip("\r ").rpartition("\t")
        if not tab or len(target.split()) != 1:
            hint = 'write "12 7 12<tab>3": the items so far, then the item that followed'
            raise MatineeError("is not items, a tab and one item", where=where, hint=hint)
        history, truth = ([_id(one, data.items, where) for one in part.split()] for part in (prefix, target))
        lines.append(Line(user=None, history=history, exclude=None, candidates=None, truth=truth))
    return lines


def texts(content: bytes, file: str) -> Iterator[tuple[str, str]]:
    """(file and line, text) of each line that is not blank. Raises MatineeError where there is none, or no UTF-8."""
    if not content.strip():
        raise MatineeError("holds no line", where=file, hint="is this the file you meant?")
    for number, raw in enumerate(content.split(b"\n"), start=1):
        where = f"{file}, line {number}"
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise MatineeError(f"is not UTF-8: {error.reason}", where=where, hint="store the file as UTF-8") from None
        if raw.strip():
            yield where, text


def of_one_session(lines: list[Line]) -> int:
    """How many queries without a user continue the session of the line before: one history is the other with its
    answer."""

    def goes_on(one: Line, other: Line) -> bool:
        return len(one.truth) == 1 and [*one.history, *one.truth] == other.history

    pairs = [(a, b) for a, b in itertools.pairwise(lines) if a.user is None and b.user is None]
    return sum(goes_on(a, b) or goes_on(b, a) for a, b in pairs)


def _object(text: str, where: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise MatineeError(f"is no JSON: {error}", where=where, hint="write one JSON object a line") from None
    if not isinstance(found, dict):
        raise MatineeError(f"is a {type(found).__name__}, not an object", where=where, hint='write {"history": ...}')
    for key in ("history", "truth"):
        if key not in found:
            raise MatineeError(f"has no {key!r}", where=where, hint='write {"history": [...], "truth": [...]}')
    if unknown := [key for key in found if key not in KEYS]:
        raise MatineeError(f"unknown key {unknown[0]!r}", where=where, hint=suggestion(unknown[0], KEYS))
    return found


def _line(found: dict[str, object], data: Dataset, where: str) -> Line:
    def ids(key: str) -> list[Id]:
        values = found[key]
        if not isinstance(values, list):
            raise MatineeError(f"{key!r} is not a list", where=where, hint=f'write "{key}": [id, id, ...]')
        return [_id(value, data.items, f"{where}, {key!r}") for value in values]

    def given(key: str) -> list[Id] | None:
        return None if found.get(key) is None else ids(key)

    candidates, user = given("candidates"), found.get("user")
    if candidates is not None:
        candidates = list(dict.fromkeys(candidates))  # a repeated candidate is one candidate
    user_id = None if user is None else _id(user, data.users, f"{where}, 'user'")
    line = Line(user_id, ids("history"), given("exclude"), candidates, ids("truth"))
    if not line.truth:
        raise MatineeError("has no answer in 'truth'", where=where, hint="remove the line")
    if both := [i for i in line.truth if i in set(line.exclude or ())]:
        raise MatineeError(f"{both[0]!r} is both an answer and excluded", where=where, hint="choose one")
    return line


def _id(value: object, ids: IdMap, where: str) -> Id:
    """The id as in the log: "12" becomes 12 where its ids are integers, and 12 becomes "12" where they are text."""
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise MatineeError(f"{value!r} is no id", where=where, hint="ids are whole numbers or text")
    if not ids.is_integer:
        return str(value)
    if isinstance(value, str) and not value.strip().removeprefix("-").isdecimal():
        raise MatineeError(f"{value!r} is no whole number, as the {ids.what} ids of the log are", where=where)
    if not -INT64 <= int(value) < INT64:
        raise MatineeError(f"{value!r} is too large for an id", where=where)
    return int(value)
