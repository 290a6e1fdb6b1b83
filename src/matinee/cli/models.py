"""`models`: the models there are, and what a fitted one holds."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import Json, LogOptions, takes_log_options
from matinee.cli.screen import Column
from matinee.cli.sources import open_model
from matinee.data.dataset import Dataset
from matinee.errors import MatineeError, counted
from matinee.files import free_bytes
from matinee.models import names, registry
from matinee.models.base import Model
from matinee.models.fits import fits_here
from matinee.models.hyper_parameters import describe, learned_arrays, weights_used
from matinee.models.needs import readable
from matinee.profiling import available_memory
from matinee.store import read_manifest
from matinee.study.values import format_value

LEAST = {"value": 12, "type": 8, "range": 8, "meaning": 20}
HELP = "List models, show a fitted one, or what fits here."
DATA = "A named data set, a file or a folder: show which models can be fitted on it here."
SIZE = "The same for a log of this size, e.g. 6040,3706,1000209."
group = typer.Typer(help=HELP, epilog="Example: matinee models show ease")


@group.callback(invoke_without_command=True)
@takes_log_options
def _models(
    context: typer.Context,
    *,
    data: Annotated[str | None, Option(metavar="NAME|PATH", help=DATA)] = None,
    size: Annotated[str | None, Option(metavar="USERS,ITEMS,EVENTS", help=SIZE)] = None,
    log_options: LogOptions,
    as_json: Json = False,
) -> None:
    given = data is not None, size is not None
    if context.invoked_subcommand is not None and any(given):
        what = f"--data and --size are for `matinee models` alone, not for {context.invoked_subcommand}"
        raise MatineeError(what, hint="leave the word out to see what fits")
    if all(given):
        raise MatineeError("both --data and --size are given", hint="keep one of them")
    if data is not None:
        show_fits(log_options.load(data), as_json)
    elif size is not None:
        show_fits(log_sizes(size), as_json)
    elif context.invoked_subcommand is None:
        list_models(as_json)


def log_sizes(text: str) -> tuple[int, int, int]:
    """ "6040,3706,1000209" -> (users, items, events)."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        what = f"--size {text}: expected three positive whole numbers, users, items and events"
        raise MatineeError(what, hint="write for example --size 6040,3706,1000209")
    users, items, events = map(int, parts)
    return users, items, events


def show_fits(data: Dataset | tuple[int, int, int], as_json: bool) -> None:
    """A table of what fits this machine."""
    rows = fits_here(data).to_dicts()
    memory, disk = available_memory(), free_bytes(".")
    if as_json:
        screen.emit({"memory_free_bytes": memory, "disk_free_bytes": disk, "models": rows})
        return
    columns = [Column("model"), Column("memory", right=True), Column("disk", right=True), Column("fits")]
    words = {True: "yes", False: "no", None: "unknown"}
    cells = [
        [row["model"], readable(row["memory_bytes"]), readable(row["disk_bytes"]), words[row["fits"]], row["note"]]
        for row in rows
    ]
    screen.table([*columns, Column("why not", least=20)], cells)
    free = [f"{name} {'unknown' if n is None else readable(n)}" for name, n in (("memory", memory), ("disk", disk))]
    screen.say(f"\nfree: {', '.join(free)}; memory is the peak of a fit beyond the log, with default settings", "dim")


@group.command("list", epilog="Example: matinee models list --json")
def list_models(as_json: Json = False) -> None:
    """List the models: name, class and description."""
    rows = []
    for name, location in names.locations().items():
        try:
            doc = _doc(registry.model_class(name)).partition("\n")[0]
        except ImportError as error:
            doc = f"(needs {error.name})"
        rows.append({"name": name, "class": location.partition(":")[2], "doc": doc})
    if as_json:
        screen.emit(rows)
        return
    columns = [Column("name"), Column("class", style="dim"), Column("description", least=30)]
    screen.table(columns, [list(row.values()) for row in rows])
    screen.say("\nmatinee models show NAME lists a model's hyper-parameters", "dim")


@group.command("show", epilog="Example: matinee models show models/ease")
def show_model(
    name: Annotated[str, Argument(metavar="NAME|MODEL_DIR", help="A model's name or folder.")], as_json: Json = False
) -> None:
    """Show a model's hyper-parameters, and what a fitted one learned."""
    folder = Path(name)
    fitted = None if name in names.locations() or not folder.exists() else open_model(folder)
    cls = registry.model_class(name) if fitted is None else type(fitted)
    columns = ["name", *(["value"] if fitted is not None else []), "type", "default", "range", "meaning"]
    rows = [{column: getattr(each, column) for column in columns} for each in describe(fitted or cls)]
    found: dict[str, Any] = {
        "name": name if fitted is None else registry.name_of(fitted),
        "class": cls.__name__,
        "doc": _doc(cls),
        "weights_of_events": weights_used(fitted or cls),
        "hyper_parameters": rows,
    }
    if fitted is not None:
        found["fitted"] = _fitted(fitted, folder)
    if as_json:
        screen.emit(found)
        return
    screen.say(f"{found['name']} ({cls.__name__})", "bold")
    screen.say(found["doc"] + "\n")
    screen.say(f"weights of events: {found['weights_of_events']}\n")
    screen.table(
        [Column(column, least=LEAST.get(column)) for column in columns],
        [[format_value(value) for value in row.values()] for row in rows],
    )
    if fitted is not None:
        _show_fitted(found["fitted"])


def _fitted(model: Model, folder: Path) -> dict[str, Any]:
    """What a fitted model holds, as JSON."""
    manifest = read_manifest(folder)
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {
        "data": manifest.data_name,
        "fingerprint": manifest.data_fingerprint,
        "events": manifest.n_events,
        "users": len(model.users),
        "items": len(model.items),
        "matinee": manifest.matinee,
        "found": model.fit_summary,
        "arrays": [asdict(array) for array in learned_arrays(model)],
        "files": {file.relative_to(folder).as_posix(): file.stat().st_size for file in files},
    }


def _show_fitted(found: dict[str, Any]) -> None:
    of_log = [counted(found[name], name[:-1]) for name in ("events", "users", "items")]
    log = f"{found['data']} [{found['fingerprint']}]: {', '.join(of_log)}"
    screen.say(f"\nfitted on {log}; saved by matinee {found['matinee']}\n")
    if found["found"]:
        screen.say(f"found on valid: {found['found']}\n")
    columns = [Column("learned"), Column("shape"), Column("kind"), Column("parameters", right=True)]
    shapes = [" x ".join(f"{n:,}" for n in array["shape"]) for array in found["arrays"]]
    rows = zip(found["arrays"], shapes, strict=True)
    screen.table(columns, [[a["name"], shape, a["kind"], f"{a['parameters']:,}"] for a, shape in rows])
    screen.say()
    sizes = [[name, f"{size / 1e6:,.2f} MB"] for name, size in found["files"].items()]
    screen.table([Column("file"), Column("size", right=True)], sizes)


def _doc(cls: type[Model]) -> str:
    """The docstring, a line a paragraph."""
    paragraphs = inspect.cleandoc(cls.about).split("\n\n")
    return "\n\n".join(p if "\n " in p else " ".join(p.split()) for p in paragraphs)
