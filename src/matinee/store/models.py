"""Model folders: save a fitted model, load it again, take one out of a run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from matinee.data.dataset import Dataset
from matinee.errors import MatineeError
from matinee.files import StrPath, atomic_folder, free_bytes
from matinee.models import registry
from matinee.models.base import Fitted, Model
from matinee.models.needs import readable
from matinee.store import folders, logs
from matinee.store.folders import MANIFEST, broken
from matinee.store.learned import TEXT, WEIGHTS, Kind, check_numbers, flatten, unflatten
from matinee.version import __version__

MEMBERS = "members"
_NAMES = (MANIFEST, WEIGHTS, TEXT, *logs.FILES, "histories.safetensors")  # the last: of schema 1
_OURS = re.compile(rf"({MEMBERS}/\d+/)*({logs.LOG}/)?({'|'.join(map(re.escape, _NAMES))})")


class Manifest(folders.Sealed):
    """The manifest.json of a model. learned: the kind of each field of the learned state. metric: see Fitted. log: the
    digest of its log's manifest. sha256: of a member only its manifest is listed, which lists the member's files.
    """

    what = "model"

    model: str
    hyper_parameters: dict[str, Any]
    learned: dict[str, Kind]
    metric: str
    log: folders.Digest
    matinee: str
    data_name: str
    data_fingerprint: str
    n_events: int


def save_model(model: Model, path: StrPath, *, log: StrPath | None = None, histories: bool = True) -> Path:
    """Write a fitted model to a folder, whole or not at all; a model that was there is replaced.

    log: a folder named `logs` beside or above the model's folder, for models that share their log: the log is written
    there once. None: the model's folder holds its log and stands alone.
    histories=False leaves out who watched what; users of the log are then answered as new ones.
    Raises MatineeError when the model is not fitted or not registered, the disk has no room for it, the loader would
    not find the log, or `path` holds something else.

    Example: `mt.save_model(model, "models/ease")`
    """
    target = Path(path)
    refuse_others(target)
    shared = None if log is None else Path(log).resolve()
    if shared is not None and shared not in [above / logs.SHARED for above in logs.ancestors(target)]:
        hint = f"name a folder {logs.SHARED!r} in one of the {logs.LEVELS} folders above the model"
        raise MatineeError(f"a model in {target} would not find its log in {log}", hint=hint)
    _refuse_no_room(model, target, alone=shared is None)
    with atomic_folder(target) as folder:
        _write(folder, model, shared, {}, histories=histories)
    return target


def _refuse_no_room(model: Model, target: Path, *, alone: bool) -> None:
    """Raise MatineeError where the arrays alone, with those of the log where the model stands alone, are more than the
    disk has: nothing is written then."""
    data, free = model.fitted.data, free_bytes(target)
    columns = (getattr(data, name) for name in logs.KINDS) if alone else ()
    needed = _array_bytes(model) + sum(column.nbytes for column in columns if column is not None)
    if free is not None and needed > free:
        what = f"the model takes {readable(needed)} on disk, and {readable(free)} are free"
        raise MatineeError(what, where=str(target), hint="free some space on that disk, or name a folder on another")


def _array_bytes(model: Model) -> int:
    arrays, members, _ = flatten(model.fitted.learned)
    own = sum(array.nbytes for array in arrays.values()) + model.fitted.popularity.nbytes
    return own + sum(map(_array_bytes, members))


def refuse_others(target: Path) -> None:
    """Raise MatineeError where the folder, which is replaced as a whole, holds a file that is not a model's."""
    for path in target.rglob("*") if target.is_dir() else ():
        name = path.relative_to(target).as_posix()
        if (path.is_symlink() or not path.is_dir()) and not _OURS.fullmatch(name):
            raise MatineeError(f"this folder holds {name!r}", where=str(target), hint="name a new or empty folder")


def _write(folder: Path, model: Model, shared: Path | None, above: dict[str, str], *, histories: bool) -> None:
    """above: the digests of the logs of the models above a member, by the logs' descriptions."""
    fitted, name = model.fitted, registry.name_of(model)
    data = fitted.data
    description = str(logs.describe(data, histories=histories))
    if description not in above:
        digest = logs.write_log(data, folder / logs.LOG, shared, histories=histories)
        above = {**above, description: digest}
    arrays, members, learned = flatten(fitted.learned)
    for number, member in enumerate(members):
        below = folder / MEMBERS / str(number)
        below.mkdir(parents=True)
        _write(below, member, shared, above, histories=histories)
    folders.write_arrays(folder / WEIGHTS, {**arrays, "popularity": fitted.popularity})
    for text in [getattr(fitted.learned, entry) for entry, kind in learned.items() if kind == "text"]:
        (folder / TEXT).write_text(text, "utf-8", newline="")
    fields = {
        "model": name,
        "hyper_parameters": model.model_dump(mode="json"),
        "learned": learned,
        "metric": fitted.metric,
        "log": above[description],
        "matinee": __version__,
        "data_name": data.name,
        "data_fingerprint": data.fingerprint,
        "n_events": len(data),
    }
    files = [file.name for file in folder.iterdir() if file.is_file()]
    folders.write_manifest(folder, fields, [*files, *_manifests(len(members))])


def _manifests(members: int) -> list[str]:
    return [f"{MEMBERS}/{number}/{MANIFEST}" for number in range(members)]


def read_manifest(path: StrPath) -> Manifest:
    """The manifest of a model folder. Raises MatineeError when there is none, or it is damaged or of another schema."""
    return folders.read_sealed(Path(path), Manifest)


def load_model(path: StrPath) -> Model:
    """The fitted model of a folder. Every file is checked against its manifest before it is read. Raises MatineeError
    for a missing, changed or malformed file, and for a model this library does not know.

    Example: `model = mt.load_model("models/ease")`
    """
    return _load(Path(path), Path(path), None, {})


def _load(folder: Path, root: Path, above: Dataset | None, known: dict[str, Dataset]) -> Model:
    """root: the folder that was asked for. above: the log of the model this is a member of. known: logs by digest."""
    manifest = read_manifest(folder)
    below = _manifests(sum(name.startswith(f"{MEMBERS}/") for name in manifest.sha256))
    text = [TEXT] if "text" in manifest.learned.values() else []
    if set(manifest.sha256) != {WEIGHTS, *text, *below}:
        raise broken(folder / MANIFEST, "does not list the files of a model")
    folders.check_files(folder, manifest.sha256)
    model = registry.create(manifest.model, manifest.hyper_parameters)
    if manifest.log not in known:
        known[manifest.log] = logs.read_log(logs.find_log(folder, root, manifest.log), manifest.log)
    data = known[manifest.log]
    if above is not None and (data.users != above.users or data.items != above.items):
        raise broken(folder / MANIFEST, "is of other users or items than the model above it")
    members = [_load((folder / name).parent, root, data, known) for name in below]
    arrays = folders.read_arrays(folder / WEIGHTS)
    learned = unflatten(type(model), manifest.learned, arrays, members, folder)
    popularity = arrays.get("popularity", np.empty(0, np.float32))
    shapes = learned.shapes(data.n_users, data.n_items)
    for name, value in (("popularity", popularity), *((name, getattr(learned, name)) for name in shapes)):
        check_numbers(name, value, shapes.get(name, (data.n_items,)), folder / WEIGHTS)
    return model.restore(Fitted(data, popularity, learned, manifest.metric))


def export_model(run: StrPath, label: str, out: StrPath) -> Path:
    """Write a model of a run to a folder that stands alone, its log included. Returns that folder. Raises MatineeError
    where the run has no model with this label, and as load_model and save_model do.

    Example: `mt.export_model("runs/small", "ease", "models/of-a-run")`
    """
    models = Path(run) / "models"
    labels = sorted(file.parent.name for file in models.glob(f"*/{MANIFEST}"))
    if label not in labels:
        hint = f"use one of: {', '.join(labels)}" if labels else "name the folder of a run that has models"
        raise MatineeError(f"the run has no model {label!r}", where=str(run), hint=hint)
    return save_model(load_model(models / label), out)
