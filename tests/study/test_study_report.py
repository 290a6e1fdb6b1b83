"""The numbers on a report's page are those of metrics.json: tables, and the sentences that it opens with."""

from __future__ import annotations

import re
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from matinee.study.run import run_study
from study.conftest import RANDOM, recipe_of, rows_of

SEEDS = (0, 1)
LEAVE_ONE_OUT = '[split]\nstrategy = "leave_one_out"\n'
MODELS = """
[[model]]
name = "popularity"
[[model]]
name = "ease"
l2 = 10.0
[[model]]
name = "item_knn"
label = "my_knn"
[[model]]
name = "ensemble"
members = ["ease", "my_knn"]
"""
NAMES = {"Popularity": "popularity", "EASE": "ease", "my_knn": "my_knn", "Ensemble": "ensemble"}


class Tables(HTMLParser):
    """Each table of scores as (model, column) -> the texts of its cell; and the sentences of the take-away."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[dict[tuple[str, str], list[str]]] = []
        self.sentences: list[str] = []
        self.columns: list[str] = []
        self.row, self.at, self.where, self.hidden = "", 0, "", False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "table" and "scores" in named.get("class", ""):
            self.tables.append({})
            self.columns, self.where = [], "table"
        elif tag == "ul" and named.get("class") == "sentences":
            self.where = "sentences"
        elif self.where == "sentences" and tag == "li":
            self.sentences.append("")
        elif self.where == "table" and tag == "input":
            self.columns.append(named["aria-label"].removeprefix("sort by "))
        elif self.where == "table" and tag == "tr":
            self.row, self.at = "", -1
        elif self.where == "table" and tag == "td":
            self.at += 1
        self.hidden = named.get("aria-hidden") == "true" or (tag == "small" and self.at < 0)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("table", "ul"):
            self.where = ""
        self.hidden = False

    def handle_data(self, data: str) -> None:
        text = data.strip().strip("\u00a0")
        if self.where == "sentences" and text:
            self.sentences[-1] += data
        elif self.where == "table" and text and not self.hidden and self.columns:
            if self.at < 0:
                self.row += text
            else:
                self.tables[-1].setdefault((self.row, self.columns[self.at]), []).append(text)


def page_of(run: Path) -> Tables:
    found = Tables((run / "report.html").read_text("utf-8"))
    for table in found.tables:
        for key in [key for key in table if key[0] not in NAMES]:
            del table[key]  # the head's own words
    return found


@pytest.fixture(scope="module", params=[RANDOM, LEAVE_ONE_OUT], ids=["random", "leave one out"])
def run(request: pytest.FixtureRequest, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    measured = '[evaluate]\nk = [3, 5]\nmetrics = ["recall", "ndcg", "hit_rate", "mrr", "map", "precision"]\n'
    text = f'title = "n"\nseeds = {list(SEEDS)}\n[data]\nsource = "{log}"\n{request.param}{measured}{MODELS}'
    run_study(recipe_of(folder, text), folder / "run")
    return folder / "run"


def means(run: Path, split: str) -> dict[tuple[str, str], tuple[float, float]]:
    """(label, metric@k) -> the mean over seeds, and of half of the intervals."""
    values = defaultdict(list)
    for row in rows_of(run):
        if row["split"] == split:
            values[row["label"], f"{row['metric']}@{row['k']}"].append(row)
    return {
        key: (
            float(np.mean([r["value"] for r in rows])),
            float(np.mean([(r["ci_high"] - r["ci_low"]) / 2 for r in rows])),
        )
        for key, rows in values.items()
    }


def test_the_tables_hold_the_means(run: Path) -> None:
    page = page_of(run)
    for split, tables in (
        ("test", page.tables[: len(page.tables) // 2]),
        ("valid", page.tables[len(page.tables) // 2 :]),
    ):
        expected = means(run, split)
        shown: dict[tuple[str, str], list[str]] = {}
        for table in tables:
            shown |= table
        one_answer = "leave" in (run / "recipe.toml").read_text()
        assert {column for _, column in shown} == (
            {f"{metric}@{k}" for metric in ("recall", "ndcg", "mrr") for k in (3, 5)}
            if one_answer
            else {column for _, column in expected}
        )
        assert len(shown) == len(NAMES) * len({column for _, column in shown})
        for (name, column), texts in shown.items():
            mean, half = expected[NAMES[name], column]
            assert f"{mean:.4f}" in texts
            assert any(re.fullmatch(rf"±\u202f{half:.4f}|[\d.]+ to [\d.]+", text) for text in texts), texts


def test_the_sentences_hold_the_means(run: Path) -> None:
    page, expected = page_of(run), means(run, "test")
    first = page.sentences[0]
    name, more, other, mine, theirs = re.match(
        r"(\w+) finds ([\d.,]+)\u202f% more of what was hidden than (\w+) \(recall@3 ([\d.]+) against ([\d.]+)\), p",
        first,
    ).groups()  # type: ignore[union-attr]
    values = {label: expected[label, "recall@3"][0] for label in NAMES.values()}
    best = NAMES[name]
    assert values[best] == max(values.values())
    assert other == "Popularity"
    assert (mine, theirs) == (f"{values[best]:.4f}", f"{values['popularity']:.4f}")
    exact = 100 * (values[best] / values["popularity"] - 1)
    assert float(more.replace(",", "")) == pytest.approx(exact, abs=0.5)

    (joined,) = [text for text in page.sentences if "together (Ensemble)" in text]
    top = max(("ease", "my_knn"), key=values.__getitem__)
    assert f"(recall@3 {values['ensemble']:.4f} against {values[top]:.4f})" in joined
    assert _p(joined) == pytest.approx(_paired(run, "ensemble", top), abs=0.0006)


def _p(text: str) -> float:
    found = re.search(r"p\u202f([=<])\u202f(\.\d+)", text)
    assert found is not None
    return 0.0 if found[1] == "<" else float(found[2])


def _paired(run: Path, one: str, other: str) -> float:
    """scipy's paired t-test of users, over whose queries and seeds values are summed."""
    rows = pl.read_parquet(run / "metrics.parquet").filter(
        (pl.col("split") == "test") & (pl.col("metric") == "recall") & (pl.col("k") == 3)
    )
    sums = {
        label: rows.filter(pl.col("label") == label).group_by("user_id").agg(pl.col("value").sum()).sort("user_id")
        for label in (one, other)
    }
    a, b = (sums[label]["value"].to_numpy() for label in (one, other))
    return 1.0 if (a == b).all() else float(stats.ttest_rel(a, b).pvalue)


def test_what_repeats_is_said_in_a_line(run: Path) -> None:
    html = " ".join(re.sub(r"<[^>]*>", " ", (run / "report.html").read_text("utf-8")).split())
    said = html.count("so hit_rate is recall, map is mrr and precision is recall divided by k: shown once.")
    assert said == (2 if "leave" in (run / "recipe.toml").read_text() else 0)
