"""What `sniff` says of files, and that the [data] table it prints reads each as it should be read."""

from __future__ import annotations

import bz2
import gzip
import json
import time
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import matinee as mt
from matinee.data.dataset import Dataset
from matinee.data.read.sniff import sniff
from matinee.errors import MatineeError
from matinee.study.data_table import DataTable

pytestmark = pytest.mark.filterwarnings("ignore::matinee.errors.MatineeWarning")
EVENTS = [("u1", "a", 4.0, 1_396_828_800), ("u2", "b", 3.5, 1_396_915_200), ("u1", "b", 5.0, 1_397_001_600)]
TIMED = "user_id,item_id,rating,timestamp\n" + "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in EVENTS)


def by_table(path: Path, **options: Any) -> Dataset:
    """The log as the pasted [data] table reads it."""
    return DataTable(**tomllib.loads(sniff(path, **options).toml)["data"]).load()


@dataclass(frozen=True)
class Written:
    """A file, what `read` has to be told for it, and the options that `sniff` finds."""

    name: str
    data: bytes | str
    told: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    time: str | None = None
    encoding: str = "utf-8"


def rows(sign: str, head: str, time_of: Callable[[datetime], str], quote: str = "") -> str:
    """The events, with another sign and other times."""
    text = f"{head}\n" if head else ""
    for user, item, rating, second in EVENTS:
        cells = (user, item, f"{rating:g}", time_of(datetime.fromtimestamp(second, UTC)))
        text += sign.join(f"{quote}{cell}{quote}" for cell in cells) + "\n"
    return text


def second(moment: datetime) -> str:
    return str(int(moment.timestamp()))


NETFLIX = {"format": "netflix_prize"}
NAMED = {"user_id": "customer", "item_id": "product", "rating": "score", "timestamp": "created"}
US, GERMAN = "%m/%d/%Y %H:%M", "%d.%m.%Y"
FILES = [
    Written("plain.csv", TIMED, time="s"),
    Written("semicolons.csv", rows(";", "userId;itemId;rating;time", second), time="s"),
    Written("quoted.csv", rows(",", '"user","item","stars","datetime"', second, '"'), time="s"),
    Written("bare.tsv", rows("\t", "", second), {"header": False}, {"header": False}, "s"),
    Written("colons.dat", rows("::", "user::item::rating::time", second), time="s"),
    Written("pipes.txt", rows("|", "user|item|rating|time", lambda m: m.strftime("%Y/%m/%d")), time="dates"),
    Written("named.csv", rows(",", "customer,product,score,created", second), NAMED, NAMED, "s"),
    Written("millis.csv", rows(",", "user,item,rating,time", lambda m: f"{int(m.timestamp())}000"), time="ms"),
    Written(
        "us.csv",
        rows(",", "user,item,rating,time", lambda m: m.replace(day=m.day + 10).strftime(US)),
        {"time_format": US},
        {"time_format": US},
        US,
    ),
    Written(
        "german.csv",
        rows(";", "user;item;rating;time", lambda m: m.replace(day=m.day + 10).strftime(GERMAN)).replace(
            "3.5;", "3,5;"
        ),
        {"decimal": ",", "time_format": GERMAN},
        {"decimal": ",", "time_format": GERMAN},
        GERMAN,
    ),
    Written("compact.csv", rows(",", "user,item,rating,time", lambda m: m.strftime("%Y%m%d")), time="dates"),
    Written(
        "latin.csv",
        "user_id,item_id\nJosé,Café\nJosé,Bar\nAnna,Café\n".encode("latin-1"),
        {"encoding": "latin-1"},
        {"encoding": "latin-1"},
        encoding="latin-1",
    ),
    Written("wide.csv", TIMED.encode("utf-16"), {"encoding": "utf-16"}, {"encoding": "utf-16"}, "s", "utf-16"),
    Written("bom.csv", b"\xef\xbb\xbf" + TIMED.encode(), time="s"),
    Written("crlf.csv", TIMED.replace("\n", "\r\n"), time="s"),
    Written("comments.csv", "# made on Monday\n" + TIMED, {"comment": "#"}, {"comment": "#"}, "s"),
    Written("log.csv.gz", gzip.compress(TIMED.encode(), mtime=0), time="s"),
    Written("log.csv.bz2", bz2.compress(TIMED.encode()), time="s"),
    Written(
        "pairs.txt",
        "1 10\n1 11\n2 10\n3 12\n",
        {"separator": " ", "header": False},
        {"separator": " ", "header": False},
    ),
    Written(
        "histories.txt",
        "1 10 11 12\n2 10\n3 12 14 15 16\n4 11 12\n",
        {"format": "sequences"},
        {"format": "sequences"},
    ),
    Written("sessions.txt", "10 11 12\n11 10\n12 14 15 16\n10 12\n", {"format": "sessions"}, {"format": "sessions"}),
    Written("swallows.tsv", 'user_id\titem_id\ttag\n1\ta\t"big one\n2\tb\tx\n3\tc\ty"\n4\td\tz\n'),
    Written("plays.csv", "user,item,plays\nu1,a,3\nu1,b,1\nu2,a,9\n"),
    Written("holes.csv", "user,item\nu1,a\n,b\nu2,a\n", {"bad_rows": "skip"}, {"bad_rows": "skip"}),
    Written("lines.jsonl", '{"user_id": "u1", "item_id": "007"}\n{"user_id": "u2", "item_id": "008"}\n'),
    Written("list.json", '[{"user_id": "u1", "item_id": "007"}, {"user_id": "u2", "item_id": "008"}]'),
    Written("blocks.txt", "1:\n70011,3,2005-09-06\n70012,5,2005-05-13\n", NETFLIX, NETFLIX),
]


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_the_table_reads_the_file_as_it_should_be_read(case: Written, tmp_path: Path) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.data.encode() if isinstance(case.data, str) else case.data)
    found = sniff(path)
    assert (found.kind, found.problem, found.time, found.encoding) == ("log", None, case.time, case.encoding)
    assert {"source": path.as_posix(), **case.options} == {
        **{name: value for name, value in found.table.items() if name != "columns"},
        **found.table.get("columns", {}),
    }
    right = mt.read(path, **case.told)
    assert by_table(path).fingerprint == right.fingerprint
    assert len(by_table(path)) == len(right) >= 2
    assert found.read == "all of it"
    assert found.first_rows == tuple(right.to_frame().head(5).to_dicts())
    if right.timestamp is not None:
        ends = right.timestamp.min(), right.timestamp.max()
        assert (found.first, found.last) == tuple(datetime.fromtimestamp(int(end), UTC) for end in ends)


def test_names_of_paths_are_toml(tmp_path: Path) -> None:
    path = tmp_path / 'a "b" [c].csv'
    path.write_text(TIMED)
    assert by_table(path).fingerprint == mt.read(path).fingerprint


def test_parquet_says_how_many_rows_it_has(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    n = 120_000
    pl.DataFrame({"user": pl.int_range(n, eager=True) % 99, "item": pl.int_range(n, eager=True) % 7,
                  "time": pl.int_range(n, eager=True) + 1_000_000_000}).write_parquet(path)  # fmt: skip
    found = sniff(path)
    assert (found.rows, found.rows_exact) == (n, True)
    assert found.read == "the first 100,000 rows and the last 10,000"
    assert (found.first, found.last) == (_moment(1_000_000_000), _moment(1_000_000_000 + n - 1))
    assert by_table(path).fingerprint == mt.read(path).fingerprint


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def large(n: int) -> str:
    lines = (f"{user},{user * 7 % 977},{1_000_000_000 + user}" for user in range(1_000_000, 1_000_000 + n))
    return "viewer_id,film_id,seen_time\n" + "\n".join(lines) + "\n"


def test_of_a_large_file_the_beginning_and_the_end_are_read(tmp_path: Path) -> None:
    path, n = tmp_path / "log.csv", 300_000
    path.write_text(large(n))
    start = time.process_time()
    found = sniff(path)
    assert time.process_time() - start < 3.0  # 0.2 s alone, on threads of two cores
    assert found.read == "the first 4 MB and the last 1 MB"
    assert (found.first, found.last) == (_moment(1_001_000_000), _moment(1_001_000_000 + n - 1))
    assert not found.rows_exact
    assert found.rows == pytest.approx(n, rel=0.01)
    assert found.table["columns"] == {"user_id": "viewer_id", "item_id": "film_id", "timestamp": "seen_time"}


@pytest.mark.parametrize("end", ["gz", "zip", "zst"])
def test_of_a_compressed_file_only_the_beginning_is_read(tmp_path: Path, end: str) -> None:
    path, n = tmp_path / f"log.csv.{end}", 300_000
    if end == "gz":
        path.write_bytes(gzip.compress(large(n).encode(), 1))
    elif end == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("log.csv", large(n))
    else:
        pl.read_csv(large(n).encode()).write_csv(path, compression="zstd")
    found = sniff(path)
    assert (found.read, found.compression, found.first) == ("the first 4 MB", end, _moment(1_001_000_000))
    assert found.last is not None
    assert found.last < _moment(1_001_000_000 + n - 1)
    assert found.rows == (None if end == "zst" else pytest.approx(n, rel=0.1))
    assert by_table(path).fingerprint == mt.read(path, **found.table["columns"]).fingerprint


def test_a_bad_row_behind_what_is_read_twice_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    lines = large(150_000).splitlines()
    lines[100_000] = "1,2"
    path.write_text("\n".join(lines) + "\n")
    found = sniff(path)
    assert found.options is not None
    assert found.options["bad_rows"] == "skip"
    assert any("row 100001: has 2 fields where 3 are expected" in doubt for doubt in found.doubts)


DOUBTS = {
    "user,uid,item\n1,2,3\n4,5,6\n": "'user' and 'uid' may both be the user_id",
    "user_id,item_id,2014\n1,2,3\n4,5,6\n": "the first row is taken for names, though some of them look like values",
    "user_id,item_id,event_type\n1,2,view\n4,5,buy\n": "'event_type' looks like kinds of events",
    "user_id,item_id,plays\n1,2,7\n4,5,9\n": "'plays' looks like weights, and every event counts alike",
    "user_id,item_id,date\n1,2,03/04/2014\n4,5,05/06/2014\n": "may be month first or day first",
    "user_id,item_id,rating\n1,2,0\n4,5,-3\n1,5,2\n": "2 ratings of 3 in 'rating' are 0 or below",
    "user_id,item_id\n1,007\n4,012\n": "ids in 'item_id' begin with zeros, so they stay text",
    "user_id,item_id\nann,NA\nbob,b\n": "ids in 'item_id' are words for missing values, such as 'NA'",
    "1 2\n1 3\n2 2\n": "each line is taken for a user and an item; if lines are sessions of two",
    "alpha,beta\nx,y\nz,w\n": "no column is named like the user_id: 'alpha' is taken",
    "user_id,item_id,timestamp\n1,2,1\n1,3,2\n": "an order rather than moments",
    "user_id,item_id,time\n1,2,soon\n1,3,later\n": "'time' is named like times, and cannot be read as such",
    "user_id,item_id,year\n1,2,3\n": None,
}


@pytest.mark.parametrize("text", DOUBTS)
def test_what_may_be_otherwise_is_a_doubt(text: str, tmp_path: Path) -> None:
    path, wanted = tmp_path / "log.csv", DOUBTS[text]
    path.write_text(text)
    found = sniff(path)
    assert found.kind == "log"
    assert [doubt for doubt in found.doubts if wanted is None or wanted in doubt][:1] != [] or wanted is None
    assert (found.doubts == ()) == (wanted is None)
    assert len(by_table(path)) >= 1


def test_american_and_european_dates_are_told_apart_by_their_days(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for dates, expected in ((("3/4/2014", "3/14/2014"), "%m/%d/%Y"), (("3/4/2014", "14/3/2014"), "%d/%m/%Y")):
        path.write_text("user,item,date\n" + "".join(f"{n},{n},{date}\n" for n, date in enumerate(dates)))
        assert sniff(path).time == expected


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("blank.csv", b" \n\n", "the file is empty"),
        ("noise.bin", bytes(range(256)) * 9, "is a binary file"),
        ("model.pkl", b"\x80\x04\x95abc", "is a pickle"),
        ("base.db", b"SQLite format 3\0abc", "is a database of SQLite"),
        ("sheet.xlsx", b"PK\x03\x04abc", "is a workbook"),
        ("cut.csv.gz", gzip.compress(TIMED.encode(), mtime=0)[:-12], "is not a whole gzip file"),
        ("bad.parquet", b"PAR1abcd", "is not a readable Parquet file"),
        ("deep.json", b'{"a": {\n"b": 1}}', "is one JSON object"),
        ("lines.txt", b'{"user_id": 1, "item_id": 2}\n{"user_id": 2, "item_id": 2}\n', "the name ends in .jsonl"),
        ("header.csv", b"user_id,item_id\n", "there is only one row"),
        ("prose.txt", b"Once upon a time.\nThere was a file, and more.\n", "has 2 fields where 1 are expected"),
    ],
)
def test_what_is_no_log_is_said_without_an_error(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    found = sniff(tmp_path / name)
    assert (found.kind, found.n_bytes, found.toml) == ("other", len(data), "")
    assert words in (found.problem or "")


def test_a_zip_of_several_files_names_them(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.csv", TIMED)
        archive.writestr("b.csv", TIMED)
    assert "the archive holds 2 files, not one: a.csv, b.csv" in (sniff(tmp_path / "set.zip").problem or "")


def test_tables_of_items_and_users_have_their_line(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(TIMED)
    (tmp_path / "items.csv").write_text("item_id;Titel;genres\na;Café;X\nb;Bar;Y\n", "latin-1")
    (tmp_path / "users.csv").write_text("user_id,age\nu1,4\nu2,5\n")
    items, users = sniff(tmp_path / "items.csv"), sniff(tmp_path / "users.csv")
    assert (items.kind, users.kind) == ("items", "users")
    table = tomllib.loads("\n".join((sniff(tmp_path / "log.csv").toml, items.toml, users.toml)))["data"]
    assert table["items"] == {"path": (tmp_path / "items.csv").as_posix(), "encoding": "latin-1"}
    log = DataTable(**table).load()
    assert log.item_features is not None
    assert log.item_features["Titel"].to_list() == ["Café", "Bar"]
    assert log.user_features is not None


def test_a_folder_has_a_line_a_file_and_its_format(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,3.5,964982703\n1,3,4.0,964981247\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n2,Heat (1995),Action\n3,Up (2009),Comedy\n")
    (tmp_path / "more").mkdir()
    found = sniff(tmp_path)
    assert (found.kind, found.format) == ("folder", "movielens")
    kinds = {Path(each.path).name: each.kind for each in found.files}
    assert kinds == {"ratings.csv": "log", "movies.csv": "items", "more": "folder"}
    assert by_table(tmp_path).fingerprint == mt.read(tmp_path).fingerprint
    (tmp_path / "movies.csv").unlink()
    (tmp_path / "ratings.csv").unlink()
    assert "no known layout" in (sniff(tmp_path).problem or "")
    assert sniff(tmp_path).toml == ""


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="there is no such file"):
        sniff(tmp_path / "log.csv")


def test_all_of_it_is_plain_values(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(TIMED)
    found = sniff(tmp_path / "log.csv").to_dict()
    assert found["table"] == {"source": (tmp_path / "log.csv").as_posix()}
    assert found["columns"] == {name: name for name in ("user_id", "item_id", "rating", "timestamp")}
    assert found["rows"] == 3
    assert found["rows_exact"] is True


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("user,item\nz,w\n\nx,,\n", "row 4: has 3 fields where 2 are expected"),
        ('"user","item"\n"1","2"\n\n"2","4#', 'row 4: a field begins with "'),
    ],
)
def test_blank_lines_do_not_move_the_row_of_an_error(tmp_path: Path, text: str, where: str) -> None:
    """Found by mutating files: the first was read with an empty event, the other ended in a StopIteration."""
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(MatineeError, match=where):
        mt.read(tmp_path / "log.csv")
    found = sniff(tmp_path / "log.csv")
    assert any(where in text for text in (*found.doubts, found.problem or ""))


def test_ids_that_pandas_merged_come_before_words_that_only_describe(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("id_x,track.artists,playlist_id\na,X,p\nb,X,q\n")
    found = sniff(tmp_path / "log.csv")
    assert found.table["columns"] == {"user_id": "playlist_id", "item_id": "id_x"}


def test_a_document_of_playlists_is_told_by_its_beginning(tmp_path: Path) -> None:
    song = {"track_uri": "t:a", "track_name": "A"}
    (tmp_path / "mpd.json").write_text(json.dumps({"playlists": [{"pid": 0, "tracks": [song] * 50_000}]}, indent=1))
    found = sniff(tmp_path / "mpd.json")
    assert (found.kind, found.format) == ("log", "million_playlist")
    assert len(DataTable(**found.table).load()) == 50_000


def test_options_that_are_said_are_in_the_table(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("kind;wer;was;zahl;am\nx;é;a;3;05.04.2014\nx;é;b;4;06.04.2014\nx;f;a;1;07.04.2014\n", "latin-1")
    said: dict[str, Any] = {
        "user_id": "wer",
        "item_id": "was",
        "rating": "zahl",
        "timestamp": "am",
        "time_format": "%m.%d.%Y",
    }
    found = sniff(path, **said)
    assert (found.kind, found.problem) == ("log", None)
    assert found.options == {**said, "encoding": "latin-1"}
    assert found.first == datetime(2014, 5, 4, tzinfo=UTC), "the format that was said, not the first that fits"
    assert by_table(path, **said).fingerprint == mt.read(path, encoding="latin-1", **said).fingerprint
    assert sniff(path, user_id="wer").table["columns"]["user_id"] == "wer"
    swapped = sniff(path, user_id="was", item_id="wer", rating=None)
    assert swapped.table["columns"] == {"user_id": "was", "item_id": "wer", "rating": "none", "timestamp": "am"}


def test_positions_encodings_and_signs_that_are_said(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes("1700000000~ä~b\n1700000600~ä~c\n".encode("cp437"))
    found = sniff(path, separator="~", encoding="cp437", header=False, user_id=2, item_id=3, timestamp=1)
    assert found.table == {
        "source": path.as_posix(), "columns": {"user_id": 2, "item_id": 3, "timestamp": 1},
        "separator": "~", "encoding": "cp437", "header": False,
    }  # fmt: skip
    assert [row["user_id"] for row in found.first_rows] == ["ä", "ä"]


def test_wrong_options_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(TIMED)
    with pytest.raises(MatineeError, match="there is no option 'seperator'\n  hint: did you mean separator"):
        sniff(path, seperator=";")
    with pytest.raises(MatineeError, match="is a folder, and user_id is about a file"):
        sniff(tmp_path, user_id="x")
    assert "there is no column 'usr'" in (sniff(path, user_id="usr").problem or "")


def test_weights_and_kinds_are_comments_until_somebody_wants_them(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,plays,event\nu1,a,3,view\nu1,b,1,add to cart\nu2,a,9,dislike\n")
    found = sniff(path)
    assert found.table == {"source": path.as_posix()}
    assert len(by_table(path)) == 3
    assert by_table(path).weight is None
    lines = [line.removeprefix("# ") for line in found.toml.splitlines()]
    table = DataTable(**tomllib.loads("\n".join(lines))["data"])
    data = table.load()
    assert table.columns == {"weight": "plays"}
    assert data.dislikes is not None
    assert (len(data), len(data.dislikes)) == (2, 1)
    assert data.weight is not None
    assert data.weight.tolist() == [3, 1]


def test_files_of_a_small_folder_are_counted_and_sorted(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text(large(20_000))
    (tmp_path / "a.csv").write_text(TIMED)
    (tmp_path / "c.txt").write_text("item_id\ttitle\n1\tx\n2\ty\n")
    found = sniff(tmp_path).files
    assert [Path(each.path).name for each in found] == ["a.csv", "b.csv", "c.txt"]
    assert [(each.rows, each.rows_exact) for each in found] == [(3, True), (20_000, True), (2, True)]
