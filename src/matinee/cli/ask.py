"""`recommend`, `similar` and `explain`: what a fitted model recommends, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from typer import Argument, Option

from matinee import rank
from matinee.cli import attributes, person, screen
from matinee.cli.options import (
    At,
    DenyWhere,
    History,
    IncludeSeen,
    Json,
    K,
    ListTitle,
    ModelDir,
    OfColumn,
    OfRun,
    RulesFile,
    Texts,
    Users,
    Where,
)
from matinee.cli.person import GENRES, TITLE
from matinee.cli.screen import Column
from matinee.cli.sources import build_queries, item_codes, moment, open_model, requested_at, rules_of
from matinee.cli.submit import ForUsers, ForUsersOption, Header, NoHeader, Sample, Submission, UserId, Wide, submit
from matinee.data.dataset import Dataset, Queries
from matinee.data.items import ItemCard, item_cards
from matinee.data.query import refuse_no_histories
from matinee.errors import MatineeError, counted, either
from matinee.explain import Explanation
from matinee.explain import explain as explanation
from matinee.models.base import Model
from matinee.rank import Recommendations
from matinee.similar import similar_users
from matinee.submissions import check_format, write_submission


def recommend(
    model_dir: ModelDir,
    model: OfRun = None,
    user: Users = None,
    history: History = None,
    title: ListTitle = None,
    everyone: Annotated[bool, Option("--all", help="All users of the model's log, into the file --out.")] = False,
    for_users: ForUsers = None,
    for_users_option: ForUsersOption = None,
    k: K = 10,
    allow: Annotated[Texts, Option(metavar="ITEM", help="Only these: title, id or @FILE; repeatable.")] = None,
    deny: Annotated[Texts, Option(metavar="ITEM", help="Never these: title, id or @FILE; repeatable.")] = None,
    where: Where = None,
    deny_where: DenyWhere = None,
    rules_file: RulesFile = None,
    out: Annotated[Path | None, Option(metavar="FILE", help="Table to write: .csv, .tsv, .parquet or .jsonl.")] = None,
    user_id: UserId = None,
    columns: Header = None,
    wide: Wide = False,
    no_header: NoHeader = False,
    sample: Sample = None,
    include_seen: IncludeSeen = False,
    at: At = None,
    of: OfColumn = None,
    as_json: Json = False,
) -> None:
    """Recommend items to a user, to someone new, or to all users.

    Someone new is a history, the title of a list, or both.
    """
    asked = Submission(for_users, out, user_id, columns, wide, no_header, sample, for_users_option)
    named = bool(user) or bool(history) or title is not None
    asked.check(others=named or everyone)
    if for_users is None:
        _check(everyone, out, named=named)
    if of is not None:
        of_items: dict[str, object] = {"--allow": allow, "--deny": deny, "--where": where, "--deny-where": deny_where}
        of_items |= {"--rules": rules_file, "--include-seen": include_seen}
        _check_of(of_items, many=everyone or (for_users or out) is not None)
    rules = rules_of(rules_file, where, deny_where)
    fitted = open_model(model_dir, model)
    allowed, denied = (
        None if given is None else fitted.items.decode(item_codes(given, fitted.data)) for given in (allow, deny)
    )
    if for_users is not None:
        given = {"allow": allowed, "deny": denied, "exclude_seen": not include_seen, "at": moment(at)}
        submit(fitted, asked, k, as_json=as_json, rules=rules, **given)
        return
    if everyone:
        refuse_no_histories(fitted.data)
        queries = requested_at(fitted.data.queries(exclude_seen=not include_seen), at)
    else:
        queries = build_queries(fitted, user, history, at, exclude_seen=not include_seen, title=title, by_title=True)
    if of is not None:
        attributes.show(fitted, queries, of, k, as_json=as_json)
        return
    recs = rank.recommend(fitted, queries, k, allow=allowed, deny=denied, rules=rules, progress=everyone)
    _tell(fitted, queries, recs, out, everyone=everyone, as_json=as_json)


def similar(
    model_dir: ModelDir,
    item: Annotated[str | None, Argument(metavar="ITEM", help="A title or an id.")] = None,
    user: Annotated[str | None, Option(metavar="ID", help="In place of an item: users like this one.")] = None,
    of: OfRun = None,
    k: K = 10,
    as_json: Json = False,
) -> None:
    """Recommend what goes with an item, or users like a user.

    Users are alike where they watched the same: the cosine of their histories, in which rare items weigh more.
    """
    if (item is None) == (user is None):
        given = "neither an item nor --user" if item is None else "both an item and --user"
        raise MatineeError(f"{given} is given", hint="name an item by its title or id, or pass --user ID")
    fitted = open_model(model_dir, of)
    if user is not None:
        _similar_users(fitted, user, k, as_json=as_json)
        return
    (code,) = item_codes([str(item)], fitted.data)
    card = item_cards(fitted.data, [code])[0]
    recs = rank.similar_to(fitted, [code], k)
    if as_json:
        screen.emit({"item": asdict(card)} | _ranked(fitted, recs, 0))
        return
    screen.say(f"like {_with_genres(card)}:\n")
    _show_ranked(fitted, recs, 0, "The model never saw this item, so these are popular items.")


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
    model: OfRun = None,
    user: Users = None,
    history: History = None,
    k: K = 10,
    at: At = None,
    as_json: Json = False,
) -> None:
    """Show which items of a history raise an item's score.

    The score for the whole history is compared with the score without each of its items.
    """
    fitted = open_model(model_dir, model)
    queries = build_queries(fitted, user, history, at)
    card = item_cards(fitted.data, item_codes([item], fitted.data))[0]
    code = fitted.items.code(card.item_id)
    whys = [explanation(fitted, queries.slice(row, row + 1), code) for row in range(len(queries))]
    if as_json:
        person.emit([_explained(fitted, queries, row, card, why, k) for row, why in enumerate(whys)])
        return
    for row, why in enumerate(whys):
        if row:
            screen.say()
        person.show(fitted, queries, row)
        _show_explained(fitted, card, why, k)


def _explained(model: Model, queries: Queries, row: int, card: ItemCard, why: Explanation, k: int) -> dict[str, Any]:
    """An explanation as JSON."""
    found = {"item": asdict(card), "user_id": person.as_json(model, queries, row)["user_id"], "score": why.score}
    return found | {"history_items": len(why.history), "pushed_by": _pushes(model.data, why, k)}


def _show_explained(model: Model, card: ItemCard, why: Explanation, k: int) -> None:
    rows = _pushes(model.data, why, k)
    screen.say(f"{type(model).__name__} scores {_with_genres(card)} {why.score:.4g}; the items that raise it most:\n")
    screen.table(
        [TITLE, Column("push", right=True), Column("score without it", right=True)],
        [[str(r["title"] or r["item_id"]), _number(r["push"], "+.4f"), _number(r["score_without"])] for r in rows],
    )
    if np.isnan(why.without).any():
        screen.say("\n– : without this item the model knows no item of the history.", "dim")
    if more := max(0, len(why.history) - k):
        items = counted(more, "more history item")
        screen.say(f"\n{items}; show {either(more, 'it', 'them')} with -k {len(why.history)}.", "dim")


def _tell(
    fitted: Model, queries: Queries, recs: Recommendations, out: Path | None, *, everyone: bool, as_json: bool
) -> None:
    """Write the table, and print the answers."""
    if out is not None:
        write_submission(recs.to_frame(), out)
    rows = int((recs.item >= 0).sum())
    if as_json and everyone:
        screen.emit({"out": str(out), "users": len(recs), "rows": rows})
    elif as_json:
        person.emit([person.as_json(fitted, queries, row) | _ranked(fitted, recs, row) for row in range(len(queries))])
    elif not everyone:
        _show_answers(fitted, queries, recs)
    if out is not None and not as_json:
        screen.say(f"{counted(rows, 'recommendation')} for {counted(len(recs), 'user')} written to {out}")


def _check(everyone: bool, out: Path | None, *, named: bool) -> None:
    """Refuse options that do not fit together, before the model is loaded."""
    if out is not None:
        check_format(out)
    if everyone and named:
        raise MatineeError("--all stands for all users", hint="leave out --user and --history")
    if everyone and out is None:
        raise MatineeError("--all needs a file to write to", hint="add for example --out recommendations.parquet")


def _check_of(of_items: Mapping[str, object], *, many: bool) -> None:
    """Refuse what --of does not go with: many lists, and options of which items may be recommended."""
    if many:
        raise MatineeError("--of shows attributes for one list or a few", hint="leave out --all, --for-users and --out")
    if given := [name for name, value in of_items.items() if value]:
        names = " and ".join(given)
        what = f"{names} {either(len(given), 'says', 'say')} which items are recommended, and --of shows no items"
        raise MatineeError(what, hint=f"leave out {names}, or --of")


def _ranked(model: Model, recs: Recommendations, row: int) -> dict[str, Any]:
    """The recommendations of one query as JSON."""
    places = zip(count(1), _cards(model, recs, row), recs.score[row].tolist(), strict=False)
    rows = [{"rank": place, **asdict(card), "score": score} for place, card, score in places]
    return {"fallback": bool(recs.fallback[row]), "recommendations": rows}


def _cards(model: Model, recs: Recommendations, row: int) -> list[ItemCard]:
    return item_cards(model.data, recs.item[row][recs.item[row] >= 0])


def _pushes(data: Dataset, why: Explanation, k: int) -> list[dict[str, Any]]:
    """The k items that raise the score most, as JSON; items without which nothing is known come first."""
    order = np.argsort(-np.nan_to_num(why.push, nan=np.inf), kind="stable")[:k]
    rows = zip(item_cards(data, why.history[order]), why.push[order].tolist(), why.without[order].tolist(), strict=True)
    return [asdict(card) | {"push": push, "score_without": without} for card, push, without in rows]


def _show_answers(model: Model, queries: Queries, recs: Recommendations) -> None:
    """Each person and their list."""
    for row in range(len(queries)):
        if row:
            screen.say()
        person.show(model, queries, row)
        _show_ranked(model, recs, row, f"{person.not_known(model, queries, row)}, so these are popular items.")


def _with_genres(card: ItemCard) -> str:
    return f"{card.name} ({', '.join(card.genres)})" if card.genres else card.name


def _show_ranked(model: Model, recs: Recommendations, row: int, fallback: str) -> None:
    """Rank, title, year (where titles do not end in it), genres, score and id: only columns that are not empty."""
    if recs.fallback[row]:
        screen.say(fallback, "yellow")
    cards, scores = _cards(model, recs, row), recs.score[row].tolist()
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
