"""How a log is written and read: every option, once. `read`, recipes and the command line have the same ones."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from matinee.data.dataset import Duplicates
from matinee.data.events import EventKinds, kinds_of
from matinee.data.read.format_names import KNOWN
from matinee.errors import MatineeError, listed, option, suggestion

AUTO = "auto"
NONE = "none"  # None, where None cannot be written
SIGNS = {"tab": "\t", "\\t": "\t", "comma": ",", "space": " ", "semicolon": ";", "pipe": "|"}
Unit = Literal["auto", "s", "ms", "us", "ns"]
Ids = Literal["auto", "text", "integer"]
BadRows = Literal["error", "skip"]
FORMATS = ("log", "sequences", "sessions", "auto", *KNOWN)
"""What a row of a file is, or the name of a known format; "auto" recognises those."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _none(value: object) -> object:
    return None if isinstance(value, str) and value.lower() == NONE else value


def _sign(value: object) -> object:
    return SIGNS.get(value.lower(), value) if isinstance(value, str) else value


def _header(value: object) -> object:
    """ "false", or "user,item,time" from the command line."""
    if value is None:
        return True
    if isinstance(value, str):
        words = {"true": True, "false": False, "yes": True, "no": False, NONE: False}
        return words.get(value.lower(), [name.strip() for name in value.split(",")])
    return list(value) if isinstance(value, tuple) else value


def _one(value: str | None) -> str | None:
    """One character of one byte, as polars wants it."""
    if value is not None and value != AUTO and (len(value) != 1 or not value.isascii()):
        raise ValueError("expected one ASCII character, or none")
    return value


def _unempty(value: str | None) -> str | None:
    if value == "":
        raise ValueError("expected a sign between columns, such as tab, comma, space, ; or ::")
    return value


def _format(value: str) -> str:
    if value not in FORMATS:
        raise ValueError(f"expected {listed(FORMATS)}")
    return value


def gap_seconds(value: object) -> object:
    """ "30m" -> 1800; numbers are seconds."""
    match = re.fullmatch(r"(\d+)\s*([smhd]?)", value.strip()) if isinstance(value, str) else None
    return int(match[1]) * _SECONDS[match[2] or "s"] if match else value


def _kinds(value: object) -> EventKinds | str | None:
    """ "auto", None, or kinds given in any way."""
    value = _none(value)
    return value if value is None or value == AUTO else kinds_of(value)  # type: ignore[arg-type]


Format = Annotated[str, AfterValidator(_format)]
Options = TypeVar("Options", bound=BaseModel)
P = ParamSpec("P")
T = TypeVar("T")
Name = str | int
"""A column's name, or its position from 1."""
Optional = Annotated[Name | None, BeforeValidator(_none)]
Sign = Annotated[str | None, BeforeValidator(_none), AfterValidator(_one)]


class TextOptions(BaseModel):
    """How a text file is written."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    header: Annotated[bool | list[str], BeforeValidator(_header)] = Field(
        True, description="whether the first row names the columns; or the names of a file without such a row"
    )
    separator: Annotated[str | None, BeforeValidator(_sign), BeforeValidator(_none), AfterValidator(_unempty)] = Field(
        None, description="sign between columns, `tab`, `comma`, `space`, `;`, `::`; found where none is given"
    )
    quote: Sign = Field(
        AUTO, description='quotation mark; `none`: it is an ordinary character; `auto`: `"` where used so'
    )
    escape: Sign = Field(
        AUTO, description="sign before a quotation mark inside a field; `auto`: a backslash where used so"
    )
    encoding: str = Field("utf-8", description="encoding of the text, such as `latin-1` or `utf-16`")
    decimal: Literal[".", ","] = Field(".", description="sign before decimals: `,` reads 3,5")
    comment: Annotated[str | None, BeforeValidator(_none)] = Field(
        None, description="lines that start with this are left out"
    )


class TableFile(TextOptions):
    """A file that is written in its own way: a table of users or items, or hidden pairs; see `table`."""

    path: str | Path = Field(description="the file")
    user_id: Name | None = Field(None, description="column of user ids")
    item_id: Name | None = Field(None, description="column of item ids")
    title: Name | None = Field(None, description="column of titles")


class FileOptions(TextOptions):
    """How the file of a log is written and read, but for the names of its columns."""

    unit: Unit = Field("auto", description="unit of times that are numbers; auto goes by their size")
    time_format: str | None = Field(None, description="format of times, as in strptime: `%m/%d/%Y %H:%M`")
    ids: Ids = Field(
        "auto", description="kind of ids: `text` as they are written; `integer`; auto: integers where all are"
    )
    bad_rows: BadRows = Field(
        "error", description="rows that cannot be read are an error, or left out and counted (`skip`)"
    )
    format: Format = Field(
        "log",
        description="kind of file: an event a line (log), a user (sequences), a s"
        "ession (sessions); or of `matinee data formats`; auto",
    )
    session_gap: Annotated[int | None, BeforeValidator(_none), BeforeValidator(gap_seconds)] = Field(
        None, gt=0, description="seconds, or `30m`, `1h`: cuts each user's events into sessions at longer waits"
    )
    users: str | TableFile | None = Field(None, description="a file that describes users, by an id column")
    items: str | TableFile | None = Field(
        None, description="a file that describes items: title, year, genres, anything"
    )
    dislike_below: float | None = Field(
        None, description="events rated lower than this are dislikes: no likes, and not recommended to that user"
    )
    duplicates: Duplicates = Field(
        "keep",
        description="what happens to a user's repeated events with one item; distinct: one a second stays, of weights"
        " the largest; sum: the last, with ratings and weights added up",
    )


class ReadOptions(FileOptions):
    """Every option of `read`. AUTO: the usual names are tried. None: the column is not read."""

    user_id: Name = Field(AUTO, description="column of user ids")
    item_id: Name = Field(AUTO, description="column of item ids")
    rating: Optional = Field(AUTO, description="column of ratings")
    timestamp: Optional = Field(AUTO, description="column of times")
    weight: Optional = Field(AUTO, description="column of weights, such as plays")
    kinds: Annotated[Any, BeforeValidator(_kinds)] = Field(
        AUTO, description="what the kinds of events in a column count"
    )
    users: Any = Field(None, description=FileOptions.model_fields["users"].description)
    items: Any = Field(None, description=FileOptions.model_fields["items"].description)


def table(path: str | Path, **options: Any) -> TableFile:
    """A file of `read(..., items=)`, `users=` or `split.provided(test=)` that is written in another way than the log.

    options: header, separator, quote, escape, encoding, decimal and comment as in `read`; user_id, item_id and title:
    its columns. Raises MatineeError for an unknown option or value.

    Example: `mt.table("books.csv", separator=";", encoding="latin-1", item_id="ISBN")`
    """
    return parsed(TableFile, {"path": path, **options})


def parsed(kind: type[Options], given: Mapping[str, Any]) -> Options:
    """Checked options. Raises MatineeError naming the first that is wrong."""
    if not given and not any(field.is_required() for field in kind.model_fields.values()):
        return kind.model_construct()  # the defaults, without the milliseconds of making pydantic's checks
    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        value = given.get(name)
        if name not in kind.model_fields:
            raise MatineeError(f"there is no option {name!r}", hint=suggestion(name, kind.model_fields)) from None
        choices = get_args(kind.model_fields[name].annotation)
        choices = FORMATS if name == "format" else choices
        if first["type"] == "literal_error" or name == "format":
            raise MatineeError(f"unknown {name} {value!r}", hint=suggestion(str(value), choices)) from None
        what = first["msg"].removeprefix("Value error, ")
        hint = f"write for example {option(name, _EXAMPLES.get(name, 'auto'))}"
        raise MatineeError(f"{name} is {value!r}: {what[0].lower()}{what[1:]}", hint=hint) from None


_EXAMPLES: dict[str, object] = {
    "separator": ";",
    "quote": None,
    "escape": "\\",
    "header": False,
    "session_gap": "30m",
    "rating": "stars",
    "dislike_below": 3.0,
}


def known_options(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, with near misses for an option that there is not."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **options: P.kwargs) -> T:
        for name in options:
            if name not in known:
                raise MatineeError(f"read has no option {name!r}", hint=suggestion(name, known))
        return function(*args, **options)

    known = list(inspect.signature(function).parameters)
    return wrapped
