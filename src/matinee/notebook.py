"""What a notebook shows: small pieces of HTML without scripts, escaped, in the colours of the notebook, dark or light.

Text and table take the colours around them; lines are a grey that can be seen on both. Styles are bound to one class.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

LONGEST = 160  # characters of a cell
_STYLE = (
    "<style>.matinee{color:inherit;margin:.3em 0;overflow-x:auto}.matinee p{margin:.3em 0}"
    ".matinee .title{font-weight:600}"
    ".matinee .note{opacity:.72;font-size:.92em}"
    ".matinee table{border-collapse:collapse;margin:.3em 0;color:inherit;background:none;width:auto}"
    ".matinee th,.matinee td{padding:.2em 1.1em .2em 0;text-align:left;vertical-align:top;border:0;color:inherit;"
    "max-width:34em;white-space:normal;overflow-wrap:anywhere}"
    ".matinee th{font-weight:600;white-space:nowrap}"
    ".matinee thead th{border-bottom:1px solid rgba(128,128,128,.6)}"
    ".matinee tbody tr{background:none;border-bottom:1px solid rgba(128,128,128,.22)}"
    ".matinee .n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}</style>"
)


def html_panel(title: str, *parts: str) -> str:
    """The HTML of one output: its title (plain text), then pieces of HTML as the functions below give them."""
    return f'<div class="matinee">{_STYLE}<p class="title">{html.escape(title)}</p>{"".join(parts)}</div>'


def html_table(
    head: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Collection[int] = (), named: bool = False
) -> str:
    """A table of plain values; None is an empty cell. numbers: columns that stand right. named: the first cell of each
    row is its heading."""
    top = "".join(_cell("th", text, column in numbers) for column, text in enumerate(head))
    lines = (
        "".join(_cell("th" if named and column == 0 else "td", x, column in numbers) for column, x in enumerate(row))
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table>{f'<thead><tr>{top}</tr></thead>' if top else ''}<tbody>{body}</tbody></table>"


def html_notes(*texts: str) -> str:
    """Lines of small text; "" is left out."""
    return "".join(f'<p class="note">{html.escape(text)}</p>' for text in texts if text)


def number_text(value: float, digits: int = 4) -> str:
    """A number for a cell: whole ones without a point, others with so many significant digits."""
    return f"{value:,.0f}" if value == value and value == round(value) else f"{value:,.{digits}g}"


def score_text(value: float) -> str:
    """A number for a column of scores: four decimals, none from a thousand on."""
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, or its beginning and three dots where it is longer."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def in_notebook() -> bool:
    """True where the code runs in the kernel of a notebook."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def _cell(tag: str, value: Any, right: bool) -> str:
    text = "" if value is None else html.escape(shortened(str(value)))
    return f'<{tag} class="n">{text}</{tag}>' if right else f"<{tag}>{text}</{tag}>"
