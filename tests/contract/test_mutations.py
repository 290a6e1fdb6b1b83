"""The suites are worth what they catch: each library broken on purpose must turn the contract or the oracles red."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from contract.checks import CHECKS, SMALL_LOG, Make
from matinee import kernels, rank
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.errors import MatineeError
from matinee.models import base, ease, markov, registry, svd
from matinee.models.admm_slim import AdmmSLIM
from matinee.models.base import Fitted, ItemItem, Model
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.families import fusion
from matinee.models.families.fusion import MemberScores
from matinee.models.item_knn import ItemKNN
from matinee.models.popularity import Counts, Popularity
from matinee.models.slim import SLIM
from matinee.models.svd_ae import SVDAE, LowRankWeights
from matinee.models.user_knn import UserKNN
from matinee.store import folders, learned, logs
from oracle import model_checks

Patch = pytest.MonkeyPatch
Break = Callable[[Patch], None]


@dataclass(frozen=True)
class Mutation:
    """One defect: how to put it in, and the model it is looked for in."""

    model: str
    apply: Break
    hyper: Mapping[str, Any] = field(default_factory=dict)


def transposed_ease(patch: Patch) -> None:
    right = EASE.weights
    patch.setattr(EASE, "weights", lambda self, X: np.ascontiguousarray(right(self, X).T))


def swapped_item_knn(patch: Patch) -> None:
    right = ItemKNN.weights
    patch.setattr(ItemKNN, "weights", lambda self, X: right(self, X).T.tocsr())


def symmetric_item_knn(patch: Patch) -> None:
    right = ItemKNN.weights

    def weights(self: ItemKNN, X: csr_array) -> csr_array:
        W = right(self, X)
        return W.maximum(W.T).tocsr()

    patch.setattr(ItemKNN, "weights", weights)


def one_neighbour_too_many(patch: Patch) -> None:
    right = ItemKNN.weights
    patch.setattr(ItemKNN, "weights", lambda self, X: right(self.model_copy(update={"k": self.k + 1}), X))


def diagonal_left(patch: Patch) -> None:
    right = EASE.weights
    patch.setattr(EASE, "weights", lambda self, X: right(self, X) + np.eye(X.shape[1], dtype=np.float32))


def float32_always(patch: Patch) -> None:
    patch.setattr(ease, "FLOAT32_CONDITION", 1e30)


def constant_scorer(patch: Patch) -> None:
    patch.setattr(EASE, "score_histories", lambda self, q: np.ones((len(q), len(self.items)), np.float32))


def random_scorer(patch: Patch) -> None:
    rng = np.random.default_rng(0)
    patch.setattr(EASE, "score_histories", lambda self, q: rng.random((len(q), len(self.items)), np.float32))


def fixed_random_scorer(patch: Patch) -> None:
    def score(self: EASE, queries: Queries) -> Floats:
        return np.tile(np.random.default_rng(0).random(len(self.items), np.float32), (len(queries), 1))

    patch.setattr(EASE, "score_histories", score)


def popularity_in_disguise(patch: Patch) -> None:
    patch.setattr(EASE, "score_histories", lambda self, q: np.tile(self.fitted.popularity, (len(q), 1)))


def nan_scores(patch: Patch) -> None:
    right = EASE.score_histories
    patch.setattr(EASE, "score_histories", lambda self, q: np.where(right(self, q) > 0.1, np.nan, right(self, q)))


def scores_of_the_whole_batch(patch: Patch) -> None:
    right = EASE.score_histories
    patch.setattr(EASE, "score_histories", lambda self, q: right(self, q) / (1 + abs(right(self, q)).max(initial=0)))


def same_array_again(patch: Patch) -> None:
    right = EASE.score_histories
    kept: dict[object, Floats] = {}

    def score(self: EASE, queries: Queries) -> Floats:
        return kept.setdefault((id(self), len(queries), queries.history.values.tobytes()), right(self, queries))

    patch.setattr(EASE, "score_histories", score)


def trained_history_instead_of_the_asked_one(patch: Patch) -> None:
    right = EASE.score_histories

    def score(self: EASE, queries: Queries) -> Floats:
        return right(self, replace(queries, history=self.data.queries_of(np.maximum(queries.user, 0)).history))

    patch.setattr(EASE, "score_histories", score)


def history_reversed(patch: Patch) -> None:
    right = ItemItem.votes
    patch.setattr(ItemItem, "votes", lambda self, q: right(self, q)[::-1].copy())


def repeats_vote_again(patch: Patch) -> None:
    patch.setattr(ItemItem, "votes", lambda self, q: np.ones(len(q.history.values), np.float32))


def first_rows_only(patch: Patch) -> None:
    right = EASE.learn

    def learn(self: EASE, data: Dataset, valid: Any, seed: int) -> Any:
        return right(self, data.rows(np.arange(max(1, len(data) * 9 // 10))), valid, seed)

    patch.setattr(EASE, "learn", learn)


def unseeded_noise(patch: Patch) -> None:
    right, rng = EASE.weights, np.random.default_rng()

    def weights(self: EASE, X: csr_array) -> Floats:
        return right(self, X) * rng.normal(1.0, 1e-3, X.shape[1]).astype(np.float32)

    patch.setattr(EASE, "weights", weights)


def ids_as_features(patch: Patch) -> None:
    right = EASE.learn

    def learn(self: EASE, data: Dataset, valid: Any, seed: int) -> Any:
        names = np.array([len(str(i)) + float(str(i)[-1] in "13579") for i in data.items.ids], np.float32)
        return base.ItemWeights(right(self, data, valid, seed).W + 1e-3 * names)

    patch.setattr(EASE, "learn", learn)


def user_is_an_own_neighbour(patch: Patch) -> None:
    right = UserKNN.score_histories
    patch.setattr(UserKNN, "score_histories", lambda self, q: right(self, replace(q, user=np.full_like(q.user, -1))))


def neighbours_unweighted(patch: Patch) -> None:
    right = base.weighted_rows

    def rows(W: Any, offsets: Any, at: Any, weights: Floats) -> Floats:
        return right(W, offsets, at, np.ones_like(weights))

    patch.setattr("matinee.models.user_knn.weighted_rows", rows)


def popularity_by_distinct_users(patch: Patch) -> None:
    def learn(self: Popularity, data: Dataset, valid: Any, seed: int) -> Counts:
        return Counts(np.asarray(data.matrix().sum(axis=0), np.float32))

    patch.setattr(Popularity, "learn", learn)


def popularity_of_nothing(patch: Patch) -> None:
    patch.setattr(Popularity, "learn", lambda self, data, valid, seed: Counts(np.ones(data.n_items, np.float32)))


def popularity_never_decays(patch: Patch) -> None:
    right = Popularity.learn
    patch.setattr(Popularity, "learn", lambda self, d, v, s: right(Popularity(), d, v, s))


def stale_after_refit(patch: Patch) -> None:
    right = Model.fit
    patch.setattr(Model, "fit", lambda self, data, **more: self if self.is_fitted else right(self, data, **more))


def fit_returns_nothing(patch: Patch) -> None:
    right = Model.fit

    def fit(self: Model, data: Dataset, **more: Any) -> None:
        right(self, data, **more)

    patch.setattr(Model, "fit", fit)


def no_fallback(patch: Patch) -> None:
    patch.setattr(Model, "fallback", lambda self, queries: np.zeros(len(queries), np.bool_))


def unwatched_items_scored(patch: Patch) -> None:
    right = Model.score

    def score(self: Model, queries: Queries) -> Floats:
        return np.nan_to_num(right(self, queries), neginf=0.0)

    patch.setattr(Model, "score", score)


def candidates_in_another_order(patch: Patch) -> None:
    right = Model.score

    def score(self: Model, queries: Queries) -> Floats:
        if queries.candidates is not None:
            queries = replace(queries, candidates=np.sort(queries.candidates, axis=1))
        return right(self, queries)

    patch.setattr(Model, "score", score)


def history_not_excluded(patch: Patch) -> None:
    patch.setattr(rank._Rules, "exclude", lambda self, block: Ragged.empty(len(block)))


def exclusion_of_the_neighbouring_query(patch: Patch) -> None:
    patch.setattr(rank._Rules, "exclude", lambda self, block: block.exclude.take(np.arange(len(block))[::-1]))


def ties_to_the_highest_code(patch: Patch) -> None:
    right = rank.top_k

    def top_k(scores: Floats, k: int, *, first_row: int = 0) -> Any:
        item, score, tied = right(np.ascontiguousarray(scores[:, ::-1]), k, first_row=first_row)
        return np.where(item >= 0, scores.shape[1] - 1 - item, -1).astype(np.int32), score, tied

    patch.setattr(rank, "top_k", top_k)


def worst_first(patch: Patch) -> None:
    right = rank.top_k

    def top_k(scores: Floats, k: int, *, first_row: int = 0) -> Any:
        item, score, tied = right(scores, k, first_row=first_row)
        return item[:, ::-1].copy(), score[:, ::-1].copy(), tied

    patch.setattr(rank, "top_k", top_k)


def last_chunk_lost(patch: Patch) -> None:
    right = kernels.parallel

    def parallel(run: Callable[[int, int], Any], n: int, *, chunk: int) -> None:
        right(run, n - 1 if kernels.n_threads() > 1 and n > chunk else n, chunk=chunk)

    patch.setattr(kernels, "parallel", parallel)


def popularity_not_saved(patch: Patch) -> None:
    right = Model.restore

    def restore(self: Model, fitted: Fitted) -> Model:
        return right(self, replace(fitted, popularity=np.ones_like(fitted.popularity)))

    patch.setattr(Model, "restore", restore)


def hyper_parameters_not_saved(patch: Patch) -> None:
    patch.setattr(Model, "restore", lambda self, fitted: _restored(type(self)(), fitted))


def _restored(model: Model, fitted: Fitted) -> Model:
    model._fitted = fitted
    return model


def times_not_saved(patch: Patch) -> None:
    patch.delitem(logs.KINDS, "timestamp")


def weights_saved_in_half_precision(patch: Patch) -> None:
    right = folders.write_arrays

    def write(path: Any, arrays: dict[str, Any]) -> None:
        right(path, {n: a.astype(np.float16).astype(np.float32) if n == "W" else a for n, a in arrays.items()})

    patch.setattr(folders, "write_arrays", write)


def transposed_slim(patch: Patch) -> None:
    right = SLIM.weights
    patch.setattr(SLIM, "weights", lambda self, X: right(self, X).T.tocsr())


def transitions_reversed(patch: Patch) -> None:
    right = markov.followed
    patch.setattr(markov, "followed", lambda data, window: right(data, window).T.tocsr())


def transitions_between_users(patch: Patch) -> None:
    right = markov.followed
    patch.setattr(markov, "followed", lambda data, window: right(replace(data, user=np.zeros_like(data.user)), window))


def first_event_instead_of_the_last(patch: Patch) -> None:
    patch.setattr(markov, "ages", lambda history: np.arange(len(history.values)) - history.offsets[history.rows])


def users_not_damped(patch: Patch) -> None:
    patch.setattr(ease, "damped", lambda X, power: X)


def dropout_forgotten(patch: Patch) -> None:
    patch.setattr(ease, "squares", lambda X: np.zeros(X.shape[1]))


def one_step_too_few(patch: Patch) -> None:
    right = AdmmSLIM.weights
    patch.setattr(
        AdmmSLIM, "weights", lambda self, X: right(self.model_copy(update={"iterations": self.iterations - 1}), X)
    )


def queries_not_normalised(patch: Patch) -> None:
    right = SVDAE.low_rank

    def low_rank(self: SVDAE, R: csr_array) -> LowRankWeights:
        learned = right(self, R)
        root = np.sqrt(np.maximum(np.asarray(R.sum(axis=0)), 1.0)).astype(np.float32)
        return replace(learned, left=learned.left * root[:, None])

    patch.setattr(SVDAE, "low_rank", low_rank)


def smallest_singular_values(patch: Patch) -> None:
    def wrong(X: csr_array, k: int) -> Any:
        U, s, Vt = np.linalg.svd(X.toarray(), full_matrices=False)
        return U[:, -k:], s[-k:], Vt[-k:].T

    patch.setattr(svd, "truncated_svd", wrong)


def ranks_reversed(patch: Patch) -> None:
    right = fusion.make_comparable

    def wrong(scores: Floats, exclude: Ragged, method: fusion.Method) -> None:
        scores[np.isfinite(scores)] *= -1
        right(scores, exclude, method)

    patch.setattr(fusion, "make_comparable", wrong)


def excluded_items_count(patch: Patch) -> None:
    right = fusion.make_comparable
    patch.setattr(fusion, "make_comparable", lambda s, exclude, method: right(s, Ragged.empty(len(s)), method))


def raw_scores_added(patch: Patch) -> None:
    patch.setattr(fusion, "make_comparable", lambda s, exclude, method: np.maximum(s, -1e6, out=s))


def weights_forgotten(patch: Patch) -> None:
    right = MemberScores.mixed
    patch.setattr(MemberScores, "mixed", lambda self, weights: right(self, np.full_like(weights, 1 / len(weights))))


def weights_of_the_wrong_members(patch: Patch) -> None:
    right = MemberScores.mixed
    patch.setattr(MemberScores, "mixed", lambda self, weights: right(self, weights[::-1]))


def last_member_forgotten(patch: Patch) -> None:
    right = fusion.member_scores
    patch.setattr(fusion, "parts", lambda members, q, method: right([*members[:-1], members[0]], q, method))


def items_left_out_that_one_member_cannot_score(patch: Patch) -> None:
    right = fusion.member_scores

    def parts(members: Any, queries: Queries, method: fusion.Method) -> MemberScores:
        scorable = np.all([member.score(queries) > -np.inf for member in members], axis=0)
        return replace(right(members, queries, method), scorable=scorable)

    patch.setattr(fusion, "parts", parts)


def ranks_among_the_candidates(patch: Patch) -> None:
    def parts(self: Ensemble, queries: Queries) -> MemberScores:
        members = self.fitted.learned.members
        whole = fusion.member_scores(members, replace(queries, candidates=None), self.method)
        if queries.candidates is None:
            return whole
        found = fusion.member_scores(members, replace(queries, exclude=Ragged.empty(len(queries))), self.method)
        for every, some in zip(whole.scores, found.scores, strict=True):
            np.put_along_axis(every, np.maximum(queries.candidates, 0), some, axis=1)
        return whole

    patch.setattr(Ensemble, "parts", parts)


def members_fitted_in_place(patch: Patch) -> None:
    def learned(self: Ensemble, i: int, data: Dataset, valid: Any, seed: int) -> Model:
        member = self.members[i]
        return member if member.is_fitted else member.fit(data, valid=valid, seed=seed)

    patch.setattr(Ensemble, "_learned", learned)


def worst_weights(patch: Patch) -> None:
    right = fusion.qualities
    patch.setattr(fusion, "qualities", lambda *asked: -right(*asked))


def one_sweep_too_few(patch: Patch) -> None:
    patch.setattr(fusion, "SWEEPS", 1)


def members_saved_in_another_order(patch: Patch) -> None:
    right = learned.flatten

    def flatten(learned: Any) -> Any:
        arrays, members, layout = right(learned)
        return arrays, members[::-1], layout

    patch.setattr("matinee.store.models.flatten", flatten)


def anything_goes(patch: Patch) -> None:
    patch.setattr(registry, "create", lambda name, hyper=None: registry.model_class(name)())


MUTATIONS: dict[str, Mutation] = {
    **{
        f.__name__: Mutation("ease", f)
        for f in (
            transposed_ease,
            diagonal_left,
            float32_always,
            constant_scorer,
            random_scorer,
            fixed_random_scorer,
            popularity_in_disguise,
            nan_scores,
            scores_of_the_whole_batch,
            same_array_again,
            trained_history_instead_of_the_asked_one,
            history_reversed,
            repeats_vote_again,
            first_rows_only,
            unseeded_noise,
            ids_as_features,
            stale_after_refit,
            fit_returns_nothing,
            no_fallback,
            unwatched_items_scored,
            candidates_in_another_order,
            history_not_excluded,
            exclusion_of_the_neighbouring_query,
            worst_first,
            last_chunk_lost,
            popularity_not_saved,
            times_not_saved,
            weights_saved_in_half_precision,
            anything_goes,
        )
    },
    "history_reversed_with_half_life": Mutation("ease", history_reversed, {"half_life": 4.0}),
    "hyper_parameters_not_saved": Mutation("ease", hyper_parameters_not_saved, {"half_life": 4.0}),
    **{f.__name__: Mutation("item_knn", f) for f in (swapped_item_knn, symmetric_item_knn, one_neighbour_too_many)},
    **{f.__name__: Mutation("user_knn", f) for f in (user_is_an_own_neighbour, neighbours_unweighted)},
    **{
        f.__name__: Mutation("popularity", f)
        for f in (popularity_by_distinct_users, popularity_of_nothing, ties_to_the_highest_code)
    },
    **{
        f.__name__: Mutation("markov", f)
        for f in (transitions_reversed, transitions_between_users, first_event_instead_of_the_last)
    },
    "transposed_slim": Mutation("slim", transposed_slim, {"l1": 0.1, "l2": 1.0}),
    "one_step_too_few": Mutation("admm_slim", one_step_too_few, {"l1": 0.1, "l2": 5.0, "rho": 10.0}),
    "users_not_damped": Mutation("ease", users_not_damped),
    "dropout_forgotten": Mutation("ease", dropout_forgotten),
    "queries_not_normalised": Mutation("svd_ae", queries_not_normalised),
    "smallest_singular_values": Mutation("svd", smallest_singular_values, {"k": 6}),
    **{
        f.__name__: Mutation("ensemble", f, SMALL_LOG["ensemble"])
        for f in (
            ranks_reversed,
            excluded_items_count,
            raw_scores_added,
            weights_forgotten,
            weights_of_the_wrong_members,
            last_member_forgotten,
            items_left_out_that_one_member_cannot_score,
            ranks_among_the_candidates,
            members_fitted_in_place,
            worst_weights,
            one_sweep_too_few,
            members_saved_in_another_order,
        )
    },
    "popularity_never_decays": Mutation("popularity", popularity_never_decays, {"half_life_days": 3.0}),
}


def red(model: str, make: Make) -> str | None:
    """The first check that fails, if any. Only a broken promise counts: any other exception is this test's fault."""
    checks: dict[str, Callable[[], None]] = {name: partial(check, make) for name, check in CHECKS.items()}
    checks |= {check.__name__: check for check in model_checks.CHECKS.get(model, [])}
    for name, check in checks.items():
        try:
            check()
        except (AssertionError, MatineeError):
            return name
    return None


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_turns_the_suites_red(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation = MUTATIONS[name]
    cls = registry.model_class(mutation.model)
    mutation.apply(monkeypatch)
    assert red(mutation.model, lambda: cls.model_validate(mutation.hyper)) is not None


@pytest.mark.parametrize("name", sorted({mutation.model for mutation in MUTATIONS.values()}))
def test_unbroken_models_are_green(name: str) -> None:
    """What turns red below is green unbroken; test_contract.py holds every model to it, one check at a time."""
    assert red(name, lambda: registry.create(name, SMALL_LOG.get(name, {}))) is None
