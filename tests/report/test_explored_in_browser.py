"""A real browser lays the page of explored logs out: nothing overflows, no label is cut, at 1440 and 390 px."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from report_studies import HOSTILE, WORLD, make_data
from test_explored import busy
from test_report_in_browser import BROWSER, layouts

import matinee as mt
from matinee.report.explored import page

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine (apt-get install chromium)")


def awkward() -> str:
    """Long names, other scripts, a column with a very long name."""
    data = busy(WORLD + HOSTILE)
    assert data.item_features is not None
    lists = pl.Series("directors", [[WORLD[-1 - i % 3]] for i in range(data.n_items)])
    table = data.item_features.with_columns(lists).rename({"genres": "a_very_long_name_of_a_column_" * 3})
    data = replace(data, name="Wort" * 30, item_features=table)
    both = mt.explore(data, replace(make_data(times=False), name="other"))
    return page(both.logs, both.overlaps)


@pytest.mark.parametrize("case", [pytest.param("ordinary", marks=pytest.mark.slow), "awkward"])
def test_nothing_overflows(case: str, tmp_path: Path) -> None:
    html = awkward() if case == "awkward" else page([mt.explore(busy())], [])
    for width, found in layouts(html, tmp_path).items():
        assert found.shown == width
        assert (found.needed, found.wide, found.cut) == (width, [], [])
