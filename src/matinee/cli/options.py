"""Options that several commands share, and texts from the command line as values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from matinee.errors import MatineeError

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Where data sets lie, each in a folder of its name.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter; may be repeated."),
]
K = Annotated[int, typer.Option("-k", min=1, help="How many items.")]
ModelDir = Annotated[
    Path, typer.Argument(metavar="MODEL_DIR", help="A folder that `fit` or `run` wrote.", show_default=False)
]
User = Annotated[
    str | None, typer.Option("--user", metavar="ID", help="Someone in the model's log.", show_default=False)
]
History = Annotated[
    list[str] | None,
    typer.Option(
        "--history",
        metavar="TITLE_OR_ID",
        help="What someone watched, oldest first; repeat for each item.",
        show_default=False,
    ),
]

At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="When they ask, an ISO date or Unix seconds, for models that read it.",
        show_default="the end of the history",
    ),
]

# How a log file is read and which of its events count
UserId = Annotated[
    str | None,
    typer.Option(
        "--user-id",
        metavar="COLUMN",
        help="The column of user ids.",
        show_default="found by its name",
    ),
]
ItemId = Annotated[
    str | None,
    typer.Option(
        "--item-id",
        metavar="COLUMN",
        help="The column of item ids.",
        show_default="found by its name",
    ),
]
Rating = Annotated[
    str | None,
    typer.Option(
        "--rating",
        metavar="COLUMN",
        help="The column of ratings.",
        show_default="found by its name",
    ),
]
Timestamp = Annotated[
    str | None,
    typer.Option(
        "--timestamp",
        metavar="COLUMN",
        help="The column of times.",
        show_default="found by its name",
    ),
]
Users = Annotated[str | None, typer.Option("--users", metavar="FILE", help="A table of users.", show_default=False)]
Items = Annotated[
    str | None,
    typer.Option("--items", metavar="FILE", help="A table of items: title, year, genres ...", show_default=False),
]
Format = Annotated[
    Literal["log", "sequences", "sessions"],
    typer.Option("--format", help="One event, one user or one session a line."),
]
MinRating = Annotated[
    float | None,
    typer.Option("--min-rating", metavar="R", help="Keep events rated at least R.", show_default=False),
]
MinUserEvents = Annotated[int, typer.Option("--min-user-events", metavar="N", min=0, help="Drop users with fewer.")]
MinItemEvents = Annotated[int, typer.Option("--min-item-events", metavar="N", min=0, help="Drop items with fewer.")]


def settings(given: Sequence[str] | None) -> dict[str, str]:
    """--set NAME=VALUE ... -> {name: text}."""
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise MatineeError(f"--set {text}: there is no NAME=VALUE", hint="write for example --set l2=200")
        if name.strip() in found:
            raise MatineeError(f"--set {name.strip()} is given twice", hint="keep one of them")
        found[name.strip()] = value.strip()
    return found


def whole_numbers(text: str, option: str, *, least: int) -> list[int]:
    """ "0,1,2" -> [0, 1, 2]."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) >= least for part in parts):
        raise MatineeError(
            f"{option} {text}: whole numbers from {least}, with commas between them, are expected",
            hint=f"write for example {option} {least},{least + 1}",
        )
    return list(dict.fromkeys(int(part) for part in parts))


def names(text: str) -> list[str]:
    """ "recall,ndcg" -> ["recall", "ndcg"]."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
