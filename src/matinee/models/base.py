"""Model and its families: everything a model file does not have to say.

A model scores a *history*, so one method answers a known user, someone new, and "more like this". The base class keeps
what every model needs to answer and to print: the log it was fitted on, and popularity for empty histories.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic.config import JsonDict

from matinee.data.arrays import Bools, Floats, Ints, Ragged
from matinee.data.dataset import Dataset, Holdout, Pairs, Queries
from matinee.data.ids import IdMap
from matinee.data.validate import check_pairs, check_queries
from matinee.errors import MatineeError, MatineeWarning
from matinee.files import StrPath
from matinee.nn import CURVE

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def tunable(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    choices: Sequence[Any] | None = None,
    ge: float | None = None,
    gt: float | None = None,
    lt: float | None = None,
    le: float | None = None,
) -> Any:
    """A hyper-parameter, written once: its default, meaning, tuning range (low..high or choices) and hard bounds."""
    span: JsonDict = {"choices": list(choices)} if choices else {}
    if low is not None:
        span = {"low": low, "high": high, "log": log}
    return Field(
        default, description=doc, ge=ge, gt=gt, lt=lt, le=le, json_schema_extra={"tune": span} if span else None
    )


Shapes = dict[str, tuple[int, ...]]


class TextFile(str):
    """A learned text that is long: on disk it has a file of its own beside the manifest. A model has at most one."""

    __slots__ = ()


class Learned(Protocol):
    """What a model learned: a dataclass of numpy arrays, csr matrices, plain values and a TextFile, as store.py writes
    them."""

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        """What the shape of each array must be: loading checks it."""
        ...


@dataclass(frozen=True)
class Fitted:
    """What fit leaves behind: the training log, item counts (n_items,), and what the model learned."""

    data: Dataset
    popularity: Floats
    learned: Any  # a Learned; each model knows its own type


class Model(BaseModel, ABC):
    """A Scorer with hyper-parameters (its fields) and learned state (one private value).

    `fit` ignores any earlier fit and returns self. Two models are equal when class and hyper-parameters are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    learned_type: ClassVar[type[Learned]]
    """The class of what `learn` returns."""
    scores_unknown_items: ClassVar[bool] = False
    """True where items without a training event can be scored (from features)."""
    scores_candidates: ClassVar[bool] = False
    """True where `score_histories` looks at the queries' candidates, and gives (B, C) where they name some."""
    predicts: ClassVar[bool] = False
    """True where `predict` has a meaning."""
    reads_order: ClassVar[bool] = False
    """True where the model learns from, or is asked with, the order of a history."""
    measures_loss: ClassVar[bool] = False
    """True where train_loss of `curve` is known for every round that had an example."""
    rounds_field: ClassVar[str] = "epochs"
    """The hyper-parameter that says how many rounds a fit goes, where it goes in rounds: a row of `curve` is one."""
    exemptions: ClassVar[Mapping[str, str]] = {}
    """Promise in tests/contract/shared.py that this class does not keep -> why. Subclasses inherit and add."""

    _fitted: Fitted | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:  # where hyper-parameters keep their own names and types

        def __init__(self, /, **hyper_parameters: Any) -> None:
            """Those that do not fit are an error like any other."""
            try:
                super().__init__(**hyper_parameters)
            except ValidationError as error:
                from matinee.models import registry

                raise registry.validation_message(type(self), error) from None

    # -- what a model writes ---------------------------------------------------------------------------------------

    @abstractmethod
    def learn(self, data: Dataset, valid: Holdout | None, seed: int) -> Learned:
        """Learn from a log of at least one event; returns an instance of `learned_type`."""

    @abstractmethod
    def score_histories(self, queries: Queries) -> Floats:
        """float32 (B, n_items), a fresh array; rows with empty histories, and of candidates -1, may hold anything."""

    def check(self, data: Dataset) -> None:
        """Raise MatineeError where the log, or the machine, lacks what the model needs: cheap, and before any work."""
        if not isinstance(data, Dataset):
            raise MatineeError(f"a model learns from a Dataset, not a {type(data).__name__}", hint="pass split.train")
        if len(data) == 0:
            raise MatineeError(f"{data.name} has no events to learn from", hint="check filters and the split's ratios")

    # -- what everyone calls -----------------------------------------------------------------------------------------

    def fit(
        self, data: Dataset, *, valid: Holdout | None = None, seed: int = 0, checkpoint: StrPath | None = None
    ) -> Self:
        """Learn from a log.

        valid: a holdout for early stopping or weights, where the model uses one. checkpoint: a file in which models
        that train in epochs keep their state, and from which a killed fit goes on; others need none.
        """
        if seed < 0:
            raise MatineeError(f"seed = {seed} is negative", hint="pass 0 or more")
        self.check(data)
        if self.reads_order:
            warn_of_unread_times(self, data)
        learned = self.learn(data, valid, seed)
        self._fitted = Fitted(data, data.item_counts().astype(np.float32), learned)
        return self

    def score(self, queries: Queries) -> Floats:
        """float32 (B, n_items), or (B, C) where queries name candidates; -inf = cannot score.

        An empty history is answered by popularity. Raises MatineeError when the model is not fitted, or the queries
        hold codes it does not have.
        """
        fitted = self.fitted
        check_queries(queries, len(self.users), len(self.items))
        scores = self.score_histories(queries)
        fallback = self.fallback(queries)
        candidates = queries.candidates
        if self.scores_candidates and candidates is not None:
            count = fitted.popularity[np.maximum(candidates, 0)]
            scores[fallback] = count[fallback]
            nothing = candidates < 0 if self.scores_unknown_items else (candidates < 0) | (count == 0)
            scores[nothing] = -np.inf
            return scores
        if fallback.any():
            scores[fallback] = fitted.popularity
        if not self.scores_unknown_items:
            unknown = fitted.popularity == 0
            if unknown.any():
                scores[:, unknown] = -np.inf
        return of_candidates(scores, candidates)

    def fallback(self, queries: Queries) -> Bools:
        """(B,): true where popularity answers: the history holds no item with a training event, or there was nothing
        to learn from."""
        history = queries.history
        if not self.learned_anything:
            return np.ones(len(queries), np.bool_)
        known = self.fitted.popularity[history.values] > 0
        nothing: Bools = np.bincount(history.rows[known], minlength=len(queries)) == 0
        return nothing

    def predict(self, pairs: Pairs, queries: Queries | None = None) -> Floats:
        """float32 (n,): a rating or a probability for each pair, where the model has such a meaning.

        queries: row pairs.query[r] holds the history that pair r sees (a holdout's own queries); None: what the pair's
        user had in the training log.
        """
        raise MatineeError(
            f"{type(self).__name__} ranks items and predicts no ratings", hint="use a rating model, or `recommend`"
        )

    def resolve_queries(self, pairs: Pairs, queries: Queries | None) -> tuple[Queries, NDArray[np.integer[Any]]]:
        """Checked: the queries that hold the histories of `predict`, and which row each pair sees."""
        n_users, n_items = len(self.users), len(self.items)
        check_pairs(pairs, n_users, n_items, None if queries is None else len(queries))
        if queries is not None:
            check_queries(queries, n_users, n_items)
            return queries, pairs.query
        user, row = np.unique(pairs.user, return_inverse=True)
        queries = self.data.queries_of(np.maximum(user, 0))
        if len(user) and user[0] < 0:  # nobody knows what an unseen user watched
            keep = queries.history.rows > 0
            values = None if queries.history_ratings is None else queries.history_ratings[keep]
            times = None if queries.history_times is None else queries.history_times[keep]
            queries = Queries(user, queries.history.keep(keep), queries.exclude, values, times)
        return queries, row

    @property
    def fitted(self) -> Fitted:
        if self._fitted is None:
            raise MatineeError(
                f"{type(self).__name__} is not fitted", hint="call .fit(data) first, or load a fitted model"
            )
        return self._fitted

    @property
    def curve(self) -> list[dict[str, float | None]]:
        """One entry an epoch (a round) of the last fit: epoch, train_loss, valid_metric (None: not measured).

        Of valid_metric more is better: an error has a minus. Empty for models that do not learn in rounds.
        """
        names = CURVE[:-1]
        rows = getattr(self.fitted.learned, "curve", np.empty((0, len(names))))
        return [{name: None if np.isnan(x) else float(x) for name, x in zip(names, row, strict=True)} for row in rows]

    @property
    def learned_anything(self) -> bool:
        """False where training went in rounds and found no example: it has no loss."""
        if not self.measures_loss:
            return True
        curve = self.fitted.learned.curve
        return not len(curve) or not bool(np.isnan(curve[:, CURVE.index("train_loss")]).all())

    @property
    def fit_summary(self) -> str:
        """What a fit found out beyond numbers by the thousand, in a few words; empty for most models."""
        return ""

    @property
    def curve_names(self) -> tuple[str, str]:
        """What train_loss and valid_metric of `curve` measure. Equal names are one measure: they share an axis."""
        return "loss", "ndcg@10"

    def for_refit(self) -> Self:
        """The model to fit once more on train and valid, with nothing left to stop by: takes its rounds along."""
        best = self.best_round
        return self if best is None else self.model_copy(update={self.rounds_field: best})

    @property
    def best_round(self) -> int | None:
        """How many rounds went to the best on valid, that one included; None where none was measured."""
        metrics = [-np.inf if (x := epoch["valid_metric"]) is None else x for epoch in self.curve]
        return int(np.argmax(metrics)) + 1 if np.isfinite(metrics).any() else None

    @property
    def is_fitted(self) -> bool:
        return self._fitted is not None

    @property
    def data(self) -> Dataset:
        """The log the model was fitted on."""
        return self.fitted.data

    @property
    def users(self) -> IdMap:
        return self.fitted.data.users

    @property
    def items(self) -> IdMap:
        return self.fitted.data.items

    def restore(self, fitted: Fitted) -> Self:
        """Take over what an earlier fit left behind (store.load)."""
        self._fitted = fitted
        return self

    def __eq__(self, other: object) -> bool:
        # pydantic's own compares learned arrays and fails on them
        return isinstance(other, Model) and type(self) is type(other) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]


def warn_of_unread_times(model: Model, data: Dataset) -> None:
    """A log without times is in the order of its lines, which is no order where times stand in a column nobody read."""
    if data.timestamp is None and data.context is not None:
        columns = ", ".join(map(repr, data.context.columns[:10]))
        warnings.warn(
            f"{data.name} has no timestamps, so {type(model).__name__} takes the order of its lines for that of time; "
            f"if one of its further columns tells the time ({columns}), say so: --timestamp, or columns.timestamp",
            MatineeWarning,
            stacklevel=3,
        )


def of_candidates(scores: Floats, candidates: Ints | None) -> Floats:
    """Of scores (B, n_items) those of each row's candidates, float32 (B, C), -inf where it has fewer (-1).

    None: all of them.
    """
    if candidates is None:
        return scores
    chosen = np.take_along_axis(scores, np.maximum(candidates, 0), axis=1)
    chosen[candidates < 0] = -np.inf
    return chosen


# --- the family of item-item models -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ItemWeights:
    """W (n_items, n_items), row = history item, column = scored item; float32, dense or csr."""

    W: NDArray[np.float32] | csr_array

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"W": (n_items, n_items)}


class ItemItem(Model):
    """scores = X_q @ W: each item of the history votes for every item. A member only says what W is."""

    learned_type: ClassVar[type[Learned]] = ItemWeights

    half_life: float | None = tunable(
        None, "halve a history item's vote for every so many items watched after it (None: all votes equal)", gt=0.0
    )

    @abstractmethod
    def weights(self, X: csr_array) -> NDArray[np.float32] | csr_array:
        """W from the interaction matrix X, csr float32 (n_users, n_items), 1 per distinct pair, indices sorted."""

    def learn(self, data: Dataset, valid: Holdout | None, seed: int) -> ItemWeights:
        return ItemWeights(self.weights(data.matrix()))

    def score_histories(self, queries: Queries) -> Floats:
        W = self.fitted.learned.W
        history = queries.history
        return weighted_rows(W, history.offsets, history.values, self.votes(queries))

    @property
    def reads_order(self) -> bool:  # type: ignore[override] # a choice of this model's user, not of its class
        return self.half_life is not None

    def votes(self, queries: Queries) -> Floats:
        """float32, in parallel with history.values: 1, decayed by age where half_life is set; a repeat votes once."""
        from matinee import kernels

        history = queries.history
        last: Bools = kernels.histories.last_occurrence(history.offsets, history.values, len(self.items))
        if self.half_life is None:
            return last.astype(np.float32)
        return np.where(last, 0.5 ** (ages(history) / self.half_life), 0.0).astype(np.float32)


def ages(history: Ragged) -> NDArray[np.int64]:
    """In parallel with history.values: how many events of the row come after each."""
    return np.repeat(history.offsets[1:] - 1, history.lengths) - np.arange(len(history.values))


def weighted_rows(
    W: NDArray[np.float32] | csr_array, offsets: NDArray[np.int64], rows: Ints, weights: Floats
) -> NDArray[np.float32]:
    """float32 (B, columns of W): row b = sum of weights[p] * W[rows[p]] over offsets[b] <= p < offsets[b + 1]."""
    from matinee import kernels

    out = np.empty((len(offsets) - 1, W.shape[1]), np.float32)

    def run(start: int, stop: int) -> None:
        if isinstance(W, np.ndarray):
            kernels.histories.history_times_dense(start, stop, offsets, rows, weights, W, out)
        else:
            kernels.histories.history_times_sparse(
                start, stop, offsets, rows, weights, W.indptr, W.indices, W.data, out
            )

    kernels.parallel(run, len(out), chunk=64)
    return out
