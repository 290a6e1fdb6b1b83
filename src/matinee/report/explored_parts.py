"""The pieces that sections of an explored log are made of; templates/explored_log.html.j2 has a form for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from markupsafe import Markup

from matinee.explore.arrivals import Period
from matinee.explore.spread import Quartiles
from matinee.explore.wording import THIN, count, percent, tick

Kind = Literal["figures", "plots", "table", "tables", "takeaways", "note", "head"]


class Part(NamedTuple):
    kind: Kind
    content: Any


@dataclass(frozen=True)
class Section:
    """id: unique on the page. aside: a sentence below the title."""

    id: str
    title: str
    aside: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Picture:
    """key: (class of a colour, its stroke, a label) of each line."""

    caption: str
    svg: Markup
    key: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True)
class Grid:
    """A table. rows: the name of each and its cells. tints: of the cells, 0 to 1, where they are shaded. words: columns
    from 0 without the names, that hold words and stand left."""

    name: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    tints: Sequence[Sequence[float]] = ()
    words: Sequence[int] = ()
    title: str = ""


def measures(
    columns: Mapping[str, Quartiles | None], write: Callable[[float], str] = count
) -> list[tuple[str, list[str]]]:
    """Rows of the measures of a spread, a column for each; a dash where there is none."""
    names = {
        "Mean": "mean",
        "Standard deviation": "std",
        "Minimum": "smallest",
        "Lower quartile": "lower",
        "Median": "median",
        "Upper quartile": "upper",
        "Maximum": "largest",
    }
    return [
        (
            name,
            [
                dash(None if spread is None or not spread.n else getattr(spread, field), write)
                for spread in columns.values()
            ],
        )
        for name, field in names.items()
    ]


def fine(text: str) -> str:
    """The text with a narrow space before each % that cannot break."""
    return text.replace(" %", f"{THIN}%")


def dash(value: float | None, write: Callable[[float], str] = percent) -> str:
    """The number as text, a dash for none."""
    return "–" if value is None else str(write(value))


def lines_of(values: dict[str, Sequence[float | None]], ticks: Sequence[str]) -> str:
    """The numbers of a drawing as text, for those who do not see it."""
    return "; ".join(
        f"{label}: " + ", ".join(f"{tick} {dash(value)}" for tick, value in zip(ticks, each, strict=True))
        for label, each in values.items()
    )


def ticks_of(periods: tuple[Period, ...]) -> list[str]:
    """When each tenth begins."""
    return [tick(p.first, periods[-1].last - periods[0].first) for p in periods]
