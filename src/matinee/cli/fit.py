"""`fit` and `export`: models in folders that stand alone."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import TRACK, Json, LogOptions, Settings, Text, settings, takes_log_options
from matinee.cli.sources import check_out
from matinee.data.frames import sizes_of
from matinee.errors import worded_for
from matinee.models import registry
from matinee.models.fits import announce
from matinee.store import MANIFEST, export_model, save_model
from matinee.study.tracking import check_tracker, tracking
from matinee.study.values import format_value

OVERWRITE = Option("--overwrite", help="Replace the model in the folder.")
NO_HISTORIES = Option("--without-histories", help="Do not save who watched what; --user will not work.")


@takes_log_options
def fit(
    model: Annotated[str, Argument(metavar="MODEL", help="A model's name; `matinee models` lists them.")],
    *,
    data: Annotated[str, Option(metavar="NAME|PATH", help="A named data set, a file or a folder.")] = "ml-100k",
    out: Annotated[Path | None, Option(metavar="DIR", help="Model folder.", show_default="models/MODEL")] = None,
    given: Settings = None,
    seed: Annotated[int, Option(min=0, help="Random seed.")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Option(help="Where nets are trained.")] = "auto",
    without_histories: Annotated[bool, NO_HISTORIES] = False,
    overwrite: Annotated[bool, OVERWRITE] = False,
    track: Annotated[Text, TRACK] = None,
    log_options: LogOptions,
    as_json: Json = False,
) -> None:
    """Fit a model on a whole log and save it.

    To measure a model, `run` a recipe: it hides part of the log first.
    """
    made = registry.create(model, registry.from_text(model, settings(given)))
    target = Path("models", model) if out is None else out
    check_out(target, overwrite=overwrite)
    check_tracker(track)
    log = log_options.load(data)
    announce(made, log, target)
    hyper_parameters = made.model_dump(mode="json")
    with tracking(track, f"{model} on {log.name}") as tracked:
        nested = tracked.nested(model, {"model": model, "seed": seed, **hyper_parameters})
        start = time.perf_counter()
        with worded_for("command"):
            made.fit(log, seed=seed, device=device, **nested.hook)
        seconds = time.perf_counter() - start
        save_model(made, target, histories=not without_histories)
        nested.metrics({"fit_seconds": seconds})
        nested.end()
        tracked.artefacts([target / MANIFEST])
    if as_json:
        with_events = (int((counts > 0).sum()) for counts in (log.user_counts(), log.item_counts()))
        counts = {"events": len(log), **dict(zip(("users", "items"), with_events, strict=True))}
        data_found = {"name": log.name, "fingerprint": log.fingerprint, **counts}
        found = {"model": model, "hyper_parameters": hyper_parameters, "data": data_found, "seconds": seconds}
        screen.emit(found | {"out": str(target), "bytes": _size(target)})
        return
    screen.say(format_value({"name": model, **hyper_parameters}))
    screen.say(f"fitted on {log.name}: {sizes_of(log)}")
    screen.say(f"in {seconds:.2f} s, saved to {target} ({_size(target) / 1e6:,.1f} MB)")
    if not without_histories:
        command = ["matinee", "recommend", str(target), "--user", str(log.users.ids[0])]
        screen.say(f"next: {shlex.join(command)}", "dim")


def export(
    run: Annotated[Path, Argument(metavar="RUN", help="The folder of a run.")],
    label: Annotated[str, Argument(metavar="LABEL", help="A model of the run.")],
    out: Annotated[Path, Option(metavar="DIR", help="Where the model goes.")],
    overwrite: Annotated[bool, OVERWRITE] = False,
    as_json: Json = False,
) -> None:
    """Copy a model of a run to a folder that stands alone.

    The models of a run share their log. The new folder has a copy of it and needs nothing from the run.
    """
    check_out(out, overwrite=overwrite)
    export_model(run, label, out)
    if as_json:
        screen.emit({"run": str(run), "label": label, "out": str(out), "bytes": _size(out)})
        return
    screen.say(f"{label} of {run} saved to {out} ({_size(out) / 1e6:,.1f} MB)")


def _size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
