"""Logs as people have them: columns, ids, times, and what is refused, with its row."""

from __future__ import annotations

import gzip
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.data.dataset import Duplicates
from matinee.data.read import tables
from matinee.data.read.dialect import Dialect
from matinee.data.read.log import read
from matinee.data.read.options import Unit
from matinee.errors import MatineeError, MatineeWarning

from .samples import events, file, real

LOG = "user_id,item_id,rating,timestamp\n7,b,4.5,100\n7,a,1,90\n30,b,3,100\n"


def values(array: np.ndarray[Any, Any] | None) -> list[Any] | None:
    return None if array is None else array.tolist()


def test_a_csv_log(tmp_path: Path) -> None:
    data = read(file(tmp_path, LOG))
    assert events(data) == [(7, "b"), (7, "a"), (30, "b")]
    assert values(data.value) == [4.5, 1, 3]
    assert values(data.timestamp) == [100, 90, 100]
    assert data.value is not None
    assert (data.user.dtype.name, data.value.dtype.name) == ("int32", "float32")
    assert data.context is None
    assert data.name == "log"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.tsv", LOG.replace(",", "\t").encode()),
        ("log.csv", LOG.replace(",", ";").encode()),
        ("log.csv", LOG.replace("\n", "\r\n").encode()),
        ("log.csv", b"\xef\xbb\xbf" + LOG.encode()),
        ("log.csv.gz", gzip.compress(LOG.encode(), mtime=0)),
        ("log.csv", (LOG + "\n\n").encode()),
        ("log.csv", LOG.replace("user_id", " user_id ").encode()),
        ("log.csv", LOG.rstrip("\n").encode()),
        ("log.csv", LOG.replace("7,b", '"7","b"').encode()),
    ],
)
def test_the_same_log_written_otherwise(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "x").mkdir()
    assert read(file(tmp_path, content, name)).fingerprint == read(file(tmp_path / "x", LOG)).fingerprint


def test_other_encodings_and_no_header(tmp_path: Path) -> None:
    data = read(file(tmp_path, "user,item\n1,é\n".encode("latin-1")), encoding="latin-1")
    assert events(data) == [(1, "é")]
    data = read(file(tmp_path, "user,item\n1,é\n".encode("utf-16")), encoding="utf-16")
    assert events(data) == [(1, "é")]
    data = read(file(tmp_path, '1 "x,3\n'), header=["user", "item"], quote=None, separator=",")
    assert events(data) == [('1 "x', 3)]


def test_columns_are_mapped_or_found(tmp_path: Path) -> None:
    text = "movieId,userId,stars,TIME,device\n5,1,2,9,tv\n"
    data = read(file(tmp_path, text))
    assert events(data) == [(1, 5)]
    assert values(data.value) == [2]
    assert values(data.timestamp) == [9]
    assert data.context is not None
    assert data.context.to_dicts() == [{"device": "tv"}]
    data = read(file(tmp_path, text), item_id="device", rating=None, timestamp=None)
    assert events(data) == [(1, "tv")]
    assert data.value is None
    assert data.timestamp is None
    assert data.context is not None
    assert data.context.columns == ["movieId", "stars", "TIME"]
    assert data.context.dtypes == [pl.Int64, pl.Int64, pl.Int64]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["7", "-3", "0"], [7, -3, 0]),
        (["7", "007"], ["7", "007"]),
        (["7", "7.0"], ["7", "7.0"]),
        (["7", "9223372036854775808"], ["7", "9223372036854775808"]),
        (["7", "+7"], ["7", "+7"]),
        (["7", " 7"], ["7", " 7"]),
        (["-0", "0"], ["-0", "0"]),
        (["NA2", "nulls"], ["NA2", "nulls"]),
    ],
)
def test_ids_of_text_files_are_integers_only_without_loss(tmp_path: Path, ids: list[str], expected: list[Any]) -> None:
    data = read(file(tmp_path, "user,item\n" + "".join(f"{i},x\n" for i in ids)))
    assert data.users.decode(data.user) == expected


def test_ids_of_frames_keep_their_kind() -> None:
    data = read(pl.DataFrame({"user": ["1", "2"], "item": [2, 1]}))
    assert events(data) == [("1", 2), ("2", 1)]
    data = read(pl.DataFrame({"user": [1.0, 2.0], "item": pl.Series(["b", "a"], dtype=pl.Categorical)}))
    assert events(data) == [(1, "b"), (2, "a")]


def test_every_dataframe_that_speaks_arrow(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": [3, 1], "item": ["x", "y"], "rating": [1.0, 2.0]})
    expected = read(frame).fingerprint
    path = tmp_path / "log.parquet"
    frame.write_parquet(path)
    assert read(path).fingerprint == expected
    assert read(frame.lazy()).fingerprint == expected
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    assert read(pyarrow.table(frame.to_dict(as_series=False))).fingerprint == expected
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    assert read(pandas.DataFrame(frame.to_dict(as_series=False))).fingerprint == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("978300719", 978300719),
        ("978300719.9", 978300719),
        ("978300719123", 978300719),
        ("978300719123456", 978300719),
        ("978300719123456789", 978300719),
        ("2000-12-31", 978220800),
        ("2000-12-31 22:11:59", 978300719),
        ("2000-12-31T22:11:59Z", 978300719),
        ("2000-12-31T22:11:59.750+00:00", 978300719),
        ("2001-01-01T00:11:59+02:00", 978300719),
    ],
)
def test_times(tmp_path: Path, text: str, seconds: int) -> None:
    assert values(read(file(tmp_path, f"user,item,time\n1,2,{text}\n")).timestamp) == [seconds]


def test_times_in_several_iso_forms_and_units(tmp_path: Path) -> None:
    text = "user,item,time\n1,2,2000-12-31T22:11:59Z\n1,2,2000-12-31\n1,2,2001-01-01T00:11:59+02:00\n"
    assert values(read(file(tmp_path, text)).timestamp) == [978300719, 978220800, 978300719]
    small = file(tmp_path, "user,item,time\n1,2,5000\n")
    assert values(read(small).timestamp) == [5000]
    assert values(read(small, unit="ms").timestamp) == [5]
    moment = datetime(2000, 12, 31, 22, 11, 59, tzinfo=UTC)
    for column in ([moment], [moment.replace(tzinfo=None)]):
        assert values(read(pl.DataFrame({"user": [1], "item": [1], "time": column})).timestamp) == [978300719]


FINER = ["2000.9", "2000.2", "2000.5", "1999.7"]
"""Seconds, in the order of no clock: 1999.7, 2000.2, 2000.5, 2000.9 are rows 3, 1, 2, 0."""
AS_DATES = [datetime.fromtimestamp(float(second), UTC) for second in FINER]


@pytest.mark.filterwarnings("ignore:.*every event is of 1970")  # as half an hour of it in nanoseconds is
@pytest.mark.parametrize(
    ("times", "unit"),
    [
        (FINER, "auto"),
        ([float(second) for second in FINER], "auto"),
        ([int(float(second) * 1000) for second in FINER], "ms"),
        ([float(second) * 1e9 for second in FINER], "ns"),
        (pl.Series(AS_DATES, dtype=pl.Datetime("us", "UTC")).cast(pl.Datetime("ns", "UTC")), "auto"),
        (AS_DATES, "auto"),
        ([moment.isoformat() for moment in AS_DATES], "auto"),
        ([f"{moment:%Y-%m-%dT%H:%M:%S.%f}+00" for moment in AS_DATES], "auto"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*every event is of 1970:matinee.errors.MatineeWarning")  # so it is
def test_times_finer_than_a_second_tell_the_order(tmp_path: Path, times: Any, unit: Unit) -> None:
    """Seconds alone would leave rows 0, 1 and 2 as they stand, and take row 1 for the last of its pair."""
    frame = pl.DataFrame({"user": [7] * 4, "item": [4, 5, 5, 6], "time": times, "note": ["a", "b", "c", "d"]})
    data = read(frame, unit=unit)
    assert data.items.decode(data.histories().values) == [6, 5, 5, 4]
    assert values(data.timestamp) == [1999, 2000, 2000, 2000]
    assert data.context is not None
    assert data.context["note"].to_list() == ["d", "b", "c", "a"]
    assert read(frame, unit=unit, duplicates="last").context["note"].to_list() == ["d", "c", "a"]  # type: ignore[index]
    with pytest.raises(MatineeError, match=r"row 3: an earlier row has user 7 and item 5 already"):
        read(frame, unit=unit, duplicates="error")


def test_short_floats_are_whole_seconds() -> None:
    """Scaled up within 24 bits they would have fractions that nobody wrote."""
    seconds = np.array([1.60000013e9, 1.6e9, 16_777_215.0], np.float32)
    data = read(pl.DataFrame({"user": [1, 1, 1], "item": [1, 2, 3], "time": seconds}), unit="s")
    assert values(data.timestamp) == [int(second) for second in seconds.tolist()]
    assert data.items.decode(data.item) == [1, 2, 3]


def test_rows_stay_where_seconds_are_all_there_is(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": [1, 1, 1], "item": [1, 2, 3], "time": [9_000, 5_000, 9_000]})
    data = read(frame, unit="ms")
    assert data.items.decode(data.item) == [1, 2, 3]
    assert values(data.timestamp) == [9, 5, 9]


BAD = [
    ("user_id,rating\n1,2\n", "log.csv", r"no column for item_id; it has 'user_id', 'rating'"),
    ("user_id,item_id\n1,2\n,3\n", "log.csv, row 3, column 'user_id'", "id is empty"),
    ('user_id,item_id\n1,2\n3,""\n', "log.csv, row 3, column 'item_id'", "id is empty"),
    ("user_id,item_id,rating\n1,2,3\n1,2,nan\n", "log.csv, row 3, column 'rating'", "not a finite number: 'nan'"),
    ("user_id,item_id,rating\n1,2,3\n1,2,-inf\n", "log.csv, row 3, column 'rating'", "not a finite number: '-inf'"),
    ("user_id,item_id,rating\n1,2,3\n\n1,2,1e39\n", "log.csv, row 4, column 'rating'", "not a finite number: '1e39'"),
    ("user_id,item_id,rating\n1,2,good\n", "log.csv, row 2, column 'rating'", "not a finite number: 'good'"),
    ("user_id,item_id,rating\n1,2,3\n1,2,\n", "log.csv, row 3, column 'rating'", "rating is empty"),
    ("user_id,item_id,time\n1,2,3\n1,3,-1\n", "log.csv, row 3, column 'time'", "'-1' is negative"),
    ("user_id,item_id,time\n1,2,3\n1,3,5\n1,2,soon\n", "log.csv, row 4, column 'time'", "'soon' cannot be"),
    ("user_id,item_id,time\n1,2,2020-02-30\n", "log.csv, row 2, column 'time'", "'2020-02-30' cannot be"),
    ("user_id,item_id,time\n1,2,31/12/2020\n", "log.csv, row 2, column 'time'", "'31/12/2020' cannot be"),
    ("user_id,item_id,time\n1,2,1960-01-01\n", "log.csv, row 2, column 'time'", "'1960-01-01' lies in the year 1960"),
    ("user_id,item_id,time\n1,2,3\n1,2,\n", "log.csv, row 3, column 'time'", "time is empty"),
    ("user_id,item_id,time\n1,2,\n", "log.csv, row 2, column 'time'", "time is empty"),
    ("user_id,item_id,time\n1,2,inf\n", "log.csv, row 2, column 'time'", "'inf' cannot be"),
    ("user_id,item_id,time\n1,2,1e300\n", "log.csv, row 2, column 'time'", "'1e300' cannot be"),
    ("user_id,item_id,time\n1,2,978300719\n1,2,978300719123\n", "log.csv, column 'time'", "mix units (ms and s)"),
    ("user_id,item_id,x\n1,2,3\n1,2,3,4\n", "log.csv, row 3", "4 fields where 3"),
    ("user_id,item_id,x\n1,2,3\n\n1,2\n", "log.csv, row 4", "2 fields where 3"),
    ('user_id,item_id,x\n"a\nb",2,3\n1,2\n', "log.csv, row 4", "2 fields where 3"),
    ('user_id,item_id,x\n1,2,"3\n1,4\n', "log.csv, row 2", "begins with"),
    (b"user_id,item_id\n1,2\n1,\xe9\n", "log.csv, row 3", "byte 0xe9 is not utf-8"),
    (b"user_id,item_\xe9\n1,2\n", "log.csv, row 1", "byte 0xe9 is not utf-8"),
    ("user_id,item_id\n1,é\n".encode("utf-16"), "log.csv, row 1", "byte 0xff is not utf-8"),
    ("", "log.csv", "file is empty"),
    ("\n\n", "log.csv", ""),
    ("user_id,item_id\n", "log.csv", "no events"),
]


@pytest.mark.parametrize(("content", "where", "what"), BAD)
def test_refused_with_file_row_and_column(tmp_path: Path, content: str | bytes, where: str, what: str) -> None:
    with pytest.raises(MatineeError) as caught:
        read(file(tmp_path, content))
    assert caught.value.where is not None
    assert caught.value.where.endswith(where)
    assert what in caught.value.what
    assert caught.value.hint


def test_encoding_is_proposed(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match='encoding="latin-1"'):
        read(file(tmp_path, b"user,item\n1,\xe9\n"))
    with pytest.raises(MatineeError, match='encoding="utf-16"'):
        read(file(tmp_path, "user,item\n1,é\n".encode("utf-16")))


def test_sources_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="no such file"):
        read(tmp_path / "nothing.csv")
    file(tmp_path, "x", "a.txt")
    with pytest.raises(MatineeError, match=r"no known layout; it holds a\.txt"):
        read(tmp_path)
    with pytest.raises(MatineeError, match="not a readable Parquet file"):
        read(file(tmp_path, "x", "log.parquet"))
    with pytest.raises(MatineeError, match="not a whole gzip file"):
        read(file(tmp_path, gzip.compress(LOG.encode() * 9)[:-9], "log.csv.gz"))
    with pytest.raises(MatineeError, match="not a whole gzip file"):
        read(file(tmp_path, LOG, "log.csv.gz"))
    with pytest.raises(MatineeError, match="row 1: 1 is not a row of 2 values"):
        read([1, 2])
    with pytest.raises(MatineeError, match="unknown encoding"):
        read(file(tmp_path, LOG), encoding="klingon")
    with pytest.raises(MatineeError, match="there is no column 'uid'; it has 'user_id'"):
        read(file(tmp_path, LOG), user_id="uid")
    with pytest.raises(MatineeError, match="there is no column 'score'"):
        read(file(tmp_path, LOG), rating="score")


@pytest.mark.parametrize(
    ("columns", "where"),
    [
        ({"user": [1, None], "item": [1, 2]}, "the dataframe, row 2, column 'user'"),
        ({"user": [1.0, 1.5], "item": [1, 2]}, "the dataframe, row 2, column 'user'"),
        ({"user": [1, 2**64 - 1], "item": [1, 2]}, "the dataframe, row 2, column 'user'"),
        ({"user": [True, False], "item": [1, 2]}, "the dataframe, column 'user'"),
        ({"user": [[1], [2]], "item": [1, 2]}, "the dataframe, column 'user'"),
        ({"user": [1, 2], "item": [1, 2], "rating": [1.0, float("nan")]}, "the dataframe, row 2, column 'rating'"),
        ({"user": [1, 2], "item": [1, 2], "rating": [[1.0], [2.0]]}, "the dataframe, row 1, column 'rating'"),
        ({"user": [1, 2], "item": [1, 2], "time": [3, -4]}, "the dataframe, row 2, column 'time'"),
        ({"user": [1, 2], "item": [1, 2], "time": [3.0, float("nan")]}, "the dataframe, row 2, column 'time'"),
        ({"user": [1, 2], "item": [1, 2], "time": [True, False]}, "the dataframe, row 1, column 'time'"),
        ({"user": [], "item": []}, "the dataframe"),
    ],
)
def test_frames_are_refused_alike(columns: dict[str, list[Any]], where: str) -> None:
    with pytest.raises(MatineeError) as caught:
        read(pl.DataFrame(columns, strict=False))
    assert caught.value.where == where


def test_side_tables_are_aligned_to_codes(tmp_path: Path) -> None:
    log = file(tmp_path, "user,item,time\n2,20,1\n1,5,2\n")
    items = file(tmp_path, "item,title,genres,length\n30,Heat (1995),Crime|Drama,170\n5,Nameless,,90\n", "items.csv")
    users = pl.DataFrame({"user": [2, 9], "zip": ["0123", None]})
    data = read(log, items=items, users=users)
    assert data.items.ids.tolist() == [5, 20, 30], "an item of the table alone is an item"
    assert data.users.ids.tolist() == [1, 2, 9]
    assert data.item_features is not None
    assert data.item_features.to_dict(as_series=False) == {
        "title": ["Nameless", None, "Heat (1995)"],
        "year": [None, None, 1995],
        "genres": [None, None, ["Crime", "Drama"]],
        "length": [90, None, 170],
    }
    assert data.user_features is not None
    assert data.user_features["zip"].to_list() == [None, "0123", None]


def test_ids_of_two_tables_agree_on_a_kind(tmp_path: Path) -> None:
    items = file(tmp_path, "item,title\n1,A\nx2,B\n", "items.csv")
    data = read(file(tmp_path, "user,item\n1,1\n"), items=items)
    assert data.items.ids.tolist() == ["1", "x2"]
    assert read(pl.DataFrame({"user": [1], "item": ["1"]}), items=items).items.ids.tolist() == ["1", "x2"]
    with pytest.raises(MatineeError, match="integer in one table and text in another"):
        read(pl.DataFrame({"user": [1], "item": [1]}), items=items)
    with pytest.raises(MatineeError, match=r"items.csv, row 3, column 'item': a second row describes"):
        read(file(tmp_path, "user,item\n1,1\n"), items=file(tmp_path, "item,title\n1,A\n1,B\n", "items.csv"))


HOW: tuple[Duplicates, ...] = ("keep", "distinct", "last", "first", "sum")


def test_duplicates(tmp_path: Path) -> None:
    text = "user,item,rating,time\n1,5,1,30\n2,5,4,1\n1,5,2,10\n1,6,9,1\n1,5,3,20\n"
    path = file(tmp_path, text)
    with pytest.warns(MatineeWarning, match="adds up ratings from 1 to 9"):
        kept = {how: read(path, duplicates=how) for how in HOW}
    assert values(kept["keep"].value) == [1, 4, 2, 9, 3]
    assert values(kept["distinct"].value) == [1, 4, 2, 9, 3], "no two in one second"
    assert values(kept["last"].value) == [1, 4, 9], "the last in time, in the log's order"
    assert values(kept["first"].value) == [4, 2, 9]
    assert values(kept["sum"].value) == [6, 4, 9]
    assert values(kept["sum"].timestamp) == [30, 1, 1]
    assert values(read(path, timestamp=None, duplicates="last").value) == [4, 9, 3]
    counts = read(path, rating=None, duplicates="sum")
    assert values(counts.value) == [3, 1, 1]
    with pytest.raises(MatineeError, match=r"log.csv, row 4: an earlier row has user 1 and item 5 already"):
        read(path, duplicates="error")
    clicks = "user,item,time\n1,5,30\n1,6,30\n1,5,30\n1,5,31\n2,5,30\n"
    distinct = read(file(tmp_path, clicks), duplicates="distinct")
    assert events(distinct) == [(1, 5), (1, 6), (1, 5), (2, 5)]
    assert values(distinct.timestamp) == [30, 30, 31, 30]
    with pytest.raises(MatineeError, match="an event recorded twice looks like a repeat"):
        read(path, timestamp=None, duplicates="distinct")
    with pytest.raises(MatineeError, match="unknown duplicates"):
        read(path, duplicates="all")  # type: ignore[arg-type]


def test_sequences(tmp_path: Path) -> None:
    data = read(file(tmp_path, "7 b a b\n\n3\tc\r\n", "s.txt"), format="sequences")
    assert events(data) == [(7, "b"), (7, "a"), (7, "b"), (3, "c")]
    assert [data.items.decode(data.histories()[row]) for row in (0, 1)] == [["c"], ["b", "a", "b"]]
    assert data.timestamp is None
    with pytest.raises(MatineeError, match=r"s.txt, row 3: user '7' already has a line, row 1"):
        read(file(tmp_path, "7 1\n8 1\n7 2\n", "s.txt"), format="sequences")
    with pytest.raises(MatineeError, match=r"s.txt, row 2: user '8' has no items"):
        read(file(tmp_path, "7 1\n8\n", "s.txt"), format="sequences")
    with pytest.raises(MatineeError, match="no events"):
        read(file(tmp_path, "\n", "s.txt"), format="sequences")
    with pytest.raises(MatineeError, match="unknown format"):
        read(file(tmp_path, "1 2\n", "s.txt"), format="lists")
    with pytest.raises(MatineeError, match=r"(?s)unknown unit 'm'.*did you mean ms"):
        read(file(tmp_path, "user,item\n1,2\n"), unit="m")  # type: ignore[arg-type]


def test_sessions(tmp_path: Path) -> None:
    data = read(file(tmp_path, "5 5\n\n2\n", "s.txt"), format="sessions")
    assert events(data) == [(1, 5), (1, 5), (2, 2)]


def test_real_sequences_and_sessions() -> None:
    beauty = read(real("beauty/Beauty.txt"), format="sequences")
    assert (beauty.n_users, beauty.n_items, len(beauty)) == (22_363, 12_101, 198_502)
    sessions = read(real("diginetica/train_sessions.txt"), format="sessions")
    assert sessions.n_users == 186_670
    assert len(sessions) - sessions.n_users == 719_470, "training examples of the literature: each prefix of a session"


# any id: quotes, separators, line ends, spaces, other scripts; csv cannot hold lone surrogates or (for polars) NUL
ids = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8),
    st.sampled_from(["007", "1e5", "nan", "NULL", '"', ",", "\r\n", " ", "\t", "-0", "1_0", "\ufeffx", "é"]),
)
rows = st.lists(
    st.tuples(ids, ids, st.floats(-100, 100, width=32), st.integers(0, 4_102_444_799)), min_size=1, max_size=12
)


@settings(max_examples=150)
@given(rows)
def test_round_trip_of_any_ids(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]]) -> None:
    folder = tmp_path_factory.mktemp("trip")
    names = ["user_id", "item_id", "rating", "timestamp"]
    text = pl.DataFrame(
        {name: [str(row[i]) if i < 2 else row[i] for row in rows] for i, name in enumerate(names)},
        schema={"user_id": pl.String, "item_id": pl.String, "rating": pl.Float32, "timestamp": pl.Int64},
    )
    text.write_parquet(folder / "log.parquet")
    text.write_csv(folder / "log.csv", quote_style="non_numeric")
    # small numbers may look like years or dates, so the unit is said
    from_parquet = read(folder / "log.parquet", ids="text", unit="s")
    if any(sign in str(row[i]) for row in rows for i in (0, 1) for sign in "\r\n"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(MatineeError, match="goes over a line end"):
                read(folder / "log.csv", ids="text", quote='"', unit="s")
        return
    from_csv = read(folder / "log.csv", ids="text", unit="s")
    assert events(from_parquet) == [(str(row[0]), str(row[1])) for row in rows]
    assert [(str(u), str(i)) for u, i in events(from_csv)] == events(from_parquet), "nothing is lost, integer or not"
    for data in (from_csv, from_parquet):
        assert values(data.value) == text["rating"].to_list()
        assert values(data.timestamp) == text["timestamp"].to_list()
        assert data.users.ids.tolist() == sorted(set(data.users.ids.tolist()))


@settings(max_examples=60)
@given(st.integers(0, 11), st.sampled_from(["nan", "", "x", "inf"]), st.booleans())
def test_the_bad_row_is_named(tmp_path_factory: pytest.TempPathFactory, row: int, bad: str, multiline: bool) -> None:
    """Also where a text of an earlier row holds a line end: the line of the file is named, not the row's number."""
    note = '"a\nb"' if multiline else "a"
    lines = [f"{n},5,{bad if n == row else 3},{note}" for n in range(12)]
    path = tmp_path_factory.mktemp("bad") / "log.csv"
    path.write_text("user,item,rating,note\n" + "\n".join(lines) + "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(MatineeError) as caught:
            read(path)
    line = 2 + row * (2 if multiline else 1)
    assert caught.value.where == f"log.csv, row {line}, column 'rating'"


noise = st.lists(
    st.sampled_from(
        [b"1", b"7", b"a", b",", b",", b"\t", b"\n", b"\n", b"\r\n", b'"', b"\xe9", b"\xc3\xa9", b"-", b" ", b"\x00"]
    ),
    max_size=40,
).map(b"".join)
headers = st.sampled_from(
    [b"", b"user,item\n", b"user,item,rating\n", b"user,item,time,x\n", b"user\titem\trating\n", b'"']
)


@settings(max_examples=400)
@given(headers, st.one_of(noise, st.binary(max_size=60)), st.sampled_from(["log.csv", "log.csv.gz", "log.parquet"]))
def test_noise_is_read_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, header: bytes, body: bytes, name: str
) -> None:
    content = header + body
    path = file(tmp_path_factory.mktemp("noise"), gzip.compress(content) if name.endswith("gz") else content, name)
    for options in (
        {},
        {"quote": None},
        {"encoding": "latin-1"},
        {"header": ["user", "item"]},
        {"format": "sequences"},
    ):
        places: list[str | None] = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MatineeWarning)
                data = read(path, **options)
        except MatineeError as error:
            places.append(error.where)
        else:
            places.append(data.name if len(data) else None)
        assert places[0], "either events, or a place in the file"


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.text("1a: ", max_size=3), min_size=3, max_size=3) | st.lists(st.text("1:", max_size=2), max_size=4),
        min_size=1,
        max_size=5,
    ),
    end=st.sampled_from(("\n", "\r\n")),
)
def test_a_sign_written_twice_is_read_at_the_single_sign(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], end: str
) -> None:
    """The slow reference is the file with its separator rewritten, which is what is left for any other file."""
    path = file(tmp_path_factory.mktemp("twice"), end.join("::".join(row) for row in rows) + end)
    dialect = Dialect("::", header=["user", "item", "rating"])
    with pytest.MonkeyPatch.context() as patch:
        found = table_or_error(path, dialect)
        patch.setattr(tables, "_twice_separated", lambda *_: None)
        assert found == table_or_error(path, dialect)


def table_or_error(path: Path, dialect: Dialect) -> list[tuple[Any, ...]] | str:
    try:
        return tables.text_table(path, dialect).frame.rows()
    except MatineeError as error:
        return str(error)


def test_a_sign_written_twice_is_not_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, "7::b::4.5\n8::::3\n")
    monkeypatch.setattr(tables, "quoting", None)  # it would be called on what was rewritten
    found = tables.text_table(path, Dialect("::", header=["user", "item", "rating"]), {"rating": pl.Float64})
    assert found.frame.rows() == [("7", "b", 4.5), ("8", None, 3.0)]


@pytest.mark.parametrize("skip", [False, True])
def test_a_separator_of_two_signs_within_quotation_marks(tmp_path: Path, skip: bool) -> None:
    broken = '"7::b\n' if skip else ""
    log = '"us::er"::"item"\n"::1"::"a::"\n' + broken + '"2"::"b"\n'
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        found = tables.text_table(file(tmp_path, log), Dialect("::", skip=skip)).frame
    assert found.columns == ["us::er", "item"]
    assert found.rows() == [("::1", "a::"), ("2", "b")]
