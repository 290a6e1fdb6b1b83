"""`cold-start`: how good models are by how many items are known, and for items that nobody watched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import Json, LogOptions, Text, names, takes_log_options
from matinee.cli.screen import Column
from matinee.errors import MatineeError, worded_for
from matinee.explore.cold_start import KNOWN
from matinee.explore.cold_start import cold_start as studied

MODELS = Argument(metavar="MODEL...", help="Names of models, with their defaults; `matinee models` lists them.")
SOURCE = Option(metavar="NAME|PATH", help="A named data set, a file or a folder.")
KNOWN_ITEMS = Option("--known", metavar="N,N...", help="How many items are shown.", show_default="0,1,2,5,10,25")
NEW_ITEMS = Option(
    "--new-items", metavar="SHARE", min=0.0, max=0.9, help="Of the items, taken out of training; 0: none."
)
OUT = Option(metavar="FILE", help="Draw a line a model as .svg.")


@takes_log_options
def cold_start(
    models: Annotated[list[str], MODELS],
    *,
    data: Annotated[str, SOURCE] = "ml-100k",
    known: Annotated[Text, KNOWN_ITEMS] = None,
    metric: Annotated[str, Option(metavar="NAME", help="The metric of lists.")] = "ndcg",
    k: Annotated[int, Option("-k", min=1, help="Number of items.")] = 10,
    new_items: Annotated[float, NEW_ITEMS] = 0.1,
    seed: Annotated[int, Option(min=0, help="Of the split and the fits.")] = 0,
    out: Annotated[Path | None, OUT] = None,
    log_options: LogOptions,
    as_json: Json = False,
) -> None:
    """Measure models by how many items are known.

    A tenth of the users is hidden, and asked about with so many of their items, and a title where they have one. Then
    some items are taken out of training, and ranked by themselves.
    """
    shown = KNOWN if known is None else _numbers(known)
    if out is not None:
        from matinee.report.cold_start import check_known, write_known  # loads matplotlib

        check_known(out)
    log = log_options.load(data)
    with worded_for("command"):
        found = studied(log, models, shown, metric=metric, k=k, new_items=new_items, seed=seed)
        if out is not None:
            write_known(found.frame, out)
    if as_json:
        beside = {
            "unable": list(found.unable),
            "n_new": found.n_new,
            "chance": found.chance,
            "notes": list(found.notes),
        }
        screen.emit({"rows": found.frame.to_dicts(), **beside, "drawing": None if out is None else str(out)})
        return
    for words, head, rows in found.parts():
        screen.say(words, "bold")
        if rows:
            screen.table([Column(name, right=at > 0, keep=at < 3) for at, name in enumerate(head)], rows)
        screen.say()
    for note in found.words():
        screen.say(note, "dim")
    if out is not None:
        screen.say(str(out))


def _numbers(text: str) -> list[int]:
    """ "0,1,5" -> [0, 1, 5]."""
    try:
        return [int(part) for part in names(text)]
    except ValueError:
        what = f"--known {text}: expected whole numbers, separated by commas"
        raise MatineeError(what, hint="write for example --known 0,1,5") from None
