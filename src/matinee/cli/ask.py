"""`recommend`, `similar` and `explain`: questions to a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli import screen
from matinee.cli.options import At, History, Json, K, ModelDir, User
from matinee.cli.screen import Column
from matinee.cli.sources import ItemCard, asked_at, build_query, films, item_codes, open_model
from matinee.errors import MatineeError

if TYPE_CHECKING:
    from matinee.data.arrays import Ints
    from matinee.data.dataset import Dataset, Queries
    from matinee.models.base import Model
    from matinee.rank import Recommendations

FORMATS = (".parquet", ".csv", ".jsonl")
SHOWN = 5  # items of a history


def register(app: typer.Typer) -> None:
    app.command(epilog='Example: matinee recommend models/ease --history "Toy Story (1995)" --history "Heat (1995)"')(
        recommend
    )
    app.command(epilog='Example: matinee similar models/ease "Toy Story (1995)" -k 5')(similar)
    app.command(epilog='Example: matinee explain models/ease --user 196 --item "Fargo (1996)"')(explain)


def recommend(
    model_dir: ModelDir,
    user: User = None,
    history: History = None,
    everyone: Annotated[bool, typer.Option("--all", help="Everyone in the model's log, into the file --out.")] = False,
    k: K = 10,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="ITEM", help="Recommend only these: a title, an id or @FILE; repeatable."),
    ] = None,
    deny: Annotated[
        list[str] | None, typer.Option(metavar="ITEM", help="Never recommend these: a title, an id or @FILE.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a table too: .parquet, .csv or .jsonl.")
    ] = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="What was watched may come again.")] = False,
    at: At = None,
    as_json: Json = False,
) -> None:
    """Recommend to a user of the log, to someone new, or to all."""
    if out is not None and out.suffix not in FORMATS:
        raise MatineeError(f"unknown kind of file {out.suffix!r}", where=str(out), hint=f"name it {', '.join(FORMATS)}")
    if everyone and (user is not None or history):
        raise MatineeError("--all asks for everyone", hint="leave out --user and --history")
    if everyone and out is None:
        raise MatineeError("--all needs a file to write to", hint="add for example --out recommendations.parquet")
    from matinee.rank import recommend as ranked

    model = open_model(model_dir)
    rules: dict[str, Any] = {
        name: None if given is None else model.data.items.decode(item_codes(given, model.data))
        for name, given in (("allow", allow), ("deny", deny))
    }
    queries = (
        _everyone(model, exclude_seen=not include_seen)
        if everyone
        else build_query(model, user, history, exclude_seen=not include_seen)
    )
    queries = asked_at(queries, at)
    recs = ranked(model, queries, k, **rules, progress=everyone)
    if out is not None:
        _write(recs, out)
    if everyone:
        found = {"out": str(out), "users": len(recs), "rows": int((recs.item >= 0).sum())}
        if as_json:
            screen.emit(found)
        else:
            screen.say(f"{found['rows']:,} recommendations for {len(recs):,} users written to {out}")
        return
    answer = _answer(model, queries, recs)
    if as_json:
        screen.emit({"user_id": _user_id(model, queries)} | answer)
        return
    _show_history(model, queries)
    if recs.fallback[0]:
        screen.say("The model knows nothing of this history: what follows is what is popular.", "yellow")
    _show_items(films(model.data, _codes(recs)), recs.score[0], k)
    if out is not None:
        screen.say(f"written to {out}")


def similar(
    model_dir: ModelDir,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="A title or an id.", show_default=False)],
    k: K = 10,
    as_json: Json = False,
) -> None:
    """What a model recommends to someone who watched one item."""
    from matinee.rank import similar_items

    model = open_model(model_dir)
    code = item_codes([item], model.data)[0]
    recs = similar_items(model, model.data.items.decode([code]), k)
    this = films(model.data, [code])[0]
    if as_json:
        screen.emit({"item": this.as_dict()} | _ranked(model, recs))
        return
    screen.say(f"like {this.name}{_genres_of(this)}:\n")
    if recs.fallback[0]:
        screen.say("The model never saw this item: what follows is what is popular.", "yellow")
    _show_items(films(model.data, _codes(recs)), recs.score[0], k)


def explain(
    model_dir: ModelDir,
    item: Annotated[str, typer.Option("--item", metavar="TITLE_OR_ID", help="What to explain.", show_default=False)],
    user: User = None,
    history: History = None,
    k: K = 10,
    at: At = None,
    as_json: Json = False,
) -> None:
    """Which items of a history push an item up.

    The item's score for the whole history, and without each of its items.
    """
    import numpy as np

    from matinee.explain import explain as explained

    model = open_model(model_dir)
    queries = asked_at(build_query(model, user, history), at)
    code = item_codes([item], model.data)[0]
    why = explained(model, queries, code)
    order = np.argsort(-np.nan_to_num(why.push, nan=np.inf), kind="stable")[:k]
    this, pushing = films(model.data, [code])[0], films(model.data, why.history[order])
    rows: list[dict[str, Any]] = [
        film.as_dict() | {"push": float(why.push[i]), "score_without": float(why.without[i])}
        for film, i in zip(pushing, order, strict=True)
    ]
    if as_json:
        screen.emit(
            {
                "item": this.as_dict(),
                "user_id": _user_id(model, queries),
                "score": why.score,
                "history_items": len(why.history),
                "pushed_by": rows,
            }
        )
        return
    _show_history(model, queries)
    screen.say(f"{type(model).__name__} scores {this.name}{_genres_of(this)} {why.score:.4g}; pushed up most by\n")
    columns = [Column("title", least=20), Column("push", right=True), Column("score without it", right=True)]
    cells = [
        [str(r["title"] or r["item_id"]), _number(r["push"], sign=True), _number(r["score_without"])] for r in rows
    ]
    screen.table(columns, cells)
    if np.isnan(why.without).any():
        screen.say("\n– : without this item nothing of the history is known, and popularity would answer.", "dim")
    if len(why.history) > k:
        screen.say(f"\n{len(why.history) - k} more history items; show them with -k {len(why.history)}.", "dim")


def _everyone(model: Model, *, exclude_seen: bool) -> Queries:
    if not len(model.data):
        raise MatineeError(
            "this model was saved without histories, so it does not know what its users watched",
            hint="fit again without --without-histories",
        )
    return model.data.queries(exclude_seen=exclude_seen)


def _write(recs: Recommendations, out: Path) -> None:
    from matinee.files import atomic_path

    frame = recs.to_frame()
    with atomic_path(out) as temp:
        if out.suffix == ".parquet":
            frame.write_parquet(temp)
        elif out.suffix == ".csv":
            frame.write_csv(temp)
        else:
            frame.write_ndjson(temp)


def _answer(model: Model, queries: Queries, recs: Recommendations) -> dict[str, Any]:
    watched = films(model.data, queries.history[0])
    return {"history": [film.as_dict() for film in watched[-SHOWN:]], "history_items": len(watched)} | _ranked(
        model, recs
    )


def _ranked(model: Model, recs: Recommendations) -> dict[str, Any]:
    items = zip(films(model.data, _codes(recs)), recs.score[0].tolist(), strict=False)
    return {
        "fallback": bool(recs.fallback[0]),
        "recommendations": [
            {"rank": rank, **film.as_dict(), "score": score} for rank, (film, score) in enumerate(items, start=1)
        ],
    }


def _codes(recs: Recommendations) -> list[int]:
    return [code for code in recs.item[0].tolist() if code >= 0]


def _user_id(model: Model, queries: Queries) -> int | str | None:
    code = int(queries.user[0])
    return model.users.decode([code])[0] if code >= 0 else None


def _show_history(model: Model, queries: Queries) -> None:
    codes = queries.history[0]
    user = _user_id(model, queries)
    watched = films(model.data, codes[-SHOWN:])
    if user is None:
        screen.say(f"for someone who watched {_listed(codes, model.data)}\n")
        return
    last = f", the last {len(watched)}" if len(codes) > len(watched) else ""
    screen.say(f"user {user} watched {len(codes)} items{last}:")
    screen.table(
        [Column("title", least=20), Column("genres", style="dim", least=14)],
        [["  " + film.name, ", ".join(film.genres)] for film in watched],
        header=False,
    )
    screen.say()


def _listed(codes: Ints, data: Dataset) -> str:
    return ", ".join(film.name for film in films(data, codes))


def _genres_of(film: ItemCard) -> str:
    return f" ({', '.join(film.genres)})" if film.genres else ""


def _show_items(found: Sequence[ItemCard], scores: Sequence[float], k: int) -> None:
    """rank, title, year (where titles do not end in it), genres, score, id: only columns with something in them."""
    if not found:
        screen.say("nothing is left to recommend")
        return
    titles = any(film.title is not None for film in found)
    years = any(film.year is not None and f"({film.year})" not in film.name for film in found)
    columns: list[tuple[Column, list[str]]] = [(Column("#", right=True), [str(r + 1) for r in range(len(found))])]
    if titles:
        columns.append((Column("title", least=20), [film.name for film in found]))
    if years:
        columns.append((Column("year", right=True), [str(film.year or "") for film in found]))
    if any(film.genres for film in found):
        columns.append((Column("genres", style="dim", least=14), [", ".join(film.genres) for film in found]))
    columns.append((Column("score", right=True), [_number(score) for score in scores[: len(found)]]))
    columns.append((Column("id", right=True, style="dim"), [str(film.item_id) for film in found]))
    screen.table([c for c, _ in columns], list(zip(*(cells for _, cells in columns), strict=True)))
    if len(found) < k:
        screen.say(f"\n{len(found)} of the {k} asked for: nothing else may be recommended.", "dim")


def _number(value: float, *, sign: bool = False) -> str:
    if value != value:
        return "–"
    return f"{value:+.4f}" if sign else f"{value:,.4f}" if abs(value) < 1000 else f"{value:,.0f}"
