"""Model: everything a model file does not have to say.

A model scores a *history*, so one method answers a known user, someone new, and "more like this". The base class keeps
what every model needs to answer and to print: the log it was fitted on, and popularity for empty histories.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Dataset, Holdout, Pairs, Queries
from matinee.data.frames import sizes_of
from matinee.data.ids import IdMap
from matinee.data.validate import check_pairs, check_queries
from matinee.errors import MatineeError, counted
from matinee.evaluate.stopping import StoppingMetric
from matinee.files import StrPath
from matinee.models.fields import validation_message
from matinee.models.fit_warnings import warn_of_dislikes, warn_of_ignored_weights, warn_of_unread_times
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, SORTING, LogSize, Needs, refuse_too_large
from matinee.models.newcomers import Newcomers
from matinee.nn.rounds import CURVE, OnRound
from matinee.notebook import html_notes, html_panel
from matinee.progress import RoundsBar
from matinee.rank import of_candidates

Shapes = dict[str, tuple[int, ...]]


class TextFile(str):
    """A learned text that is long: on disk it has a file of its own beside the manifest. A model has at most one."""

    __slots__ = ()


class Learned(Protocol):
    """What a model learned: a dataclass of numpy arrays, csr matrices, plain values and a TextFile, as store/ writes
    them. Fields with the metadata {"saved": False} are made anew when the model is loaded."""

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        """What the shape of each array must be: loading checks it."""
        ...


@dataclass(frozen=True)
class Fitted:
    """What fit leaves behind: the training log, item counts float32 (n_items,) (summed weights, where the model uses
    weights), what the model learned, and the metric that early stopping measured ("": the model's own)."""

    data: Dataset
    popularity: Floats
    learned: Any  # a Learned; each model knows its own type
    metric: str = ""


class Model(Newcomers, ABC):
    """A Scorer with hyper-parameters (its fields) and learned state (one private value).

    `fit` ignores any earlier fit and returns self. Two models are equal when class and hyper-parameters are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    learned_type: ClassVar[type[Learned]]
    """The class of what `learn` returns."""
    rounds_field: ClassVar[str] = "epochs"
    """The hyper-parameter that says how many rounds a fit goes, where it goes in rounds: a row of `curve` is one."""
    about: ClassVar[str] = ""
    """The class's docstring without the list of its hyper-parameters."""
    exemptions: ClassVar[Mapping[str, str]] = {}
    """Promise in tests/contract/shared.py that this class does not keep -> why. Subclasses inherit and add."""

    _fitted: Fitted | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:  # where hyper-parameters keep their own names and types

        def __init__(self, /, *positional: Any, **hyper_parameters: Any) -> None:
            """Hyper-parameters that do not fit raise a MatineeError."""
            if positional:
                first = next(iter(type(self).model_fields), None)
                say = f"write {type(self).__name__}({first}={positional[0]!r})" if first else "pass none"
                raise MatineeError(f"{type(self).__name__} takes its hyper-parameters by name", hint=say)
            try:
                super().__init__(**hyper_parameters)
            except ValidationError as error:
                raise validation_message(type(self), error) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """`help` shows each hyper-parameter's meaning."""
        cls.about = (cls.__dict__.get("__doc__") or "").strip()
        lines = (
            f"    {name}: {field.description} (default {field.default!r})" for name, field in cls.model_fields.items()
        )
        example = f"    Example: `mt.models.{cls.__name__}({_needed(cls)}).fit(split.train)`"
        cls.__doc__ = "\n".join([cls.about, "", example, "", "    Hyper-parameters:", "", *lines, ""])

    # -- what a model writes ---------------------------------------------------------------------------------------

    @abstractmethod
    def learn(self, data: Dataset, context: FitContext) -> Learned:
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

    # -- what a model can do -----------------------------------------------------------------------------------------

    def predicts(self) -> bool:
        """True where `predict` has a meaning."""
        return False

    def scores_unknown_items(self) -> bool:
        """True where items without a training event can be scored (from features)."""
        return False

    def scores_candidates(self) -> bool:
        """True where `score_histories` looks at the queries' candidates, and gives (B, C) where they name some."""
        return False

    def reads_order(self) -> bool:
        """True where the model learns from, or is asked with, the order of a history."""
        return False

    def reads_titles(self) -> bool:
        """True where the titles of lists (`Queries.title`) count."""
        return False

    def uses_weights(self) -> bool:
        """True where the weights of events (`Dataset.weight`) count; the docstring says how."""
        return False

    def measures_alike(self) -> bool:
        """True where what rounds measure on valid compares between settings: tuning then ends poor fits."""
        return True

    def stopping_metric(self, valid: Holdout) -> StoppingMetric:
        """What early stopping measures on valid where `fit` is not told."""
        return StoppingMetric("ndcg", 10)

    # -- how much it needs ------------------------------------------------------------------------------------------

    def needs(self, n_users: int, n_items: int, n_events: int) -> Needs:
        """About how much memory a fit on a log of this size takes at its peak, beyond the log itself, and how large the
        saved folder is. Side tables and the memory of the libraries are not counted."""
        size = LogSize(n_users, n_items, n_events)
        counts = FLOAT * n_items
        memory = max(SORTING * n_events, self.fit_bytes(size)) + counts
        return Needs(round(memory), round(self.learned_bytes(size) + counts + size.log_bytes))

    def fit_bytes(self, size: LogSize) -> float:
        """What `learn` holds at its peak, beyond the log, its order and its matrix while they are made."""
        return SORTING * size.events + 2 * self.learned_bytes(size)

    def learned_bytes(self, size: LogSize) -> float:
        """What `learn` returns, on disk."""
        return FLOAT * size.items

    # -- what everyone calls -----------------------------------------------------------------------------------------

    def fit(
        self,
        data: Dataset,
        *,
        valid: Holdout | None = None,
        seed: int = 0,
        checkpoint: StrPath | None = None,
        metric: str | None = None,
        device: str = "auto",
        on_round: OnRound | None = None,
    ) -> Self:
        """Learn from a log.

        valid: a holdout for early stopping or weights, where the model uses one. metric: what early stopping measures
        on it ("recall@20", "rmse", "logloss"); None: ndcg@10 for rankings, rmse for ratings, logloss for labels.
        checkpoint: a file (for models made of models, a folder) in which nets keep their state, and from which a killed
        fit goes on. device: where nets train: auto (the GPU where there is one), cpu, cuda, mps. on_round(round,
        train_loss, measured): called after each round; a true answer ends the fit.
        """
        if seed < 0:
            raise MatineeError(f"seed = {seed} is negative", hint="pass 0 or more")
        asked = None if metric is None else StoppingMetric.parse(metric, valid)
        with RoundsBar() as bar:
            path = None if checkpoint is None else Path(checkpoint)
            return self.fit_in(data, FitContext(valid, seed, asked, path, device, on_round, bar))

    def fit_in(self, data: Dataset, context: FitContext) -> Self:
        """Learn in a context: what `fit` does, and what a composite does with its members."""
        self.check(data)
        refuse_too_large(self, data)
        name = type(self).__name__
        if self.reads_order():
            warn_of_unread_times(data, name)
        if data.weight is not None and not self.uses_weights() and not self.member_fields:  # members say it themselves
            warn_of_ignored_weights(data, name)
        learned = self.learn(data, context)
        self._fitted = replace(self.standing(data, learned).fitted, metric=str(context.metric or ""))
        if not self.predicts():
            warn_of_dislikes(data, name)
        return self

    def standing(self, data: Dataset, learned: Learned) -> Self:
        """A copy that answers with `learned`: the model as it stands in the middle of a fit."""
        copy = self.model_copy()
        counts = data.item_strengths() if self.uses_weights() else data.item_counts()
        copy._fitted = Fitted(data, counts.astype(np.float32), learned)
        return copy

    def score(self, queries: Queries) -> Floats:
        """float32 (B, n_items), or (B, C) where queries name candidates; -inf = cannot score.

        An empty history is answered by popularity, which says nothing of an item without a training event. Raises
        MatineeError when the model is not fitted, or the queries hold codes it does not have.
        """
        fitted = self.fitted
        check_queries(queries, len(self.users), len(self.items))
        scores = self.score_histories(queries)
        fallback = self.fallback(queries)
        candidates = queries.candidates
        if self.scores_candidates() and candidates is not None:
            count = fitted.popularity[np.maximum(candidates, 0)]
            scores[fallback] = count[fallback]
            unknown = (count == 0) & (fallback[:, None] | (not self.scores_unknown_items()))
            scores[unknown | (candidates < 0)] = -np.inf
            return scores
        if fallback.any():
            scores[fallback] = np.where(fitted.popularity > 0, fitted.popularity, -np.inf)
        if not self.scores_unknown_items() and (unknown := fitted.popularity == 0).any():
            scores[:, unknown] = -np.inf
        return of_candidates(scores, candidates)

    def fallback(self, queries: Queries) -> Bools:
        """bool (B,): true where popularity answers: the history holds no item with a training event, or there was
        nothing to learn from."""
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
        """Checked: the queries that hold the histories of `predict`, and which row each pair sees, integer (n,)."""
        n_users, n_items = len(self.users), len(self.items)
        check_pairs(pairs, n_users, n_items, None if queries is None else len(queries))
        if queries is not None:
            check_queries(queries, n_users, n_items)
            return queries, pairs.query
        user, row = np.unique(pairs.user, return_inverse=True)
        queries = self.data.queries_of(np.maximum(user, 0))
        if len(user) and user[0] < 0:  # nobody knows what an unseen user watched
            queries = replace(queries.keep_events(queries.history.rows > 0), user=user)
        return queries, row

    @property
    def fitted(self) -> Fitted:
        found: Fitted | None = (self.__pydantic_private__ or {}).get("_fitted")  # past pydantic's search: often asked
        if found is None:
            hint = "call .fit(data) first, or load a fitted model"
            raise MatineeError(f"{type(self).__name__} is not fitted", hint=hint)
        return found

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

    # -- what a fit in rounds tells ----------------------------------------------------------------------------------

    @property
    def curve(self) -> list[dict[str, float | None]]:
        """One entry an epoch (a round) of the last fit: epoch, train_loss, valid_metric (None: not measured).

        Of valid_metric more is better: an error has a minus. Empty for models that do not learn in rounds.
        """
        names = CURVE[:-1]
        rows = getattr(self.fitted.learned, "curve", np.empty((0, len(names))))
        return [{name: None if np.isnan(x) else float(x) for name, x in zip(names, row, strict=True)} for row in rows]

    @property
    def curve_names(self) -> tuple[str, str]:
        """What train_loss and valid_metric of `curve` measure. Equal names are one measure: they share an axis."""
        return "loss", self.fitted.metric or "ndcg@10"

    @property
    def learned_anything(self) -> bool:
        """False where training went in rounds and found no example."""
        return True

    @property
    def fit_summary(self) -> str:
        """What a fit found out beyond its arrays, in a few words; empty for most models."""
        return ""

    @property
    def best_round(self) -> int | None:
        """How many rounds went to the best on valid, that one included; None where none was measured."""
        metrics = [-np.inf if (x := epoch["valid_metric"]) is None else x for epoch in self.curve]
        return int(np.argmax(metrics)) + 1 if np.isfinite(metrics).any() else None

    def keeps_schedule(self) -> bool:
        """True where the learning rate falls over all rounds: a refit then stops early and keeps the schedule."""
        return False

    def for_refit(self) -> Self:
        """The model to fit once more on train and valid, with nothing left to stop by: takes its rounds along."""
        best = self.best_round
        name = "stop_epoch" if self.keeps_schedule() else self.rounds_field
        return self if best is None else self.model_copy(update={name: best})

    def restore(self, fitted: Fitted) -> Self:
        """Take over what an earlier fit left behind (store.load)."""
        self._fitted = fitted
        return self

    # -- as Python shows it --------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        given = ", ".join(f"{name}={x!r}" for name, x in values if x != type(self).model_fields[name].default)
        return f"{type(self).__name__}({given}) [{f'fitted on {self.data.name}' if self.is_fitted else 'not fitted'}]"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        words = ["not fitted"]
        if self.is_fitted:
            words = [f"fitted on {self.data.name}: {sizes_of(self.data)}"]
            best, rounds = self.best_round, len(self.curve)
            words += [f"best of {counted(rounds, 'round')} on valid: {best}"] if best is not None else []
            words += [self.fit_summary]
        return html_panel(type(self).__name__, html_notes(*words), self._parameter_table())

    def _forget(self) -> None:
        self._fitted = None

    def __dir__(self) -> Iterable[str]:
        """Hyper-parameters and our verbs, without pydantic's."""
        ours = {name for cls in type(self).__mro__ if cls.__module__ != BaseModel.__module__ for name in vars(cls)}
        return sorted({*type(self).model_fields, *(name for name in ours if not name.startswith("_"))})

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:
            raise MatineeError(
                f"the hyper-parameters of {type(self).__name__} do not change",
                hint=f"make a new model: {type(self).__name__}({name}={value!r})",
            )
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        # pydantic's own compares learned arrays and fails on them
        return isinstance(other, Model) and type(self) is type(other) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]


def _needed(cls: type[BaseModel]) -> str:
    """The hyper-parameters that a model cannot be made without, all of which name models, as an example gives them."""
    fields = ((name, str(field.annotation)) for name, field in cls.model_fields.items() if field.is_required())
    return ", ".join(f'{name}=["ease", "item_knn"]' if "tuple" in kind else f'{name}="ease"' for name, kind in fields)
