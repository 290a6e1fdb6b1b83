"""What a model recommends that the others do not: the items it gives to more people than they do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Dataset
from matinee.data.items import item_cards
from matinee.rank import Recommendations
from matinee.report.format import percent
from matinee.report.lists import Frequent, ListTable

SHOWN = 3  # items of a model


def apart(recommendations: Mapping[str, Recommendations], data: Dataset) -> ListTable | None:
    """For each model the items whose share of the queries is the most above the mean share that the other models give
    them; None where there are no two models with lists."""
    given = {label: shares(recs, data.n_items) for label, recs in recommendations.items() if len(recs)}
    if len(given) < 2:
        return None
    total = np.sum(list(given.values()), axis=0)
    rows: list[list[str | Frequent]] = []
    for label, mine in given.items():
        others = (total - mine) / (len(given) - 1)
        top = np.argsort(others - mine, kind="stable")[:SHOWN]
        top = top[mine[top] > others[top]]
        cells = [
            Frequent(card.name, f"{percent(round(mine[at], 6))}, others {percent(round(others[at], 6))}")
            for at, card in zip(top, item_cards(data, top), strict=True)
        ]
        rows.append([label, *cells, *["–"] * (SHOWN - len(cells))])
    note = "The share of the queries that get an item from this model, and from the other models on average: the items "
    note += "in which the two are furthest apart."
    return ListTable(
        "What each recommends more than the others", ["Model", "First", "Second", "Third"], rows, note, titles=True
    )


def shares(recs: Recommendations, n_items: int) -> NDArray[np.float64]:
    """float64 (n_items,): the share of the queries that have an item in their list."""
    return np.bincount(recs.item[recs.item >= 0], minlength=n_items) / max(len(recs), 1)
