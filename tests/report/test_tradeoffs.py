"""Accuracy against cost: the models that no other one beats in both, by looking at all pairs."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from test_report import analysis_of, page_of, quiet_study

from matinee.report.page import render
from matinee.report.palette import looks
from matinee.report.scatter import Across, Spot, front, scatter
from matinee.report.scores import Cell

LABELS = [f"model {at}" for at in range(9)]


def spots(seed: int) -> list[Spot]:
    """Coarse numbers, so that some are equal."""
    rng = np.random.default_rng(seed)
    look = looks(LABELS)
    xs, ys = rng.integers(1, 6, 9) / 10, rng.integers(1, 6, 9) / 10
    return [
        Spot(label, float(x), Cell(float(y), 0.05, (float(y),)), look[label])
        for label, x, y in zip(LABELS, xs, ys, strict=True)
    ]


@pytest.mark.parametrize(("seed", "less", "lower"), list(itertools.product(range(5), (True, False), (True, False))))
def test_nobody_beats_those_of_the_front(seed: int, less: bool, lower: bool) -> None:
    some = spots(seed)
    side, up = 1 if less else -1, 1 if lower else -1

    def beats(a: Spot, b: Spot) -> bool:
        mine, theirs = (side * a.x, up * a.cell.value), (side * b.x, up * b.cell.value)
        return mine != theirs and mine[0] <= theirs[0] and mine[1] <= theirs[1]

    found = front(some, Across("seconds", str, less_is_better=less), lower=lower)
    points = {(spot.x, spot.cell.value) for spot in found}
    assert points == {(s.x, s.cell.value) for s in some if not any(beats(other, s) for other in some)}
    assert [spot.x for spot in found] == sorted(spot.x for spot in found)


def test_each_model_has_its_mark_and_most_have_their_name() -> None:
    some = [Spot(s.label, s.x + at / 100, s.cell, s.look) for at, s in enumerate(spots(3))]
    svg = scatter("s", some, "recall@5", Across("share", str, less_is_better=False), "x", lower=False)
    assert {f"--hue{hue}" for hue in range(1, 8)} <= set(svg.replace(")", " ").replace("(", " ").split())
    assert sum(f">{label}<" in svg for label in LABELS) >= 6


def test_the_page_sets_accuracy_against_four_things() -> None:
    page = page_of(quiet_study())
    drawn = [v for t, n, v in page.attributes if t == "svg" and n == "aria-label" and v.startswith("Accuracy against")]
    assert [text.split(". ")[0].removeprefix("Accuracy against ") for text in drawn] == [
        "seconds to fit", "seconds to answer the test", "coverage", "popular picks",
    ]  # fmt: skip
    assert not any(text.startswith("Accuracy") for text in page_of(quiet_study(labels=["popularity"])).words.split())


def test_a_line_leads_from_a_base_to_what_orders_its_lists_anew() -> None:
    """In the order of lam; what differs in more than lam begins a line of its own."""
    study = quiet_study(labels=["popularity", "b", "near", "far", "other"])
    said = {"base": "b", "places": 5}
    values = {"near": said | {"lam": 0.25}, "far": said | {"lam": 0.75}, "other": said | {"lam": 0.5, "places": 7}}
    analysis = analysis_of(study)
    page = render(replace(study, hyper_parameters=values, analysis=analysis))
    drawn = re.findall(r'aria-label="Accuracy against ([^.]*)', page)
    assert drawn[2:] == ["coverage", "diversity", "calibration error", "popular picks"]
    assert "by lam: b to near and far and b to other." in page
    plain = render(replace(study, analysis=analysis))
    assert "by lam" not in plain
    assert "Accuracy against calibration" not in plain


def test_a_line_goes_through_its_marks_in_order() -> None:
    some = spots(1)[:4]
    across = Across("share", str)
    plain = scatter("s", some, "recall@5", across, "x", lower=False)
    joined = scatter("s", some, "recall@5", across, "x", lower=False, lines=[[some[2].label, some[0].label]])
    (added,) = set(re.findall(r'<path d="(M[^"]*)"', joined)) - set(re.findall(r'<path d="(M[^"]*)"', plain))
    points = [tuple(map(float, point)) for point in re.findall(r"[ML] ([\d.]+) ([\d.]+)", added)]
    assert len(points) == 2
    # x grows to the right, y downwards
    assert np.sign(points[1][0] - points[0][0]) == np.sign(some[0].x - some[2].x)
    assert np.sign(points[0][1] - points[1][1]) == np.sign(some[0].cell.value - some[2].cell.value)
