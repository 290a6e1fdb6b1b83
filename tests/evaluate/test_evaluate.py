"""evaluate(): means, intervals, ties, what it refuses, and how it prints."""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import matinee as mt
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Holdout, Protocol, Queries
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, MatineeWarning
from matinee.evaluate import Evaluation, by_activity, evaluate
from matinee.rank import Recommendations, recommend
from matinee.split.candidates import NEW_ALONE

USERS = IdMap(np.array(["ann", "bob", "cy", "dee"], dtype=object), what="user")
ITEMS = IdMap(np.arange(100, 130), what="item")
PROTOCOL = Protocol(data="toy", split="by hand", part="test", history="train", exclude="train")


def holdout(user: list[int], truth: list[list[int]], histories: list[list[int]] | None = None) -> Holdout:
    history = Ragged.from_lists(histories or [[] for _ in user])
    queries = Queries(np.array(user, np.int32), history, Ragged.empty(len(user)))
    return Holdout(queries, Ragged.from_lists(truth), PROTOCOL)


def recs(user: list[int], item: list[list[int]], score: NDArray[np.float32] | None = None) -> Recommendations:
    codes = np.array(item, np.int32)
    if score is None:
        score = np.tile(np.arange(codes.shape[1], 0, -1, dtype=np.float32), (len(codes), 1))
    none = np.zeros(len(user), np.bool_)
    return Recommendations(USERS, ITEMS, np.array(user, np.int32), codes, score, none, none)


HELD = holdout([0, 1, 2, 3], [[1, 2], [3], [], [4]])
GOOD = recs([0, 1, 2, 3], [[1, 2], [3, 9], [5, 6], [8, 4]])


def test_means_leave_out_queries_without_an_answer() -> None:
    result = evaluate(GOOD, HELD, k=2, metrics=["recall", "mrr"])
    assert result.n_queries == 3
    assert result.values["model", "mrr", 2][[0, 1, 3]].tolist() == [1, 1, 0.5]
    assert math.isnan(result.values["model", "mrr", 2][2])
    mean = result.mean("mrr", 2)
    assert mean.value == pytest.approx(2.5 / 3)
    assert (mean.low, mean.high) == (0.5, 1), "three values: the extremes of the bootstrap"
    assert (result.method("mrr", 2), result.method("recall", 2)) == ("bootstrap", "wilson")


def test_queries_of_one_user_are_not_independent() -> None:
    """ann and four more like her ask three times: the residuals of each are summed before they are squared; strangers
    stay apart."""
    user = [u for ann in range(0, 10, 2) for u in (ann, ann, ann, ann + 1, -1, -1)]
    held = holdout(user, [[1]] * 30)
    asked = recs(user, [[1], [1], [2], [2], [2], [1]] * 5)
    mean = evaluate(asked, held, k=1, metrics=["recall"]).mean("recall", 1)
    residual = [0.5 + 0.5 - 0.5, -0.5, -0.5, 0.5] * 5
    error = math.sqrt(20 / 19 * sum(r * r for r in residual)) / 30
    assert mean.value == 0.5
    assert mean.half == pytest.approx(1.959964 * error)
    assert "clustered by user" in str(evaluate(asked, held, k=1))


def test_implicit_pools_its_precision_over_queries() -> None:
    """Hits 1, 1, 0 of 2, 1, 1 within reach: 2 / 4 pooled, where precision@2 is the mean of 1/2, 1/2 and 0."""
    lists = recs([0, 1, 2, 3], [[1, 9], [3, 9], [5, 6], [8, 7]])
    plain = evaluate(lists, HELD, k=2, metrics=["precision"])
    pooled = evaluate(lists, HELD, k=2, metrics=["precision"], convention="implicit")
    assert plain.mean("precision", 2).value == pytest.approx(1 / 3)
    assert pooled.mean("precision", 2).value == pytest.approx(2 / 4)
    assert pooled.protocol.metrics == "implicit"
    assert pooled.protocol.fingerprint != plain.protocol.fingerprint
    with pytest.raises(MatineeError, match="values per query alone"):
        Evaluation.from_frame(pooled.per_query(), pooled.protocol, pooled.queries)


def test_short_lists_come_with_what_chance_reaches() -> None:
    """Lists of 3, 2 and 1 candidates, the last of a query without an answer; every order of each is looked at."""
    lists, truth = [[1, 2, 5], [3, 9], [6]], [[1, 2], [3, 7], []]
    held = holdout([0, 1, 2], truth)
    padded = np.array([[*row, -1, -1][:3] for row in lists], np.int32)
    named = replace(held, queries=replace(held.queries, candidates=padded))
    recall = []
    for candidates, answers in zip(lists[:2], truth[:2], strict=True):
        orders = [len(set(order[:2]) & set(answers)) / len(answers) for order in itertools.permutations(candidates)]
        recall.append(np.mean(orders))
    found = evaluate(recs([0, 1, 2], [[1, 2, 5], [9, 3, -1], [6, -1, -1]]), named, k=[2, 3], metrics=["recall"])
    assert len(found.notes) == 1
    assert "2.5 items on average" in found.notes[0]
    assert f"the first 2 would already show {np.mean(recall):.0%} of the answers" in found.notes[0]
    assert found.notes[0] in str(found)
    assert evaluate(GOOD, HELD, k=2).notes == ()
    new = replace(named, protocol=replace(named.protocol, candidates=NEW_ALONE))
    note = evaluate(recs([0, 1, 2], [[1, 2, 5], [9, 3, -1], [6, -1, -1]]), new, k=[2, 3], metrics=["recall"]).notes[0]
    assert note.startswith("new items alone are ranked, 2.5 on average")
    assert f"the first 2 would already show {np.mean(recall):.0%} of the answers" in note


def test_frames_hold_every_mean_and_every_query() -> None:
    result = evaluate({"a": GOOD, "b": recs([0, 1, 2, 3], [[9, 8]] * 4)}, HELD, k=(1, 2), metrics=["recall", "ndcg"])
    means = result.to_frame()
    assert means.columns == ["label", "metric", "k", "value", "ci_low", "ci_high", "n_queries", "protocol"]
    assert len(means) == 2 * 2 * 2
    assert set(means["protocol"]) == {PROTOCOL.fingerprint}
    per_query = result.per_query()
    assert len(per_query) == 8 * 3
    ann = per_query.filter(user_id="ann", label="a", metric="recall", k=1)
    assert ann.select("query", "value").rows() == [(0, 0.5)]
    back = Evaluation.from_frame(per_query, result.protocol, result.queries)
    assert back.to_frame().equals(means)


def test_unseen_users_have_no_id() -> None:
    held = holdout([1, -1], [[1], [2]])
    frame = evaluate(recs([1, -1], [[1], [2]]), held, k=1, metrics=["recall"]).per_query()
    assert frame["user_id"].to_list() == ["bob", None]


def test_a_table_for_people_names_protocol_queries_and_intervals() -> None:
    text = str(evaluate(GOOD, HELD, k=2, metrics=["recall"], label="good"))
    head, rule, row, *rest = text.splitlines()
    assert head.split() == ["model", "recall@2"]
    assert len(rule) == len(row) == len(head)
    assert row.startswith("good")
    assert row.endswith("1.0000 (0.4385 to 1.0000)")
    assert "fewer than 30 queries: the interval is Wilson's where every value is 0 or 1" in text
    assert "3 queries (1 without a relevant item left out)" in text
    assert str(PROTOCOL) in text
    assert PROTOCOL.fingerprint in rest[-1]


def test_html_escapes_labels() -> None:
    page = evaluate(GOOD, HELD, k=2, label="<b>x</b>")._repr_html_()
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>" not in page


class Constant:
    """Every item scores the same: the order of its recommendations is an accident of codes."""

    users, items = USERS, ITEMS

    def score(self, queries: Queries) -> NDArray[np.float32]:
        return np.full((len(queries), len(ITEMS)), 0.25, np.float32)

    def fallback(self, queries: Queries) -> NDArray[np.bool_]:
        return np.zeros(len(queries), np.bool_)


def test_a_constant_scorer_cannot_pass_quietly() -> None:
    """Its list holds the lowest codes, which here are all the answers: a perfect score, and a warning beside it."""
    held = holdout([0, 1, 2, 3], [[0], [1], [0, 1], [1]])
    lists = recommend(Constant(), held.queries, k=2)
    with pytest.warns(MatineeWarning, match=r"constant: at k = 2 the cut-off falls inside a tie at 100\.0% of the"):
        result = evaluate(lists, held, k=2, metrics=["recall"], label="constant")
    assert result.mean("recall", 2).value == 1
    assert len(result.warnings) == 1
    assert "warning: constant" in str(result)


def test_ties_count_where_the_cut_falls_and_above_five_percent() -> None:
    """One query in twenty is 5 % and passes; two are not. Ties above or below the cut, and padding, are harmless."""
    held = holdout([-1] * 20, [[1]] * 20)
    score = np.tile(np.array([5, 5, 4, 3], np.float32), (20, 1))
    item = np.tile(np.array([1, 2, 3, 4], np.int32), (20, 1))
    item[5, 2:], score[5, 2:] = -1, -np.inf
    score[0, 2] = 5
    lists = recs([-1] * 20, item.tolist(), score)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(lists, held, k=(2, 3, 4))
    lists.score[1, 2] = 5
    with pytest.warns(MatineeWarning, match=r"at k = 2 .* 10\.0%"):
        evaluate(lists, held, k=(2, 3))
    with pytest.warns(MatineeWarning, match="at k = 1 .* 100"):
        evaluate(lists, held, k=1)


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(MatineeError, match=r"k = 5 is more than the 2 items of the lists\n.*recommend with k=5"):
        evaluate(GOOD, HELD, k=5)
    with pytest.raises(MatineeError, match="is not a cut-off"):
        evaluate(GOOD, HELD, k=0)
    with pytest.raises(MatineeError, match="is not a cut-off"):
        evaluate(GOOD, HELD, k=())
    for wrong in (1.5, "10", [1, 1.5]):
        with pytest.raises(MatineeError, match="is not a cut-off"):
            evaluate(GOOD, HELD, k=wrong)  # type: ignore[arg-type]
    with pytest.raises(MatineeError, match="do not answer the holdout's 4 queries"):
        evaluate(recs([1, 0, 2, 3], [[1, 2]] * 4), HELD, k=2)
    with pytest.raises(MatineeError, match="do not answer"):
        evaluate(recs([0, 1], [[1, 2]] * 2), HELD, k=2)
    with pytest.raises(MatineeError, match="no query has a relevant item"):
        evaluate(GOOD, replace(HELD, truth=Ragged.empty(4)), k=2)
    with pytest.raises(MatineeError, match="nothing to evaluate"):
        evaluate({}, HELD, k=2)
    with pytest.raises(MatineeError, match="did you mean recall"):
        evaluate(GOOD, HELD, k=2, metrics=["recal"])
    result = evaluate(GOOD, HELD, k=2, metrics=["recall"])
    with pytest.raises(MatineeError, match="measured: recall@2"):
        result.mean("ndcg", 2)
    with pytest.raises(MatineeError, match="no model 'x'"):
        result.mean("recall", 2, "x")
    with pytest.raises(MatineeError, match="name one model"):
        evaluate({"a": GOOD, "b": GOOD}, HELD, k=2).mean("recall", 2)


def test_lists_for_other_queries_are_refused() -> None:
    """The same users in the same order, asked with another history, other exclusions or other candidates."""
    rng = np.random.default_rng(1)
    data = Dataset(
        IdMap(np.arange(20), what="user"), IdMap(np.arange(30), what="item"),
        np.repeat(np.arange(20, dtype=np.int32), 9), np.argsort(rng.random((20, 30)))[:, :9].ravel().astype(np.int32),
        timestamp=np.arange(180),
    )  # fmt: skip
    split = mt.split.leave_one_out(data)
    model = mt.models.EASE(l2=10).fit(split.train)
    assert np.array_equal(split.valid.queries.user, split.test.queries.user)
    own = mt.recommend(model, split.test.queries, k=5)
    assert evaluate(own, split.test, k=5).n_queries == 20
    with pytest.raises(MatineeError, match="other queries than the holdout's: other histories and exclusions"):
        evaluate(mt.recommend(model, split.valid.queries, k=5), split.test, k=5)
    free = replace(split.test.queries, exclude=Ragged.empty(20))
    with pytest.raises(MatineeError, match="other exclusions\n"):
        evaluate(mt.recommend(model, free, k=5), split.test, k=5)
    short = replace(split.test.queries, candidates=np.tile(np.arange(9, dtype=np.int32), (20, 1)))
    with pytest.raises(MatineeError, match="other candidates"):
        evaluate(mt.recommend(model, short, k=5), split.test, k=5)
    assert evaluate(own, replace(split.test, queries=replace(split.test.queries)), k=5).n_queries == 20


def test_a_list_that_names_an_item_twice_is_refused() -> None:
    twice = recs([0, 1, 2, 3], [[1, 2, 3], [3, 9, 3], [5, 6, -1], [8, -1, -1]])
    with pytest.raises(
        MatineeError, match=r"1 list names an item twice, first that of query 1 \(user 'bob'\) the item 103"
    ):
        evaluate(twice, HELD, k=3)
    assert evaluate(twice, HELD, k=2, metrics=["recall"]).n_queries == 3, "what is measured has no repeat"


def test_activity_groups_split_queries_by_history_length() -> None:
    rng = np.random.default_rng(3)
    n = 200
    user = [-1] * n
    lengths = rng.integers(1, 60, n)
    held = holdout(user, [[1]] * n)
    hit = rng.random(n) < lengths / 60
    result = evaluate(recs(user, [[1] if h else [2] for h in hit]), held, k=1, metrics=["recall"])
    groups = by_activity(result, lengths, n_groups=4)
    assert groups["group"].to_list() == [1, 2, 3, 4]
    assert groups["n_queries"].sum() == n
    assert groups["n_queries"].min() > 35  # type: ignore[operator]
    assert (groups["longest"].to_numpy()[:-1] < groups["shortest"].to_numpy()[1:]).all()
    for row in groups.iter_rows(named=True):
        of = (lengths >= row["shortest"]) & (lengths <= row["longest"])
        assert row["value"] == pytest.approx(hit[of].mean())
    assert len(by_activity(result, np.full(n, 7))) == 1
    with pytest.raises(MatineeError, match="history lengths"):
        by_activity(result, lengths[:-1])


def test_the_package_itself_measures() -> None:
    """`mt.evaluate` is the package once any part of it was imported, the function otherwise: both are called alike."""
    # type checkers see the package under this name, because this file imports it
    assert mt.evaluate(GOOD, HELD, k=2).n_queries == 3


def test_a_whole_line_on_a_small_log() -> None:
    rng = np.random.default_rng(0)
    log = pl.DataFrame({"user_id": rng.integers(0, 30, 600), "item_id": rng.integers(0, 40, 600)}).unique(
        maintain_order=True
    )
    users, items = (IdMap.from_series(log[c], what=c) for c in ("user_id", "item_id"))
    data = Dataset(users, items, users.encode(log["user_id"]), items.encode(log["item_id"]))
    split = mt.split.random(data, seed=1)
    lists = mt.recommend(mt.models.EASE(l2=10).fit(split.train), split.test.queries, k=10)
    value = evaluate(lists, split.test, k=10, metrics=["recall", "ndcg"]).mean("recall", 10)
    assert 0 < value.low < value.value < value.high < 1
    assert value.n_queries == 30


def test_rules_of_lists_are_part_of_the_protocol() -> None:
    """Lists that had to keep something do not compare with free ones, nor with those of other rules."""
    ruled = replace(GOOD, rules="where year > 3 [0123abcd]")
    found = evaluate({"a": ruled, "b": ruled}, HELD, k=2)
    assert found.protocol.candidates == f"{PROTOCOL.candidates} under the rules: where year > 3 [0123abcd]"
    assert found.protocol.fingerprint != evaluate(GOOD, HELD, k=2).protocol.fingerprint
    assert evaluate(GOOD, HELD, k=2).protocol == PROTOCOL
    with pytest.raises(MatineeError, match=r"different rules: none and where year > 3 \[0123abcd\]"):
        evaluate({"a": GOOD, "b": ruled}, HELD, k=2)
