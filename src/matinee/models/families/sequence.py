"""The family of sequence models: a net from a history to a state at each of its events, scored against item vectors.

A member says its net, and, where it learns otherwise than by guessing what comes next, what an example is. Cutting and
packing histories, losses and negatives, training and scoring are here.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from matinee import nn
from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Queries
from matinee.data.features.attributes import item_column
from matinee.models.families.histories import Histories as Histories
from matinee.models.families.item_values import item_values
from matinee.models.families.network import Network, device_of, import_torch, warn_of_nothing_to_learn
from matinee.models.fields import tunable
from matinee.models.needs import FLOAT, LogSize
from matinee.nn.sampling import Sampler

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from matinee.nn.sequences import Packed
    from matinee.nn.train import Step

SLOTS = 1 << 14
"""Events encoded at once where a model answers."""

LossName = Literal["cross_entropy", "sampled_softmax", "bce", "gbce", "bpr", "top1_max", "bpr_max"]


@dataclass(frozen=True)
class TrainingBatch:
    """What a batch teaches: after the net has seen `packed`, its states at `slot` (N,) should find `target` (N,).

    They lie history after history; of_each: int64 (B,), how many each history has. weight: float32 (N,), what each
    target counts; None: all 1. Where one state finds all targets of a history, slot has one for each history.
    """

    packed: Packed
    slot: Tensor
    target: Tensor
    of_each: Tensor
    weight: Tensor | None = None


class Sequence(Network):
    """scores = state at the end of the history . item vectors. Repeats stay in a history; so may they be recommended.

    build() gives a net with `forward(packed) -> (N, dim)`, a state at each slot, and `vectors`, (n_items, dim). Items
    without a training event say nothing: they are left out of histories. In a log with weights the loss of a target is
    multiplied by its event's weight over the mean of all; what a net sees of a history stays the same.

    target = "static" is for splits that hide items from anywhere in a history. In each step a random share of a
    history's events is taken out, and the state that would answer what is left should find all of them: the loss is the
    mean over these, so that each history counts once.
    """

    causal: ClassVar[bool] = True
    """True where the state at a slot depends on it and earlier ones alone."""

    max_len: int = tunable(200, "maximum length of a history; the latest events are used", choices=[50, 100, 200], ge=2)
    windows: Literal["last", "all"] = tunable(
        "last", "train on the last max_len events of a history, or on all events, cut into windows"
    )
    target: Literal["next", "static"] = tunable(
        "next", "learn to find the next event, or events hidden from anywhere in a history"
    )
    target_share: float = tunable(0.2, "target static: share of a history's events to hide", gt=0.0, lt=1.0)
    dim: int = tunable(64, "length of an item's vector", choices=[32, 64, 128, 256], ge=1)
    dropout: float = tunable(0.1, "dropout of inputs and layer outputs", low=0.0, high=0.5, ge=0.0, lt=1.0)
    loss: LossName = tunable(
        "cross_entropy",
        "loss over all items, or against negatives",
        choices=["cross_entropy", "sampled_softmax", "bce", "gbce", "bpr", "top1_max", "bpr_max"],
    )
    n_negatives: int = tunable(
        256,
        "negatives for each positive, history or batch (see negatives_for)",
        low=1,
        high=4096,
        log=True,
        ge=1,
        le=1 << 20,
    )
    negatives_for: Literal["batch", "history", "event"] = tunable(
        "batch", "sample negatives once for a batch (uniform: without replacement), or for each history or event"
    )
    sampling: Literal["uniform", "popularity", "in_batch"] = tunable("uniform", "how negatives are sampled")
    alpha: float = tunable(0.75, "sampling popularity: in proportion to events^alpha", ge=0.0)
    log_q: bool = tunable(True, "sampled softmax: correct for the sampling probability of an item (logQ)")
    calibration: float = tunable(
        0.75, "gbce: 0 is bce, 1 gives calibrated probabilities", low=0.0, high=1.0, ge=0.0, le=1.0
    )
    epochs: int = tunable(200, "maximum number of epochs; early stopping may end before", ge=1)
    batch_size: int = tunable(128, "histories in a step", ge=1)

    def reads_order(self) -> bool:
        return True

    def uses_weights(self) -> bool:
        return True

    # -- learning ----------------------------------------------------------------------------------------------------

    def n_weights(self, size: LogSize) -> float:
        """Vectors of the items and of an empty slot, and the layers."""
        return self.dim * (size.items + 1) + self.layer_weights()

    @abstractmethod
    def layer_weights(self) -> float:
        """Numbers of the net beside the items' vectors."""

    def numbers_per_event(self) -> float:
        """Numbers that a step of training keeps of each event, layer by layer."""
        return 20.0 * self.dim

    def step_bytes(self, size: LogSize) -> float:
        events = min(self.batch_size * min(1.2 * size.mean_length, self.max_len), size.events)
        return FLOAT * events * self.numbers_per_event()

    def passes(self, net: Any, data: Dataset) -> tuple[list[nn.train.Pass], int]:
        pieces = self.pieces(data)
        if not len(pieces):
            warn_of_nothing_to_learn(self, data)
        draw = self.drawing(data)
        lengths = pieces.item.lengths

        def loss(batch: NDArray[np.int64], step: Step) -> Tensor:
            return self.batch_loss(net, pieces.take(batch), draw, step)

        every = list(net.parameters())
        return [nn.train.Pass("all", loss, every, terms=lambda batch: self.terms(lengths[batch]))], len(pieces)

    def pieces(self, data: Dataset) -> Histories:
        """What an epoch walks over."""
        histories, every = data.histories(), self.windows == "all"
        if self.target == "static":
            item, at = nn.static.pieces(histories, self.max_len, self.target_share, every=every)
        else:
            item, at = nn.sequences.windows(histories, self.max_len + 1, every=every)
        rows, weights = data.order[at], data.relative_weights()
        times = None if data.timestamp is None else data.timestamp[rows]
        return Histories(item, times, weights=None if weights is None else weights[rows])

    def terms(self, lengths: NDArray[np.int64]) -> float:
        """How many events of such pieces are guessed; with static targets those of a piece count as one."""
        return float(len(lengths) if self.target == "static" else lengths.sum() - len(lengths))

    def batch_loss(self, net: Any, batch: Histories, draw: Draw, step: Step) -> Tensor:
        """The loss summed over a batch of pieces, a tensor ()."""
        static = self.target == "static"
        examples = self.static_batch(net, batch, step) if static else self.make_batch(net, batch, step)
        states, negatives = net(examples.packed)[examples.slot], draw(examples, step)
        if not static:
            return self.loss_of(states, net.vectors, examples.target, negatives, examples.weight)
        weight = nn.static.mean_weights(examples.of_each, examples.weight)
        if negatives is None:
            return nn.static.cross_entropy(states, net.vectors, examples.target, examples.of_each, weight)
        states = states.repeat_interleave(examples.of_each, dim=0)
        return self.loss_of(states, net.vectors, examples.target, negatives, weight)

    def make_batch(self, net: Any, batch: Histories, step: Step) -> TrainingBatch:
        """At each event but the last: what came next."""
        torch = import_torch()
        ends = np.zeros(len(batch.item.values), np.bool_)
        ends[batch.item.offsets[1:] - 1] = True
        starts = np.zeros_like(ends)
        starts[batch.item.offsets[:-1]] = True
        # Inputs are all events but the last, targets all but the first: every prefix is trained at once.
        packed = self.packed(net, self.timed(net, batch).where(~ends))
        target = torch.from_numpy(batch.item.values[~starts].astype(np.int64)).to(device_of(net))
        return TrainingBatch(packed, packed.slot, target, packed.length, self.target_weights(net, batch, ~starts))

    def static_batch(self, net: Any, batch: Histories, step: Step) -> TrainingBatch:
        """Of what is left of each history, asked as a query is: all that was hidden."""
        torch = import_torch()
        item = batch.item
        hidden = nn.static.hidden(item, self.target_share, np.random.default_rng([step.seed, 2]))
        packed, slot = self.encode_query(net, self.timed(net, batch.where(~hidden)))
        target = torch.from_numpy(item.values[hidden].astype(np.int64)).to(device_of(net))
        of_each = torch.from_numpy(np.bincount(item.rows[hidden], minlength=len(item))).to(device_of(net))
        return TrainingBatch(packed, slot[:, -1], target, of_each, self.target_weights(net, batch, hidden))

    def target_weights(self, net: Any, batch: Histories, mask: NDArray[np.bool_]) -> Tensor | None:
        """float32 (N,): the weights of the events where mask, which are the targets; None in a log without weights."""
        weights = batch.weights
        return None if weights is None else import_torch().from_numpy(weights[mask]).to(device_of(net))

    def timed(self, net: Any, histories: Histories, asked: NDArray[np.int64] | None = None) -> Histories:
        """With waits, where the net reads them."""
        return histories if getattr(net, "gaps", None) is None else histories.time_gaps(asked)

    def packed(self, net: Any, histories: Histories) -> Packed:
        return nn.sequences.pack(histories.item, net.n_items, histories.times, histories.gaps).to(device_of(net))

    def loss_of(
        self,
        states: Tensor,
        vectors: Tensor,
        target: Tensor,
        negatives: nn.losses.Negatives | nn.losses.OwnNegatives | None,
        weight: Tensor | None = None,
    ) -> Tensor:
        """The loss by name, summed over the states (N, dim), each times its weight (N,)."""
        if negatives is None or (isinstance(negatives, nn.losses.Negatives) and self.loss == "sampled_softmax"):
            return nn.losses.cross_entropy(states, vectors, target, negatives, weight)
        n, beta = negatives.k, nn.losses.calibration(negatives.k, len(vectors), self.calibration)
        formulas: dict[str, nn.losses.Formula] = {
            "sampled_softmax": nn.losses.sampled_softmax,
            "bce": partial(nn.losses.binary, shift=nn.losses.balance(n, 1.0)),
            "gbce": partial(nn.losses.generalised_binary, beta=beta, shift=nn.losses.balance(n, beta)),
            "bpr": nn.losses.pairwise,
            "top1_max": nn.losses.top1_max,
            "bpr_max": nn.losses.bpr_max,
        }
        return nn.losses.against(formulas[self.loss], states, vectors, target, negatives, weight)

    def drawing(self, data: Dataset) -> Draw:
        """draw(examples, step) -> the batch's negatives; None where the loss is over all items."""
        torch = import_torch()

        if self.loss == "cross_entropy":
            return lambda examples, step: None
        sampler = Sampler.of(
            data,
            "uniform" if self.sampling == "uniform" else "popularity",
            alpha=1.0 if self.sampling == "in_batch" else self.alpha,
        )
        uneven = self.loss == "sampled_softmax" and self.sampling != "uniform"
        log_q = torch.from_numpy(sampler.log_q) if self.log_q and uneven else None

        def draw(examples: TrainingBatch, step: Step) -> nn.losses.Negatives | nn.losses.OwnNegatives:
            # one stream a step: a training that goes on from a checkpoint draws what it would have drawn
            rng, target, k = np.random.default_rng(step.seed), examples.target, self.n_negatives

            def items(*size: int) -> Tensor:
                near, n = self.sampling == "in_batch", math.prod(size)
                code = rng.integers(len(target), size=n) if near else sampler.draw(n, rng)
                drawn: Tensor = torch.from_numpy(code.reshape(size)).to(target.device)
                return target[drawn] if near else drawn

            of_each = None if log_q is None else log_q.to(target.device)
            if self.negatives_for == "event":
                return nn.losses.OwnNegatives(k, lambda n: items(n, k), of_each)
            if self.negatives_for == "history":
                begin = torch.nn.functional.pad(examples.of_each.cumsum(0), (1, 0))
                return nn.losses.OwnNegatives(k, lambda n: items(n, k), of_each, begin)
            # shared by all events of the batch: uniform ones are distinct, as none is worth drawing twice
            apart = self.sampling == "uniform"
            return nn.losses.Negatives(
                torch.from_numpy(sampler.distinct(k, rng)).to(target.device) if apart else items(k), of_each
            )

        return draw

    # -- answering ---------------------------------------------------------------------------------------------------

    def score_histories(self, queries: Queries) -> Floats:
        return self.answered(queries, len(self.items), lambda histories: self.states(histories) @ self.net.vectors.T)

    def vectors(self, queries: Queries) -> Floats:
        """float32 (B, dim), row = query: the state that is scored against `item_vectors`; zeros for a history of which
        nothing is known."""
        return self.answered(queries, self.net.vectors.shape[1], self.states)

    def item_vectors(self) -> Floats:
        """float32 (n_items, dim): what states are scored against."""
        vectors: Floats = self.net.vectors.detach().cpu().numpy()
        return vectors

    def answered(self, queries: Queries, width: int, answer: Callable[[Histories], Tensor]) -> Floats:
        """float32 (B, width): answers, (rows, width), to blocks of the histories that are not empty; else zeros."""
        torch = import_torch()
        known = self.fitted.popularity[queries.history.values] > 0
        histories = self.timed(self.net, Histories(queries.history, queries.history_times), queries.request_time).where(
            known
        )
        found = np.zeros((len(queries), width), np.float32)
        with torch.inference_mode():
            for rows in blocks(histories.item.lengths, self.max_len):
                found[rows] = answer(histories.take(rows)).cpu().numpy()
        return found

    def states(self, histories: Histories) -> Tensor:
        """(B, dim); no history is empty."""
        packed, slot = self.encode_query(self.net, histories)
        states: Tensor = self.net(packed)[slot].mean(dim=1)
        return states

    def encode_query(self, net: Any, histories: Histories) -> tuple[Packed, Tensor]:
        """What the net sees of whole histories, and the slots (B, M) whose mean state answers."""

        item, at = nn.sequences.latest(histories.item, self.max_len)
        times, gaps = (None if x is None else x[at] for x in (histories.times, histories.gaps))
        packed = self.packed(net, Histories(item, times, gaps))
        return packed, packed.last[:, None]


class SelfAttentive(Sequence):
    """The family of transformers: what they are built of.

    item_features: an item's vector is then the sum of its own and, for each of these columns of the item table, the
    mean of the vectors of the item's values; it is both what is read and what is scored. Values of a single item and
    missing ones count as unknown. An item without a training event is scored by its features alone, if it has any.
    """

    special: ClassVar[int] = 0
    """Tokens beyond the items."""

    item_features: tuple[str, ...] = tunable(
        (), "columns of the item table whose values' vectors are added to the item vectors"
    )

    n_blocks: int = tunable(2, "number of blocks", choices=[1, 2, 3, 4], ge=1)
    n_heads: int = tunable(1, "attention heads", choices=[1, 2, 4], ge=1)
    ffn_multiplier: int = tunable(1, "width of the feed-forward layer, as a multiple of dim", choices=[1, 2, 4], ge=1)
    feed_forward: Literal["relu", "gelu", "swiglu"] = tunable("relu", "activation of the feed-forward layer")

    @model_validator(mode="after")
    def _divided(self) -> Self:
        if self.dim % self.n_heads:
            raise ValueError(f"{self.n_heads} attention heads do not divide vectors of dim = {self.dim}")
        return self

    def check(self, data: Dataset) -> None:
        super().check(data)
        for column in self.item_features:
            item_column(data.item_features, column)

    def scores_unknown_items(self) -> bool:
        """By their features alone."""
        return bool(self.item_features)

    def score_histories(self, queries: Queries) -> Floats:
        scores = super().score_histories(queries)
        if self.item_features:
            shares = np.diff(self.net.features.begin.numpy())
            scores[:, (self.fitted.popularity == 0) & (shares == 0)] = -np.inf  # nothing is known of them at all
        return scores

    def layer_weights(self) -> float:
        dim, wide = self.dim, self.ffn_multiplier * self.dim
        gated = self.feed_forward == "swiglu"
        forward = wide * (3 if gated else 2) * dim + wide * (2 if gated else 1) + dim
        block = 4 * dim * (dim + 1) + forward + 4 * dim
        return dim * (self.max_len + self.special) + 2 * dim + self.n_blocks * block

    def numbers_per_event(self) -> float:
        return self.dim * (8.0 + self.n_blocks * (12 + 2 * self.ffn_multiplier))

    def transformer(self, data: Dataset, length: int, **options: Any) -> Module:
        """A fresh net for histories of up to so many events. options: as of TransformerNet."""
        features = None
        if self.item_features:
            shares = item_values(data, self.item_features)
            features = nn.side.ItemFeatures(shares, data.item_counts() > 0, self.dim)
        return nn.transformer.TransformerNet(
            data.n_items,
            length,
            self.dim,
            self.n_blocks,
            self.n_heads,
            self.dropout,
            n_special=self.special,
            causal=self.causal,
            ffn_multiplier=self.ffn_multiplier,
            feed_forward=self.feed_forward,
            features=features,
            **options,
        )


def gru_weights(dim: int, hidden: int, layers: int) -> float:
    """Numbers of layers of gated recurrent units that read `dim` numbers."""
    return 3.0 * hidden * ((dim + hidden + 2) + (layers - 1) * (2 * hidden + 2))


Draw = Callable[[Any, Any], Any]
"""draw(examples, step) -> Negatives | OwnNegatives | None."""


def blocks(lengths: NDArray[np.int64], longest: int) -> list[NDArray[np.int64]]:
    """Numbers of the rows that hold events, in blocks of like length and of about SLOTS events."""
    order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
    events = np.cumsum(np.minimum(lengths[order], longest) + 1)
    cuts = np.flatnonzero(np.diff(events // SLOTS)) + 1
    return [rows for rows in np.split(order, cuts) if len(rows)]
