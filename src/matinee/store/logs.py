"""A log in a folder of its own: a Dataset as it was, context and raw ratings included."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.data.dataset import Dataset
from matinee.data.dislikes import Dislikes
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.files import atomic_folder
from matinee.store import folders

LOG, SHARED = "log", "logs"
ITEMS, USERS, EVENTS, CONTEXT = "items.parquet", "users.parquet", "events.safetensors", "context.parquet"
FILES = (ITEMS, USERS, EVENTS, CONTEXT)
KINDS = {
    "user": np.int32, "item": np.int32, "value": np.float32, "timestamp": np.int64, "raw_rating": np.float32,
    "weight": np.float32,
}  # fmt: skip
DISLIKES = {"user": np.int32, "item": np.int32, "timestamp": np.int64}
APART = "dislikes."
"""Before the names of the columns of dislikes."""
LEVELS = 3
"""In so many folders above a model its log is looked for."""


class LogManifest(folders.Sealed):
    """The manifest.json of a log. fingerprint, side_fingerprint: of the Dataset with its events. histories: whether the
    events are in the folder."""

    what = "log"

    name: str
    fingerprint: str
    side_fingerprint: str
    histories: bool
    skipped_rows: int = 0


def describe(data: Dataset, *, histories: bool) -> dict[str, Any]:
    """The fields of a LogManifest that tell one log from another."""
    fields = ("name", "fingerprint", "side_fingerprint")
    skipped = {"skipped_rows": data.skipped_rows} if data.skipped_rows else {}
    return {name: getattr(data, name) for name in fields} | {"histories": histories} | skipped


def write_log(data: Dataset, folder: Path, shared: Path | None = None, *, histories: bool = True) -> str:
    """Write a log to a new folder. Returns its digest, 64 hex digits. histories=False leaves out all events.

    shared: the log is moved on to a folder in this one, and is not written where that folder exists. `folder` must lie
    on the same disk.
    """
    description = describe(data, histories=histories)
    if shared is not None and (digest := _already(shared, description)) is not None:
        return digest
    folder.mkdir()
    _table(data.items, "item_id", data.item_features).write_parquet(folder / ITEMS)
    _table(data.users, "user_id", data.user_features).write_parquet(folder / USERS)
    if histories:
        columns = {name: getattr(data, name) for name in KINDS}
        if data.dislikes is not None:
            columns |= {APART + name: getattr(data.dislikes, name) for name in DISLIKES}
        folders.write_arrays(folder / EVENTS, {name: array for name, array in columns.items() if array is not None})
        if data.context is not None:
            data.context.write_parquet(folder / CONTEXT)
    digest = folders.write_manifest(folder, description, [file.name for file in folder.iterdir()])
    if shared is not None:
        with atomic_folder(shared / digest[:16]) as target:
            for file in folder.iterdir():
                file.replace(target / file.name)
        folder.rmdir()
    return digest


def _already(shared: Path, description: dict[str, Any]) -> str | None:
    """The digest of a shared log with this description."""
    for place in sorted(shared.glob("[!.]*")):
        with contextlib.suppress(MatineeError):  # it is not ours, or damaged
            manifest = folders.read_sealed(place, LogManifest)
            same = manifest.model_dump(include=set(description)) == description
            complete = all((place / name).is_file() for name in manifest.sha256)
            if same and complete and place.name == manifest.digest[:16]:
                return manifest.digest
    return None


def read_log(folder: Path, digest: str) -> Dataset:
    """The log of a folder. Raises MatineeError unless it is the one with this digest, every byte."""
    manifest = folders.read_sealed(folder, LogManifest)
    if manifest.digest != digest:
        raise folders.broken(folder / folders.MANIFEST, "is of another log than the model's")
    needed = {ITEMS, USERS, *([EVENTS] if manifest.histories else [])}
    if not needed <= set(manifest.sha256) <= needed | ({CONTEXT} if manifest.histories else set()):
        raise folders.broken(folder / folders.MANIFEST, "does not list the files of a log")
    folders.check_files(folder, manifest.sha256)
    users, user_features = _read_table(folder / USERS, "user_id")
    items, item_features = _read_table(folder / ITEMS, "item_id")
    events: dict[str, Any] = {"user": np.empty(0, np.int32), "item": np.empty(0, np.int32)}
    return Dataset(
        users,
        items,
        **(_read_events(folder / EVENTS) if manifest.histories else events),
        context=_read_parquet(folder / CONTEXT) if CONTEXT in manifest.sha256 else None,
        user_features=user_features,
        item_features=item_features,
        name=manifest.name,
        skipped_rows=manifest.skipped_rows,
    )


def find_log(model: Path, root: Path, digest: str) -> Path:
    """The folder of a model's log: in the model's own folder, or among the shared logs above the root model. Only
    folders whose names follow from the digest are looked at. Raises MatineeError where there is none."""
    for folder, name in ((model, LOG), *((above, f"{SHARED}/{digest[:16]}") for above in ancestors(root))):
        if (folder / name).is_dir():
            folders.refuse_links(folder, name)
            return folder / name
    what = f"the log of this model ({digest[:16]}) is missing: neither `{LOG}/` nor `{SHARED}/{digest[:16]}/` above it"
    hint = "copy the folder of logs too; `matinee export` writes a model of a run with its log"
    raise MatineeError(what, where=str(model), hint=hint)


def ancestors(model: Path) -> list[Path]:
    """The folders above a model where shared logs may lie, the nearest first."""
    return list(model.resolve().parents)[:LEVELS]


def _table(ids: IdMap, column: str, features: pl.DataFrame | None) -> pl.DataFrame:
    if features is not None and column in features.columns:
        raise MatineeError(f"the features have a column {column!r} beside the ids", hint="drop or rename it")
    frame = ids.series.alias(column).to_frame()
    return frame if features is None else frame.hstack(features)


def _read_table(path: Path, id_column: str) -> tuple[IdMap, pl.DataFrame | None]:
    table = _read_parquet(path)
    if id_column not in table.columns:
        raise folders.broken(path, f"has no column {id_column}")
    what = id_column.removesuffix("_id")
    ids = IdMap.from_series(table[id_column], what=what)
    if len(ids) != len(table):
        raise folders.broken(path, "ids are not distinct")
    if not ids.series.equals(table[id_column]):
        if what == "user":
            raise folders.broken(path, "ids are not sorted")
        stored = table[id_column]  # some items came later: IdMap.with_new
        ids = IdMap(stored.to_numpy() if ids.is_integer else stored.to_list(), what=what, grown=True)
    return ids, table.drop(id_column) if table.width > 1 else None


def _read_parquet(path: Path) -> pl.DataFrame:
    return folders.parsed(path, lambda: pl.read_parquet(path), pl.exceptions.PolarsError)


def _read_events(path: Path) -> dict[str, Any]:
    """Columns of a Dataset by name, in their own types, and its dislikes; the Dataset checks lengths, codes and
    values."""
    arrays = folders.read_arrays(path)
    apart = {name.removeprefix(APART): arrays.pop(name) for name in list(arrays) if name.startswith(APART)}
    for columns, kinds in ((arrays, KINDS), (apart, DISLIKES)):
        named = (not columns and kinds is DISLIKES) or {"user", "item"} <= set(columns) <= set(kinds)
        if not named or any(array.dtype != kinds[name] for name, array in columns.items()):
            raise folders.broken(path, "does not hold the events of a log")
    return {**arrays, "dislikes": Dislikes(**apart) if apart else None}
