"""What is read as somebody said, and looks as if something else was meant: warnings, and hints that fit the file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import matinee as mt
from matinee.errors import MatineeError, MatineeWarning, worded_for


def written(folder: Path, text: str) -> Path:
    path = folder / "log.csv"
    path.write_text(text, encoding="utf-8")
    return path


def told(path: Path, **options: Any) -> list[str]:
    """The warnings of reading."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mt.read(path, **options)
    return [str(each.message) for each in caught if issubclass(each.category, MatineeWarning)]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("user,item\nu1,a\nu2,b\n", {"header": False}, True),
        ("USER_ID,Movie_Id,x\nu1,a,1\n", {"header": False, "user_id": 1, "item_id": 2}, True),
        ("wer,was\nu1,a\nu2,b\n", {"header": ["wer", "was"], "user_id": "wer", "item_id": "was"}, True),
        ("u1,a\nu2,b\n", {"header": False}, False),
        ("user,a\nanother,b\n", {"header": False}, False),
        ("u1,a\nu2,b\n", {"header": ["user", "item"]}, False),
        ("user,item\nu1,a\n", {}, False),
    ],
)
def test_names_that_are_read_as_an_event(text: str, options: dict[str, Any], said: bool, tmp_path: Path) -> None:
    found = told(written(tmp_path, text), **options)
    assert any("the first row is read as an event, and looks like names of columns" in each for each in found) == said


def test_names_that_make_columns_doubtful_are_hinted_at(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="leave header=False out, where the first row names the columns"):
        mt.read(written(tmp_path, "user,item,rating\nu,i,3\n"), header=False)


@pytest.mark.parametrize(
    ("ratings", "said"),
    [
        ([1_700_000_000, 1_600_000_000], True),
        ([1_700_000_000_123, 1_700_000_100_123], True),
        ([4, 1_700_000_000], False),
        ([1, 5], False),
        ([400_000_000, 300_000_000], False),
    ],
)
def test_times_that_are_read_as_ratings(ratings: list[int], said: bool, tmp_path: Path) -> None:
    text = "user,item,at\n" + "".join(f"u,i{n},{rating}\n" for n, rating in enumerate(ratings))
    found = told(written(tmp_path, text), rating="at")
    assert any("the ratings in 'at' look like Unix times" in each for each in found) == said
    if said:
        assert 'timestamp="at" reads them so' in found[0]


@pytest.mark.parametrize(("given", "meant"), [("kunde", "Kunde"), ("KUNDE", "Kunde"), ("Kunnde", "Kunde")])
def test_a_column_that_is_spelled_otherwise_is_named(given: str, meant: str, tmp_path: Path) -> None:
    path = written(tmp_path, "Kunde,Ware\nu,i\nv,i\n")
    with pytest.raises(MatineeError, match=f"did you mean '{meant}'\\? user_id=\"{meant}\""):
        mt.read(path, user_id=given, item_id="Ware")


@pytest.mark.parametrize(("sign", "given"), [(";", ","), ("|", ";"), ("\t", ",")])
def test_the_sign_that_stands_between_columns_is_named(sign: str, given: str, tmp_path: Path) -> None:
    path = written(tmp_path, "user,item,time\nu,i,3\nv,i,4\n".replace(",", sign))
    shown = {"\t": r"\\t", "|": r"\|"}.get(sign, sign)
    with pytest.raises(MatineeError, match=f'separator="{shown}" names the sign between columns$'):
        mt.read(path, separator=given)


# --- errors in the words of the caller --------------------------------------------------------------------------------


def test_a_table_keeps_what_it_inherits_when_one_option_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user;item\nZoé;a\nAnn;b\n", "latin-1")
    (tmp_path / "films.csv").write_text("item;Titel;x\na;Café;1,5\nb;Bär;2,5\n", "latin-1")
    table = mt.table(tmp_path / "films.csv", title="Titel")
    data = mt.read(tmp_path / "log.csv", encoding="latin-1", separator=";", decimal=",", items=table)
    assert data.item_titles is not None
    assert data.item_titles.to_list() == ["Café", "Bär"]
    assert data.item_features is not None
    assert data.item_features["x"].to_list() == [1.5, 2.5]
    other = tmp_path / "other.csv"
    other.write_text("item,Titel\na,Café\nb,Bär\n", "utf-8")
    own = mt.table(other, title="Titel", separator=",", encoding="utf-8")
    assert mt.read(tmp_path / "log.csv", encoding="latin-1", separator=";", items=own).titles.codes("Café") == [0]


def test_ids_that_a_table_does_not_name_are_hinted_at_as_the_caller_writes_it(tmp_path: Path) -> None:
    written(tmp_path, "user,film\n1,a\n2,b\n")
    (tmp_path / "films.csv").write_text("key,title\na,x\nb,x\n")
    options: dict[str, Any] = {"user_id": "film", "item_id": "user", "items": tmp_path / "films.csv"}
    with pytest.raises(MatineeError, match=r'name its ids: items=mt\.table\(".*films\.csv", item_id="key"\)'):
        mt.read(tmp_path / "log.csv", **options)
    with worded_for("command"), pytest.raises(MatineeError, match="--items-option item_id=key"):
        mt.read(tmp_path / "log.csv", **options)
    with worded_for("recipe"), pytest.raises(MatineeError, match=r'items = \{ path = ".*", item_id = "key" \}'):
        mt.read(tmp_path / "log.csv", **options)


def test_a_row_for_each_genre_is_to_be_a_list(tmp_path: Path) -> None:
    written(tmp_path, "user,movie\n1,10\n2,11\n")
    (tmp_path / "genres.csv").write_text("movie,genre\n10,Drama\n10,War\n11,War\n")
    with pytest.raises(MatineeError, match=r"a second row describes '10'(.|\n)*group_by\('movie'\)\.agg\('genre'\)"):
        mt.read(tmp_path / "log.csv", items=tmp_path / "genres.csv")


def test_unknown_options_of_read_have_near_misses(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="read has no option 'seperator'\n  hint: did you mean separator"):
        mt.read(written(tmp_path, "user,item\n1,2\n"), seperator=";")  # type: ignore[call-arg]


def test_codes_and_titles_that_are_no_lists() -> None:
    data = mt.read({"user": [10, 20, 20], "item": [1, 2, 3]})
    assert data.queries_of([1, 0]).history[0].tolist() == [1, 2]  # type: ignore[arg-type]
    words = r"not all of them are codes of users, from 0 to 1\n  hint: data\.queries"
    for wrong in ([26], [-1], [0.5], ["a"], [[0]]):
        with pytest.raises(MatineeError, match=words):
            data.queries_of(wrong)  # type: ignore[arg-type]
    assert len(data.queries_of([])) == 0  # type: ignore[arg-type]
    with pytest.raises(MatineeError, match=r"data\.item_titles is the column of titles"):
        data.titles[:3]


def test_numbers_are_no_near_misses() -> None:
    data = mt.read({"user": [10, 20, 20], "item": [1, 2, 3]}, items={"item": [1, 2, 3], "title": ["12", "123", "x"]})
    with pytest.raises(MatineeError, match=r"unknown user 11\n  hint: use one of the 2 users, from 10 to 20$"):
        data.queries([11])
    with pytest.raises(MatineeError, match="no item has the title or id '1234'\n  hint: check the spelling"):
        mt.history(["1234"], data)


def test_equal_titles_are_told_apart_by_another_column() -> None:
    items = {"item": [1, 2, 3], "title": ["Up", "Up", "Heat"], "kind": ["f", "f", "f"], "artist": ["A", "B", "C"]}
    data = mt.read({"user": [1, 1, 1], "item": [1, 2, 3]}, items=items)
    with pytest.raises(MatineeError, match=r"name one by its id: 1 \(artist A\), 2 \(artist B\)$"):
        mt.history(["Up"], data)
    data = mt.read({"user": [1, 1, 1], "item": [1, 2, 3]}, items={**items, "year": [1990, 2009, 1995]})
    with pytest.raises(MatineeError, match=r"1 \(year 1990\), 2 \(year 2009\)$"):
        mt.history(["Up"], data)
