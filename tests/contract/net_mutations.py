"""Defects of models learned by descent: autoencoders, factors, pointwise nets and sequence models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from contract.mutation import Patch, breaks
from matinee import kernels
from matinee.data.arrays import Bools, Floats, Ragged
from matinee.data.dataset import Queries
from matinee.models.families.factors import Factors
from matinee.models.families.sequence import Sequence
from matinee.models.ials import IALS
from matinee.nn import sampling, train

FEW = {"dim": 8, "epochs": 8, "batch_size": 20, "learning_rate": 0.02}


@breaks("it_beats_popularity_where_taste_is_plain", "multi_dae")
@breaks("it_beats_popularity_where_taste_is_plain", "gmf")
@breaks("it_beats_popularity_where_taste_is_plain", "sasrec", hyper=FEW)
@breaks("it_beats_popularity_where_taste_is_plain", "gru4rec", hyper={**FEW, "hidden": 16, "epochs": 20})
def loss_sign_flipped(patch: Patch) -> None:
    right = train.Pass.__init__

    def init(self: train.Pass, name: str, loss: Callable[..., Tensor], *more: Any, **options: Any) -> None:
        right(self, name, lambda rows, step: -loss(rows, step), *more, **options)

    patch.setattr(train.Pass, "__init__", init)


@breaks("it_beats_popularity_where_taste_is_plain", "bpr")
def ranking_loss_sign_flipped(patch: Patch) -> None:
    right = kernels.factors.bpr_epoch

    def epoch(order: Any, users: Any, offsets: Any, items: Any, pool: Any, key: Any, rate: float, *more: Any) -> None:
        right(order, users, offsets, items, pool, key, -rate, *more)

    patch.setattr(kernels.factors, "bpr_epoch", epoch)


@breaks("scores_have_their_shape", "multi_dae")
@breaks("scores_have_their_shape", "sasrec", hyper=FEW)
def dropout_left_on(patch: Patch) -> None:
    patch.setattr(nn.Module, "eval", lambda self: self.train())


@breaks("check_denoising", "multi_dae")
def decoder_transposed(patch: Patch) -> None:
    right = nn.functional.linear

    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return right(x, weight.reshape(weight.shape[::-1]).T, bias)

    patch.setattr(nn.functional, "linear", linear)


@breaks("check_what_was_watched_is_no_negative", "gmf")
def positives_among_negatives(patch: Patch) -> None:
    def contain(self: sampling.Positives, users: Any, items: Any) -> Bools:
        return np.zeros(len(users), np.bool_)

    patch.setattr(sampling.Positives, "contain", contain)


@breaks("check_cdae", "cdae")
@breaks("a_known_users_history_answers_like_the_user", "gmf")
def fold_in_ignored(patch: Patch) -> None:
    patch.setattr(train, "fold_in", lambda vector, *more, **options: vector)


@breaks("a_known_users_history_answers_like_the_user", "ials")
@breaks("a_known_users_history_answers_like_the_user", "bpr")
def learned_vector_for_every_history(patch: Patch) -> None:
    def vectors(self: Factors, queries: Queries) -> Floats:
        learned: Floats = self.fitted.learned.U[np.maximum(queries.user, 0)]
        return learned

    patch.setattr(Factors, "vectors", vectors)


@breaks("check_ials", "ials")
def penalty_forgotten(patch: Patch) -> None:
    patch.setattr(IALS, "ridge", lambda self, X: np.zeros(X.shape[0]))


@breaks("check_sasrec", "sasrec")
@breaks("batch_equals_single", "bert4rec", hyper=FEW)
def attention_mask_dropped(patch: Patch) -> None:
    """A slot then sees later ones, or empty ones."""
    right = nn.functional.scaled_dot_product_attention
    patch.setattr(nn.functional, "scaled_dot_product_attention", lambda q, k, v, *mask, **masks: right(q, k, v))


@breaks("it_beats_popularity_where_taste_is_plain", "gru4rec")
@breaks("it_beats_popularity_where_taste_is_plain", "sasrec")
def future_leaked(patch: Patch) -> None:
    """Training then asks for the item that the state has just seen."""
    right = Sequence.make_batch

    def make_batch(self: Sequence, net: Any, batch: Any, step: Any) -> Any:
        examples = right(self, net, batch, step)
        return replace(examples, target=examples.packed.item[examples.slot])

    patch.setattr(Sequence, "make_batch", make_batch)


@breaks("check_gru4rec", "gru4rec")
@breaks("check_sasrec", "sasrec")
def oldest_event_last(patch: Patch) -> None:
    right = Sequence.score_histories

    def score(self: Sequence, queries: Queries) -> Floats:
        rows = [queries.history[b][::-1] for b in range(len(queries))]
        return right(self, replace(queries, history=Ragged.from_lists(rows)))

    patch.setattr(Sequence, "score_histories", score)


@breaks("check_sasrec", "sasrec")
def positions_forgotten(patch: Patch) -> None:
    right = nn.Embedding.forward

    def forward(self: nn.Embedding, index: Tensor) -> Tensor:
        return right(self, torch.zeros_like(index) if self.padding_idx is None else index)

    patch.setattr(nn.Embedding, "forward", forward)
