"""The id vectors of the users who ask a pointwise model: learned, or folded in from the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee import nn
from matinee.data.arrays import Floats
from matinee.data.dataset import Queries
from matinee.models.families.network import import_torch
from matinee.models.families.pair_sides import blocks_of, item_sides, put, same_sides
from matinee.models.families.user_vectors import Hashes, still_learned

if TYPE_CHECKING:
    from torch import Tensor

FOLD_EVENTS, FOLD_NEGATIVES = 200, 256
"""Latest events that fold a user in, and negatives that the users of a block share."""


@dataclass(frozen=True)
class UserFolding:
    """net: a trained net of pairs. hashes: uint64 (n_users,), of the histories learned on. labels: whether labels were
    learned. popularity: float32 (n_items,). n_negatives, steps, rate, floats_per_pair: see Pointwise."""

    net: Any
    hashes: Hashes
    labels: bool
    popularity: Floats
    n_negatives: int
    steps: int
    rate: float
    floats_per_pair: int

    def vectors(self, queries: Queries) -> Tensor | None:
        """float32 (B, width): the id vector of each query's user, learned where the history is the one learned on, else
        folded in. None where ids are no field."""
        torch = import_torch()
        tables = self.net.tables
        if tables.user_column is None:
            return None
        ratings = queries.history_ratings if self.labels else None
        own = still_learned(queries, self.hashes, ratings, queries.history_weights)
        table = self.net.vectors.table.weight.detach()
        codes = tables.users.single[np.where(own, queries.user, -1), tables.user_column]
        vectors: Tensor = table[torch.from_numpy(codes).long()]
        new = np.flatnonzero(~own & (queries.history.lengths > 0))
        pairs = np.minimum(queries.history.lengths[new], FOLD_EVENTS) + (0 if self.labels else FOLD_NEGATIVES)
        each = self.floats_per_pair + len(tables.fields.fields) * table.shape[1]
        for rows in blocks_of(new, pairs * each):
            vectors[torch.from_numpy(rows)] = self.folded(queries.take(rows), vectors[torch.from_numpy(rows)])
        return vectors

    def folded(self, queries: Queries, start: Tensor) -> Tensor:
        """float32 (B, width) from `start` (B, width), down the training loss on the histories."""
        torch = import_torch()

        net, tables = self.net, self.net.tables
        history, at = nn.sequences.latest(queries.history, FOLD_EVENTS)
        row = history.rows
        times = None if queries.history_times is None else queries.history_times[at]
        request_user_features = None if queries.user_features is None else queries.user_features[row]
        events = tables.encode_requests(queries.user[row], times, None, request_user_features)
        label = queries.history_ratings[at] if self.labels and queries.history_ratings is not None else None
        # One set of negatives for all users of a block: the items are encoded once.
        codes, weight = self.shared_negatives(queries, history.lengths)
        asked = tables.queries(queries)
        with torch.no_grad():
            request = net.vectors(events.part), net.vectors(asked.part)
            watched = item_sides(net, events, history.values[:, None])
            other = same_sides(net, asked, codes)
        sign = torch.from_numpy(np.where(label == 0, 1.0, -1.0).astype(np.float32)) if label is not None else -1.0
        of_event = None
        if queries.history_weights is not None:
            own_weight = queries.history_weights[at]
            mean = np.bincount(row, own_weight, minlength=len(history)) / np.maximum(history.lengths, 1)
            of_event = torch.from_numpy((own_weight / mean[row]).astype(np.float32))
        place, rows, weight = tables.user_column, torch.from_numpy(row), torch.from_numpy(weight)

        def loss(own: Tensor) -> Tensor:
            theirs = [net.of_request(put(x, place, v)) for x, v in zip(request, (own[rows], own), strict=True)]
            softplus = torch.nn.functional.softplus
            liked = softplus(sign * net.meet(theirs[0], watched)[:, 0])
            total: Tensor = (liked if of_event is None else liked * of_event).sum()
            return total if label is not None else total + (weight * softplus(net.meet(theirs[1], other))).sum()

        return nn.train.fold_in(start, loss, steps=self.steps, learning_rate=self.rate)

    def shared_negatives(self, queries: Queries, lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
        """int64 (M,) items that stand for what was not watched, the same for all, and what each weighs, float32 (B, M):
        0 where it was watched, in sum `negatives` for each event."""
        pool = np.flatnonzero(self.popularity)
        codes = np.random.default_rng(0).permutation(pool)[:FOLD_NEGATIVES]
        place = np.full(len(self.popularity), -1)
        place[codes] = np.arange(len(codes))
        at = place[queries.history.values]
        weight = np.ones((len(queries), len(codes)), np.float32)
        weight[queries.history.rows[at >= 0], at[at >= 0]] = 0.0
        total = self.n_negatives * lengths.astype(np.float32)
        return codes, weight * (total / np.maximum(weight.sum(axis=1), 1.0))[:, None]
