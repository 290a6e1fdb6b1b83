"""`explore`: what one log holds, or several side by side, on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import Json, LogOptions, takes_log_options
from matinee.cli.screen import Column
from matinee.data.dataset import Dataset
from matinee.errors import MatineeError, worded_for
from matinee.explore import explore as explored
from matinee.explore.exploration import Exploration, Explorations, Takeaway, is_page
from matinee.explore.exploring import TOP

PAGE = Path("explore.html")
SOURCES = Argument(metavar="NAME|PATH...", help="A data set, a file or a folder; several are put side by side.")
OUT = Option(metavar="FILE", help="The page to write; with --json none is written without it.", show_default=str(PAGE))
PAUSE = Option(metavar="TIME", help="A longer time between two events of a user ends a session.")


@takes_log_options
def explore(
    sources: Annotated[list[str], SOURCES],
    *,
    log_options: LogOptions,
    out: Annotated[Path | None, OUT] = None,
    top: Annotated[int, Option(min=1, metavar="N", help="Genres, directors and so on that are listed.")] = TOP,
    pause: Annotated[str, PAUSE] = "30m",
    seed: Annotated[int, Option(min=0, metavar="N", help="Of the random splits.")] = 0,
    as_json: Json = False,
) -> None:
    """Say what a log holds, and what follows, on a page.

    What is notable in it, what each way to split it would hide, and which models to begin with. Several logs are put
    side by side. The options say how a log is read; of several, how each of them is.
    """
    page = out if as_json else out or PAGE
    if page is not None:
        _refuse_others(page)
    logs = [log_options.load(source) for source in sources]
    found = _explored(logs, top, pause, seed)
    if page is not None:
        found.to_html(page)
    if as_json:
        screen.emit({"page": None if page is None else str(page), **found.to_dict()})
        return
    _show(found)
    screen.say(f"\n{page}")


def _explored(logs: list[Dataset], top: int, pause: str, seed: int) -> Exploration | Explorations:
    with worded_for("command"):
        return explored(*logs, top=top, pause=pause, seed=seed)


def _refuse_others(page: Path) -> None:
    """Refuse to write over a file that is no page of Matinee, before any work is done."""
    if page.is_file() and not is_page(page):
        raise MatineeError("this file is no page of Matinee", where=str(page), hint="choose another --out")


def _show(found: Exploration | Explorations) -> None:
    if isinstance(found, Exploration):
        screen.say(found.title, "bold")
        _takeaways(found.takeaways)
        return
    columns = [Column("", least=24), *(Column(log.name, right=True, least=8) for log in found.logs)]
    screen.table(columns, [[row.name, *row.texts()] for row in found.side_by_side()])
    screen.say()
    for overlap in found.overlaps:
        screen.say(str(overlap))


def _takeaways(found: tuple[Takeaway, ...]) -> None:
    rows = [[each.topic, f"{each.found} {each.so}"] for each in found]
    screen.table([Column("", style="dim"), Column("", least=30)], rows, header=False)
