"""`recommend --for-users`: the file that is written, what is refused before and after, and the check of a sample."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import matinee as mt
from cli.world import World, answer, ask, done, refused
from matinee.store import load_model


@pytest.fixture
def users(tmp_path: Path) -> Path:
    (tmp_path / "users.txt").write_text("9\n4\n30\n")
    return tmp_path / "users.txt"


def test_a_submission_in_one_line(world: World, tmp_path: Path, users: Path) -> None:
    out = tmp_path / "submission.csv"
    said = done("recommend", world.model, "--for-users", users, "--out", out, "-k", "3", "--columns", "user,item")
    assert said == f"9 rows for 3 users written to {out}\n"
    table = pl.read_csv(out)
    assert table.equals(mt.submission(load_model(world.model), [9, 4, 30], 3, columns=("user", "item")))


def test_the_same_from_a_runs_model_wide_and_without_a_header(world: World, tmp_path: Path, users: Path) -> None:
    out = tmp_path / "submission.csv"
    asked = ("--for-users", users, "--out", out, "-k", "3", "--wide", "--no-header", "--deny", "110")
    found = answer("recommend", world.run, "--model", "ease", *asked)
    assert found == {
        "out": str(out), "sample": None, "users": 3, "rows": 3, "columns": ["user_id", "item_id"], "warnings": []
    }  # fmt: skip
    model = load_model(world.run / "models" / "ease")
    table = mt.submission(model, [9, 4, 30], 3, wide=True, deny=[110])
    assert out.read_text() == "".join(f"{user},{items}\n" for user, items in table.rows())


def test_strangers_and_repeats_are_told_on_stderr_and_in_json(world: World, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("who,n\n9,1\n99,1\n9,1\n")
    asked = ("--for-users", tmp_path / "u.csv", "--user-id", "who", "--out", tmp_path / "s.csv", "--json")
    result = ask("recommend", world.model, *asked)
    told = [
        "1 row names a user again: users are answered once, where they come first",
        "1 of 2 users is not in the model's log: popular items answer",
    ]
    assert json.loads(result.stdout)["warnings"] == told
    assert result.stderr.splitlines() == [f"warning: {text}" for text in told]
    assert "'who', 'n'" in refused("recommend", world.model, "--for-users", tmp_path / "u.csv", "--out", "s.csv")


def test_a_sample_gives_the_columns_and_is_agreed_with(world: World, tmp_path: Path, users: Path) -> None:
    sample, out = tmp_path / "sample_submission.csv", tmp_path / "s.csv"
    sample.write_text("customer,film\n" + "".join(f"{user},100\n" for user in (9, 9, 4, 4, 30, 30)))
    asked = ("recommend", world.model, "--for-users", users, "--sample", sample, "--out", out)
    said = done(*asked, "-k", "2")
    assert said.splitlines()[1] == f"users, their order, rows and columns are those of {sample}"
    assert pl.read_csv(out).columns == ["customer", "film"]
    out.unlink()
    assert "it has 9 rows, the sample 6; 3 rows have another user" in refused(*asked, "-k", "3")
    assert not out.exists(), "nothing that differs is written"
    assert "its columns are a, b, in the sample customer, film" in refused(*asked, "-k", "2", "--columns", "a,b")
    own = ("recommend", world.model, "--for-users", sample, "--sample", sample, "--out", out, "-k", "2")
    assert "3 rows name a user again" in ask(*own).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--for-users", "u.txt"], "--for-users needs a file to write to"),
        (["--for-users", "u.txt", "--out", "s.csv", "--user", "1"], "leave out --user, --history and --all"),
        (["--for-users", "u.txt", "--out", "s.csv", "--all"], "leave out --user, --history and --all"),
        (["--for-users", "u.txt", "--out", "s.xls"], ".csv, .tsv, .parquet, .jsonl"),
        (["--for-users", "u.txt", "--out", "s.parquet", "--no-header"], "only .csv and .tsv"),
        (["--for-users", "u.txt", "--out", "u.txt"], "unknown kind of file '.txt'"),
        (["--for-users", "u.csv", "--out", "u.csv"], "u.csv: this is the file of --for-users"),
        (["--for-users", "u.txt", "--out", "s.csv", "--sample", "s.csv"], "s.csv: this is the file of --sample"),
        (["--for-users", "u.txt", "--out", "s.csv", "--columns", "a"], "--columns a: two names are needed"),
        (["--for-users", "nowhere.txt", "--out", "s.csv"], "nowhere.txt: there is no such file"),
        (["--user", "1", "--wide"], "--wide is about a submission"),
        (["--all", "--out", "s.csv", "--sample", "x.csv"], "--sample is about a submission"),
        (["--user", "1", "--user-id", "who"], "--user-id is about a submission"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("u.txt", "u.csv", "s.csv"):
        Path(name).write_text("user_id\n1\n", encoding="utf-8")
    assert words in refused("recommend", world.model, *arguments)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"user_id\n1\n"}


def test_a_file_of_users_is_read_as_its_options_say(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": ["Zoé", "Zoé", "Ann"], "item": ["a", "b", "c"]})
    frame.write_csv(tmp_path / "log.csv")
    done("fit", "popularity", "--data", tmp_path / "log.csv", "--out", tmp_path / "m")
    asked = ("recommend", tmp_path / "m", "-k", "1", "--out", tmp_path / "s.csv", "--for-users")
    for name, text in (("u.csv", "user;n\nZoé;1\n"), ("u.txt", "Zoé\n")):
        path = tmp_path / name
        path.write_bytes(text.encode("latin-1"))
        assert "--for-users-option encoding=latin-1" in refused(*asked, path)
        with pytest.raises(mt.MatineeError, match=r'mt\.table\(".*", encoding="latin-1"\)'):
            mt.submission(load_model(tmp_path / "m"), path)
        done(*asked, path, "--for-users-option", "encoding=latin-1")
        assert pl.read_csv(tmp_path / "s.csv")["user_id"].to_list() == ["Zoé"]
        table = mt.table(path, encoding="latin-1")
        assert mt.submission(load_model(tmp_path / "m"), table, 1)["user_id"].to_list() == ["Zoé"]
    assert "did you mean encoding" in refused(*asked, path, "--for-users-option", "encodin=latin-1")
    (tmp_path / "w.csv").write_text("wer,n\nAnn,1\n")
    assert "--user-id wer" in refused(*asked, tmp_path / "w.csv")


def test_ids_come_back_as_the_model_has_them(world: World) -> None:
    model = load_model(world.model)
    assert mt.submission(model, ["9", "4"], 2).equals(mt.submission(model, [9, 4], 2))


def test_a_user_who_is_named_twice_is_answered_once(world: World) -> None:
    result = ask("recommend", world.model, "--user", "9", "--user", "9", "--user", "4")
    assert "1 --user names a user again: users are answered once" in result.stderr
    assert result.stdout == done("recommend", world.model, "--user", "9", "--user", "4")


def test_missing_folders_are_named(tmp_path: Path) -> None:
    for command in (("recommend", tmp_path / "nope", "--user", "1"), ("compare", tmp_path / "nope")):
        assert "there is no such folder" in refused(*command)
