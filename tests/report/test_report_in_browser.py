"""A real browser lays the page out: nothing overflows sideways, and no label of a plot is cut, at 1440 and 390 px."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from report_studies import HOSTILE, WORLD, make_data
from test_report import analysis_of, quiet_study

from matinee.report import Study
from matinee.report.page import render

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1600,1200",
]

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine (apt-get install chromium)")

WIDTHS = (1440, 390)

# A window cannot be made narrower than about 500 px, a frame can; and a frame given as text may be looked into.
FRAME = '<iframe style="border:0;width:%dpx;height:1200px" srcdoc="%s"></iframe>'
MEASURE = """
<!doctype html><meta charset="utf-8">
%s<pre id="found"></pre>
<script>
const measured = frame => {
  const page = frame.contentDocument, root = page.documentElement, wide = [], cut = [];
  const name = e => e.tagName + "." + (e.getAttribute("class") || "") + " " + e.textContent.slice(0, 40);
  for (const e of page.body.querySelectorAll("*")) {
    const box = e.getBoundingClientRect();
    if (!e.parentElement.closest(".scroll, svg, .unseen") && (box.right > root.clientWidth + 1 || box.left < -1))
      wide.push(name(e));
  }
  for (const e of page.querySelectorAll("svg text")) {
    const box = e.getBoundingClientRect(), frame = e.closest("svg").getBoundingClientRect();
    if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1) cut.push(name(e));
  }
  const sideways = Array.from(page.querySelectorAll("main .scroll")).filter(e => e.scrollWidth > e.clientWidth + 1)
    .map(e => e.getAttribute("aria-label"));
  return {shown: root.clientWidth, needed: root.scrollWidth, wide, cut, sideways};
};
onload = () => {
  const found = Array.from(document.querySelectorAll("iframe"), measured);
  document.getElementById("found").textContent = JSON.stringify(found);
};
</script>
"""


USE = """
<!doctype html><meta charset="utf-8">
%s<pre id="found"></pre>
<script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument, table = page.querySelector("table.sortable");
  const order = () => Array.from(table.querySelectorAll("tbody tr"))
    .map(row => [row.getBoundingClientRect().top, Array.from(row.children, cell => cell.innerText)])
    .sort((a, b) => a[0] - b[0]).map(row => row[1]);
  const before = order();
  table.querySelector("input.by1").click();
  const after = order();
  page.documentElement.style.scrollBehavior = "auto";
  page.querySelector("#protocol").scrollIntoView();
  const found = {before, after, top: page.querySelector("nav").getBoundingClientRect().top,
    scrolled: page.defaultView.scrollY, scripts: page.scripts.length};
  document.getElementById("found").textContent = JSON.stringify(found);
};
</script>
"""


@dataclass(frozen=True)
class Layout:
    """shown: px there are. needed: px the content takes. wide, cut: elements beyond the page, labels beyond a plot.
    sideways: tables that are wider than their place."""

    shown: int
    needed: int
    wide: list[str]
    cut: list[str]
    sideways: list[str]


def layouts(page: str, folder: Path) -> dict[int, Layout]:
    """The layout of the page at each width, by one start of the browser."""
    frames = [FRAME % (width, html.escape(page)) for width in WIDTHS]
    found = _found_by(MEASURE % "\n".join(frames), folder)
    return dict(zip(WIDTHS, (Layout(**each) for each in found), strict=True))


def _found_by(text: str, folder: Path) -> Any:
    """What a page's script leaves as JSON in #found."""
    wrapper = folder / "wrapper.html"
    wrapper.write_text(text, encoding="utf-8")
    assert BROWSER is not None
    command = [BROWSER, *QUIET, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run([*command, wrapper.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    return json.loads(html.unescape(found[1]))


PAGES = {
    "ordinary": lambda: quiet_study(seeds=(0, 1)),
    "awkward": lambda: quiet_study(
        make_data(titles=WORLD + HOSTILE),
        labels=["popularity", "人気の高い映画を推薦する簡単なモデルです", "W" * 90, *(f"model_{i}" for i in range(9))],
        k=(1, 2, 3, 5),
        title="Wort" * 60,
        command="/a/very/long/path" * 30,
    ),
    "a grid": lambda: _grid([{"n": n, "loss": "sampled_softmax_of_" + x} for n in (1, 50, 200) for x in "abcdefg"]),
    "a crowded grid": lambda: _grid(
        [{"rate": 0.123456 * n, "loss": name} for n in range(1, 16) for name in ("W" * 40, "人気" * 20)]
    ),
    "settings apart": lambda: _grid(
        [
            *(
                {"n": 9, "loss": loss}
                for loss in ("人気の高い映画を推薦する", *("name" * 9 + str(i) for i in range(4)))
            ),
            *({"n": n, "loss": "人気の高い映画を推薦する"} for n in (0.1234567, 100_000)),
        ]
    ),
}


def _grid(models: list[dict[str, Any]]) -> Study:
    said = {f"model_of_a_grid_{at:02d}": keys for at, keys in enumerate(models)}
    study = quiet_study(labels=["popularity", *said], k=(3,))
    return replace(study, hyper_parameters=said)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "awkward" else [pytest.mark.slow]) for name in PAGES]
)
def test_nothing_overflows(name: str, tmp_path: Path) -> None:
    for width, found in layouts(render(PAGES[name]()), tmp_path).items():
        assert found.shown == width
        assert (found.needed, found.wide, found.cut) == (width, [], [])


def test_no_table_of_an_ordinary_run_scrolls_on_a_screen(tmp_path: Path) -> None:
    """With everything that is known of the lists of twelve models, whose genres have long names."""
    genres = pl.Series([["Documentary" if at % 3 else "Children's", "Film-Noir", f"Genre {at}"] for at in range(40)])
    data = make_data()
    assert data.item_features is not None
    data = replace(data, item_features=data.item_features.with_columns(genres=genres))
    study = quiet_study(data, labels=["popularity", *(f"model_{at}" for at in range(11))], k=(5, 10))
    found = analysis_of(study)
    page = layouts(render(replace(study, analysis=found)), tmp_path)
    assert page[1440].sideways == []
    assert "Table: Most frequent genres" in page[390].sideways


def test_what_overflows_is_found(tmp_path: Path) -> None:
    """The measure itself: a wide table outside its container and a label outside its plot are both named."""
    page = render(PAGES["ordinary"]()).replace('class="scroll"', 'class="not-scroll"', 1)
    page = page.replace("<figure><figcaption>", '<figure><p style="width:500px">wide</p><figcaption>', 1)
    page = re.sub(r'(<text style="[^"]*" x=")[\d.]+', r"\g<1>430", page, count=1)
    found = layouts(page, tmp_path)[390]
    assert found.needed > 390
    assert any("wide" in one for one in found.wide)
    assert len(found.cut) == 1


def test_tables_are_sorted_and_navigation_stays_without_a_script(tmp_path: Path) -> None:
    study = quiet_study(labels=[f"model_{at}" for at in range(6)])
    found = _found_by(USE % (FRAME % (1440, html.escape(render(study)))), tmp_path)
    before, after = (
        [(row[0], [_number(cell) for cell in row[1:]]) for row in found[key]] for key in ("before", "after")
    )
    assert [row[1][0] for row in before] == sorted((row[1][0] for row in before), reverse=True)
    assert [row[1][1] for row in after] == sorted((row[1][1] for row in after), reverse=True)
    assert sorted(before) == sorted(after)
    assert before != after, "the columns order the models differently, or this shows nothing"
    assert found["top"] == 0
    assert found["scrolled"] > 1000
    assert found["scripts"] == 0


def _number(cell: str) -> float:
    found = re.search(r"\d\.\d{4}", cell)
    assert found is not None
    return float(found[0])
