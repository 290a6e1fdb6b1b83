"""`data sniff`: what files look like, and the [data] table that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument

from matinee.cli import screen
from matinee.cli.options import Json, ReadingOptions, takes_reading_options
from matinee.cli.screen import Column
from matinee.data.read.sniff import given_options, sniff
from matinee.data.read.sniffed import Sniffed
from matinee.errors import counted, worded_for

SIGNS = {"\t": "tab", " ": "spaces", ",": "comma", ";": "semicolon", "|": "pipe"}
Files = Annotated[list[Path], Argument(metavar="FILE...", help="Files or folders.")]


@takes_reading_options
def sniff_files(files: Files, *, reading: ReadingOptions, as_json: Json = False) -> None:
    """Say what files look like, with the [data] table to paste.

    Read are the first 4 MB, and the last one where a file is not compressed. Options are of the first file, a log.
    """
    options = reading.given()
    with worded_for("command"):
        given_options(options)  # what is wrong with them is said in the words of the command
    with worded_for("recipe"):
        found = [sniff(file, **(options if n == 0 else {})) for n, file in enumerate(files)]
    if options and found[0].problem is not None:
        with worded_for("command"):  # the options are what is wrong
            found[0] = sniff(files[0], **options)
    if as_json:
        screen.emit({"files": [each.to_dict() for each in found]})
        return
    for number, each in enumerate(found):
        if number:
            screen.say()
        _show(each)


def _show(found: Sniffed) -> None:
    screen.say(found.path, "bold")
    facts = [[name, text] for name, text in _facts(found).items() if text]
    screen.table([Column("", style="dim"), Column("", least=30)], facts, header=False)
    for each in found.files:
        screen.say(f"  {Path(each.path).name}: {in_a_line(each)}")
    if found.first_rows:
        screen.say()
        names = list(found.first_rows[0])
        rows = [[cell(row[name]) for name in names] for row in found.first_rows]
        screen.table([Column(name, least=10, keep=n < 4) for n, name in enumerate(names)], rows)
    if found.doubts:
        screen.say("\ndoubts:")
        for doubt in found.doubts:
            screen.say(f"  * {doubt}")
    if found.toml:
        typer.echo(f"\n{found.toml}")  # not folded: it is to be pasted


def _facts(found: Sniffed) -> dict[str, str]:
    """Name -> text, "" for what there is not."""
    return {
        "looks like": _kind(found),
        "read": "" if found.kind == "folder" or found.file == "other" else found.read,
        "written as": _written(found),
        "columns": _columns(found),
        "rows": rows_in_words(found),
        "times": _times(found),
    }


def _kind(found: Sniffed) -> str:
    what = {"log": "a log", "items": "a table of items", "users": "a table of users", "folder": "a folder"}
    known = f" in the format {found.format}" if found.format else ""
    text = what.get(found.kind, "no log") + known
    return f"{text}: {found.problem}" if found.problem else text


def _written(found: Sniffed) -> str:
    if found.file in ("other", "folder"):
        return ""
    parts = [{"text": "text", "json": "JSON lines", "parquet": "Parquet"}[found.file], found.encoding or ""]
    parts.append(f"compressed ({found.compression})" if found.compression else "")
    parts.append(f"{SIGNS.get(found.separator, found.separator)} between columns" if found.separator else "")
    parts.append("" if found.header is None else "with a header" if found.header else "without a header")
    parts.append("" if found.header is None else f"quoted by {found.quote}" if found.quote else "nothing quoted")
    return ", ".join(part for part in parts if part)


def _columns(found: Sniffed) -> str:
    shown = [f"{name} ({role})" if role else name for name, role in (found.columns or {}).items()]
    return ", ".join(shown[:20]) + (f", and {len(shown) - 20} more" if len(shown) > 20 else "")


def rows_in_words(found: Sniffed) -> str:
    """How many rows there are, and whether they were counted."""
    if found.rows is None:
        return "" if found.kind == "other" or found.kind == "folder" else "not known, since the file is compressed"
    if found.rows_exact:
        return f"{found.rows:,}"
    return f"about {float(f'{found.rows:.2g}'):,.0f}, by the bytes of those that were read"


def _times(found: Sniffed) -> str:
    how = {"s": "Unix seconds", "ms": "Unix milliseconds", "us": "Unix microseconds", "ns": "Unix nanoseconds"}
    text = "" if found.time is None else how.get(found.time, found.time)
    if found.first is None or found.last is None:
        return text
    span = f"{found.first:%Y-%m-%d %H:%M} to {found.last:%Y-%m-%d %H:%M}"
    part = "" if found.read == "all of it" else " in what was read"
    return f"{span}{part}" + (f" ({text})" if text else "")


def in_a_line(found: Sniffed) -> str:
    """A file of a folder."""
    if found.kind in ("other", "folder") and found.problem:
        return found.problem
    columns = f" of {', '.join(list(found.columns)[:6])}" if found.columns else ""
    rows = "" if found.rows is None else f", {'' if found.rows_exact else 'about '}{counted(found.rows, 'row')}"
    return f"{_kind(found)}{columns}{rows}"


def cell(value: Any) -> str:
    """A value of a row, short enough for a table."""
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
