"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

import functools
import inspect
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import ValidationError
from typer import Argument, Option

from matinee.data.dataset import Dataset
from matinee.data.filters import seen_again
from matinee.data.read.options import ReadOptions, TableFile, parsed
from matinee.data.side_table_report import side_table_report
from matinee.errors import (
    COLUMNS,
    MatineeError,
    MatineeWarning,
    counted,
    either,
    option,
    option_name,
    worded_for,
)
from matinee.study.data_table import DataTable, VectorsFile
from matinee.study.events_table import NONE, EventsTable

Text = str | None
Texts = list[str] | None
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
LIST_TITLE = "The title of a list, for models that read it; alone, of a list that is still empty."
OF = "In place of items a column of the item table, such as artist, for models that predict it."
OfColumn = Annotated[Text, Option("--of", metavar="COLUMN", help=OF)]
ListTitle = Annotated[Text, Option("--title", metavar="TEXT", help=LIST_TITLE)]
Where = Annotated[Texts, Option("--where", metavar="EXPR", help="Only items for which this is true; repeatable.")]
DenyWhere = Annotated[Texts, Option("--deny-where", metavar="EXPR", help="No items for which it is true; repeatable.")]
RulesFile = Annotated[Path | None, Option("--rules", metavar="FILE", help="A TOML file with a table [rules].")]
IncludeSeen = Annotated[bool, Option("--include-seen", help="Allow already-seen items in the results.")]
AT = "Time of the request, for models that use it: an ISO date or Unix seconds."
KIND_COLUMN = "Column that says what kind of event a row is; none: all kinds count alike."
KIND = "What an event of a kind counts: above 0 a like, below 0 a dislike, 0 left out; repeat it for each kind."
KEEP_KIND = "A kind of event that stays, all others are left out; may be repeated."
MIN_RATING = "Keep events rated at least R; others are forgotten, also as seen: --dislike-below R remembers them."
VECTORS = "A column of dense vectors of items, a .npy file with a row for each item in the order of ids; repeatable."
VECTORS_IDS = "The ids of the rows of --item-vectors NAME, one a line of a text file; may be repeated."
OTHER_ID = {"users": "item_id", "items": "user_id"}
TRACK = Option("--track", metavar="mlflow[:URI]", help="Tell MLflow: parameters, metrics by round, results, files.")
At = Annotated[Text, Option(metavar="TIME", help=AT, show_default="the end of the history")]


def _reading(name: str, metavar: str | None = None, shown: str | None = None) -> Any:
    """The option of this name of `read`."""
    text = re.sub(r"`([^`]*)`", r"\1", ReadOptions.model_fields[name].description or "")
    default = shown or ("found by its name" if name in COLUMNS and name != "weight" else False)
    return Option(metavar=metavar, help=f"{text[0].upper()}{text[1:]}.", show_default=default)


def _of_table(name: str) -> Any:
    """The option about how a table is written."""
    keys = ", ".join(key for key in TableFile.model_fields if key not in ("path", OTHER_ID[name]))
    text = f"How --{name} is written, where not as the log is: one of {keys}; may be repeated."
    return Option(metavar="NAME=VALUE", help=text)


@dataclass(frozen=True)
class ReadingOptions:
    """Each field is an option of `read` by the same name, None where it is not given. Texts are read as in a recipe."""

    user_id: Annotated[Text, _reading("user_id", "COLUMN")] = None
    item_id: Annotated[Text, _reading("item_id", "COLUMN")] = None
    rating: Annotated[Text, _reading("rating", "COLUMN")] = None
    timestamp: Annotated[Text, _reading("timestamp", "COLUMN")] = None
    weight: Annotated[Text, _reading("weight", "COLUMN")] = None
    header: Annotated[Text, _reading("header", "NAMES|false")] = None
    separator: Annotated[Text, _reading("separator", "SIGN")] = None
    quote: Annotated[Text, _reading("quote", "SIGN")] = None
    escape: Annotated[Text, _reading("escape", "SIGN")] = None
    encoding: Annotated[Text, _reading("encoding", "NAME", "utf-8")] = None
    decimal: Annotated[Text, _reading("decimal", "SIGN", ".")] = None
    comment: Annotated[Text, _reading("comment", "SIGN")] = None
    unit: Annotated[Text, _reading("unit", "s|ms|us|ns", "by size")] = None
    time_format: Annotated[Text, _reading("time_format", "FORMAT")] = None
    ids: Annotated[Text, _reading("ids", "text|integer", "auto")] = None
    bad_rows: Annotated[Text, _reading("bad_rows", "error|skip", "error")] = None

    def given(self) -> dict[str, str]:
        """The options that were given."""
        return {
            name: value for name in ReadingOptions.__dataclass_fields__ if (value := getattr(self, name)) is not None
        }


@dataclass(frozen=True)
class LogOptions(ReadingOptions):
    """Each field but data_dir and the columns is a key of a recipe's [data]; the three of kinds are [data.events], and
    those of tables are keys of `users = {...}` and `items = {...}`."""

    format: Annotated[Text, _reading("format", "NAME", "log")] = None
    session_gap: Annotated[Text, _reading("session_gap", "TIME")] = None
    users: Annotated[Text, _reading("users", "FILE")] = None
    items: Annotated[Text, _reading("items", "FILE")] = None
    items_option: Annotated[Texts, _of_table("items")] = None
    users_option: Annotated[Texts, _of_table("users")] = None
    item_vectors: Annotated[Texts, Option(metavar="NAME=FILE", help=VECTORS)] = None
    item_vectors_ids: Annotated[Texts, Option(metavar="NAME=FILE", help=VECTORS_IDS)] = None
    kind_column: Annotated[Text, Option(metavar="COLUMN", help=KIND_COLUMN)] = None
    kind: Annotated[Texts, Option(metavar="NAME=WEIGHT", help=KIND)] = None
    keep_kind: Annotated[Texts, Option(metavar="NAME", help=KEEP_KIND)] = None
    dislike_below: Annotated[float | None, _reading("dislike_below", "R")] = None
    duplicates: Annotated[Text, _reading("duplicates", "keep|distinct|last|first|sum|error", "keep")] = None
    data_dir: DataDir = None
    min_rating: Annotated[float | None, Option(metavar="R", help=MIN_RATING)] = None
    min_user_events: Annotated[int, Option(metavar="N", min=0, help="Drop users with fewer events.")] = 0
    min_item_events: Annotated[int, Option(metavar="N", min=0, help="Drop items with fewer events.")] = 0
    min_item_users: Annotated[int, Option(metavar="N", min=0, help="Drop items of fewer users (lists).")] = 0

    def table(self, source: str) -> DataTable:
        """[data] of a data set by its name, or of a log by its path."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        data_dir = given.pop("data_dir", None)
        path = Path(source)
        with worded_for("command"):
            if not (path.name == source or path.exists() or Path(data_dir or ".", source).exists()):
                hint = "check the path, or use a name of `matinee data`"
                raise MatineeError("there is no such file or folder", where=source, hint=hint)
            given |= _table(given, "users") | _table(given, "items") | _vectors(given)
            return DataTable.of(source, given | {"events": _events(given)})

    def load(self, source: str) -> Dataset:
        """A data set by its name, or a log by its path. Warns where its side tables do not fit it."""
        with worded_for("command"):
            table = self.table(source)
            whole = table.read(self.data_dir)
            log = table.filtered(whole)
            if self.min_rating is not None:
                _warn_of_seen(whole, log, self.min_rating)
        side_table_report(log)
        return log


def _warn_of_seen(whole: Dataset, log: Dataset, min_rating: float) -> None:
    """A MatineeWarning where a filter on ratings forgets what users have seen."""
    if n := seen_again(whole, log, min_rating):
        what = f"{counted(n, 'item')} that a user rated below {min_rating:g} {either(n, 'is', 'are')} left out, and may"
        text = (
            f"{log.name}: {what} be recommended to that user as unseen; {option('dislike_below', f'{min_rating:g}')} in"
        )
        warnings.warn(f"{text} place of {option_name('min_rating')} keeps them out", MatineeWarning, stacklevel=3)


def _table(given: dict[str, Any], name: Literal["users", "items"]) -> dict[str, TableFile]:
    """{name: the table}, where it is written in its own way; its options are taken out of `given`."""
    options = pairs(given.pop(f"{name}_option", None), f"--{name}-option", "separator=';'")
    if not options:
        return {}
    if name not in given:
        raise MatineeError(f"--{name}-option is about a table that is not named", hint=f"add --{name} FILE")
    if "path" in options:
        raise MatineeError(f"--{name}-option path: the file is named by --{name}", hint="leave it out")
    with worded_for("command", table=name):
        return {name: parsed(TableFile, {"path": given[name], **options})}


def _vectors(given: dict[str, Any]) -> dict[str, Any]:
    """{item_vectors: the files}; their options are taken out of `given`."""
    files = pairs(given.pop("item_vectors", None), "--item-vectors", "poster=posters.npy")
    ids = pairs(given.pop("item_vectors_ids", None), "--item-vectors-ids", "poster=posters.txt")
    for name in ids:
        if name not in files:
            what = f"--item-vectors-ids {name} is about vectors that are not named"
            raise MatineeError(what, hint=f"add --item-vectors {name}=FILE.npy")
    return {"item_vectors": {name: VectorsFile(path=path, ids=ids.get(name)) for name, path in files.items()}}


def _events(given: dict[str, Any]) -> EventsTable | None:
    """--kind-column, --kind and --keep-kind, which are taken out of `given`."""
    column, kinds, keep = (given.pop(name, None) for name in ("kind_column", "kind", "keep_kind"))
    if column is None:
        if kinds or keep:
            what = f"{'--kind' if kinds else '--keep-kind'} is given, and no column of kinds"
            raise MatineeError(what, hint="add --kind-column and the column that says the kind of an event")
        return None
    weights = {kind: _number(kind, text) for kind, text in pairs(kinds, "--kind", "purchase=4").items()}
    if column.lower() != NONE and not weights and not keep:
        hint = (
            f"add {option('kind', 'purchase=4')} for each kind, or {option('keep_kind', 'purchase')} for those to keep"
        )
        raise MatineeError("--kind-column is given, and no kind of event", hint=hint)
    try:
        return EventsTable(column=column, weights=weights, keep=keep or [])
    except ValidationError as error:
        what, _, hint = error.errors()[0]["msg"].removeprefix("Value error, ").partition("; ")
        raise MatineeError(what, hint=hint or None) from None


def _number(kind: str, text: str) -> float:
    try:
        if math.isfinite(number := float(text)):
            return number
        raise ValueError
    except ValueError:
        what = f"--kind {kind}={text}: the weight is no finite number"
        raise MatineeError(what, hint=f"write for example --kind {kind}=1, or -1 for a dislike") from None


def takes_log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter `log_options` by one option for each field of LogOptions."""
    return _takes(command, "log_options", LogOptions)


def takes_reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter `reading` by one option for each field of ReadingOptions."""
    return _takes(command, "reading", ReadingOptions)


def _takes(command: Callable[..., None], parameter: str, kind: type[ReadingOptions]) -> Callable[..., None]:
    hints = get_type_hints(kind, include_extras=True)
    parameters = dict(inspect.signature(command, eval_str=True).parameters)
    place = parameters.pop(parameter)
    options = [place.replace(name=n, default=getattr(kind, n), annotation=hint) for n, hint in hints.items()]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        chosen = kind(**{name: given.pop(name) for name in hints})
        command(**given, **{parameter: chosen})

    wrapped.__signature__ = inspect.Signature([*parameters.values(), *options])  # type: ignore[attr-defined]
    return wrapped


def settings(given: Sequence[str] | None) -> dict[str, str]:
    """--set NAME=VALUE ... -> {name: text}."""
    return pairs(given, "--set", "l2=200")


def pairs(given: Sequence[str] | None, option: str, example: str) -> dict[str, str]:
    """NAME=VALUE ... of an option that may be repeated -> {name: text}."""
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise MatineeError(f"{option} {text} is not NAME=VALUE", hint=f"write for example {option} {example}")
        if name.strip() in found:
            raise MatineeError(f"{option} {name.strip()} is given twice", hint="keep one of them")
        found[name.strip()] = value.strip() or value
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
