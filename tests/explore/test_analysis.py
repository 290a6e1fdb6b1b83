"""`mt.analyse` against plain loops over the lists."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import matinee as mt
from matinee.data.dislikes import Dislikes
from matinee.errors import MatineeError
from matinee.explore import Analysis
from matinee.explore.analysis import FRAMES
from matinee.explore.pairs import mcnemar
from matinee.explore.recommended import popularity_groups
from oracle.list_log import COUNTS, N_ITEMS, POPULAR, TRAIN, K, asked, values_of

HOLDOUT, RECS, LISTS = asked()
OTHERS = [[item for item in row[::2] if item != 5] for row in LISTS[1:]] + [[1, 2]]
for b in range(0, len(OTHERS), 3):  # what the first model's lists miss, and what they have too
    OTHERS[b] = list(dict.fromkeys([*(x for x in HOLDOUT.truth[b][-2:].tolist() if x < N_ITEMS), *OTHERS[b]]))[:K]
YEARS = [None if code % 7 == 6 else 1990 + code % 5 for code in range(N_ITEMS)]
assert TRAIN.item_features is not None
DATED = replace(TRAIN, item_features=TRAIN.item_features.with_columns(year=pl.Series(YEARS)))
TRUTH = [HOLDOUT.truth[b].tolist() for b in range(len(HOLDOUT))]


@pytest.fixture(scope="module")
def found() -> Analysis:
    item = np.array([row + [-1] * (K - len(row)) for row in OTHERS], np.int32)
    recs = {"one": RECS, "other": replace(RECS, item=item)}
    return mt.analyse(recs, HOLDOUT, DATED, k=5, metrics=["recall", "mrr"])


LISTS_OF = {"one": [row[:5] for row in LISTS], "other": [row[:5] for row in OTHERS]}


def test_metrics_are_those_of_evaluate(found: Analysis) -> None:
    metrics = found.metrics["metric"].unique(maintain_order=True).to_list()
    assert metrics[:2] == ["recall", "mrr"]
    assert {"novelty", "diversity", "calibration_error", "coverage", "gini", "ndcg_debiased"} < set(metrics)
    alone = mt.evaluate(RECS, HOLDOUT, k=5, metrics=metrics, train=DATED)
    for metric in metrics:
        assert found.value(metric, "one") == alone.mean(metric, 5).value
    assert found.value("rmse", "one") is None
    assert found.n_queries == sum(map(bool, TRUTH))


def test_pairs_share_items_and_answers(found: Analysis) -> None:
    (row,) = found.pairs.to_dicts()
    one, other = LISTS_OF["one"], LISTS_OF["other"]
    total = sum(len(set(a) & set(b)) for a, b in zip(one, other, strict=True))
    assert (row["a"], row["b"], row["total"]) == ("one", "other", total)
    assert row["common"] == pytest.approx(total / len(one))
    assert row["share"] == pytest.approx(2 * total / (sum(map(len, one)) + sum(map(len, other))))
    cells = Counter((answer in one[b], answer in other[b]) for b, answers in enumerate(TRUTH) for answer in answers)
    wanted = [cells[True, True], cells[True, False], cells[False, True], cells[False, False]]
    assert [row[name] for name in ("both", "only_a", "only_b", "neither")] == wanted
    assert min(wanted) > 0
    d = [sum((x in one[b]) - (x in other[b]) for x in answers) for b, answers in enumerate(TRUTH)]
    assert row["p"] == pytest.approx(math.erfc(abs(sum(d)) / math.sqrt(2 * sum(x * x for x in d))))
    matrix = found.overlap()
    assert matrix[0, 1] == matrix[1, 0] == row["common"]
    assert matrix[1, 1] == sum(map(len, other)) / len(other)


def test_mcnemar_of_one_answer_a_user_is_mcnemars() -> None:
    from scipy.stats import chi2

    one = np.array([True] * 9 + [False] * 3 + [True, False])
    other = np.array([False] * 9 + [True] * 3 + [True, False])
    assert mcnemar(one, other, np.arange(14)) == pytest.approx(chi2.sf((9 - 3) ** 2 / (9 + 3), 1))
    assert mcnemar(one, one, np.arange(14)) == 1
    assert mcnemar(one, other, np.arange(14) // 7) > mcnemar(one, other, np.arange(14))
    assert mcnemar(one[:0], one[:0], np.arange(0)) == 1


def test_quality_by_popularity_counts_the_answers_of_a_group(found: Analysis) -> None:
    group, held, total = {}, 0, sum(COUNTS)
    for item in POPULAR:
        group[item] = ["head", "middle", "tail"][min(2, 3 * held // total)]
        held += COUNTS[item]
    names = popularity_groups(DATED)
    assert [["head", "middle", "tail"][at] for at in names] == [group.get(item, "tail") for item in range(N_ITEMS)]
    assert found.by_popularity["group"].unique(maintain_order=True).to_list() == ["head", "middle", "tail"]
    for row in found.by_popularity.filter(metric="recall").to_dicts():
        kept = [[item for item in answers if group.get(item, "tail") == row["group"]] for answers in TRUTH]
        lists = LISTS_OF[row["label"]]
        values = [len(set(kept[b]) & set(lists[b])) / len(kept[b]) for b in range(len(lists)) if kept[b]]
        assert row["value"] == pytest.approx(np.mean(values))
        assert (row["n_queries"], row["n_answers"]) == (len(values), sum(map(len, kept)))
        assert row["n_items"] == sum(group.get(item, "tail") == row["group"] for item in range(N_ITEMS))


def test_quality_by_k_and_by_activity(found: Analysis) -> None:
    for row in found.by_k.filter(metric="mrr").to_dicts():
        lists = LISTS_OF[row["label"]]
        values = []
        for b, answers in enumerate(TRUTH):
            places = [1 / (r + 1) for r, item in enumerate(lists[b][: row["k"]]) if item in answers]
            values += [max(places, default=0.0)] if answers else []
        assert row["value"] == pytest.approx(np.mean(values))
    assert found.by_k["k"].unique().sort().to_list() == [1, 2, 3, 4, 5]
    lengths = HOLDOUT.queries.history.lengths
    parts = found.by_activity.filter(metric="recall", label="other")
    assert parts["n_queries"].sum() == found.n_queries
    for row in parts.to_dicts():
        rows = [b for b in range(len(TRUTH)) if TRUTH[b] and row["shortest"] <= lengths[b] <= row["longest"]]
        values = [len(set(TRUTH[b]) & set(LISTS_OF["other"][b])) / len(TRUTH[b]) for b in rows]
        assert row["value"] == pytest.approx(np.mean(values))


def test_years_and_names_are_counted_where_people_and_models_meet_them(found: Analysis) -> None:
    met: dict[tuple[str, str | None], list[int]] = {
        ("history", None): HOLDOUT.queries.history.values.tolist(),
        ("hidden", None): [item for answers in TRUTH for item in answers if item < N_ITEMS],
        **{("recommended", label): [item for row in lists for item in row] for label, lists in LISTS_OF.items()},
    }
    for (of, label), items in met.items():
        dated = Counter(year for item in items if (year := YEARS[item]) is not None)
        part = found.years.filter(pl.col("of") == of, pl.col("label").eq_missing(label))
        assert dict(part.select("year", "n").iter_rows()) == dated
        assert part["share"].to_list() == [n / dated.total() for n in part["n"]]
        middle = sorted(dated.elements())[math.ceil(dated.total() / 2) - 1]
        quartiles = found.year_quartiles().filter(pl.col("of") == of, pl.col("label").eq_missing(label))
        assert quartiles["median"].to_list() == [middle]
        for column in ("genres", "directors"):
            names = Counter(name for item in items for name in values_of(item, column))
            described = sum(bool(values_of(item, column)) for item in items)
            rows = found.top.filter(pl.col("of") == of, pl.col("label").eq_missing(label), column=column)
            best = sorted(names.items(), key=lambda one: (-one[1], one[0]))[:10]
            assert list(rows.select("value", "n").iter_rows()) == best
            assert rows["share"].to_list() == pytest.approx([n / described for _, n in best])
            assert rows["rank"].to_list() == list(range(1, len(best) + 1))


def test_what_is_missing_is_left_out_in_words(found: Analysis) -> None:
    assert found.left_out == (
        "no dislikes are known, so none are counted",
        "no writers in the table of items, so none are counted",
    )
    bare = mt.analyse(RECS, HOLDOUT, replace(TRAIN, item_features=None), label="m")
    assert bare.k == K
    assert bare.years.is_empty()
    assert bare.top.is_empty()
    assert bare.pairs.is_empty()
    assert bare.value("diversity", "m") is None
    assert bare.value("diversity_cooccurrence", "m") is not None
    assert "no column genres" in bare.left_out[0]
    assert "no column year" in str(bare)
    disliking = replace(HOLDOUT, dislikes=HOLDOUT.queries.history)
    assert mt.analyse(RECS, disliking, DATED, label="m").value("disliked", "m") is not None


def test_it_is_kept_and_shown(found: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "analysis.json"
    path.write_text(found.to_json(), "utf-8")
    again = Analysis.read(path)
    assert (again.k, again.n_queries, again.labels, again.left_out) == (
        5,
        found.n_queries,
        ("one", "other"),
        found.left_out,
    )
    for name in FRAMES:
        assert_frame_equal(getattr(again, name), getattr(found, name).fill_nan(None))
    assert f"{found.value('gini', 'other'):.4f}" in found._repr_html_()
    assert "novelty@5" in repr(found)
    for broken in ("", "{}", json.dumps({**json.loads(found.to_json()), "schema_version": 9})):
        path.write_text(broken, "utf-8")
        with pytest.raises(MatineeError, match="holds no analysis"):
            Analysis.read(path)


def test_other_queries_are_refused() -> None:
    with pytest.raises(MatineeError, match="do not answer the holdout"):
        mt.analyse({"a": RECS, "b": replace(RECS, user=RECS.user[::-1])}, HOLDOUT, DATED)


def test_dislikes_are_measured(tmp_path: Path) -> None:
    data = replace(DATED, dislikes=Dislikes(np.array([2], np.int32), np.array([1], np.int32)))
    assert mt.analyse(RECS, HOLDOUT, data).left_out[0].startswith("no dislikes"), "of the holdout"
