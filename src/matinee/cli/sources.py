"""What commands are pointed at: a log, a model's folder, an item by its title, someone's history."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.errors import MatineeError

if TYPE_CHECKING:
    from matinee.data.arrays import Ints
    from matinee.data.dataset import Dataset, Queries
    from matinee.models.base import Model


def load_log(source: str, data_dir: Path | None, **spec: Any) -> Dataset:
    """A data set by its name, or a log by its path. spec: keys of a recipe's [data] table.

    Warns where its side tables do not fit it.
    """
    from matinee.data.read import catalog
    from matinee.data.side_table_report import side_table_report
    from matinee.study.recipe import DataTable, ModelTable, Recipe

    below = Path(data_dir or ".") / source
    if source not in catalog.ENTRIES and not Path(source).exists() and not below.exists():
        if Path(source).name == source and not Path(source).suffix:
            catalog.entry(source)  # a mistyped name: says which there are
        raise MatineeError(
            "there is no such file or folder",
            where=source,
            hint="check the path, or name a data set: `matinee data` lists them",
        )
    spec["columns"] = {role: name for role, name in spec.get("columns", {}).items() if name is not None}
    table = DataTable(source=source, **spec)
    log = Recipe(data=table, model=[ModelTable(name="popularity")]).load_data(data_dir)
    side_table_report(log)
    return log


def open_model(folder: Path) -> Model:
    """The fitted model of a folder; of a run, its models are named."""
    from matinee.store import MANIFEST, load_model

    inside = sorted(str(path.parent) for path in folder.glob(f"models/*/{MANIFEST}"))
    if inside and not (folder / MANIFEST).exists():
        raise MatineeError(
            "this folder is no model, but holds some", where=str(folder), hint=f"name one of {', '.join(inside)}"
        )
    return load_model(folder)


def check_out(folder: Path) -> None:
    """Refuse a place for a model before the time is spent on fitting it."""
    from matinee.store import MANIFEST

    if folder.is_file():
        raise MatineeError("is a file, and a folder is to be written there", where=str(folder), hint="choose another")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise MatineeError("this folder is not empty and holds no model", where=str(folder), hint="name another folder")
    existing = next(parent for parent in folder.absolute().parents if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise MatineeError("nothing can be written here", where=str(existing), hint="choose another --out")


@dataclass(frozen=True)
class ItemCard:
    """An item as people know it."""

    item_id: int | str
    title: str | None
    year: int | None
    genres: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.item_id) if self.title is None else self.title

    def as_dict(self) -> dict[str, Any]:
        return {"item_id": self.item_id, "title": self.title, "year": self.year, "genres": list(self.genres)}


def films(data: Dataset, codes: Sequence[int] | Ints) -> list[ItemCard]:
    """The items of these codes."""
    import numpy as np

    codes = np.asarray(codes, np.int64)
    found = data.item_features
    rows = [{}] * len(codes) if found is None else found[codes].to_dicts()
    return [
        ItemCard(item_id, row.get("title"), _year(row.get("year")), _words(row.get("genres")))
        for item_id, row in zip(data.items.decode(codes), rows, strict=True)
    ]


def build_query(model: Model, user: str | None, history: Sequence[str] | None, *, exclude_seen: bool = True) -> Queries:
    """One query, of a user of the model's log or of someone with this history."""
    from matinee.data.arrays import Ragged
    from matinee.data.titles import history as of_titles

    if (user is None) == (not history):
        raise MatineeError(
            "whose recommendations?" if user is None else "--user and --history ask for two different people",
            hint='pass either --user ID, or --history TITLE once for each item, e.g. --history "Toy Story (1995)"',
        )
    if user is None:
        queries = of_titles([text for text in history or () if text.strip()], model.data)
        if not len(queries.history.values):
            raise MatineeError("--history is empty", hint="pass a title or an id")
    else:
        queries = model.data.queries_of(_codes([known_user(model, user)]))
    return queries if exclude_seen else replace(queries, exclude=Ragged.empty(len(queries)))


def asked_at(queries: Queries, at: str | None) -> Queries:
    """The queries, asked at this time."""
    if at is None:
        return queries
    import numpy as np

    from matinee.data.read.columns import iso_seconds

    second = int(at) if at.isdecimal() else iso_seconds(at)
    if second is None or not 0 <= second < 1 << 62:
        raise MatineeError(f"--at {at} is no time", hint="write 2026-11-28, 2026-11-28T20:00 (UTC), or Unix seconds")
    return replace(queries, request_time=np.full(len(queries), second, np.int64))


def known_user(model: Model, user: str) -> int:
    """The code of a user whose history the model's folder holds."""
    if not len(model.data):
        raise MatineeError(
            "this model was saved without histories, so it does not know what its users watched",
            hint="pass --history TITLE for each item, or fit again without --without-histories",
        )
    code = model.users.find(user)
    if code >= 0:
        return code
    near = difflib.get_close_matches(user, [str(i) for i in model.users.ids[:100_000]], n=5)
    advice = "for someone new pass --history TITLE once for each item watched"
    raise MatineeError(
        f"user {user} is not in the log of this model, which knows {len(model.users):,} users",
        hint=f"did you mean {', '.join(near)}? Or {advice}" if near else advice,
    )


def item_codes(given: Sequence[str] | None, data: Dataset) -> list[int]:
    """Codes of titles, ids, and @FILE with one of them a line."""
    from matinee.data.titles import find_items

    texts: list[str] = []
    for text in given or ():
        if not text.startswith("@"):
            texts.append(text)
            continue
        try:
            lines = Path(text[1:]).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is not UTF-8 text"
            raise MatineeError(
                f"cannot be read: {reason}", where=text[1:], hint="name a file with a title or id a line"
            ) from None
        texts.extend(line.strip() for line in lines if line.strip())
    return find_items(texts, data)


def _codes(codes: Sequence[int]) -> Ints:
    import numpy as np

    return np.array(codes, np.int32)


def _year(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _words(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)
