"""`fit`: one model on a whole log, saved."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.log_options import LogOptions, takes_log_options
from matinee.cli.options import Json, Settings, settings
from matinee.cli.sources import check_out
from matinee.data.dataset import Dataset
from matinee.models import registry
from matinee.models.base import Model
from matinee.store import save_model
from matinee.study.values import format_value


@takes_log_options
def fit(
    model: Annotated[str, Argument(metavar="MODEL", help="A name of `matinee models`.")],
    *,
    data: Annotated[str, Option(metavar="NAME|PATH", help="A named data set, a file or a folder.")] = "ml-100k",
    out: Annotated[Path | None, Option(metavar="DIR", help="Model folder.", show_default="models/MODEL")] = None,
    given: Settings = None,
    seed: Annotated[int, Option(min=0, help="Random seed.")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Option(help="Where nets are trained.")] = "auto",
    without_histories: Annotated[
        bool, Option("--without-histories", help="Do not save who watched what; --user will not work.")
    ] = False,
    log_options: LogOptions,
    as_json: Json = False,
) -> None:
    """Fit a model on a whole log and save it.

    To measure a model, `run` a recipe: it hides part of the log first.
    """
    made = registry.create(model, registry.from_text(model, settings(given)))
    target = Path("models", model) if out is None else out
    check_out(target)
    log = log_options.load(data)
    start = time.perf_counter()
    chosen: dict[str, Any] = {} if device == "auto" else {"device": device}
    made.fit(log, seed=seed, **chosen)
    seconds = time.perf_counter() - start
    save_model(made, target, histories=not without_histories)
    found = _summary(model, made, log, seconds, target)
    if as_json:
        screen.emit(found)
        return
    _show(found)
    if not without_histories:
        screen.say(f"next: matinee recommend {target} --user {log.users.ids[0]}", "dim")


def _summary(name: str, model: Model, log: Dataset, seconds: float, target: Path) -> dict[str, Any]:
    counts = {"events": len(log), "users": log.n_users, "items": log.n_items}
    return {
        "model": name,
        "hyper_parameters": model.model_dump(mode="json"),
        "data": {"name": log.name, "fingerprint": log.fingerprint} | counts,
        "seconds": seconds,
        "out": str(target),
        "bytes": sum(file.stat().st_size for file in target.rglob("*") if file.is_file()),
    }


def _show(found: dict[str, Any]) -> None:
    data = found["data"]
    screen.say(format_value({"name": found["model"], **found["hyper_parameters"]}))
    screen.say(f"fitted on {data['name']}: {data['events']:,} events, {data['users']:,} users, {data['items']:,} items")
    screen.say(f"in {found['seconds']:.2f} s, saved to {found['out']} ({found['bytes'] / 1e6:,.1f} MB)")
