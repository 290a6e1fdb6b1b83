"""The sentences that a report opens with, from numbers that are known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from test_report import page_of, quiet_study
from test_scores import metrics, per_query

from matinee.data.dataset import Protocol
from matinee.evaluate import Finding
from matinee.explore.recommended import ListFigures
from matinee.report import Study
from matinee.report.format import p_words
from matinee.report.scores import score_tables
from matinee.report.takeaway import sentences

USERS = list(range(60))
PROTOCOL = Protocol("log", "random by user, valid .1, test .1", "test", "train", "train")
FOUND = [Finding("warn", "future in train", 0.5, "x"), Finding("warn", "own future in train", 0.904, "y")]


@pytest.fixture(scope="module")
def small() -> Study:
    return quiet_study()


def told(
    small: Study, means: dict[str, float], *, metric: str = "recall", noise: float = 0.01, seconds: dict[str, float],
    models: dict[str, str] | None = None, keys: Mapping[str, Mapping[str, Any]] | None = None,
    lists: Mapping[str, ListFigures] | None = None, findings: list[Finding] | None = None, tested: bool = True,
) -> list[str]:  # fmt: skip
    """Of models with these means, whose values per query are a little apart from them."""
    rng = np.random.default_rng(0)
    values = {label: mean + noise * rng.standard_normal((1, len(USERS))) for label, mean in means.items()}
    frame = metrics({label: [mean] for label, mean in means.items()}, metric=metric)
    frame = frame.with_columns(model=pl.col("label").replace_strict(models or {}, default="ease"))
    queries = per_query(values, USERS, metric=metric).with_columns(protocol=pl.lit("p"))
    costs = [(label, 0, fit, 0.1, 9.0) for label, fit in seconds.items()]
    columns = ["label", "seed", "fit_seconds", "recommend_seconds", "peak_mb"]
    study = replace(
        small, metrics=frame, protocols={"p": PROTOCOL}, per_query=queries if tested else pl.DataFrame(),
        costs=pl.DataFrame(costs, columns, orient="row"), hyper_parameters=keys or {},
        findings=FOUND if findings is None else findings,
    )  # fmt: skip
    tables = score_tables(study.metrics, study.protocols, study.per_query)
    return [text.replace("\u202f", " ") for text in sentences(study, tables, lists or {})]


def test_the_best_is_set_against_popularity(small: Study) -> None:
    means = {"pop": 0.1, "ease": 0.191, "knn": 0.15}
    found = told(small, means, models={"pop": "popularity"}, seconds={"ease": 0.104, "pop": 0.01, "knn": 5.0})
    assert found == [
        "ease finds 91 % more of what was hidden than pop (recall@10 0.1910 against 0.1000), p < .001, "
        "fitted in 0.10 s.",
        "ease is significantly better than every other model.",
        "The test is random by user, valid .1, test .1: later events were seen in training (90 % of its users’ "
        "training events come after their first hidden one).",
    ]


def test_without_popularity_it_is_set_against_the_next(small: Study) -> None:
    found = told(small, {"a": 0.3, "b": 0.2, "c": 0.1}, metric="ndcg", seconds={}, tested=False)
    assert found[0] == "a scores 50 % higher than b (ndcg@10 0.3000 against 0.2000)."
    assert len(found) == 2, "what cannot be tested is not called significant"


def test_errors_are_less_and_large_changes_whole(small: Study) -> None:
    found = told(small, {"a": 0.8, "pop": 1.0}, metric="rmse", models={"pop": "popularity"}, seconds={})
    assert found[0].startswith("a errs 20 % less than pop (rmse@10 0.8000 against 1.0000), p < .001")
    found = told(small, {"a": 0.5, "pop": 0.1}, models={"pop": "popularity"}, seconds={})
    assert found[0].startswith("a finds 400 % more")


def test_a_model_as_good_for_less_is_named(small: Study) -> None:
    means, seconds = {"slow": 0.201, "quick": 0.2, "pop": 0.1}, {"slow": 30.0, "quick": 2.0, "pop": 0.1}
    found = told(small, means, noise=0.05, seconds=seconds, models={"pop": "popularity"})
    assert found[1] == "quick cannot be told from slow, and is fitted in 2.00 s instead of 30.0 s."
    found = told(small, means, noise=0.05, seconds={}, models={"pop": "popularity"})
    assert found[1] == "quick cannot be told from slow."


@pytest.mark.parametrize(
    ("both", "text"),
    [
        (0.228, "find 14 % more of what was hidden than either (recall@10 0.2280 against 0.2000), p < .001."),
        (0.15, "find less than a alone (recall@10 0.1500 against 0.2000), p < .001."),
    ],
)  # fmt: skip
def test_what_joining_gives(small: Study, both: float, text: str) -> None:
    keys = {"both": {"members": ["a", "b"]}, "other": {"members": ["a", "unknown"]}, "one": {"members": ["a"]}}
    means = {"a": 0.2, "b": 0.18, "both": both, "other": 0.1, "one": 0.1}
    found = told(small, means, noise=0.001, seconds={}, keys=keys)
    assert [one for one in found if "together" in one] == [f"a and b together (both) {text}"]


def test_an_ensemble_that_is_no_better_is_said_to_be(small: Study) -> None:
    keys = {"both": {"members": ["a", "b"]}}
    found = told(small, {"a": 0.2, "b": 0.18, "both": 0.2001}, noise=0.1, seconds={}, keys=keys)
    (text,) = [one for one in found if "together" in one]
    assert text.startswith(
        "a and b together (both) cannot be told from a alone (recall@10 0.2001 against 0.2000), p = ."
    )


def test_how_wide_the_best_recommends(small: Study) -> None:
    lists = {
        "a": ListFigures(9, 90, 30, 0.332, 300, 0.917, 50, 0, 0),
        "b": ListFigures(9, 90, 60, 0.73, 300, 0.5, 50, 0, 0),
    }
    found = told(small, {"a": 0.2, "b": 0.1}, seconds={}, lists=lists)
    assert (
        "a recommends 33 % of the catalogue, and 92 % of its picks are among the 300 most popular items; "
        "b recommends most of the catalogue, 73 %." in found
    )


@pytest.mark.parametrize(
    ("findings", "end"),
    [
        ([], "test .1."),
        ([Finding("info", "future in train", None, "")], "nobody knows whether later events were seen in training."),
        (
            [Finding("warn", "future in train", 0.38, ""), Finding("info", "own future in train", 0.0, "")],
            "those of others were (38 % of the training events come after the median hidden one).",
        ),
        (
            [Finding("info", "future in train", 0.0, ""), Finding("info", "own future in train", 0.0, "")],
            "what was seen in training is earlier than what was hidden.",
        ),
    ],
)
def test_what_the_test_is(small: Study, findings: list[Finding], end: str) -> None:
    found = told(small, {"a": 0.2, "b": 0.1}, seconds={}, findings=findings)
    assert found[-1].startswith("The test is random by user")
    assert found[-1].endswith(end)


def test_a_model_alone_and_no_model(small: Study) -> None:
    found = told(small, {"a": 0.2}, seconds={"a": 3.0})
    assert found[0] == "a reaches recall@10 0.2000, fitted in 3.00 s."
    assert sentences(small, [], {}) == []


def test_p_as_it_is_printed() -> None:
    words = [p_words(p).replace("\u202f", " ") for p in (0.0, 0.0004, 0.0129, 0.5, 1.0)]
    assert words == ["p < .001", "p < .001", "p = .013", "p = .500", "p = 1.000"]


def test_warnings_stand_beside_and_passed_checks_in_a_line(small: Study) -> None:
    findings = [
        Finding("warn", "w", 1, "mind this"),
        Finding("info", "a", 0, "this is fine"),
        Finding("info", "b", 0, "so"),
    ]
    page = page_of(replace(small, findings=findings, warnings=[]))
    start, end = page.words.index("In short"), page.words.index("The models")
    assert start < page.words.index("Warning Mind this") < end
    assert "2 checks passed this is fine; so." in page.words
    assert page.words.count("Mind this") == 1


def test_how_many_users_would_tell_two_models_apart(small: Study) -> None:
    """The counts of the sentence, from the textbook's normal approximation: n = ((1.96 + .84) sd / d)²."""
    means = {"a": 0.2005, "b": 0.2}
    found = told(small, means, noise=0.05, seconds={})
    text = next(one for one in found if one.startswith("To tell"))
    rng = np.random.default_rng(0)
    values = [mean + 0.05 * rng.standard_normal((1, len(USERS))) for mean in means.values()]
    apart = (values[0] - values[1])[0]
    d, sd = abs(apart.mean()), apart.std(ddof=1)
    match = re.fullmatch(
        r"To tell a from b by the measured difference of ([\d.]+) takes about ([\d,]+) users; these 60 show "
        r"differences from ([\d.]+) on \(with a power of 80 %, this pair alone\)\.",
        text,
    )
    assert match is not None, text
    assert match[1] == f"{d:.4f}"
    assert int(match[2].replace(",", "")) == pytest.approx(((1.95996 + 0.84162) * sd / d) ** 2, rel=0.06)
    assert float(match[3]) == pytest.approx((1.95996 + 0.84162) * sd / 60**0.5, rel=0.03)


def test_nothing_is_said_of_more_users_where_the_best_stands_alone(small: Study) -> None:
    found = told(small, {"a": 0.3, "b": 0.1}, seconds={})
    assert not [one for one in found if one.startswith("To tell")]


def test_who_is_better_by_other_measures(small: Study) -> None:
    """b leads in ndcg and mrr, in mrr by nothing that shows; novelty is no measure of accuracy."""
    rng, frames, queries = np.random.default_rng(1), [], []
    for metric, a, b in (("recall", 0.3, 0.2), ("ndcg", 0.1, 0.2), ("mrr", 0.2, 0.2001), ("novelty", 1.0, 2.0)):
        frames.append(metrics({"a": [a], "b": [b]}, metric=metric))
        noisy = {label: x + 0.02 * rng.standard_normal((1, len(USERS))) for label, x in (("a", a), ("b", b))}
        queries.append(per_query(noisy, USERS, metric=metric).with_columns(protocol=pl.lit("p")))
    study = replace(small, metrics=pl.concat(frames), protocols={"p": PROTOCOL}, per_query=pl.concat(queries))
    tables = score_tables(study.metrics, study.protocols, study.per_query)
    found = [text for text in sentences(study, tables, {}) if "other measure" in text]
    assert found == ["By 1 of the 2 other measures of accuracy (ndcg@10) b is significantly better than a."]
