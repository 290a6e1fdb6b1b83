"""Defects of ensembles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from contract.mutation import Patch, breaks
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.models.base import Model
from matinee.models.ensemble import Ensemble
from matinee.models.families import fusion, fusion_weights
from matinee.models.fitting import FitContext
from matinee.store import learned


def rows_are(patch: Patch, change: Callable[..., None]) -> None:
    """change(right, start, stop, offsets, excluded, scores) makes rows comparable in place of right(start, ...)."""
    right = fusion.comparable_rows
    patch.setattr(fusion, "comparable_rows", lambda method: partial(change, right(method)))


def weights_are(patch: Patch, change: Callable[[Any], Any]) -> None:
    right = fusion.mixed_scores
    patch.setattr(
        fusion, "mixed_scores", lambda members, q, method, weights: right(members, q, method, change(weights))
    )


@breaks("check_ensemble", "ensemble")
def ranks_reversed(patch: Patch) -> None:
    def wrong(right: Any, start: int, stop: int, offsets: Any, excluded: Any, scores: Floats) -> None:
        rows = scores[start:stop]
        rows[np.isfinite(rows)] *= -1
        right(start, stop, offsets, excluded, scores)

    rows_are(patch, wrong)


@breaks("check_ensemble", "ensemble")
def excluded_items_count(patch: Patch) -> None:
    rows_are(
        patch, lambda right, start, stop, offsets, excluded, scores: right(start, stop, 0 * offsets, excluded, scores)
    )


@breaks("check_ensemble", "ensemble")
def raw_scores_added(patch: Patch) -> None:
    def wrong(right: Any, start: int, stop: int, offsets: Any, excluded: Any, scores: Floats) -> None:
        np.maximum(scores[start:stop], -1e6, out=scores[start:stop])

    rows_are(patch, wrong)


@breaks("check_ensemble", "ensemble")
def weights_forgotten(patch: Patch) -> None:
    weights_are(patch, lambda weights: np.full_like(weights, 1 / len(weights)))


@breaks("check_ensemble", "ensemble")
def weights_of_the_wrong_members(patch: Patch) -> None:
    weights_are(patch, lambda weights: weights[::-1])


@breaks("check_ensemble", "ensemble")
def last_member_forgotten(patch: Patch) -> None:
    right = fusion.mixed_scores
    patch.setattr(fusion, "mixed_scores", lambda members, *asked: right([*members[:-1], members[0]], *asked))


@breaks("check_members_that_cannot_score_every_item", "ensemble")
def items_left_out_that_one_member_cannot_score(patch: Patch) -> None:
    def every(scores: Any, start: int, stop: int) -> Any:
        return np.all([each[start:stop] != -np.inf for each in scores], axis=0)

    patch.setattr(fusion, "scorable_rows", every)


@breaks("candidates_score_as_in_the_whole_catalogue", "ensemble")
def ranks_among_the_candidates(patch: Patch) -> None:
    right = Ensemble.score_histories

    def among(self: Ensemble, queries: Queries) -> Floats:
        whole = right(self, queries)
        if queries.candidates is not None:
            members, weights = self.fitted.learned.members, self.fitted.learned.weights
            asked = replace(queries, exclude=Ragged.empty(len(queries)))
            found = fusion.mixed_scores(members, asked, self.method, weights)
            np.put_along_axis(whole, np.maximum(queries.candidates, 0), found, axis=1)
        return whole

    patch.setattr(Ensemble, "score_histories", among)


@breaks("refit_ignores_earlier_fit", "ensemble")
def members_fitted_in_place(patch: Patch) -> None:
    def learned(self: Ensemble, data: Dataset, context: FitContext) -> tuple[Model, ...]:
        members = enumerate(self.members)
        return tuple(m if m.is_fitted else m.fit_in(data, context.of_member(number)) for number, m in members)

    patch.setattr(Ensemble, "fitted_members", learned)


@breaks("check_weights_are_found_on_valid", "ensemble")
def worst_weights(patch: Patch) -> None:
    right = fusion_weights.qualities
    patch.setattr(fusion_weights, "qualities", lambda *asked: -right(*asked))


@breaks("check_weights_are_found_on_valid", "ensemble")
def one_sweep_too_few(patch: Patch) -> None:
    patch.setattr(fusion_weights, "SWEEPS", 1)


@breaks("save_and_load_keep_every_byte", "ensemble")
def members_saved_in_another_order(patch: Patch) -> None:
    right = learned.flatten

    def flatten(state: Any) -> Any:
        arrays, members, layout = right(state)
        return arrays, members[::-1], layout

    patch.setattr("matinee.store.models.flatten", flatten)
