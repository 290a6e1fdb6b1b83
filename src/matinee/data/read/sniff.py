"""What a file looks like, by its first megabytes, and the [data] table that reads it: `sniff`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from matinee.data.read.formats import candidates, playlists
from matinee.data.read.formats.base import head_of
from matinee.data.read.log import OF_LOGS
from matinee.data.read.look import LESS, Kind, Look, NotAllFitsError, sentence
from matinee.data.read.options import NONE, ReadOptions, parsed
from matinee.data.read.sampled import HEAD, take
from matinee.data.read.sniffed import WHOLE_LINES as WHOLE_LINES
from matinee.data.read.sniffed import Sniffed as Sniffed
from matinee.data.read.text import plain_suffix
from matinee.errors import MatineeError, listed, option_name, suggestion
from matinee.files import StrPath

SECONDS = 0.7  # for the files of a folder
WHOLE = 8_000_000  # bytes of a folder's files that are read whole
SMALL = 100_000  # bytes that are read of each file of a larger folder
MOST_SECONDS = 3.0  # for files of a folder that are small


def sniff(path: StrPath, **options: Any) -> Sniffed:
    """Look at a file, or at each file of a folder. Read are the first 4 MB and, of files that are not compressed, the
    last one, whatever the size. What is empty, binary or broken is of the kind "other", and `problem` says why.

    options: those of `read` about columns, signs, times and ids, where something was guessed wrong: the file is then
    looked at as a log with them, and `table` holds them.

    Raises MatineeError where there is no such file or folder, and for options that there are not, or of a folder.

    Example: `print(mt.sniff("log.csv").toml)`
    """
    given = given_options(options)
    where = Path(path)
    if not where.exists():
        raise MatineeError("there is no such file or folder", where=str(path), hint="check the path")
    if where.is_dir():
        if given:
            what = f"is a folder, and {option_name(next(iter(given)))} is about a file"
            raise MatineeError(what, where=str(path), hint="name the file that is meant")
        return _folder(where)
    return look(where, given, "log" if given else None)


def given_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `sniff` as a recipe has them. Raises MatineeError for one that is unknown or wrong."""
    given = {name: value for name, value in options.items() if value is not None or name in ("rating", "timestamp")}
    for name in given:
        if name not in OF_OPTIONS:
            raise MatineeError(f"there is no option {name!r}", hint=suggestion(name, OF_OPTIONS))
    checked = parsed(ReadOptions, given)
    return {name: NONE if (value := getattr(checked, name)) is None else value for name in given}


OF_OPTIONS = (*OF_LOGS, "weight")
"""The options of `read` that `sniff` and `init_recipe` take."""


def look(path: Path, given: Mapping[str, Any] | None = None, kind: Kind | None = None, size: int = HEAD) -> Sniffed:
    """A file. given: options that are known, see `given_options`. kind: what it is known to be."""
    given = given or {}
    try:
        n_bytes = path.stat().st_size
        if not path.is_file():
            raise MatineeError("is neither a file nor a folder", where=str(path), hint="name a file")
        try:
            found = _looked(path, size, given, kind)
        except NotAllFitsError as first:
            found = _looked(path, LESS, given, kind, first.error)
    except (MatineeError, OSError) as error:
        what = sentence(error) if isinstance(error, MatineeError) else f"cannot be read: {error.strerror}"
        return Sniffed(path.as_posix(), "other", "other", n_bytes, problem=what)
    return replace(found, n_bytes=n_bytes)


def _looked(
    path: Path, size: int, given: Mapping[str, Any], kind: Kind | None, failed: MatineeError | None = None
) -> Sniffed:
    if playlists.looks(head_of(path)):  # one document, which cannot be cut
        name = playlists.FORMATS[0].name
        return Sniffed(path.as_posix(), "log", "json", 0, "its beginning", format=name, options={"format": name})
    with tempfile.TemporaryDirectory(prefix="matinee-") as folder:
        sample = take(path, Path(folder), size)
        if "encoding" in given:
            sample = replace(sample, encoding=str(given["encoding"]))
        return Look(sample, given, kind, failed).sniffed()


# --- folders ----------------------------------------------------------------------------------------------------------


def _folder(folder: Path) -> Sniffed:
    """A folder: its format, and what each of its files looks like, as far as there is time."""
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    other = ("", ".md", ".py", ".html", ".pdf", ".png", ".toml")
    paths.sort(key=lambda path: (plain_suffix(path) in other, -path.stat().st_size))  # large tables first: logs are
    whole = sum(path.stat().st_size for path in paths if path.is_file()) < WHOLE
    start, files = time.monotonic(), list[Sniffed]()
    for path in paths:
        small = whole or path.stat().st_size <= SMALL
        late = time.monotonic() > start + (MOST_SECONDS if small else SECONDS)
        if path.is_dir():
            n = sum(1 for _ in path.iterdir())
            files.append(Sniffed(path.as_posix(), "folder", "folder", 0, problem=f"a folder of {n:,}"))
        elif late:
            files.append(Sniffed(path.as_posix(), "other", "other", path.stat().st_size, problem="not looked at"))
        else:
            files.append(look(path, size=WHOLE if whole else SMALL))
    files.sort(key=lambda each: each.path)
    found = [entry.name for entry in candidates(folder)]
    doubts = (f"it could be in several formats: {listed(found)}",) if len(found) > 1 else ()
    problem = (
        None
        if len(found) == 1
        else "the folder is in no known layout: name one of its files, or let `matinee init` find it"
    )
    problem = "there are no files" if not files else problem
    options = {"format": found[0]} if len(found) == 1 else None
    format_ = found[0] if len(found) == 1 else None
    size = sum(each.n_bytes for each in files)
    return Sniffed(
        folder.as_posix(), "folder", "folder", size, format=format_, options=options, doubts=doubts, problem=problem,
        files=tuple(files),
    )  # fmt: skip
