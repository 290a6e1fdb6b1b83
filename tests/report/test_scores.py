"""Means over seeds, intervals and who is best, against plain arithmetic and scipy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from matinee.data.dataset import Protocol
from matinee.evaluate.paired import NAMES, Test
from matinee.report.scores import HowTested, against, by_candidate_rule, score_tables
from matinee.report.sections import definitions

PROTOCOLS = {name: Protocol("log", f"split {name}", "test", "train", "train") for name in "pq"}


def metrics(values: dict[str, list[float]], *, metric: str = "ndcg", protocol: str = "p") -> pl.DataFrame:
    rows = [
        (label, "ease", "test", metric, 10, v, v - 0.01 * (seed + 1), v + 0.01 * (seed + 1), 50 + seed, seed, protocol)
        for label, means in values.items()
        for seed, v in enumerate(means)
    ]
    names = ["label", "model", "split", "metric", "k", "value", "ci_low", "ci_high", "n_queries", "seed", "protocol"]
    return pl.DataFrame(rows, schema=names, orient="row")


def per_query(values: dict[str, np.ndarray], users: Sequence[int | None], *, metric: str = "ndcg") -> pl.DataFrame:
    """values: label -> (seeds, queries)."""
    parts = [
        pl.DataFrame(
            {"query": range(len(users)), "user_id": users, "value": row}, schema_overrides={"user_id": pl.Int64}
        ).with_columns(
            label=pl.lit(label), split=pl.lit("test"), metric=pl.lit(metric), k=pl.lit(10), seed=pl.lit(seed)
        )
        for label, rows in values.items()
        for seed, row in enumerate(rows)
    ]
    return pl.concat(parts)


def test_means_intervals_and_order() -> None:
    (table,) = score_tables(metrics({"a": [0.1, 0.3], "b": [0.5, 0.4]}), PROTOCOLS, pl.DataFrame())
    assert [row.label for row in table.rows] == ["b", "a"]
    best, other = (row.cells[0] for row in table.rows)
    assert best is not None
    assert other is not None
    assert (best.value, other.value) == pytest.approx((0.45, 0.2))
    assert best.half == pytest.approx(0.015)
    assert (best.best, other.best, other.close) == (True, False, False)
    assert other.runs == (0.1, 0.3)
    assert (table.n_queries, table.seeds, table.words, table.tested) == ((50, 51), (0, 1), str(PROTOCOLS["p"]), False)


def test_lower_is_better_for_errors() -> None:
    (table,) = score_tables(metrics({"a": [0.9], "b": [0.8]}, metric="rmse"), PROTOCOLS, pl.DataFrame())
    assert [row.label for row in table.rows] == ["b", "a"]
    cell = table.rows[0].cells[0]
    assert cell is not None
    assert cell.best


def test_a_metric_without_a_definition_is_named() -> None:
    tables = score_tables(metrics({"a": [0.9]}, metric="surprise"), PROTOCOLS, pl.DataFrame())
    assert definitions(tables) == [("surprise@k", "surprise")]


def test_equal_means_are_both_best() -> None:
    (table,) = score_tables(metrics({"a": [0.5], "b": [0.5]}), PROTOCOLS, pl.DataFrame())
    assert all(row.cells[0] is not None and row.cells[0].best for row in table.rows)


def test_one_table_per_protocol_and_gaps_stay_gaps() -> None:
    frame = pl.concat(
        [
            metrics({"a": [0.5]}),
            metrics({"b": [0.9]}, metric="mrr"),
            metrics({"c": [0.7]}, protocol="q"),
        ]
    )
    tables = score_tables(frame, PROTOCOLS, pl.DataFrame())
    assert [[row.label for row in table.rows] for table in tables] == [["a", "b"], ["c"]]
    assert tables[0].rows[1].cells[0] is None


def test_rules_of_what_is_ranked_stand_side_by_side() -> None:
    known = PROTOCOLS | {"own": replace(PROTOCOLS["p"], candidates="as given in x.negative 0123abcd")}
    frame = pl.concat(
        [
            metrics({"a": [0.5], "b": [0.2]}),
            metrics({"b": [0.9], "a": [0.8], "c": [0.1]}, protocol="own"),
            metrics({"a": [0.3]}, protocol="q"),
        ]
    )
    found = by_candidate_rule(score_tables(frame, known, pl.DataFrame()))
    assert found is not None
    assert found.rules == ("all items", "x.negative 0123abcd"), "another split is no other rule"
    assert found.columns == (("ndcg", 10),)
    values = [(label, [cell and cell.value for cell in column]) for label, (column,) in found.rows]
    assert values == [("a", [0.5, 0.8]), ("b", [0.2, 0.9])], "in the order of the first table"
    best = [(label, [cell is not None and cell.best for cell in column]) for label, (column,) in found.rows]
    assert best == [("a", [True, False]), ("b", [False, True])]
    assert by_candidate_rule(score_tables(frame.filter(pl.col("protocol") != "own"), known, pl.DataFrame())) is None
    assert by_candidate_rule([]) is None


def test_folds_are_runs_of_their_own() -> None:
    frame = metrics({"a": [0.1, 0.3, 0.2], "b": [0.5, 0.4, 0.6]}).with_columns(fold=pl.col("seed"), seed=pl.lit(7))
    rng = np.random.default_rng(0)
    values = {"a": rng.random((3, 40)), "b": rng.random((3, 40)) + np.array([[1.0], [-1.0], [0.3]])}
    rows = per_query(values, list(range(40))).with_columns(fold=pl.col("seed"), seed=pl.lit(7))
    (table,) = score_tables(frame, PROTOCOLS, rows)
    assert (table.seeds, table.n_folds) == ((7,), 3)
    cell = table.rows[0].cells[0]
    assert cell is not None
    assert cell.runs == (0.5, 0.4, 0.6)
    assert cell.value == pytest.approx(0.5)
    found = against(rows.with_columns(who=pl.col("user_id")), ("ndcg", 10), "b", ["a"])
    assert found is not None
    assert found[0] == pytest.approx(stats.ttest_rel(values["b"].sum(axis=0), values["a"].sum(axis=0)).pvalue)


def test_significance_is_a_paired_t_test_by_user() -> None:
    rng = np.random.default_rng(1)
    n, seeds = 80, 3
    base = rng.random((seeds, n))
    values = {
        "best": base + 0.2,
        "near": base + 0.2 + rng.normal(-0.005, 0.1, (seeds, n)),
        "far": base + rng.normal(0, 0.1, (seeds, n)),
    }
    frame = per_query(values, list(range(n))).with_columns(who=pl.col("user_id"), fold=pl.lit(None, pl.Int32))
    found = against(frame, ("ndcg", 10), "best", ["near", "far"])
    assert found is not None
    raw = [stats.ttest_rel(values["best"].sum(axis=0), values[x].sum(axis=0)).pvalue for x in ("near", "far")]
    order = np.argsort(raw)
    holm = np.empty(2)
    holm[order] = np.maximum.accumulate(np.minimum(np.array(raw)[order] * [2, 1], 1))
    np.testing.assert_allclose(found, holm, rtol=1e-9)

    means = {label: rows.mean(axis=1).tolist() for label, rows in values.items()}
    (table,) = score_tables(metrics(means), PROTOCOLS, per_query(values, list(range(n))))
    told = {row.label: (row.cells[0].best, row.cells[0].close) for row in table.rows if row.cells[0] is not None}
    assert table.tested
    assert told["far"] == (False, False)
    assert sum(best for best, _ in told.values()) == 1


@pytest.mark.parametrize("name", ["wilcoxon", "randomisation"])
def test_a_recipe_may_name_another_test_and_correction(name: Test) -> None:
    rng = np.random.default_rng(7)
    best = rng.random((1, 60)) + 0.1
    values = {"best": best, "near": best - rng.normal(0.02, 0.1, (1, 60)), "far": best - rng.random((1, 60))}
    frame = per_query(values, list(range(60))).with_columns(who=pl.col("user_id"), fold=pl.lit(None, pl.Int32))
    how = HowTested(name, "benjamini_hochberg")
    found = against(frame, ("ndcg", 10), "best", ["near", "far"], how)
    assert found is not None
    differences = [(values["best"] - values[label])[0] for label in ("near", "far")]
    if name == "wilcoxon":
        raw = [stats.wilcoxon(d).pvalue for d in differences]
    else:
        raw = [stats.permutation_test((d,), np.mean, permutation_type="samples", rng=1).pvalue for d in differences]
    np.testing.assert_allclose(found, stats.false_discovery_control(raw), atol=1e-9 if name == "wilcoxon" else 0.03)
    means = {label: rows.mean(axis=1).tolist() for label, rows in values.items()}
    (table,) = score_tables(metrics(means), PROTOCOLS, per_query(values, list(range(60))), how)
    assert table.test_words == f"paired {NAMES[name]} by user, Benjamini-Hochberg’s correction"
    (usual,) = score_tables(metrics(means), PROTOCOLS, per_query(values, list(range(60))))
    assert usual.test_words == "paired t-test by user, Holm’s correction"


def test_queries_of_one_user_count_once_and_strangers_each() -> None:
    """Twenty queries of two users cannot tell what twenty strangers can."""
    rng = np.random.default_rng(2)
    better = rng.random(20) + 0.5
    values = {"best": better[None], "worse": (better - 0.1 - 0.02 * rng.random(20))[None]}
    means = {label: rows.mean(axis=1).tolist() for label, rows in values.items()}

    def close(users: Sequence[int | None]) -> bool:
        (table,) = score_tables(metrics(means), PROTOCOLS, per_query(values, users))
        cell = table.rows[1].cells[0]
        assert cell is not None
        return cell.close

    assert not close([None] * 20)
    assert close([0] * 19 + [1])
