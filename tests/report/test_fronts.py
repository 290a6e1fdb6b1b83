"""The drawing of fronts: dots where the numbers are, names, and the same bytes for the same numbers."""

from __future__ import annotations

import re
from itertools import pairwise

import polars as pl
import pytest

from matinee.errors import MatineeError
from matinee.report.fronts import front_plot

LAM = [0.5, 0.0, 0.9]
POINTS = pl.DataFrame(
    {
        "model": ["mmr"] * 3 + ["<b>&$x$"] * 3,
        "lam": LAM * 2,
        "ndcg@10": [0.25, 0.3, 0.1, 0.28, 0.3, 0.2],
        "coverage": [0.3, 0.2, 0.5, 0.21, 0.2, 0.22],
        "diversity": [0.5, 0.4, 0.8, 0.41, 0.4, 0.3],
    }
)


def paths(svg: str) -> list[list[tuple[float, float]]]:
    """Lines of three points, as drawn: y grows downwards."""
    found = [re.findall(r"[ML] ([\d.]+) ([\d.]+)", d) for d in re.findall(r'<path d="([^"]*)" clip-path', svg)]
    return [[(float(x), float(y)) for x, y in points] for points in found if len(points) == 3]


@pytest.mark.parametrize("x", ["coverage", "diversity"])
def test_a_line_goes_through_its_numbers_by_lam(x: str) -> None:
    svg = front_plot("f", POINTS, x)
    first, second = paths(svg)[:2]
    for line, name in ((first, "mmr"), (second, "<b>&$x$")):
        rows = POINTS.filter(model=name).sort("lam")
        assert [p[0] for p in line] != [line[0][0]] * 3
        right = [a < b for a, b in pairwise(line)]
        assert right == [a < b for a, b in pairwise(rows[x])]
        assert [p[1] for p in line] == sorted(p[1] for p in line), "accuracy falls"
    # one scale for both lines: they begin at the same model, lam 0
    assert first[0] == second[0]


def test_names_ends_and_words() -> None:
    svg = front_plot("f", POINTS, "coverage")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"mmr", "&lt;b&gt;&amp;$x$", "lam 0", "lam 0.9", "ndcg@10"} <= set(texts)
    assert texts.count("lam 0.9") == 2
    assert any("%" in text for text in texts)
    assert 'aria-label="ndcg@10 by coverage. mmr, from lam 0 to 0.9: ndcg@10 0.3000 to 0.1000, coverage 0.2000' in svg
    assert svg == front_plot("f", POINTS, "coverage")


def test_one_point_is_drawn() -> None:
    assert "lam 0" in front_plot("f", POINTS.filter(lam=0.0), "diversity")


def test_another_column_is_refused() -> None:
    with pytest.raises(MatineeError, match=r"no column 'novelty'(.|\n)*use one of (coverage|diversity), "):
        front_plot("f", POINTS, "novelty")
