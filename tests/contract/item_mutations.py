"""Defects of counting and of models of items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from contract.mutation import Patch, breaks
from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset
from matinee.models import ease, markov, svd
from matinee.models.admm_slim import AdmmSLIM
from matinee.models.ease import EASE
from matinee.models.families import item_item, transitions
from matinee.models.families.item_item import ItemItem
from matinee.models.item_knn import ItemKNN
from matinee.models.popularity import Counts, Popularity
from matinee.models.slim import SLIM
from matinee.models.svd_ae import SVDAE, LowRankWeights
from matinee.models.user_knn import UserKNN


@breaks("check_ease", "ease")
def transposed_ease(patch: Patch) -> None:
    right = EASE.weights
    patch.setattr(EASE, "weights", lambda self, X: np.ascontiguousarray(right(self, X).T))


@breaks("check_item_knn", "item_knn")
def swapped_item_knn(patch: Patch) -> None:
    right = ItemKNN.weights
    patch.setattr(ItemKNN, "weights", lambda self, X: right(self, X).T.tocsr())


@breaks("check_item_knn", "item_knn")
def symmetric_item_knn(patch: Patch) -> None:
    right = ItemKNN.weights

    def weights(self: ItemKNN, X: csr_array) -> csr_array:
        W = right(self, X)
        return W.maximum(W.T).tocsr()

    patch.setattr(ItemKNN, "weights", weights)


@breaks("check_item_knn", "item_knn")
def one_neighbour_too_many(patch: Patch) -> None:
    right = ItemKNN.weights
    patch.setattr(ItemKNN, "weights", lambda self, X: right(self.model_copy(update={"k": self.k + 1}), X))


@breaks("check_ease", "ease")
def diagonal_left(patch: Patch) -> None:
    right = EASE.weights
    patch.setattr(EASE, "weights", lambda self, X: right(self, X) + np.eye(X.shape[1], dtype=np.float32))


@breaks("check_ease", "ease")
def float32_always(patch: Patch) -> None:
    patch.setattr(ease, "FLOAT32_CONDITION", 1e30)


@breaks("shuffled_rows_give_the_same_bytes", "ease")
def first_rows_only(patch: Patch) -> None:
    right = EASE.learn

    def learn(self: EASE, data: Dataset, *more: Any) -> Any:
        return right(self, data.rows(np.arange(max(1, len(data) * 9 // 10))), *more)

    patch.setattr(EASE, "learn", learn)


@breaks("same_seed_same_bytes", "ease")
def unseeded_noise(patch: Patch) -> None:
    right, rng = EASE.weights, np.random.default_rng()

    def weights(self: EASE, X: csr_array) -> Floats:
        return right(self, X) * rng.normal(1.0, 1e-3, X.shape[1]).astype(np.float32)

    patch.setattr(EASE, "weights", weights)


@breaks("ids_renamed_in_order_and_weights_of_one_give_the_same_bytes", "ease")
def ids_as_features(patch: Patch) -> None:
    right = EASE.learn

    def learn(self: EASE, data: Dataset, *more: Any) -> Any:
        names = np.array([len(str(i)) + float(str(i)[-1] in "13579") for i in data.items.ids], np.float32)
        return item_item.ItemWeights(right(self, data, *more).W + 1e-3 * names)

    patch.setattr(EASE, "learn", learn)


@breaks("check_ease", "ease")
@breaks("check_history_half_life", "ease")
def history_reversed(patch: Patch) -> None:
    right = ItemItem.votes
    patch.setattr(ItemItem, "votes", lambda self, q: right(self, q)[::-1].copy())


@breaks("check_ease", "ease")
def repeats_vote_again(patch: Patch) -> None:
    patch.setattr(ItemItem, "votes", lambda self, q: np.ones(len(q.history.values), np.float32))


@breaks("check_user_knn", "user_knn")
def user_is_an_own_neighbour(patch: Patch) -> None:
    right = UserKNN.score_histories
    patch.setattr(UserKNN, "score_histories", lambda self, q: right(self, replace(q, user=np.full_like(q.user, -1))))


@breaks("check_user_knn", "user_knn")
def neighbours_unweighted(patch: Patch) -> None:
    right = item_item.weighted_rows

    def rows(W: Any, offsets: Any, at: Any, weights: Floats) -> Floats:
        return right(W, offsets, at, np.ones_like(weights))

    patch.setattr("matinee.models.user_knn.weighted_rows", rows)


@breaks("check_popularity", "popularity")
def popularity_by_distinct_users(patch: Patch) -> None:
    def learn(self: Popularity, data: Dataset, *more: Any) -> Counts:
        return Counts(np.asarray(data.matrix().sum(axis=0), np.float32))

    patch.setattr(Popularity, "learn", learn)


@breaks("check_popularity", "popularity")
def popularity_of_nothing(patch: Patch) -> None:
    patch.setattr(Popularity, "learn", lambda self, data, *more: Counts(np.ones(data.n_items, np.float32)))


@breaks("check_popularity", "popularity")
def popularity_never_decays(patch: Patch) -> None:
    right = Popularity.learn
    patch.setattr(Popularity, "learn", lambda self, *more: right(Popularity(), *more))


@breaks("check_slim_is_the_elastic_net", "slim")
def transposed_slim(patch: Patch) -> None:
    right = SLIM.weights
    patch.setattr(SLIM, "weights", lambda self, X: right(self, X).T.tocsr())


@breaks("check_markov", "markov")
def transitions_reversed(patch: Patch) -> None:
    right = transitions.followed
    patch.setattr(markov, "followed", lambda data, *more: right(data, *more).T.tocsr())


@breaks("check_markov", "markov")
def transitions_between_users(patch: Patch) -> None:
    right = transitions.followed
    patch.setattr(
        markov, "followed", lambda data, window, *more: right(replace(data, user=np.zeros_like(data.user)), window)
    )


@breaks("check_markov", "markov")
def first_event_instead_of_the_last(patch: Patch) -> None:
    patch.setattr(markov, "ages", lambda history: np.arange(len(history.values)) - history.offsets[history.rows])


@breaks("check_ease_with_dropout_and_user_damping", "ease")
def users_not_damped(patch: Patch) -> None:
    patch.setattr(ease, "damped", lambda X, power: X)


@breaks("check_ease_with_dropout_and_user_damping", "ease")
def dropout_forgotten(patch: Patch) -> None:
    patch.setattr(ease, "squares", lambda X: np.zeros(X.shape[1]))


@breaks("check_admm_slim_takes_the_papers_steps", "admm_slim")
def one_step_too_few(patch: Patch) -> None:
    right = AdmmSLIM.weights
    patch.setattr(
        AdmmSLIM, "weights", lambda self, X: right(self.model_copy(update={"iterations": self.iterations - 1}), X)
    )


@breaks("check_svd_ae", "svd_ae")
def queries_not_normalised(patch: Patch) -> None:
    right = SVDAE.low_rank

    def low_rank(self: SVDAE, R: csr_array) -> LowRankWeights:
        learned = right(self, R)
        root = np.sqrt(np.maximum(np.asarray(R.sum(axis=0)), 1.0)).astype(np.float32)
        return replace(learned, left=learned.left * root[:, None])

    patch.setattr(SVDAE, "low_rank", low_rank)


@breaks("check_pure_svd", "svd")
def smallest_singular_values(patch: Patch) -> None:
    def wrong(X: csr_array, k: int) -> Any:
        U, s, Vt = np.linalg.svd(X.toarray(), full_matrices=False)
        return U[:, -k:], s[-k:], Vt[-k:].T

    patch.setattr(svd, "truncated_svd", wrong)
