"""Finding items by what people type: an id or a title."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.ids import Id
from matinee.errors import MatineeError


def history(items: Sequence[Id] | Id, data: Dataset, *, at: int | None = None) -> Queries:
    """One query of someone new who watched these items (titles or ids), oldest first; they are not recommended back.

    at: when they ask, in Unix seconds, for models that read it (columns of time).
    Raises MatineeError for what cannot be found, see find_items.
    """
    codes = find_items(items, data)
    row = Ragged.from_lists([codes])
    time = None if at is None else np.array([at], np.int64)
    return Queries(user=np.array([-1], np.int32), history=row, exclude=row, request_time=time)


def find_items(items: Sequence[Id] | Id, data: Dataset) -> list[int]:
    """Item codes of titles or ids, or of one.

    A text is matched as a title, exactly; then as a title regardless of case, if only one fits; then as an id. An
    integer is an id, and a title only where there is no such id.
    Raises MatineeError with the near misses when nothing fits, and with the ids when several items share the title.
    """
    titles = _titles(data)
    exact: dict[str, list[int]] = {}
    folded: dict[str, list[int]] = {}
    for code, title in enumerate(titles):
        if title is not None:
            exact.setdefault(title, []).append(code)
            folded.setdefault(title.casefold().strip(), []).append(code)
    each = [items] if isinstance(items, str | int) else items
    return [_find(item, data, exact, folded) for item in each]


def title_of(data: Dataset, code: int) -> str:
    """The title of an item code, or its id where it has none."""
    title = _titles(data)[code]
    return str(data.items.ids[code]) if title is None else title


def _titles(data: Dataset) -> list[str | None]:
    table = data.item_features
    if table is None or "title" not in table.columns:
        return [None] * data.n_items
    titles: list[str | None] = table["title"].to_list()
    return titles


def _find(item: Id, data: Dataset, exact: dict[str, list[int]], folded: dict[str, list[int]]) -> int:
    text = str(item)
    if isinstance(item, int) and data.items.find(item) >= 0:
        return data.items.find(item)
    found = exact.get(text) or folded.get(text.casefold().strip()) or []
    if len(found) == 1:
        return found[0]
    code = data.items.find(item)
    if code >= 0:
        return code
    if found:
        ids = ", ".join(repr(i) for i in data.items.decode(found))
        raise MatineeError(f"{len(found)} items are called {text!r}", hint=f"name one by its id: {ids}")
    near = [title_of(data, folded[key][0]) for key in _near(text, list(folded))]
    raise MatineeError(
        f"no item is called {text!r} and none has that id",
        hint=f"did you mean: {'; '.join(near)}" if near else "check the spelling",
    )


def _near(text: str, known: list[str]) -> list[str]:
    """Titles that hold the text first, then those spelled alike."""
    key = text.casefold().strip()
    holding = sorted((title for title in known if key and key in title), key=len)
    alike = [title for title in difflib.get_close_matches(key, known, n=5, cutoff=0.5) if title not in holding]
    return [*holding, *alike][:5]
