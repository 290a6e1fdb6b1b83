"""`recommend --of COLUMN`: the artists, directors or genres that a list is likely to hold."""

from __future__ import annotations

from matinee.attributes import recommend_attributes
from matinee.cli import person, screen
from matinee.cli.screen import Column
from matinee.data.dataset import Queries
from matinee.models.base import Model


def show(model: Model, queries: Queries, column: str, k: int, *, as_json: bool) -> None:
    """The k likeliest values for each query, as a table or as JSON."""
    found = recommend_attributes(model, queries, column, k)
    fallback = model.fallback(queries).tolist()
    values = [found.filter(query=row) for row in range(len(queries))]
    if as_json:
        beside = [
            {"of": column, "fallback": fallback[row], "attributes": values[row].to_dicts()}
            for row in range(len(queries))
        ]
        person.emit([person.as_json(model, queries, row) | beside[row] for row in range(len(queries))])
        return
    columns = [Column("#", right=True), Column(column, least=20), Column("probability", right=True)]
    for row, frame in enumerate(values):
        if row:
            screen.say()
        person.show(model, queries, row)
        if fallback[row]:
            known = person.not_known(model, queries, row)
            screen.say(f"{known}, so these are likely on any list.", "yellow")
        rows = frame.select("rank", "value", "score").rows()
        screen.table(columns, [[str(rank), value, f"{score:.4f}"] for rank, value, score in rows])
