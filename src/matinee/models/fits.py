"""Which models fit this machine, before any is fitted."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from matinee.data.dataset import Dataset
from matinee.errors import MatineeError, MatineeWarning
from matinee.files import StrPath, free_bytes
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.needs import LARGE, classes, readable
from matinee.profiling import available_memory

if TYPE_CHECKING:
    import polars as pl


COLUMNS = ("model", "memory_bytes", "disk_bytes", "fits", "note")


def fits_here(
    data: Dataset | tuple[int, int, int], models: Iterable[Any] | None = None, *, path: StrPath = "."
) -> pl.DataFrame:
    """Which models can be fitted on a log, and saved, with the memory and the disk that are free now.

    data: the log, or its (users, items, events). models: names, models or tables of a name and hyper-parameters; None:
    all of the registry with their defaults, but for those that are made of others. path: where models would be saved.

    A row a model: model, memory_bytes (the peak of a fit, beyond the log), disk_bytes (the saved folder with its log),
    fits (null: it is not known what is free), note (what else is in the way: too little of which, or what the log or
    the machine lacks; "" for nothing). Raises MatineeError for sizes that are not three positive whole numbers.

    Example: `mt.fits_here((100_000, 20_000, 5_000_000), ["ease", "item_knn"])`
    """
    import polars as pl

    sizes = _sizes(data)
    if models is None:
        chosen = [(name, cls()) for name, cls in classes() if not cls.member_fields]
    else:
        made = [registry.as_model(model) for model in models]
        chosen = [(registry.name_of(model), model) for model in made]
    memory, disk = available_memory(), free_bytes(path)
    rows = [_row(name, model, data, sizes, memory, disk) for name, model in chosen]
    kinds = (pl.String, pl.Int64, pl.Int64, pl.Boolean, pl.String)
    return pl.DataFrame(rows, schema=dict(zip(COLUMNS, kinds, strict=True)), orient="row")


def _sizes(data: Dataset | tuple[int, int, int]) -> tuple[int, int, int]:
    if isinstance(data, Dataset):
        return data.n_users, data.n_items, len(data)
    if len(data) != 3 or not all(isinstance(n, int) and n > 0 for n in data):
        hint = "pass a Dataset, or for example (6040, 3706, 1000209)"
        raise MatineeError(f"{data!r} is not (users, items, events), three positive whole numbers", hint=hint)
    return data


def _row(
    name: str, model: Model, data: Any, sizes: tuple[int, int, int], memory: int | None, disk: int | None
) -> tuple[str, int, int, bool | None, str]:
    needs = model.needs(*sizes)
    lacking = [
        f"{readable(free)} of {what} free"
        for what, needed, free in (("memory", needs.memory_bytes, memory), ("disk", needs.disk_bytes, disk))
        if free is not None and needed > free
    ]
    if isinstance(data, Dataset):
        try:
            model.check(data)
        except MatineeError as error:
            lacking.append(error.what)
    fits = False if lacking else None if memory is None or disk is None else True
    return name, needs.memory_bytes, needs.disk_bytes, fits, "; ".join(lacking)


def announce(model: Model, data: Dataset, path: StrPath) -> None:
    """Warn, before a fit, that the model's folder will be large, and where the disk at `path` will not hold it."""
    needed, free = model.needs(data.n_users, data.n_items, len(data)).disk_bytes, free_bytes(path)
    scarce = free is not None and needed > free
    if needed < LARGE and not scarce:
        return
    text = f"{registry.name_of(model)} will take about {readable(needed)} on disk"
    if free is not None:
        text += f", and {'only ' * scarce}{readable(free)} are free at {path}"
    warnings.warn(text, MatineeWarning, stacklevel=2)
