"""`mt.explore`: parts, what is left out, names, JSON, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from explore_logs import make_log, with_tables

import matinee as mt
from matinee.errors import MatineeError, worded_for
from matinee.explore import Exploration, Explorations, key_figures
from matinee.explore.exploration import is_page


@pytest.fixture(scope="module")
def whole() -> Exploration:
    return mt.explore(with_tables(make_log()))


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def test_every_part_is_there(whole: Exploration) -> None:
    assert not [name for name, part in vars(whole).items() if part is None]
    assert whole.absent == whole.impossible == {}
    assert whole.figures.n_events == key_figures(make_log()).n_events == whole.activity.n * whole.activity.mean
    assert [each.strategy for each in whole.splits] == ["random", "mixed", "leave_one_out", "temporal"]


def test_the_package_is_called_too() -> None:
    import matinee.explore

    assert isinstance(matinee.explore(make_log()), Exploration)


def test_what_is_left_out_says_how_to_give_it() -> None:
    bare = mt.explore(replace(make_log(), value=None, timestamp=None))
    assert set(bare.absent) == {"ratings", "times", "items", "users"}
    assert 'rating="stars"' in bare.absent["ratings"]
    assert bare.impossible == {"temporal": "a temporal split needs timestamps"}
    with worded_for("command"):
        assert "--items films.csv" in mt.explore(make_log()).absent["items"]
    table = pl.DataFrame({"name": [f"n{i}" for i in range(70)]})
    assert set(mt.explore(replace(make_log(), item_features=table)).absent) == {"years", "attributes", "users"}
    still = mt.explore(replace(make_log(), timestamp=np.full(600, 5)))
    assert set(still.absent) == {"arrivals", "items", "users"}


def test_the_dict_is_json(whole: Exploration) -> None:
    told = json.loads(json.dumps(whole.to_dict(), allow_nan=False))
    assert told == whole.to_dict()
    assert told["popularity"]["gini"] == whole.popularity.gini
    assert told["attributes"][0]["top"][0]["events"] == whole.attributes[0].top[0].events
    assert whole.arrivals is not None
    assert [each["kept"] for each in told["arrivals"]["periods"]] == [p.kept for p in whole.arrivals.periods]
    assert {type(leaf) for leaf in leaves(told)} <= {str, int, float, bool, type(None)}
    both = mt.explore(make_log(), make_log(1)).to_dict()
    assert [log["name"] for log in both["logs"]] == ["uneven (1)", "uneven (2)"]
    assert both["side_by_side"][0] == {"name": "Events", "kind": "count", "values": [600, 600]}


def test_equal_names_are_told_apart() -> None:
    found = mt.explore(make_log(name="a"), make_log(name="b"), make_log(name="a"))
    assert [log.name for log in found.logs] == ["a (1)", "b", "a (2)"]
    assert isinstance(found, Explorations)


def test_sessions_end_after_the_pause() -> None:
    times = mt.explore(make_log(), pause="12h").times
    assert times is not None
    assert times.pause == 43_200
    for wrong in ("soon", 0, "0m"):
        with pytest.raises(MatineeError, match="no length of time"):
            mt.explore(make_log(), pause=wrong)


def test_how_many_values_are_listed() -> None:
    found = mt.explore(with_tables(make_log()), top=2)
    assert {len(each.top) for each in found.attributes} == {2}


def test_what_is_no_log_is_refused() -> None:
    with pytest.raises(MatineeError, match=r"explore takes data sets, not str"):
        mt.explore("ml-100k")  # type: ignore[call-overload]
    with pytest.raises(MatineeError, match="the log has no events"):
        mt.explore(make_log().rows(np.zeros(0, np.int64)))


def test_what_a_notebook_shows(whole: Exploration) -> None:
    shown = whole._repr_html_()
    assert "<table>" in shown
    assert "script" not in shown
    assert f"{whole.popularity.gini:.2f}" in shown
    assert str(whole).startswith("uneven: 600 events")
    assert all(each.found in str(whole) for each in whole.takeaways)
    both = mt.explore(make_log(name="<b>"), make_log(name="c"))
    assert "&lt;b&gt;" in both._repr_html_()
    assert "<b>" not in both._repr_html_()


def test_equal_logs_give_equal_pages(whole: Exploration, tmp_path: Path) -> None:
    whole.to_html(tmp_path / "deep" / "a.html")
    mt.explore(with_tables(make_log())).to_html(tmp_path / "b.html")
    assert (tmp_path / "deep" / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert is_page(tmp_path / "b.html")
    (tmp_path / "c.html").write_text("<p>mine")
    assert not is_page(tmp_path / "c.html")


def test_a_real_log(shared_data: Path) -> None:
    """What the readme of the set and anyone's count of its file say."""
    if not (shared_data / "ml-100k").is_dir():
        pytest.skip("no ml-100k among the real data")
    found = mt.explore(mt.load("ml-100k", data_dir=shared_data))
    assert (found.figures.n_events, found.figures.n_users, found.figures.n_items) == (100_000, 943, 1682)
    lines = [line.split("\t") for line in (shared_data / "ml-100k" / "u.data").read_text().splitlines()]
    stars = [line[2] for line in lines]
    assert found.ratings is not None
    assert found.ratings.share == stars.count("4") / 100_000
    films = sorted(Counter(line[1] for line in lines).values())
    apart = sum(abs(a - b) for a in films for b in films) / len(films) ** 2
    assert found.popularity.gini == pytest.approx(apart / 2 / (100_000 / 1682))
    men = next(each for each in found.attributes if each.column == "gender").top[0]
    assert (men.value, men.n) == ("M", 670)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_hardly_any_events(n: int) -> None:
    data = with_tables(make_log(n=n))
    found = mt.explore(data)
    assert found.figures.n_events == n
    assert found.takeaways
    assert "nan" not in json.dumps(found.to_dict()).lower().replace("chantal", "")
