"""CVAE: Multi-VAE whose encoder and decoder also see what is known of who asks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from matinee import nn
from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Queries
from matinee.data.features.side_columns import Fields
from matinee.models.families.autoencoder import log_odds
from matinee.models.families.network import import_torch
from matinee.models.families.new_outputs import NewOutputs, content_of
from matinee.models.families.side_vectors import Table, known_of, mean_of
from matinee.models.fields import tunable
from matinee.models.multi_vae import MultiVAE

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from matinee.nn.blocks import SparseBatch


class CVAE(MultiVAE):
    """Conditional variational autoencoder (Sohn, Lee & Yan, NeurIPS 2015) with Multi-VAE's likelihood and loss.

    The encoder q(z|x, c) and the decoder p(x|z, c) see a side vector c beside the history x. Other autoencoders with
    side information: Lee, Song & Moon (CIKM 2017), and Li & She's "collaborative VAE" (KDD 2017), which shares only
    the letters. Deviation: the prior of z is N(0, 1), whatever c. `condition` says what c holds:

    users:   the row of who asks in the table of users: 1 for each category (gender, occupation), numbers standardised;
             for somebody new what `Queries.user_features` brings, else zeros, which training shows for a share of users
    history: of the items in the history, the share that has each genre, director, writer..., and their mean numbers;
             in training of the items that dropout leaves, or c would tell what is to be found

    The output of an item without an event learns nothing. With `item_features` it is the one that ridge regression on
    these columns makes of the others' (see NewOutputs), and it is left out of the loss, for nobody could watch it; -inf
    is the score where nothing is known of an item.

    A log without such tables is an ordinary case: c is empty, and this is Multi-VAE. The vocabulary is a function of
    the tables saved with the model, and is fitted from them again when it is loaded.
    """

    condition: Literal["users", "history", "both"] = tunable(
        "both", "which side information is used", choices=["users", "history", "both"]
    )
    min_count: int = tunable(10, "minimum frequency for a value to enter the vocabulary", ge=1)
    max_values: int = tunable(500, "maximum number of values of a column; the most frequent are kept", ge=1)
    hidden_share: float = tunable(
        0.1, "share of users whose side vector is hidden in training", low=0.0, high=0.5, ge=0.0, lt=1.0
    )

    item_features: tuple[str, ...] = tunable(
        (), "columns of the item table by which items without an event are scored; none: they are not"
    )
    feature_l2: float = tunable(3.0, "item_features: ridge of the regression", low=0.1, high=100.0, log=True, gt=0.0)

    def build(self, data: Dataset) -> Module:
        users = None if self.condition == "history" else self.table(data.user_features)
        items = None if self.condition == "users" else self.table(data.item_features)
        width = sum(table.rows.shape[1] for table in (users, items) if table is not None)
        start = log_odds(data)
        net: Any = nn.vae.GaussianAutoencoder(
            data.n_items,
            self.hidden,
            self.latent,
            self.dropout,
            decoder_hidden=self.decoder_hidden,
            start=start,
            n_side=width,
        )
        net.side_tables = users, items  # kept with the net: one cannot be had without the other
        net.new_outputs = self.new_outputs(data)
        return net  # type: ignore[no-any-return]

    def new_outputs(self, data: Dataset) -> NewOutputs | None:
        """What is known of items, where `item_features` are named."""
        if not self.item_features:
            return None
        watched = data.item_counts() > 0
        return NewOutputs(content_of(data, self.item_features, watched), watched, ~watched, self.feature_l2)

    def likelihood(self, net: Any, logits: Tensor, rows: SparseBatch) -> Tensor:
        if net.new_outputs is not None:
            torch = import_torch()
            logits = logits.masked_fill(torch.from_numpy(net.new_outputs.asked).to(logits.device), -torch.inf)
        return super().likelihood(net, logits, rows)

    def finish(self, net: Any) -> None:
        """Give items without an event the outputs that their features say."""
        if net.new_outputs is not None:
            last = net.decoder[-1] if self.decoder_hidden else net.decoder
            net.new_outputs.fill(last.weight)
            net.new_outputs.fill(last.bias)

    def scores_unknown_items(self) -> bool:
        return bool(self.item_features)

    def score_histories(self, queries: Queries) -> Floats:
        scores = super().score_histories(queries)
        new: NewOutputs | None = self.net.new_outputs
        if new is not None:
            scores[:, new.asked & (np.diff(new.features.indptr) == 0)] = -np.inf
        return scores

    def table(self, features: pl.DataFrame | None) -> Table | None:
        """None where nothing is known."""
        if features is None:
            return None
        fields = Fields.fit(features, min_count=self.min_count, max_values=self.max_values)
        return Table(fields, fields.encode(features).matrix()) if fields.labels else None

    def seen(self, net: Any, rows: SparseBatch) -> SparseBatch:
        torch = import_torch()
        rows = super().seen(net, rows)
        parts = [
            part * (torch.rand(len(rows), 1, device=part.device) >= self.hidden_share) for part in self.side(net, rows)
        ]
        return replace(rows, side=torch.cat([rows.side, *parts], dim=1))

    def history_rows(self, queries: Queries) -> SparseBatch:
        torch = import_torch()
        rows = super().history_rows(queries)
        parts = self.side(self.net, rows, queries.user_features)
        return replace(rows, side=torch.cat([rows.side, *parts], dim=1))

    def side(self, net: Any, rows: SparseBatch, request_user_features: pl.DataFrame | None = None) -> list[Tensor]:
        """The parts of the side vector, float32 (B, width): of who asks, then of the history."""
        torch = import_torch()
        users, items = net.side_tables
        parts = []
        if users is not None:
            parts.append(known_of(users, rows.user.cpu().numpy(), request_user_features))
        if items is not None:
            parts.append(mean_of(items, rows))
        return [torch.from_numpy(part).to(rows.value.device) for part in parts]
