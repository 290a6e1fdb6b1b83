"""What is read as somebody said, and looks as if something else was meant: warnings, and hints that fit the file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import matinee as mt
from matinee.errors import MatineeError, MatineeWarning


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
