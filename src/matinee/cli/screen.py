"""What people and machines see: results on stdout, everything else on stderr."""

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

WIDE = 10_000  # where nobody watches, nothing is cut or folded
PADDING = 3  # between columns


@dataclass(frozen=True)
class Column:
    """right: numbers. style: rich's word for it. least: to how many characters it may be folded; None: never.

    keep: False where the column may be left out of a narrow terminal.
    """

    name: str
    right: bool = False
    style: str = ""
    least: int | None = None
    keep: bool = True


def console(*, stderr: bool = False) -> Console:
    """Text is printed as it is: titles hold brackets and colons."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDE
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def say(text: str = "", style: str = "") -> None:
    """One paragraph on stdout."""
    _print(text, style, console())


def note(text: str) -> None:
    """One line on stderr."""
    _print(f"matinee: {text}", "dim", console(stderr=True))


def warn(text: str) -> None:
    _print(f"warning: {text}", "yellow", console(stderr=True))


def error(what: str, hint: str | None = None, *, hint_word: str = "hint:") -> None:
    """What went wrong, and how to mend it, on stderr."""
    out = console(stderr=True)
    _print(f"error: {what}", "red", out)
    if hint:
        _print(f"  {hint_word} {hint}", "", out)


def emit(value: Any) -> None:
    """JSON on stdout. NaN and infinities, which JSON lacks, become null."""
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    *,
    bold: Iterable[tuple[int, int]] = (),
    header: bool = True,
) -> None:
    """A table on stdout. bold: (row, column) of cells.

    In a narrow terminal columns with `least` fold first; then those that may go are left out, last first.
    """
    out, cells = console(), [[_printable(cell) for cell in row] for row in rows]
    widths = _widths(columns, cells, out.width)
    built = _built(columns, cells, set(bold), widths, user_samples=out.is_terminal, header=header)
    _write(built, out)
    gone = [column.name for c, column in enumerate(columns) if c not in widths]
    if gone:
        _print(f"(not shown for want of width: {', '.join(gone)})", "dim", out)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], available: int) -> dict[int, int]:
    """Column number -> characters, of the columns that are shown."""
    from rich.cells import cell_len

    widths = {
        c: max((cell_len(text) for text in (column.name, *(row[c] for row in rows))), default=0)
        for c, column in enumerate(columns)
    }
    least = {c: min(widths[c], columns[c].least or widths[c]) for c in widths}
    available += PADDING  # none after the last column
    while sum(least[c] + PADDING for c in widths) > available and len(widths) > 1:
        droppable = [c for c in widths if not columns[c].keep]
        if not droppable:
            break
        del widths[droppable[-1]]
    while sum(width + PADDING for width in widths.values()) > available:
        shrinkable = [c for c in widths if widths[c] > least[c]]
        if not shrinkable:
            break
        widths[max(shrinkable, key=lambda c: widths[c])] -= 1
    return widths


def _built(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    bold: set[tuple[int, int]],
    widths: dict[int, int],
    *,
    user_samples: bool,
    header: bool,
) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    built = Table(
        box=box.SIMPLE_HEAD if user_samples and header else None,
        show_header=header,
        show_edge=False,
        pad_edge=False,
        header_style="dim",
        padding=(0, 1) if user_samples and header else (0, 2, 0, 0),
    )
    for c, width in widths.items():
        justify: Literal["left", "right"] = "right" if columns[c].right else "left"
        built.add_column(Text(columns[c].name), justify=justify, style=columns[c].style, overflow="fold", width=width)
    for r, row in enumerate(rows):
        built.add_row(*(Text(row[c], style="bold" if (r, c) in bold else "") for c in widths))
    return built


def _print(text: str, style: str, out: Console) -> None:
    from rich.text import Text

    _write(Text("\n".join(_printable(line) for line in text.split("\n")), style=style), out)


def _write(what: Table | Text, out: Console) -> None:
    """Render, and write without spaces at line ends. rich itself would end the program where a reader left the pipe."""
    with out.capture() as captured:
        out.print(what)
    out.file.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def _printable(text: str) -> str:
    """Without control characters, which could drive the terminal from inside a title."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | None) else str(value)
