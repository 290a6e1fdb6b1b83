"""Defects of what all models share: scoring, ranking, fitting, files, hyper-parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from contract.mutation import Patch, breaks
from matinee import kernels, rank
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.dislikes import Dislikes
from matinee.models import registry
from matinee.models.base import Fitted, Model
from matinee.models.ease import EASE
from matinee.store import folders, logs


@breaks("it_beats_popularity_where_taste_is_plain", "ease")
def constant_scorer(patch: Patch) -> None:
    patch.setattr(EASE, "score_histories", lambda self, q: np.ones((len(q), len(self.items)), np.float32))


@breaks("same_seed_same_bytes", "ease")
def random_scorer(patch: Patch) -> None:
    rng = np.random.default_rng(0)
    patch.setattr(EASE, "score_histories", lambda self, q: rng.random((len(q), len(self.items)), np.float32))


@breaks("it_beats_popularity_where_taste_is_plain", "ease")
def fixed_random_scorer(patch: Patch) -> None:
    def score(self: EASE, queries: Queries) -> Floats:
        return np.tile(np.random.default_rng(0).random(len(self.items), np.float32), (len(queries), 1))

    patch.setattr(EASE, "score_histories", score)


@breaks("it_beats_popularity_where_taste_is_plain", "ease")
def popularity_in_disguise(patch: Patch) -> None:
    patch.setattr(EASE, "score_histories", lambda self, q: np.tile(self.fitted.popularity, (len(q), 1)))


@breaks("scores_have_their_shape", "ease")
def nan_scores(patch: Patch) -> None:
    right = EASE.score_histories
    patch.setattr(EASE, "score_histories", lambda self, q: np.where(right(self, q) > 0.1, np.nan, right(self, q)))


@breaks("batch_equals_single", "ease")
def scores_of_the_whole_batch(patch: Patch) -> None:
    right = EASE.score_histories
    patch.setattr(EASE, "score_histories", lambda self, q: right(self, q) / (1 + abs(right(self, q)).max(initial=0)))


@breaks("scores_have_their_shape", "ease")
def same_array_again(patch: Patch) -> None:
    right = EASE.score_histories
    kept: dict[object, Floats] = {}

    def score(self: EASE, queries: Queries) -> Floats:
        return kept.setdefault((id(self), len(queries), queries.history.values.tobytes()), right(self, queries))

    patch.setattr(EASE, "score_histories", score)


@breaks("a_known_users_history_answers_like_the_user", "ease")
def trained_history_instead_of_the_asked_one(patch: Patch) -> None:
    right = EASE.score_histories

    def score(self: EASE, queries: Queries) -> Floats:
        return right(self, replace(queries, history=self.data.queries_of(np.maximum(queries.user, 0)).history))

    patch.setattr(EASE, "score_histories", score)


@breaks("refit_ignores_earlier_fit", "ease")
def stale_after_refit(patch: Patch) -> None:
    right = Model.fit
    patch.setattr(Model, "fit", lambda self, data, **more: self if self.is_fitted else right(self, data, **more))


@breaks("fit_returns_self", "ease")
def fit_returns_nothing(patch: Patch) -> None:
    right = Model.fit

    def fit(self: Model, data: Dataset, **more: Any) -> None:
        right(self, data, **more)

    patch.setattr(Model, "fit", fit)


@breaks("an_empty_history_falls_back_to_popularity", "ease")
def no_fallback(patch: Patch) -> None:
    patch.setattr(Model, "fallback", lambda self, queries: np.zeros(len(queries), np.bool_))


@breaks("unwatched_items_score_minus_infinity", "ease")
def unwatched_items_scored(patch: Patch) -> None:
    right = Model.score

    def score(self: Model, queries: Queries) -> Floats:
        return np.nan_to_num(right(self, queries), neginf=0.0)

    patch.setattr(Model, "score", score)


@breaks("candidates_score_as_in_the_whole_catalogue", "ease")
def candidates_in_another_order(patch: Patch) -> None:
    right = Model.score

    def score(self: Model, queries: Queries) -> Floats:
        if queries.candidates is not None:
            queries = replace(queries, candidates=np.sort(queries.candidates, axis=1))
        return right(self, queries)

    patch.setattr(Model, "score", score)


@breaks("excluded_items_are_never_recommended", "ease")
@breaks("excluded_items_are_never_recommended", "multi_dae")
def history_not_excluded(patch: Patch) -> None:
    patch.setattr(rank._Masks, "exclude", lambda self, block: Ragged.empty(len(block)))


@breaks("excluded_items_are_never_recommended", "ease")
def exclusion_of_the_neighbouring_query(patch: Patch) -> None:
    patch.setattr(rank._Masks, "exclude", lambda self, block: block.exclude.take(np.arange(len(block))[::-1]))


@breaks("equal_scores_go_to_the_lower_code", "popularity")
def ties_to_the_highest_code(patch: Patch) -> None:
    right = rank.top_k

    def top_k(scores: Floats, k: int, *, first_row: int = 0) -> Any:
        item, score, tied = right(np.ascontiguousarray(scores[:, ::-1]), k, first_row=first_row)
        return np.where(item >= 0, scores.shape[1] - 1 - item, -1).astype(np.int32), score, tied

    patch.setattr(rank, "top_k", top_k)


@breaks("k_may_exceed_the_catalogue", "ease")
def worst_first(patch: Patch) -> None:
    right = rank.top_k

    def top_k(scores: Floats, k: int, *, first_row: int = 0) -> Any:
        item, score, tied = right(scores, k, first_row=first_row)
        return item[:, ::-1].copy(), score[:, ::-1].copy(), tied

    patch.setattr(rank, "top_k", top_k)


@breaks("threads_do_not_matter", "ease")
def last_chunk_lost(patch: Patch) -> None:
    right = kernels.parallel

    def parallel(run: Callable[[int, int], Any], n: int, *, chunk: int) -> None:
        right(run, n - 1 if kernels.n_threads() > 1 and n > chunk else n, chunk=chunk)

    patch.setattr(kernels, "parallel", parallel)


@breaks("save_and_load_keep_every_byte", "ease")
def popularity_not_saved(patch: Patch) -> None:
    right = Model.restore

    def restore(self: Model, fitted: Fitted) -> Model:
        return right(self, replace(fitted, popularity=np.ones_like(fitted.popularity)))

    patch.setattr(Model, "restore", restore)


@breaks("save_and_load_keep_every_byte", "ease", hyper={"half_life": 4.0})
def hyper_parameters_not_saved(patch: Patch) -> None:
    patch.setattr(Model, "restore", lambda self, fitted: _restored(type(self)(), fitted))


@breaks("save_and_load_keep_every_byte", "ease")
def times_not_saved(patch: Patch) -> None:
    patch.delitem(logs.KINDS, "timestamp")


@breaks("save_and_load_keep_every_byte", "ease")
def weights_saved_in_half_precision(patch: Patch) -> None:
    right = folders.write_arrays

    def write(path: Any, arrays: dict[str, Any]) -> None:
        right(path, {n: a.astype(np.float16).astype(np.float32) if n == "W" else a for n, a in arrays.items()})

    patch.setattr(folders, "write_arrays", write)


@breaks("hyper_parameters_are_frozen_and_checked", "ease")
def anything_goes(patch: Patch) -> None:
    patch.setattr(registry, "create", lambda name, hyper=None: registry.model_class(name)())


def _restored(model: Model, fitted: Fitted) -> Model:
    model._fitted = fitted
    return model


@breaks("weights_count_where_the_model_says_so", "ease")
def weights_used_in_silence(patch: Patch) -> None:
    patch.setattr(EASE, "uses_weights", lambda self: False)


@breaks("disliked_items_are_never_recommended", "ease")
def dislikes_forgotten(patch: Patch) -> None:
    patch.setattr(Dislikes, "of", lambda self, users, before=None: Ragged.empty(len(users)))
