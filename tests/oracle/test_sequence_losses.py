"""Losses of what comes next, against the papers' formulas in float64, one state and one negative at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from matinee.nn import losses
from matinee.nn.losses import Formula, Negatives, OwnNegatives

N, N_ITEMS, DIM = 13, 11, 5
ROUNDED = 2.0**-8
"""bfloat16 keeps 8 bits: a number is off by at most half of this share."""


@pytest.fixture(params=["whole", "pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, and three states at a time, which do not divide 13."""
    if request.param == "pieces":
        monkeypatch.setattr(losses, "LEAST_STATES", 3)
        monkeypatch.setattr(losses, "PIECE", 1)


class Batch(NamedTuple):
    """States (N, DIM) and vectors (N_ITEMS, DIM) in float64; target (N,), in which items repeat."""

    states: Tensor
    vectors: Tensor
    target: Tensor

    def cast(self, dtype: torch.dtype) -> Batch:
        return Batch(self.states.to(dtype), self.vectors.to(dtype), self.target)


def batch(scale: float = 1.0, n: int = N) -> Batch:
    rng = np.random.default_rng(5)
    states = scale * rng.normal(size=(n, DIM)) + 0.2
    vectors = rng.normal(size=(N_ITEMS, DIM)) * rng.uniform(0.3, 1.5, (N_ITEMS, 1))
    target = rng.integers(0, N_ITEMS - 3, n)
    return Batch(torch.from_numpy(states), torch.from_numpy(vectors), torch.from_numpy(target))


def of_pieces(loss: Callable[[Tensor, Tensor], Tensor], one: Batch) -> tuple[float, Tensor, Tensor]:
    """The loss at these states and vectors, and its gradients there, of 3 times it: backward is to be scaled."""
    states, vectors = one.states.clone().requires_grad_(), one.vectors.clone().requires_grad_()
    value = loss(states, vectors)
    of_states, of_vectors = torch.autograd.grad(3.0 * value, [states, vectors])
    assert value.dim() == 0
    assert of_states.dtype == states.dtype
    assert of_vectors.dtype == vectors.dtype
    return float(value.detach()), of_states / 3.0, of_vectors / 3.0


def agree(found: tuple[float, Tensor, Tensor], wanted: tuple[float, Tensor, Tensor], rtol: float) -> None:
    """Relative to each number; where terms cancel, a tenth of that relative to the largest, or to 1, as scores are."""
    for one, other in zip(map(torch.as_tensor, found), map(torch.as_tensor, wanted), strict=True):
        largest = max(float(other.abs().max()), 1.0) if other.numel() else 1.0
        np.testing.assert_allclose(one.double().numpy(), other.double().numpy(), rtol=rtol, atol=0.1 * rtol * largest)


# --- over all items -------------------------------------------------------------------------------------------------


def true_cross_entropy(one: Batch) -> tuple[float, Tensor, Tensor]:
    """-log softmax, state by state (Klenitskiy & Vasilev, RecSys 2023, eq. 3), and torch's gradient of it."""

    def loss(states: Tensor, vectors: Tensor) -> Tensor:
        total = (states.sum() + vectors.sum()) * 0.0  # of no states at all the gradients are 0
        for h, t in zip(states, one.target.tolist(), strict=True):
            scores = vectors @ h
            most = scores.max().detach()
            total = total + (scores - most).exp().sum().log() + most - scores[t]
        return total

    return of_pieces(loss, one.cast(torch.float64))


def largest_norms(one: Batch) -> float:
    return float(one.states.norm(dim=1).max() * one.vectors.norm(dim=1).max())


@pytest.mark.usefixtures("pieces")
class TestCrossEntropy:
    @pytest.mark.parametrize("scale", [1.0, 5.0, 40.0, 4_000.0])
    @pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
    def test_value_and_gradients(self, scale: float, dtype: torch.dtype, rtol: float) -> None:
        """With 1 and 5 no logit is large enough to overflow, with 40 and 4,000 some are."""
        one = batch(scale).cast(dtype)
        assert (largest_norms(one) > losses.SAFE_LOGIT) == (scale > 5.0)
        agree(of_pieces(partial(losses.cross_entropy, target=one.target), one), true_cross_entropy(one), rtol)

    def test_the_largest_logits_that_are_not_shifted(self) -> None:
        """Each state lies along a vector or against one, so that logits reach both ends."""
        vectors = torch.nn.functional.normalize(batch().vectors, dim=1)
        along = torch.tensor([1.0, -1.0]).repeat(N)[:N, None].double()
        for factor in (0.999, 1.001):
            states = along * vectors[torch.arange(N) % N_ITEMS] * factor * losses.SAFE_LOGIT
            one = Batch(states, vectors, batch().target).cast(torch.float32)
            assert (largest_norms(one) > losses.SAFE_LOGIT) == (factor > 1.0)
            agree(of_pieces(partial(losses.cross_entropy, target=one.target), one), true_cross_entropy(one), 1e-5)

    def test_a_certain_and_an_impossible_target(self) -> None:
        """Losses of 0 and of 2e6 are numbers, and so are their gradients."""
        vectors = torch.eye(3)
        states = torch.tensor([[1e6, 0.0, -1e6], [1e6, 0.0, -1e6]])
        found = of_pieces(
            partial(losses.cross_entropy, target=torch.tensor([0, 2])), Batch(states, vectors, torch.tensor([0, 2]))
        )
        assert found[0] == 2e6
        assert found[1].tolist() == [[0.0, 0.0, 0.0], [1.0, 0.0, -1.0]]
        assert torch.isfinite(found[2]).all()

    def test_one_item_is_certain(self) -> None:
        one = Batch(batch().states, batch().vectors[:1], torch.zeros(N, dtype=torch.int64))
        value, of_states, of_vectors = of_pieces(partial(losses.cross_entropy, target=one.target), one)
        assert abs(value) < 1e-12
        assert max(float(of_states.abs().max()), float(of_vectors.abs().max())) < 1e-12

    @pytest.mark.parametrize("n", [0, 1])
    @pytest.mark.parametrize("scale", [1.0, 400.0])
    def test_few_states(self, n: int, scale: float) -> None:
        one = batch(scale, n)
        found = of_pieces(partial(losses.cross_entropy, target=one.target), one)
        assert found[1].shape == (n, DIM)
        agree(found, true_cross_entropy(one), 1e-10)

    @pytest.mark.parametrize("scale", [1.0, 40.0])
    @pytest.mark.parametrize("states_in", [torch.float32, torch.bfloat16])
    def test_under_autocast_only_products_are_rounded(self, scale: float, states_in: torch.dtype) -> None:
        """Sums are float32: from the rounded logits on, the value is right to 1e-5."""
        one = batch(scale, n=400)
        one = Batch(one.states.to(states_in), one.vectors.float(), one.target)
        with torch.autocast("cpu", torch.bfloat16):
            found = of_pieces(partial(losses.cross_entropy, target=one.target), one)
        rounded = (one.states.bfloat16() @ one.vectors.bfloat16().T).double()
        right = (one.states.double() * one.vectors[one.target].double()).sum()
        np.testing.assert_allclose(found[0], float(rounded.logsumexp(dim=1).sum() - right), rtol=1e-5)
        half_steps(found, true_cross_entropy(Batch(one.states.float(), one.vectors, one.target)), largest_norms(one))

    def test_gradients_of_one_of_the_two_alone(self) -> None:
        one = batch()
        states, vectors = one.states.clone().requires_grad_(), one.vectors.clone().requires_grad_()
        (of_states,) = torch.autograd.grad(losses.cross_entropy(states * 2.0, one.vectors, one.target), states)
        (of_vectors,) = torch.autograd.grad(losses.cross_entropy(one.states, vectors + 1.0, one.target), vectors)
        doubled = true_cross_entropy(Batch(one.states * 2.0, one.vectors, one.target))
        moved = true_cross_entropy(Batch(one.states, one.vectors + 1.0, one.target))
        np.testing.assert_allclose(of_states.numpy(), 2.0 * doubled[1].numpy(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(of_vectors.numpy(), moved[2].numpy(), rtol=1e-10, atol=1e-12)

    def test_a_weight_that_is_no_number_shows(self) -> None:
        """Training stops at it, so it may not be lost on the way."""
        for number in (float("nan"), float("inf")):
            one = batch().cast(torch.float32)
            one.vectors[3, 2] = number
            assert not np.isfinite(float(losses.cross_entropy(*one)))


def half_steps(found: tuple[float, Tensor, Tensor], wanted: tuple[float, Tensor, Tensor], logit: float) -> None:
    """Gradients under bfloat16: probabilities are off by the logits' rounding, products once or twice more."""
    for one, other in zip(found[1:], wanted[1:], strict=True):
        assert float((one.double() - other).norm() / other.norm()) < ROUNDED * (2.0 + 0.5 * logit)


# --- against drawn items --------------------------------------------------------------------------------------------

Plain = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""loss(r, s, q, p) of one state: its target's score r, the scores s (m,) of the m negatives that are not the target;
log probabilities to be drawn of the target, q, and of these negatives, p (m,)."""


def true_sampled_softmax(r: Tensor, s: Tensor, q: Tensor, p: Tensor) -> Tensor:
    """-log(exp(r - q) / (exp(r - q) + sum exp(s_j - p_j))): Yi et al., RecSys 2019, eqs. 2 to 4. The largest is taken
    out of every exp."""
    most = torch.cat([(r - q)[None], s - p]).max().detach()
    return ((r - q - most).exp() + (s - p - most).exp().sum()).log() + most - (r - q)


def true_generalised_binary(
    r: Tensor, s: Tensor, q: Tensor, p: Tensor, *, beta: float = 1.0, shift: float = 0.0
) -> Tensor:
    """-log sigma(r)^beta - sum log(1 - sigma(s_j)): Petrov & Macdonald, RecSys 2023; beta 1 is Kang & McAuley's."""
    chance = 1.0 / (1.0 + (-r - shift).exp())
    return -(chance**beta).log() - (1.0 / (1.0 + (s + shift).exp())).log().sum()


def true_pairwise(r: Tensor, s: Tensor, q: Tensor, p: Tensor) -> Tensor:
    """-log sigma(r - s_j), the mean over j: Rendle et al., UAI 2009."""
    return -(1.0 / (1.0 + (s - r).exp())).log().mean() if len(s) else 0.0 * r


def true_top1_max(r: Tensor, s: Tensor, q: Tensor, p: Tensor) -> Tensor:
    """sum_j softmax(s)_j (sigma(s_j - r) + sigma(s_j^2)): Hidasi & Karatzoglou, CIKM 2018."""
    share = s.exp() / s.exp().sum()
    return (share * (1.0 / (1.0 + (r - s).exp()) + 1.0 / (1.0 + (-(s**2)).exp()))).sum()


def true_bpr_max(r: Tensor, s: Tensor, q: Tensor, p: Tensor, *, penalty: float = 1.0) -> Tensor:
    """-log sum_j softmax(s)_j sigma(r - s_j) + penalty sum_j softmax(s)_j s_j^2: Hidasi & Karatzoglou, CIKM 2018."""
    if not len(s):
        return 0.0 * r
    share = s.exp() / s.exp().sum()
    return penalty * (share * s**2).sum() - (share / (1.0 + (s - r).exp())).sum().log()


CASES: dict[str, tuple[Formula, Plain]] = {
    "sampled_softmax": (losses.sampled_softmax, true_sampled_softmax),
    "binary": (losses.binary, true_generalised_binary),
    "generalised_binary": (
        partial(losses.generalised_binary, beta=0.37),
        partial(true_generalised_binary, beta=0.37),
    ),
    "shifted_binary": (
        partial(losses.generalised_binary, beta=0.37, shift=-1.4),
        partial(true_generalised_binary, beta=0.37, shift=-1.4),
    ),
    "pairwise": (losses.pairwise, true_pairwise),
    "top1_max": (losses.top1_max, true_top1_max),
    "bpr_max": (losses.bpr_max, true_bpr_max),
    "bpr_max_without_penalty": (partial(losses.bpr_max, penalty=0.0), partial(true_bpr_max, penalty=0.0)),
}
BINARY = [CASES[name][0] for name in ("binary", "generalised_binary", "shifted_binary")]
LOG_Q = torch.from_numpy(np.log(np.random.default_rng(8).dirichlet(np.full(N_ITEMS, 2.0))))


@dataclass
class InTurn:
    """draw(n): the next n rows of item; all of them seen, it begins anew."""

    item: Tensor
    seen: int = 0

    def __call__(self, n: int) -> Tensor:
        rows = self.item[self.seen : self.seen + n]
        assert len(rows) == n, "no row is skipped or asked for twice"
        self.seen = (self.seen + n) % max(len(self.item), 1)
        return rows


def given(item: Tensor, log_q: Tensor | None = None, begin: Tensor | None = None) -> Negatives | OwnNegatives:
    """(K,) for all; (N, K), each state's own, or with begin each history's."""
    return Negatives(item, log_q) if item.dim() == 1 else OwnNegatives(item.shape[1], InTurn(item), log_q, begin)


def truth(plain: Plain, one: Batch, negatives: Negatives | OwnNegatives) -> tuple[float, Tensor, Tensor]:
    """The sum over the states; a negative that is the target is left out before the formula sees it."""
    log_q = torch.zeros(N_ITEMS, dtype=torch.float64) if negatives.log_q is None else negatives.log_q.double()
    item = all_of(negatives)
    if isinstance(negatives, OwnNegatives) and negatives.begin is not None:
        item = torch.cat([row.expand(n, -1) for row, n in zip(item, negatives.begin.diff().tolist(), strict=True)])

    def loss(states: Tensor, vectors: Tensor) -> Tensor:
        total = (states.sum() + vectors.sum()) * 0.0
        for n, t in enumerate(one.target.tolist()):
            drawn = (item if item.dim() == 1 else item[n]).tolist()
            others = [j for j in drawn if j != t]
            total = total + plain(
                vectors[t] @ states[n], vectors[others] @ states[n], log_q[t], log_q[torch.tensor(others).long()]
            )
        return total

    return of_pieces(loss, one.cast(torch.float64))


def all_of(negatives: Negatives | OwnNegatives) -> Tensor:
    if isinstance(negatives, Negatives):
        return negatives.item
    assert isinstance(negatives.draw, InTurn)
    return negatives.draw.item


def drawn(*size: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(6).integers(0, N_ITEMS, size))


NEGATIVES = {
    "shared": drawn(7),
    "own": drawn(N, 4),
    "own_one_of_them_the_target": torch.where(torch.arange(N)[:, None] % 2 == 0, batch().target[:, None], drawn(N, 1)),
    "shared_one": batch().target[:1],
    "all_of_them_targets": batch().target[:, None].expand(N, 3),
}


HISTORIES = torch.tensor([0, 1, 1, 7, 10, N])
"""Where the states of five histories begin; one has none, and none three."""


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize(
    ("formula", "plain", "log_q"),
    [*((*case, None) for case in CASES.values()), (*CASES["sampled_softmax"], LOG_Q)],
    ids=[*CASES, "sampled_softmax_log_q"],
)
class TestAgainstDrawn:
    def found(self, formula: Formula, one: Batch, negatives: Negatives | OwnNegatives) -> tuple[float, Tensor, Tensor]:
        return of_pieces(lambda states, vectors: losses.against(formula, states, vectors, one.target, negatives), one)

    @pytest.mark.parametrize("item", NEGATIVES.values(), ids=NEGATIVES)
    @pytest.mark.parametrize(
        ("dtype", "scale", "rtol"),
        [
            (torch.float64, 1.0, 1e-10),
            (torch.float64, 2.0, 1e-10),
            (torch.float32, 1.0, 1e-5),
            (torch.float32, 3.0, 1e-5),
        ],
    )
    def test_value_and_gradients(
        self,
        formula: Formula,
        plain: Plain,
        log_q: Tensor | None,
        item: Tensor,
        dtype: torch.dtype,
        scale: float,
        rtol: float,
    ) -> None:
        """torch's softplus(x) is x from 20 on, wrong by 2e-9: in float64 scores stay below."""
        collisions = (item == batch().target[:, None]).any(dim=1)
        assert collisions.any()
        one = batch(scale).cast(dtype)
        negatives = given(item, None if log_q is None else log_q.to(dtype))
        agree(self.found(formula, one, negatives), truth(plain, one, negatives), rtol)

    def test_negatives_of_each_history(self, formula: Formula, plain: Plain, log_q: Tensor | None) -> None:
        one, negatives = batch(), given(drawn(len(HISTORIES) - 1, 6), log_q, HISTORIES)
        assert (all_of(negatives)[3] == one.target[7:10, None]).any()
        agree(self.found(formula, one, negatives), truth(plain, one, negatives), 1e-10)

    def test_a_state_whose_only_negative_is_its_target_teaches_nothing(
        self, formula: Formula, plain: Plain, log_q: Tensor | None
    ) -> None:
        """Save for the binary losses, whose target is a term of its own."""
        one = batch()
        nothing = given(one.target[:, None], log_q)
        value, of_states, of_vectors = self.found(formula, one, nothing)
        if formula in BINARY:
            agree((value, of_states, of_vectors), truth(plain, one, nothing), 1e-10)
        else:
            assert value == 0.0
            assert not of_states.any()
            assert not of_vectors.any()

    @pytest.mark.parametrize("n", [0, 1])
    @pytest.mark.parametrize("own", [False, True])
    def test_few_states(self, formula: Formula, plain: Plain, log_q: Tensor | None, n: int, own: bool) -> None:
        one = batch(n=n)
        negatives = given(drawn(n, 3) if own else drawn(3), log_q)
        found = self.found(formula, one, negatives)
        assert found[1].shape == (n, DIM)
        agree(found, truth(plain, one, negatives), 1e-10)

    def test_scores_in_the_thousands_stay_numbers(self, formula: Formula, plain: Plain, log_q: Tensor | None) -> None:
        one = batch(3_000.0).cast(torch.float32)
        for item in NEGATIVES.values():
            value, of_states, of_vectors = self.found(formula, one, given(item, log_q))
            assert np.isfinite(value)
            assert torch.isfinite(of_states).all()
            assert torch.isfinite(of_vectors).all()

    @pytest.mark.parametrize("states_in", [pytest.param(torch.float32, marks=pytest.mark.slow), torch.bfloat16])
    def test_under_autocast_only_products_are_rounded(
        self, formula: Formula, plain: Plain, log_q: Tensor | None, states_in: torch.dtype
    ) -> None:
        """700 states: a sum in 8 bits would stop growing after some hundred."""
        one = batch(n=700)
        one = Batch(one.states.to(states_in), one.vectors.float(), one.target)
        negatives = given(drawn(7), None if log_q is None else log_q.float())
        with torch.autocast("cpu", torch.bfloat16):
            found = self.found(formula, one, negatives)
            assert losses.against(formula, *one, negatives).dtype == torch.float32
        wide = Batch(one.states.double(), one.vectors.double(), one.target)
        exact = truth(plain, wide, negatives)
        np.testing.assert_allclose(found[0], exact[0], rtol=ROUNDED)
        half_steps(found, exact, largest_norms(one))


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("log_q", [None, LOG_Q], ids=["", "log_q"])
@pytest.mark.parametrize("item", [NEGATIVES["shared"], NEGATIVES["shared_one"], drawn(40)], ids=["7", "1", "40"])
class TestCrossEntropyAmongDrawn:
    """The sampled softmax of negatives that all states share, with a gradient of its own."""

    def found(self, one: Batch, negatives: Negatives) -> tuple[float, Tensor, Tensor]:
        return of_pieces(partial(losses.cross_entropy, target=one.target, negatives=negatives), one)

    @pytest.mark.parametrize(
        ("dtype", "scale", "rtol"),
        [
            (torch.float64, 1.0, 1e-10),
            (torch.float64, 40.0, 1e-10),
            (torch.float32, 1.0, 1e-5),
            (torch.float32, 40.0, 1e-5),
            (torch.float32, 4_000.0, 1e-5),
        ],
    )
    def test_value_and_gradients(
        self, log_q: Tensor | None, item: Tensor, dtype: torch.dtype, scale: float, rtol: float
    ) -> None:
        """Columns repeat, some are a state's target; of 40 and 4,000 an exp would overflow, were they not shifted."""
        one = batch(scale).cast(dtype)
        assert (item == one.target[:, None]).any()
        negatives = Negatives(item, None if log_q is None else log_q.to(dtype))
        agree(self.found(one, negatives), truth(true_sampled_softmax, one, negatives), rtol)

    @pytest.mark.parametrize("n", [0, 1])
    def test_few_states(self, log_q: Tensor | None, item: Tensor, n: int) -> None:
        one, negatives = batch(n=n), Negatives(item, log_q)
        agree(self.found(one, negatives), truth(true_sampled_softmax, one, negatives), 1e-10)

    def test_a_state_whose_only_negatives_are_its_target_teaches_nothing(
        self, log_q: Tensor | None, item: Tensor
    ) -> None:
        one = batch()
        same = Batch(one.states, one.vectors, torch.full_like(one.target, 3))
        for found in self.found(same, Negatives(torch.full_like(item, 3), log_q)):
            np.testing.assert_allclose(found, np.zeros_like(found), atol=1e-12)

    def test_under_autocast_only_products_are_rounded(self, log_q: Tensor | None, item: Tensor) -> None:
        one = batch(n=700)
        one = Batch(one.states.float(), one.vectors.float(), one.target)
        negatives = Negatives(item, None if log_q is None else log_q.float())
        with torch.autocast("cpu", torch.bfloat16):
            found = self.found(one, negatives)
        exact = truth(true_sampled_softmax, one, negatives)
        np.testing.assert_allclose(found[0], exact[0], rtol=ROUNDED)
        half_steps(found, exact, largest_norms(one))


def test_the_formulas_themselves_are_what_the_pieces_sum() -> None:
    """`against` adds memory, not meaning: one formula over all scores, log_q taken off, gives the same value."""
    one, item = batch(), drawn(N, 4)
    positive = (one.states * one.vectors[one.target]).sum(dim=1) - LOG_Q[one.target]
    negative = torch.einsum("nd,nkd->nk", one.states, one.vectors[item]) - LOG_Q[item]
    negative[item == one.target[:, None]] = -torch.inf
    for formula, _ in CASES.values():
        np.testing.assert_allclose(
            float(losses.against(formula, *one, given(item, LOG_Q))), float(formula(positive, negative)), rtol=1e-12
        )


@pytest.mark.parametrize(("k", "n_items"), [(1, 100), (7, 100), (99, 100), (256, 3_417)])
@pytest.mark.parametrize("t", [0.0, 0.2, 0.75, 1.0])
def test_calibration(k: int, n_items: int, t: float) -> None:
    """gSASRec: alpha = k / (|I| - 1), beta = alpha (t (1 - 1 / alpha) + 1 / alpha)."""
    alpha = k / (n_items - 1)
    np.testing.assert_allclose(losses.calibration(k, n_items, t), alpha * (t * (1 - 1 / alpha) + 1 / alpha), rtol=1e-12)


def test_more_negatives_than_items_are_calibrated_as_all_items_are() -> None:
    """They repeat: beta would be above 1, and the correction turned round."""
    assert losses.calibration(4_096, 1_682, 0.75) == losses.calibration(1_681, 1_682, 0.75) == 1.0


@pytest.mark.parametrize(("k", "beta"), [(1, 1.0), (7, 1.0), (256, 0.3)])
def test_scores_of_nothing_are_in_balance(k: int, beta: float) -> None:
    """A number added to every score would not make the loss smaller; one negative with beta 1 needs no shift."""
    shift = losses.balance(k, beta)
    assert (shift == 0.0) == (k == 1)
    pushed = torch.zeros((), dtype=torch.float64, requires_grad=True)
    loss = beta * torch.nn.functional.softplus(-pushed - shift) + k * torch.nn.functional.softplus(pushed + shift)
    assert float(torch.autograd.grad(loss, pushed)[0]) == pytest.approx(0.0, abs=1e-12)


def test_a_calibrated_binary_loss_has_right_probabilities() -> None:
    """What beta is for: of items that come next with known chances, the loss's minimum gives these chances (t = 1).

    Expected over draws: item i is the target with chance c_i, and one of k of the other n - 1 items with k (1 - c_i) /
    (n - 1). With beta = 1 (t = 0) the minimum lies above: probabilities are too high (Petrov & Macdonald, section 4).
    """
    n, k = 6, 2
    chance = np.array([0.45, 0.25, 0.15, 0.1, 0.04, 0.01])
    for t, right in ((1.0, True), (0.0, False)):
        beta = losses.calibration(k, n, t)
        scores = torch.zeros(n).double().requires_grad_()
        descent = torch.optim.LBFGS([scores], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-14)

        def expected(scores: Tensor = scores, descent: torch.optim.LBFGS = descent, beta: float = beta) -> Tensor:
            descent.zero_grad()
            total = scores.new_zeros(())
            for i in range(n):
                others = [j for j in range(n) if j != i]
                both = losses.generalised_binary(scores[[i]], scores[None, others], beta=beta)
                target = beta * torch.nn.functional.softplus(-scores[i])
                total = total + chance[i] * (target + (both - target) * k / (n - 1))
            total.backward()  # type: ignore[no-untyped-call]
            return total

        descent.step(expected)  # type: ignore[no-untyped-call]
        p = torch.sigmoid(scores.detach()).numpy()
        if right:
            np.testing.assert_allclose(p, chance, rtol=1e-4)
        else:
            assert (p > 1.2 * chance).all()


# --- memory ---------------------------------------------------------------------------------------------------------

MEASURED = """
import torch
from matinee.profiling import measured
from matinee.nn import losses
from matinee.nn.losses import OwnNegatives

torch.set_num_threads(1)
rng = torch.Generator().manual_seed(0)


def more(n, dim, loss):
    states = torch.randn(n, dim, generator=rng, requires_grad=True)
    vectors = torch.randn(20_000, dim, generator=rng, requires_grad=True)
    target = torch.randint(20_000, (n,), generator=rng)
    with measured() as before:
        pass
    with measured() as cost:
        loss(states, vectors, target).backward()
    return cost.peak_mb - before.peak_mb


def against_own(states, vectors, target):
    own = OwnNegatives(256, lambda n: torch.randint(20_000, (n, 256), generator=rng))
    return losses.against(losses.binary, states, vectors, target, own)


more(10, 8, losses.cross_entropy), more(10, 8, against_own)  # libraries make themselves at home
print(more(20_000, 16, losses.cross_entropy), more(5_000, 64, against_own))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a peak from the one before")
@pytest.mark.slow
def test_logits_are_never_all_in_memory() -> None:
    """20,000 states against 20,000 items, whose logits are 1,600 MB; 5,000 against 256 of their own, whose vectors are
    330, and again for their gradients."""
    done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    full, negatives = map(float, done.stdout.split())
    assert 0 < full < 100
    assert 0 < negatives < 150
