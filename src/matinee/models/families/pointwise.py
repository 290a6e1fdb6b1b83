"""The family of pointwise models: a net from the fields of who asks, when, and about what, to one logit.

A member says how fields meet (nn/interactions.py). Fields, ranking and probabilities are here; the loss and its
negatives are in pair_loss.py, folding users in is in pair_users.py. Names of fields: data/features/context.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from matinee import nn
from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Dataset, Holdout, Pairs, Queries
from matinee.data.features.context import ContextFields, parsed, tables_of
from matinee.data.features.requests import ContextTables, RequestFeatures
from matinee.errors import MatineeError
from matinee.evaluate.stopping import StoppingMetric
from matinee.models.base import Fitted, Shapes
from matinee.models.families.network import NetWeights, Network, import_torch
from matinee.models.families.pair_loss import PairLoss
from matinee.models.families.pair_sides import chunks, item_sides, same_sides
from matinee.models.families.pair_users import UserFolding
from matinee.models.families.user_vectors import hashes_of
from matinee.models.fields import disliked_share, tunable
from matinee.models.fitting import labelled
from matinee.models.needs import FLOAT, LogSize

if TYPE_CHECKING:
    from torch import Tensor

    from matinee.nn.fields import PairNet

Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
"""Units of one or more layers."""


def layer_weights(n_in: int, layers: Sequence[int]) -> float:
    """Numbers of linear layers of these units that read n_in numbers, and of one unit that reads the last."""
    return float(sum((a + 1) * b for a, b in pairwise([n_in, *layers, 1])))


VECTORS = "vectors.table.weight"
"""The weights of a net that have a row for each code of its fields."""


@dataclass(frozen=True)
class PointwiseWeights(NetWeights):
    """vocabulary: ContextFields as JSON. labelled: labels were learned, not what was watched. history_hashes:
    uint64 (n_users,), of the history each user was learned on, labels included."""

    vocabulary: str
    labelled: bool
    history_hashes: NDArray[np.uint64]

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {**super().shapes(n_users, n_items), "history_hashes": (n_users,)}


class Pointwise(Network):
    """logit = net(fields of the request, fields of the item), learned by binary cross-entropy.

    A log of labels 0 and 1 (`label_min` in a recipe) is learned as it is, and what the labels were made of with it, see
    models/grades.py; another log against items that its users did not watch. A user whose history has changed, or was
    never seen, gets an id vector by a few gradient steps on it alone, down the same loss on the latest events of the
    history, from the mean vector of all users. In a log with weights the loss of an event, its negatives included, is
    multiplied by its weight over the mean of all; folding in, over the history's. Users without a history are answered
    from what is known of them, and items without an event score where they have fields.
    """

    learned_type: ClassVar[type[NetWeights]] = PointwiseWeights
    exemptions = {"history_alone": "learns a vector of each user; a newcomer's is fitted to the history alone"}
    fields: tuple[str, ...] | None = tunable(
        None, "context fields: user, item, user.gender, time.hour ...; None: all with a plain kind"
    )
    dim: int = tunable(16, "length of a code's vector", choices=[8, 16, 32, 64], ge=1)
    pooling: Literal["mean", "sum", "attention"] = tunable("mean", "pooling of the vectors of a list")
    min_count: int = tunable(1, "minimum frequency for a value to enter the vocabulary", ge=1)
    buckets: int = tunable(32, "maximum number of buckets of a number", ge=1)
    target: Literal["auto", "watched", "label"] = tunable(
        "auto", "train on what was watched, or on labels 0 and 1; auto: labels where the log has them"
    )
    ordinal_weight: float = tunable(
        0.3, "labels made from ratings: weight of the other rating levels in the loss", low=0.0, high=1.0, ge=0.0
    )
    n_negatives: int = tunable(
        4, "target watched: negatives for each event, sampled anew each epoch", low=1, high=16, ge=1
    )
    sampling: Literal["uniform", "popularity", "hard"] = tunable("uniform", "how negatives are sampled")
    alpha: float = tunable(0.75, "sampling popularity: in proportion to events^alpha", ge=0.0)
    hard_of: int = tunable(5, "sampling hard: each negative is the highest-scored of this many uniform ones", ge=1)
    dislikes: float = disliked_share()
    init_std: float = tunable(0.01, "standard deviation of the initial vectors", low=1e-3, high=0.1, log=True, gt=0.0)
    fold_steps: int = tunable(20, "gradient steps to fold in a user", ge=1)
    fold_rate: float = tunable(0.05, "step size of folding in", gt=0.0)
    batch_size: int = tunable(2048, "events in a step", ge=1)

    # -- what a member writes --------------------------------------------------------------------------------------

    @abstractmethod
    def network(self, vocabulary: ContextFields) -> PairNet:
        """A fresh net; weights drawn from torch's generator."""

    def numbers_read(self, vocabulary: ContextFields) -> tuple[int, int]:
        """Numbers in the vectors of a request, and of an item, side by side."""
        return len(vocabulary.of("user", "moment")) * self.dim, len(vocabulary.of("item", "pair")) * self.dim

    # -- how much it needs -----------------------------------------------------------------------------------------

    @abstractmethod
    def width(self) -> int:
        """Numbers of a code's vector."""

    def layer_weights(self) -> float:
        """Numbers of the net beside the codes' vectors, about."""
        return 1.0

    def n_weights(self, size: LogSize) -> float:
        """Of the ids; of times, where they are read; what side tables add is not known."""
        times = 4 * (self.buckets + 2) if self.fields is None else 0
        return self.width() * (size.users + size.items + 4 + times) + self.layer_weights()

    def learned_bytes(self, size: LogSize) -> float:
        return super().learned_bytes(size) + 8 * size.users

    def fit_bytes(self, size: LogSize) -> float:
        """The log in order, each event's codes, of times too where they are read, and who watched what."""
        return (60 if self.fields else 90) * size.events + super().fit_bytes(size)

    def step_bytes(self, size: LogSize) -> float:
        return FLOAT * min(self.batch_size, size.events) * (1 + self.n_negatives) * self.numbers_per_pair()

    def numbers_per_pair(self) -> float:
        """Numbers that a step of training keeps of a pair."""
        return 2.0 * self.width() + 4.0 * sum(getattr(self, "layers", ()))

    # -- learning --------------------------------------------------------------------------------------------------

    def build(self, data: Dataset) -> Any:
        vocabulary = ContextFields.fit(data, self.fields, min_count=self.min_count, buckets=self.buckets)
        return self.net_of(vocabulary, data)

    def net_of(self, vocabulary: ContextFields, data: Dataset) -> Any:
        net: Any = self.network(vocabulary)
        net.tables = ContextTables(vocabulary, data)  # kept with the net: one cannot be had without the other
        return net

    def rebuilt(self, fitted: Fitted) -> Any:
        return self.net_of(ContextFields.model_validate_json(fitted.learned.vocabulary), fitted.data)

    def learned_from(
        self, net: Any, data: Dataset, weights: dict[str, NDArray[Any]], curve: NDArray[np.float64]
    ) -> PointwiseWeights:
        vocabulary, labels = net.tables.fields.model_dump_json(), self.learns_labels(data)
        hashes = hashes_of(data, rated=labels, weighed=True)
        return PointwiseWeights(weights, curve, vocabulary, labels, hashes, net=net)

    def learned_with(self, data: Dataset) -> PointwiseWeights:
        """New items have the vectors of their fields' values; their ids are unknown ones."""
        learned: PointwiseWeights = self.fitted.learned
        fields, codes = self.net.tables.fields.with_items(data.n_items)
        old = learned.weights[VECTORS]
        vectors = np.zeros((fields.n_codes, *old.shape[1:]), old.dtype)
        vectors[codes] = old
        weights = {**learned.weights, VECTORS: vectors}
        return replace(learned, weights=weights, vocabulary=fields.model_dump_json(), net=None)

    def finish(self, net: Any) -> None:
        fields = net.tables.fields
        named = [codes for field, codes in zip(fields.fields, fields.ranges, strict=True) if not field.dense]
        net.vectors.begin_untrained(net.tables.occurring, named)

    def check(self, data: Dataset) -> None:
        super().check(data)
        if self.target == "label" and not data.labelled:
            raise MatineeError(f"{data.name} has no labels 0 and 1", hint="make them of ratings: label_min in a recipe")
        parsed(self.fields, tables_of(data))

    def learns_labels(self, data: Dataset) -> bool:
        return data.labelled and self.target != "watched"

    def passes(self, net: Any, data: Dataset) -> tuple[list[nn.train.Pass], int]:
        loss = PairLoss(net, data.rows(data.order), self, labels=self.learns_labels(data))
        return [nn.train.Pass("all", loss, list(net.parameters()), terms=loss.terms)], len(data)

    def stopping_metric(self, valid: Holdout) -> StoppingMetric:
        return StoppingMetric("logloss") if self.labelled and labelled(valid) else super().stopping_metric(valid)

    @property
    def curve_names(self) -> tuple[str, str]:
        if not self.labelled:
            return super().curve_names
        weighed = self.ordinal_weight and self.data.raw_rating is not None  # then the loss is that of all levels
        return ("loss" if weighed else "logloss"), self.fitted.metric or "logloss"

    @property
    def labelled(self) -> bool:
        """Whether labels were learned. A log without its histories, as it may be kept, no longer tells."""
        learned: PointwiseWeights = self.fitted.learned
        return learned.labelled

    # -- answering -------------------------------------------------------------------------------------------------

    def predicts(self) -> bool:
        return True

    def uses_weights(self) -> bool:
        return True

    def scores_candidates(self) -> bool:
        return True

    def scores_unknown_items(self) -> bool:
        return any(field.name != "item" for field in self.net.tables.fields.of("item"))

    def fallback(self, queries: Queries) -> Bools:
        nothing = super().fallback(queries)
        if nothing.any():
            nothing &= ~self.net.tables.described(self.net.tables.queries(queries))
        return nothing

    def score_histories(self, queries: Queries) -> Floats:
        torch = import_torch()
        net, tables = self.net, self.net.tables
        asked, codes = tables.queries(queries), queries.candidates
        own = self.user_vectors(queries)
        columns = len(self.items) if codes is None else codes.shape[1]
        scores = np.empty((len(queries), columns), np.float32)
        with torch.inference_mode():
            # without pair fields, what the net makes of the items is the same for all queries: once, not in each chunk
            everything = None
            if codes is None and not tables.fields.of("pair"):
                everything = same_sides(net, asked, np.arange(columns))
            for rows in chunks(len(queries), columns * self.floats_per_pair):
                some, item = asked.take(rows), everything
                if codes is not None:
                    item = item_sides(net, some, codes[rows])
                elif item is None:
                    item = same_sides(net, some, np.arange(columns))
                scores[rows] = net.meet(self.request(some, own, rows), item).float().cpu().numpy()
        return scores

    def predict(self, pairs: Pairs, queries: Queries | None = None) -> Floats:
        """float32 (n,): the probability of label 1; of a log without labels that the item is no sampled negative."""
        torch = import_torch()
        queries, row = self.resolve_queries(pairs, queries)
        tables, own = self.net.tables, self.user_vectors(queries)
        if pairs.timestamp is None and pairs.context is None:
            asked = tables.queries(queries).take(row)
        else:
            request_user_features = None if queries.user_features is None else queries.user_features[row]
            asked = tables.encode_requests(queries.user[row], pairs.timestamp, pairs.context, request_user_features)
        found = np.empty(len(pairs), np.float32)
        with torch.inference_mode():
            for part in chunks(len(pairs), self.floats_per_pair):
                some = asked.take(part)
                item = item_sides(self.net, some, pairs.item[part][:, None])
                logits = self.net.meet(self.request(some, own, row[part]), item)
                found[part] = torch.sigmoid(logits[:, 0]).float().cpu().numpy()
        return found

    @property
    def floats_per_pair(self) -> int:
        """About how many numbers a pair takes, that of vectors included where each pair has some of its own."""
        fields = self.net.tables.fields
        own = len(fields.of("item", "pair")) * self.net.vectors.table.embedding_dim if fields.of("pair") else 0
        total: int = self.net.numbers + own
        return total

    def request(self, asked: RequestFeatures, own: Tensor | None, rows: NDArray[Any]) -> Tensor:
        """float32 (B, r): what requests say, with own[rows] in the place of the users' ids."""
        vectors: Tensor = self.net.vectors(asked.part)
        if own is not None:
            vectors[:, self.net.tables.user_column] = own[rows]
        said: Tensor = self.net.of_request(vectors)
        return said

    def user_vectors(self, queries: Queries) -> Tensor | None:
        """float32 (B, width): the id vectors of those who ask, see UserFolding; None where ids are no field."""
        hashes, popularity = self.fitted.learned.history_hashes, self.fitted.popularity
        given = self.n_negatives, self.fold_steps, self.fold_rate, self.floats_per_pair
        return UserFolding(self.net, hashes, self.labelled, popularity, *given).vectors(queries)
