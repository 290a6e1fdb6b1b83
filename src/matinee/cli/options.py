"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from typer import Argument, Option

from matinee.data.dataset import Dataset
from matinee.data.side_table_report import side_table_report
from matinee.errors import MatineeError
from matinee.study.data_table import DataTable

COLUMNS = ("user_id", "item_id", "rating", "timestamp")
Text = str | None
Texts = list[str] | None
Format = Literal["log", "sequences", "sessions"]
Json = Annotated[bool, Option("--json", help="Print JSON on stdout, and nothing else there.")]
DATA_DIR = Option(metavar="DIR", exists=True, file_okay=False, help="Folder that holds a folder for each data set.")
DataDir = Annotated[Path | None, DATA_DIR]
Settings = Annotated[Texts, Option("--set", metavar="NAME=VALUE", help="A hyper-parameter; may be repeated.")]
K = Annotated[int, Option("-k", min=1, help="Number of items.")]
ModelDir = Annotated[Path, Argument(metavar="MODEL_DIR", help="A folder that `fit` or `run` wrote.")]
Users = Annotated[Texts, Option("--user", metavar="ID", help="A user of the model's log; repeat it for several.")]
OfRun = Annotated[Text, Option("--model", metavar="LABEL", help="A model of the run, where a run's folder is named.")]
HISTORY = Option(metavar="TITLE_OR_ID", help="An item that someone new watched; repeat it, oldest first.")
History = Annotated[Texts, HISTORY]
IncludeSeen = Annotated[bool, Option("--include-seen", help="Allow already-seen items in the results.")]
AT = "Time of the request, for models that use it: an ISO date or Unix seconds."
At = Annotated[Text, Option(metavar="TIME", help=AT, show_default="the end of the history")]


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
    format: Annotated[Format, Option(help="One event, one user or one session per line.")] = "log"
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
        log = DataTable(source=source, columns=columns, **spec).load(data_dir)
        side_table_report(log)
        return log


def takes_log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter `log_options` by one option for each field of LogOptions."""
    hints = get_type_hints(LogOptions, include_extras=True)
    parameters = dict(inspect.signature(command, eval_str=True).parameters)
    place = parameters.pop("log_options")
    options = [place.replace(name=n, default=getattr(LogOptions, n), annotation=hint) for n, hint in hints.items()]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        log_options = LogOptions(**{name: given.pop(name) for name in hints})
        command(**given, log_options=log_options)

    wrapped.__signature__ = inspect.Signature([*parameters.values(), *options])  # type: ignore[attr-defined]
    return wrapped


def settings(given: Sequence[str] | None) -> dict[str, str]:
    """--set NAME=VALUE ... -> {name: text}."""
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise MatineeError(f"--set {text} is not NAME=VALUE", hint="write for example --set l2=200")
        if name.strip() in found:
            raise MatineeError(f"--set {name.strip()} is given twice", hint="keep one of them")
        found[name.strip()] = value.strip()
    return found


def whole_numbers(text: str, option: str, *, least: int) -> list[int]:
    """ "0,1,2" -> [0, 1, 2]."""
    parts = names(text)
    if not parts or not all(part.isdecimal() and int(part) >= least for part in parts):
        what = f"{option} {text}: expected whole numbers from {least}, separated by commas"
        raise MatineeError(what, hint=f"write for example {option} {least},{least + 1}")
    return list(dict.fromkeys(map(int, parts)))


def names(text: str) -> list[str]:
    """ "recall,ndcg" -> ["recall", "ndcg"]."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
