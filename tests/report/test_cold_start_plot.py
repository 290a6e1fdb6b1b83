"""The drawing of cold starts: lines through their numbers, names that do not lie on each other, one colour a model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from matinee.errors import MatineeError
from matinee.report.cold_start import _apart, known_plot, write_known

VALUES = {"ease": [0.1, 0.3, 0.35], "<b>&$x$": [0.1, 0.2, 0.351], "knn": [0.1, 0.25, 0.352], "pop": [0.1, 0.1, 0.05]}
ROWS = [
    (items, model, known, "ndcg", 10, value, value - 0.01, value + 0.01, 9)
    for items, models in (("all", list(VALUES)), ("new", ["knn"]))
    for model in models
    for known, value in zip([0, 5, 25], VALUES[model], strict=True)
]
COLUMNS = ["items", "model", "known", "metric", "k", "value", "ci_low", "ci_high", "n_queries"]
POINTS = pl.DataFrame(ROWS, schema=COLUMNS, orient="row").sample(fraction=1.0, shuffle=True, seed=1)
POINTS = pl.concat([POINTS.filter(model=model) for model in VALUES])  # models in their order, levels in none


def lines(svg: str) -> list[tuple[str, list[tuple[float, float]]]]:
    """Colour and points of each line of three points; y grows downwards."""
    found = re.findall(r'<path d="([^"]*)" clip-path[^>]*style="[^"]*stroke: ([^;"]*)', svg)
    points = [(ink, [(float(x), float(y)) for x, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", d)]) for d, ink in found]
    return [(ink, line) for ink, line in points if len(line) == 3]


def test_lines_go_through_their_numbers() -> None:
    svg = known_plot("k", POINTS)
    drawn = lines(svg)
    assert len(drawn) == 4
    assert len({ink for ink, _ in drawn}) == 4
    heights = np.array([[y for _, y in line] for _, line in drawn])
    values = np.array(list(VALUES.values()))
    slope = np.polyfit(values.ravel(), heights.ravel(), 1)
    np.testing.assert_allclose(np.polyval(slope, values), heights, atol=0.01)
    assert slope[0] < 0
    gaps = np.diff([x for x, _ in drawn[0][1]])
    np.testing.assert_allclose(gaps[0], gaps[1])
    assert "&lt;b&gt;&amp;$x$" in svg
    assert "knn 0: 0.1000, 5: 0.2500, 25: 0.3520" in svg
    assert known_plot("k", POINTS) == svg


def test_a_model_has_one_colour_in_both_drawings() -> None:
    every, alone = lines(known_plot("a", POINTS)), lines(known_plot("n", POINTS, "new"))
    assert [ink for ink, _ in alone] == [every[2][0]]
    with pytest.raises(MatineeError, match="no model was measured on 'new'"):
        known_plot("n", POINTS.filter(items="all"), "new")


@pytest.mark.parametrize("wanted", [[1.0, 2.0, 3.0, 90.0], [5.0], [0.0, 50.0, 50.0, 60.0, 61.0]])
def test_names_keep_apart_and_near(wanted: list[float]) -> None:
    places = _apart(np.array(wanted), 17)
    assert (np.diff(places) >= 17 - 1e-9).all()
    assert abs(places.mean() - np.mean(wanted)) < 1e-9


def test_it_is_written_as_svg(tmp_path: Path) -> None:
    write_known(POINTS, tmp_path / "k.svg")
    assert (tmp_path / "k.svg").read_text("utf-8").startswith("<svg xmlns")
    with pytest.raises(MatineeError, match=r"as \.svg, not as '\.png'"):
        write_known(POINTS, tmp_path / "k.png")
