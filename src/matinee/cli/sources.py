"""Arguments of commands as objects: a model's folder, items by their titles, a person's query."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from matinee.data.dataset import Dataset, Queries
from matinee.data.items import find_items
from matinee.data.query import query, with_request_time
from matinee.errors import MatineeError
from matinee.models.base import Model
from matinee.store import MANIFEST, load_model


def open_model(folder: Path) -> Model:
    """The fitted model of a folder. For a run's folder, the error names the run's models."""
    inside = sorted(str(path.parent) for path in folder.glob(f"models/*/{MANIFEST}"))
    if inside and not (folder / MANIFEST).exists():
        hint = f"name one of {', '.join(inside)}"
        raise MatineeError("this folder is not a model, but contains some", where=str(folder), hint=hint)
    return load_model(folder)


def check_out(folder: Path) -> None:
    """Refuse a place for a model before any time is spent on fitting it."""
    hint = "choose another --out"
    if folder.is_file():
        raise MatineeError("is a file, but a folder is needed", where=str(folder), hint=hint)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise MatineeError("this folder is not empty and holds no model", where=str(folder), hint=hint)
    existing = next(parent for parent in folder.absolute().parents if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise MatineeError("nothing can be written here", where=str(existing), hint=hint)


def build_query(
    model: Model, user: str | None, history: Sequence[str] | None, at: str | None, *, exclude_seen: bool = True
) -> Queries:
    """The query of --user or --history."""
    if (user is None) == (not history):
        what = "neither --user nor --history is given" if user is None else "both --user and --history are given"
        hint = 'pass --user ID, or --history TITLE once for each item, e.g. --history "Toy Story (1995)"'
        raise MatineeError(what, hint=hint)
    watched = [text for text in history or () if text.strip()]
    if user is None and not watched:
        raise MatineeError("--history is empty", hint="pass a title or an id")
    queries = query(model, user=user, history=None if user is not None else watched, exclude_seen=exclude_seen)
    return requested_at(queries, at)


def requested_at(queries: Queries, at: str | None) -> Queries:
    """The queries at the time of --at."""
    if at is None:
        return queries
    try:
        return with_request_time(queries, int(at) if at.isdecimal() else at)
    except MatineeError:
        hint = "write 2026-11-28, 2026-11-28T20:00 (UTC), or Unix seconds"
        raise MatineeError(f"--at {at} is not a time", hint=hint) from None


def item_codes(given: Sequence[str] | None, data: Dataset) -> list[int]:
    """The codes of titles, ids, and @FILE with one of them per line."""
    texts: list[str] = []
    for text in given or ():
        if not text.startswith("@"):
            texts.append(text)
            continue
        try:
            texts += [line.strip() for line in Path(text[1:]).read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is not UTF-8 text"
            hint = "name a file with one title or id per line"
            raise MatineeError(f"cannot be read: {reason}", where=text[1:], hint=hint) from None
    return find_items(texts, data)
