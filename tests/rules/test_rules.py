"""The rules object: what it takes, and to dictionaries, TOML and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w

import matinee as mt
from matinee.errors import MatineeError
from matinee.rules import Boost, Pin, Quota, Rules

WHOLE: dict[str, Any] = {
    "where": ["year >= 1990", '"Drama" in genres'],
    "deny_where": ["seen"],
    "allow": [3, "Heat (1995)"],
    "deny": ["Lost"],
    "boost": [{"where": "year > 2000", "factor": 1.5}, {"items": [4, "x"], "add": -0.25}],
    "pin": [{"item": "Heat (1995)", "place": 2}],
    "quota": [
        {"column": "genres", "value": "Drama", "at_least": 3, "at_most": 5},
        {"column": "directors", "at_most": 1},
        {"where": "year < 1970", "at_least": 1},
    ],
}


def test_to_a_dictionary_and_back(tmp_path: Path) -> None:
    rules = Rules.from_dict(WHOLE)
    assert rules.to_dict() == WHOLE
    assert Rules.from_dict(rules.to_dict()) == rules
    assert Rules(**WHOLE) == rules
    path = tmp_path / "rules.toml"
    for tables in (WHOLE, {"rules": WHOLE, "other": {"x": 1}}):
        path.write_text(tomli_w.dumps(tables), "utf-8")
        assert Rules.read(path) == rules
        assert Rules.read(path).fingerprint == rules.fingerprint
    assert Rules().to_dict() == {}
    assert not Rules()
    assert rules


def test_one_text_is_a_list_of_one() -> None:
    assert Rules(where="year > 3") == Rules(where=("year > 3",))
    assert Rules(where="year > 3").fingerprint != Rules(deny_where="year > 3").fingerprint


def test_further_rules_are_added() -> None:
    both = Rules(where="year > 3", allow=(1, 2, 3), deny=(5,)).and_(
        where="year < 9", allow=[3, 2, 8], deny=[6], quota=[{"column": "a", "at_most": 1}]
    )
    wanted = {"where": ["year > 3", "year < 9"], "allow": [2, 3], "deny": [5, 6]}
    assert both.to_dict() == wanted | {"quota": [{"column": "a", "at_most": 1}]}
    assert Rules().and_(allow=[4]).allow == (4,)
    assert Rules(allow=(4,)).and_().allow == (4,)


def test_parts_are_made_by_name_in_python() -> None:
    rules = Rules(
        quota=(Quota(column="genres", value="Drama", at_least=3, at_most=5),), pin=(Pin(item="Heat (1995)", place=2),),
        boost=(Boost(where="year > 2000", factor=1.5),),
    )  # fmt: skip
    assert rules.to_dict() == {
        "quota": WHOLE["quota"][:1],
        "pin": WHOLE["pin"],
        "boost": WHOLE["boost"][:1],
    }
    assert mt.Rules is Rules
    assert hash(rules) == hash(Rules.from_dict(rules.to_dict()))


def test_one_line_says_what_there_is() -> None:
    text = str(Rules.from_dict(WHOLE))
    expressions = 'where year >= 1990; where "Drama" in genres; not where seen'
    assert text.startswith(f"{expressions}; allow 2 items; deny 1 item; ")
    assert (
        "2 boosts; 1 pin; at least 3 and at most 5 with Drama in genres; at most 1 of each value of directors" in text
    )
    assert text.endswith(f"at least 1 where year < 1970 [{Rules.from_dict(WHOLE).fingerprint}]")
    assert str(Rules()).startswith("none [")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"wher": "x"}, r"wher: unknown key \(did you mean where\?\)"),
        ({"where": 3}, "where: input should be a valid string"),
        ({"where": "year ="}, r"the rules: where: .*\(character 6 of 'year ='\)(.|\n)*compare columns"),
        ({"deny_where": ["seen", "1 < 2"]}, "deny_where: two constants"),
        ({"allow": []}, "allow is an empty list"),
        ({"deny": "Heat"}, "deny: input should be a valid tuple"),
        ({"quota": [{"column": "genres", "at_least": 2}]}, "a quota: at_least needs a value"),
        ({"quota": [{"column": "genres", "value": "Drama"}]}, "needs at_least or at_most"),
        ({"quota": [{"at_most": 2}]}, "needs either column or where"),
        ({"quota": [{"column": "a", "where": "seen", "at_most": 2}]}, "needs either column or where"),
        ({"quota": [{"where": "seen", "value": 3, "at_most": 2}]}, "value belongs to column"),
        ({"quota": [{"where": "seen =", "at_most": 2}]}, "a quota: where: invalid syntax"),
        ({"quota": [{"where": "seen", "at_most": 2, "at_least": 3}]}, "at_least = 3 is more than at_most = 2"),
        ({"quota": [{"where": "seen", "at_most": -1}]}, "at_most: input should be greater"),
        ({"quota": [{"colum": "seen", "at_most": 1}]}, r"colum: unknown key \(did you mean column"),
        ({"boost": [{"where": "seen"}]}, "a boost: needs factor or add"),
        ({"boost": [{"add": 0.5}]}, "needs where or items"),
        ({"boost": [{"where": "seen", "factor": -1}]}, "factor: input should be greater"),
        ({"boost": [{"where": "seen", "add": float("nan")}]}, "add: input should be a finite"),
        ({"pin": [{"item": 3, "place": 0}]}, "a pin: place: input should be greater"),
        ({"pin": [{"item": 3, "place": 1}, {"item": 4, "place": 1}]}, "two items are pinned to place 1"),
        ({"pin": [{"item": 3, "place": 1}, {"item": 3, "place": 2}]}, "3 is pinned to two places"),
        ({"pin": [{"place": 2}]}, "item: field required"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(MatineeError, match=words):
        Rules.from_dict(given)


def test_positions_and_other_things_are_refused() -> None:
    make: Any = Rules
    with pytest.raises(MatineeError, match="takes its parts by name"):
        make("year > 3")
    with pytest.raises(MatineeError, match="no table of rules"):
        Rules.from_dict(["where"])  # type: ignore[arg-type]


def test_files_that_are_no_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    with pytest.raises(MatineeError, match="no such file"):
        Rules.read(path)
    path.write_text("where = ", "utf-8")
    with pytest.raises(MatineeError, match="not valid TOML"):
        Rules.read(path)
    path.write_text("[rules]\nwhen = 3", "utf-8")
    with pytest.raises(MatineeError, match=r"rules.toml, \[rules\]: the rules: when: unknown key"):
        Rules.read(path)
    with pytest.raises(MatineeError, match="cannot be read"):
        Rules.read(tmp_path)


def test_the_page_of_rules_has_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
    table = page.split("## The keys")[1].split("They are applied")[0]
    for part in (Rules, Quota, Boost, Pin):
        for name, field in part.model_fields.items():
            assert f"`{name}`" in table, name
            assert field.description
