"""HTML for notebooks: whole, escaped, small, without scripts, in colours of the notebook."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from contract.logs import groups, log
from matinee import errors, notebook, split
from matinee.data.dataset import Dataset
from matinee.evaluate import evaluate
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.popularity import Popularity
from matinee.models.slim import SLIM
from matinee.rank import recommend

NASTY = "<script>alert('x')</script>&\"quoted\""


class Page(HTMLParser):
    """The tags of a page, each closed where it was opened, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.opened == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.opened.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.opened[-1] != "style":
            self.texts.append(data)


@cache
def things() -> dict[str, object]:
    """One of each, with names that would be tags."""
    plain = groups()
    items = pl.DataFrame({"title": [f"{NASTY} {i}" for i in range(plain.n_items)]})
    context = pl.DataFrame({NASTY: [NASTY] * len(plain), "genres": [["a", NASTY]] * len(plain)})
    data = replace(plain, name=NASTY, item_features=items, context=context)
    parts = split.random(data, seed=1)
    model = EASE().fit(parts.train)
    recs = recommend(model, parts.test.queries, 10)
    return {
        "data": data,
        "split": parts,
        "holdout": parts.test,
        "model": model,
        "not fitted": Ensemble(members=["ease", "item_knn"]),
        "recs": recs,
        "evaluation": evaluate(recs, parts.test, k=10, label=NASTY),
    }


def html_of(thing: object) -> str:
    page: str = thing._repr_html_()  # type: ignore[attr-defined]
    return page


@pytest.mark.parametrize("kind", ["data", "split", "holdout", "model", "not fitted", "recs", "evaluation"])
def test_whole_escaped_small_and_in_the_notebooks_colours(kind: str) -> None:
    text = html_of(things()[kind])
    page = Page(text)
    assert page.tags <= {"div", "style", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert len(text) < 9_000
    colours = re.findall(r"(?:color|background)[\w-]*:\s*([^;}]+)", text)
    assert set(colours) <= {"inherit", "none"}
    assert set(re.findall(r"#[0-9a-f]{3,6}\b|rgba?\([^)]*\)", text)) <= {
        "rgba(128,128,128,.6)",
        "rgba(128,128,128,.22)",
    }


def test_a_log_shows_its_size_and_first_rows() -> None:
    data = log(["a", "b", "a", "c", "c", "c"], [1, 2, 2, 1, 3, 1], range(0, 6 * 86_400, 86_400), [1, 2, 5, 4.5, 3, 1])
    page = Page(html_of(data))
    assert page.texts[0] == "log: 6 events, 3 users, 3 items"
    assert page.texts[1] == "ratings 1 to 5 · 1970-01-01 to 1970-01-06"
    assert page.texts[2:6] == ["user_id", "item_id", "rating", "time"]
    assert page.texts[6:10] == ["a", "1", "1", "1970-01-01 00:00:00"]
    assert page.texts[-5:] == ["c", "3", "3", "1970-01-05 00:00:00", "… 1 more event; to_frame() gives them all"]


def test_a_log_of_one_event_and_times_no_date_can_name() -> None:
    one = log(["a"], [1], [2**45])
    assert Page(html_of(one)).texts == [
        "log: 1 event, 1 user, 1 item", "user_id", "item_id", "time", "a", "1", str(2**45)
    ]  # fmt: skip


def test_an_empty_log() -> None:
    data: Dataset = groups().rows(np.array([], np.int64))
    assert Page(html_of(data)).texts[0] == f"{data.name}: 0 events, {data.n_users} users, {data.n_items} items"


def test_a_split_shows_its_parts() -> None:
    parts = split.random(groups(), seed=3)
    texts = Page(html_of(parts)).texts
    users, items = len(np.unique(parts.train.user)), len(np.unique(parts.train.item))
    assert texts[:3] == [
        "Split",
        "train",
        f"log: {len(parts.train):,} events, {users} users with events (of 91), {items} items with events (of 71)",
    ]
    answers = len(parts.test.truth.values)
    assert texts[5:7] == ["test", f"{len(parts.test)} queries, {answers:,} hidden answers"]
    assert "seed 3" in texts


def test_a_model_shows_hyper_parameters_and_what_it_was_fitted_on() -> None:
    model = EASE(l2=20)
    texts = Page(html_of(model)).texts
    assert texts[:2] == ["EASE", "not fitted"]
    assert texts[texts.index("l2") + 1 :][:2] == ["20", "ridge on the Gram diagonal"]
    texts = Page(html_of(model.fit(groups()))).texts
    assert texts[1].startswith("fitted on log: 773 events")
    assert Page(html_of(Popularity())).tags >= {"p"}
    members = Page(html_of(Ensemble(members=[EASE(l2=1), SLIM()]))).texts
    assert members[members.index("members") + 1] == "EASE(l2=1.0), SLIM()"


def test_an_evaluation_shows_means_and_the_protocol() -> None:
    parts = split.random(groups(), seed=1)
    recs = recommend(EASE().fit(parts.train), parts.test.queries, 10)
    result = evaluate(recs, parts.test, k=10, metrics=["recall"], label="ease")
    texts = Page(html_of(result)).texts
    mean = result.mean("recall", 10)
    assert texts[:5] == ["Evaluation", "model", "recall@10", "ease", f"{mean.value:.4f} ± {mean.half:.4f}"]
    assert f"{parts.test.protocol} [{parts.test.protocol.fingerprint}]" in texts


@pytest.mark.parametrize(
    ("n", "noun", "words"), [(1, "query", "1 query"), (0, "query", "0 queries"), (1234, "item", "1,234 items")]
)
def test_counts_in_words(n: int, noun: str, words: str) -> None:
    assert errors.counted(n, noun) == words


def test_long_cells_are_cut() -> None:
    assert notebook.shortened("a" * 200) == "a" * 159 + "…"
    assert "a" * 161 not in notebook.html_table(["x"], [["a" * 200]])
