"""The progress of the best score: what the page and the drawing say, and that nothing of a label runs loose."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np
from report_studies import HOSTILE

from matinee.report import plots, score_progress
from matinee.report.steps import ScoreStep


def steps_of(values: Sequence[float], labels: Sequence[str] = ("ease",)) -> list[ScoreStep]:
    best = np.maximum.accumulate(values)
    return [
        ScoreStep(
            f"run {at}", f"2026-01-{at + 1:02d}T10:20:30.000+00:00", labels[at % len(labels)], value, value - 0.01,
            value + 0.01, float(best[at]), at == 0 or bool(best[at] > best[at - 1]),
        )
        for at, value in enumerate(values)
    ]  # fmt: skip


VALUES = [0.0722, 0.0523, 0.0767, 0.0763, 0.0930, 0.0916]


def test_the_page_has_each_run_and_the_best_so_far() -> None:
    steps = steps_of(VALUES)
    page = score_progress.page(steps, "ndcg@10", ["a note"])
    rows = page.partition("<tbody>")[2].partition("</tbody>")[0].split("</tr>")[:-1]
    assert len(rows) == len(steps)
    for row, step in zip(rows, steps, strict=True):
        assert step.run in row
        assert f"{step.value:.4f}" in row
        assert row.rstrip().endswith(f"<td>{step.best:.4f}</td>")
        assert ('class="best"' in row) == step.improved
    assert "From 0.0722 to 0.0930 in 6 runs, by ease of run 4." in page
    assert "2026-01-01 10:20" in page
    assert "a note" in page
    assert "http" not in page.replace("http://www.w3.org/", "")


def test_labels_are_escaped_and_named_at_the_improvements() -> None:
    steps = steps_of([0.1, 0.2, 0.3, 0.4], HOSTILE)
    page = score_progress.page(steps, "ndcg@10", [])
    assert "<script>" not in page
    assert "onerror=" not in page.replace("&gt;", "").partition("<svg")[0]
    drawn = ET.fromstring(score_progress.svg_file(steps, "ndcg@10"))
    texts = {"".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert set(map(plots.shorten, HOSTILE)) <= texts


def test_names_do_not_run_into_each_other() -> None:
    steps = steps_of([0.100, 0.101, 0.102, 0.2], ["a", "b", "c", "d"])
    drawn = ET.fromstring(score_progress.svg_file(steps, "ndcg@10"))
    texts = {"".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"c", "d"} <= texts
    assert not {"a", "b"} & texts


def test_one_run_or_an_unknown_interval_is_drawn_too() -> None:
    (step,) = steps_of([0.5])
    lonely = ScoreStep(step.run, step.finished, step.label, 0.5, float("nan"), float("nan"), 0.5, True)
    assert "<td>–</td>" in score_progress.page([lonely], "rmse", [])
    assert "0.5000, since run 1" in score_progress.drawing([lonely], "rmse")


def test_equal_steps_give_equal_bytes() -> None:
    assert score_progress.page(steps_of(VALUES), "mrr@5", []) == score_progress.page(steps_of(VALUES), "mrr@5", [])
