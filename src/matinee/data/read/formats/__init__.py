"""Formats of published data sets, read as they come: by their names, or recognised by what is in them.

    mt.read("combined_data_1.txt", format="netflix_prize")
    mt.read("folder", format="auto")

Each format is one entry of FORMATS. Most are a few lines in logs.py, ratings.py, json_lines.py or folders.py; the
irregular ones have a file of their own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from matinee.data.read.assemble import RawTables
from matinee.data.read.formats import (
    book_crossing,
    folders,
    json_lines,
    lists,
    logs,
    mind,
    movielens,
    netflix,
    playlists,
    ratings,
    tables,
)
from matinee.data.read.formats.base import Format
from matinee.errors import MatineeError, suggestion
from matinee.files import StrPath

AUTO = "auto"
_ENTRIES = (
    movielens.FORMAT,
    netflix.FORMAT,
    book_crossing.FORMAT,
    *json_lines.FORMATS,
    *ratings.FORMATS,
    *logs.FORMATS,
    *mind.FORMATS,
    *playlists.FORMATS,
    *lists.FORMATS,
    *tables.FORMATS,
    *folders.FORMATS,
)
FORMATS = {entry.name: entry for entry in _ENTRIES}


def formats() -> tuple[Format, ...]:
    """The formats that `read` knows by name: what their files are called, and what becomes an event and a rating.

    Example: `[known.name for known in mt.formats()]`
    """
    return _ENTRIES


def recognised(path: StrPath) -> Format | None:
    """The one format a file or folder is in, by names and content. None where it is in none, or could be in several."""
    found = candidates(Path(path))
    return found[0] if len(found) == 1 else None


def candidates(path: Path) -> list[Format]:
    """All formats that a file or folder could be in."""
    return [entry for entry in _ENTRIES if path.exists() and entry.recognises(path)]


def reads_rating(path: Path, name: str, rating: object) -> bool:
    """Whether this column of ratings may be named in this format, or in the one that a file is recognised as."""
    entry = FORMATS[name] if name != AUTO else recognised(path)
    return entry is not None and entry.rating is not None and entry.rating == rating


def read_known(path: Path, name: str = AUTO, *, rating: object = AUTO, time: bool = True) -> RawTables | None:
    """All tables of a file or folder in this format. "auto": in the one it is recognised as; None for a file that is in
    none, or could be in several. rating None, time False: they are not read. rating: the format's own column of them,
    where 0 means "not rated": the rated rows alone are read.

    Raises MatineeError for an unknown format, for a folder in none or several, and for what is wrong in a file.
    """
    if name != AUTO and name not in FORMATS:
        raise MatineeError(f"unknown format {name!r}", hint=suggestion(name, FORMATS))
    if not path.exists():
        raise MatineeError("there is no such file or folder", where=str(path), hint="check the path")
    entry = _of_folder(path) if name == AUTO and path.is_dir() else recognised(path) if name == AUTO else FORMATS[name]
    if entry is None:
        return None
    rated = False if rating is None else True if rating == entry.rating else None
    parts = entry.read(replace(entry.source(path), rated=rated))
    log = parts.log if rating is not None else replace(parts.log, rating=None)
    return replace(parts, log=log if time else replace(log, times=None))


def _of_folder(folder: Path) -> Format:
    """The format of a folder. Raises MatineeError where there is none, or several."""
    found = candidates(folder)
    if len(found) == 1:
        return found[0]
    there = ", ".join(sorted(path.name for path in folder.iterdir())[:12]) or "nothing"
    if found:
        names = ", ".join(entry.name for entry in found)
        what, hint = f"the folder could be in several formats: {names}", "name one of them, or one of its files"
    else:
        what = f"the folder is in no known layout; it holds {there}"
        hint = "name one log file, or let `matinee init` find it; `matinee data formats` lists what folders are read"
    raise MatineeError(what, where=str(folder), hint=hint)
