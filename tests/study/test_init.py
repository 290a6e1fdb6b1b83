"""Recipes that `init_recipe` writes: the options of the files, a split that suits them, and that they run."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from cli.world import ask, done
from matinee.errors import MatineeError
from matinee.study import init

pytestmark = pytest.mark.filterwarnings("ignore::matinee.errors.MatineeWarning")
START = 1_400_000_000


def events(n_users: int = 30, each: int = 8) -> list[tuple[str, str, int, int]]:
    """(user, item, rating, time): users of two tastes, an event a day."""
    rng = np.random.default_rng(3)
    return [
        (f"u{user}", f"i{item:02d}", 1 + int(item) % 5, START + 86_400 * (user + day))
        for user in range(n_users)
        for day, item in enumerate(rng.permutation(16)[:each] + 8 * (user % 2))
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """shop.csv, in latin-1 with `;`; goods.csv and people.csv describe its items and users; the rest does not."""
    lines = [f"{user};{item};{rating};{time}" for user, item, rating, time in events()]
    (tmp_path / "shop.csv").write_text("\n".join(["customer;product;stars;when", *lines, "Zoé;i01;3;1400000000", ""]),
                                       "latin-1")  # fmt: skip
    (tmp_path / "goods.csv").write_text("product,title\n" + "".join(f"i{n:02d},Thing {n}\n" for n in range(24)))
    (tmp_path / "people.csv").write_text("customer,age\n" + "".join(f"u{n},{20 + n}\n" for n in range(30)))
    (tmp_path / "links.csv").write_text("product,code\n" + "".join(f"i{n:02d},{n}\n" for n in range(24)))
    (tmp_path / "others.csv").write_text("item_id,title\n" + "".join(f"x{n},Thing {n}\n" for n in range(24)))
    (tmp_path / "notes.txt").write_text("Nothing.\nTo be seen, here.\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tables(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def test_the_recipe_runs(folder: Path) -> None:
    text = mt.init_recipe("shop.csv", out="recipe.toml")
    assert (folder / "recipe.toml").read_text() == text
    recipe = mt.load_recipe("recipe.toml")
    log = recipe.load_data()
    assert (len(log), log.n_users, log.n_items) == (241, 31, 24)
    assert log.item_features is not None
    assert log.item_features["title"][0] == "Thing 0"
    assert log.user_features is not None
    run = mt.run_study(recipe, folder / "run")
    assert set(run.metrics["label"]) == {"popularity", "item_knn", "ease", "ials", "markov"}
    assert set(run.metrics["metric"]) == {"hit_rate", "ndcg"}


def test_the_files_have_the_options_that_were_found(folder: Path) -> None:
    text = mt.init_recipe("shop.csv")
    found = tables(text)
    columns = {"user_id": "customer", "item_id": "product", "timestamp": "when"}
    assert found["data"] == {
        "source": "shop.csv", "columns": columns, "encoding": "latin-1", "items": "goods.csv", "users": "people.csv"
    }  # fmt: skip
    assert found["split"] == {"strategy": "leave_one_out"}
    assert "# min_rating = 4\n" in text
    assert "# 31 users" not in text
    assert text.startswith(
        "# A study of shop.csv: 241 events, 31 users, 24 items.\n# Run it: matinee run recipe.toml\n"
    )


def test_a_folder_stands_for_its_files(folder: Path) -> None:
    assert tables(mt.init_recipe())["data"] == tables(mt.init_recipe("shop.csv"))["data"]
    assert tables(mt.init_recipe(folder))["data"]["source"] == (folder / "shop.csv").as_posix()


def test_named_tables_are_taken(folder: Path) -> None:
    assert tables(mt.init_recipe("shop.csv", "links.csv"))["data"]["items"] == "links.csv"


def written(path: Path, frame: pl.DataFrame) -> Path:
    frame.write_csv(path)
    return path


LOG = pl.DataFrame(events(), schema=["user_id", "item_id", "rating", "timestamp"], orient="row")
SPLITS: list[tuple[pl.DataFrame, dict[str, Any]]] = [
    (LOG, {"strategy": "leave_one_out"}),
    (LOG.filter(pl.int_range(pl.len()) % 8 < 3), {"strategy": "temporal", "valid": 0.8, "test": 0.9}),
    (LOG.drop("timestamp"), {"strategy": "random", "valid": 0.1, "test": 0.1}),
    (LOG.with_columns(timestamp=START + pl.int_range(pl.len()) % 2), {"strategy": "random", "valid": 0.1, "test": 0.1}),
    (
        LOG.drop("timestamp").filter(pl.int_range(pl.len()) % 8 < 2),
        {"strategy": "random", "by": "row", "valid": 0.1, "test": 0.1},
    ),
]


@pytest.mark.parametrize(("frame", "expected"), SPLITS)
def test_the_split_suits_the_log(frame: pl.DataFrame, expected: dict[str, Any], tmp_path: Path) -> None:
    text = mt.init_recipe(written(tmp_path / "log.csv", frame))
    assert tables(text)["split"] == expected
    ordered = expected["strategy"] != "random"
    assert ("markov" in [model["name"] for model in tables(text)["model"]]) == ordered


def test_sessions_are_split_as_sessions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [" ".join(map(str, 100 + rng.integers(0, 20, rng.integers(2, 7)))) for _ in range(60)]
    (tmp_path / "visits.txt").write_text("\n".join(lines) + "\n")
    found = tables(mt.init_recipe(tmp_path / "visits.txt", out=tmp_path / "r.toml"))
    assert found["data"]["format"] == "sessions"
    assert found["split"] == {"strategy": "sessions", "test": 0.1, "valid": 0.1}
    assert found["evaluate"] == {"k": [10, 20], "metrics": ["hit_rate", "mrr"], "exclude_seen": False}
    recipe = mt.load_recipe(tmp_path / "r.toml")
    assert len(recipe.split_data(recipe.load_data(), 0)) == 1


def test_models_that_do_not_fit_are_comments(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fits(data: Any, names: list[str]) -> pl.DataFrame:
        rows = [(name, 10**12, 1, name != "ease", "1.0 GB of memory free" if name == "ease" else "") for name in names]
        return pl.DataFrame(rows, schema=["model", "memory_bytes", "disk_bytes", "fits", "note"], orient="row")

    monkeypatch.setattr(init, "fits_here", fits)
    text = mt.init_recipe("shop.csv")
    assert "ease" not in [model["name"] for model in tables(text)["model"]]
    assert '# name = "ease"' in text
    assert "1.0 GB of memory free" in text


def test_nothing_is_replaced_unasked(folder: Path) -> None:
    (folder / "recipe.toml").write_text("mine")
    with pytest.raises(MatineeError, match="there is a file already"):
        mt.init_recipe("shop.csv", out="recipe.toml")
    assert (folder / "recipe.toml").read_text() == "mine"
    result = ask("init", "shop.csv")
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert (folder / "recipe.toml").read_text() == "mine"
    assert "next: matinee run recipe.toml" in done("init", "shop.csv", "--overwrite")
    assert json.loads(done("init", "shop.csv", "--overwrite", "--json"))["out"] == "recipe.toml"


def test_without_one_log_it_is_an_error(folder: Path) -> None:
    with pytest.raises(MatineeError, match=r"no file looks like a log: goods\.csv: a table of items"):
        mt.init_recipe("goods.csv")
    (folder / "more.csv").write_text("user_id,item_id\n1,2\n1,3\n2,3\n")
    with pytest.raises(MatineeError, match="several of the files look like logs"):
        mt.init_recipe("shop.csv", "more.csv")
    assert "other files look like logs too: more.csv" in mt.init_recipe()


def test_a_log_that_cannot_be_split_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id\n1,2\n2,3\n")
    with pytest.raises(MatineeError, match="too small for a held-out split: 2 events"):
        mt.init_recipe(tmp_path / "log.csv")


def test_events_that_come_again_in_one_second_are_one(tmp_path: Path) -> None:
    rows = [f"u{u},i{(u + n) % 7},{1_500_000_000 + 90_000 * n + u}" for u in range(9) for n in range(6)]
    for again, said in (([], False), (rows[:1], True)):
        (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows, *again]) + "\n")
        text = mt.init_recipe(tmp_path / "log.csv")
        assert (tomllib.loads(text)["data"].get("duplicates") == "distinct") is said
        assert ("# 1 event comes again, of one user and item in one second" in text) is said
        assert ("the one that counts most" in text) is said
