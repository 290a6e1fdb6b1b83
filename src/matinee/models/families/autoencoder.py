"""The family of autoencoders: a net from an interaction row to scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee import nn
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.models.families.item_item import strengths
from matinee.models.families.network import Network, device_of, import_torch
from matinee.models.needs import FLOAT, LogSize

if TYPE_CHECKING:
    from torch import Tensor

    from matinee.nn.train import Step


class Autoencoder(Network):
    """A net from an interaction row to scores float32 (B, n_items). A member says the net and its loss.

    A row holds 1s, or the weights of a log that has some, over their mean: it is what the net sees (scaled to length
    1), and what each watched item counts in the loss.
    """

    rated: ClassVar[bool] = False
    """True where rows hold ratings instead of 1s."""

    def uses_weights(self) -> bool:
        return not self.rated

    @abstractmethod
    def loss(self, net: Any, rows: nn.blocks.SparseBatch, step: Step) -> Tensor:
        """The loss summed over the rows, a tensor ()."""

    def step_bytes(self, size: LogSize) -> float:
        """Logits of a batch, their gradient, and what the loss makes of them."""
        return 3 * FLOAT * min(self.batch_size, size.users) * size.items

    def passes(self, net: Any, data: Dataset) -> tuple[list[nn.train.Pass], int]:
        users = np.flatnonzero(data.user_counts() > 0)
        rows = self.training_rows(data)

        def loss(batch: NDArray[np.int64], step: Step) -> Tensor:
            return self.loss(net, rows(users[batch]).to(device_of(net)), step)

        return [nn.train.Pass("all", loss, list(net.parameters()))], len(users)

    def training_rows(self, data: Dataset) -> Callable[[NDArray[np.int64]], nn.blocks.SparseBatch]:
        """rows(users): their interactions, each item once."""
        X = data.matrix(values=True) if self.rated else data.strengths()
        if data.weight is not None and not self.rated:
            X.data /= X.data.mean(dtype=np.float64)
        ragged = Ragged(X.indptr.astype(np.int64), X.indices.astype(np.int32))

        def rows(users: NDArray[np.int64]) -> nn.blocks.SparseBatch:
            return rows_of(ragged.take(users), X.data[ragged.positions(users)], users)

        return rows

    def score_histories(self, queries: Queries) -> Floats:
        torch = import_torch()
        history = self.history_rows(queries).to(device_of(self.net))
        with torch.inference_mode():
            scores: Floats = self.net(history).float().cpu().numpy()
        return scores

    def history_rows(self, queries: Queries) -> nn.blocks.SparseBatch:
        """The queries' histories, a repeated item once (with its last rating, or the sum of its weights). Weights are
        taken over each row's mean: a net sees directions alone."""
        value = strengths(queries, len(self.items))
        last, history = value > 0, queries.history
        if self.rated and queries.history_ratings is not None:
            value = queries.history_ratings
        rows, value = history.keep(last), value[last]
        if queries.history_weights is not None and not self.rated:
            mean = np.bincount(rows.rows, value, minlength=len(rows)) / np.maximum(rows.lengths, 1)
            value = (value / mean[rows.rows]).astype(np.float32)
        return rows_of(rows, value, queries.user)


def log_odds(data: Dataset) -> Tensor:
    """float32 (n_items,): log odds that a user watched each item, where a logistic loss begins."""
    torch = import_torch()
    share = (data.item_counts() + 0.5) / (np.count_nonzero(data.user_counts()) + 1.0)
    odds: Tensor = torch.from_numpy(np.log(share / np.maximum(1.0 - share, 1e-3)).astype(np.float32))
    return odds


def rows_of(items: Ragged, value: Floats, user: NDArray[np.integer[Any]]) -> nn.blocks.SparseBatch:
    """Arrays -> tensors: B rows of item codes with their values, and the user of each row."""
    torch = import_torch()

    return nn.blocks.SparseBatch(
        item=torch.from_numpy(items.values.astype(np.int64)),
        row=torch.from_numpy(items.rows),
        offsets=torch.from_numpy(items.offsets[:-1].copy()),
        value=torch.from_numpy(np.array(value, np.float32)),
        user=torch.from_numpy(user.astype(np.int64)),
        side=torch.zeros(len(items), 0),
    )
