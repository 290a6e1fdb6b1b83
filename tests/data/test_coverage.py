"""What side tables leave undescribed, in small and in the real ones."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest

from data.samples import ml_100k, real, write
from matinee.data import side
from matinee.data.filters import filter_events
from matinee.data.read.catalog import load
from matinee.data.read.log import read
from matinee.data.side import Unmatched
from matinee.data.side_table_report import SideTableReport, side_table_report
from matinee.errors import MatineeWarning

SAID_OF_ML_100K = (
    r"ml: not in the log: 1 of the users in u\.user \(kept, without an event\); "
    r"not in the log: 1 of the items in u\.item \(kept, without an event\)$"
)


def test_ids_on_one_side_only_are_counted(tmp_path: Path) -> None:
    data = read(ml_100k(tmp_path / "ml"))
    with pytest.warns(MatineeWarning, match=SAID_OF_ML_100K):
        users, items = side_table_report(data)
    nobody, unseen = Unmatched("users", "u.user", 1), Unmatched("items", "u.item", 1)
    assert users == SideTableReport("users", 3, 3, 1, {"age": 0, "gender": 0, "occupation": 0, "zip": 0}, (nobody,))
    assert items == SideTableReport("items", 4, 4, 1, {"title": 0, "year": 0, "genres": 0}, (unseen,))
    assert str(items) == "items: 4 of 4 in the log are described, 1 more without an event"


def test_nulls_empty_lists_empty_texts_and_nan_say_nothing() -> None:
    log = pl.DataFrame({"user_id": ["u"] * 4, "item_id": [1, 2, 3, 4]})
    table = pl.DataFrame(
        {
            "item_id": [1, 2, 3, 9],
            "tags": [["x"], [], None, ["y"]],
            "name": ["a", "", "c", "d"],
            "score": [1.0, math.nan, None, 2.0],
        }
    )
    with pytest.warns(MatineeWarning, match="1 of the items in the dataframe"):
        (items,) = side_table_report(read(log, items=table))
    unseen = Unmatched("items", "the dataframe", 1)
    assert items == SideTableReport("items", 4, 2, 1, {"tags": 3, "title": 2, "year": 4, "score": 3}, (unseen,))
    assert str(items).endswith("are described, 1 more without an event; missing: tags 3, title 2, year 4, score 3")


def test_a_table_of_other_ids_is_a_warning() -> None:
    log = pl.DataFrame({"user_id": ["u", "v", "w"], "item_id": ["1", "2", "3"]})
    table = pl.DataFrame({"user_id": ["U", "V", "w"], "gender": ["F", "M", "F"]})
    data = read(log, users=table)
    with (
        pytest.warns(MatineeWarning, match="not in the log: 2 of the users"),
        pytest.warns(MatineeWarning, match=r"users describes 1 of the 3 in the log; 2 users have no event"),
    ):
        (users,) = side_table_report(data)
    assert users.described == 1


def test_no_tables() -> None:
    assert side_table_report(read(pl.DataFrame({"user_id": ["u"], "item_id": ["i"]}))) == ()


def test_contest_tables_with_gaps(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "train_ratings.csv": "user,item,time\n1,10,5\n1,20,6\n2,30,7\n",
        "titles.tsv": "item\ttitle\n10\tA (1990)\n20\tB (1991)\n30\tC (1992)\n",
        "directors.tsv": "item\tdirector\n10\tnm1\n10\tnm2\n99\tnm3\n",
        "years.tsv": "item\tyear\n10\t1990\n",
    }
    data = read(write(tmp_path / "contest", files))
    with pytest.warns(MatineeWarning, match="1 of the items in the item tables"):
        (items,) = side_table_report(data)
    assert (items.in_log, items.described, items.without_event) == (3, 3, 1)
    assert items.missing["directors"] == 2


LOG_1M = "1::10::5::978300760\n1::20::3::978302109\n2::10::4::978301968\n"
FILMS_1M = "10::Toy Story (1995)::Animation\n20::Heat (1995)::Action\n30::Unseen (1999)::Drama\n"


def test_what_further_files_say_of_unknown_films_is_counted(tmp_path: Path) -> None:
    """Film 77 stands in movies_extrainfos.dat only, 88 and 99 in tags.dat only: three tags of two films."""
    extra = "{}::T::1995::x::x::Drama::Jane Doe::N/A::N/A::N/A::p\n"
    files: dict[str, str | bytes] = {
        "ratings.dat": LOG_1M,
        "movies.dat": FILMS_1M,
        "movies_extrainfos.dat": extra.format(77) + extra.format(20),
        "tags.dat": "1::10::fun::5\n1::88::x::6\n2::88::y::7\n2::99::y::7\n",
    }
    data = read(write(tmp_path / "ml", files))
    extras, tags = (
        Unmatched("items", name, n, absent_from="movies.dat")
        for name, n in (("movies_extrainfos.dat", 1), ("tags.dat", 2))
    )
    assert data.unmatched == (Unmatched("items", "movies.dat", 1), extras, tags)
    assert data.items.ids.tolist() == [10, 20, 30]
    assert data.item_features is not None
    assert data.item_features["directors"].to_list() == [None, ["Jane Doe"], None]
    with pytest.warns(MatineeWarning) as caught:
        (items,) = side_table_report(data)
    assert [str(each.message) for each in caught] == [
        "ml: not in the log: 1 of the items in movies.dat (kept, without an event); "
        "not in movies.dat: 1 of the items in movies_extrainfos.dat (left out); "
        "not in movies.dat: 2 of the items in tags.dat (left out)"
    ]
    assert str(items).endswith(
        "directors 1, tags 1; not in movies.dat: 1 of the items in movies_extrainfos.dat (left out); "
        "not in movies.dat: 2 of the items in tags.dat (left out)"
    )


def test_tags_and_links_of_unknown_films_are_counted(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,10,4.0,5\n2,20,3.5,6\n",
        "movies.csv": "movieId,title,genres\n10,A (1990),Drama\n20,B (1991),Comedy\n",
        "tags.csv": "userId,movieId,tag,timestamp\n1,10,fun,5\n1,7,dull,6\n1,7,slow,6\n",
        "links.csv": "movieId,imdbId,tmdbId\n10,0114709,862\n8,0113497,\n9,0113228,\n",
    }
    data = read(write(tmp_path / "small", files))
    assert [(each.table, each.ids, each.kept) for each in data.unmatched] == [
        ("tags.csv", 1, False),
        ("links.csv", 2, False),
    ]


def test_filters_change_no_count_of_unmatched_ids(tmp_path: Path) -> None:
    data = filter_events(read(ml_100k(tmp_path / "ml")), min_rating=4.0, min_item_events=1)
    assert data.n_items == 2
    with pytest.warns(MatineeWarning, match=SAID_OF_ML_100K):
        _, items = side_table_report(data)
    assert (items.in_log, items.without_event) == (2, 0)


def test_ml_1m() -> None:
    real("ml-1m/movies_extrainfos.dat")
    with pytest.warns(MatineeWarning, match="ml-1m: not in the log: 177 of the items in movies.dat"):
        users, items = side_table_report(load("ml-1m", data_dir=real("ml-1m").parent))
    assert (users.in_log, users.described, users.without_event) == (6040, 6040, 0)
    assert (items.in_log, items.described, items.without_event) == (3706, 3706, 177)
    assert 0 < items.missing["directors"] < items.missing["writers"] < 100
    assert items.missing["genres"] == 0


def test_most_films_of_ml_latest_small_have_no_tags() -> None:
    with pytest.warns(MatineeWarning, match="not in the log: 18 of the items") as caught:
        (items,) = side_table_report(load("ml-latest-small", data_dir=real("ml-latest-small").parent))
    assert len(caught) == 1, "missing tags are no warning"
    assert (items.in_log, items.described, items.without_event) == (9724, 9724, 18)
    assert items.missing["tags"] > 8000


def test_kmrd_small() -> None:
    folder = real("kmrd-small")
    films = side.gathered(pl.read_csv(folder / "genres.csv"), "movie", "genre", "genres")
    with pytest.warns(MatineeWarning, match="of the items in the dataframe"):
        (items,) = side_table_report(read(folder / "rates.csv", items=films))
    rated, told = (
        {line.split(",")[column] for line in (folder / name).read_text("utf-8").splitlines()[1:]}
        for name, column in (("rates.csv", 1), ("genres.csv", 0))
    )
    assert (items.in_log, items.described, items.without_event) == (600, len(rated & told), len(told - rated))
    assert items.missing["genres"] == len(rated - told) > 0
