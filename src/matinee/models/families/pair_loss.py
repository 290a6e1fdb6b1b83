"""What an epoch of a pointwise model learns from: labels as they are, or what was watched against negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset
from matinee.models.families.network import import_torch
from matinee.models.families.ordinal import OrdinalTargets
from matinee.models.families.pair_sides import item_sides
from matinee.nn.sampling import Disliked, Positives, Sampler, hardest, negatives

if TYPE_CHECKING:
    from torch import Tensor

    from matinee.data.features.requests import RequestFeatures
    from matinee.nn.train import Step


class Sampling(Protocol):
    """The hyper-parameters that say how negatives are drawn and levels weighed; see Pointwise."""

    @property
    def n_negatives(self) -> int: ...
    @property
    def sampling(self) -> Literal["uniform", "popularity", "hard"]: ...
    @property
    def alpha(self) -> float: ...
    @property
    def hard_of(self) -> int: ...
    @property
    def dislikes(self) -> float: ...
    @property
    def ordinal_weight(self) -> float: ...


class PairLoss:
    """The loss of a batch of a training log's events, by user and time: binary cross-entropy, summed."""

    def __init__(self, net: Any, rows: Dataset, sampling: Sampling, *, labels: bool) -> None:
        self.net, self.rows, self.sampling = net, rows, sampling
        self.requests = net.tables.encode_requests(rows.user, rows.timestamp, rows.context)
        self.label = rows.value if labels else None
        self.targets = None
        if self.label is not None and rows.raw_rating is not None and sampling.ordinal_weight:
            self.targets = OrdinalTargets.of(rows.raw_rating, self.label)
        self.weight = rows.relative_weights()
        kind: Literal["uniform", "popularity"] = "popularity" if sampling.sampling == "popularity" else "uniform"
        self.sampler, self.positives = Sampler.of(rows, kind, sampling.alpha), Positives.of(rows)
        self.disliked = Disliked.of(rows, sampling.dislikes)

    def terms(self, batch: NDArray[np.int64]) -> float:
        """How many terms the loss of these events is the sum of."""
        return float(len(batch) * (1 if self.label is not None else 1 + self.sampling.n_negatives))

    def __call__(self, batch: NDArray[np.int64], step: Step) -> Tensor:
        """The loss of the events `batch`, int64 (B,): a tensor ()."""
        requests, item = self.requests.take(batch), self.rows.item[batch][:, None]
        said = self.net.of_request(self.net.vectors(requests.part))
        if self.label is not None:
            logit = self.net.meet(said, item_sides(self.net, requests, item))[:, 0]
            return self.of_labels(logit, batch, self.label[batch])
        others = self.draw(requests, self.rows.user[batch], said, step)
        if self.disliked is not None:
            others = self.disliked.put(self.rows.user[batch], others, np.random.default_rng([step.seed, 1]))
        logits = self.net.meet(said, item_sides(self.net, requests, np.concatenate([item, others], axis=1)))
        torch = import_torch()
        there = torch.from_numpy(others >= 0).to(logits.device)  # who watched everything has no negatives
        softplus = torch.nn.functional.softplus
        liked, other = softplus(-logits[:, 0]), softplus(logits[:, 1:]) * there
        if (weight := self.weights(batch, logits)) is not None:  # an event's own term and those of its negatives
            liked, other = liked * weight, other * weight[:, None]
        total: Tensor = liked.sum() + other.sum()
        return total

    def weights(self, batch: NDArray[np.int64], logit: Tensor) -> Tensor | None:
        """float32 (B,): what the loss of each event weighs, beside a logit; None in a log without weights."""
        return None if self.weight is None else import_torch().from_numpy(self.weight[batch]).to(logit.device)

    def of_labels(self, logit: Tensor, batch: NDArray[np.int64], label: Floats) -> Tensor:
        """The loss against labels float32 (B,), and against the other levels of their ratings: a tensor ()."""
        torch = import_torch()
        wanted = torch.from_numpy(label).to(logit.device)
        weight = self.weights(batch, logit)
        if self.targets is not None:
            return self.targets.loss(logit, batch, wanted, self.sampling.ordinal_weight, weight)
        entropy = torch.nn.functional.binary_cross_entropy_with_logits
        own: Tensor = entropy(logit, wanted, weight=weight, reduction="sum")
        return own

    def draw(self, requests: RequestFeatures, user: NDArray[np.int32], said: Tensor, step: Step) -> NDArray[np.int64]:
        """int64 (B, n_negatives): items that the users did not watch; -1: none."""
        rng, n = np.random.default_rng(step.seed), self.sampling.n_negatives
        if self.sampling.sampling != "hard":
            return negatives(user, n, self.sampler, self.positives, rng)
        torch, net = import_torch(), self.net

        def score(items: NDArray[np.int64]) -> Floats:
            net.eval()  # these candidates are not what batch normalisation is to remember
            with torch.no_grad():
                scores: Floats = net.meet(said, item_sides(net, requests, items)).float().cpu().numpy()
            net.train()
            return scores

        return hardest(user, n, self.sampling.hard_of, score, self.sampler, self.positives, rng)
