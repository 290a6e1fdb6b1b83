"""What people and machines see: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE = 10_000  # where nobody watches, nothing is cut or folded


@dataclass(frozen=True)
class Column:
    """right: numbers. style: rich's word for it. keep: False where the column may go when the terminal is narrow."""

    name: str
    right: bool = False
    style: str = ""
    keep: bool = True
    fold: bool = False


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


def error(what: str, mend: str | None = None, *, mend_word: str = "to mend it:") -> None:
    """What went wrong, and how to mend it, on stderr."""
    out = console(stderr=True)
    _print(f"error: {what}", "red", out)
    if mend:
        _print(f"  {mend_word} {mend}", "", out)


def emit(value: Any) -> None:
    """JSON on stdout. NaN and infinities, which JSON lacks, become null."""
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    bold: Iterable[tuple[int, int]] = (),
    header: bool = True,
) -> None:
    """A table on stdout. bold: (row, column) of cells. Columns that may go are dropped, last first, until it fits."""
    out, cells, strong = console(), [[_printable(c) for c in row] for row in rows], set(bold)
    shown = list(range(len(columns)))
    built = _build(columns, cells, strong, shown, out, header=header)
    while built.__rich_measure__(out, out.options.update(max_width=WIDE)).maximum > out.width:
        droppable = [c for c in shown if not columns[c].keep]
        if not droppable:
            break
        shown.remove(droppable[-1])
        built = _build(columns, cells, strong, shown, out, header=header)
    if title:
        _print(title, "bold", out)
    with out.capture() as captured:
        out.print(built)
    text = "\n".join(line.rstrip() for line in captured.get().splitlines())
    sys.stdout.write(text.strip("\n") + "\n")
    if len(shown) < len(columns):
        gone = ", ".join(columns[c].name for c in range(len(columns)) if c not in shown)
        _print(f"(not shown for want of width: {gone})", "dim", out)


def _build(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    bold: set[tuple[int, int]],
    shown: Sequence[int],
    out: Console,
    *,
    header: bool,
) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    people = out.is_terminal
    built = Table(
        box=box.SIMPLE_HEAD if people and header else None,
        show_header=header,
        show_edge=False,
        pad_edge=False,
        header_style="dim",
        padding=(0, 2, 0, 0) if not people or not header else (0, 1),
    )
    for c in shown:
        column = columns[c]
        built.add_column(
            Text(column.name),
            justify="right" if column.right else "left",
            style=column.style,
            overflow="fold" if column.fold else "ellipsis",
            no_wrap=not column.fold,
        )
    for r, row in enumerate(rows):
        built.add_row(*(Text(row[c], style="bold" if (r, c) in bold else "") for c in shown))
    return built


def _print(text: str, style: str, out: Console) -> None:
    from rich.text import Text

    out.print(Text("\n".join(_printable(line) for line in text.split("\n")), style=style))


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
