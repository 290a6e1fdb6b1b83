"""TitleMatch: what stands on lists with an equal or a similar title, or with items that are alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Floats, unit_rows
from matinee.data.dataset import Dataset, Queries
from matinee.data.features.grams import Grams
from matinee.models.base import Model, Shapes, TextFile
from matinee.models.families.feature_columns import weighted_values
from matinee.models.families.item_item import weighted_rows
from matinee.models.families.neighbours import nearest
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array


PIECES = 40
"""Of a title, with its share of the list of all of them: one of 15 letters."""


@dataclass(frozen=True)
class TitledLists:
    """lists: csr (n_users, n_items), 1 (or the weight) per pair. titles: csr (pieces + values, n_users), a column a
    list; see Grams, as for pieces, idf and whole. of_item: csr float32 (n_items, values), the idf of each value of an
    item's attributes."""

    lists: csr_array
    titles: csr_array
    pieces: TextFile
    idf: Floats
    whole: bool
    of_item: csr_array

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        n_values = self.of_item.shape[1]
        titles = len(self.idf) + n_values, n_users
        return {"lists": (n_users, n_items), "titles": titles, "of_item": (n_items, n_values), "idf": self.idf.shape}

    @cached_property
    def grams(self) -> Grams:
        return Grams.of_text(self.pieces, self.idf, whole=self.whole)


class TitleMatch(Model):
    """Lists with a similar title vote (what most teams of the RecSys Challenge 2018 did first: Zamani, Schedl, Lamere &
    Chen, TIST 2019).

    Of lists (users) with a title, the k most similar to the query's by the cosine of TF-IDF rows, see Grams; each adds
    its similarity to its items. match = "equal": an equal title has the similarity 1, any other 0. Added is what
    popularity says, as prior lists of similarity 1 would: score_i = sum_l s_l x_li + prior n_i / U, U lists. That alone
    answers where nothing is said. A list is not its own neighbour.

    The items of a history do not count, but for their `attributes` where these are named: then a list is also a row of
    length 1 of how often each value (artist) is on it, by TF-IDF, and the cosine of these rows is added.
    """

    learned_type = TitledLists
    exemptions = {
        "personal": "it reads titles and no histories, so without titles it counts events of all users",
        "taste": "without titles it is the same for all users",
    }

    k: int = tunable(100, "lists that vote", low=10, high=1000, log=True, ge=1)
    match: Literal["similar", "equal"] = tunable("similar", "titles that vote", choices=["similar", "equal"])
    attributes: tuple[str, ...] = tunable((), "columns of the item table whose values count beside titles")
    prior: float = tunable(0.1, "lists that popularity counts as", low=0.001, high=10.0, log=True, gt=0.0)

    def reads_titles(self) -> bool:
        return True

    def uses_weights(self) -> bool:
        return True

    def learn(self, data: Dataset, context: FitContext) -> TitledLists:
        from scipy.sparse import csr_array

        users = np.flatnonzero(data.user_counts()).astype(np.int32)
        titles: list[str | None] = [None] * data.n_users
        for user, title in zip(users.tolist(), data.user_titles(users) or (), strict=False):
            titles[user] = title
        grams = Grams.fit(titles, whole=self.match == "equal")
        of_item = weighted_values(data, self.attributes)
        rows = _beside(grams.rows(titles), unit_rows(csr_array(data.matrix() @ of_item)))
        kept = TextFile(grams.text), grams.idf, grams.whole, of_item
        return TitledLists(data.strengths(), rows.T.tocsr(), *kept)

    def fallback(self, queries: Queries) -> Bools:
        """bool (B,): true where a title is given and no list has one like it, or anything else that counts."""
        titled = np.array([bool(title) for title in queries.title or (None,) * len(queries)], np.bool_)
        nothing: Bools = titled & (np.diff(self._asked(queries).indptr) == 0)
        return nothing

    def _asked(self, queries: Queries) -> csr_array:
        """csr float32 (B, pieces + values)."""
        from scipy.sparse import csr_array

        learned: TitledLists = self.fitted.learned
        titles = learned.grams.rows(queries.title or (None,) * len(queries))
        held = queries.history.matrix(len(self.items)) @ learned.of_item
        return _beside(titles, unit_rows(csr_array(held)))

    def score_histories(self, queries: Queries) -> Floats:
        learned: TitledLists = self.fitted.learned
        asked = self._asked(queries)

        def similarities(start: int, stop: int) -> NDArray[np.float32]:
            found: NDArray[np.float32] = (asked[start:stop] @ learned.titles).toarray()
            known = np.flatnonzero(queries.user[start:stop] >= 0)
            found[known, queries.user[start:stop][known]] = -np.inf
            return found

        near = nearest(len(queries), len(self.users), self.k, similarities)
        votes = weighted_rows(learned.lists, near.indptr.astype(np.int64), near.indices, near.data)
        lists = max(1, int(np.count_nonzero(np.diff(learned.lists.indptr))))
        return votes + (self.prior / lists * self.fitted.popularity).astype(np.float32)

    def learned_bytes(self, size: LogSize) -> float:
        return 2 * FLOAT * (size.events + size.users * (1 if self.match == "equal" else PIECES))

    def fit_bytes(self, size: LogSize) -> float:
        return 28 * size.events + self.learned_bytes(size)


def _beside(titles: csr_array, values: csr_array) -> csr_array:
    """csr (n, pieces + values)."""
    from scipy.sparse import hstack

    both: csr_array = hstack([titles, values], format="csr")
    return both
