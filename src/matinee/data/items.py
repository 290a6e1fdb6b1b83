"""Items as people know them: a card to show, and an item's code found by its title or id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.data.arrays import Ints
from matinee.data.dataset import Dataset
from matinee.data.ids import Id
from matinee.errors import MatineeError

NAMED = 5  # ids in an error about equal titles


@dataclass(frozen=True)
class ItemCard:
    """An item as shown to people. title, year: None where the item table has none."""

    item_id: Id
    title: str | None = None
    year: int | None = None
    genres: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The title, or the id where there is none."""
        return str(self.item_id) if self.title is None else self.title

    @property
    def name_without_year(self) -> str:
        """The name without "(year)" at its end, for a table that has a column of years."""
        return self.name if self.year is None else re.sub(rf"\s*\({self.year}\)$", "", self.name) or self.name


def item_cards(data: Dataset, codes: Sequence[int] | Ints) -> list[ItemCard]:
    """One card for each item code, in this order."""
    codes, table = np.asarray(codes, np.int64), data.item_features

    def column(name: str) -> list[Any]:
        if table is None or name not in table.columns:
            return [None] * len(codes)
        return table[name].gather(codes).to_list()

    rows = zip(data.items.decode(codes), column("title"), column("year"), column("genres"), strict=True)
    return [ItemCard(item_id, _text(title), _year(year), _genres(genres)) for item_id, title, year, genres in rows]


def _text(title: Any) -> str | None:
    return None if title is None else str(title)


def _year(year: Any) -> int | None:
    return int(year) if isinstance(year, int | float) and year == year else None


def _genres(genres: Any) -> tuple[str, ...]:
    """From a list, or from a text such as "Drama|Comedy"."""
    names = genres.split("|") if isinstance(genres, str) else genres or ()
    return tuple(str(name) for name in names if name)


def find_items(items: Iterable[Any] | Id | np.integer[Any], data: Dataset) -> list[int]:
    """The item codes of titles or ids, or of a single one. A text is matched as a title exactly, then as a title
    regardless of case if only one fits, then as an id. An integer is an id, and a title only where there is no such id.
    Raises MatineeError with the near misses when nothing fits, and with the ids when several items share the title."""
    each = [items] if isinstance(items, str | int | np.integer) else items
    return [_find(item.item() if isinstance(item, np.generic) else item, data) for item in each]


def _told_apart(data: Dataset, codes: Sequence[int]) -> list[str]:
    """The ids of items with one title, each with what else is known: the first column of texts or numbers in which they
    differ, the year before others."""
    table, ids = data.item_features, [repr(item_id) for item_id in data.items.decode(codes)]
    columns = [] if table is None else [name for name in table.columns if name != "title"]
    for name in sorted(columns, key=lambda name: name != "year"):
        assert table is not None
        values = table[name].gather(list(codes))
        if not values.dtype.is_nested() and values.null_count() == 0 and values.n_unique() > 1:
            return [f"{item_id} ({name} {value})" for item_id, value in zip(ids, values.to_list(), strict=True)]
    return ids


def _find(item: Id, data: Dataset) -> int:
    text, code = str(item), data.items.find(item)
    if isinstance(item, int) and code >= 0:
        return code
    found = data.titles.codes(text)
    if len(found) == 1:
        return found[0]
    if code >= 0:
        return code
    if found:
        ids = ", ".join(_told_apart(data, found[:NAMED]))
        more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
        raise MatineeError(f"{len(found):,} items are called {text!r}", hint=f"name one by its id: {ids}{more}")
    number = data.items.is_integer and re.fullmatch(r"-?\d+", text.strip()) is not None  # an id, and no title
    near = [] if number else item_cards(data, data.titles.near(text))
    hint = f"did you mean: {'; '.join(card.name for card in near)}" if near else "check the spelling"
    raise MatineeError(f"no item has the title or id {text!r}", hint=hint)
