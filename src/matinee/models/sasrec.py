"""SASRec: self-attention over a history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matinee.data.dataset import Dataset
from matinee.errors import MatineeError, option
from matinee.models.base import Fitted
from matinee.models.families.sequence import Histories, SelfAttentive
from matinee.models.fields import tunable
from matinee.models.needs import LogSize

if TYPE_CHECKING:
    from torch import nn


class SASRec(SelfAttentive):
    """Self-attentive sequential recommendation (Kang & McAuley, ICDM 2018).

    Loss: cross-entropy over all items by default, which matters more than the architecture (Klenitskiy & Vasilev,
    RecSys 2023); "bce" with n_negatives = 1, negatives_for = "event" is the paper's (eq. 7), "gbce" gSASRec's (Petrov
    & Macdonald, RecSys 2023). Deviations from the paper: layers are normalised before and not within the residual sum,
    dropout leaves attention weights alone, positions count from the history's start, negatives may be items of the
    user's history other than the target.

    Options beyond it: gated, see nn.transformer.Transformer; relative, a bias by places and time apart in attention;
    time_gaps, which takes the time of the request as given, or each history's median gap for it (where a history has
    no times, the log's median gap). Raises MatineeError for time_gaps and a log without timestamps.
    """

    gated: bool = tunable(False, "gate each layer's output")
    relative: bool = tunable(False, "relative attention bias by position and time")
    time_gaps: bool = tunable(False, "input the time from each event to the next one, or to the request")

    def check(self, data: Dataset) -> None:
        super().check(data)
        if self.time_gaps and data.timestamp is None:
            raise MatineeError(
                f"{data.name} has no timestamps, so it is not known how long anyone waited",
                hint=f"name the log's column of times: {option('timestamp', 'time')}, or leave time_gaps unset",
            )

    def n_weights(self, size: LogSize) -> float:
        gates = 2 * self.dim * (self.dim + 1) if self.gated else 0
        biases = self.n_heads * (2 * self.max_len + 23) if self.relative else 0
        return super().n_weights(size) + self.n_blocks * (gates + biases) + (32 * self.dim + 2) * self.time_gaps

    def build(self, data: Dataset) -> nn.Module:
        return self.net_of(data, self.median_gap(data) if self.time_gaps else None)

    def rebuilt(self, fitted: Fitted) -> nn.Module:
        """The usual wait is among the saved weights: the log may have been left out."""
        return self.net_of(fitted.data, 0 if self.time_gaps else None)

    def net_of(self, data: Dataset, median_gap: int | None) -> nn.Module:
        options = {"gated": self.gated, "relative": self.relative, "median_gap": median_gap}
        return self.transformer(data, self.max_len, **options)

    def median_gap(self, data: Dataset) -> int:
        """The median of all waits, in seconds."""
        times = None if data.timestamp is None else data.timestamp[data.order]
        gaps = Histories(data.histories(), times).time_gaps().gaps
        return 0 if gaps is None or not len(gaps) else int(np.median(gaps))
