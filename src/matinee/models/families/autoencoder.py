"""The family of autoencoders: a net from an interaction row to scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee import kernels, nn
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.models.families.network import Network, device_of, import_torch
from matinee.models.needs import FLOAT, LogSize

if TYPE_CHECKING:
    from torch import Tensor

    from matinee.nn.train import Step


class Autoencoder(Network):
    """A net from an interaction row to scores float32 (B, n_items). A member says the net and its loss."""

    rated: ClassVar[bool] = False
    """True where rows hold ratings instead of 1s."""

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
        X = data.matrix(values=self.rated)
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
        """The queries' histories, a repeated item once (with its last rating)."""
        history = queries.history
        last = kernels.histories.last_occurrence(history.offsets, history.values, len(self.items))
        value = queries.history_ratings if self.rated else None
        value = np.ones(len(last), np.float32) if value is None else value
        return rows_of(history.keep(last), value[last], queries.user)


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
