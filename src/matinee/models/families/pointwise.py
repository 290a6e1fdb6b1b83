"""The family of pointwise models: a net from the fields of who asks, when, and about what, to one logit.

A member says how fields meet (nn/interactions.py). Fields, negatives, training, folding users in, ranking and
probabilities are here. Names of fields: data/context.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Dataset, Holdout, Pairs, Queries
from matinee.data.features.context import ContextFields, parsed, tables_of
from matinee.data.features.requests import ContextTables, EncodedFields, RequestFeatures
from matinee.errors import MatineeError
from matinee.evaluate import predictions
from matinee.models.base import Fitted, Shapes, tunable
from matinee.models.families.factors import hash_rows
from matinee.models.families.network import NetWeights, Network, import_torch
from matinee.models.families.ordinal import OrdinalTargets
from matinee.nn.sampling import Positives, Sampler, hardest, negatives

if TYPE_CHECKING:
    from torch import Tensor

    from matinee.nn.fields import PairNet
    from matinee.nn.train import Pass, Step

Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
"""Units of one or more layers."""

NUMBERS = 1 << 21
"""Numbers that a net may hold at once where it answers: 8 MB stay in a cache."""
FOLD_EVENTS, FOLD_NEGATIVES = 200, 256
"""Latest events that fold a user in, and items they are told from."""


@dataclass(frozen=True)
class PointwiseWeights(NetWeights):
    """vocabulary: ContextFields as JSON. labelled: labels were learned, not what was watched. seen: uint64 (n_users,),
    a hash of the history each user was learned on, labels included."""

    vocabulary: str
    labelled: bool
    history_hashes: NDArray[np.uint64]

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {**super().shapes(n_users, n_items), "history_hashes": (n_users,)}


@dataclass(frozen=True)
class Events:
    """A training log by user and time: who asked and when, about which item (n,), with which label (n,)."""

    asked: RequestFeatures
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    label: Floats | None


class Pointwise(Network):
    """logit = net(fields of the request, fields of the item), learned by binary cross-entropy.

    A log of labels 0 and 1 (`label_min` in a recipe) is learned as it is, and what the labels were made of with it, see
    models/grades.py; another log against items that its users did not watch. A user whose history has changed, or was
    never seen, gets an id vector by a few gradient steps on it alone, down the same loss on the latest events of the
    history, from the mean vector of all users. Users without a history are answered from what is known of them, and
    items without an event score where they have fields.
    """

    learned_type: ClassVar[type[NetWeights]] = PointwiseWeights
    exemptions = {"history_alone": "learns a vector of each user; a newcomer's is fitted to the history alone"}
    scores_candidates = True
    predicts = True

    fields: tuple[str, ...] | None = tunable(None, "by name: user, item, user.gender, time.hour; None: all plain ones")
    dim: int = tunable(16, "length of a code's vector", choices=[8, 16, 32, 64], ge=1)
    pooling: Literal["mean", "sum", "attention"] = tunable("mean", "how the vectors of a list are made one")
    min_count: int = tunable(1, "fewest rows of a table that make a value known", ge=1)
    buckets: int = tunable(32, "most buckets of a number", ge=1)
    target: Literal["auto", "watched", "label"] = tunable(
        "auto", "learn what was watched, or labels 0 and 1; auto: labels where the log has them"
    )
    ordinal_weight: float = tunable(
        0.3, "labels made of ratings: weight of each other level of the ratings", low=0.0, high=1.0, ge=0.0
    )
    n_negatives: int = tunable(4, "watched: unwatched items for each event, anew each epoch", low=1, high=16, ge=1)
    sampling: Literal["uniform", "popularity", "hard"] = tunable("uniform", "how they are drawn")
    alpha: float = tunable(0.75, "popularity: in proportion to events^alpha", ge=0.0)
    hard_of: int = tunable(5, "hard: each is the highest-scored of so many uniform ones", ge=1)
    init_std: float = tunable(0.01, "standard deviation of the first vectors", low=1e-3, high=0.1, log=True, gt=0.0)
    fold_steps: int = tunable(20, "gradient steps that fold a user in", ge=1)
    fold_rate: float = tunable(0.05, "their size", gt=0.0)
    batch_size: int = tunable(2048, "events a step", ge=1)

    # -- what a member writes --------------------------------------------------------------------------------------

    @abstractmethod
    def network(self, vocabulary: ContextFields) -> PairNet:
        """A fresh net; weights drawn from torch's generator."""

    def numbers_read(self, vocabulary: ContextFields) -> tuple[int, int]:
        """Numbers in the vectors of a request, and of an item, side by side."""
        return len(vocabulary.of("user", "moment")) * self.dim, len(vocabulary.of("item", "pair")) * self.dim

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

    def learn(self, data: Dataset, valid: Holdout | None, seed: int) -> PointwiseWeights:
        learned = super().learn(data, valid, seed)
        vocabulary, labelled = self.net.tables.fields.model_dump_json(), self.learns_labels(data)
        return PointwiseWeights(learned.weights, learned.curve, vocabulary, labelled, histories_of(data, labelled))

    def finish(self, net: Any) -> None:
        net.vectors.begin_untrained(net.tables.occurring(), net.tables.fields.ranges)

    def check(self, data: Dataset) -> None:
        super().check(data)
        if self.target == "label" and not data.labelled:
            raise MatineeError(f"{data.name} has no labels 0 and 1", hint="make them of ratings: label_min in a recipe")
        parsed(self.fields, tables_of(data))

    def learns_labels(self, data: Dataset) -> bool:
        return data.labelled and self.target != "watched"

    def passes(self, net: Any, data: Dataset) -> tuple[list[Pass], int]:
        torch = import_torch()
        from matinee.nn.train import Pass

        rows = data.rows(data.order)
        asked = net.tables.encode_requests(rows.user, rows.timestamp, rows.context)
        labels = rows.value if self.learns_labels(data) else None
        events = Events(asked, rows.user, rows.item, labels)
        targets = None
        if labels is not None and rows.raw_rating is not None and self.ordinal_weight:
            targets = OrdinalTargets.of(rows.raw_rating, labels)
        draw = self.drawing(net, data)

        def loss(batch: NDArray[np.int64], step: Step) -> Tensor:
            asked, item = events.asked.take(batch), events.item[batch][:, None]
            request = net.of_request(net.vectors(asked.part))
            if events.label is not None:
                logits = net.meet(request, item_sides(net, asked, item))
                logit, label = logits[:, 0], torch.from_numpy(events.label[batch]).to(logits.device)
                if targets is not None:
                    return targets.loss(logit, batch, label, self.ordinal_weight)
                own: Tensor = torch.nn.functional.binary_cross_entropy_with_logits(logit, label, reduction="sum")
                return own
            others = draw(asked, events.user[batch], request, step)
            logits = net.meet(request, item_sides(net, asked, np.concatenate([item, others], axis=1)))
            there = torch.from_numpy(others >= 0).to(logits.device)  # who watched everything has no negatives
            softplus = torch.nn.functional.softplus
            total: Tensor = softplus(-logits[:, 0]).sum() + (softplus(logits[:, 1:]) * there).sum()
            return total

        terms = 1 if events.label is not None else 1 + self.n_negatives
        every = list(net.parameters())
        return [Pass("all", loss, every, terms=lambda batch: float(terms * len(batch)))], len(rows)

    def drawing(self, net: Any, data: Dataset) -> Callable[..., NDArray[np.int64]]:
        """draw(asked, user, what requests say, step) -> items (B, negatives) that the users did not watch, -1: none."""
        torch = import_torch()
        kind: Literal["uniform", "popularity"] = "popularity" if self.sampling == "popularity" else "uniform"
        sampler, positives = Sampler.of(data, kind, self.alpha), Positives.of(data)

        def draw(asked: RequestFeatures, user: NDArray[np.int32], request: Tensor, step: Step) -> NDArray[np.int64]:
            rng = np.random.default_rng(step.seed)
            if self.sampling != "hard":
                return negatives(user, self.n_negatives, sampler, positives, rng)

            def score(items: NDArray[np.int64]) -> Floats:
                net.eval()  # these candidates are not what batch normalisation is to remember
                with torch.no_grad():
                    scores: Floats = net.meet(request, item_sides(net, asked, items)).float().cpu().numpy()
                net.train()
                return scores

            return hardest(user, self.n_negatives, self.hard_of, score, sampler, positives, rng)

        return draw

    def validation(self, valid: Holdout) -> Callable[[], float]:
        pairs = valid.pairs
        label = None if pairs is None else pairs.label
        if not self.labelled or pairs is None or label is None or not len(pairs):
            return super().validation(valid)
        return lambda: -predictions.logloss(label, self.predict(pairs, valid.queries))

    @property
    def curve_names(self) -> tuple[str, str]:
        if not self.labelled:
            return "loss", "ndcg@10"
        graded = self.ordinal_weight and self.data.raw_rating is not None  # then the loss is that of all levels
        return ("loss" if graded else "logloss"), "logloss"

    @property
    def labelled(self) -> bool:
        """Whether labels were learned. A log without its histories, as it may be kept, no longer tells."""
        learned = self.fitted.learned
        return learned.labelled if isinstance(learned, PointwiseWeights) else self.learns_labels(self.data)

    # -- answering -------------------------------------------------------------------------------------------------

    @property
    def scores_unknown_items(self) -> bool:  # type: ignore[override] # a class's own word, but here fields decide
        return self.net is not None and any(field.name != "item" for field in self.net.tables.fields.of("item"))

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

    # -- folding in ------------------------------------------------------------------------------------------------

    def user_vectors(self, queries: Queries) -> Tensor | None:
        """float32 (B, width): the id vector of each query's user, learned where the history is the one learned on, else
        folded in. None where ids are no field."""
        torch = import_torch()
        tables = self.net.tables
        if tables.user_column is None:
            return None
        learned = self.fitted.learned
        history_hashes = (
            learned.history_hashes if isinstance(learned, PointwiseWeights) else histories_of(self.data, self.labelled)
        )
        asked = hash_rows(queries.history, queries.history_ratings if self.labelled else None)
        own = (queries.user >= 0) & (asked == history_hashes[np.maximum(queries.user, 0)])
        table = self.net.vectors.table.weight.detach()
        codes = tables.users.single[np.where(own, queries.user, -1), tables.user_column]
        vectors: Tensor = table[torch.from_numpy(codes).long()]
        new = np.flatnonzero(~own & (queries.history.lengths > 0))
        pairs = np.minimum(queries.history.lengths[new], FOLD_EVENTS) + (0 if self.labelled else FOLD_NEGATIVES)
        each = self.floats_per_pair + len(tables.fields.fields) * table.shape[1]
        for rows in blocks_of(new, pairs * each):
            vectors[torch.from_numpy(rows)] = self.folded(queries.take(rows), vectors[torch.from_numpy(rows)])
        return vectors

    def folded(self, queries: Queries, start: Tensor) -> Tensor:
        """float32 (B, width) from `start` (B, width), down the training loss on the histories."""
        torch = import_torch()
        from matinee.nn.sequences import latest
        from matinee.nn.train import fold_in

        net, tables = self.net, self.net.tables
        history, at = latest(queries.history, FOLD_EVENTS)
        row = history.rows
        times = None if queries.history_times is None else queries.history_times[at]
        request_user_features = None if queries.user_features is None else queries.user_features[row]
        events = tables.encode_requests(queries.user[row], times, None, request_user_features)
        label = queries.history_ratings[at] if self.labelled and queries.history_ratings is not None else None
        codes, weight = self.shared_negatives(queries, history.lengths)
        asked = tables.queries(queries)
        with torch.no_grad():
            request = net.vectors(events.part), net.vectors(asked.part)
            watched = item_sides(net, events, history.values[:, None])
            other = same_sides(net, asked, codes)
        sign = torch.from_numpy(np.where(label == 0, 1.0, -1.0).astype(np.float32)) if label is not None else -1.0
        place, rows, weight = tables.user_column, torch.from_numpy(row), torch.from_numpy(weight)

        def loss(own: Tensor) -> Tensor:
            theirs = [net.of_request(put(x, place, v)) for x, v in zip(request, (own[rows], own), strict=True)]
            softplus = torch.nn.functional.softplus
            total: Tensor = softplus(sign * net.meet(theirs[0], watched)[:, 0]).sum()
            return total if label is not None else total + (weight * softplus(net.meet(theirs[1], other))).sum()

        return fold_in(start, loss, steps=self.fold_steps, learning_rate=self.fold_rate)

    def shared_negatives(self, queries: Queries, lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
        """Items (M,) that stand for what was not watched, the same for all, and what each weighs (B, M): 0 where it was
        watched, in sum `negatives` for each event."""
        pool = np.flatnonzero(self.fitted.popularity)
        codes = np.random.default_rng(0).permutation(pool)[:FOLD_NEGATIVES]
        place = np.full(len(self.items), -1)
        place[codes] = np.arange(len(codes))
        at = place[queries.history.values]
        weight = np.ones((len(queries), len(codes)), np.float32)
        weight[queries.history.rows[at >= 0], at[at >= 0]] = 0.0
        total = self.n_negatives * lengths.astype(np.float32)
        return codes, weight * (total / np.maximum(weight.sum(axis=1), 1.0))[:, None]


def item_sides(net: Any, asked: RequestFeatures, item: NDArray[np.integer[Any]]) -> Tensor:
    """float32 (B, C, s): what request b's C items say, with what belongs to the pair; -1: an unknown item.

    Where nothing belongs to pairs each distinct item is asked once, and `item` may have one row for all requests.
    """
    torch = import_torch()
    tables = net.tables
    if not tables.fields.of("pair"):
        codes, at = np.unique(item, return_inverse=True)
        each: Tensor = net.of_item(net.vectors(tables.items.take(codes)))
        every: Tensor = torch.nn.functional.embedding(torch.from_numpy(at.reshape(item.shape)).to(each.device), each)
        return every
    pair = EncodedFields(tables.ages(asked, item).reshape(-1, 1), np.empty((item.size, 0), np.float32))
    said: Tensor = net.of_item(net.vectors(tables.items.take(item.ravel()).join(pair)))
    return said.view(*item.shape, -1)


def same_sides(net: Any, asked: RequestFeatures, item: NDArray[np.integer[Any]]) -> Tensor:
    """float32 (1 or B, C, s): what the same C items say to every request."""
    rows = len(asked) if net.tables.fields.of("pair") else 1
    return item_sides(net, asked, np.broadcast_to(item, (rows, len(item))))


def put(vectors: Tensor, place: int, own: Tensor) -> Tensor:
    """(B, fields, width) with the field at `place` replaced by own (B, width), which keeps its gradient."""
    torch = import_torch()
    replaced: Tensor = torch.cat([vectors[:, :place], own[:, None], vectors[:, place + 1 :]], dim=1)
    return replaced


def chunks(n: int, floats: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers 0..n - 1 in runs whose rows hold at most NUMBERS numbers, `numbers` each, but at least one row."""
    step = max(1, NUMBERS // max(1, floats))
    for start in range(0, n, step):
        yield np.arange(start, min(n, start + step))


def blocks_of(rows: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows in runs of about NUMBERS numbers, sizes (len(rows),) each."""
    cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // NUMBERS)) + 1
    return [run for run in np.split(rows, cuts) if len(run)]


def histories_of(data: Dataset, labelled: bool) -> NDArray[np.uint64]:
    """A hash of each user's history in a log, (n_users,); of labels too where they are learned."""
    values = data.value[data.order] if labelled and data.value is not None else None
    return hash_rows(data.histories(), values)
