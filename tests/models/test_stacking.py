"""Stacking: what trees make of the members' scores, and what of it survives a refit and a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.logs import groups, last_hidden
from matinee import store
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.errors import MatineeError, MatineeWarning
from matinee.models.base import TextFile
from matinee.models.ease import EASE
from matinee.models.markov import Markov
from matinee.models.popularity import Popularity
from matinee.models.stacking import Stacking
from matinee.rank import recommend

SHORT: dict[str, Any] = {"n": 20, "n_trees": 40, "n_leaves": 7, "min_rows": 5, "learning_rate": 0.1}


@pytest.fixture(scope="module")
def hidden() -> tuple[Dataset, Holdout]:
    return last_hidden(groups())


@pytest.fixture(scope="module")
def liked(hidden: tuple[Dataset, Holdout]) -> Holdout:
    """Everybody's answer is what the second member, Markov, puts third: no weighted sum of ranks says so."""
    train, valid = hidden
    recs = recommend(Markov().fit(train), valid.queries, 3)
    return replace(valid, truth=Ragged.from_lists(recs.item[:, 2:3].tolist()))


def members(train: Dataset) -> list[EASE | Markov]:
    return [EASE(l2=20.0).fit(train), Markov().fit(train)]


@pytest.fixture(scope="module")
def stack(hidden: tuple[Dataset, Holdout], liked: Holdout) -> Stacking:
    return Stacking(members=members(hidden[0]), **SHORT).fit(hidden[0], valid=liked, seed=2)


def test_trees_find_an_order_that_no_sum_of_ranks_has(stack: Stacking, liked: Holdout) -> None:
    found = recommend(stack, liked.queries, 1).item[:, 0]
    assert (found == liked.truth.values).mean() > 0.8
    assert 0 < len(stack.curve) <= 40
    assert stack.curve[-1]["valid_metric"] is not None


def test_candidates_come_first_and_others_keep_the_order_of_their_ranks(stack: Stacking, liked: Holdout) -> None:
    queries = liked.queries.slice(0, 9)
    scores = stack.score(queries)
    few = stack.model_copy(update={"n": 4}).restore(stack.fitted).score(queries)
    for b in range(len(queries)):
        free = np.setdiff1d(np.flatnonzero(np.isfinite(few[b])), queries.exclude[b])
        order = free[np.argsort(-few[b, free], kind="stable")]
        ranks = [
            np.argsort(np.argsort(-member.score(queries)[b, free], kind="stable"))
            for member in stack.fitted.learned.members
        ]
        assert set(order[:4]) <= {item for rank in ranks for item in free[rank < 4]}
    assert (np.isfinite(few) == np.isfinite(scores)).all()


def test_a_refit_keeps_the_trees_and_fits_members_anew(stack: Stacking, liked: Holdout) -> None:
    again = stack.for_refit()
    assert not any(member.is_fitted for member in again.submodels())
    again = again.with_submodels(again.submodels()).fit(groups(), seed=2)
    assert again.fitted.learned.trees == stack.fitted.learned.trees
    assert len(again.fitted.learned.members[0].data) == len(groups())


def test_a_saved_stack_answers_the_same_and_broken_trees_are_refused(
    stack: Stacking, liked: Holdout, tmp_path: Path
) -> None:
    loaded = store.load_model(store.save_model(stack, tmp_path / "s"))
    assert loaded.score(liked.queries).tobytes() == stack.score(liked.queries).tobytes()
    learned = replace(stack.fitted.learned, trees=TextFile("tree\nnonsense"))
    with pytest.raises(MatineeError, match="these are no trees of LightGBM"):
        stack.model_copy().restore(replace(stack.fitted, learned=learned))


def test_without_answers_members_weigh_the_same(hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    with pytest.warns(MatineeWarning, match="no valid part to find the trees of the stacking on, so all members"):
        plain = Stacking(members=members(train)).fit(train)
    ranks = sum(reciprocal(member.score(valid.queries), valid.queries) for member in plain.fitted.learned.members)
    np.testing.assert_allclose(plain.score(valid.queries), ranks, rtol=1e-5)


def reciprocal(scores: Floats, queries: Queries) -> Floats:
    out = scores.copy()
    for b, row in enumerate(scores):
        kept = np.setdiff1d(np.arange(len(row)), queries.exclude[b])
        for j in range(len(row)):
            others = kept[(kept != j) & (row[kept] > -np.inf)]
            ahead = (row[others] > row[j]).sum() + (row[others] == row[j]).sum() / 2
            out[b, j] = 1 / (61 + ahead) if row[j] > -np.inf else -np.inf
    return out


def test_one_popular_member_is_no_answer_of_its_own(hidden: tuple[Dataset, Holdout]) -> None:
    train, _ = hidden
    with pytest.warns(MatineeWarning, match="no valid part"):
        model = Stacking(members=[EASE(l2=20.0), Popularity()]).fit(train)
    nobody = replace(train.queries().slice(0, 2), history=Ragged.empty(2))
    assert model.fallback(nobody).all()
