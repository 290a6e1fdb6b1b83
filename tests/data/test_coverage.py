"""What side tables leave undescribed, in small and in the real ones."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest

from data.samples import ml_100k, real, write
from matinee.data import side
from matinee.data.catalog import load
from matinee.data.coverage import Coverage, coverage
from matinee.data.readers import read
from matinee.errors import MatineeWarning


def test_ids_on_one_side_only_are_counted(tmp_path: Path) -> None:
    data = read(ml_100k(tmp_path / "ml"))
    users, items = coverage(data)
    assert users == Coverage("users", 3, 3, 1, {"age": 0, "gender": 0, "occupation": 0, "zip": 0})
    assert items == Coverage("items", 4, 4, 1, {"title": 0, "year": 0, "genres": 0})
    assert str(items) == "items: 4 of 4 in the log are described, 1 more have no event"


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
    (items,) = coverage(read(log, items=table))
    assert items == Coverage("items", 4, 2, 1, {"tags": 3, "name": 2, "score": 3})
    assert str(items).endswith("are described, 1 more have no event; missing: tags 3, name 2, score 3")


def test_a_table_of_other_ids_is_a_warning() -> None:
    log = pl.DataFrame({"user_id": ["u", "v", "w"], "item_id": ["1", "2", "3"]})
    table = pl.DataFrame({"user_id": ["U", "V", "w"], "gender": ["F", "M", "F"]})
    data = read(log, users=table)
    with pytest.warns(MatineeWarning, match=r"users describes 1 of the 3 in the log; 2 users have no event"):
        (users,) = coverage(data)
    assert users.described == 1


def test_no_tables() -> None:
    assert coverage(read(pl.DataFrame({"user_id": ["u"], "item_id": ["i"]}))) == ()


def test_contest_tables_with_gaps(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "train_ratings.csv": "user,item,time\n1,10,5\n1,20,6\n2,30,7\n",
        "titles.tsv": "item\ttitle\n10\tA (1990)\n20\tB (1991)\n30\tC (1992)\n",
        "directors.tsv": "item\tdirector\n10\tnm1\n10\tnm2\n99\tnm3\n",
        "years.tsv": "item\tyear\n10\t1990\n",
    }
    data = read(write(tmp_path / "contest", files))
    (items,) = coverage(data)
    assert (items.in_log, items.described, items.without_event) == (3, 3, 1)
    assert items.missing["directors"] == 2


def test_ml_1m() -> None:
    real("ml-1m/movies_extrainfos.dat")
    users, items = coverage(load("ml-1m", data_dir=real("ml-1m").parent))
    assert (users.in_log, users.described, users.without_event) == (6040, 6040, 0)
    assert (items.in_log, items.described, items.without_event) == (3706, 3706, 177)
    assert 0 < items.missing["directors"] < items.missing["writers"] < 100
    assert items.missing["genres"] == 0


def test_most_films_of_ml_latest_small_have_no_tags() -> None:
    (items,) = coverage(load("ml-latest-small", data_dir=real("ml-latest-small").parent))  # and that is no warning
    assert (items.in_log, items.described, items.without_event) == (9724, 9724, 18)
    assert items.missing["tags"] > 8000


def test_kmrd_small() -> None:
    folder = real("kmrd-small")
    films = side.gathered(pl.read_csv(folder / "genres.csv"), "movie", "genre", "genres")
    (items,) = coverage(read(folder / "rates.csv", items=films))
    rated, told = (
        {line.split(",")[column] for line in (folder / name).read_text("utf-8").splitlines()[1:]}
        for name, column in (("rates.csv", 1), ("genres.csv", 0))
    )
    assert (items.in_log, items.described, items.without_event) == (600, len(rated & told), len(told - rated))
    assert items.missing["genres"] == len(rated - told) > 0
