"""The family of models that put the best items of another model in a new order, the list as a whole in view."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from matinee.data.arrays import Bools, Floats, Ints, Ragged
from matinee.data.dataset import Dataset, Pairs, Queries
from matinee.data.features.attributes import Attribute, attribute_of
from matinee.errors import MatineeWarning
from matinee.models import registry
from matinee.models.base import Model, Shapes
from matinee.models.families.composite import Composite, Members, Submodel
from matinee.models.families.fusion import PrecomputedScorer
from matinee.models.fields import tunable
from matinee.models.needs import FLOAT, LogSize
from matinee.rank import of_candidates, recommend

if TYPE_CHECKING:
    from scipy.sparse import csr_array

VALUES = 2.5  # of an item, in a column of lists: what an estimate of size takes


@dataclass(frozen=True)
class Described(Members):
    """members: the base model, fitted. items: csr float32 (n_items, width), what is known of each item."""

    items: csr_array

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.members) != 1:
            raise TypeError("members are not one model")

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"items": (n_items, self.items.shape[1])}


class Listwise(Composite):
    """Lists of `places` items, chosen among the n best of `base` by more than accuracy.

    `choose` sees for each query the n best of what it may be given, and their relevance: the base's score, 0 for the
    worst of the n and 1 for the best. The chosen stand first, as `arrange` says; the others follow as the base has
    them. The r-th item then takes the r-th best of the n scores (equal ones are told apart by the least that float32
    has), so that scores keep their scale. Where a query names candidates, the n are the best of these. Without a
    history popularity answers, as everywhere.
    """

    member_fields = ("base",)
    exemptions = {"alone": "an item's place depends on the items beside it"}

    base: Submodel = tunable(
        ..., "model whose best items get a new order: a model's name, or a table of a name and hyper-parameters"
    )
    lam: float = tunable(
        0.5, "share of what is sought beside accuracy: 0 is the base's list", low=0.0, high=1.0, ge=0.0, le=1.0
    )
    places: int = tunable(10, "length of the lists: so many items are chosen", low=5, high=50, log=True, ge=1)
    n: int = tunable(100, "number of items among which they are chosen", low=50, high=500, log=True, ge=1)
    arrange: Literal["relevance", "choice"] = tunable(
        "relevance", "order of the chosen: the base's, or that in which they were chosen (as in the papers)",
        choices=["relevance", "choice"],
    )  # fmt: skip

    @abstractmethod
    def choose(self, queries: Queries, item: Ints, relevance: Floats, places: int) -> Ints:
        """int32 (B, places): columns of item, int32 (B, n), best first, -1 = no more, each once, as they are chosen;
        those without an item at the end. relevance: float32 (B, n), 0..1."""

    def known(self, data: Dataset, column: str) -> Attribute:
        """The values of a column of the item table. A log without a table has none, which is said: the order stays.
        Raises MatineeError where there is a table without this column."""
        if data.item_features is not None:
            return attribute_of(data, column)
        name = registry.name_of(self)
        text = f"{data.name} has no table of items, so {name} knows no {column} and leaves the base's order as it is"
        warnings.warn(text, MatineeWarning, stacklevel=2)
        return Attribute(column, (), Ragged.empty(data.n_items))

    # -- answering ---------------------------------------------------------------------------------------------------

    @property
    def base_model(self) -> Model:
        """Fitted."""
        learned: Members = self.fitted.learned
        return learned.members[0]

    def scores_candidates(self) -> bool:
        return True

    def scores_unknown_items(self) -> bool:
        return self.base_model.scores_unknown_items()

    def score_block(self, queries: Queries) -> Floats:
        scores = self.base_model.score(replace(queries, candidates=None))
        best = recommend(PrecomputedScorer(self.base_model, scores), queries, min(self.n, scores.shape[1]))
        chosen = self.choose(queries, best.item, relevance(best.score), min(self.places, best.k))
        if self.arrange == "relevance":
            chosen = np.sort(chosen, axis=1)
        item = np.take_along_axis(best.item, with_the_rest(chosen, best.k), axis=1)
        row, place = np.nonzero(item >= 0)
        scores[row, item[row, place]] = apart(best.score)[row, place]
        return of_candidates(scores, queries.candidates)

    def fallback(self, queries: Queries) -> Bools:
        """bool (B,): true where the base has no answer of its own."""
        return self.base_model.fallback(queries)

    @property
    def curve(self) -> list[dict[str, float | None]]:
        """The base's."""
        return self.base_model.curve

    @property
    def curve_names(self) -> tuple[str, str]:
        return self.base_model.curve_names

    def predicts(self) -> bool:
        return self.base.predicts()

    def predict(self, pairs: Pairs, queries: Queries | None = None) -> Floats:
        """As the base does."""
        return self.base_model.predict(pairs, queries)

    def learned_bytes(self, size: LogSize) -> float:
        return super().learned_bytes(size) + 2 * FLOAT * VALUES * size.items


def relevance(score: Floats) -> Floats:
    """float32 (B, n): scores, best first, -inf = no item, from 0 for the worst of a row to 1 for its best; 1 where all
    are equal, 0 where there is no item."""
    there = score > -np.inf
    low = np.min(score, axis=1, keepdims=True, initial=np.inf, where=there)
    with np.errstate(invalid="ignore"):
        span = score[:, :1] - low
        scaled = np.where(span > 0, (score - low) / span, np.float32(1.0))
    return np.where(there, scaled, np.float32(0.0)).astype(np.float32)


def with_the_rest(chosen: Ints, n: int) -> Ints:
    """int32 (B, n): the chosen columns, (B, places), then the others in their order."""
    left = np.ones((len(chosen), n), np.bool_)
    np.put_along_axis(left, chosen, False, axis=1)
    rest = np.nonzero(left)[1].reshape(len(chosen), n - chosen.shape[1])
    return np.concatenate([chosen, rest], axis=1).astype(np.int32)


def apart(score: Floats) -> Floats:
    """float32 (B, n): the scores, best first, each larger than the next by at least the least step of float32, and the
    last larger than an equal one that follows behind; -inf stays."""
    out = score.copy()
    above = score[:, -1]
    for place in range(score.shape[1] - 1, -1, -1):
        there = score[:, place] > -np.inf
        larger = np.maximum(score[:, place], np.nextafter(above, np.float32(np.inf)))
        out[:, place] = np.where(there, larger, -np.inf)
        above = np.where(there, larger, above)
    return out
