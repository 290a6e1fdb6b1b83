"""Prod2vec: skip-gram with negative sampling, histories for sentences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.models.base import Model, Shapes
from matinee.models.families.factors import stop_unless_finite
from matinee.models.families.item_item import ages, weighted_rows
from matinee.models.families.network import NO_CURVE, has_loss, warn_of_nothing_to_learn
from matinee.models.families.transitions import known_events, shares
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, LogSize
from matinee.nn.sampling import Sampler


@dataclass(frozen=True)
class Prod2vecState:
    """left float32 (n_items, f), row = history item; right float32 (f, n_items), column = scored item. curve: float64
    (epochs, 3), nn.CURVE without its seconds."""

    left: Floats
    right: Floats
    curve: NDArray[np.float64]

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        f = self.left.shape[1]
        return {"left": (n_items, f), "right": (f, n_items)}


class Prod2vec(Model):
    """Item vectors from what is watched nearby (Grbovic et al., KDD 2015; item2vec: Barkan & Koenigstein, MLSP 2016).

    Descends, for each event j and each of its neighbours i, -ln sigmoid(x_i.y_j) - sum over drawn items k of
    ln sigmoid(-x_i.y_k), as word2vec does (Mikolov et al., NeurIPS 2013, eq. 4): the window shrinks at random, popular
    items are left out at random, the learning rate falls to 0. Its defaults are known to be bad here; those below were
    tuned (Caselles-Dupre et al., RecSys 2018: alpha, window, subsampling and epochs matter most).

    The score is the mean over the history's last events of x_i.y_j, or of the cosine of x_i and x_j (against =
    "input", item2vec's). Ours: neighbours = "earlier" alone, for what comes next; half_life; and the epoch that is best
    on `valid` is kept where it is given.
    """

    learned_type = Prod2vecState
    exemptions = {"renamed_ids": "starting vectors are drawn in the order of ids"}

    dim: int = tunable(64, "length of a vector", choices=[32, 64, 128, 256], ge=1)
    window: int = tunable(5, "largest distance between neighbours", low=1, high=40, log=True, ge=1)
    neighbours: Literal["earlier", "both"] = tunable("earlier", "which side of an event its neighbours lie on")
    n_negatives: int = tunable(5, "negatives for each pair", low=1, high=20, log=True, ge=1)
    alpha: float = tunable(0.0, "negatives are sampled in proportion to events^alpha", low=-1.0, high=1.0)
    subsample: float = tunable(0.0, "thin out items above this share of events (word2vec); 0: none", ge=0.0, lt=1.0)
    learning_rate: float = tunable(
        0.05, "initial learning rate; falls linearly to 0", low=0.01, high=0.3, log=True, gt=0.0
    )
    epochs: int = tunable(20, "passes over the log", low=5, high=100, log=True, ge=1)
    stop_epoch: int | None = tunable(None, "stop at this epoch but keep the learning-rate schedule of `epochs`", ge=1)
    against: Literal["output", "input"] = tunable(
        "output", "compare the history with output vectors, or with input vectors (item2vec)"
    )
    max_len: int = tunable(20, "number of recent events used", low=1, high=100, log=True, ge=1)
    half_life: float | None = tunable(None, "half-life of an event's weight, in events (None: all alike)", gt=0.0)

    def reads_order(self) -> bool:
        return True

    def keeps_schedule(self) -> bool:
        return True

    @property
    def learned_anything(self) -> bool:
        return has_loss(self.fitted.learned.curve)

    def learned_bytes(self, size: LogSize) -> float:
        return 2 * FLOAT * self.dim * size.items + 24 * self.epochs

    def fit_bytes(self, size: LogSize) -> float:
        return 30 * size.events + 2.5 * self.learned_bytes(size)

    def learn(self, data: Dataset, context: FitContext) -> Prod2vecState:
        counts = data.item_counts()
        sampler = Sampler.popularity(counts, self.alpha)
        rng = np.random.default_rng(context.seed)
        x: Floats = ((rng.random((data.n_items, self.dim)) - 0.5) / self.dim).astype(np.float32)
        x[counts == 0] = 0.0
        y = np.zeros_like(x)
        rounds = context.rounds(min(self.epochs, self.stop_epoch or self.epochs))
        kept = None
        for epoch in rounds:
            loss = self.descend(data, sampler, counts / len(data), epoch, context.seed, x, y)
            state = self.facing(x, y)
            if rounds.add(loss, context.measuring(self.standing(data, state))):
                kept = state
        assert kept is not None  # there is at least one epoch
        if not has_loss(rounds.curve):
            warn_of_nothing_to_learn(self, data)
        return replace(kept, curve=rounds.curve)

    def descend(
        self, data: Dataset, sampler: Sampler, share: NDArray[np.float64], epoch: int, seed: int, x: Floats, y: Floats
    ) -> float:
        """One epoch: moves the vectors x and y, float32 (n_items, dim), in place; the mean loss of its pairs."""
        rows = self.sentences(data, share, np.random.default_rng([seed, epoch]))
        key = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
        # word2vec's schedule: linear over all epochs, event by event.
        rate, fall = self.learning_rate * (1 - epoch / self.epochs), self.learning_rate / self.epochs
        loss: float = kernels.skip_gram.skip_gram_rows(
            rows.offsets, rows.values, self.window, self.neighbours == "both", self.n_negatives,
            sampler.items, sampler.keep, sampler.other, key, rate, fall / max(len(rows.values), 1), x, y,
        )  # fmt: skip
        stop_unless_finite(x, f"epoch {epoch + 1} at learning rate {rate:.3g}", "lower the learning rate")
        return loss

    def sentences(self, data: Dataset, share: NDArray[np.float64], rng: np.random.Generator) -> Ragged:
        """int32 (n_users rows): histories in random order, less events that chance leaves out. share: (n_items,)."""
        histories = data.histories().take(rng.permutation(data.n_users))
        if self.subsample == 0.0:
            return histories
        chance = np.sqrt(self.subsample / np.maximum(share, 1e-12))
        return histories.keep(rng.random(len(histories.values)) < chance[histories.values])

    def facing(self, x: Floats, y: Floats) -> Prod2vecState:
        """A copy of what scores: the vectors of a history's items, and those they face."""
        if self.against == "output":
            return Prod2vecState(x.copy(), np.ascontiguousarray(y.T), NO_CURVE)
        unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        return Prod2vecState(unit, np.ascontiguousarray(unit.T), NO_CURVE)

    def score_histories(self, queries: Queries) -> Floats:
        scores: Floats = self.vectors(queries) @ self.fitted.learned.right
        return scores

    def item_vectors(self) -> Floats:
        """float32 (n_items, f): what vectors of histories are multiplied with."""
        right: Floats = self.fitted.learned.right
        return right.T

    def vectors(self, queries: Queries) -> Floats:
        """float32 (B, f), row = query: the mean vector of the history's items, weighted by age."""
        history = known_events(queries, self.fitted.popularity, self.max_len).history
        weight = shares(history, 0.5 ** (ages(history) * (1.0 / (self.half_life or np.inf)))).astype(np.float32)
        return weighted_rows(self.fitted.learned.left, history.offsets, history.values, weight)
