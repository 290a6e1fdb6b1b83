"""BERT4Rec: a transformer that sees both sides of a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from matinee import nn
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset
from matinee.models.families.network import device_of, import_torch
from matinee.models.families.sequence import Histories, SelfAttentive, TrainingBatch
from matinee.models.fields import tunable

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from matinee.nn.sequences import Packed
    from matinee.nn.train import Step

PLACES = 4
"""Gaps that are put to a history where a film may have been watched at any time."""


class BERT4Rec(SelfAttentive):
    """Sequential recommendation with bidirectional encoders (Sun et al., CIKM 2019).

    Learns to fill gaps: a share of a history's items is replaced by a [MASK] and guessed (eq. 8); a share of the
    histories has a gap at the end alone, which is what will be asked. Asked, a [MASK] follows the history.
    ask = "anywhere" is for splits that hide items from anywhere in a history: four gaps, evenly spread and one at the
    end, in the place of its oldest events where it is long, and the mean of their states. It takes many epochs: each
    sees few of the items (Petrov & Macdonald, RecSys 2022). target = "static" takes items out of the history instead
    of masking them, and asks the [MASK] at its end for all of them; mask_share and last_share are not read then.
    Deviations: as for SASRec; no output layer, items' vectors alone.
    """

    causal: ClassVar[bool] = False
    special: ClassVar[int] = 1

    n_heads: int = tunable(2, "attention heads", choices=[1, 2, 4], ge=1)
    ffn_multiplier: int = tunable(4, "width of the feed-forward layer, as a multiple of dim", choices=[1, 2, 4], ge=1)
    feed_forward: Literal["relu", "gelu", "swiglu"] = tunable("gelu", "activation of the feed-forward layer")
    mask_share: float = tunable(0.2, "share of a history's items to mask", low=0.1, high=0.6, gt=0.0, lt=1.0)
    last_share: float = tunable(
        0.1, "share of histories with only the last item masked", low=0.0, high=1.0, ge=0.0, le=1.0
    )
    ask: Literal["end", "anywhere"] = tunable(
        "end", "where hidden items may lie: at the end of the history, or anywhere"
    )

    def build(self, data: Dataset) -> Module:
        return self.transformer(data, self.max_len + 1)

    @model_validator(mode="after")
    def _asked_as_taught(self) -> Self:
        if self.target == "static" and self.ask == "anywhere":
            raise ValueError('target = "static" teaches the gap at the end alone, so ask must be "end"')
        return self

    def terms(self, lengths: NDArray[np.int64]) -> float:
        """In expectation: at least one of each."""
        if self.target == "static":
            return super().terms(lengths)
        drawn = lengths * self.mask_share + (1.0 - self.mask_share) ** lengths
        return float(((1.0 - self.last_share) * drawn + self.last_share).sum())

    def make_batch(self, net: Any, batch: Histories, step: Step) -> TrainingBatch:
        """At each gap: what was there."""
        torch = import_torch()
        item = batch.item
        hidden = self.gaps(item, np.random.default_rng(step.seed))
        shown = np.where(hidden, net.n_items + 1, item.values).astype(np.int32)
        packed = self.packed(net, Histories(Ragged(item.offsets, shown), batch.times))
        target = torch.from_numpy(item.values[hidden].astype(np.int64)).to(device_of(net))
        of_each = torch.from_numpy(np.bincount(item.rows[hidden], minlength=len(item))).to(device_of(net))
        slot = packed.slot[torch.from_numpy(hidden).to(device_of(net))]
        return TrainingBatch(packed, slot, target, of_each, self.target_weights(net, batch, hidden))

    def gaps(self, item: Ragged, rng: np.random.Generator) -> NDArray[np.bool_]:
        """bool (len(item.values),): which events are hidden, at least one of each history."""
        hidden: NDArray[np.bool_] = rng.random(len(item.values)) < self.mask_share
        at_end = rng.random(len(item)) < self.last_share
        hidden[at_end[item.rows]] = False
        # A history without a mask would teach nothing: its last item is masked.
        any_hidden = np.bincount(item.rows[hidden], minlength=len(item)) > 0
        hidden[item.offsets[1:][~any_hidden] - 1] = True
        return hidden

    def encode_query(self, net: Any, histories: Histories) -> tuple[Packed, Tensor]:
        torch = import_torch()

        gaps = min(PLACES, self.max_len) if self.ask == "anywhere" else 1
        item, at = nn.sequences.latest(
            histories.item, self.max_len + 1 - gaps
        )  # as many places as pieces have to learn from
        # each gap stands behind the n-th event: evenly spread, the last behind all
        behind = np.ceil(item.lengths[:, None] * np.arange(1, gaps + 1) / gaps).astype(np.int64)
        rows = np.repeat(np.arange(len(item)), gaps)
        # Events have whole places, masks stand half a place behind an event: one sort puts them in order.
        every_row = np.concatenate([item.rows, rows])
        place = np.concatenate([np.arange(len(item.values)) - item.offsets[:-1][item.rows], behind.ravel() - 0.5])
        order = np.lexsort((place, every_row))
        asked = np.concatenate([item.values, np.full(len(rows), net.n_items + 1)]).astype(np.int32)[order]
        offsets = item.offsets + np.arange(len(item) + 1) * gaps
        times = None
        if histories.times is not None:
            seen = histories.times[at]
            event = np.minimum(item.offsets[:-1][rows] + np.maximum(behind.ravel() - 1, 0), max(len(seen) - 1, 0))
            times = np.concatenate([seen, seen[event] if len(seen) else np.zeros(len(rows), np.int64)])[order]
        packed = self.packed(net, Histories(Ragged(offsets, asked), times))
        where = torch.from_numpy(np.flatnonzero(asked == net.n_items + 1)).to(device_of(net))
        return packed, packed.slot[where].view(len(item), gaps)
