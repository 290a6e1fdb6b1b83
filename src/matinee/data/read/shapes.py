"""How a text file is likely written: the sign between columns, comments, decimals, whole histories a line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matinee.data.read.dialect import DOUBLE_COLON, SEPARATORS, Dialect, sniffed
from matinee.errors import option

LINES = 500
_COMMENTS = ("#", "%", "//")
_ID = re.compile(r"[\w:/@|+-]+(\.\w+)*")


@dataclass
class Shape:
    """options: those of `read` about text that the lines ask for. separator: what is between columns."""

    options: dict[str, Any] = field(default_factory=dict)
    separator: str | None = None
    doubts: list[str] = field(default_factory=list)


def shape_of(copy: Path, text: str, encoding: str, separator: str | None = None) -> Shape:
    """What the first lines of a file say; copy: the file they are from. separator: the sign, where it is known."""
    shape = Shape({} if encoding == "utf-8" else {"encoding": encoding})
    lines = [line for line in text.split("\n")[:LINES] if line.strip()]
    lines = _without_comments([line.rstrip("\r") for line in lines], shape)
    if separator is not None:
        shape.separator = separator
        return shape
    if not any(sign in line for line in lines[:20] for sign in (*SEPARATORS, DOUBLE_COLON)) or _ragged_tabs(lines):
        _of_spaces(lines, shape)
        return shape
    comment = shape.options.get("comment")
    own = sniffed(copy, Dialect(encoding=encoding, comment=comment)).separator or ","
    shape.separator = _separator(lines, own)
    if shape.separator != own:
        shape.options["separator"] = shape.separator
    first = [cell.strip('" ') for cell in lines[0].split(shape.separator)] if lines else []
    if any(first.count(cell) > 1 and not re.search("[A-Za-z]{2}", cell) for cell in first):
        shape.options["header"] = False  # names come once
    if shape.separator != "," and _comma_decimals(lines, shape.separator):
        shape.options["decimal"] = ","
    return shape


def _without_comments(lines: list[str], shape: Shape) -> list[str]:
    """The lines but for those at the beginning that start with a sign of comments."""
    for sign in _COMMENTS:
        rest = [line for line in lines if not line.startswith(sign)]
        if lines and lines[0].startswith(sign) and rest:
            shape.options["comment"] = sign
            n = len(lines) - len(rest)
            shape.doubts.append(
                f"lines that start with {sign} are taken for comments and left out, here {n}: {lines[0][:60]!r}"
            )
            return rest
    return lines


def _separator(lines: Sequence[str], own: str) -> str:
    """The sign that each line has equally often; `read`'s own where it is as good."""
    plain = [re.sub(r'"[^"]*"', "", line) for line in lines]

    def evenness(sign: str) -> float:
        counts = Counter(line.count(sign) for line in plain)
        count, often = counts.most_common(1)[0]
        return often / len(plain) if count else 0.0

    signs = [own, *(sign for sign in (DOUBLE_COLON, *SEPARATORS) if sign != own)]
    best = max(signs, key=evenness)
    return best if evenness(best) > evenness(own) + 0.1 else own


def _comma_decimals(lines: Sequence[str], separator: str) -> bool:
    rows = [[cell.strip('" ') for cell in line.split(separator)] for line in lines[1:]]
    width = min(map(len, rows), default=0)
    return any(
        all(re.fullmatch(r"-?\d+(,\d+)?", row[place]) for row in rows) and any("," in row[place] for row in rows)
        for place in range(width)
    )


# --- lines of ids -------------------------------------------------------------------------------------------------


def _ragged_tabs(lines: Sequence[str]) -> bool:
    """Whether tabs stand between ids of lines that are not equally long."""
    if any(sign in line for line in lines[:20] for sign in (",", ";", "::")):
        return False
    return len({line.count("\t") for line in lines}) > 2 or (
        len({len(line.split()) for line in lines}) > 2 and all(" " in line for line in lines[:5]) and _all_ids(lines)
    )


def _all_ids(lines: Sequence[str]) -> bool:
    return all(_ID.fullmatch(word) for line in lines[:100] for word in line.split())


def _of_spaces(lines: Sequence[str], shape: Shape) -> None:
    """Lines without any usual sign: a table with spaces, a user with items a line, or a session a line."""
    rows = [line.split() for line in lines]
    widths = Counter(map(len, rows))
    if not rows or set(widths) == {1} or not _all_ids(lines):
        shape.separator = ","
        return
    shape.separator = " "
    if len(widths) == 1 and (len(rows) > 1 or len(rows[0]) < 5):
        _of_equal_lines(rows, shape)
        return
    named = _users_first(rows)
    shape.options["format"] = "sequences" if named else "sessions"
    this, other = ("a user and then items", "items alone") if named else ("the items of a session", "a user first")
    how = option("format", "sessions" if named else "sequences")
    shape.doubts.append(f"each line is taken for {this}; if it is {other}, say {how}")


def _of_equal_lines(rows: Sequence[Sequence[str]], shape: Shape) -> None:
    shape.options["separator"] = " "
    firsts = [row[0] for row in rows]
    if len(rows[0]) != 2 or len(set(firsts)) < len(firsts) or len(firsts) < 3:
        if len(rows[0]) == 2:
            how = option("format", "sessions")
            shape.doubts.append(f"each line is taken for a user and an item; if lines are sessions of two, say {how}")
        return
    shape.doubts.append(
        "each line is taken for a user and an item, and no user comes twice; if lines are sessions of two items, say "
        f"{option('format', 'sessions')}"
    )


def _users_first(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first ids of the lines are those of users: each once, and no items or in rising order."""
    firsts = [row[0] for row in rows]
    if len(set(firsts)) < len(firsts) or min(map(len, rows)) < 2:
        return False
    rest = {word for row in rows for word in row[1:]}
    numbers = [int(word) for word in firsts if word.isdecimal()]
    rising = len(numbers) == len(firsts) and numbers == sorted(numbers)
    return rising or sum(word in rest for word in firsts) <= 0.05 * len(firsts)
