"""`data` and `models`: what there is, and what one of them holds."""

from __future__ import annotations

import inspect
import types
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

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
    Timestamp,
    UserId,
    Users,
)
from matinee.cli.screen import Column
from matinee.cli.sources import films, load_log, open_model
from matinee.study.values import format_value

if TYPE_CHECKING:
    from matinee.data.dataset import Dataset
    from matinee.explore.log import KeyFigures, Spread
    from matinee.models.base import Model

ROWS = 5


def register(app: typer.Typer) -> None:
    data = typer.Typer(help="Named data sets, and what a log holds.", epilog="Example: matinee data show ml-100k")
    data.callback(invoke_without_command=True)(_data)
    data.command("list", epilog="Example: matinee data list --data-dir ~/data")(list_data)
    data.command("show", epilog="Example: matinee data show log.csv --item-id film")(show_data)
    app.add_typer(data, name="data")
    models = typer.Typer(help="The models, and what a fitted one holds.", epilog="Example: matinee models show ease")
    models.callback(invoke_without_command=True)(_models)
    models.command("list", epilog="Example: matinee models list --json")(list_models)
    models.command("show", epilog="Example: matinee models show models/ease")(show_model)
    app.add_typer(models, name="models")


def _data(context: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_data(data_dir, as_json)


def _models(context: typer.Context, as_json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_models(as_json)


def list_data(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Every named data set: its size, where it lies, its licence."""
    from matinee.data.read import catalog

    rows: list[dict[str, Any]] = []
    for entry in catalog.ENTRIES.values():
        places = [catalog.cache_folder() / entry.name]
        if data_dir is not None:
            places.insert(0, data_dir / entry.name)
        here = next((str(place) for place in places if place.is_dir()), None)
        rows.append(
            {
                "name": entry.name,
                "title": entry.title,
                "events": entry.events,
                "users": entry.users,
                "items": entry.movies,
                "folder": here,
                "source": entry.url(),
                "licence": entry.licence,
            }
        )
    if as_json:
        screen.emit(rows)
        return
    right = [Column(name, right=True) for name in ("events", "users", "items")]
    counts = [[f"{row[c]:,}" for c in ("events", "users", "items")] for row in rows]
    where = [row["folder"] or ("to be fetched" if row["source"] else "to be brought") for row in rows]
    screen.table(
        [Column("name"), Column("title"), *right, Column("where", least=24, keep=False)],
        [[r["name"], r["title"], *n, place] for r, n, place in zip(rows, counts, where, strict=True)],
    )
    for licence in dict.fromkeys(row["licence"] for row in rows):
        who = ", ".join(row["name"] for row in rows if row["licence"] == licence)
        screen.say(f"\n{who}: {licence}", "dim")


def show_data(
    source: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="A data set, a file or a folder.", show_default=False)
    ],
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
    """Load a log: its key figures, its columns and its first rows."""
    from matinee.data.read.catalog import ENTRIES
    from matinee.data.side_table_report import side_table_report
    from matinee.explore import key_figures

    log = load_log(
        source,
        data_dir,
        columns={"user_id": user_id, "item_id": item_id, "rating": rating, "timestamp": timestamp},
        users=users,
        items=items,
        format=form,
        min_rating=min_rating,
        min_user_events=min_user_events,
        min_item_events=min_item_events,
    )
    figures, first, tables = key_figures(log), _first_rows(log), side_table_report(log)
    licence = ENTRIES[source].licence if source in ENTRIES else None
    if as_json:
        short = {
            name: value for name, value in asdict(figures).items() if name not in ("activity", "tail", "over_time")
        }
        levels = short.pop("ratings")
        screen.emit(
            {"name": log.name, "fingerprint": log.fingerprint, "licence": licence}
            | short
            | {"ratings": levels and dict(zip(levels["value"].tolist(), levels["counts"].tolist(), strict=True))}
            | {"columns": _columns(log), "side_tables": [asdict(table) for table in tables], "first_rows": first}
        )
        return
    screen.say(f"{log.name} [{log.fingerprint}]", "bold")
    known = [[f"{table.what[:-1]} table", str(table).partition(": ")[2]] for table in tables]
    screen.table([Column("", style="dim"), Column("", least=30)], _figures(figures, log) + known, header=False)
    screen.say()
    least = {"title": 20, "genres": 14}
    columns = [Column(name, right=name == "rating", least=least.get(name)) for name in first[0]]
    screen.table(columns, [[_shown(value) for value in row.values()] for row in first])
    if licence:
        screen.say(f"\nlicence: {licence}", "dim")


def _figures(found: KeyFigures, log: Dataset) -> list[list[str]]:
    """Key figures as (name, text)."""
    items = f"{found.n_items:,}"
    if found.n_catalogue > found.n_items:
        items += f" with events, of {found.n_catalogue:,} known"
    repeats = f", {found.repeated:,} of them repeats ({found.at_once:,} at once)" if found.repeated else ""
    rows = [
        ["events", f"{found.n_events:,}{repeats}"],
        ["users", f"{found.n_users:,}"],
        ["items", items],
        ["density", f"{found.density:.3%}"],
        ["events of a user", _spread(found.user_events)],
        ["events of an item", _spread(found.item_events)],
        ["popularity", f"the {found.top_items:,} most popular items have {found.top_share:.0%} of the events"],
    ]
    if log.value is not None:
        levels = "" if found.ratings is None else f", mean {found.ratings.mean:.2f}"
        rows.append(["ratings", f"{log.value.min():g} to {log.value.max():g}{levels}"])
    if found.first is not None and found.last is not None:
        rows.append(["time", f"{_day(found.first)} to {_day(found.last)}"])
    if found.tied:
        rows.append(["equal times", f"{found.tied:.0%} of a user's neighbouring events share their timestamp"])
    for name, columns in _columns(log).items():
        rows.append([name, ", ".join(columns)])
    return rows


def _spread(counts: Spread) -> str:
    return f"{counts.smallest:,} to {counts.largest:,}, median {counts.median:,.0f}, mean {counts.mean:,.1f}"


def _columns(log: Dataset) -> dict[str, list[str]]:
    tables = {"user columns": log.user_features, "item columns": log.item_features, "further columns": log.context}
    return {name: table.columns for name, table in tables.items() if table is not None and table.width}


def _first_rows(log: Dataset) -> list[dict[str, Any]]:
    """The log's first events, in words."""
    rows = []
    for r, film in enumerate(films(log, log.item[:ROWS])):
        row: dict[str, Any] = {"user": log.users.decode([log.user[r]])[0], "item": film.item_id}
        if film.title is not None:
            row["title"] = film.title
        if film.year is not None and f"({film.year})" not in film.name:
            row["year"] = film.year
        if film.genres:
            row["genres"] = list(film.genres)
        if log.value is not None:
            row["rating"] = float(log.value[r])
        if log.timestamp is not None:
            row["time"] = datetime.fromtimestamp(int(log.timestamp[r]), UTC).isoformat(" ", "minutes")[:16]
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _day(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).date().isoformat()


def list_models(as_json: Json = False) -> None:
    """Every model: the name that recipes and `fit` use, its class, what it is."""
    from matinee.models import registry

    rows = []
    for name, location in registry.locations().items():
        try:
            doc = _doc(registry.model_class(name)).partition("\n")[0]
        except ImportError as error:
            doc = f"(needs {error.name})"
        rows.append({"name": name, "class": location.partition(":")[2], "doc": doc})
    if as_json:
        screen.emit(rows)
        return
    screen.table([Column("name"), Column("class", style="dim"), Column("what it is", least=30)],
                 [list(row.values()) for row in rows])  # fmt: skip
    screen.say("\nmatinee models show NAME lists a model's hyper-parameters", "dim")


def show_model(
    name: Annotated[
        str, typer.Argument(metavar="NAME|MODEL_DIR", help="A registry name or a model's folder.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """A model's hyper-parameters and paper; of a fitted one also what it learned."""
    from matinee.models import registry

    folder = Path(name)
    fitted = None if name in registry.locations() or not folder.exists() else open_model(folder)
    cls = registry.model_class(name) if fitted is None else type(fitted)
    rows = _hyper_parameters(cls)
    if fitted is not None:
        values = fitted.model_dump(mode="json")
        rows = [{**row, "value": values[row["name"]]} for row in rows]
    found: dict[str, Any] = {
        "name": name if fitted is None else registry.name_of(fitted),
        "class": cls.__name__,
        "doc": _doc(cls),
        "hyper_parameters": rows,
    }
    if fitted is not None:
        found["fitted"] = _fitted(fitted, folder)
    if as_json:
        screen.emit(found)
        return
    screen.say(f"{found['name']} ({cls.__name__})", "bold")
    screen.say(found["doc"] + "\n")
    least = {"value": 12, "type": 8, "range": 8, "meaning": 20}
    names = ["name", *(["value"] if fitted is not None else []), "type", "default", "range", "meaning"]
    screen.table(
        [Column(n, least=least.get(n)) for n in names],
        [[format_value(row[n]) for n in names] for row in rows],
    )
    if fitted is not None:
        _show_fitted(found["fitted"])


def _hyper_parameters(cls: type[Model]) -> list[dict[str, Any]]:
    rows = []
    for name, field in cls.model_fields.items():
        extra = field.json_schema_extra
        rows.append(
            {
                "name": name,
                "type": _type(field.annotation),
                "default": field.get_default(call_default_factory=True) if not field.is_required() else "required",
                "range": _range(extra.get("tune") if isinstance(extra, dict) else None),
                "meaning": field.description or "",
            }
        )
    return rows


def _fitted(model: Model, folder: Path) -> dict[str, Any]:
    from matinee.store import read_manifest

    manifest = read_manifest(folder)
    return {
        "data": manifest.data_name,
        "fingerprint": manifest.data_fingerprint,
        "events": manifest.n_events,
        "users": len(model.users),
        "items": len(model.items),
        "matinee": manifest.matinee,
        "found": model.fit_summary,
        "arrays": _arrays(model),
        "files": {
            file.relative_to(folder).as_posix(): file.stat().st_size
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        },
    }


def _arrays(model: Model) -> list[dict[str, Any]]:
    """What a model learned, and what its members did, their names after those of their folders."""
    arrays = []
    for entry in fields(model.fitted.learned):
        value = getattr(model.fitted.learned, entry.name)
        if isinstance(value, tuple):
            members = [(f"{entry.name}/{number}", _arrays(member)) for number, member in enumerate(value)]
            arrays += [{**array, "name": f"{place}/{array['name']}"} for place, found in members for array in found]
        named = value if isinstance(value, dict) else {entry.name: value}
        arrays += [_array(name, array) for name, array in named.items() if hasattr(array, "shape") and name != "curve"]
    return arrays


def _array(name: str, value: Any) -> dict[str, Any]:
    stored = getattr(value, "nnz", None)
    return {
        "name": name,
        "shape": list(value.shape),
        "kind": f"{value.dtype}, {'dense' if stored is None else 'sparse'}",
        "parameters": int(value.size if stored is None else stored),
    }


def _show_fitted(found: dict[str, Any]) -> None:
    screen.say(
        f"\nfitted on {found['data']} [{found['fingerprint']}]: {found['events']:,} events, {found['users']:,} users, "
        f"{found['items']:,} items; saved by matinee {found['matinee']}\n"
    )
    if found["found"]:
        screen.say(f"found on valid: {found['found']}\n")
    columns = [Column("learned"), Column("shape"), Column("kind"), Column("parameters", right=True)]
    shape = " x ".join
    screen.table(
        columns,
        [[a["name"], shape(f"{n:,}" for n in a["shape"]), a["kind"], f"{a['parameters']:,}"] for a in found["arrays"]],
    )
    screen.say()
    sizes = [[name, f"{size / 1e6:,.2f} MB"] for name, size in found["files"].items()]
    screen.table([Column("file"), Column("size", right=True)], sizes)


def _doc(cls: type[Model]) -> str:
    """The docstring, a line a paragraph."""
    paragraphs = (inspect.getdoc(cls) or "").split("\n\n")
    return "\n\n".join(p if "\n " in p else " ".join(p.split()) for p in paragraphs)


def _type(annotation: Any) -> str:
    """A field's type as --set takes it: `float`, `float | none`, `tfidf | bm25`."""
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(_type(part) for part in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"[{_type(get_args(annotation)[0])}, ...]"
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, get_args(annotation)))
    if annotation is type(None):
        return "none"
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)


def _range(tune: Any) -> str:
    if not tune:
        return ""
    if "choices" in tune:
        return ", ".join(map(str, tune["choices"]))
    return f"{tune['low']:g} to {tune['high']:g}" + (" (log)" if tune.get("log") else "")
