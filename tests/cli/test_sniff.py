"""`data sniff` on the screen and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.world import ask, done

VISITS = (
    "customer;product;stars;when\nZoé;007;4;07.04.2014 10:51\nZoé;012;3,5;13.04.2014 09:10\n"
    "Ann;007;5;13.04.2014 19:00\nAnn;031;0;14.04.2014 20:15\nBob;012;4;17.04.2014 08:00\n"
)


@pytest.fixture
def visits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("visits.csv").write_text(VISITS, "latin-1")
    return Path("visits.csv")


def test_all_that_was_found_is_shown(visits: Path) -> None:
    lines = done("data", "sniff", visits).splitlines()
    facts = dict(
        line.split(None, 1)
        for line in lines[: lines.index("")]
        if line.startswith(("read", "columns", "rows", "times"))
    )
    assert facts["read"] == "all of it"
    assert facts["columns"] == "customer (user_id), product (item_id), stars (rating), when (timestamp)"
    assert facts["rows"] == "5"
    assert facts["times"] == "2014-04-07 10:51 to 2014-04-17 08:00 (%d.%m.%Y %H:%M)"
    assert "text, latin-1, semicolon between columns, with a header, nothing quoted" in "\n".join(lines)
    assert lines[lines.index("[data]") :] == [
        "[data]",
        'source = "visits.csv"',
        'columns = { user_id = "customer", item_id = "product", timestamp = "when" }',
        'encoding = "latin-1"',
        'decimal = ","',
        'time_format = "%d.%m.%Y %H:%M"',
    ]
    assert any(line.split() == ["Zoé", "012", "3.5", "2014-04-13", "09:10:00"] for line in lines)


def test_the_json_has_the_same(visits: Path) -> None:
    (found,) = json.loads(done("data", "sniff", visits, "--json"))["files"]
    assert found["table"]["columns"]["user_id"] == "customer"
    assert found["first"] == "2014-04-07 10:51:00+00:00"
    assert found["rows"] == len(found["first_rows"]) == 5


def test_files_that_are_none_and_folders(visits: Path, tmp_path: Path) -> None:
    Path("empty.csv").write_text("", encoding="utf-8")
    text = done("data", "sniff", "empty.csv", ".")
    assert "looks like  no log: the file is empty" in text
    assert "visits.csv: a log of customer, product, stars, when, 5 rows" in text
    assert "empty.csv: the file is empty" in text
    result = ask("data", "sniff", "absent.csv")
    assert result.exit_code == 2
    assert "there is no such file or folder" in result.stderr


def test_doubts_are_worded_for_recipes(visits: Path) -> None:
    Path("dates.csv").write_text("user,item,date\n1,2,03/04/2014\n2,3,05/06/2014\n", encoding="utf-8")
    assert 'time_format = "%m/%d/%Y" or time_format = "%d/%m/%Y"' in done("data", "sniff", "dates.csv")
