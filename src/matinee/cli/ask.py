"""`recommend`, `similar` and `explain`: what a fitted model recommends, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from typer import Argument, Option

from matinee import rank
from matinee.cli import screen
from matinee.cli.options import At, History, IncludeSeen, Json, K, ModelDir, Texts, User
from matinee.cli.screen import Column
from matinee.cli.sources import build_query, item_codes, open_model, requested_at
from matinee.data.dataset import Dataset, Queries
from matinee.data.items import ItemCard, item_cards
from matinee.data.query import refuse_no_histories
from matinee.errors import MatineeError
from matinee.explain import Explanation
from matinee.explain import explain as explanation
from matinee.files import atomic_path
from matinee.models.base import Model
from matinee.rank import Recommendations
from matinee.similar import similar_users

FORMATS = {".parquet": "write_parquet", ".csv": "write_csv", ".jsonl": "write_ndjson"}
SHOWN = 5  # items of a history
TITLE = Column("title", least=20)
GENRES = Column("genres", style="dim", least=14)


def recommend(
    model_dir: ModelDir,
    user: User = None,
    history: History = None,
    everyone: Annotated[bool, Option("--all", help="All users of the model's log, into the file --out.")] = False,
    k: K = 10,
    allow: Annotated[Texts, Option(metavar="ITEM", help="Only these: title, id or @FILE; repeatable.")] = None,
    deny: Annotated[Texts, Option(metavar="ITEM", help="Never these: title, id or @FILE; repeatable.")] = None,
    out: Annotated[Path | None, Option(metavar="FILE", help="Table to write: .parquet, .csv or .jsonl.")] = None,
    include_seen: IncludeSeen = False,
    at: At = None,
    as_json: Json = False,
) -> None:
    """Recommend items to a user, to someone new, or to all users."""
    _check(everyone, out, named=user is not None or bool(history))
    model = open_model(model_dir)
    allowed, denied = (
        None if given is None else model.items.decode(item_codes(given, model.data)) for given in (allow, deny)
    )
    if everyone:
        refuse_no_histories(model.data)
        queries = requested_at(model.data.queries(exclude_seen=not include_seen), at)
    else:
        queries = build_query(model, user, history, at, exclude_seen=not include_seen)
    recs = rank.recommend(model, queries, k, allow=allowed, deny=denied, progress=everyone)
    if out is not None:
        with atomic_path(out) as temp:
            getattr(recs.to_frame(), FORMATS[out.suffix])(temp)
    rows = int((recs.item >= 0).sum())
    if as_json:
        written = {"out": str(out), "users": len(recs), "rows": rows}
        screen.emit(written if everyone else _person(model, queries) | _ranked(model, recs))
        return
    if not everyone:
        _show_person(model, queries)
        _show_ranked(model, recs, "The model knows no item of this history, so these are popular items.")
    if out is not None:
        screen.say(f"{rows:,} recommendations for {len(recs):,} users written to {out}")


def similar(
    model_dir: ModelDir,
    item: Annotated[str | None, Argument(metavar="ITEM", help="A title or an id.")] = None,
    user: Annotated[str | None, Option(metavar="ID", help="In place of an item: users like this one.")] = None,
    k: K = 10,
    as_json: Json = False,
) -> None:
    """Recommend what goes with one item, or name users like a user.

    Users are alike where they watched the same: the cosine of their histories, in which rare items weigh more.
    """
    if (item is None) == (user is None):
        given = "neither an item nor --user" if item is None else "both an item and --user"
        raise MatineeError(f"{given} is given", hint="name an item by its title or id, or pass --user ID")
    model = open_model(model_dir)
    if user is not None:
        _similar_users(model, user, k, as_json=as_json)
        return
    (code,) = item_codes([str(item)], model.data)
    card = item_cards(model.data, [code])[0]
    recs = rank.similar_to(model, [code], k)
    if as_json:
        screen.emit({"item": asdict(card)} | _ranked(model, recs))
        return
    screen.say(f"like {_with_genres(card)}:\n")
    _show_ranked(model, recs, "The model never saw this item, so these are popular items.")


def _similar_users(model: Model, user: str, k: int, *, as_json: bool) -> None:
    found = similar_users(model, user, k)
    (user_id,) = model.users.decode([model.users.code(user)])
    if as_json:
        screen.emit({"user_id": user_id, "similar": found.to_dicts()})
        return
    screen.say(f"users who watched the same as user {user_id}:\n")
    columns = [
        Column("#", right=True),
        Column("user"),
        Column("similarity", right=True),
        Column("items of both", right=True),
    ]
    rows = [[str(n), str(u), f"{s:.4f}", f"{both:,}"] for n, (u, s, both) in enumerate(found.iter_rows(), start=1)]
    screen.table(columns, rows)
    if not rows:
        screen.say("nobody shares an item with this user")


def explain(
    model_dir: ModelDir,
    item: Annotated[str, Option(metavar="TITLE_OR_ID", help="Item to explain.")],
    user: User = None,
    history: History = None,
    k: K = 10,
    at: At = None,
    as_json: Json = False,
) -> None:
    """Show which items of a history raise an item's score.

    The score for the whole history is compared with the score without each of its items.
    """
    model = open_model(model_dir)
    queries = build_query(model, user, history, at)
    card = item_cards(model.data, item_codes([item], model.data))[0]
    why = explanation(model, queries, model.items.code(card.item_id))
    rows = _pushes(model.data, why, k)
    if as_json:
        person = _person(model, queries)
        found = {"item": asdict(card), "user_id": person["user_id"], "score": why.score}
        screen.emit(found | {"history_items": len(why.history), "pushed_by": rows})
        return
    _show_person(model, queries)
    screen.say(f"{type(model).__name__} scores {_with_genres(card)} {why.score:.4g}; the items that raise it most:\n")
    screen.table(
        [TITLE, Column("push", right=True), Column("score without it", right=True)],
        [[str(r["title"] or r["item_id"]), _number(r["push"], "+.4f"), _number(r["score_without"])] for r in rows],
    )
    if np.isnan(why.without).any():
        screen.say("\n– : without this item the model knows no item of the history.", "dim")
    if len(why.history) > k:
        screen.say(f"\n{len(why.history) - k} more history items; show them with -k {len(why.history)}.", "dim")


def _check(everyone: bool, out: Path | None, *, named: bool) -> None:
    """Refuse options that do not fit together, before the model is loaded."""
    if out is not None and out.suffix not in FORMATS:
        hint = f"use one of {', '.join(FORMATS)}"
        raise MatineeError(f"unknown kind of file {out.suffix!r}", where=str(out), hint=hint)
    if everyone and named:
        raise MatineeError("--all stands for all users", hint="leave out --user and --history")
    if everyone and out is None:
        raise MatineeError("--all needs a file to write to", hint="add for example --out recommendations.parquet")


def _person(model: Model, queries: Queries) -> dict[str, Any]:
    """The query as JSON: its user, and the last items of the history."""
    code, watched = int(queries.user[0]), queries.history[0]
    return {
        "user_id": model.users.decode([code])[0] if code >= 0 else None,
        "history": [asdict(card) for card in item_cards(model.data, watched[-SHOWN:])],
        "history_items": len(watched),
    }


def _ranked(model: Model, recs: Recommendations) -> dict[str, Any]:
    """The recommendations of one query as JSON."""
    places = zip(count(1), _cards(model, recs), recs.score[0].tolist(), strict=False)
    rows = [{"rank": place, **asdict(card), "score": score} for place, card, score in places]
    return {"fallback": bool(recs.fallback[0]), "recommendations": rows}


def _cards(model: Model, recs: Recommendations) -> list[ItemCard]:
    return item_cards(model.data, recs.item[0][recs.item[0] >= 0])


def _pushes(data: Dataset, why: Explanation, k: int) -> list[dict[str, Any]]:
    """The k items that raise the score most, as JSON; items without which nothing is known come first."""
    order = np.argsort(-np.nan_to_num(why.push, nan=np.inf), kind="stable")[:k]
    rows = zip(item_cards(data, why.history[order]), why.push[order].tolist(), why.without[order].tolist(), strict=True)
    return [asdict(card) | {"push": push, "score_without": without} for card, push, without in rows]


def _show_person(model: Model, queries: Queries) -> None:
    user, watched = _person(model, queries)["user_id"], item_cards(model.data, queries.history[0])
    if user is None:
        screen.say(f"for someone who watched {', '.join(card.name for card in watched)}\n")
        return
    last = watched[-SHOWN:]
    screen.say(f"user {user} watched {len(watched)} items" + (f", the last {len(last)}:" if last != watched else ":"))
    screen.table([TITLE, GENRES], [["  " + card.name, ", ".join(card.genres)] for card in last], header=False)
    screen.say()


def _with_genres(card: ItemCard) -> str:
    return f"{card.name} ({', '.join(card.genres)})" if card.genres else card.name


def _show_ranked(model: Model, recs: Recommendations, fallback: str) -> None:
    """Rank, title, year (where titles do not end in it), genres, score and id: only columns that are not empty."""
    if recs.fallback[0]:
        screen.say(fallback, "yellow")
    cards, scores = _cards(model, recs), recs.score[0].tolist()
    if not cards:
        screen.say("no item is left to recommend")
        return
    years = any(card.name_without_year == card.name for card in cards if card.year is not None)
    columns: list[tuple[Column, bool, Iterable[str]]] = [
        (Column("#", right=True), True, map(str, range(1, len(cards) + 1))),
        (TITLE, any(card.title is not None for card in cards), (card.name for card in cards)),
        (Column("year", right=True), years, (str(card.year or "") for card in cards)),
        (GENRES, any(card.genres for card in cards), (", ".join(card.genres) for card in cards)),
        (Column("score", right=True), True, map(_number, scores)),
        (Column("id", right=True, style="dim"), True, (str(card.item_id) for card in cards)),
    ]
    shown = [(column, cells) for column, wanted, cells in columns if wanted]
    screen.table([column for column, _ in shown], list(zip(*(cells for _, cells in shown), strict=False)))
    if len(cards) < recs.k:
        screen.say(f"\n{len(cards)} of the {recs.k} asked for: nothing else may be recommended.", "dim")


def _number(value: float, form: str = ",.4f") -> str:
    if value != value:
        return "–"
    return f"{value:{form}}" if abs(value) < 1000 else f"{value:,.0f}"
