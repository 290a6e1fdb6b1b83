"""A state's weight multiplies its loss: value and gradients, against plain torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from matinee.nn import losses
from matinee.nn.blocks import SparseBatch
from matinee.nn.losses import Formula, Negatives, OwnNegatives

N, N_ITEMS, DIM = 9, 11, 5


def drawn() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States, vectors, targets and weights, in float64."""
    rng = np.random.default_rng(3)
    states, vectors = (torch.from_numpy(rng.normal(size=(n, DIM))).requires_grad_() for n in (N, N_ITEMS))
    target, weight = torch.from_numpy(rng.integers(0, N_ITEMS, N)), torch.from_numpy(rng.uniform(0.2, 5.0, N))
    return states, vectors, target, weight


def same(found: Tensor, wanted: Tensor, states: Tensor, vectors: Tensor) -> None:
    torch.testing.assert_close(found, wanted)
    ours, theirs = (torch.autograd.grad(loss, [states, vectors]) for loss in (found, wanted))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("sampled", [False, True])
def test_cross_entropy(scale: float, sampled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "PIECE", 1)
    monkeypatch.setattr(losses, "LEAST_STATES", 2)
    states, vectors, target, weight = drawn()
    states = (states * scale).detach().requires_grad_()
    item = torch.tensor([1, 4, 7, 7, 10])
    found = losses.cross_entropy(states, vectors, target, Negatives(item) if sampled else None, weight)
    logits = states @ vectors.T
    if sampled:
        others = logits[:, item].masked_fill(item == target[:, None], -torch.inf)
        each = torch.cat([logits.gather(1, target[:, None]), others], dim=1).log_softmax(dim=1)[:, 0]
    else:
        each = logits.log_softmax(dim=1).gather(1, target[:, None])[:, 0]
    same(found, -(weight * each).sum(), states, vectors)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    "formula", [losses.sampled_softmax, losses.binary, losses.pairwise, losses.top1_max, losses.bpr_max]
)
def test_formulas(formula: Formula, own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "PIECE", 1)
    monkeypatch.setattr(losses, "LEAST_STATES", 2)
    states, vectors, target, weight = drawn()
    item = torch.tensor([1, 4, 7, 10])
    negatives = OwnNegatives(4, lambda n: item.expand(n, 4)) if own else Negatives(item)
    found = losses.against(formula, states, vectors, target, negatives, weight)
    total = states.new_zeros(())
    for n in range(N):  # one state at a time
        one = states[n : n + 1]
        scores = (one @ vectors[item].T).masked_fill(item == target[n], -torch.inf)
        total = total + weight[n] * formula((one * vectors[target[n]]).sum(dim=1), scores)
    same(found, total, states, vectors)


def test_weights_of_one_change_no_bit() -> None:
    states, vectors, target, weight = drawn()
    ones, item = torch.ones_like(weight), Negatives(torch.tensor([1, 4, 7]))
    for with_ones, without in (
        (losses.cross_entropy(states, vectors, target, None, ones), losses.cross_entropy(states, vectors, target)),
        (
            losses.against(losses.bpr_max, states, vectors, target, item, ones),
            losses.against(losses.bpr_max, states, vectors, target, item),
        ),
    ):
        for one, other in zip(*(torch.autograd.grad(x, [states, vectors]) for x in (with_ones, without)), strict=True):
            assert torch.equal(one, other)


def test_a_watched_items_cross_entropy_weighs_its_value() -> None:
    logits = torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.0, -0.3]], dtype=torch.float64)
    value = torch.tensor([3.0, 0.5, 1.0], dtype=torch.float64)
    item, row = torch.tensor([0, 2, 1]), torch.tensor([0, 0, 1])
    rows = SparseBatch(item, row, torch.tensor([0, 2]), value, torch.tensor([0, 1]), torch.zeros(2, 0))
    wanted = 0.0
    for b in range(2):
        for i in range(3):
            weight = {(0, 0): 3.0, (0, 2): 0.5, (1, 1): 1.0}.get((b, i))
            p = 1 / (1 + float(torch.exp(-logits[b, i])))
            wanted += -np.log(1 - p) if weight is None else -weight * np.log(p)
    assert float(losses.logistic(logits, rows)) == pytest.approx(wanted)
