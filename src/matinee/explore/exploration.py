"""What `mt.explore` finds: one log's numbers (Exploration), or several logs side by side (Explorations)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from matinee.errors import counted
from matinee.explore.arrivals import ArrivalFigures
from matinee.explore.beside import Numbers, Overlap, Row, rows_of
from matinee.explore.hidden import SplitFigures
from matinee.explore.log import KeyFigures
from matinee.explore.ratings import RatingFigures
from matinee.explore.repeats import RepeatFigures
from matinee.explore.spread import Shares
from matinee.explore.tables import AttributeFigures, TableFigures
from matinee.explore.times import TimeFigures
from matinee.explore.years import YearFigures
from matinee.files import StrPath, atomic_write
from matinee.notebook import html_notes, html_panel, html_table


@dataclass(frozen=True)
class Takeaway:
    """topic: one word. found: a sentence made of the numbers. so: what follows for the choice of split and models."""

    topic: str
    found: str
    so: str


@dataclass(frozen=True)
class Exploration:
    """What a log holds. A part is None, or empty, where the log has nothing for it; absent then says why.

    activity, popularity: events per user and per item. side_tables: how much of the log each table describes. splits:
    what each way to split would hide; impossible: strategy -> why it cannot be. absent: part -> why it is left out,
    and how to give it.
    """

    name: str
    fingerprint: str
    figures: KeyFigures
    activity: Shares
    popularity: Shares
    ratings: RatingFigures | None
    repeats: RepeatFigures
    tables: tuple[TableFigures, ...]
    side_tables: tuple[str, ...]
    attributes: tuple[AttributeFigures, ...]
    years: YearFigures | None
    times: TimeFigures | None
    arrivals: ArrivalFigures | None
    splits: tuple[SplitFigures, ...]
    impossible: Mapping[str, str]
    absent: Mapping[str, str]
    takeaways: tuple[Takeaway, ...] = ()

    @property
    def numbers(self) -> Numbers:
        """The parts from which the rows of a comparison are made."""
        return Numbers(
            self.figures,
            self.activity,
            self.popularity,
            self.ratings,
            self.repeats,
            self.years,
            self.times,
            self.splits,
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists, numbers and texts, for JSON; None for what is not a finite number."""
        return dict(plain(self))

    def to_html(self, path: StrPath) -> None:
        """Write the page: one file without scripts that needs no network. Raises MatineeError where it cannot."""
        atomic_write(path, _page((self,), ()))

    def __str__(self) -> str:
        return "\n".join([self.title, *(f"* {each.found} {each.so}".rstrip() for each in self.takeaways)])

    def __repr__(self) -> str:
        return f"Exploration({self.title})"

    def _repr_html_(self) -> str:
        notes = [f"{each.found} {each.so}".rstrip() for each in self.takeaways]
        return html_panel(f"Exploration of {self.title}", _rows_table([self]), html_notes(*notes))

    @property
    def title(self) -> str:
        """The name and the sizes, in one line."""
        f = self.figures
        sizes = counted(f.n_events, "event"), counted(f.n_users, "user"), counted(f.n_items, "item")
        return f"{self.name}: {', '.join(sizes)}"


@dataclass(frozen=True)
class Explorations:
    """Several logs side by side. overlaps: for each two of them, what they share."""

    logs: tuple[Exploration, ...]
    overlaps: tuple[Overlap, ...]

    def __getitem__(self, at: int) -> Exploration:
        return self.logs[at]

    def __len__(self) -> int:
        return len(self.logs)

    def side_by_side(self) -> tuple[Row, ...]:
        """A row for each number, with its value for each log; None where a log has none."""
        return rows_of([log.numbers for log in self.logs])

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists, numbers and texts, for JSON; None for what is not a finite number."""
        return {**plain(self), "side_by_side": plain(self.side_by_side())}

    def to_html(self, path: StrPath) -> None:
        """Write the page: one file without scripts that needs no network. Raises MatineeError where it cannot."""
        atomic_write(path, _page(self.logs, self.overlaps))

    def __str__(self) -> str:
        return "\n\n".join([*map(str, self.logs), *(str(each) for each in self.overlaps)])

    def __repr__(self) -> str:
        return f"Explorations({', '.join(log.name for log in self.logs)})"

    def _repr_html_(self) -> str:
        names = ", ".join(log.name for log in self.logs)
        return html_panel(f"Explorations of {names}", _rows_table(self.logs), html_notes(*map(str, self.overlaps)))


def plain(value: Any) -> Any:
    """Dataclasses, arrays and mappings as what JSON has."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _rows_table(logs: tuple[Exploration, ...] | list[Exploration]) -> str:
    rows = rows_of([log.numbers for log in logs])
    head = ["", *(log.name for log in logs)]
    numbers = range(1, len(head))
    return html_table(head, [[row.name, *row.texts()] for row in rows], numbers=numbers, named=True)


def _page(logs: tuple[Exploration, ...], overlaps: tuple[Overlap, ...]) -> str:
    """Pages are made in report/, which stands above and knows this module: so it is found by its name."""
    page: str = import_module("matinee.report.explored").page(logs, overlaps)
    return page


def is_page(path: Path) -> bool:
    """Whether a file is a page of Matinee, and may be replaced by another."""
    with path.open("rb") as file:
        return b'<meta name="generator" content="Matinee">' in file.read(2000)
