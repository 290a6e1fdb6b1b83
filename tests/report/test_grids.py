"""What varies among models of one name: found, laid out, drawn where the numbers say, and told beside the drawing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest
from report_studies import HOSTILE
from test_report import page_of, quiet_study

from matinee.report import Study, panels, plots
from matinee.report.grids import Layout, centre, grids, laid_out, leading, varying
from matinee.report.scores import Cell, Row, Table, score_tables

LOSSES: list[dict[str, Any]] = [
    {"loss": "bce", "n_negatives": 1, "negatives_for": "event"},
    {"loss": "sampled", "n_negatives": 256, "negatives_for": "batch"},
    {"loss": "full", "n_negatives": 256, "negatives_for": "batch"},
]
SASREC = [{**loss, "max_len": n, "dim": d} for loss in LOSSES for n, d in product((50, 200, 100), (128, 64))]


def names_of(models: Sequence[Mapping[str, Any]]) -> list[str]:
    return [axis.name for axis in leading(varying(models, models))]


def layouts_of(models: Sequence[Mapping[str, Any]]) -> list[Layout]:
    return laid_out(leading(varying(models, models)))


def table_of(cells: Mapping[str, Cell], *, model: str = "sasrec", metric: str = "ndcg") -> Table:
    rows = tuple(Row(label, model, (cell,)) for label, cell in cells.items())
    return Table("f", "test", None, ((metric, 10),), rows, (9, 9), (0,), 1, False)


# --- what varies ------------------------------------------------------------------------------------------------------


def test_numbers_are_ordered_and_names_stay_as_written() -> None:
    written = [{"d": d, "o": o, "same": 1} for d, o in (("b", 10), ("a", 9), ("c", None), ("b", 0.5))]
    models = [written[2], written[0], written[3], written[1]]
    d, o = varying(models, written)
    assert (d.name, d.levels, d.at, d.number) == ("d", ("b", "a", "c"), (2, 0, 0, 1), False)
    assert (o.name, o.levels, o.at, o.number) == ("o", ("none", "0.5", "9", "10"), (0, 3, 1, 2), True)


def test_what_is_left_out_counts_as_none_and_booleans_as_names() -> None:
    models: list[dict[str, Any]] = [{"gated": True, "h": [128, 64]}, {"gated": False, "half": 5.0, "h": [64]}]
    gated, h, half = varying(models, models)
    assert (gated.levels, gated.number) == (("true", "false"), False)
    assert (half.levels, half.at, half.number) == (("none", "5"), (0, 1), True)
    assert (h.levels, h.number) == (("[128, 64]", "[64]"), False)


def test_what_a_loss_settles_is_no_axis() -> None:
    assert names_of(SASREC) == ["loss", "max_len", "dim"]
    both = [{"loss": loss, "n_negatives": n} for loss, n in (("a", 1), ("b", 5), ("a", 1), ("b", 5))]
    assert names_of(both) == ["loss"], "of two that settle each other, the name"
    heads = [{"dim": d, "n_heads": d // 32, "lr": lr} for d in (32, 64, 128) for lr in (0.1, 0.01)]
    assert names_of(heads) == ["dim", "lr"], "of two numbers, the first"
    tuned = [{"lr": lr, "loss": "ab"[lr > 0.2], "dim": d} for lr in (0.1, 0.2, 0.3, 0.4) for d in (8, 16)]
    assert names_of(tuned) == ["lr", "loss", "dim"], "no number stands for a name"


def test_a_number_that_differs_everywhere_settles_nothing() -> None:
    rng = np.random.default_rng(3)
    drawn = [{"lr": float(rng.random()), "wd": float(rng.random()), "loss": "ab"[i % 2]} for i in range(9)]
    assert names_of(drawn) == ["lr", "wd", "loss"]
    assert [(one.x.name, one.joined) for one in layouts_of(drawn)] == [("lr", False), ("wd", False), ("loss", False)]


# --- how it is laid out -----------------------------------------------------------------------------------------------


def test_the_longest_scale_lies_along_x_names_are_colours_the_rest_panels() -> None:
    (layout,) = layouts_of(SASREC)
    assert (layout.x.name, layout.colour and layout.colour.name) == ("max_len", "loss")
    assert [axis.name for axis in layout.panels] == ["dim"]
    assert (layout.models, layout.joined) == (tuple(range(18)), True)


def test_two_scales_and_names_alone() -> None:
    (numbers,) = layouts_of([{"a": a, "b": b} for a, b in product((1, 2), (1, 2, 3))])
    assert (numbers.x.name, numbers.colour and numbers.colour.name, numbers.panels) == ("b", "a", ())
    (alone,) = layouts_of([{"loss": loss} for loss in "abcd"])
    assert (alone.x.name, alone.colour, alone.panels) == ("loss", None, ())
    assert centre([alone.x]) is None, "all there is to see is one hyper-parameter"
    (words,) = layouts_of([{"p": p, "q": q, "r": r} for p, q, r in product("ab", "abc", "abcd")])
    assert (words.x.name, words.colour and words.colour.name) == ("r", "q")
    assert [axis.name for axis in words.panels] == ["p"]


def test_more_values_than_shapes_are_panels() -> None:
    many = [{"loss": f"l{i}", "n": n} for i in range(len(panels.SHAPES) + 1) for n in (1, 2)]
    (layout,) = layouts_of(many)
    assert (layout.colour, [axis.name for axis in layout.panels]) == (None, ["loss"])
    crowd = [{"loss": f"l{i}", "n": n} for i in range(13) for n in (1, 2)]
    assert [one.x.name for one in layouts_of(crowd)] == ["loss", "n"], "13 panels are too many"


def test_settings_one_at_a_time_are_compared_with_what_they_change() -> None:
    plain: dict[str, object] = {"lr": 0.1, "layers": 3, "optimiser": "adam"}
    changes: list[dict[str, object]] = [
        {"lr": 0.01},
        {},
        {"lr": 1.0},
        {"layers": 1},
        {"optimiser": "nadam"},
        {"optimiser": "rmsprop"},
    ]
    models = [plain | change for change in changes]
    assert centre(leading(varying(models, models))) == 1
    assert [(one.x.name, one.models, one.joined, one.colour) for one in layouts_of(models)] == [
        ("lr", (0, 1, 2), True, None),
        ("layers", (1, 3), True, None),
        ("optimiser", (1, 4, 5), True, None),
    ]
    astray = [*models, {"lr": 9.0, "layers": 9, "optimiser": "adam"}]
    assert centre(leading(varying(astray, astray))) is None
    assert [one.models for one in layouts_of(astray)] == [tuple(range(7))] * 3


def test_half_of_a_cross_is_enough() -> None:
    cross = [{"a": a, "b": b} for a, b in product((1, 2, 3), (4, 5, 6, 7)) if (a + b) % 2]
    assert len(cross) == 6
    assert [one.joined for one in layouts_of(cross)] == [True]
    assert [one.joined for one in layouts_of([*cross[:1], *cross[2:]])] == [False, False]


# --- what the page says -----------------------------------------------------------------------------------------------


def study_of(models: Mapping[str, Mapping[str, Any]]) -> Study:
    """All models EASE but the first."""
    return replace(quiet_study(labels=["popularity", *models]), hyper_parameters={"popularity": {}, **models})


@pytest.fixture(scope="module")
def crossed() -> Study:
    return study_of({f"e{at}": {"max_len": n, "loss": loss, "dim": d} for at, (loss, n, d) in enumerate(
        product(("bce", "ce"), (50, 100, 200), (8, 16)))})  # fmt: skip


def test_the_page_draws_and_tells_a_grid(crossed: Study) -> None:
    page = page_of(crossed)
    assert page.words.count("EASE by its hyper-parameters") == 1
    assert "popularity by its hyper-parameters" not in page.words
    first = score_tables(crossed.metrics, crossed.protocols, crossed.per_query)[0]
    values = {row.label: row.cells[0] for row in first.rows}
    metric, k = first.columns[0]
    expected = []
    for dim in (8, 16):
        texts = []
        for label, said in crossed.hyper_parameters.items():  # by loss, then by length, as `crossed` has them
            if said.get("dim") == dim:
                cell = values[label]
                assert cell is not None
                assert cell.half is not None
                value = f"{cell.value:.4f}\u00a0±\u202f{cell.half:.4f}"
                texts.append(f"loss {said['loss']}, max_len {said['max_len']}: {value}")
        assert len(texts) == 6
        expected.append(f"ease, {metric}@{k} by max_len, dim {dim}. {'; '.join(texts)}")
    found = [v for t, n, v in page.attributes if t == "svg" and n == "aria-label" and "by max_len" in v]
    assert found == expected
    assert "loss ● bce ■ ce" in page.words


def test_the_table_is_sorted_and_holds_each_model_once(crossed: Study) -> None:
    (found,) = grids(crossed, score_tables(crossed.metrics, crossed.protocols, crossed.per_query))
    said = crossed.hyper_parameters
    assert found["names"] == ["max_len", "loss", "dim"]
    assert sorted(label for label, *_ in found["rows"]) == sorted(set(said) - {"popularity"})
    assert [cell.value for _, cell, _ in found["rows"]] == sorted((c.value for _, c, _ in found["rows"]), reverse=True)
    for label, _, levels in found["rows"]:
        assert levels == [str(said[label][name]) for name in found["names"]]


@pytest.mark.usefixtures("no_drawings")
def test_fewer_than_four_or_all_alike_are_no_grid(crossed: Study) -> None:
    few = study_of({f"e{i}": {"l2": i} for i in range(3)})
    assert "by its hyper-parameters" not in page_of(few).words
    alike = study_of({f"e{i}": {"l2": 1.0} for i in range(5)})
    assert "by its hyper-parameters" not in page_of(alike).words
    assert "by its hyper-parameters" not in page_of(replace(crossed, hyper_parameters={})).words
    assert grids(replace(crossed, metrics=pl.DataFrame()), []) == []


def test_models_that_were_not_measured_are_left_out() -> None:
    said = {f"m{i}": {"k": i} for i in range(6)}
    cells = {label: Cell(0.1, 0.01, (0.1,)) for label in list(said)[:5]}
    table = table_of(cells)
    table = replace(table, rows=(*table.rows, Row("m5", "sasrec", (None,))))
    (found,) = grids(replace(quiet_study(), hyper_parameters=said), [table])
    assert [label for label, *_ in found["rows"]] == list(cells)


def test_errors_say_that_less_is_better() -> None:
    study = replace(quiet_study(), hyper_parameters={f"m{i}": {"k": i} for i in range(4)})
    cells = {f"m{i}": Cell(0.9 + i / 10, None, (0.9,)) for i in range(4)}
    assert grids(study, [table_of(cells, metric="rmse")])[0]["lower"]
    assert not grids(study, [table_of(cells)])[0]["lower"]


def test_names_of_values_are_only_text() -> None:
    study = study_of({f"e{i}": {"how": HOSTILE[i % 4], "text": "人気の高い映画 $\\frac{1}{2}$"[i:]} for i in range(4)})
    page = page_of(study)
    assert "by its hyper-parameters" in page.words
    assert set(page.tags) <= set(page_of(quiet_study(labels=["popularity", "x"])).tags) | {"use"}
    assert "label-0" not in page.html


def test_ids_stay_unique_with_several_grids(crossed: Study) -> None:
    tables = score_tables(crossed.metrics, crossed.protocols, crossed.per_query)
    one = grids(crossed, tables)
    again = grids(crossed, [replace(tables[0], rows=tuple(replace(r, model="slim") for r in tables[0].rows[:-1]))])
    svgs = [str(plot.svg) for group in (*one, *again) for plot in group["plots"]]
    ids = [found for svg in svgs for found in set(re.findall(r' id="([^"]+)"', svg))]
    assert len(svgs) >= 4
    assert len(set(ids)) == len(ids) > 0


# --- where marks lie --------------------------------------------------------------------------------------------------


def drawn(svg: str) -> tuple[list[tuple[float, float]], list[tuple[float, float, float, float]]]:
    """Places of marks, and ends of bars (the straight lines as wide as bars are): x, y in px, y downwards."""
    uses = re.findall(r'<use href="[^"]*" x="([\d.]+)" y="([\d.]+)" style="[^"]*--paper', svg)  # ticks have no edge
    marks = [(float(x), float(y)) for x, y in uses]
    bars = re.findall(r'd="M ([\d.]+) ([\d.]+) \nL ([\d.]+) ([\d.]+) \n"[^>]*stroke-width: 1\.25', svg)
    return marks, [(float(a), float(b), float(c), float(d)) for a, b, c, d in bars]


@pytest.mark.parametrize("numbers", [True, False])
def test_panels_share_a_scale_and_bars_are_intervals(numbers: bool) -> None:
    """Through both panels one linear function takes values to px; each bar ends where it takes the interval's ends."""
    levels = ["1", "2", "4"]
    cells = [Cell(v, h, (v,)) for v, h in ((0.2, 0.05), (0.5, 0.1), (0.35, 0.02), (0.8, 0.15), (0.1, 0.01))]
    scale = panels.Scale("k", levels, numbers, 0, (0.05, 0.95))
    values, places = [], []
    for name, some in (("a", cells[:3]), ("b", cells[3:])):
        marks, bars = drawn(
            panels.panel(name, scale, [panels.Mark(at, c) for at, c in enumerate(some)], "x", joined=False)
        )
        assert len(marks) == len(bars) == len(some)
        for cell, mark, bar in zip(some, marks, bars, strict=True):
            assert cell.half is not None
            values += [cell.value, cell.value - cell.half, cell.value + cell.half]
            places += [mark[numbers], bar[numbers], bar[2 + numbers]]
    slope, start = np.polyfit(values, places, 1)
    assert np.abs(np.polyval([slope, start], values) - places).max() < 0.01
    assert (slope < 0) == numbers, "up where levels lie along x, else to the right"


def test_series_keep_their_side_and_levels_equal_distances() -> None:
    scale = panels.Scale("k", ["10", "100", "5000"], True, 3, (0, 1))
    cells = [Cell(0.5, None, (0.5,))] * 3
    svg = panels.panel("s", scale, [panels.Mark(at, cells[0], s) for s in (0, 2) for at in range(3)], "x", joined=True)
    xs = np.array([x for x, _ in drawn(svg)[0]]).reshape(2, 3)
    assert np.ptp(np.diff(xs, axis=1)) < 0.01
    ticks = re.findall(r'<use href="[^"]*" x="([\d.]+)" y="[\d.]+" style="[^"]*--line', svg)[:3]
    assert np.allclose(xs.mean(axis=0), [float(x) for x in ticks], atol=0.01), (
        "the middle one has the level's own place"
    )
    gap = xs[1] - xs[0]
    assert np.ptp(gap) < 0.01
    assert 0 < gap[0] < np.diff(xs[0])[0] / 2
    assert set(re.findall(r"--hue\d", svg)) == {"--hue1", "--hue3"}
    assert svg.count("opacity: 0.5") == 2, "a line joins each series"
    assert "opacity" not in panels.panel("t", scale, [panels.Mark(0, cells[0], 0)], "x", joined=False)


def test_equal_values_have_room() -> None:
    scale = panels.Scale("k", ["1", "2"], True, 0, (0.5, 0.5))
    marks, _ = drawn(
        panels.panel("e", scale, [panels.Mark(at, Cell(0.5, None, (0.5,))) for at in (0, 1)], "x", joined=True)
    )
    assert marks[0][1] == marks[1][1]


def test_ticks_are_thinned_where_they_have_no_room() -> None:
    levels = [f"{1000 + i}.5" for i in range(20)]
    cell = Cell(0.5, None, (0.5,))
    svg = panels.panel("e", panels.Scale("k", levels, True, 0, (0, 1)), [panels.Mark(3, cell)], "x", joined=False)
    shown = [level for level in levels if f">{level}<" in svg]
    assert shown == levels[::3], "20 times 7 digits are 3 times as wide as the axis"


def test_more_than_a_hundred_labels_all_take_their_places() -> None:
    rows = [plots.Dot(f"model {i}", Cell(i / 200, None, (i / 200,))) for i in range(120)]
    svg = plots.dots("many", rows, "x")
    assert "label-" not in svg
    assert [f">model {i}<" in svg for i in (0, 9, 99, 100, 119)] == [True] * 5
