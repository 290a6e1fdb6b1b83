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
from matinee.errors import MatineeError, MatineeWarning
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


# --- which file is which, and what is said of the others --------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """log.csv, and tables of its items with names that tell nothing: waren.csv, a row an item; tags.csv, two."""
    rows = [f"{user},{item},{rating},{time}" for user, item, rating, time in events()]
    (tmp_path / "log.csv").write_text("\n".join(["kunde,artikel,punkte,wann", *rows]) + "\n")
    goods = [f"i{n:02d};Ding {n};{n % 3}" for n in range(24)]
    (tmp_path / "waren.csv").write_text("\n".join(["nummer;titel;farbe", *goods]) + "\n")
    tags = [f"i{n:02d},t{m}" for n in range(24) for m in range(2)]
    (tmp_path / "tags.csv").write_text("\n".join(["nummer,tag", *tags]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


ITEMS = {"path": "waren.csv", "item_id": "nummer"}
COLUMNS = {"user_id": "kunde", "item_id": "artikel", "timestamp": "wann"}


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (("log.csv", "waren.csv"), {}),
        (("waren.csv", "log.csv"), {}),
        ((), {"log": "log.csv", "items": "waren.csv"}),
        (("waren.csv",), {"log": "log.csv"}),
        (("log.csv", "waren.csv"), {"user_id": "kunde", "item_id": "artikel"}),
    ],
)
def test_a_table_of_foreign_names_is_known_by_its_ids(files: tuple[str, ...], named: Any, foreign: Path) -> None:
    with pytest.warns(MatineeWarning, match="called title: where 'titel' is it, say items = .* title = \"titel\" }"):
        text = mt.init_recipe(*files, out="recipe.toml", **named)
    assert "# In doubt: no column of the table of items is called title" in text
    found = tables(text)["data"]
    assert (found["source"], found["columns"], found["items"]) == ("log.csv", COLUMNS, ITEMS)
    log = mt.load_recipe("recipe.toml").load_data()
    assert log.item_features is not None
    assert log.item_features["titel"].to_list() == [f"Ding {n}" for n in range(24)]
    assert "users" not in found


def test_a_table_beside_the_log_that_is_left_out_is_said(foreign: Path) -> None:
    with pytest.warns(MatineeWarning) as caught:
        text = mt.init_recipe("log.csv")
    told = [str(each.message) for each in caught]
    assert 'waren.csv is left out: it shares ids with the log: items="waren.csv" takes it to describe items' in told
    assert any(each.startswith("tags.csv is left out: it has several rows for one item") for each in told)
    assert "items" not in tables(text)["data"]
    assert "# In doubt: waren.csv is left out" in text
    assert "--items waren.csv takes it" in ask("init", "log.csv").stderr
    (foreign / "others.csv").write_text("item_id,title\n" + "".join(f"x{n},T {n}\n" for n in range(24)))
    assert (
        "others.csv is left out: it looks like a table of items, and its ids are not"
        in ask("init", "log.csv", "--overwrite").stderr
    )


def test_several_logs_are_told_apart_by_options(foreign: Path) -> None:
    with pytest.raises(MatineeError, match=r'hint: say which one is: log="log\.csv"; items="FILE"'):
        mt.init_recipe("log.csv", "tags.csv")
    result = ask("init", "log.csv", "tags.csv")
    assert "--log log.csv; --items FILE and --users FILE" in result.stderr
    assert tables(mt.init_recipe("tags.csv", log="log.csv"))["data"]["source"] == "log.csv"


def test_options_of_the_log_are_in_the_recipe(foreign: Path) -> None:
    done("init", "log.csv", "--user-id", "artikel", "--item-id", "kunde", "--rating", "punkte", "--unit", "s")
    found = mt.load_recipe("recipe.toml")
    columns = {"user_id": "artikel", "item_id": "kunde", "rating": "punkte", "timestamp": "wann"}
    assert (found.data.columns, found.data.unit) == (columns, "s")
    assert found.load_data().n_users == 24
    wrong = ask("init", "log.csv", "--user-id", "Kunde", "--overwrite")
    assert "did you mean 'kunde'? --user-id kunde" in wrong.stderr


def test_a_missing_file_is_named_before_the_recipe_that_is_there(foreign: Path) -> None:
    (foreign / "recipe.toml").write_text("mine")
    for given in (("nope.csv",), ("log.csv", "--items", "nope.csv"), ("--log", "nope.csv")):
        result = ask("init", *given)
        assert (result.exit_code, "nope.csv: there is no such file or folder" in result.stderr) == (2, True)


def test_kinds_and_weights_are_comments_with_their_doubt(tmp_path: Path) -> None:
    rows = [
        f"{user},{item},{'dislike' if n % 9 == 8 else 'view'},{1 + n % 3},{time}"
        for n, (user, item, _, time) in enumerate(events())
    ]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,event_type,plays,time", *rows]) + "\n")
    text = mt.init_recipe(tmp_path / "log.csv")
    assert set(tables(text)["data"]) == {"source"}
    (line,) = [each for each in text.splitlines() if each.startswith("# events = ") and each.endswith("} }")]
    assert tables(line[2:])["events"] == {"column": "event_type", "weights": {"view": 1, "dislike": -1}}
    assert '# columns = { weight = "plays" }' in text.splitlines()
    assert "In doubt: log.csv: the column 'event_type' looks like kinds of events" in text.replace("\n# ", " ")


def test_titles_and_repeats_fit_the_split(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", LOG.drop("timestamp"))
    text = mt.init_recipe(path)
    assert 'title = "log.csv: what else is liked?"' in text
    assert "duplicates" not in tables(text)["data"]
    text = mt.init_recipe(written(tmp_path / "log.csv", pl.concat([LOG, LOG.head(7)]).drop("timestamp")))
    assert tables(text)["data"]["duplicates"] == "last"
    assert "# 7 events repeat a pair of user and item." in text
    assert tables(mt.init_recipe(written(tmp_path / "log.csv", LOG)))["title"] == "log.csv: what comes next?"


def test_a_split_by_a_moment_says_which_histories_it_has(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", LOG.filter(pl.int_range(pl.len()) % 8 < 3))
    text = mt.init_recipe(path)
    assert tables(text)["fit"] == {}
    assert "The test asks with the histories of train" in text
    assert tables(text.replace("# refit = true", "refit = true"))["fit"] == {"refit": True}
    assert "refit" not in mt.init_recipe(written(tmp_path / "log.csv", LOG))
