"""`fit`: one model on a whole log, saved."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from matinee.cli import screen
from matinee.cli.options import (
    DataDir,
    Format,
    ItemId,
    Items,
    Json,
    MinItemEvents,
    MinRating,
    MinUserEvents,
    Rating,
    Settings,
    Timestamp,
    UserId,
    Users,
    settings,
)
from matinee.cli.sources import check_out, load_log
from matinee.study.values import format_value


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: matinee fit ease --data ml-100k --set l2=200 --out models/ease")(fit)


def fit(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Its name: `matinee models` lists them.", show_default=False)
    ],
    data: Annotated[
        str, typer.Option("--data", metavar="NAME|PATH", help="A file, a folder, or a name of `matinee data`.")
    ] = "ml-100k",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the model goes.", show_default="models/MODEL")
    ] = None,
    given: Settings = None,
    seed: Annotated[int, typer.Option(min=0, help="Of whatever the model draws.")] = 0,
    without_histories: Annotated[
        bool, typer.Option("--without-histories", help="Leave out who watched what: no --user later.")
    ] = False,
    data_dir: DataDir = None,
    user_id: UserId = None,
    item_id: ItemId = None,
    rating: Rating = None,
    timestamp: Timestamp = None,
    users: Users = None,
    items: Items = None,
    form: Format = "log",
    min_rating: MinRating = None,
    min_user_events: MinUserEvents = 0,
    min_item_events: MinItemEvents = 0,
    as_json: Json = False,
) -> None:
    """Fit a model on a whole log and save it.

    To know how good it is, `run` a recipe: it hides part of the log first.
    """
    from matinee.models import registry
    from matinee.store import save_model

    made = registry.create(model, registry.from_text(model, settings(given)))
    target = Path("models", model) if out is None else out
    check_out(target)
    columns = {"user_id": user_id, "item_id": item_id, "rating": rating, "timestamp": timestamp}
    log = load_log(
        data,
        data_dir,
        columns=columns,
        users=users,
        items=items,
        format=form,
        min_rating=min_rating,
        min_user_events=min_user_events,
        min_item_events=min_item_events,
    )
    start = time.perf_counter()
    made.fit(log, seed=seed)
    seconds = time.perf_counter() - start
    save_model(made, target, histories=not without_histories)
    found = {
        "model": model,
        "hyper_parameters": made.model_dump(mode="json"),
        "data": {"name": log.name, "fingerprint": log.fingerprint}
        | {"events": len(log), "users": log.n_users, "items": log.n_items},
        "seconds": seconds,
        "out": str(target),
        "bytes": sum(file.stat().st_size for file in target.rglob("*") if file.is_file()),
    }
    if as_json:
        screen.emit(found)
        return
    _show(found)
    if not without_histories:
        screen.say(f"next: matinee recommend {target} --user {log.users.ids[0]}", "dim")


def _show(found: dict[str, Any]) -> None:
    data = found["data"]
    screen.say(format_value({"name": found["model"], **found["hyper_parameters"]}))
    screen.say(f"fitted on {data['name']}: {data['events']:,} events, {data['users']:,} users, {data['items']:,} items")
    screen.say(f"in {found['seconds']:.2f} s, saved to {found['out']} ({found['bytes'] / 1e6:,.1f} MB)")
