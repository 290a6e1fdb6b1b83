"""The options of a log, defined once: where it is, how it is read, and which of its events are kept."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from typer import Option

from matinee.cli.options import DataDir
from matinee.data.dataset import Dataset
from matinee.data.side_table_report import side_table_report
from matinee.errors import MatineeError
from matinee.study.recipe import DataTable, ModelTable, Recipe

COLUMNS = ("user_id", "item_id", "rating", "timestamp")


def _column(what: str) -> Any:
    return Option(metavar="COLUMN", help=f"Column of {what}.", show_default="found by its name")


@dataclass(frozen=True)
class LogOptions:
    """Each field is an option of the same name; those after data_dir and the columns are keys of a recipe's [data]."""

    data_dir: DataDir = None
    user_id: Annotated[str | None, _column("user ids")] = None
    item_id: Annotated[str | None, _column("item ids")] = None
    rating: Annotated[str | None, _column("ratings")] = None
    timestamp: Annotated[str | None, _column("times")] = None
    users: Annotated[str | None, Option(metavar="FILE", help="Table of users.")] = None
    items: Annotated[str | None, Option(metavar="FILE", help="Table of items: title, year, genres ...")] = None
    format: Annotated[
        Literal["log", "sequences", "sessions"], Option(help="One event, one user or one session per line.")
    ] = "log"
    min_rating: Annotated[float | None, Option(metavar="R", help="Keep events rated at least R.")] = None
    min_user_events: Annotated[int, Option(metavar="N", min=0, help="Drop users with fewer events.")] = 0
    min_item_events: Annotated[int, Option(metavar="N", min=0, help="Drop items with fewer events.")] = 0

    def load(self, source: str) -> Dataset:
        """A data set by its name, or a log by its path. Warns where its side tables do not fit it."""
        spec = asdict(self)
        data_dir = spec.pop("data_dir")
        path = Path(source)
        if not (path.name == source or path.exists() or Path(data_dir or ".", source).exists()):
            hint = "check the path, or use a name of `matinee data`"
            raise MatineeError("there is no such file or folder", where=source, hint=hint)
        columns = {role: name for role in COLUMNS if (name := spec.pop(role)) is not None}
        table = DataTable(source=source, columns=columns, **spec)
        log = Recipe(data=table, model=[ModelTable(name="popularity")]).load_data(data_dir)
        side_table_report(log)
        return log


def takes_log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter `log_options` by one option for each field of LogOptions."""
    hints = get_type_hints(LogOptions, include_extras=True)
    parameters = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if parameter.name == "log_options":
            parameters += [
                parameter.replace(name=name, default=getattr(LogOptions, name), annotation=hint)
                for name, hint in hints.items()
            ]
        else:
            parameters.append(parameter)

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        log_options = LogOptions(**{name: given.pop(name) for name in hints})
        command(**given, log_options=log_options)

    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return wrapped
