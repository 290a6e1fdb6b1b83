"""`recommend --of COLUMN`: the artists, directors or genres that a list is likely to hold."""

from __future__ import annotations

from matinee.attributes import recommend_attributes
from matinee.cli import screen
from matinee.cli.screen import Column
from matinee.data.dataset import Queries
from matinee.models.base import Model


def show(model: Model, queries: Queries, column: str, k: int, *, as_json: bool) -> None:
    """The k likeliest values for each query, as a table or as JSON."""
    found = recommend_attributes(model, queries, column, k)
    if as_json:
        screen.emit({"of": column, "attributes": found.to_dicts()})
        return
    for row in range(len(queries)):
        values = found.filter(query=row).select("rank", "value", "score").rows()
        if row:
            screen.say()
        columns = [Column("#", right=True), Column(column, least=20), Column("probability", right=True)]
        screen.table(columns, [[str(rank), value, f"{score:.4f}"] for rank, value, score in values])
