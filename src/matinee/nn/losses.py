"""Losses, summed: over rows (logits (B, n_items), targets as sparse rows), and over states that predict the next item.

Losses are tensors without dimensions, unless a docstring gives a shape. Under mixed precision nets return bfloat16,
whose 8 bits are too few for a sum, so all sums are at least float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise as neighbours
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from matinee.nn.blocks import SparseBatch

PIECE = 1 << 20
"""Scores in memory at a time: 4 MB, which nearly fit into a core's caches."""
LEAST_STATES = 32
"""States at a time, however many items: with fewer the products are slow."""
SAFE_LOGIT = 60.0
"""exp of this, summed over a catalogue, is far below float32's largest number, and exp of its negative far above 0."""
FAR_BELOW = -1e4
TINY = 1e-24


def multinomial(logits: Tensor, rows: SparseBatch) -> Tensor:
    """-sum_i x_i log softmax(logits)_i (Liang et al., WWW 2018, eq. 2)."""
    logits = _wide(logits)
    watched = (logits[rows.row, rows.item] * rows.value).sum()
    return (rows.sums * logits.logsumexp(dim=1)).sum() - watched


def logistic(logits: Tensor, rows: SparseBatch) -> Tensor:
    """Binary cross-entropy over all items, with target 0 for unwatched ones (Liang et al., WWW 2018, eq. 4). A watched
    one's weighs its value."""
    logits = _wide(logits)
    watched = logits[rows.row, rows.item]
    loss = F.softplus(logits).sum() - (watched * rows.value).sum()
    return loss + ((rows.value - 1.0) * F.softplus(watched)).sum()  # 0 where all values are 1


def squared_seen(scores: Tensor, rows: SparseBatch) -> Tensor:
    """Squared error on the observed entries only (AutoRec: Sedhain et al., WWW 2015, eq. 2)."""
    return ((_wide(scores[rows.row, rows.item]) - rows.value) ** 2).sum()


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """float32 (B,): KL(N(mean, exp(log_variance)) || N(0, 1)), summed over the latent dimensions."""
    mean, log_variance = _wide(mean), _wide(log_variance)
    return 0.5 * (log_variance.exp() + mean**2 - 1.0 - log_variance).sum(dim=1)


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """float32 (B, latent): log density of N(mean, exp(log_variance)) at z, dimension by dimension."""
    z, mean, log_variance = _wide(z), _wide(mean), _wide(log_variance)
    log_2pi = 1.8378770664093453
    return -0.5 * (log_variance + (z - mean) ** 2 / log_variance.exp() + log_2pi)


def sampled(mean: Tensor, log_variance: Tensor, *, training: bool) -> Tensor:
    """(B, latent): a reparameterised draw from N(mean, exp(log_variance)) (Kingma & Welling, 2014); outside training,
    the mean."""
    return mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if training else mean


# --- what comes next: N states (N, d) against the vectors of all items (n_items, d); the right one is target (N,) ---


@dataclass(frozen=True)
class Negatives:
    """Negatives shared by all states. item: int64 (K,).

    log_q: float32 (n_items,), the log probability with which each item is drawn, subtracted from its logit; None: no
    correction. A negative that equals a state's target is ignored for that state.
    """

    item: Tensor
    log_q: Tensor | None = None
    shared: ClassVar[bool] = True
    """True where several states have the same negatives, so that their scores are one matrix product."""

    @property
    def k(self) -> int:
        return len(self.item)

    def pieces(self, n: int, dim: int) -> Iterator[tuple[int, int, Tensor]]:
        """(start, stop, negatives) of pieces of n states; negatives int64 (K,), or (stop - start, k)."""
        return ((start, stop, self.item) for start, stop in _cuts(n, self.k))


@dataclass(frozen=True)
class OwnNegatives:
    """k for each state; or, with `begin`, int64 (H + 1,), for each history, the states from begin[h] to begin[h + 1].

    draw(n): int64 (n, k), the negatives of the next n states or histories, called piece by piece: a whole batch's would
    need gigabytes. log_q: as above.
    """

    k: int
    draw: Callable[[int], Tensor]
    log_q: Tensor | None = None
    begin: Tensor | None = None

    @property
    def shared(self) -> bool:
        return self.begin is not None

    def pieces(self, n: int, dim: int) -> Iterator[tuple[int, int, Tensor]]:
        if self.begin is None:
            yield from ((start, stop, self.draw(stop - start)) for start, stop in _cuts(n, self.k * dim, least=1))
            return
        for first, last in neighbours(self.begin.tolist()):
            item = self.draw(1).squeeze(0)
            yield from ((first + start, first + stop, item) for start, stop in _cuts(last - first, self.k))


Formula = Callable[[Tensor, Tensor], Tensor]
"""loss(positive, negative), summed over N states: their targets' scores (N,) and their negatives' (N, K), -inf where a
negative is the target."""


def cross_entropy(
    states: Tensor, vectors: Tensor, target: Tensor, negatives: Negatives | None = None, weight: Tensor | None = None
) -> Tensor:
    """-sum log softmax(states @ vectors.T)[target] over all items, without all (N, n_items) logits in memory. weight:
    (N,), what each state's loss is multiplied by.

    With negatives, over the target and these: `sampled_softmax` in half the time. The logits are computed in pieces,
    each of which adds its share to the loss and to both gradients. Under autocast products are bfloat16.
    """
    loss: Tensor = _CrossEntropy.apply(states, vectors, target, negatives, weight)  # type: ignore[no-untyped-call]
    return loss


def against(
    formula: Formula,
    states: Tensor,
    vectors: Tensor,
    target: Tensor,
    negatives: Negatives | OwnNegatives,
    weight: Tensor | None = None,
) -> Tensor:
    """One of the formulas below, computed in pieces of the states, so that (N, K) scores are never all in memory.
    weight: (N,), what each state's loss is multiplied by."""
    loss: Tensor = _Pieces.apply(states, vectors, target, formula, negatives, weight)  # type: ignore[no-untyped-call]
    return loss


def sampled_softmax(positive: Tensor, negative: Tensor) -> Tensor:
    """Cross-entropy of the target among itself and the negatives. Where items are not drawn uniformly, subtract the log
    probability of a draw from each score, the target's too: `Negatives.log_q` (Bengio & Senecal, 2008; eq. 2 of Yi et
    al., RecSys 2019)."""
    return (torch.cat([positive[:, None], negative], dim=1).logsumexp(dim=1) - positive).sum()


def binary(positive: Tensor, negative: Tensor, *, shift: float = 0.0) -> Tensor:
    """Binary cross-entropy with target 1, for negatives 0 (SASRec: Kang & McAuley, ICDM 2018, eq. 7)."""
    return generalised_binary(positive, negative, beta=1.0, shift=shift)


def generalised_binary(positive: Tensor, negative: Tensor, *, beta: float, shift: float = 0.0) -> Tensor:
    """gBCE: the target's probability to the power beta (gSASRec: Petrov & Macdonald, RecSys 2023, eq. 7).

    shift: added to every logit, see `balance`. It does not change the ranking.
    """
    return beta * F.softplus(-positive - shift).sum() + F.softplus(negative + shift).sum()


def balance(n_negatives: int, beta: float) -> float:
    """The shift at which scores of 0 push the target up as much as its K negatives down: sigmoid(shift) =
    beta / (beta + K). Without it a training with many negatives spends its first epochs lowering all scores."""
    return math.log(beta / n_negatives) if n_negatives else 0.0


def calibration(n_negatives: int, n_items: int, t: float) -> float:
    """gBCE's beta for a calibration t: 0 is plain BCE, 1 calibrates its probabilities (Petrov & Macdonald, eq. 15)."""
    rate = min(1.0, n_negatives / max(n_items - 1, 1))
    return rate * (t * (1.0 - 1.0 / rate) + 1.0 / rate) if rate else 1.0


def pairwise(positive: Tensor, negative: Tensor) -> Tensor:
    """-log sigmoid(target's score - negative's), averaged over the negatives (BPR: Rendle et al., UAI 2009)."""
    return (F.softplus(negative - positive[:, None]).sum(dim=1) / _count(negative)).sum()


def top1_max(positive: Tensor, negative: Tensor) -> Tensor:
    """TOP1-max (GRU4Rec: Hidasi & Karatzoglou, CIKM 2018, eq. 8)."""
    there, share = _shares(negative)
    return (share * (torch.sigmoid(there - positive[:, None]) + torch.sigmoid(there**2))).sum()


def bpr_max(positive: Tensor, negative: Tensor, *, penalty: float = 1.0) -> Tensor:
    """BPR-max with its penalty on the negatives' scores (Hidasi & Karatzoglou, CIKM 2018, eq. 10)."""
    there, share = _shares(negative)
    ahead = (share * torch.sigmoid(positive[:, None] - there)).sum(dim=1)
    ahead = torch.where(negative.isfinite().any(dim=1), ahead + TINY, 1.0)  # no negative: log 1 = 0
    return (penalty * (share * there**2).sum(dim=1) - ahead.log()).sum()


def info_nce(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Each row's other view (B, d) against all other rows of both views, by cosine, summed over the B pairs.

    SimCLR: Chen et al., ICML 2020, eq. 1; a pair counts as the mean of both directions.
    """
    views = F.normalize(_wide(torch.cat([one, other])), dim=1)
    with torch.autocast(views.device.type, enabled=False):  # 8 bits of a cosine near 1 are 1/256, over the temperature
        logits = views @ views.T / temperature
    logits.fill_diagonal_(-torch.inf)  # a view is not its own partner
    partner = torch.arange(len(views), device=views.device).roll(len(one))
    return F.cross_entropy(logits, partner, reduction="sum") / 2


def _shares(negative: Tensor) -> tuple[Tensor, Tensor]:
    """(N, K) each: the negatives' scores, made finite, and their softmax, 0 for masked ones."""
    there = negative.clamp_min(FAR_BELOW)
    return there, there.softmax(dim=1) * negative.isfinite()


def _count(negative: Tensor) -> Tensor:
    """int64 (N,): how many negatives are not masked, at least 1."""
    return negative.isfinite().sum(dim=1).clamp_min(1)


class _Pieces(torch.autograd.Function):
    """`against`: torch differentiates the formula with respect to the scores; the products that lead from there to the
    states' and vectors' gradients are computed here, while the piece is in memory."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        vectors: Tensor,
        target: Tensor,
        formula: Formula,
        negatives: Negatives | OwnNegatives,
        weight: Tensor | None,
    ) -> Tensor:
        right = vectors[target]
        ahead = _wide((states * right).sum(dim=1))
        log_q = None if negatives.log_q is None else negatives.log_q.to(ahead.dtype)
        if log_q is not None:
            ahead = ahead - log_q[target]
        of_states, of_right = torch.empty_like(states), torch.empty_like(right)
        of_vectors, total = torch.zeros_like(vectors), ahead.new_zeros(())
        for start, stop, item in negatives.pieces(len(states), vectors.shape[1]):
            at, h, V = slice(start, stop), states[start:stop], vectors[item]
            scores = _wide(h @ V.T if negatives.shared else (V @ h[:, :, None]).squeeze(2))
            if log_q is not None:
                scores = scores - log_q[item]
            # a negative that is the target gets -inf: exp and sigmoid of it are 0, and so are its gradients
            scores = scores.masked_fill_(item == target[at, None], -torch.inf).requires_grad_()
            positive = ahead[at].detach().requires_grad_()
            with torch.enable_grad():
                loss = formula(positive, scores)
            by_target, by_others = torch.autograd.grad(loss, [positive, scores])
            if weight is not None:  # a formula is a sum over states, so each state's gradient has its weight
                by_target, by_others = by_target * weight[at], by_others * weight[at, None]
                loss = _each(formula, positive.detach(), scores.detach()) @ weight[at].to(loss.dtype)
            # score = state . vector, so each one's gradient is the score's, times the other
            own = by_target[:, None]
            of_right[at] = own * h
            if negatives.shared:
                of_states[at] = own * right[at] + by_others @ V
                of_vectors.index_add_(0, item, (by_others.T @ h).to(vectors.dtype))
            else:
                of_states[at] = own * right[at] + (by_others[:, None] @ V).squeeze(1)
                each = (by_others[:, :, None] * h[:, None]).flatten(0, 1)
                of_vectors.index_add_(0, item.flatten(), each.to(vectors.dtype))
            total += loss.detach()
        of_vectors.index_add_(0, target, of_right)
        ctx.save_for_backward(of_states, of_vectors)
        return total

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Any:
        of_states, of_vectors = ctx.saved_tensors
        return outer * of_states, outer * of_vectors, None, None, None, None


def _each(formula: Formula, positive: Tensor, negative: Tensor) -> Tensor:
    """(N,): the formula's value for each state."""
    return torch.vmap(lambda p, n: formula(p[None], n[None]))(positive, negative)


class _CrossEntropy(torch.autograd.Function):
    """`cross_entropy`. The gradient of the logits is softmax - one-hot, times the vectors on one side and the states on
    the other: both are computed in the forward pass, while a piece of the softmax is in memory.

    With negatives the target is not one of the columns: its share of the softmax is computed apart, and columns that
    are a state's target are ignored.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        vectors: Tensor,
        target: Tensor,
        negatives: Negatives | None,
        weight: Tensor | None,
    ) -> Tensor:
        device = states.device.type
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else vectors.dtype
        wide = torch.promote_types(states.dtype, vectors.dtype)
        columns = vectors if negatives is None else vectors[negatives.item]
        V, right = columns.to(kind), vectors[target].to(wide)
        logit = (states * right).sum(dim=1, keepdim=True)
        # a bound on all logits, |h| |v|: where exp cannot overflow, the pass that looks for maxima is spared
        largest = states.norm(dim=1).amax() * vectors.norm(dim=1).amax() if len(states) else states.new_zeros(())
        drawn = None if negatives is None or negatives.log_q is None else -negatives.log_q[negatives.item].to(wide)
        if negatives is not None and negatives.log_q is not None:
            logit = logit - negatives.log_q[target][:, None]
            largest = largest - negatives.log_q.amin()
        apart = None if negatives is None else _Apart.of(negatives.item, target)
        # the one-hot part, - log of the target's exp(logit), at once for all states; the rest piece by piece
        each = None if weight is None else weight[:, None].to(wide)
        total, shifted = -_times(logit, each).sum(), bool(largest > SAFE_LOGIT)
        of_states, of_right, of_columns = -right, -states.to(wide), torch.zeros_like(columns)
        with torch.autocast(device, enabled=False):
            for start, stop in _cuts(len(states), len(columns)):
                h, own = states[start:stop].to(kind), logit[start:stop]
                p = (h @ V.T).to(wide)
                if drawn is not None:
                    p += drawn
                if shifted:
                    most = p.amax(dim=1, keepdim=True)
                    most = most if apart is None else torch.maximum(most, own)
                    p, own, total = p.sub_(most), own - most, total + _times(most, each, start, stop).sum()
                p.exp_()
                if apart is None:
                    sums = p.sum(dim=1, keepdim=True)
                else:
                    p[apart.within(start, stop)] = 0.0
                    own = own.exp()
                    sums = p.sum(dim=1, keepdim=True) + own
                    of_states[start:stop] += right[start:stop] * (own / sums)
                    of_right[start:stop] += states[start:stop] * (own / sums)
                total += _times(sums.log(), each, start, stop).sum()
                # p stays undivided: its rows' sums divide the smaller factors of the two products
                p = p.to(kind)
                of_states[start:stop] += (p @ V) / sums
                of_columns += p.T @ _times(h / sums, each, start, stop).to(kind)
        of_states, of_right = _times(of_states, each), _times(of_right, each)
        of_vectors = of_columns
        if negatives is not None:
            of_vectors = torch.zeros_like(vectors).index_add_(0, negatives.item, of_columns)
        of_vectors.index_add_(0, target, of_right.to(vectors.dtype))
        ctx.save_for_backward(of_states.to(states.dtype), of_vectors)
        return total

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Any:
        of_states, of_vectors = ctx.saved_tensors
        return outer * of_states, outer * of_vectors, None, None, None


def _times(x: Tensor, each: Tensor | None, start: int = 0, stop: int | None = None) -> Tensor:
    """x, (N, d), with each row times its weight, (n, 1), of the states start..stop."""
    return x if each is None else x * each[start:stop]


@dataclass(frozen=True)
class _Apart:
    """Where a column is the state's own target: int64 state and column (M,), ordered by state, and begin (N + 1,),
    where each state's start."""

    state: Tensor
    column: Tensor
    begin: Tensor

    @staticmethod
    def of(item: Tensor, target: Tensor) -> _Apart:
        """item: int64 (K,), of each column. target: int64 (N,)."""
        by_item, order = item.sort()
        first, past = torch.searchsorted(by_item, target), torch.searchsorted(by_item, target, right=True)
        begin = F.pad((past - first).cumsum(0), (1, 0))
        state = torch.arange(len(target), device=target.device).repeat_interleave(past - first)
        place = torch.arange(len(state), device=target.device) - begin[state] + first[state]
        return _Apart(state, order[place], begin)

    def within(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """int64 (m,) each: state, counted from start, and column, of the states from start to stop."""
        some = slice(int(self.begin[start]), int(self.begin[stop]))
        return self.state[some] - start, self.column[some]


def _cuts(n: int, width: int, least: int | None = None) -> Iterator[tuple[int, int]]:
    """(start, stop) of pieces of n states of `width` numbers each: about PIECE numbers, at least LEAST_STATES."""
    step = max(least or LEAST_STATES, PIECE // max(width, 1))
    return ((start, min(start + step, n)) for start in range(0, n, step))


def _wide(tensor: Tensor) -> Tensor:
    """The same shape, float32 or, where it was float64, float64."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
