"""Losses summed over the rows of a batch. Logits are (B, n_items); what was watched comes as sparse rows.

Under mixed precision nets answer in bfloat16, whose 8 bits are too few for a sum: all sums are float32 at least.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from matinee.nn.blocks import Rows


def multinomial(logits: Tensor, rows: Rows) -> Tensor:
    """-sum_i x_i log softmax(logits)_i (Liang et al., WWW 2018, eq. 2)."""
    logits = _wide(logits)
    watched = (logits[rows.row, rows.item] * rows.value).sum()
    return (rows.sums * logits.logsumexp(dim=1)).sum() - watched


def logistic(logits: Tensor, rows: Rows) -> Tensor:
    """Binary cross-entropy over all items: what was not watched counts as 0 (Liang et al., WWW 2018, eq. 4)."""
    logits = _wide(logits)
    return F.softplus(logits).sum() - (logits[rows.row, rows.item] * rows.value).sum()


def squared_seen(scores: Tensor, rows: Rows) -> Tensor:
    """Squared error on the entries of the rows alone (AutoRec: Sedhain et al., WWW 2015, eq. 2)."""
    return ((_wide(scores[rows.row, rows.item]) - rows.value) ** 2).sum()


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(B,): KL(N(mean, exp(log_variance)) || N(0, 1)), summed over the latent dimensions."""
    mean, log_variance = _wide(mean), _wide(log_variance)
    return 0.5 * (log_variance.exp() + mean**2 - 1.0 - log_variance).sum(dim=1)


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """(B, latent): log density of N(mean, exp(log_variance)) at z, dimension by dimension."""
    z, mean, log_variance = _wide(z), _wide(mean), _wide(log_variance)
    log_2pi = 1.8378770664093453
    return -0.5 * (log_variance + (z - mean) ** 2 / log_variance.exp() + log_2pi)


def sampled(mean: Tensor, log_variance: Tensor, *, training: bool) -> Tensor:
    """A draw from N(mean, exp(log_variance)) with its gradient (Kingma & Welling 2014); the mean outside training."""
    return mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if training else mean


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
