"""Content: items that are alike, and columns of an item-item model for items that nobody watched yet."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Floats, Ints
from matinee.data.dataset import Dataset, Queries
from matinee.errors import MatineeError, MatineeWarning
from matinee.models.base import Learned, Shapes, TextFile
from matinee.models.ease import EASE
from matinee.models.families.feature_columns import cosines, regressed
from matinee.models.families.item_item import ItemItem, ItemWeights
from matinee.models.families.neighbours import nearest_bytes
from matinee.models.families.new_outputs import added
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array


EXACT = 1e-6
"""The ridge of a regression that is to give back what it is shown."""


@dataclass(frozen=True)
class ContentWeights(ItemWeights):
    """n_features: int32 (n_items,), known features of each item. vocabulary, idf: see Contents."""

    n_features: Ints
    vocabulary: TextFile
    idf: Floats

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"W": (n_items, n_items), "n_features": (n_items,), "idf": self.idf.shape}


class Content(ItemItem):
    """Items by their features (Lops, de Gemmis & Semeraro, Recommender Systems Handbook, 2011, ch. 3), for new items
    too: what they have is known before anybody watched them.

    Features are rows of length 1: values of columns, words of titles (all by TF-IDF) and dense vectors, see Contents.
    cosine: W_ij = f_i f_j, of which column j keeps the k largest. ridge: items of the log have their columns of EASE;
    that of another item j is the ridge regression of those columns on features (attribute-to-feature mapping: Gantner
    et al., ICDM 2010), W_j = W_w F_w (F_w'F_w + feature_l2 I)^-1 f_j over the items w of the log. With own = false all
    items have such columns. An item without a feature that is not of the log scores -inf.
    """

    learned_type: ClassVar[type[Learned]] = ContentWeights

    attributes: tuple[str, ...] = tunable(
        (), "columns of the item table; none named: titles, vectors, and all whose kind is clear"
    )
    how: Literal["cosine", "ridge"] = tunable("cosine", "similar items, or EASE's columns from features")
    k: int = tunable(250, "cosine: number of neighbours of each item", low=10, high=1000, log=True, ge=1)
    l2: float = tunable(300.0, "ridge: EASE's own, on the Gram diagonal", low=1.0, high=1e4, log=True, gt=0.0)
    feature_l2: float = tunable(3.0, "ridge: of the regression on features", low=0.1, high=100.0, log=True, gt=0.0)
    own: bool = tunable(True, "ridge: items of the log keep EASE's columns")

    def learn(self, data: Dataset, context: FitContext) -> ContentWeights:
        from matinee.data.features.content import Contents, described  # loads polars

        table = described(data, self.attributes)
        contents = Contents.fit(table, self.attributes)
        F = contents.rows(table)
        if not F.nnz:
            what = (
                f"{data.name} has no table of items that says what two of them share, so Content knows none by features"
            )
            warnings.warn(what, MatineeWarning, stacklevel=4)
        if self.how == "cosine":
            W: Any = cosines(F, self.k)
        else:
            watched = data.item_counts() > 0
            W = self.weights(data.strengths())
            asked = ~watched if self.own else np.ones(len(watched), np.bool_)
            W[:, asked] = regressed(W, F, watched, asked, self.feature_l2)
        return ContentWeights(W, np.diff(F.indptr).astype(np.int32), TextFile(contents.text), contents.idf)

    def weights(self, X: csr_array) -> NDArray[np.float32]:
        """float32 (n_items, n_items): EASE's columns, from which those of new items are learned."""
        return EASE(l2=self.l2).weights(X)

    def takes_new_items(self) -> bool:
        return True  # also where no item is new yet

    def refuse_new_items(self) -> None:
        super().refuse_new_items()
        if not self.fitted.learned.n_features.any():
            what = "this Content was fitted on a log without a table of items, so it cannot tell what new ones are like"
            raise MatineeError(what, hint="fit it again on a log with one")

    def learned_with(self, data: Dataset) -> ContentWeights:
        """Old columns stay; of a cosine model's, new items are among the neighbours."""
        from matinee.data.features.content import Contents, described

        learned: ContentWeights = self.fitted.learned
        F = Contents.of_text(learned.vocabulary, learned.idf).rows(described(data))
        n_features = np.diff(F.indptr).astype(np.int32)
        if self.how == "cosine":
            return replace(learned, W=cosines(F, self.k), n_features=n_features)
        known, new = added(self.fitted.popularity, data.n_items)
        old: Any = learned.W
        W = np.pad(old, (0, data.n_items - len(old)))
        # Columns that are all regressed lie on the map from features already: a second ridge would shrink it again.
        W[:, new] = regressed(W, F, known, new, self.feature_l2 if self.own else EXACT)
        return replace(learned, W=W, n_features=n_features)

    # -- answers -------------------------------------------------------------------------------------------------------

    def scores_unknown_items(self) -> bool:
        return self.is_fitted and bool(((self.fitted.popularity == 0) & (self.fitted.learned.n_features > 0)).any())

    @property
    def learned_anything(self) -> bool:
        return self.how == "ridge" or bool(self.fitted.learned.n_features.any())

    def fallback(self, queries: Queries) -> Bools:
        """bool (B,): true where no item of the history has a feature (cosine), or a training event (ridge)."""
        if self.how == "ridge" or not self.learned_anything:
            return super().fallback(queries)
        history = queries.history
        said = self.fitted.learned.n_features[history.values] > 0
        nothing: Bools = np.bincount(history.rows[said], minlength=len(queries)) == 0
        return nothing

    def score_histories(self, queries: Queries) -> Floats:
        scores = super().score_histories(queries)
        scores[:, (self.fitted.popularity == 0) & (self.fitted.learned.n_features == 0)] = -np.inf
        return scores

    # -- how much it needs ---------------------------------------------------------------------------------------------

    def learned_bytes(self, size: LogSize) -> float:
        return FLOAT * size.items * (size.items + 1 if self.how == "ridge" else 2 * min(self.k, size.items) + 2)

    def fit_bytes(self, size: LogSize) -> float:
        """Of features nothing is known before they are read; few of them are solved in features."""
        if self.how == "cosine":
            return 40 * size.events + nearest_bytes(size.items, size.items, self.k)
        return EASE(l2=self.l2).fit_bytes(size) + (0 if self.own else 2 * FLOAT * size.items**2)
