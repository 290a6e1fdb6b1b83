"""What an ensemble does with its members: which it fits, how it weighs them, what it takes to a refit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from contract.logs import groups, last_hidden
from matinee import rank
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.errors import MatineeError, MatineeWarning
from matinee.models.base import Model
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.families import fusion, fusion_weights, mixture
from matinee.models.fitting import FitContext
from matinee.models.item_knn import ItemKNN
from matinee.models.markov import Markov
from matinee.models.multi_dae import MultiDAE
from matinee.models.popularity import Popularity
from matinee.rank import recommend

Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def hidden() -> tuple[Dataset, Holdout]:
    return last_hidden(groups())


def small_net() -> MultiDAE:
    return MultiDAE(hidden=8, epochs=6, batch_size=20, learning_rate=0.05)


def weights_of(model: Ensemble) -> list[float]:
    found: list[float] = model.fitted.learned.weights.tolist()
    return found


# --- members ----------------------------------------------------------------------------------------------------------


def test_only_members_that_are_not_fitted_are_fitted(hidden: tuple[Dataset, Holdout], monkeypatch: Patch) -> None:
    train, _ = hidden
    ready, fresh = EASE(l2=20.0).fit(train), ItemKNN(k=5)
    fitted: list[str] = []
    right = Model.fit_in

    def counting(self: Model, data: Dataset, context: FitContext) -> Model:
        fitted.append(type(self).__name__)
        return right(self, data, context)

    monkeypatch.setattr(Model, "fit_in", counting)
    model = Ensemble(members=[ready, fresh]).fit(train)
    assert fitted == ["Ensemble", "ItemKNN"]
    assert model.fitted.learned.members[0] is ready
    assert model.members[1] is fresh
    assert not fresh.is_fitted, "what the caller holds stays as it was"


def test_a_member_fitted_on_another_log_is_refused(hidden: tuple[Dataset, Holdout]) -> None:
    train, _ = hidden
    other = EASE().fit(groups())
    with pytest.raises(MatineeError, match=r"member 1 of the ensemble \(ease\) was fitted on another log") as refused:
        Ensemble(members=["popularity", other]).fit(train)
    assert refused.value.hint is not None
    same = replace(train, user=train.user.copy())
    assert Ensemble(members=[EASE().fit(train)]).fit(same).is_fitted, "the log counts, not the object"


def test_members_get_valid_and_seed(hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    (member,) = Ensemble(members=[small_net()]).fit(train, valid=valid, seed=4).fitted.learned.members
    alone = small_net().fit(train, valid=valid, seed=4)
    assert member.score(valid.queries).tobytes() == alone.score(valid.queries).tobytes()
    assert all(epoch["valid_metric"] is not None for epoch in member.curve)


def test_dumps_name_members_whose_fields_are_kept() -> None:
    model = Ensemble(members=[EASE(l2=7), {"name": "ensemble", "members": ["markov", Popularity()]}], weights=[1, 2])
    tables = model.model_dump()["members"]
    assert [table["name"] for table in tables] == ["ease", "ensemble"]
    assert tables[0]["l2"] == 7.0
    assert [table["name"] for table in tables[1]["members"]] == ["markov", "popularity"]
    assert Ensemble.model_validate(model.model_dump()) == model
    assert Ensemble.model_validate_json(model.model_dump_json()) == model
    assert model != Ensemble(members=[EASE(l2=8), *model.members[1:]], weights=[1, 2])
    assert model != Ensemble(members=model.members, weights=[2, 1])


def test_members_outside_the_registry_are_refused() -> None:
    class Mine(Popularity):
        pass

    with pytest.raises(MatineeError, match="Mine is not in the registry"):
        Ensemble(members=[Mine()])


# --- weights ----------------------------------------------------------------------------------------------------------


def test_without_valid_all_weigh_the_same(hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    members = [EASE(l2=20.0), Popularity(), Markov()]
    with pytest.warns(MatineeWarning, match="all members weigh the same"):
        assert weights_of(Ensemble(members=members).fit(train)) == pytest.approx([1 / 3] * 3)
    nobody = replace(valid, queries=valid.queries.slice(0, 0), truth=valid.truth.slice(0, 0))
    assert weights_of(Ensemble(members=members).fit(train, valid=nobody)) == pytest.approx([1 / 3] * 3)
    unanswered = replace(valid, truth=Ragged.empty(len(valid)))
    assert weights_of(Ensemble(members=members).fit(train, valid=unanswered)) == pytest.approx([1 / 3] * 3)
    assert weights_of(Ensemble(members=members[:1]).fit(train, valid=valid)) == [1.0]


def test_given_weights_are_taken_in_proportion(hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    assert weights_of(Ensemble(members=["ease", "markov"], weights=[1, 4]).fit(train, valid=valid)) == [0.2, 0.8]


def test_a_member_that_knows_nothing_loses_its_weight(hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    found = weights_of(Ensemble(members=[EASE(l2=20.0), Popularity()]).fit(train, valid=valid))
    assert found[0] > 0.6
    assert sum(found) == pytest.approx(1.0)


def test_weights_are_chosen_among_the_candidates_of_a_query(hidden: tuple[Dataset, Holdout]) -> None:
    """The answer is EASE's best, among its thirtieth and the most popular item."""
    train, valid = hidden
    ease, popularity = EASE(l2=20.0).fit(train), Popularity().fit(train)
    queries = replace(valid.queries, exclude=Ragged.empty(len(valid)))
    order = np.argsort(-ease.score(queries), axis=1, kind="stable")
    most = int(np.argmax(train.item_counts()))
    rows = [(row[row != most][0], row[row != most][30], most) for row in order]
    asked = replace(queries, candidates=np.array(rows, np.int32))
    answers = Ragged.from_lists([[first] for first, _, _ in rows])
    found = weights_of(Ensemble(members=[popularity, ease]).fit(train, valid=Holdout(asked, answers, valid.protocol)))
    assert found[1] > 0.5


def test_members_are_asked_once_a_block_and_turn(hidden: tuple[Dataset, Holdout], monkeypatch: Patch) -> None:
    train, valid = hidden
    members = [EASE(l2=20.0).fit(train), Markov().fit(train)]
    asked: list[int] = []
    right = Markov.score_histories

    def counting(self: Markov, queries: Queries) -> Floats:
        asked.append(len(queries))
        return right(self, queries)

    monkeypatch.setattr(Markov, "score_histories", counting)
    monkeypatch.setattr(rank, "BLOCK_BYTES", 40 * 4 * train.n_items)
    whole = Ensemble(members=members).fit(train, valid=valid)
    assert asked == [40, 40, len(valid) - 80]
    monkeypatch.setattr(fusion_weights, "QUERIES", 30)
    asked.clear()
    few = Ensemble(members=members).fit(train, valid=valid)
    assert asked == [30]
    assert sum(weights_of(few)) == sum(weights_of(whole)) == 1.0


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=6), st.data())
def test_a_share_is_given_and_the_others_keep_their_proportions(raw: list[float], draw: st.DataObject) -> None:
    before = np.array(raw) + 0.0
    before = before / before.sum() if before.sum() > 1e-3 else np.full(len(raw), 1 / len(raw))
    member = draw.draw(st.integers(0, len(raw) - 1))
    share = draw.draw(st.sampled_from(fusion_weights.SHARES.tolist()))
    after = fusion_weights.shared(before, member, share)
    assert after[member] == share
    assert (after >= 0).all()
    assert after.sum() == pytest.approx(1.0)
    others = np.delete(before, member)
    if others.sum() > 1e-6:
        np.testing.assert_allclose(np.delete(after, member) * others.sum(), others * (1 - share), atol=1e-12)


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"weights": [1.0]}, "1 weights for 2 members"),
        ({"weights": [[1, 1], [1, 2]]}, "2 lists of weights for 1 group\\n"),
        ({"weights": [[1, 1], [1, 2, 3]], "grouped_by": "gap", "edges": [2]}, "3 weights for 2 members"),
        ({"weights": [[1, 1], [0, 0]], "grouped_by": "gap", "edges": [2]}, "one must be positive"),
        ({"edges": [3.0]}, "they are of grouped_by"),
        ({"edges": [3.0, 3.0], "grouped_by": "gap"}, "each is larger than the one before"),
        ({"quotas": [1]}, "one for each member"),
        ({"quotas": [0, 0]}, "1 to 1,000 in sum"),
        ({"quotas": [-1, 3]}, "none negative"),
        ({"quotas": [1, 1], "weights": [1, 1]}, "quotas take the place of weights"),
    ],
)
def test_settings_that_do_not_fit_are_refused(hyper: dict[str, Any], message: str) -> None:
    with pytest.raises(MatineeError, match=message):
        Ensemble(members=["ease", "markov"], **hyper)


def test_members_of_weight_0_are_not_asked(hidden: tuple[Dataset, Holdout], monkeypatch: Patch) -> None:
    train, valid = hidden
    model = Ensemble(members=["ease", "markov"], weights=[1, 0]).fit(train)
    monkeypatch.setattr(Markov, "score_histories", None)
    assert np.isfinite(model.score(valid.queries)).any()


def test_small_groups_keep_the_weights_of_all(hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    members = [EASE(l2=20.0).fit(train), Markov().fit(train)]
    plain = Ensemble(members=members).fit(train, valid=valid)
    model = Ensemble(members=members, grouped_by="history", edges=[1e6]).fit(train, valid=valid)
    assert model.fitted.learned.weights.tolist() == [weights_of(plain)] * 2
    assert "from 1e+06 events on: ease" in model.fit_summary


def test_a_gap_is_the_time_since_the_latest_known_event(hidden: tuple[Dataset, Holdout]) -> None:
    queries = hidden[1].queries
    assert np.isinf(mixture.grouped_value(replace(queries, request_time=None), "gap")).all()
    times = replace(
        queries.slice(0, 3),
        history=Ragged.from_lists([[1, 2], [], [3]]),
        history_times=np.array([86_400, 43_200, 7]),
        request_time=np.array([2 * 86_400, 5, 3]),
    )
    assert mixture.grouped_value(times, "gap").tolist() == [1.0, np.inf, 0.0]
    assert mixture.group_of(times, "gap", np.array([0.5, 1.0])).tolist() == [2, 2, 0]


def test_groups_are_of_about_equal_size() -> None:
    lengths = [1, 1, 1, 1, 2, 3, 4, 5, 9]
    queries = groups().queries().slice(0, len(lengths))
    queries = replace(queries, history=Ragged.from_lists([[0] * n for n in lengths]))
    assert fusion_weights.edges_of(queries, "history", 3).tolist() == [4.0]  # 1 is the least: no edge
    assert fusion_weights.edges_of(queries, "history", 2).tolist() == [2.0]
    assert not len(fusion_weights.edges_of(replace(queries, request_time=None), "gap", 3))


# --- fusion -----------------------------------------------------------------------------------------------------------

rows = arrays(np.float32, (3, 17), elements=st.sampled_from([-np.inf, -3.5, -1.0, -0.0, 0.0, 1e-30, 2.0, 7.0, 1e30]))
excluded = st.lists(st.lists(st.integers(0, 16), max_size=20), min_size=3, max_size=3)
below = np.tile(np.array([-np.inf, -3.5, 0, 2, *[0] * 13], np.float32), (3, 1))
"""Of two items to exclude one cannot be scored, and the other scores less than all that are left."""


@given(rows, excluded)
def test_ranks_are_those_of_scipy_among_what_is_not_excluded(scores: Floats, exclude: list[list[int]]) -> None:
    found = scores.copy()
    fusion.make_comparable(found, Ragged.from_lists(exclude), "rank")
    for before, after, left_out in zip(scores, found, exclude, strict=True):
        kept = np.setdiff1d(np.flatnonzero(before > -np.inf), left_out)
        np.testing.assert_allclose(after[kept], 1 / (60 + rankdata(-before[kept])), rtol=1e-6)
        assert (after[before == -np.inf] == 0).all()


@example(below, [[0, 1]] * 3, "zscore")
@given(rows, excluded, st.sampled_from(["rank", "zscore", "softmax", "minmax", "borda"]))
def test_items_that_are_not_excluded_keep_their_order_and_those_that_are_too(
    scores: Floats, exclude: list[list[int]], method: fusion.Method
) -> None:
    scores = np.clip(scores, -30, 30, where=scores > -np.inf, out=scores.copy())
    found = scores.copy()
    fusion.make_comparable(found, Ragged.from_lists(exclude), method)
    assert np.isfinite(found).all()
    for before, after, left_out in zip(scores, found, exclude, strict=True):
        kept = np.setdiff1d(np.arange(17), left_out)
        for codes in (kept, np.unique(left_out).astype(np.int64)):
            assert (np.diff(after[codes][np.argsort(before[codes], kind="stable")]) >= -1e-6).all()


@given(rows, excluded, st.sampled_from(["rank", "zscore", "softmax", "minmax", "borda"]))
def test_scores_of_excluded_items_move_no_others(
    scores: Floats, exclude: list[list[int]], method: fusion.Method
) -> None:
    found, other = scores.copy(), scores.copy()
    ragged = Ragged.from_lists(exclude)
    other[ragged.rows, ragged.values] = 5.0
    fusion.make_comparable(found, ragged, method)
    fusion.make_comparable(other, ragged, method)
    kept = np.ones(scores.shape, np.bool_)
    kept[ragged.rows, ragged.values] = False
    assert found[kept].tobytes() == other[kept].tobytes()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_long_rows_of_any_float_are_ranked(seed: int) -> None:
    """Every exponent and sign: the bits are drawn, not the numbers."""
    scores = np.random.default_rng(seed).integers(0, 2**32, (1, 6000), np.uint32).view(np.float32)
    scores[~np.isfinite(scores)] = 0.5
    found = scores.copy()
    fusion.make_comparable(found, Ragged.empty(1), "rank")
    np.testing.assert_allclose(found[0], 1 / (60 + rankdata(-scores[0].astype(np.float64))), rtol=1e-6)


@pytest.mark.parametrize("method", ["rank", "zscore", "softmax", "minmax", "borda"])
def test_nan_is_refused_by_ranking(method: str, hidden: tuple[Dataset, Holdout], monkeypatch: Patch) -> None:
    train, valid = hidden
    model = Ensemble(members=["ease", "markov"], method=method).fit(train)
    right: Callable[[Markov, Queries], Floats] = Markov.score_histories

    def broken(self: Markov, queries: Queries) -> Floats:
        scores = right(self, queries)
        scores[3, 7] = np.nan
        return scores

    monkeypatch.setattr(Markov, "score_histories", broken)
    with pytest.raises(MatineeError, match="NaN scores for query 3"):
        recommend(model, replace(valid.queries, exclude=Ragged.empty(len(valid))))


def test_what_any_member_can_score_is_scored(hidden: tuple[Dataset, Holdout]) -> None:
    """Each member has seen one half of the items; together they rank all."""
    train, _ = hidden
    data = groups()
    halves = [train.rows(train.item % 2 == half) for half in (0, 1)]
    members = [EASE(l2=20.0).fit(half) for half in halves]
    parts = fusion.member_scores(members, data.queries(), "zscore")
    watched = train.item_counts() > 0
    assert (parts.scorable == watched).all()
    found = parts.mixed(np.array([0.5, 0.5]))
    assert (np.isfinite(found) == watched).all()


# --- refits and resumed fits ------------------------------------------------------------------------------------------


def test_a_refit_keeps_weights_and_fits_members_anew(hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    model = Ensemble(members=[EASE(l2=20.0).fit(train), small_net()], method="zscore").fit(train, valid=valid, seed=1)
    again = model.for_refit()
    assert again.weights == tuple(weights_of(model))
    assert again.weights != (0.5, 0.5)
    assert again.method == "zscore"
    assert not any(member.is_fitted for member in again.members)
    assert again.members == tuple(member.for_refit() for member in model.fitted.learned.members)
    everything = groups()
    again.fit(everything, seed=1)
    assert weights_of(again) == pytest.approx(weights_of(model))
    alone = EASE(l2=20.0).fit(everything)
    first = again.fitted.learned.members[0]
    assert first.score(valid.queries).tobytes() == alone.score(valid.queries).tobytes()


def test_a_killed_fit_goes_on_with_the_member_it_was_at(
    hidden: tuple[Dataset, Holdout], tmp_path: Path, monkeypatch: Patch
) -> None:
    train, valid = hidden
    nets = [small_net(), small_net().model_copy(update={"hidden": 9})]
    undisturbed = Ensemble(members=nets).fit(train, valid=valid, seed=2)
    from matinee.nn.checkpoint import seconds
    from matinee.nn.train import Loop

    epochs: list[int] = []
    right = Loop._epoch

    def stumbling(self: Loop, *arguments: object) -> object:
        epochs.append(len(epochs))
        if len(epochs) == 9:
            raise KeyboardInterrupt
        return right(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Loop, "_epoch", stumbling)
    with pytest.raises(KeyboardInterrupt):
        Ensemble(members=nets).fit(train, valid=valid, seed=2, checkpoint=tmp_path / "fit")
    spent = [seconds(tmp_path / "fit" / name) for name in ("0", "1")]
    assert min(spent) > 0
    assert seconds(tmp_path / "fit") == sum(spent)
    again = Ensemble(members=nets).fit(train, valid=valid, seed=2, checkpoint=tmp_path / "fit")
    assert len(epochs) == 9 + 4, "six of the first and two of the second were done"
    assert again.score(valid.queries).tobytes() == undisturbed.score(valid.queries).tobytes()
    assert sorted(path.name for path in (tmp_path / "fit").iterdir()) == ["0", "1"]
