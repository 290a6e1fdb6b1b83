"""Models on disk: a folder of safetensors, Parquet and one JSON manifest. Loading executes nothing.

manifest.json            schema version, model, hyper-parameters, library version, data fingerprint, SHA-256 of files
weights.safetensors      what the model learned, and item counts
items.parquet            ids, titles, features, in code order
users.parquet            the same of users
histories.safetensors    the training log's rows, so that a user of the log can be named after loading
model.txt                a text the model learned, in a format of its own (LightGBM's trees)
members/0/, 1/, ...      of an ensemble: its members, each a model folder
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.files import StrPath, atomic_folder, settle, sha256
from matinee.models import registry
from matinee.models.base import Fitted, Model, TextFile
from matinee.version import __version__

if TYPE_CHECKING:
    import polars as pl
    from scipy.sparse import csr_array

SCHEMA = 1
MANIFEST, WEIGHTS, ITEMS, USERS = "manifest.json", "weights.safetensors", "items.parquet", "users.parquet"
HISTORIES, TEXT = "histories.safetensors", "model.txt"
FILES = {MANIFEST, WEIGHTS, ITEMS, USERS, HISTORIES}
MEMBERS = "members"
ROWS = ("user", "item", "value", "timestamp")


class Manifest(BaseModel):
    """manifest.json. learned: how each field of the model's learned state lies in weights.safetensors ("models": below
    members/; "text": model.txt). sha256: by path within the folder; a member's manifest answers for the files of its
    own folder.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    schema_version: int
    model: str
    hyper_parameters: dict[str, Any]
    learned: dict[str, Literal["array", "arrays", "csr", "models", "text"] | bool | int | float | str | None]
    matinee: str
    data_name: str
    data_fingerprint: str
    n_events: int
    sha256: dict[str, str]


def save_model(model: Model, path: StrPath, *, histories: bool = True) -> Path:
    """Write a fitted model to a folder, whole or not at all; a model that was there is replaced.

    histories=False leaves out who watched what; users of the log are then answered as new ones.
    Raises MatineeError when the model is not fitted, not registered, the disk is full, or `path` holds something else.
    """
    target = Path(path)
    others = sorted(_others(target)) if target.is_dir() else []
    if others:  # the folder is replaced as a whole, and they are not ours to remove
        raise MatineeError(f"this folder holds {others[0]!r}", where=str(target), hint="name a new or empty folder")
    name, fitted = registry.name_of(model), model.fitted  # both refuse before anything is written
    with atomic_folder(target) as folder:
        _write_model(folder, model, name, fitted, histories=histories)
    return target


def _others(folder: Path) -> Iterator[str]:
    """What a folder holds and no model has."""
    for file in folder.iterdir():
        if file.name == MEMBERS and file.is_dir():
            for member in file.iterdir():
                below = _others(member) if member.is_dir() and member.name.isdigit() else [""]
                yield from (f"{MEMBERS}/{member.name}/{name}".rstrip("/") for name in below)
        elif file.name not in FILES | {TEXT}:
            yield file.name


def _write_model(folder: Path, model: Model, name: str, fitted: Fitted, *, histories: bool) -> None:
    arrays, members, learned = _flatten(fitted.learned)
    data = fitted.data
    for number, member in enumerate(members):
        below = folder / MEMBERS / str(number)
        below.mkdir(parents=True)
        _write_model(below, member, registry.name_of(member), member.fitted, histories=histories)
    _write_arrays(folder / WEIGHTS, {**arrays, "popularity": fitted.popularity})
    for text in [getattr(fitted.learned, entry) for entry, kind in learned.items() if kind == "text"]:
        (folder / TEXT).write_text(text, "utf-8", newline="")
    _table(data.items, "item_id", data.item_features).write_parquet(folder / ITEMS)
    _table(data.users, "user_id", data.user_features).write_parquet(folder / USERS)
    if histories:
        rows = {row: getattr(data, row) for row in ROWS if getattr(data, row) is not None}
        _write_arrays(folder / HISTORIES, rows)
    files = [file.name for file in folder.iterdir() if file.is_file()] + _manifests(len(members))
    manifest = Manifest(
        schema_version=SCHEMA,
        model=name,
        hyper_parameters=model.model_dump(mode="json"),
        learned=learned,
        matinee=__version__,
        data_name=data.name,
        data_fingerprint=data.fingerprint,
        n_events=len(data),
        sha256={file: sha256(folder / file) for file in sorted(files)},
    )
    (folder / MANIFEST).write_text(json.dumps(manifest.model_dump(), indent=2, ensure_ascii=False) + "\n", "utf-8")


def _manifests(members: int) -> list[str]:
    return [f"{MEMBERS}/{number}/{MANIFEST}" for number in range(members)]


def read_manifest(path: StrPath) -> Manifest:
    """The manifest of a model folder. Raises MatineeError when there is none, or it is not one."""
    settle(path)
    file = Path(path) / MANIFEST
    if not file.is_file():
        raise MatineeError("no model is here", where=str(path), hint="name a folder that `matinee fit --out` wrote")
    try:
        manifest = Manifest.model_validate(json.loads(file.read_text("utf-8")))
    except (ValidationError, ValueError, RecursionError) as error:
        raise MatineeError(
            f"not a model's manifest: {str(error).splitlines()[0]}",
            where=str(file),
            hint="fit and save the model again",
        ) from None
    if manifest.schema_version != SCHEMA:
        raise MatineeError(
            f"written in schema {manifest.schema_version}; this library reads {SCHEMA}",
            where=str(file),
            hint=f"use matinee {manifest.matinee}, or fit and save the model again",
        )
    return manifest


def load_model(path: StrPath) -> Model:
    """The fitted model of a folder. Every file is checked against the manifest before it is read.

    Raises MatineeError for a missing, changed or malformed file, and for a model this library does not know.
    """
    return _load(Path(path), None)


def _load(folder: Path, above: tuple[Manifest, Dataset] | None) -> Model:
    """above: of the ensemble whose member this is, the manifest and the log."""
    manifest = read_manifest(folder)
    n_members = sum(name.startswith(f"{MEMBERS}/") for name in manifest.sha256)
    expected = {WEIGHTS, ITEMS, USERS, *_manifests(n_members)}
    expected |= {TEXT} if "text" in manifest.learned.values() else set()
    if not expected <= set(manifest.sha256) <= expected | {HISTORIES}:
        raise _broken(folder / MANIFEST, "does not list the files of a model")
    for name, digest in manifest.sha256.items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            raise _broken(folder / name, "is missing or differs from what was saved")
    model = registry.create(manifest.model, manifest.hyper_parameters)
    data = _read_data(folder, manifest, above)
    members = [_load((folder / name).parent, (manifest, data)) for name in _manifests(n_members)]
    arrays = _read_arrays(folder / WEIGHTS)
    learned = _unflatten(type(model), arrays, members, manifest, folder)
    popularity = arrays.get("popularity", np.empty(0, np.float32))
    shapes = learned.shapes(data.n_users, data.n_items)
    for name, value in (("popularity", popularity), *((name, getattr(learned, name)) for name in shapes)):
        _check_numbers(name, value, shapes.get(name, (data.n_items,)), folder / WEIGHTS)
    return model.restore(Fitted(data, popularity, learned))


def _read_data(folder: Path, manifest: Manifest, above: tuple[Manifest, Dataset] | None) -> Dataset:
    """The log a model was fitted on. Members have that of their ensemble, or one of the same users and items."""
    if above is not None and all(manifest.sha256.get(f) == above[0].sha256.get(f) for f in (ITEMS, USERS, HISTORIES)):
        return above[1]
    users, user_features = _read_table(folder / USERS, "user_id")
    items, item_features = _read_table(folder / ITEMS, "item_id")
    if above is not None and (users != above[1].users or items != above[1].items):
        raise _broken(folder / MANIFEST, "is of other users or items than the ensemble it is in")
    rows = _read_rows(folder / HISTORIES, len(users), len(items)) if HISTORIES in manifest.sha256 else _no_rows()
    return Dataset(
        users,
        items,
        user=rows["user"],
        item=rows["item"],
        value=rows.get("value"),
        timestamp=rows.get("timestamp"),
        user_features=user_features,
        item_features=item_features,
        name=manifest.data_name,
    )


def _flatten(learned: Any) -> tuple[dict[str, NDArray[Any]], tuple[Model, ...], dict[str, Any]]:
    """A learned dataclass -> named arrays, models, and how to put it together again."""
    from scipy.sparse import csr_array

    arrays: dict[str, NDArray[Any]] = {}
    members: tuple[Model, ...] = ()
    layout: dict[str, Any] = {}
    for entry in fields(learned):
        value = getattr(learned, entry.name)
        if isinstance(value, csr_array):
            layout[entry.name] = "csr"
            parts = {"data": value.data, "indices": value.indices.astype(np.int32), "indptr": value.indptr}
            arrays |= {f"{entry.name}.{part}": array for part, array in parts.items()}
            arrays[f"{entry.name}.shape"] = np.array(value.shape, np.int64)
        elif isinstance(value, np.ndarray):
            layout[entry.name] = "array"
            arrays[entry.name] = value
        elif isinstance(value, dict):
            layout[entry.name] = "arrays"
            arrays |= {f"{entry.name}.{name}": array for name, array in value.items()}
        elif isinstance(value, tuple):
            layout[entry.name] = "models"
            members = value
        elif isinstance(value, TextFile):
            layout[entry.name] = "text"
        else:
            layout[entry.name] = value
    return arrays, members, layout


def _unflatten(
    cls: type[Model], arrays: dict[str, NDArray[Any]], members: Sequence[Model], manifest: Manifest, folder: Path
) -> Any:
    values: dict[str, Any] = {}
    try:
        for name, kind in manifest.learned.items():
            if kind == "csr":
                values[name] = _matrix(*(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr", "shape")))
            elif kind == "arrays":
                below = {
                    key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")
                }
                for key, array in below.items():
                    _check_numbers(key, array, array.shape, folder / WEIGHTS)
                values[name] = below
            elif kind == "models":
                values[name] = tuple(members)
            elif kind == "text":
                values[name] = TextFile((folder / TEXT).read_text("utf-8"))
            else:
                values[name] = arrays[name] if kind == "array" else kind
        return cls.learned_type(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(folder / WEIGHTS, f"does not hold a {cls.__name__} ({error})") from None


def _matrix(data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], shape: NDArray[Any]) -> csr_array:
    """A csr matrix, every index in bounds: the kernels do not look (scipy's own check skips a matrix that claims no
    values). Raises ValueError."""
    from scipy.sparse import csr_array

    if any(part.dtype.kind != "i" or part.ndim != 1 for part in (indices, indptr, shape)) or shape.shape != (2,):
        raise ValueError("a matrix is indexed by other things than integers")
    rows, columns = shape.tolist()
    aligned = data.shape == indices.shape and indptr.shape == (rows + 1,)
    if not aligned or indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
        raise ValueError("the rows of a matrix do not fit together")
    if len(indices) and not 0 <= indices.min() <= indices.max() < columns:
        raise ValueError("an index of a matrix is out of range")
    return csr_array((data, indices, indptr), shape=(rows, columns))


def _check_numbers(name: str, value: Any, shape: tuple[int, ...], path: Path) -> None:
    """Raise MatineeError unless the value is an array or csr matrix of this shape, finite, of a type kernels know."""
    if getattr(value, "shape", None) != shape:
        raise _broken(path, f"{name} has shape {getattr(value, 'shape', None)}, not {shape}")
    numbers = value if isinstance(value, np.ndarray) else value.data
    if numbers.dtype not in (np.float32, np.float64, np.int32, np.int64, np.uint64):
        raise _broken(path, f"{name} holds {numbers.dtype}")
    with np.errstate(invalid="ignore"):
        if not np.isfinite(
            numbers.sum(dtype=np.float64)
        ):  # a NaN or infinity stays in a sum, and a sum needs no memory
            raise _broken(path, f"{name} holds numbers that are not finite")


def _write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    path.chmod(0o644)  # safetensors writes for its owner only, and a server may run as another user


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    arrays: dict[str, NDArray[Any]] = _parsed(path, lambda: load_file(path), SafetensorError)
    return arrays


def _table(ids: IdMap, column: str, features: pl.DataFrame | None) -> pl.DataFrame:
    frame = ids.series.alias(column).to_frame()
    return frame if features is None else frame.hstack(features)


def _read_table(path: Path, id_column: str) -> tuple[IdMap, pl.DataFrame | None]:
    import polars as pl

    table: pl.DataFrame = _parsed(path, lambda: pl.read_parquet(path), pl.exceptions.PolarsError)
    if id_column not in table.columns:
        raise _broken(path, f"has no column {id_column}")
    ids = IdMap.from_series(table[id_column], what=id_column.removesuffix("_id"))
    if len(ids) != len(table) or not ids.series.equals(table[id_column]):
        raise _broken(path, "ids are not sorted or not distinct")
    return ids, table.drop(id_column) if table.width > 1 else None


def _read_rows(path: Path, n_users: int, n_items: int) -> dict[str, NDArray[Any]]:
    rows = _read_arrays(path)
    kinds = {"user": np.int32, "item": np.int32, "value": np.float32, "timestamp": np.int64}
    length = rows["user"].shape if "user" in rows else None
    if not {"user", "item"} <= set(rows) <= set(kinds) or any(
        array.dtype != kinds[name] or array.shape != length or array.ndim != 1 for name, array in rows.items()
    ):
        raise _broken(path, "does not hold a log")
    for name, n in (("user", n_users), ("item", n_items)):
        if len(rows[name]) and not 0 <= rows[name].min() <= rows[name].max() < n:
            raise _broken(path, f"holds a {name} code out of range")
    return rows


def _no_rows() -> dict[str, NDArray[Any]]:
    return {"user": np.empty(0, np.int32), "item": np.empty(0, np.int32)}


def _parsed(path: Path, read: Callable[[], Any], refusal: type[Exception]) -> Any:
    """What `read` gives. Number types that numpy lacks come as AttributeError, KeyError or TypeError."""
    try:
        return read()
    except (refusal, ValueError, OSError, AttributeError, KeyError, TypeError) as error:
        raise _broken(path, f"cannot be read ({error})") from None


def _broken(path: Path, what: str) -> MatineeError:
    return MatineeError(what, where=str(path), hint="copy the model folder again, or fit and save the model again")
