"""Mutated logs: `mt.read` gives the events that a plain reader gives, or one clear error, and counts what it leaves."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import matinee as mt
from matinee.data.dataset import Dataset
from matinee.data.read.formats import FORMATS
from matinee.errors import MatineeError, MatineeWarning

from .formats.made import CASES, Made
from .plain_reader import MARK, Event, Reading, Way, readings

HEADER = ["user_id", "item_id", "rating", "timestamp", "tag"]
VALUES = (
    ["1", "2", "7", "007", "u1", "Zoë", "x y", "nan", "-3", "9223372036854775808", "", "a,b"],
    ["10", "20", "i1", "é", "0", "NULL", "30", "12.0", ""],
    ["5", "3.5", "1", "1e5", "-1", "4,5", "inf", "", " 2 ", "1e39", "0.1", "+3", "1."],
    ["881250949", "881250950"],
    ["", "funny", 'The "Q"', '"', "5' 3\"", "x, y", "two\nlines", "a;b|c", "\\", "naïve", '\\"z\\"'],
)
TIMES = (
    ["881250949", "881250950", "881250948"],
    ["881250949123", "881250949001", "881250948999"],
    ["881250949000001", "881250949000000"],
    ["1997-12-04T15:55:49", "1997-12-04 15:55:49", "1997-12-04", "1997/12/04", "1997-12-04 15:55:49 UTC"],
    ["20140407", "20140408", "20141332"],
    ["8.8e8", "881250949.5", "881250949"],
    ["2014", "1999"],
    ["881250949", "-5", "0", "", "soon", "1997-12-04", "881250949123", "4102444800"],
)
TOKENS = (
    *(b'"', b'""', b",,", b"\t\t", b";", b"::", b"\n\n", b"\r\n", b"\r", b"\n", b"\xef\xbb\xbf", b"\x00", b"\xe9"),
    *(b"\xc3\xa9", b"\xff\xfe", b"1e5", b"nan", b" ", b'\\"', b"\\", b"#", b"\x1f", b"\x0b", b"\x0c", b"\xe2\x80\xa8"),
    *(b"\xc2\x85", b"\x1a", b"'", b"x" * 140_000, b",", b"\n \n", b"0", b"-", b"+", b".", b"\xc2\xa0"),
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    """Rows of a log. Most values are plain: a row that is wrong already hides what comes after it."""
    calm = draw(st.sampled_from((True, True, False)))
    times = TIMES[0] if calm else draw(st.sampled_from(TIMES))
    choices = [*VALUES[:3], times, VALUES[4]]
    some = [values[: 3 + 2 * (not calm)] if place != 3 else values for place, values in enumerate(choices)]
    wild = draw(st.sampled_from((0, 0, 1, 2)))
    rows = [[draw(st.sampled_from(values)) for values in some] for _ in range(draw(st.integers(1, 8)))]
    for _ in range(wild):
        column = draw(st.integers(0, 4))
        rows[draw(st.integers(0, len(rows) - 1))][column] = draw(st.sampled_from(choices[column]))
    return rows


def written(rows: Sequence[Sequence[str]], sign: str, end: str, quoting: str) -> str:
    """As a file. quoting: "all", "needed", or "never"."""

    def field(value: str) -> str:
        need = quoting == "all" or (quoting == "needed" and any(each in value for each in (sign, MARK, "\n")))
        return MARK + value.replace(MARK, MARK * 2) + MARK if need else value

    return "".join(sign.join(map(field, row)) + end for row in rows)


@st.composite
def logs(draw: st.DrawFn) -> tuple[bytes, Way]:
    """A log that was written, and mutated, with the options to read it."""
    rows = draw(tables())
    header = draw(st.sampled_from((True, True, True, False)))
    rows = [list(HEADER), *rows] if header else rows
    order = draw(st.permutations(range(5))) if header and draw(st.booleans()) else list(range(5))
    rows = [[row[place] for place in order] for row in rows]
    if draw(st.sampled_from((False, False, True))):  # columns swapped in one row
        row = rows[draw(st.integers(0, len(rows) - 1))]
        row[:] = draw(st.permutations(row))
    width = draw(st.sampled_from((5, 5, 4, 2))) if order == list(range(5)) and header else 5
    rows = [row[:width] for row in rows]
    sign = draw(st.sampled_from((",", ",", "\t", ";", "|", "::", " ")))
    end = draw(st.sampled_from(("\n", "\n", "\r\n", "\r")))
    text = written(rows, sign, end, draw(st.sampled_from(("all", "needed", "needed", "never"))))
    encoding = draw(st.sampled_from((*("utf-8",) * 5, "utf-8-sig", "latin-1", "utf-16")))
    data = text.encode(encoding)
    data = data if draw(st.booleans()) else data.rstrip(b"\r\n")
    for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2, 3)))):
        data = draw(mutated(data))
    way = Way(
        separator=draw(st.sampled_from((None, sign))) if sign != " " else sign,
        header=draw(st.sampled_from((header,) * 7 + (not header,))),
        quote=draw(st.sampled_from(("auto", "auto", "auto", MARK, None))),
        bad_rows=draw(st.sampled_from(("error", "skip"))),
        encoding=draw(st.sampled_from((encoding.removesuffix("-sig"),) * 8 + ("utf-8", "latin-1"))),
        ids=draw(st.sampled_from(("auto", "auto", "text"))),
        unit=draw(st.sampled_from(("auto", "auto", "auto", "s", "ms"))),
    )
    return data, way


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """One byte flipped, a piece cut out, doubled or put in, or the end cut off."""
    at = draw(st.integers(0, len(data)))
    how = draw(st.sampled_from(("flip", "cut", "double", "insert", "insert", "insert", "end", "line")))
    if how == "flip":
        byte = draw(st.sampled_from(b'",\n\r\t;\x00\xe9 5') | st.integers(0, 255))
        return data[:at] + bytes([byte]) + data[at + 1 :]
    if how in ("cut", "double"):
        end = at + draw(st.integers(1, 12))
        return data[:at] + (data[at:end] * 2 if how == "double" else b"") + data[end:]
    if how == "end":
        return data[:at]
    if how == "line":
        lines = data.split(b"\n")
        place = draw(st.integers(0, len(lines) - 1))
        lines[place : place + 1] = draw(st.sampled_from(([], [lines[place]] * 2, [lines[place][: at % 9]], [b"", b""])))
        return b"\n".join(lines)
    return data[:at] + draw(st.sampled_from(TOKENS)) + data[at:]


def events(data: Dataset) -> list[Event]:
    nothing = [None] * len(data)
    rating = nothing if data.value is None else data.value.tolist()
    time = nothing if data.timestamp is None else data.timestamp.tolist()
    return list(zip(data.users.decode(data.user), data.items.decode(data.item), rating, time, strict=True))


def told(caught: Sequence[warnings.WarningMessage]) -> int:
    """Rows and line ends that warnings count."""
    found = [re.search(r": ([\d,]+) (?:line ends? within|of [\d,]+ rows cannot)", str(each.message)) for each in caught]
    return sum(int(match[1].replace(",", "")) for match in found if match)


def outcome(source: Path, **options: Any) -> tuple[Dataset | MatineeError, Sequence[warnings.WarningMessage]]:
    """The log or the one error, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found: Dataset | MatineeError = mt.read(source, **options)
        except MatineeError as error:
            found = error
    if isinstance(found, MatineeError):
        assert found.where, found
        assert len(str(found)) < 1000, found
    assert all(each.category is MatineeWarning for each in caught), [str(each.message) for each in caught]
    return found, caught


def check(path: Path, data: bytes, way: Way) -> str:
    """Hold `mt.read` against the plain reader."""
    path.write_bytes(data)
    expected = readings(data, way)
    found, caught = outcome(path, **way.options())
    if isinstance(found, MatineeError):
        assert None in expected, (str(found), expected)
        return "refused"
    same = [each for each in expected if each is not None and same_events(events(found), each.events)]
    assert same, (events(found), expected)
    assert found.skipped_rows in {each.skipped for each in same}
    assert told(caught) in {each.skipped + each.line_ends for each in same}, [str(each.message) for each in caught]
    return "read"


def same_events(found: list[Event], expected: list[Event]) -> bool:
    return found == expected and [type(each[0]) for each in found] == [type(each[0]) for each in expected]


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "log.csv"


@settings(max_examples=200, derandomize=True, database=None, suppress_health_check=QUIET)
@given(log=logs())
def test_mutated_logs(path: Path, log: tuple[bytes, Way]) -> None:
    check(path, *log)


@pytest.mark.slow
@settings(max_examples=2000, database=None, suppress_health_check=QUIET)
@given(log=logs())
def test_many_mutated_logs(path: Path, log: tuple[bytes, Way]) -> None:
    """Other logs each time; a log that fails is printed."""
    check(path, *log)


def test_the_plain_reader_reads() -> None:
    """Both readers would agree where the plain one refused everything."""
    text = (
        b'user_id,item_id,rating,timestamp,tag\n7,a,5,881250949,"x, y"\n\n8,,4,881250950,\n9,b,3,88125,"z\n10,c,1,1,q\n'
    )
    (refused,) = {each is None for each in readings(text, Way())}
    assert refused
    found = readings(text, Way(bad_rows="skip"))
    assert Reading([(7, "a", 5.0, 881250949), (10, "c", 1.0, 1)], 2) in found
    assert readings(b"1\t2\t3\t1e9", Way(header=False)) == [Reading([(1, 2, 3.0, 10**9)], 0)]


# --- files of published formats ---------------------------------------------------------------------------------------


def spoiled(data: bytes, choose: random.Random) -> tuple[bytes, int]:
    """A file cut off, with a byte changed, or without a column, and how many of its lines were touched."""
    lines = data.count(b"\n") + 1
    at = choose.randrange(len(data))
    how = choose.choice(("cut", "flip", "flip", "column"))
    if how == "cut":
        return data[:at], lines - data.count(b"\n", 0, at)
    if how == "flip":
        byte = choose.choice((choose.randrange(256), *b'",;\t\n\r{}:0 '))
        return data[:at] + bytes([byte]) + data[at + 1 :], 2
    sign = max((b",", b"\t", b";", b"::"), key=data.count)
    rows = [row.split(sign) for row in data.split(b"\n")]
    column = choose.randrange(max(map(len, rows)))
    return b"\n".join(sign.join(row[:column] + row[column + 1 :]) for row in rows), 0


def check_format(folder: Path, made: Made, name: str, choose: random.Random, events_of: dict[Path, int]) -> str:
    """One error, or as many events as lines that were not touched have, or a warning that counts the others. events_of:
    how many the file has as it was written, or the whole folder, which may have more logs."""
    path = folder / made.log
    whole = path.read_bytes()
    source = choose.choice((folder, path)) if FORMATS[name].logs(folder) else path
    if source not in events_of:
        before, _ = outcome(source, format=name)
        assert isinstance(before, Dataset)
        events_of[source] = len(before)
    text, touched = spoiled(whole, choose)
    path.write_bytes(text)
    found, caught = outcome(source, format=name)
    path.write_bytes(whole)
    if isinstance(found, MatineeError):
        return "refused"
    rows = events_of[source]
    a_line = 1 if whole.count(b"\n") >= rows else rows
    assert len(found) <= rows + 3, text
    if made.log.endswith(".parquet") and len(text) == len(whole):
        return "read"  # nothing in a Parquet file tells that its number of rows was changed
    assert caught or len(found) >= rows - touched * a_line, (len(found), touched, text)
    return "read"


@pytest.mark.parametrize("name", list(CASES))
def test_spoiled_formats(tmp_path: Path, name: str) -> None:
    choose = random.Random(name)
    for made in CASES[name]:
        folder, events_of = made.folder(tmp_path / str(CASES[name].index(made))), dict[Path, int]()
        for _ in range(12):
            check_format(folder, made, name, choose, events_of)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CASES))
def test_formats_spoiled_often(tmp_path: Path, name: str) -> None:
    choose = random.Random()
    for made in CASES[name]:
        folder, events_of = made.folder(tmp_path / str(CASES[name].index(made))), dict[Path, int]()
        for _ in range(100):
            check_format(folder, made, name, choose, events_of)
