"""Arguments of commands as objects: a model's folder, items by their titles, a person's query."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from matinee.data.dataset import Dataset, Queries
from matinee.data.items import find_items
from matinee.data.query import query, request_second, with_request_time
from matinee.errors import MatineeError, MatineeWarning, counted, suggestion, worded_for
from matinee.models.base import Model
from matinee.rules import Rules
from matinee.store import MANIFEST, load_model
from matinee.store.models import refuse_others


def open_model(folder: Path, label: str | None = None) -> Model:
    """The fitted model of a folder; of a run's folder the one with this label. The errors name the run's models."""
    labels = sorted(path.parent.name for path in folder.glob(f"models/*/{MANIFEST}"))
    if not labels or (folder / MANIFEST).exists():
        if label is not None and (folder / MANIFEST).exists():
            what, hint = "--model is for a run's folder, but this is a model's", "leave out --model"
            raise MatineeError(what, where=str(folder), hint=hint)
        return load_model(folder)
    if label is None:
        hint = f"add --model and one of {', '.join(labels)}"
        raise MatineeError("this is the folder of a run, not of a model", where=str(folder), hint=hint)
    if label not in labels:
        raise MatineeError(f"the run has no model {label!r}", where=str(folder), hint=suggestion(label, labels))
    return load_model(folder / "models" / label)


def check_out(folder: Path, *, overwrite: bool) -> None:
    """Refuse a place for a model before any time is spent on fitting it."""
    hint = "choose another --out"
    if (folder / MANIFEST).is_file() and not overwrite:
        hint = "add --overwrite to replace it, or choose another --out"
        raise MatineeError("a model is here already", where=str(folder), hint=hint)
    if folder.is_file():
        raise MatineeError("is a file, but a folder is needed", where=str(folder), hint=hint)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise MatineeError("this folder is not empty and holds no model", where=str(folder), hint=hint)
    refuse_others(folder)
    existing = next(parent for parent in folder.absolute().parents if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise MatineeError("nothing can be written here", where=str(existing), hint=hint)


def build_queries(
    model: Model, users: Sequence[str] | None, history: Sequence[str] | None, at: str | None, *,
    exclude_seen: bool = True, title: str | None = None, by_title: bool = False,
) -> Queries:  # fmt: skip
    """A query for each --user, or the one of --history and --title. by_title: the command has the option --title."""
    if title is not None and not title.strip():
        raise MatineeError("--title is empty", hint='pass the name of a list: --title "summer bbq"')
    if (not users) == (not history) and (title is None or users):
        raise _not_one(bool(users), by_title=by_title and model.reads_titles())
    watched = [text for text in history or () if text.strip()]
    with worded_for("command"):
        if users:
            return requested_at(_of_users(model, users, exclude_seen=exclude_seen, title=title), at)
        if not watched and (history or title is None):
            raise MatineeError("--history is empty", hint="pass a title or an id")
        return requested_at(query(model, history=watched, title=title, exclude_seen=exclude_seen), at)


def _not_one(both: bool, *, by_title: bool) -> MatineeError:
    """The error where not one of --user and --history is given. by_title: a --title would do too."""
    hint = 'pass --user ID, or --history TITLE once for each item, e.g. --history "Toy Story (1995)"'
    if both:
        return MatineeError("both --user and --history are given", hint=hint)
    if by_title:
        hint = f'{hint}, or the name of a list: --title "summer bbq"'
        return MatineeError("neither --user nor --history nor --title is given", hint=hint)
    return MatineeError("neither --user nor --history is given", hint=hint)


def _of_users(model: Model, users: Sequence[str], *, exclude_seen: bool, title: str | None) -> Queries:
    """A query for each --user, once."""
    for user in users:
        query(model, user=user, title=title)  # raises for one that is not known, and tells of a title that is not read
    different = list(dict.fromkeys(users))
    if again := len(users) - len(different):
        text = f"{counted(again, '--user names', '--user name')} a user again: users are answered once"
        warnings.warn(text, MatineeWarning, stacklevel=2)
    asked = model.data.queries(different, exclude_seen=exclude_seen)
    return asked if title is None else replace(asked, title=(title,) * len(asked))


def rules_of(file: Path | None, where: Sequence[str] | None, deny_where: Sequence[str] | None) -> Rules | None:
    """The rules of --rules, with those of --where and --deny-where; None where none is given."""
    rules = Rules() if file is None else Rules.read(file)
    rules = rules.and_(where=tuple(where or ()), deny_where=tuple(deny_where or ()))
    return rules or None


def requested_at(queries: Queries, at: str | None) -> Queries:
    """The queries at the time of --at."""
    when = moment(at)
    return queries if when is None else with_request_time(queries, when)


def moment(at: str | None) -> int | None:
    """Unix seconds of --at."""
    try:
        return None if at is None else request_second(int(at) if at.isdecimal() else at)
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
