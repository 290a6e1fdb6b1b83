"""Gates between runs: the numbers of the record, its verdict, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import ttest_1samp

import matinee as mt
from matinee.errors import MatineeError
from matinee.study.gate import Decision

Runs = tuple[Path, Path]


def by_user(run: Path, label: str, metric: str, k: int) -> np.ndarray:
    """The mean of each user's queries, which here are as many for each."""
    rows = pl.read_parquet(run / "metrics.parquet").filter(split="test", label=label, metric=metric, k=k)
    return rows.group_by("user_id").agg(pl.col("value").mean()).sort("user_id")["value"].to_numpy()


@pytest.mark.parametrize(("label", "margin"), [("ease", 0.001), ("item_knn", -0.01), ("popularity", 0.001)])
def test_the_numbers_are_scipys_over_users(old_and_new: Runs, label: str, margin: float) -> None:
    old, new = old_and_new
    found = mt.gate(new, old, f"ndcg@3={margin}", new_label=label, confidence=0.9)
    a, b = by_user(new, label, "ndcg", 3), by_user(old, "popularity", "ndcg", 3)
    expected = ttest_1samp(a - b, margin, alternative="greater")
    (gate,) = found.gates
    assert (gate.new, gate.old) == pytest.approx((a.mean(), b.mean()))
    assert gate.difference == pytest.approx((a - b).mean(), abs=1e-12)
    if label != "popularity":  # which is the same model: no spread
        assert gate.bound == pytest.approx(expected.confidence_interval(0.9).low)
        assert gate.p == pytest.approx(expected.pvalue)
    assert (gate.n_users, gate.n_queries) == (40, 80)
    assert found.may_replace == gate.passed == (label != "popularity")


def test_every_gate_must_be_passed(old_and_new: Runs) -> None:
    old, new = old_and_new
    found = mt.gate(new, old, ["ndcg@3=-1%", "recall@5=+0.9"], new_label="ease")
    assert [gate.passed for gate in found.gates] == [True, False]
    assert not found.may_replace
    assert found.verdict == (
        f"ease ({new}) may not replace popularity ({old}): it is not shown to pass recall@5=+0.9 (1 of 2 gates)."
    )
    both = mt.gate(new, old, ["ndcg@3=-1%", "recall@5=-1%"], new_label="ease")
    assert both.verdict.endswith("it passes both gates with 95 % confidence.")
    assert "passed  ndcg@3 may fall by 1 % at most" in str(both)


def test_the_record_says_what_was_decided_about(old_and_new: Runs, tmp_path: Path) -> None:
    old, new = old_and_new
    path = tmp_path / "decisions" / "one.json"
    found = mt.gate(new, old, "recall@5=-2%", new_label="item_knn", record=path)
    assert Decision.read(path) == found
    kept = json.loads(path.read_text("utf-8"), parse_constant=pytest.fail)
    assert (kept["schema_version"], kept["may_replace"], kept["matinee"]) == (1, True, mt.__version__)
    assert kept["verdict"].startswith(f"item_knn ({new}) may replace popularity ({old})")
    assert (kept["new"]["model"], kept["new"]["settings"]["k"]) == ("item_knn", 250)
    assert kept["old"]["seeds"] == [0, 1]
    for name, file in (
        ("recipe", "recipe.toml"),
        ("values", "metrics.parquet"),
        ("model", "models/item_knn/manifest.json"),
    ):
        assert kept["new"][f"{name}_sha256"] == hashlib.sha256((new / file).read_bytes()).hexdigest()
    (gate,) = kept["gates"]
    assert kept["protocols"][gate["protocol"]]["split"] == "random by user, valid .2, test .2"
    assert gate["margin"] == pytest.approx(-0.02 * gate["old"])


def test_two_models_of_one_run(old_and_new: Runs) -> None:
    new = old_and_new[1]
    found = mt.gate(new, new, "ndcg@3=-90%", new_label="popularity", old_label="ease")
    assert (found.new.label, found.old.label) == ("popularity", "ease")
    ours = mt.compare(new, metric="ndcg", k=3, baseline="ease")
    (test,) = [test for test in ours.tests if test.a == "popularity"]
    assert found.gates[0].difference == pytest.approx(test.difference)
    with pytest.raises(MatineeError, match="are both 'ease'"):
        mt.gate(new, new, "ndcg@3=0", new_label="ease", old_label="ease")


def test_what_cannot_be_decided_is_refused(old_and_new: Runs, tmp_path: Path) -> None:
    old, new = old_and_new
    with pytest.raises(MatineeError, match=r"has 3 models: which is the new one\?\n  hint: add new_label=\"ease\""):
        mt.gate(new, old, "ndcg@3=0")
    with pytest.raises(MatineeError, match="no model is called 'sasrec'"):
        mt.gate(new, old, "ndcg@3=0", new_label="sasrec")
    with pytest.raises(MatineeError, match="ndcg@7 was not measured"):
        mt.gate(new, old, "ndcg@7=0", new_label="ease")
    with pytest.raises(MatineeError, match="there is no gate"):
        mt.gate(new, old, [], new_label="ease")
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(MatineeError, match="cannot be read"):
        Decision.read(tmp_path / "no.json")
