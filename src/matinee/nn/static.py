"""Static targets: events from anywhere in a history are hidden, and what remains is asked for all of them at once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from matinee.data.arrays import Bools, Ragged
from matinee.nn import losses
from matinee.nn.sequences import windows


def hidden(histories: Ragged, share: float, rng: np.random.Generator) -> Bools:
    """bool (len(histories.values),): each event is hidden with this probability; of each history, which has 2 events or
    more, at least one is hidden and at least one is left."""
    key = rng.random(len(histories.values))
    start, rows = histories.offsets[:-1], histories.rows
    if not len(start):
        return np.zeros(0, np.bool_)
    least, most = np.minimum.reduceat(key, start)[rows], np.maximum.reduceat(key, start)[rows]
    drawn: Bools = ((key < share) | (key == least)) & (key < most)
    return drawn


def pieces(histories: Ragged, n: int, share: float, *, every: bool) -> tuple[Ragged, NDArray[np.int64]]:
    """As `sequences.windows`, of such a length that about n events are left of a full piece."""
    return windows(histories, max(n + 1, round(n / (1.0 - share))), every=every)


def mean_weights(of_each: Tensor, weight: Tensor | None) -> Tensor:
    """float32 (N,): what each target counts, so that those of a history together give their mean. of_each: int64 (B,),
    targets of each history, which lie one after the other; weight: (N,), of each target."""
    share = (1.0 / of_each).repeat_interleave(of_each)
    return share if weight is None else share * weight


def cross_entropy(states: Tensor, vectors: Tensor, target: Tensor, of_each: Tensor, weight: Tensor) -> Tensor:
    """-sum of weight_n log softmax(states[b] @ vectors.T)[target_n] over all targets n, of which each state b has
    several: what `losses.cross_entropy` gives of repeated states, but the softmax of a state is computed once.

    states: (B, d); vectors: (n_items, d); target, weight: (N,), state after state; of_each: int64 (B,), 1 or more each.
    """
    # a state's loss is linear in its targets' vectors: the first target stands for all, then the difference is added
    begin = of_each.cumsum(0) - of_each
    row = torch.arange(len(of_each), device=of_each.device).repeat_interleave(of_each)
    of_state = torch.zeros(len(of_each), dtype=weight.dtype, device=weight.device).index_add_(0, row, weight)
    first = target[begin]
    wanted = vectors.new_zeros(len(states), vectors.shape[1])
    wanted = wanted.index_add(0, row, vectors[target] * weight[:, None].to(vectors.dtype))
    apart = vectors[first] * of_state[:, None].to(vectors.dtype) - wanted
    loss: Tensor = losses.cross_entropy(states, vectors, first, None, of_state) + (states * apart).sum()
    return loss
