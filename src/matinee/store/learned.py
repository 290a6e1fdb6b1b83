"""A learned state on disk: a dataclass of arrays, csr matrices, plain values, a text and members, taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.models.base import Model, TextFile
from matinee.store.folders import Arrays, broken

if TYPE_CHECKING:
    from scipy.sparse import csr_array

WEIGHTS, TEXT = "weights.safetensors", "model.txt"

Kind = Literal["array", "arrays", "csr", "models", "text"] | bool | int | float | str | None
"""How a field lies on disk: in weights.safetensors, below members/, in model.txt; other values are the field itself."""


def flatten(learned: Any) -> tuple[Arrays, tuple[Model, ...], dict[str, Kind]]:
    """A learned dataclass as named arrays, models, and the kind of each field. Fields with metadata {"saved": False}
    are left out; their defaults stand after loading."""
    from scipy.sparse import csr_array

    arrays: Arrays = {}
    members: tuple[Model, ...] = ()
    layout: dict[str, Kind] = {}
    for entry in fields(learned):
        if not entry.metadata.get("saved", True):
            continue
        value = getattr(learned, entry.name)
        if isinstance(value, csr_array):
            layout[entry.name] = "csr"
            parts = {"data": value.data, "indices": value.indices.astype(np.int32), "indptr": value.indptr}
            parts["shape"] = np.array(value.shape, np.int64)
            arrays |= {f"{entry.name}.{part}": array for part, array in parts.items()}
        elif isinstance(value, np.ndarray):
            layout[entry.name] = "array"
            arrays[entry.name] = value
        elif isinstance(value, dict):
            layout[entry.name] = "arrays"
            arrays |= {f"{entry.name}.{name}": array for name, array in value.items()}
        elif isinstance(value, tuple):
            layout[entry.name] = "models"
            members = value
        else:
            layout[entry.name] = "text" if isinstance(value, TextFile) else value
    return arrays, members, layout


def unflatten(cls: type[Model], layout: dict[str, Kind], arrays: Arrays, members: Sequence[Model], folder: Path) -> Any:
    """The learned dataclass of a model class, its shapes not yet checked. Raises MatineeError for parts that do not
    fit."""
    values: dict[str, Any] = {}
    try:
        for name, kind in layout.items():
            if kind == "csr":
                values[name] = _matrix(*(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr", "shape")))
            elif kind == "arrays":
                start = f"{name}."
                values[name] = {key.removeprefix(start): arrays[key] for key in arrays if key.startswith(start)}
                for key, array in values[name].items():
                    check_numbers(key, array, array.shape, folder / WEIGHTS)
            elif kind == "models":
                values[name] = tuple(members)
            elif kind == "text":
                values[name] = TextFile((folder / TEXT).read_text("utf-8"))
            else:
                values[name] = arrays[name] if kind == "array" else kind
        return cls.learned_type(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise broken(folder / WEIGHTS, f"does not hold a {cls.__name__} ({error})") from None


def _matrix(data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], shape: NDArray[Any]) -> csr_array:
    """csr (rows, columns), the kind of `data`, every index in bounds. Raises ValueError. The kernels do not check
    indices, and scipy's own check skips a matrix that claims to have no values."""
    from scipy.sparse import csr_array

    if any(part.dtype.kind != "i" or part.ndim != 1 for part in (indices, indptr, shape)) or shape.shape != (2,):
        raise ValueError("the indices of a matrix are not integers")
    rows, columns = shape.tolist()
    aligned = data.shape == indices.shape and indptr.shape == (rows + 1,)
    if not aligned or indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
        raise ValueError("the rows of a matrix do not fit together")
    if len(indices) and not 0 <= indices.min() <= indices.max() < columns:
        raise ValueError("an index of a matrix is out of range")
    return csr_array((data, indices, indptr), shape=(rows, columns))


def check_numbers(name: str, value: Any, shape: tuple[int, ...], path: Path) -> None:
    """Raise MatineeError unless the value is an array or csr matrix of this shape, finite, of a type kernels know."""
    if getattr(value, "shape", None) != shape:
        raise broken(path, f"{name} has shape {getattr(value, 'shape', None)}, not {shape}")
    numbers = value if isinstance(value, np.ndarray) else value.data
    if numbers.dtype not in (np.float32, np.float64, np.int32, np.int64, np.uint64):
        raise broken(path, f"{name} holds {numbers.dtype}")
    with np.errstate(invalid="ignore"):
        # a NaN or an infinity stays in a sum, and a sum needs no memory
        if not np.isfinite(numbers.sum(dtype=np.float64)):
            raise broken(path, f"{name} holds numbers that are not finite")
