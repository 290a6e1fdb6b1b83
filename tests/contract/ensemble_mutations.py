"""Defects of ensembles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from contract.mutation import Patch, breaks
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.models.base import Model
from matinee.models.ensemble import Ensemble
from matinee.models.families import fusion, fusion_weights
from matinee.models.families.fusion import MemberScores
from matinee.models.fitting import FitContext
from matinee.store import learned


@breaks("check_ensemble", "ensemble")
def ranks_reversed(patch: Patch) -> None:
    right = fusion.make_comparable

    def wrong(scores: Floats, exclude: Ragged, method: fusion.Method) -> None:
        scores[np.isfinite(scores)] *= -1
        right(scores, exclude, method)

    patch.setattr(fusion, "make_comparable", wrong)


@breaks("check_ensemble", "ensemble")
def excluded_items_count(patch: Patch) -> None:
    right = fusion.make_comparable
    patch.setattr(fusion, "make_comparable", lambda s, exclude, method: right(s, Ragged.empty(len(s)), method))


@breaks("check_ensemble", "ensemble")
def raw_scores_added(patch: Patch) -> None:
    patch.setattr(fusion, "make_comparable", lambda s, exclude, method: np.maximum(s, -1e6, out=s))


@breaks("check_ensemble", "ensemble")
def weights_forgotten(patch: Patch) -> None:
    right = MemberScores.mixed
    patch.setattr(MemberScores, "mixed", lambda self, weights: right(self, np.full_like(weights, 1 / len(weights))))


@breaks("check_ensemble", "ensemble")
def weights_of_the_wrong_members(patch: Patch) -> None:
    right = MemberScores.mixed
    patch.setattr(MemberScores, "mixed", lambda self, weights: right(self, weights[::-1]))


@breaks("check_ensemble", "ensemble")
def last_member_forgotten(patch: Patch) -> None:
    right = fusion.member_scores
    patch.setattr(fusion, "member_scores", lambda members, q, method: right([*members[:-1], members[0]], q, method))


@breaks("check_members_that_cannot_score_every_item", "ensemble")
def items_left_out_that_one_member_cannot_score(patch: Patch) -> None:
    right = fusion.member_scores

    def parts(members: Any, queries: Queries, method: fusion.Method) -> MemberScores:
        scorable = np.all([member.score(queries) > -np.inf for member in members], axis=0)
        return replace(right(members, queries, method), scorable=scorable)

    patch.setattr(fusion, "member_scores", parts)


@breaks("candidates_score_as_in_the_whole_catalogue", "ensemble")
def ranks_among_the_candidates(patch: Patch) -> None:
    def parts(self: Ensemble, queries: Queries, asked: Any = None) -> MemberScores:
        members = self.fitted.learned.members
        whole = fusion.member_scores(members, replace(queries, candidates=None), self.method)
        if queries.candidates is None:
            return whole
        found = fusion.member_scores(members, replace(queries, exclude=Ragged.empty(len(queries))), self.method)
        for every, some in zip(whole.scores, found.scores, strict=True):
            np.put_along_axis(every, np.maximum(queries.candidates, 0), some, axis=1)
        return whole

    patch.setattr(Ensemble, "member_scores", parts)


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
