"""Model folders prepared by somebody who knows how manifests are made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from matinee.files import sha256
from matinee.store.folders import MANIFEST, digest_of

Arrays = dict[str, NDArray[Any]]
LOG = ["log/events.safetensors", "log/items.parquet", "log/manifest.json", "log/users.parquet"]
OWN = ["manifest.json", "weights.safetensors"]


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of all files below, by path."""
    return {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object], *, seal: bool = True) -> None:
    """Change a manifest; its digest then agrees, unless seal is False."""
    manifest = json.loads((folder / MANIFEST).read_text())
    digest = manifest.pop("digest")
    change(manifest)
    manifest.setdefault("digest", digest_of(manifest) if seal else digest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def sign(folder: Path) -> None:
    """Make the manifests of a model, its members and its log agree with the files, the innermost first."""

    def hashed(manifest: dict[str, Any]) -> None:
        manifest["sha256"] = {name: sha256(place / name) for name in manifest["sha256"]}
        if (place / "log").is_dir():
            manifest["log"] = json.loads((place / "log" / MANIFEST).read_text())["digest"]

    for file in sorted(folder.rglob(MANIFEST), key=lambda path: -len(path.parts)):
        place = file.parent
        edit_manifest(place, hashed)


def edit_arrays(model: Path, name: str, change: Callable[[Arrays], object]) -> None:
    """Change arrays of a file in a model folder, and sign the folder."""
    arrays = {key: array.copy() for key, array in load_file(model / name).items()}
    change(arrays)
    save_file(arrays, model / name)
    sign(model)


def set_(*keys: str, to: Any) -> Callable[[dict[str, Any]], object]:
    """A change of one entry, by the keys that lead to it."""

    def change(manifest: dict[str, Any]) -> None:
        for key in keys[:-1]:
            manifest = manifest[key]
        manifest[keys[-1]] = to

    return change


def each(name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Arrays], object]:
    """A change of a whole array."""
    return lambda arrays: arrays.__setitem__(name, np.ascontiguousarray(change(arrays[name])))


def put(name: str, at: int | tuple[int, int], value: float) -> Callable[[Arrays], object]:
    """A change of one number of an array."""
    return lambda arrays: arrays[name].__setitem__(at, value)
