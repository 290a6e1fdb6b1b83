"""The page of a tuning says what its record says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from test_report_in_browser import layouts
from tuning_samples import a_tuning

from matinee.report.tuning import render


def cells(page: str, table: str) -> list[list[str]]:
    """The rows of the table with this label, as text."""
    (body,) = re.findall(rf'aria-label="{table}">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows
    ]


def test_trials_stand_in_the_order_of_what_they_reached() -> None:
    page = render(a_tuning())
    assert cells(page, "Trials of net") == [
        ["4", "0.2371", "0.03012", "[128, 64]", "1.5", "1.75\u202fs"],
        ["0 recipe", "0.1250", "0.01", "[64]", "none", "1.75\u202fs"],
        ["1", "0.0731", "0.0002", "[128, 64]", "3", "1.75\u202fs"],
        ["3", "pruned", "0.5", "[64]", "2", "1.75\u202fs"],
        ["2", "failed", "0.9", "[64]", "8", "1.75\u202fs"],
    ]
    assert [row[:2] for row in cells(page, "Trials of rater")] == [
        ["1", "0.9800"], ["2", "1.0700"], ["0 recipe", "1.2500"],
    ]  # fmt: skip


def test_hyper_parameters_have_own_and_best_values_and_their_share() -> None:
    page = render(a_tuning())
    assert cells(page, "Hyper-parameters of net") == [
        ["rate", "0.01", "0.03012", "0.0001 to 1 (log)", "62\u202f%"],
        ["layers", "[64]", "[128, 64]", "[64], [128, 64]", "25\u202f%"],
        ["half_life", "none", "1.5", "1 to 9", "12\u202f%"],
    ]
    assert cells(page, "Hyper-parameters of rater") == [["k", "5", "6", "5 to 9", "–"]]


def test_the_take_away_and_the_reasons_are_there_and_escaped() -> None:
    page = render(a_tuning())
    gain = (
        "net: ndcg@10 on valid from 0.1250 to 0.2371 (+89.7\u202f%), on the test from 0.1111 to 0.1222 (+10.0\u202f%), "
        "p\u202f=\u202f.062 (Wilcoxon test)."
    )
    assert gain in page
    assert "rater: rmse on valid from 1.2500 to 0.9800 (-21.6\u202f%); the test was not looked at." in page
    assert "5 trials: 3 done, 1 pruned, 1 failed" in page
    assert "after round 4: at best &lt;0.01&gt;" in page
    assert "thin &lt;ice&gt;" in page
    assert "<friends>" not in page
    assert "0.1001 to 0.1221" in page
    assert "<b>+0.0111</b> -0.0009 to +0.0231; Wilcoxon test, p\u202f=\u202f.062" in page
    assert page == render(a_tuning())


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
@pytest.mark.parametrize(
    ("label", "title", "name"),
    [pytest.param("net", "Films", "rate", marks=pytest.mark.slow), ("n" * 90, "Wort" * 60, "r" * 60)],
)
def test_nothing_overflows(label: str, title: str, name: str, tmp_path: Path) -> None:
    for width, found in layouts(render(a_tuning(label, title, name)), tmp_path).items():
        assert found.shown == width
        assert (found.needed, found.wide, found.cut) == (width, [], [])
