"""Prod2vec: skip-gram with negative sampling, histories for sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.models.base import Fitted, Model, Shapes, ages, tunable, weighted_rows
from matinee.models.families.factors import stop_unless_finite
from matinee.models.families.network import ndcg_on, warn_of_nothing_to_learn
from matinee.nn import CURVE
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
    measures_loss = True
    reads_order = True

    dim: int = tunable(64, "length of a vector", choices=[32, 64, 128, 256], ge=1)
    window: int = tunable(5, "events at most between neighbours, and 1", low=1, high=40, log=True, ge=1)
    neighbours: Literal["earlier", "both"] = tunable("earlier", "on which side of an event they lie")
    n_negatives: int = tunable(5, "items drawn for each pair", low=1, high=20, log=True, ge=1)
    alpha: float = tunable(0.0, "an item is drawn in proportion to its events^alpha", low=-1.0, high=1.0)
    subsample: float = tunable(
        0.0, "leave events of items out that are more than this share of all, to its root; 0: none", ge=0.0, lt=1.0
    )
    learning_rate: float = tunable(0.05, "at first; falls to 0", low=0.01, high=0.3, log=True, gt=0.0)
    epochs: int = tunable(20, "passes over the log", low=5, high=100, log=True, ge=1)
    against: Literal["output", "input"] = tunable("output", "which vectors a history is compared with")
    max_len: int = tunable(20, "how many of the history's last events speak", low=1, high=100, log=True, ge=1)
    half_life: float | None = tunable(
        None, "halve an event's voice for every so many events after it (None: all alike)", gt=0.0
    )

    def learn(self, data: Dataset, valid: Holdout | None, seed: int) -> Prod2vecState:
        popularity = data.item_counts().astype(np.float32)
        curve = np.full((self.epochs, len(CURVE) - 1), np.nan)
        kept, found = None, -1.0
        for epoch, (loss, left, right) in enumerate(self.descend(data, seed)):
            curve[epoch, :2] = epoch, loss
            standing = self.facing(left, right, curve)
            if valid is not None and len(valid):
                curve[epoch, 2] = ndcg_on(self.model_copy().restore(Fitted(data, popularity, standing)), valid)()
            if kept is None or not curve[epoch, 2] <= found:  # NaN, not validated: the last
                kept, found = standing, curve[epoch, 2]
        assert kept is not None  # there is at least one epoch
        if np.isnan(kept.curve[:, 1]).all():
            warn_of_nothing_to_learn(self, data)
        return kept

    def descend(self, data: Dataset, seed: int) -> Iterator[tuple[float, Floats, Floats]]:
        """After each epoch: the mean loss of its pairs, and the vectors x and y, float32 (n_items, dim), in place."""
        from matinee import kernels

        counts = data.item_counts()
        sampler = Sampler.popularity(counts, self.alpha)
        rng = np.random.default_rng(seed)
        x: Floats = ((rng.random((data.n_items, self.dim)) - 0.5) / self.dim).astype(np.float32)
        x[counts == 0] = 0.0
        y = np.zeros_like(x)
        for epoch in range(self.epochs):
            rows = self.sentences(data, counts / len(data), np.random.default_rng([seed, epoch]))
            key = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
            rate, fall = self.learning_rate * (1 - epoch / self.epochs), self.learning_rate / self.epochs
            loss = kernels.skip_gram.skip_gram_rows(
                rows.offsets,
                rows.values,
                self.window,
                self.neighbours == "both",
                self.n_negatives,
                sampler.items,
                sampler.keep,
                sampler.other,
                key,
                rate,
                fall / max(len(rows.values), 1),
                x,
                y,
            )
            stop_unless_finite(x, f"epoch {epoch + 1} at learning rate {rate:.3g}", "lower the learning rate")
            yield loss, x, y

    def sentences(self, data: Dataset, share: NDArray[np.float64], rng: np.random.Generator) -> Ragged:
        """The histories in random order, without the events that chance leaves out. share: (n_items,) of all events."""
        histories = data.histories().take(rng.permutation(data.n_users))
        if self.subsample == 0.0:
            return histories
        chance = np.sqrt(self.subsample / np.maximum(share, 1e-12))
        return histories.keep(rng.random(len(histories.values)) < chance[histories.values])

    def facing(self, x: Floats, y: Floats, curve: NDArray[np.float64]) -> Prod2vecState:
        """A copy of what scores: the vectors of a history's items, and those they face."""
        if self.against == "output":
            return Prod2vecState(x.copy(), np.ascontiguousarray(y.T), curve)
        unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        return Prod2vecState(unit, np.ascontiguousarray(unit.T), curve)

    def score_histories(self, queries: Queries) -> Floats:
        learned: Prod2vecState = self.fitted.learned
        history = queries.history.keep(self.fitted.popularity[queries.history.values] > 0)
        history = history.keep(ages(history) < self.max_len)
        voice = np.ones(len(history.values)) if self.half_life is None else 0.5 ** (ages(history) / self.half_life)
        voice /= np.bincount(history.rows, voice, minlength=len(queries))[history.rows]
        mean = weighted_rows(learned.left, history.offsets, history.values, voice.astype(np.float32))
        scores: Floats = mean @ learned.right
        return scores
