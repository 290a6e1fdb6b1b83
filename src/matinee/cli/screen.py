"""Output for people and for programs: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDE = 10_000  # columns where the output is not a terminal: nothing is cut or folded
PADDING = 3  # between columns
_warned: list[str] = []  # by this command


@dataclass(frozen=True)
class Column:
    """A column of a table. right: align right, for numbers. style: of rich. least: the width to which it may be folded
    (None: never). keep: False where a narrow terminal may leave it out."""

    name: str
    right: bool = False
    style: str = ""
    least: int | None = None
    keep: bool = True


def console(*, stderr: bool = False) -> Console:
    """A rich console without markup, since titles hold brackets and colons."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDE
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def say(text: str = "", style: str = "") -> None:
    """One paragraph on stdout."""
    _print(text, style, console())


def warn(text: str) -> None:
    """A warning on stderr, once in a command; `emit` repeats it."""
    if text not in _warned:
        _warned.append(text)
        _print(f"warning: {text}", "yellow", console(stderr=True))


def forget_warnings() -> None:
    """A command begins: none of its warnings was shown yet."""
    _warned.clear()


def error(what: str, hint: str | None = None) -> None:
    """What went wrong, and how to fix it, on stderr."""
    out = console(stderr=True)
    _print(f"error: {what}", "red", out)
    if hint:
        _print(f"  hint: {hint}", "", out)


def emit(value: Any) -> None:
    """JSON on stdout. NaN and infinities become null; letters that the stream lacks are escaped, not replaced.
    An object ends with `warnings`, the texts that stderr has."""
    if isinstance(value, dict):
        value = {**value, "warnings": _warned}
    unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")  # not so on Windows, into a file or a pipe
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=not unicode, indent=2, allow_nan=False) + "\n")


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    *,
    bold: Iterable[tuple[int, int]] = (),
    header: bool = True,
) -> None:
    """A table on stdout. bold: (row, column) of cells.

    In a narrow terminal columns with `least` are folded first; then columns without `keep` are left out, last first.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out, cells, strong = console(), [[_printable(cell) for cell in row] for row in rows], set(bold)
    widths = _widths(columns, cells, out.width)
    ruled = out.is_terminal and header
    built = Table(box=box.SIMPLE_HEAD if ruled else None, show_header=header, show_edge=False, pad_edge=False)
    built.header_style = "dim"
    built.padding = (0, 1, 0, 1) if ruled else (0, 2, 0, 0)
    for c, width in widths.items():
        justify: Literal["left", "right"] = "right" if columns[c].right else "left"
        built.add_column(Text(columns[c].name), justify=justify, style=columns[c].style, overflow="fold", width=width)
    for r, row in enumerate(cells):
        built.add_row(*(Text(row[c], style="bold" if (r, c) in strong else "") for c in widths))
    _write(built, out)
    if gone := [column.name for c, column in enumerate(columns) if c not in widths]:
        _print(f"(too narrow to show: {', '.join(gone)})", "dim", out)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], available: int) -> dict[int, int]:
    """Column number -> width in characters, for the columns that are shown."""
    from rich.cells import cell_len

    texts = [[column.name, *(row[c] for row in rows)] for c, column in enumerate(columns)]
    widths = {c: max(map(cell_len, cells)) for c, cells in enumerate(texts)}
    least = {c: min(widths[c], columns[c].least or widths[c]) for c in widths}
    available += PADDING  # none after the last column
    droppable = [c for c in widths if not columns[c].keep]
    while droppable and len(widths) > 1 and sum(least[c] + PADDING for c in widths) > available:
        del widths[droppable.pop()]
    while sum(width + PADDING for width in widths.values()) > available and (
        shrinkable := [c for c in widths if widths[c] > least[c]]
    ):
        widths[max(shrinkable, key=lambda c: widths[c])] -= 1
    return widths


def _print(text: str, style: str, out: Console) -> None:
    from rich.text import Text

    _write(Text("\n".join(_printable(line) for line in text.split("\n")), style=style), out)


def _write(what: Table | Text, out: Console) -> None:
    """Render, and write without spaces at line ends. rich itself would end the program where the pipe is closed."""
    with out.capture() as captured:
        out.print(what)
    out.file.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def _printable(text: str) -> str:
    """The text without control characters: a title must not control the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | None) else str(value)
