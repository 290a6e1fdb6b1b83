"""Who a command answers: as JSON, in words, and what a model does not know of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from matinee.cli import screen
from matinee.cli.screen import Column
from matinee.data.dataset import Queries
from matinee.data.items import item_cards
from matinee.errors import counted
from matinee.models.base import Model

SHOWN = 5  # items of a history
TITLE = Column("title", least=20)
GENRES = Column("genres", style="dim", least=14)


def emit(answers: list[dict[str, Any]]) -> None:
    """The answer to one person; of several, a list of them."""
    screen.emit(answers[0] if len(answers) == 1 else {"answers": answers})


def as_json(model: Model, queries: Queries, row: int) -> dict[str, Any]:
    """A query as JSON: its user, the title of the list where the model uses one, and the last items of the history."""
    code, watched = int(queries.user[row]), queries.history[row]
    return {
        "user_id": model.users.decode([code])[0] if code >= 0 else None,
        "title": used_title(model, queries, row),
        "history": [asdict(card) for card in item_cards(model.data, watched[-SHOWN:])],
        "history_items": len(watched),
    }


def show(model: Model, queries: Queries, row: int) -> None:
    """Who is answered: a user and the last items of the history, or someone new."""
    user, watched = as_json(model, queries, row)["user_id"], item_cards(model.data, queries.history[row])
    if user is None:
        title = None if queries.title is None else queries.title[row]
        held = [f"who watched {', '.join(card.name for card in watched)}"] if watched else []
        screen.say(f"for someone {' '.join([*held, *_called(title)])}\n")
        return
    last = watched[-SHOWN:]
    some = f", the last {len(last)}" if last != watched else ""
    who = " ".join([f"user {user}", *_called(used_title(model, queries, row))])
    screen.say(f"{who} watched {counted(len(watched), 'item')}{some}{':' if last else ''}")
    if last:
        screen.table([TITLE, GENRES], [["  " + card.name, ", ".join(card.genres)] for card in last], header=False)
    screen.say()


def used_title(model: Model, queries: Queries, row: int) -> str | None:
    """The title of a query, where the model reads titles."""
    return queries.title[row] if queries.title is not None and model.reads_titles() else None


def not_known(model: Model, queries: Queries, row: int) -> str:
    """What a query holds that the model knows nothing of, as the beginning of a sentence."""
    titled = bool(used_title(model, queries, row))
    if titled and len(model.data) and not model.data.has_user_titles:
        return "No list that the model learned from has a title"
    if len(queries.history[row]):
        return f"The model knows no item of this history{', and nothing of this title' if titled else ''}"
    return "The model knows nothing of this title" if titled else "The history is empty"


def _called(title: str | None) -> list[str]:
    return [] if title is None else [f"with a list called {title!r}"]
