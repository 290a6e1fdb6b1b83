"""`data`: the named data sets, and what a log holds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument

from matinee.cli import screen
from matinee.cli.options import DataDir, Json, LogOptions, takes_log_options
from matinee.cli.screen import Column
from matinee.cli.sniff import sniff_files
from matinee.data.dataset import Dataset
from matinee.data.items import item_cards
from matinee.data.moments import moment_of
from matinee.data.read import catalog
from matinee.data.read.formats import FORMATS, formats, reads_rating, recognised
from matinee.data.read.formats.base import Format
from matinee.data.read.log import OF_LOGS
from matinee.data.side_table_report import side_table_report
from matinee.errors import either, listed
from matinee.explore.log import KeyFigures, Spread, key_figures
from matinee.study.data_table import located

ROWS = 5
COUNTS = ("events", "users", "items")
HELP = "List the named data sets, or say what files hold."
group = typer.Typer(help=HELP, epilog="Example: matinee data show ml-100k")
group.command("sniff", epilog="Example: matinee data sniff log.csv items.csv")(sniff_files)


@group.callback(invoke_without_command=True)
def _data(context: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_data(data_dir, as_json)


@group.command("list", epilog="Example: matinee data list --data-dir ~/data")
def list_data(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the named data sets: size, place and licence."""
    rows = [_entry(entry, data_dir) for entry in catalog.ENTRIES.values()]
    if as_json:
        screen.emit(rows)
        return
    where = [row["folder"] or ("to be downloaded" if row["source"] else "no download") for row in rows]
    counts = [Column(name, right=True) for name in COUNTS]
    screen.table(
        [Column("name"), Column("title"), *counts, Column("where", least=24, keep=False)],
        [[r["name"], r["title"], *(f"{r[c]:,}" for c in COUNTS), place] for r, place in zip(rows, where, strict=True)],
    )
    for licence in dict.fromkeys(row["licence"] for row in rows):
        names = ", ".join(row["name"] for row in rows if row["licence"] == licence)
        screen.say(f"\n{names}: {licence}", "dim")


@group.command("formats", epilog="Example: matinee data formats")
def list_formats(as_json: Json = False) -> None:
    """List the formats of published sets that are read as they come."""
    rows = [{"name": f.name, "title": f.title, "files": f.files, "rows": f.rows} for f in formats()]
    if as_json:
        screen.emit(rows)
        return
    columns = [Column("name"), Column("files", least=24), Column("an event is", least=24)]
    screen.table(columns, [[row["name"], row["files"], row["rows"]] for row in rows])
    screen.say("\n--format NAME reads a file or folder so, and --format auto recognises it", "dim")


def _entry(entry: catalog.Entry, data_dir: Path | None) -> dict[str, Any]:
    places = [folder / entry.name for folder in (data_dir, catalog.cache_folder()) if folder is not None]
    size = {"events": entry.events, "users": entry.users, "items": entry.movies}
    place = {"folder": next((str(place) for place in places if place.is_dir()), None), "source": entry.url()}
    return {"name": entry.name, "title": entry.title} | size | place | {"licence": entry.licence}


@group.command("show", epilog="Example: matinee data show log.csv --item-id film")
@takes_log_options
def show_data(
    source: Annotated[str, Argument(metavar="NAME|PATH", help="A data set, a file or a folder.")],
    *,
    log_options: LogOptions,
    as_json: Json = False,
) -> None:
    """Load a log and show its key figures, columns and first rows."""
    log = log_options.load(source)
    figures, first, tables = key_figures(log), _first_rows(log), side_table_report(log)
    licence = catalog.ENTRIES[source].licence if source in catalog.ENTRIES else None
    read_as = _format(source, log_options)
    if as_json:
        found = {"name": log.name, "fingerprint": log.fingerprint, "licence": licence} | _numbers(figures)
        found |= {"format": read_as and read_as.name}
        tables_found = [asdict(table) for table in tables]
        screen.emit(found | {"columns": _columns(log), "side_tables": tables_found, "first_rows": first})
        return
    screen.say(f"{log.name} [{log.fingerprint}]", "bold")
    known = [] if read_as is None else [["format", f"{read_as.name}: {read_as.title}"]]
    known += [[f"{table.what[:-1]} table", str(table).partition(": ")[2]] for table in tables]
    screen.table([Column("", style="dim"), Column("", least=30)], _figures(figures, log) + known, header=False)
    screen.say()
    least = {"title": 20, "genres": 14}
    columns = [Column(name, right=name == "rating", least=least.get(name)) for name in first[0]]
    screen.table(columns, [[_shown(value) for value in row.values()] for row in first])
    if licence:
        screen.say(f"\nlicence: {licence}", "dim")


def _format(source: str, options: LogOptions) -> Format | None:
    """The format that a file or folder was read in, named or recognised."""
    if source in catalog.ENTRIES or options.format in FORMATS:
        return None if source in catalog.ENTRIES else FORMATS[str(options.format)]
    path = located(source, options.data_dir)
    told = any(getattr(options, name) not in (None, "none") for name in OF_LOGS if name != "rating")
    told |= options.rating not in (None, "none") and not reads_rating(path, "auto", options.rating)
    return recognised(path) if path.is_dir() or (options.format == "auto" and not told) else None


def _numbers(figures: KeyFigures) -> dict[str, Any]:
    """Key figures as JSON, without those that are for drawing."""
    found = {name: value for name, value in asdict(figures).items() if name not in ("activity", "tail", "over_time")}
    for name in ("ratings", "weights"):
        levels = found[name]
        found[name] = levels and dict(zip(levels["value"].tolist(), levels["counts"].tolist(), strict=True))
    return found


def _figures(found: KeyFigures, log: Dataset) -> list[list[str]]:
    """Key figures as rows of name and text."""
    unwatched = f" with events, of {found.n_catalogue:,} known" if found.n_catalogue > found.n_items else ""
    repeats = (
        f", {found.repeated:,} of them repeats ({found.at_once:,} directly after the same item)"
        if found.repeated
        else ""
    )
    top = either(found.top_items, "the most popular item has", f"the {found.top_items:,} most popular items have")
    rows = [
        ["events", f"{found.n_events:,}{repeats}"],
        ["users", f"{found.n_users:,}"],
        ["items", f"{found.n_items:,}{unwatched}"],
        ["density", f"{found.density:.3%}"],
        ["events of a user", _spread(found.user_events)],
        ["events of an item", _spread(found.item_events)],
        ["popularity", f"{top} {found.top_share:.0%} of the events"],
    ]
    if log.value is not None:
        levels = "" if found.ratings is None else f", mean {found.ratings.mean:.2f}"
        rows.append(["ratings", f"{log.value.min():g} to {log.value.max():g}{levels}"])
    rows += _events(found, log)
    if found.first is not None and found.last is not None:
        rows.append(["time", f"{moment_of(found.first):%Y-%m-%d} to {moment_of(found.last):%Y-%m-%d}"])
    if found.tied:
        rows.append(["equal times", f"{found.tied:.0%} of a user's neighbouring events share their timestamp"])
    return rows + [[name, ", ".join(columns)] for name, columns in _columns(log).items()]


def _events(found: KeyFigures, log: Dataset) -> list[list[str]]:
    """Kinds, weights and dislikes as rows of name and text, where the log has any."""
    rows: list[list[str]] = []
    if found.kinds is not None:
        named = [f"{kind} ({n:,})" for kind, n in found.kinds.items()]
        rows.append(["kinds", f"{listed(named)}; all count alike"])
    if (weights := found.weights) is not None and log.weight is not None:
        pairs = zip(weights.value.tolist(), weights.counts.tolist(), strict=True)
        levels = listed(f"{value:g} ({n:,})" for value, n in pairs)
        ends = f"{log.weight.min():g} to {log.weight.max():g}" if weights.binned else levels
        rows.append(["weights", f"{ends}, mean {weights.mean:.2f}"])
    if found.dislikes:
        rows.append(["dislikes", f"{found.dislikes:,}, no rows of the log"])
    return rows


def _spread(counts: Spread) -> str:
    return f"{counts.smallest:,} to {counts.largest:,}, median {counts.median:,.0f}, mean {counts.mean:,.1f}"


def _columns(log: Dataset) -> dict[str, list[str]]:
    tables = {"user columns": log.user_features, "item columns": log.item_features, "further columns": log.context}
    return {name: table.columns for name, table in tables.items() if table is not None and table.width}


def _first_rows(log: Dataset) -> list[dict[str, Any]]:
    """The first events of the log as JSON, with titles and times."""
    cards = item_cards(log, log.item[:ROWS])
    columns: dict[str, list[Any]] = {
        "user": log.users.decode(log.user[:ROWS]),
        "item": [card.item_id for card in cards],
        "title": [card.title for card in cards],
        "year": [card.year if card.name_without_year == card.name else None for card in cards],
        "genres": [list(card.genres) or None for card in cards],
    }
    if log.value is not None:
        columns["rating"] = log.value[:ROWS].tolist()
    if log.timestamp is not None:
        columns["time"] = [moment_of(second).isoformat(" ", "minutes")[:16] for second in log.timestamp[:ROWS].tolist()]
    known = {name: cells for name, cells in columns.items() if any(cell is not None for cell in cells)}
    return [dict(zip(known, row, strict=True)) for row in zip(*known.values(), strict=True)]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
