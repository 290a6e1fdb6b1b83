"""A slow reader of logs, line by line in plain Python: what `mt.read` is held against. It shares no code with it."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

MARK = '"'
ROLES = {
    "user_id": ("userid", "user", "uid"),
    "item_id": ("itemid", "item", "movieid", "movie"),
    "rating": ("rating", "rate", "stars"),
    "timestamp": ("timestamp", "time", "datetime"),
}
WORDS = {"nan", "null", "none", "na", "n/a", "<na>", "#n/a"}
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
INTEGER = re.compile(r"0|-?[1-9][0-9]*")
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
LAST = 4_102_444_800  # 2100-01-01
Record = list[str]
Event = tuple[Any, Any, float | None, int | None]


class RefusedError(Exception):
    """The file is not to be read under these options."""


@dataclass(frozen=True)
class Way:
    """The options of `mt.read` that are varied. header False: columns are user, item, rating and time."""

    separator: str | None = None
    header: bool = True
    quote: str | None = "auto"
    bad_rows: str = "error"
    encoding: str = "utf-8"
    ids: str = "auto"
    unit: str = "auto"

    def options(self) -> dict[str, Any]:
        places = {} if self.header else {"user_id": 1, "item_id": 2, "rating": 3, "timestamp": 4}
        return {**vars(self), **places}


@dataclass(frozen=True)
class Reading:
    """events: in their order. skipped: rows that were left out. line_ends: of those within quotation marks."""

    events: list[Event]
    skipped: int
    line_ends: int = 0


def readings(data: bytes, way: Way) -> list[Reading | None]:
    """What the file may be read as, None: refused. One where quotation marks leave no doubt, otherwise several."""
    try:
        text = data.decode(way.encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return [None]
    text = text.replace("\r", "\n") if "\n" not in text else text
    text = re.sub(r"\A(\r?\n)+\ufeff", "", text)  # blank lines before the mark of the encoding
    lines = text.split("\n")
    sign = way.separator or sniffed(next((line for line in lines if line.strip()), ""))
    tables: list[tuple[Sequence[Record | None], int] | None] = []
    split: list[Record] = [
        [field.removesuffix("\r") for field in line.split(sign)] if line.removesuffix("\r") else [] for line in lines
    ]
    if MARK not in text or way.quote is None:
        tables.append((split, 0))
    else:
        strict = quoted(text, sign, "")
        tables.append(strict)
        stray = any(MARK in field and not field.startswith(MARK) for record in split for field in record)
        if strict is None or strict[1] or stray:
            tables.append(quoted(text, sign, "\\"))
            tables.append(
                ([[bare(name.strip()) for name in split[0]], *(list(map(bare, record)) for record in split[1:])], 0)
            )
            tables += [(split, 0)] if way.quote == "auto" else []
            tables.append(quoted(text, sign, "", forgiving=True) if way.bad_rows == "skip" else None)
    if len(sign) > 1 and "\x1f" in text:  # which `mt.read` takes for the sign, so that rows do not fit
        tables.append(None)
    return [None if table is None else reading(*table, way) for table in tables]


def sniffed(first: str) -> str:
    best = max((",", "\t", ";", "|"), key=first.count)
    return best if best in first else "::" if "::" in first else ","


def bare(field: str) -> str:
    """A field without the marks around it."""
    whole = len(field) > 1 and field[0] == field[-1] == MARK
    return field[1:-1].replace(MARK * 2, MARK) if whole else field


def quoted(text: str, sign: str, escape: str, *, forgiving: bool = False) -> tuple[list[Record | None], int] | None:
    """The records and the number of line ends within marks; None where a mark that opens a field does not close it.
    forgiving: None in place of a line with such a mark, or one whose record goes over lines and is not as wide."""
    records: list[Record | None] = []
    at, inside, width = 0, 0, 0
    while at <= len(text):
        found = record_at(text, at, sign, escape)
        line_end = text.find("\n", at)
        over = 0 if found is None else text.count("\n", at, found[1])
        if forgiving and (found is None or (over and len(found[0]) != width)):
            records.append(None)
            at = len(text) + 1 if line_end < 0 else line_end + 1
            continue
        if found is None:
            return None
        width = width or len(found[0])
        records.append(found[0])
        at, inside = found[1] + 1, inside + over
    return records, inside


def record_at(text: str, at: int, sign: str, escape: str) -> tuple[Record, int] | None:
    """The record that begins at `at`, and where it ends."""
    record: Record = []
    start = at
    while True:
        if text.startswith(MARK, at):
            value, at = closed(text, at + 1, escape)
            if at < 0:
                return None
            at += 1 if text.startswith("\r\n", at) else 0
        else:
            ends = [end for end in (text.find(sign, at), text.find("\n", at)) if end >= 0]
            end = min(ends, default=len(text))
            value, at = text[at:end], end
            value = value.removesuffix("\r")
            value = value.replace(escape + MARK, MARK) if escape else value
        record.append(value)
        if at == len(text) or text[at] == "\n":
            return ([] if record == [""] and MARK not in text[start:at] else record), at
        if not text.startswith(sign, at):
            return None
        at += len(sign)


def closed(text: str, at: int, escape: str) -> tuple[str, int]:
    """A field whose mark was opened before `at`, and where it ends; -1: nowhere."""
    value = ""
    while at < len(text):
        if escape and text.startswith((escape + MARK, escape * 2), at):
            value, at = value + text[at + 1], at + 2
        elif text.startswith(MARK * 2, at):
            value, at = value + MARK, at + 2
        elif text[at] == MARK:
            return value, at + 1
        else:
            value, at = value + text[at], at + 1
    return value, -1


def reading(records: Sequence[Record | None], line_ends: int, way: Way) -> Reading | None:
    try:
        events, skipped = events_of([record for record in records if record != []], way)
    except RefusedError:
        return None
    return Reading(events, skipped, line_ends)


def events_of(records: Sequence[Record | None], way: Way) -> tuple[list[Event], int]:
    first = next((record for record in records if record is not None), None)
    if first is None or (way.header and records[0] is None):
        raise RefusedError
    names = [name.strip() for name in first] if way.header else list(ROLES)
    rows = list(records[1:] if way.header else records)
    width = len(first)
    fit = [row for row in rows if row is not None and len(row) == width]
    if not fit or (len(fit) < len(rows) and way.bad_rows == "error"):
        raise RefusedError
    places = {role: place_of(role, names) for role in ROLES}
    if None in (places["user_id"], places["item_id"]) or max(place or 0 for place in places.values()) >= width:
        raise RefusedError
    columns = {role: [row[place] or None for row in fit] for role, place in places.items() if place is not None}
    good = [True] * len(fit)
    if way.bad_rows == "skip":
        for role, column in columns.items():
            good = [each and not wrong for each, wrong in zip(good, wrong_in(role, column, way), strict=True)]
        columns = {
            role: [value for value, stays in zip(column, good, strict=True) if stays]
            for role, column in columns.items()
        }
    if not any(good) or any(any(wrong_in(role, column, way)) for role, column in columns.items()):
        raise RefusedError
    return list(joined(columns, way)), len(rows) - sum(good)


def place_of(role: str, names: Sequence[str]) -> int | None:
    """The column of a role: of the role's name, otherwise of a usual one."""
    if len(set(names)) < len([name for name in names if name]) + ("" in names):
        raise RefusedError
    if role in names:
        return names.index(role)
    plain = [re.sub(r"[\s_-]", "", name.lower()) for name in names]
    found = [place for word in ROLES[role] for place, name in enumerate(plain) if name == word]
    if len(found) > 1 and plain[found[0]] != ROLES[role][0]:
        raise RefusedError
    return found[0] if found else None


def wrong_in(role: str, column: list[str | None], way: Way) -> list[bool]:
    """Whether each value is none that its column may have."""
    if role == "timestamp":
        return [tick is None for tick in ticks_of(column, way)[0]]
    if role == "rating":
        return [value is None or single(value) is None for value in column]
    if way.bad_rows == "error" and any(re.search(r"[\r\n]", value or "") for value in column):
        raise RefusedError
    return [value is None or (way.ids != "text" and value.lower() in WORDS) for value in column]


def joined(columns: dict[str, list[str | None]], way: Way) -> Iterator[Event]:
    users, items = (kind(columns[role], way) for role in ("user_id", "item_id"))
    if any(isinstance(each, str) and re.search(r"[\r\n]", each) for each in (*users, *items)):
        raise RefusedError
    ratings = [single(value or "") for value in columns["rating"]] if "rating" in columns else [None] * len(users)
    seconds: list[int | None] = [None] * len(users)
    order = list(range(len(users)))
    if "timestamp" in columns:
        ticks, per_second = ticks_of(columns["timestamp"], way)
        whole = [tick for tick in ticks if tick is not None]
        seconds = [math.floor(tick / per_second) for tick in whole]
        if any(tick % per_second for tick in whole):
            order = sorted(order, key=lambda row: whole[row])
    return ((users[row], items[row], ratings[row], seconds[row]) for row in order)


def kind(ids: Sequence[str | None], way: Way) -> list[Any]:
    """Integers where all are canonical ones of 64 bits."""
    whole = all(INTEGER.fullmatch(each or "") and -(2**63) <= int(each or 0) < 2**63 for each in ids)
    return [int(each or 0) for each in ids] if whole and way.ids != "text" else list(ids)


def single(value: str) -> float | None:
    """A number as float32 holds it."""
    if not NUMBER.fullmatch(value.strip(SPACES)):
        return None
    try:
        number: float = struct.unpack("f", struct.pack("f", float(value.strip(SPACES))))[0]
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def ticks_of(column: list[str | None], way: Way) -> tuple[list[Fraction | None], int]:
    """Times in their unit, None where there is none, and the units in a second."""
    numbers = [
        Fraction(float(value.strip(SPACES)) if not INTEGER.fullmatch(value.strip(SPACES)) else int(value))
        if value is not None and NUMBER.fullmatch(value.strip(SPACES)) and math.isfinite(float(value.strip(SPACES)))
        else None
        for value in column
    ]
    there = [number for number in numbers if number is not None]
    if len(there) * 2 < sum(value is not None for value in column):
        return [moment(value) for value in column], 1
    if all(number.denominator == 1 for number in there) and there and way.unit == "auto":
        if sum(1900 <= each <= 2100 for each in there) * 2 > len(there):
            raise RefusedError
        if sum(19_000_101 <= each <= 21_001_231 for each in there) * 2 > len(there):
            return compact(numbers, there)
    sizes = {unit_of(number) for number in (min(there, default=Fraction(1)), max(there, default=Fraction(1)))}
    if way.unit == "auto" and len({unit_of(number) for number in there if number > 0}) > 1:
        raise RefusedError
    per_second = UNITS[way.unit] if way.unit != "auto" else UNITS[max(sizes, key=list(UNITS).index)]
    return [tick if tick is None or 0 <= tick < LAST * per_second else None for tick in numbers], per_second


def compact(numbers: list[Fraction | None], there: list[Fraction]) -> tuple[list[Fraction | None], int]:
    """Whole numbers that are dates, unless most are none."""
    days = [
        None
        if number is None or len(str(int(number))) != 8
        else moment(f"{str(int(number))[:4]}-{str(int(number))[4:6]}-{int(number) % 100:02}")
        for number in numbers
    ]
    missing = sum(day is None and number is not None for day, number in zip(days, numbers, strict=True))
    if missing * 2 > len(days):
        return [number if number is None or 0 <= number < LAST else None for number in numbers], 1
    if missing:
        raise RefusedError
    return days, 1


def unit_of(number: Fraction) -> str:
    return "s" if number < 10**11 else "ms" if number < 10**14 else "us" if number < 10**17 else "ns"


def moment(value: str | None) -> Fraction | None:
    """Seconds of an ISO date, or of one with slashes or UTC at its end."""
    text = re.sub(r"\s*(UTC|GMT)$", "Z", re.sub(r"^(\d{4})/(\d\d)/(\d\d)", r"\1-\2-\3", (value or "").strip(SPACES)))
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return None
    clock = re.fullmatch(r"(\d{4}-\d\d-\d\d[T ])(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?(\D.*)?", text)
    if clock:  # an hour, minute or second may have one digit
        parts = [part.zfill(2) for part in clock.groups()[1:4] if part]
        text = clock[1] + ":".join(parts) + (clock[5] or "")
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = Fraction(since.days * 86400 + since.seconds) + Fraction(since.microseconds, 10**6)
    return seconds if 0 <= seconds < LAST else None
