"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.errors import MatineeError

Json = Annotated[bool, Option("--json", help="Print JSON on stdout, and nothing else there.")]
DataDir = Annotated[
    Path | None,
    Option(metavar="DIR", exists=True, file_okay=False, help="Folder that holds a folder for each data set."),
]
Settings = Annotated[
    list[str] | None, Option("--set", metavar="NAME=VALUE", help="A hyper-parameter; may be repeated.")
]
K = Annotated[int, Option("-k", min=1, help="Number of items.")]
ModelDir = Annotated[Path, Argument(metavar="MODEL_DIR", help="A folder that `fit` or `run` wrote.")]
User = Annotated[str | None, Option(metavar="ID", help="A user of the model's log.")]
History = Annotated[
    list[str] | None, Option(metavar="TITLE_OR_ID", help="An item that someone new watched; repeat it, oldest first.")
]
IncludeSeen = Annotated[bool, Option("--include-seen", help="Allow already-seen items in the results.")]
At = Annotated[
    str | None,
    Option(
        metavar="TIME",
        help="Time of the request, for models that use it: an ISO date or Unix seconds.",
        show_default="the end of the history",
    ),
]


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
        raise MatineeError(
            f"{option} {text}: expected whole numbers from {least}, separated by commas",
            hint=f"write for example {option} {least},{least + 1}",
        )
    return list(dict.fromkeys(map(int, parts)))


def names(text: str) -> list[str]:
    """ "recall,ndcg" -> ["recall", "ndcg"]."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
