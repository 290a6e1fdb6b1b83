"""Every format by its name and by recognition, as a folder and as a file: counts, ids, ratings, times and tables."""

from __future__ import annotations

import contextlib
import gzip
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from data.samples import real, write
from matinee.cli.options import LogOptions
from matinee.data.dataset import Dataset
from matinee.data.read.format_names import KNOWN
from matinee.data.read.formats import FORMATS, candidates, formats, recognised
from matinee.data.read.log import read
from matinee.errors import MatineeError, MatineeWarning
from matinee.study.data_table import DataTable

from .made import ALL, BEHAVIORS, BOOKS, BROKEN, CASES, Files, Made, Row, lines


@contextlib.contextmanager
def warned(words: str | None) -> Iterator[None]:
    """Each warning holds one of the words, and each of the words is warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    texts = [str(warning.message) for warning in caught]
    assert all(warning.category is MatineeWarning for warning in caught)
    assert len(texts) == len(words.split("|")) if words else not texts, texts
    for word in words.split("|") if words else ():
        assert any(word in text for text in texts), (word, texts)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Warnings are for the test that asks for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)
        yield


def rows(data: Dataset) -> list[Row]:
    nothing = [None] * len(data)
    rating = nothing if data.value is None else data.value.tolist()
    time = nothing if data.timestamp is None else data.timestamp.tolist()
    return list(zip(data.users.decode(data.user), data.items.decode(data.item), rating, time, strict=True))


def close(found: list[Row], expected: list[Row]) -> None:
    """Ratings are float32."""
    assert found == [(u, i, None if r is None else float(np.float32(r)), t) for u, i, r, t in expected]


def columns(frame: pl.DataFrame | None, expected: dict[str, list[Any]] | None) -> None:
    for name, values in (expected or {}).items():
        assert frame is not None
        assert frame[name].to_list() == values, name


def case(name: str, number: int) -> Made:
    return CASES[name][number]


def test_each_format_has_a_case() -> None:
    assert set(CASES) == set(FORMATS)
    assert set(KNOWN) == set(FORMATS)
    assert [entry.name for entry in formats()] == list(FORMATS)
    assert mt.formats() == formats()


@pytest.mark.parametrize(("name", "number"), ALL)
def test_a_folder_by_name(tmp_path: Path, name: str, number: int) -> None:
    made = case(name, number)
    folder = made.folder(tmp_path / "set")
    source = folder if FORMATS[name].logs(folder) else folder / made.log
    with warned(made.warns):
        data = read(source, format=name)
    close(rows(data), list(made.rows))
    columns(data.context, made.context)
    columns(data.item_features, made.items)
    columns(data.user_features, made.users)
    assert (None if data.weight is None else data.weight.tolist()) == made.weights
    no = data.dislikes
    pairs = [] if no is None else list(zip(data.users.decode(no.user), data.items.decode(no.item), strict=True))
    assert pairs == list(made.dislikes)
    if made.titles is not None:
        assert data.item_features is not None
        found = dict(zip(data.items.ids.tolist(), data.item_features["title"].to_list(), strict=True))
        assert {item: found[item] for item in made.titles} == made.titles


@pytest.mark.parametrize(("name", "number"), ALL)
def test_recognised(tmp_path: Path, name: str, number: int) -> None:
    """The folder and the file. What is not told by content is named, and reading it by name gives the same."""
    made = case(name, number)
    folder = made.folder(tmp_path / "set")
    path = folder / made.log
    if made.known:
        assert [entry.name for entry in candidates(path)] == [name]
    if FORMATS[name].logs(folder):
        assert [entry.name for entry in candidates(folder)] == [name]
    with silent():
        if made.known:
            assert read(path, format="auto").fingerprint == read(path, format=name).fingerprint
        if FORMATS[name].logs(folder):
            data, named = read(folder, format="auto"), read(folder, format=name)
            assert (data.fingerprint, data.side_fingerprint) == (named.fingerprint, named.side_fingerprint)


@pytest.mark.parametrize(("name", "number"), ALL)
def test_three_ways_to_read_a_format_are_one(tmp_path: Path, name: str, number: int) -> None:
    """Python, a recipe and the command line, and so for folders."""
    made = case(name, number)
    folder = made.folder(tmp_path / "set")
    for source in (folder, folder / made.log) if FORMATS[name].logs(folder) else (folder / made.log,):
        with silent():
            data = read(source, format=name)
            recipe = DataTable(source=str(source), format=name).load()
            command = LogOptions(format=name).load(str(source))
        assert data.fingerprint == recipe.fingerprint == command.fingerprint
        assert data.side_fingerprint == recipe.side_fingerprint == command.side_fingerprint


@pytest.mark.parametrize("name", ["book_crossing", "goodreads", "goodreads_csv"])
@pytest.mark.parametrize("format_", ["named", "auto"])
def test_rated_rows_alone_where_the_ratings_are_named(tmp_path: Path, name: str, format_: str) -> None:
    """The warning says how, to each reader in their words, and the advice works."""
    made, column, format_ = case(name, 0), FORMATS[name].rating, name if format_ == "named" else "auto"
    assert column is not None
    path = str(made.folder(tmp_path) / made.log)
    rated = {"book_crossing": [5, 10], "goodreads": [4, 5], "goodreads_csv": [5]}[name]
    with warned(f"; --rating {column} reads the {len(rated)} rated rows alone"):
        assert LogOptions(format=format_).load(path).value is None
    with warned(f'; columns = {{ rating = "{column}" }} reads the'):
        assert len(DataTable(source=path, format=format_).load()) == len(made.rows)
    with warned("and are left out; --rating none reads every row, without ratings"):
        command = LogOptions(format=format_, rating=column).load(path)
    with silent():
        recipe = DataTable(source=path, format=format_, columns={"rating": column}).load()
        python = read(path, format=format_, rating=column)
    assert python.value is not None
    assert python.value.tolist() == rated
    assert python.fingerprint == recipe.fingerprint == command.fingerprint
    assert len(LogOptions(format=format_, rating="none").load(path)) == len(made.rows)


def test_a_log_with_all_ratings_has_them(tmp_path: Path) -> None:
    folder = write(tmp_path, {"ratings.csv": '"User-ID";"ISBN";"Book-Rating"\n"9";"1";"8"\n'})
    with warned(None):
        assert rows(read(folder, format="book_crossing")) == [(9, 1, 8, None)]


KINDS: list[tuple[str, int, dict[str, Any], dict[str, Any], dict[str, Any], list[float] | None, int]] = [
    (
        *("steam", 0, {"kinds": {"column": "event_type", "keep": ["play"]}, "weight": "hours"}),
        {"events": {"column": "event_type", "keep": ["play"]}, "columns": {"weight": "hours"}},
        *({"kind_column": "event_type", "keep_kind": ["play"], "weight": "hours"}, [273.0, 0.5], 0),
    ),
    (
        *("retailrocket", 0, {"kinds": {"column": "event_type", "weights": {"view": 1, "transaction": 4}}}),
        {"events": {"column": "event_type", "weights": {"view": 1, "transaction": 4}}},
        *({"kind_column": "event_type", "kind": ["view=1", "transaction=4"]}, [1.0, 4.0], 0),
    ),
    (
        *("yoochoose", 1, {"kinds": {"column": "event_type", "weights": {"click": 2, "buy": 3}}}),
        {"events": {"column": "event_type", "weights": {"click": 2, "buy": 3}}},
        *({"kind_column": "event_type", "kind": ["click=2", "buy=3"]}, [2.0, 3.0], 0),
    ),
    (
        *("yambda", 1, {"kinds": None}, {"events": {"column": "none"}}),
        *({"kind_column": "none"}, None, 0),
    ),
    ("rectools", 0, {"weight": None}, {"columns": {"weight": "none"}}, {"weight": "none"}, None, 0),
    ("movielens", 0, {"dislike_below": 3.5}, {"dislike_below": 3.5}, {"dislike_below": 3.5}, None, 2),
]


@pytest.mark.parametrize(("name", "number", "python", "recipe", "command", "weights", "dislikes"), KINDS)
def test_kinds_and_weights_of_formats_are_read_in_three_ways(
    tmp_path: Path,
    name: str,
    number: int,
    python: dict[str, Any],
    recipe: dict[str, Any],
    command: dict[str, Any],
    weights: list[float] | None,
    dislikes: int,
) -> None:
    made = case(name, number)
    folder = made.folder(tmp_path / "set")
    path = str(folder / made.log if not FORMATS[name].logs(folder) else folder)
    with silent():
        data = read(path, format=name, **python)
        assert (
            DataTable.model_validate({"source": path, "format": name, **recipe}).load().fingerprint == data.fingerprint
        )
        assert LogOptions(format=name, **command).load(path).fingerprint == data.fingerprint
        assert read(path, format=name).fingerprint != data.fingerprint
    assert (None if data.weight is None else data.weight.tolist()) == weights
    assert (0 if data.dislikes is None else len(data.dislikes)) == dislikes


@pytest.mark.parametrize("given", [{"separator": ";"}, {"user_id": "x"}, {"encoding": "latin-1"}, {"unit": "ms"}])
def test_options_that_a_format_has_of_its_own_are_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    path = case("recbole", 0).folder(tmp_path) / "x.inter"
    with pytest.raises(
        MatineeError, match=f"x.inter: files of the format recbole are .* and {next(iter(given))} is given"
    ):
        read(path, format="recbole", **given)


def test_a_table_of_items_that_is_named_is_written_as_it_is_told(tmp_path: Path) -> None:
    """The log has signs of its own; these are those of the other file."""
    folder = case("book_crossing", 0).folder(tmp_path)
    whole = BOOKS.replace(BOOKS.splitlines(keepends=True)[2], b"")  # without the row that its publisher broke
    books = write(tmp_path / "mine", {"b.csv": whole}) / "b.csv"
    log = folder / "BX-Book-Ratings.csv"
    with silent():
        data = read(log, format="book_crossing", items=books, encoding="latin-1")
        command = LogOptions(format="book_crossing", items=str(books), encoding="latin-1").load(str(log))
    assert data.item_features is not None
    assert data.item_features["title"].to_list() == ['Dune; "Messiah" & Café', "Plain"]
    assert data.side_fingerprint == command.side_fingerprint


def test_auto_reads_as_it_is_told_to(tmp_path: Path) -> None:
    """Named columns come before recognition."""
    path = case("retailrocket", 0).folder(tmp_path) / "events.csv"
    assert rows(read(path, format="auto", kinds=None))[0] == (257597, 355908, None, 1433221332)
    data = read(path, format="auto", user_id="itemid", item_id="event", timestamp=None)
    assert rows(data)[0] == (355908, "view", None, None)


def test_sessions_are_cut_from_a_format(tmp_path: Path) -> None:
    data = read(case("gowalla", 0).folder(tmp_path), session_gap="1d")
    assert sorted(data.users.ids.tolist()) == ["0/1", "0/2", "7/1"]


TITLED = ("million_playlist", "titled_lists", "melon", "tag_lists")


@pytest.mark.parametrize(("name", "number"), ALL)
def test_a_file_alone_brings_no_tables_of_other_files(tmp_path: Path, name: str, number: int) -> None:
    made = case(name, number)
    folder = made.folder(tmp_path / "set")
    with silent():
        data = read(folder / made.log, format=name)
    assert data.user_features is None or name in TITLED  # whose files hold the titles of their users
    assert data.unmatched == () or name in TITLED  # whose lists may be empty
    pairs = {(u, i, r if r is None else float(np.float32(r)), t) for u, i, r, t in made.rows}
    assert {row for row in rows(data) if row[:2] not in made.dislikes} <= pairs


@pytest.mark.parametrize(
    ("name", "number"), [(n, i) for n, i in ALL if not CASES[n][i].log.endswith(("parquet", "gz"))]
)
def test_gzipped(tmp_path: Path, name: str, number: int) -> None:
    made = case(name, number)
    if name in ("film_contest", "diginetica_sessions", "amazon_sequences"):
        pytest.skip("written by hand")
    path = made.folder(tmp_path / "set") / made.log
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    with silent():
        assert read(packed, format=name).fingerprint == read(path, format=name).fingerprint


@pytest.mark.parametrize(("name", "number"), BROKEN)
def test_a_broken_line_is_named(tmp_path: Path, name: str, number: int) -> None:
    made = case(name, number)
    assert made.broken is not None
    path = made.folder(tmp_path / "set") / made.log
    row, replacement, message = made.broken
    text = path.read_text("utf-8").split("\n")
    text[row - 1] = replacement
    path.write_text("\n".join(text), "utf-8", newline="")
    with silent(), pytest.raises(MatineeError) as caught:
        read(path, format=name)
    assert str(caught.value).startswith(f"{made.log}, row {row}{message}")
    assert caught.value.hint


@pytest.mark.parametrize(("name", "number"), ALL)
@pytest.mark.parametrize("spoil", ["cut", "empty", "noise", "latin", "swapped", "absent"])
def test_damaged_files_are_read_or_refused_in_words(tmp_path: Path, name: str, number: int, spoil: str) -> None:
    made = case(name, number)
    path = made.folder(tmp_path / "set") / made.log
    data = path.read_bytes()
    spoilt = {
        "cut": data[: len(data) * 2 // 3],
        "empty": b"",
        "noise": bytes(range(256)) * 9,
        "latin": data.replace(b"1", b"\xe9", 1),
        "swapped": data.replace(b"\t", b";").replace(b",", b"\t").replace(b";", b","),
        "absent": b"",
    }
    path.write_bytes(spoilt[spoil])
    if spoil == "absent":
        path.unlink()
    with silent():
        for chosen in (name, "auto"):
            with contextlib.suppress(MatineeError):
                assert len(read(path, format=chosen)) > 0
        if spoil in ("empty", "absent", "noise"):
            with pytest.raises(MatineeError) as caught:
                read(path, format=name)
            assert made.log in str(caught.value.where)


@pytest.mark.parametrize(("name", "number"), ALL)
def test_under_the_name_of_another_format_a_log_is_read_or_refused_in_words(
    tmp_path: Path, name: str, number: int
) -> None:
    made = case(name, number)
    path = made.folder(tmp_path / "set") / made.log
    for entry in formats():
        with silent(), contextlib.suppress(MatineeError):
            read(path, format=entry.name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv", "user_id,item_id,rating,timestamp\n1,2,3,4\n"),
        ("log.csv", "user_id,item_id,weight,datetime\n1,2,3,2021-09-01\n"),
        ("events.csv", "user_id,item_id,event_type,timestamp\n1,2,view,4\n"),
        ("train.txt", "1\t2\t3\t4\n"),
        ("u.tsv", "1\t2\t3\t881250949\n"),
        ("ratings_x.csv", "A39HTATAQ9V7YF,A3JM6GV9MNOF9X,5.0,1369699200\n"),
        ("ratings_x.csv", "B000000001,B000000002,5.0,1369699200\n"),
        ("s.txt", "1 2 3\n4 5\n"),
        ("a.json", '{"user": 1, "item": 2}\n'),
        ("numbers.csv", "1,2,3,4,5,6,7,8,9,10,11,12\n"),
        ("empty.csv", ""),
    ],
)
def test_what_could_be_anything_is_recognised_as_nothing(tmp_path: Path, name: str, content: str) -> None:
    folder = write(tmp_path / "set", dict[str, str | bytes]({name: content}))
    assert recognised(folder / name) is None
    assert recognised(folder) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"playlists": [{"pid": 1, "tracks": [{"track_uri": "a"}]}, {"pid": 2, "trucks": []}]}',
            "p.json: playlist 2 has no pid or no",
        ),
        (
            '{"playlists": [{"pid": 1, "tracks": [{"track_uri": "a"}, {"pos": 1}]}]}',
            r"p.json, playlist 1 \(pid 1\), track 2, .*empty",
        ),
        ('{"playlists": [{"pid": "x", "tracks": []}]}', "p.json: playlist 1 has no pid or no tracks"),
        ('{"playlists": [{"pid": 1, "tracks": 5}]}', "p.json: playlist 1 has no pid or no tracks"),
        ('{"playlists": [{"pid": 1, "tracks": [5]}]}', r"p.json, playlist 1 \(pid 1\), track 1: 5 is no track"),
        ('{"playlists": [{"pid": 1, "name": "a", "tracks": []}]}', "p.json: none of the 1 playlist has a track"),
        ('{"lists": []}', "p.json: holds no list of playlists"),
        ('{"playlists": [', "p.json: is no JSON: "),
    ],
)
def test_playlists_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MatineeError, match=message):
        read(write(tmp_path, {"p.json": text}) / "p.json", format="million_playlist")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"id": 1, "plylst_title": "a", "songs": [2]}, {"songs": []}]', "m.json: object 2 has no id"),
        ('[{"id": 1, "plylst_title": "a"}]', "m.json: object 1 has no songs"),
        ('[{"id": 1, "plylst_title": "a", "songs": []}]', "m.json: none of the 1 playlist has a song"),
        ('[{"id": 1, "plylst_title": "a", "songs": [{}]}]', r"m.json, object 1 .*value 1: \{\} is no whole number"),
        ('{"id": 1}', "m.json: holds no list of objects"),
        ("[", "m.json: is no JSON: "),
    ],
)
def test_melons_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MatineeError, match=message):
        read(write(tmp_path, {"m.json": text}) / "m.json", format="melon")


def test_lists_whose_rows_disagree_about_their_title(tmp_path: Path) -> None:
    path = write(tmp_path, {"l.csv": "list,title,item\n1,a,x\n1,b,y\n2,c,x\n"}) / "l.csv"
    with warned("l.csv: 1 list has several titles; that of the first row is taken"):
        data = read(path, format="titled_lists")
    columns(data.user_features, {"title": ["a", "c"]})
    assert data.item_features is None
    with pytest.raises(MatineeError, match="there is no column itemid"):
        read(write(tmp_path, {"n.csv": "list,title\n1,a\n"}) / "n.csv", format="titled_lists")


def test_a_table_of_directors_that_is_cut_short(tmp_path: Path) -> None:
    made = case("tag_lists", 1)
    folder = made.folder(tmp_path / "set")
    (folder / "movie_directors.dat").write_text("movieID directorID\tdirectorName\n3\tann_lee\n")
    with pytest.raises(MatineeError, match=r"movie_directors\.dat, row 2: has 2 fields where 3 are expected"):
        read(folder, format="tag_lists")


def test_a_plain_log_is_read_as_one_under_auto(tmp_path: Path) -> None:
    path = write(tmp_path, {"log.csv": "user_id,item_id,rating,timestamp\n1,2,3,4\n"}) / "log.csv"
    assert read(path, format="auto").fingerprint == read(path).fingerprint
    frame = pl.DataFrame({"user": [1], "item": [2]})
    assert read(frame, format="auto").fingerprint == read(frame).fingerprint


def test_names_and_places_that_are_wrong(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", {"x.csv": "1,2\n"})
    with pytest.raises(MatineeError, match=r"unknown format 'netflix'[\s\S]*did you mean netflix_prize"):
        read(folder / "x.csv", format="netflix")
    with pytest.raises(MatineeError, match=r"no file here is a log of Netflix Prize; the folder holds x\.csv"):
        read(folder, format="netflix_prize")
    with pytest.raises(MatineeError, match="no such file"):
        read(folder / "y.csv", format="netflix_prize")
    write(
        folder, {"a.inter": "user_id:token\titem_id:token\n1\t2\n", "b.inter": "user_id:token\titem_id:token\n1\t2\n"}
    )
    with pytest.raises(MatineeError, match=r"several files here are logs of RecBole.*: a\.inter, b\.inter"):
        read(folder, format="recbole")
    write(folder, {"u.data": "1\t2\t3\t881250949\n"})
    with pytest.raises(MatineeError, match="could be in several formats: movielens, recbole"):
        read(folder)
    assert len(read(folder, format="movielens")) == 1
    with pytest.raises(MatineeError, match="needs a text file"):
        read(pl.DataFrame({"user": [1], "item": [2]}), format="movielens")


def test_any_file_of_a_folder_is_found_by_its_content(tmp_path: Path) -> None:
    """Copies have names of their own; the tables beside it are found by their headers."""
    ratings = '"User-ID";"ISBN";"Book-Rating"\n"9";"080410753X";"8"\n'
    folder = write(tmp_path / "books", {"ratings.csv": ratings, "books.csv": BOOKS})
    with warned("1 rows have not 5 fields and are left out, the first in row 3"):
        data = read(folder)
    assert rows(data) == [(9, "080410753X", 8, None)]
    folder = write(tmp_path / "netflix", {"mine.txt": "1:\n5,3,2005-09-06\n", "README": "hello"})
    assert rows(read(folder, format="netflix_prize")) == [(5, 1, 3, 1125964800)]


def test_not_rated_rows_are_events_where_nobody_wants_ratings(tmp_path: Path) -> None:
    for name in ("book_crossing", "goodreads", "goodreads_csv"):
        made = case(name, 0)
        path = made.folder(tmp_path / name) / made.log
        data = read(path, format=name, rating=None)
        assert data.value is None
        assert len(data) == path.read_text().count("\n") - (name != "goodreads")


def test_ratings_and_times_may_be_left_out(tmp_path: Path) -> None:
    made = case("netflix_prize", 0)
    data = read(made.folder(tmp_path) / made.log, format="netflix_prize", rating=None, timestamp=None)
    assert (data.value, data.timestamp, len(data)) == (None, None, 3)


def test_tables_that_are_named_come_first(tmp_path: Path) -> None:
    made = case("netflix_prize", 0)
    titles = write(tmp_path / "mine", {"t.csv": "item_id,title\n1,Mine\n"}) / "t.csv"
    data = read(made.folder(tmp_path / "set"), format="netflix_prize", items=titles)
    assert data.item_features is not None
    assert data.item_features["title"].to_list() == ["Mine", None, None]


def test_the_repeated_row_of_several_files_is_named(tmp_path: Path) -> None:
    files: Files = {
        "combined_data_1.txt": "1:\n5,3,2005-09-06\n",
        "combined_data_2.txt": "2:\n5,3,2005-09-06\n1:\n5,4,2005-09-07\n",
    }
    with pytest.raises(MatineeError, match=r"^combined_data_2\.txt, row 4: an earlier row has user 5 and item 1"):
        read(write(tmp_path, files), duplicates="error")
    (tmp_path / "m").mkdir()
    path = tmp_path / "m" / "behaviors.tsv"
    path.write_text(BEHAVIORS + "4\tU5\t11/13/2019 6:11:30 PM\t\tN2-0 N1-1\n")
    with pytest.raises(MatineeError, match=r"^behaviors\.tsv, row 4: an earlier row has user 'U5' and item 'N1'"):
        read(path, format="mind", duplicates="error")


def test_a_quotation_mark_that_swallows_rows_of_a_table_of_books(tmp_path: Path) -> None:
    books = BOOKS.replace(b'"Q"', b'"Q')
    folder = write(
        tmp_path, {"ratings.csv": '"User-ID";"ISBN";"Book-Rating"\n"9";"1";"8"\n', "BX-Books.csv": books + BOOKS}
    )
    with pytest.raises(MatineeError, match=r"BX-Books\.csv, row 4: has \d fields where 5 are expected, and reaches to"):
        read(folder, format="book_crossing")


def test_json_lines_keep_ids_and_skip_blank_lines(tmp_path: Path) -> None:
    fields = {"business_id": "b", "stars": 4, "date": "2018-07-07"}
    text = lines({"user_id": "007", **fields}, "", {"user_id": 8, **fields}, {"user_id": "", **fields})
    path = write(tmp_path, {"r.json": text}) / "r.json"
    with pytest.raises(MatineeError, match=r"r\.json, row 4, column 'user_id': the id is empty"):
        read(path, format="yelp")
    path.write_text("\n".join(text.split("\n")[:3]))
    assert [row[0] for row in rows(read(path, format="yelp"))] == ["007", "8"]
    path.write_text("[" + text.split("\n")[0] + "]")
    with pytest.raises(MatineeError, match="is one JSON list, not an object a line"):
        read(path, format="yelp")


def test_unlabelled_impressions_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"behaviors.tsv": "1\tU9\t11/15/2019 8:55:22 AM\tN3\tN2 N7\n"}) / "behaviors.tsv"
    with pytest.raises(MatineeError, match="the test part of the set has none"):
        read(path, format="mind")


def test_lists_of_unequal_length(tmp_path: Path) -> None:
    path = tmp_path / "likes.parquet"
    pl.DataFrame({"uid": [1, 2], "item_id": [[1], [1, 2]], "timestamp": [[1], [1]]}).write_parquet(path)
    with pytest.raises(
        MatineeError, match=r"likes\.parquet, row 2, column 'timestamp': has 1 values where item_id has 2"
    ):
        read(path, format="yambda")


@pytest.mark.parametrize("name", ["ml-100k", "ml-1m", "ml-latest-small"])
def test_real_sets_are_recognised(name: str) -> None:
    folder = real(name)
    assert (recognised(folder) or formats()[-1]).name == "movielens"
    log = next(path for path in folder.iterdir() if re.fullmatch(r"u\.data|ratings\.(dat|csv)", path.name))
    assert (recognised(log) or formats()[-1]).name == "movielens"


def test_a_log_that_cannot_be_read_and_looks_like_a_format_is_told_so(tmp_path: Path) -> None:
    for name, file in (("netflix_prize", "combined_data_2.txt"), ("million_playlist", "mpd.slice.0-999.json")):
        path = case(name, 0).folder(tmp_path / name) / file
        with pytest.raises(MatineeError, match=rf'hint: the file looks like .*: format="{name}" reads it as it comes$'):
            read(path)
        with pytest.raises(MatineeError, match=f": --format {name} reads it as it comes$"):
            LogOptions().load(str(path))
    path = case("movielens", 2).folder(tmp_path / "films") / "ratings.csv"
    path.write_text(path.read_text() + "9,5\n")  # its columns have the usual names: a row is broken, and that is all
    assert recognised(path) is not None
    with pytest.raises(MatineeError, match=r"row \d+: has 2 fields where 4 are expected\n  hint: correct that row"):
        read(path)


def test_files_beside_slices_are_named(tmp_path: Path) -> None:
    """A slice whose first words are broken is no slice any more: it must not vanish."""
    lists = '{"playlists": [{"pid": %d, "tracks": [{"track_uri": "a"}]}]}'
    slices = {"mpd.slice.0-999.json": lists % 1, "mpd.slice.1000-1999.json": (lists % 2).replace("playlists", "lists")}
    folder = write(tmp_path / "set", {**slices, "log.csv": "user_id,item_id\n1,2\n", "README.md": "Read me.\n"})
    left = "2 files of the folder are no slices of playlists, and not read: log.csv, mpd.slice.1000-1999.json"
    with pytest.warns(MatineeWarning, match=left):
        assert len(mt.read(folder)) == 1


@pytest.mark.parametrize(
    ("name", "files", "spoiled"),
    [
        (
            "netflix_prize",
            {"combined_data_2.txt": "\n3,2005-09-06\n", "combined_data_10.txt": "4:\n70012,1,2005-01-01\n"},
            "combined_data_2.txt",
        ),
        (
            "melon",
            {"train.json": ' "id": 61}]', "val.json": '[{"id": 8, "plylst_title": "", "songs": [3], "tags": []}]'},
            "train.json",
        ),
    ],
)
def test_a_log_of_a_folder_that_begins_like_none_is_not_left_out(
    tmp_path: Path, name: str, files: dict[str, str | bytes], spoiled: str
) -> None:
    with pytest.raises(MatineeError, match=spoiled):
        read(write(tmp_path, files), format=name)
