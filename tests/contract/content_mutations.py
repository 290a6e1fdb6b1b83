"""Defects of models that read what items are like, and titles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from contract.mutation import Patch, breaks
from matinee.data.features.content import Contents
from matinee.data.features.grams import Grams
from matinee.models.content import Content
from matinee.models.families import feature_columns
from matinee.models.title_match import TitleMatch


@breaks("check_cosines", "content")
def neighbours_of_the_history_item(patch: Patch) -> None:
    right = feature_columns.cosines
    patch.setattr("matinee.models.content.cosines", lambda F, k: right(F, k).T.tocsr())


@breaks("check_cosines", "content")
def rare_values_weigh_no_more(patch: Patch) -> None:
    right = Contents.rows
    patch.setattr(Contents, "rows", lambda self, t: right(replace(self, idf=np.ones_like(self.idf)), t))


@breaks("check_cosines", "content")
def nothing_known_is_a_zero(patch: Patch) -> None:
    right = Content.score_histories
    patch.setattr(Content, "score_histories", lambda self, q: np.nan_to_num(right(self, q), neginf=0.0))


@breaks("check_ridge", "content")
def regression_on_all_items(patch: Patch) -> None:
    right = feature_columns.regressed
    patch.setattr(
        "matinee.models.content.regressed",
        lambda W, F, known, asked, l2: right(W, F, np.ones_like(known), asked, l2),
    )


@breaks("check_ridge", "content")
def penalty_left_out(patch: Patch) -> None:
    right = feature_columns.regressed
    patch.setattr("matinee.models.content.regressed", lambda W, F, known, asked, l2: right(W, F, known, asked, 10 * l2))


@breaks("check_title_match", "title_match")
def list_is_an_own_neighbour(patch: Patch) -> None:
    right = TitleMatch.score_histories

    def score(self: TitleMatch, q: Any) -> Any:
        return right(self, replace(q, user=np.full_like(q.user, -1)))

    patch.setattr(TitleMatch, "score_histories", score)


@breaks("check_title_match", "title_match")
def titles_as_they_are_written(patch: Patch) -> None:
    patch.setattr("matinee.data.features.grams.plain", lambda title: title or "")


@breaks("check_pieces_are_those_of_scikit_learn", "title_match")
def pieces_without_the_idf(patch: Patch) -> None:
    right = Grams.rows
    patch.setattr(Grams, "rows", lambda self, titles: right(replace(self, idf=np.ones_like(self.idf)), titles))
