"""New items in a fitted model, without a fit, where what is known of them says how they are scored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from matinee.data.dataset import Dataset
from matinee.errors import MatineeError
from matinee.models.parameters import Parameters


class Newcomers(Parameters):
    """What a model gives to those whose catalogue grows."""

    if TYPE_CHECKING:  # what Model has
        member_fields: ClassVar[tuple[str, ...]]

        @property
        def fitted(self) -> Any: ...
        def restore(self, fitted: Any) -> Self: ...
        def scores_unknown_items(self) -> bool: ...

    def with_items(self, table: Any) -> Self:
        """A fitted model that knows the items of a table too, by what it says of them; nothing is fitted again, and
        this model stays as it is. What it answered it answers still (but `content` with cosines, where new items are
        neighbours like others), and values that training did not know say nothing. Codes of items stay, so queries and
        splits of the log are good for both.

        table: of new items, as in `mt.read(..., items=table)`: a frame, a dict of columns or a path, with a column
        item_id. The model's log gets them as items without an event. Raises MatineeError for models that know an item
        by its events alone, for items that are known already, and for columns of another kind.

        Example: `mt.models.Content().fit(data).with_items({"item_id": [7001], "genres": [["Drama"]]})`
        """
        from matinee.data.newcomers import with_new_items  # loads polars

        fitted = self.fitted
        self.refuse_new_items()
        data = with_new_items(fitted.data, table)
        popularity = np.zeros(data.n_items, np.float32)
        popularity[: len(fitted.popularity)] = fitted.popularity
        learned = self.learned_with(data)
        return self.model_copy().restore(replace(fitted, data=data, popularity=popularity, learned=learned))

    def takes_new_items(self) -> bool:
        """True where new items have a meaning without a fit: a fitted model reads what they are like."""
        return type(self).learned_with is not Newcomers.learned_with and self.scores_unknown_items()

    def refuse_new_items(self) -> None:
        """Raise MatineeError where new items have no meaning for this model."""
        if self.member_fields:
            hint = "add the items to each member, and fit the whole again with these members"
            raise MatineeError(f"{type(self).__name__} takes new items through its members alone", hint=hint)
        if not self.takes_new_items():
            learns = self.scores_unknown_items()
            knows = "learns what items are like in a fit" if learns else "knows an item by its events alone"
            what = f"{type(self).__name__} {knows}, so it cannot take new ones"
            raise MatineeError(what, hint="fit again on a log with them, or use a model that reads the table of items")

    def learned_with(self, data: Dataset) -> Any:
        """What was learned, for a log with further items, which are its last ones."""
        raise NotImplementedError
