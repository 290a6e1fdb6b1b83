"""Which columns of a table are likely users, items, ratings, times and weights, by their names and values."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from matinee.data.read.columns import NAMES, by_position, checked_ratings, find_column, plain
from matinee.data.read.log import WEIGHTS
from matinee.data.read.numbers import numbers_of
from matinee.data.read.options import AUTO, NONE
from matinee.data.read.tables import Table
from matinee.data.read.times import checked_times
from matinee.data.side import TITLES
from matinee.errors import COLUMNS, MatineeError, counted, either, option

_WORDS = {
    "user_id": "user|customer|visitor|member|reviewer|account|person|client|profile|subscriber|buyer|player|viewer"
    "|listener|reader|session|playlist|basket|invoice|orderid|cartid",
    "item_id": "item|product|movie|film|book|isbn|asin|article|song|track|video|game|business|sku|news|recipe|anime"
    "|artist|beer|content",
    "rating": "rating|rate|stars|score|overall|grade",
    "timestamp": "timestamp|time|datetime|date|created|watched|when|^ts$|day",
}
_GROUPS = "session|playlist|basket|invoice|orderid|cartid"
"""Names of what holds several items, where no user is named."""
_FIRM = {
    "user_id": ("user", "userid", "uid", "customer", "viewer"),
    "item_id": ("item", "itemid", "isbn", "asin", "sku"),
    "rating": (),
    "timestamp": ("ts", "date"),
}
_TEXTS = ("title", "name", "category", "genre", "description", "count", "type", "age")
"""Words of columns that describe a user or an item, rather than name it."""
_ROWS = 2_000  # in which a format of times is tried
_DATES = [sign.join(order) for sign in "/.-" for order in (("%m", "%d", "%Y"), ("%d", "%m", "%Y"))]
_DATES += [date.replace("%Y", "%y") for date in _DATES]
_DATES += ["%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%d-%b-%Y", "%m %d, %Y", "%Y.%m.%d", "%d/%b/%Y"]
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", ", %H:%M:%S", ", %H:%M", " %H:%M:%S.%f")
FORMATS = [date + clock for date, clock in itertools.product(_DATES, _CLOCKS)] + ["%Y%m%d%H%M%S", "%Y"]
"""Ways to write times that have to be named, since `read` does not try them."""


@dataclass
class Roles:
    """columns: role -> column, or its position from 1. options: those of `read` that the columns need. found: role ->
    column, those that `read` finds by itself too. guessed: roles that no name told. doubts: what may be otherwise.
    given: role -> column, or "none", as somebody said, with unit and time_format. weight: a column that looks like
    weights, which is not read."""

    columns: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    guessed: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    time: str | None = None
    given: dict[str, Any] = field(default_factory=dict)
    weight: str | None = None

    def take_given(self, table: Table) -> None:
        """The columns that were said. Raises MatineeError for one that is not there."""
        for role, name in self.given.items():
            if role not in COLUMNS:
                continue
            column = None if name == NONE else find_column(table, role, name, required=True)
            self.columns[role] = name
            if column is not None:
                self.found[role] = column


def roles_of(table: Table, given: Mapping[str, Any] | None = None) -> Roles:
    """The likely roles of a table with names; without users or items where no column looks like them. given: role ->
    column, those that are known. Raises MatineeError where one of them is not there."""
    roles = Roles(given=dict(given or {}))
    roles.take_given(table)
    for role in ("user_id", "item_id"):
        _by_name(table, role, roles)
    _times(table, roles)
    _ratings(table, roles)
    _weights(table, roles)
    return roles


def positions_of(table: Table, given: Mapping[str, Any] | None = None) -> Roles:
    """The likely roles of a table without a header, whose columns have positions. given: as in `roles_of`."""
    given = dict(given or {})
    roles, names = Roles(guessed=["user_id", "item_id"], given=given), table.frame.columns
    if given:
        return _beside_given(table, roles)
    try:
        roles.found = by_position(table)
        _check_time(table, roles)
        if "rating" in roles.found:
            ways = option("weight", 3), option("rating", None)
            roles.doubts.append(f"the third column is taken for ratings; if it is none, say {ways[0]} or {ways[1]}")
        return roles
    except MatineeError as error:
        if len(names) < 2:
            raise
        roles.doubts.append(error.what)
    roles.found = {"user_id": names[0], "item_id": names[1]}
    roles.columns = {"user_id": 1, "item_id": 2}
    time = next((name for name in names[2:] if _holds_times(table, name)), None)
    if time is not None:
        roles.found["timestamp"] = time
        roles.columns["timestamp"] = names.index(time) + 1
        _check_time(table, roles)
    roles.doubts.append("the first column is taken for users and the second for items")
    for place, name in enumerate(names[2:], start=3):
        if name != time and _numbers(table, name):
            how = option("weight", place), option("rating", place)
            roles.doubts.append(f"column {place} holds numbers: {how[0]} reads them as weights, {how[1]} as ratings")
    return roles


def _beside_given(table: Table, roles: Roles) -> Roles:
    """The roles that were said, users and items in the first columns that are left, and a column of times."""
    names = table.frame.columns
    roles.take_given(table)
    roles.guessed = [role for role in roles.guessed if role not in roles.given]
    for role in ("user_id", "item_id"):
        free = [name for name in names if name not in roles.found.values()]
        if role not in roles.found and free:
            roles.found[role], roles.columns[role] = free[0], names.index(free[0]) + 1
    free = [name for name in names if name not in roles.found.values()]
    time = next((name for name in free if _holds_times(table, name)), None)
    if time is not None and "timestamp" not in roles.given:
        roles.found["timestamp"], roles.columns["timestamp"] = time, names.index(time) + 1
    _check_time(table, roles)
    return roles


def fill_ids(table: Table, roles: Roles) -> None:
    """Take the first free columns for users and items that no name told, with a doubt."""
    for role in ("user_id", "item_id"):
        free = [name for name in table.frame.columns if name not in roles.found.values()]
        if role not in roles.found and free:
            roles.found[role] = roles.columns[role] = free[0]
            roles.guessed.append(role)
            roles.doubts.append(f"no column is named like the {role}: '{free[0]}' is taken, the first that is left")


def _by_name(table: Table, role: str, roles: Roles) -> None:
    """The column that `read` finds, or the one whose name is most like the role."""
    if role in roles.given:
        return
    free = [name for name in table.frame.columns if name not in roles.found.values()]
    try:
        found = find_column(table, role, AUTO, required=False)
    except MatineeError as error:  # there are two
        roles.doubts.append(error.what)
        found = None
    if found is not None and found in free:
        roles.found[role] = found
        return
    ranked = sorted((rank, free.index(name), name) for name in free if (rank := _rank(role, name)) is not None)
    if ranked:
        (rank, _, name), others = ranked[0], [other for place, _, other in ranked[1:] if place == ranked[0][0]]
        roles.found[role] = roles.columns[role] = name
        if others:
            roles.doubts.append(f"'{name}' and '{others[0]}' may both be the {role}: '{name}' is taken")
        elif rank >= 4:
            roles.doubts.append(f"'{name}' is taken for the {role}, since its name is the most like it")


def _rank(role: str, name: str) -> int | None:
    """How much a name is like a role, 0 for most; None: not at all."""
    word = plain(name)
    if word in NAMES[role]:
        return 0
    if role == "item_id" and name.lower() in ("id_x", "id_y"):  # of two tables that pandas merged
        return 3
    if re.search(_WORDS[role], word) is None or (role in ("user_id", "item_id") and any(t in word for t in _TEXTS)):
        return None
    if role == "user_id" and re.search(_GROUPS, word):
        return 5
    if word in _FIRM[role] or (role.endswith("_id") and re.fullmatch(rf"({_WORDS[role]})(id|code)", word)):
        return 1
    if re.fullmatch(_WORDS[role], word):
        return 2
    return 3 if re.search(r"(id|code)$", word) or not role.endswith("_id") else 4


def title_of(names: Iterable[str]) -> str | None:
    """The column that `read` shows as the title."""
    by_word = {plain(name): name for name in names}
    return next((by_word[word] for word in TITLES if word in by_word), None)


# --- times ------------------------------------------------------------------------------------------------------------


def _times(table: Table, roles: Roles) -> None:
    _by_name(table, "timestamp", roles)
    _better_times(table, roles)
    if "timestamp" not in roles.found and "timestamp" not in roles.given:
        free = [name for name in table.frame.columns if name not in roles.found.values()]
        if (name := next((name for name in free if _holds_times(table, name)), None)) is not None:
            roles.found["timestamp"] = roles.columns["timestamp"] = name
    _check_time(table, roles)


def _better_times(table: Table, roles: Roles) -> None:
    """Another column than one that only its name made times, where it holds none."""
    role = "timestamp"
    taken = roles.columns.get(role)
    if role not in roles.given and taken is not None and not _moments(table, taken):
        free = [name for name in table.frame.columns if name not in roles.found.values() and _rank(role, name)]
        better = next((name for name in free if _moments(table, name)), None)
        if better is None:
            del roles.found[role], roles.columns[role]
        else:
            roles.found[role] = roles.columns[role] = better


def _readable(table: Table, column: str) -> bool:
    return _wrong(table, column) <= 0.5 or bool(formats_of(table.frame[column]))


def _moments(table: Table, column: str) -> bool:
    """Whether a column holds dates, or numbers that are no small ones."""
    numbers = numbers_of(table.frame[column].head(_ROWS), table.dialect.decimal)
    high = numbers.max()
    small = numbers.null_count() == 0 and isinstance(high, int | float) and high < 10_000_000
    return not small and _readable(table, column)


def _wrong(table: Table, column: str, time_format: str | None = None) -> float:
    """The share of values that are no times; 1 where the column as a whole is refused."""
    try:
        part = Table(table.frame.head(_ROWS), table.name, table.source, table.dialect)
        wrong = checked_times(part, column, "auto", time_format)[0].wrong
        return int(wrong.sum()) / len(wrong) if len(wrong) else 1.0
    except MatineeError:
        return 1.0


def _holds_times(table: Table, column: str) -> bool:
    """Whether a column that is not named so holds dates, or numbers as large as times."""
    raw = table.frame[column].head(_ROWS)
    if raw.null_count() or raw.dtype == pl.List or raw.dtype == pl.Struct:
        return False
    if isinstance(raw.dtype, pl.Datetime):
        return True
    text = raw.cast(pl.String, strict=False)
    if text.str.contains(r"^\d{9,19}$").all():
        seconds = text.str.slice(0, 10).cast(pl.Int64, strict=False)
        late = seconds.is_between(631_152_000, 4_102_444_800).all()  # from 1990 on
        return bool(late and text.str.len_bytes().is_in([10, 13, 16, 19]).all()) and _wrong(table, column) == 0
    return bool(text.str.contains(r"^\d{4}[-/]\d\d[-/]\d\d|^\d\d?[/.]\d\d?[/.]\d{4}").all()) and _readable(
        table, column
    )


def _check_time(table: Table, roles: Roles) -> None:
    """The unit or format of the times that were found; columns of times that cannot be read are left out."""
    column = roles.found.get("timestamp")
    told = [roles.given[name] for name in ("time_format", "unit") if name in roles.given]
    if told:
        roles.time = str(told[0])
    if column is None or told:
        return
    if _wrong(table, column) <= 0.5:
        roles.time = _unit(table, column, roles)
        return
    fits = formats_of(table.frame[column])
    if fits:
        roles.options["time_format"] = roles.time = fits[0]
        if len(fits) > 1:
            ways = " or ".join(option("time_format", each) for each in fits[:2])
            roles.doubts.append(f"the dates in '{column}' may be month first or day first: {ways}; the first is taken")
        return
    if "timestamp" in roles.given:
        return  # reading it says what is wrong
    reason = ""
    try:
        checked, _ = checked_times(table, column, "auto", None)
        reason = f": {checked.reason(checked.wrong.arg_max() or 0)}"
    except MatineeError as error:
        reason = f": {error.what}; {error.hint}"
    roles.doubts.append(f"'{column}' is named like times, and cannot be read as such{reason}")
    del roles.found["timestamp"]
    roles.columns["timestamp"] = "none"


def formats_of(raw: pl.Series) -> list[str]:
    """The formats of FORMATS that all values of a column fit."""
    values = raw.drop_nulls().cast(pl.String, strict=False).head(_ROWS).unique(maintain_order=True).str.strip_chars()
    fits = FORMATS if len(values) else []
    for value in values.to_list():
        fits = [each for each in fits if _fits(value, each)]
        if not fits:
            break
    return sorted(fits, key=lambda each: each.startswith("%m") and ("." in each[:6] or "-" in each[:6]))


def _fits(value: str, time_format: str) -> bool:
    try:
        return 1970 <= datetime.strptime(value, time_format).year < 2100
    except ValueError:
        return False


def _unit(table: Table, column: str, roles: Roles) -> str:
    """What the times are, in a word."""
    raw = table.frame[column]
    checked, per_second = checked_times(table, column, "auto", None)
    if not raw.dtype.is_numeric() and not raw.cast(pl.String, strict=False).str.contains(r"^\s*-?[\d.,]+\s*$").all():
        return "dates"
    if raw.cast(pl.String, strict=False).str.contains(r"^\s*\d{8}\s*$").all() and per_second == 10**6:
        return "dates"
    low, high = checked.values.min(), checked.values.max()
    if isinstance(low, int) and isinstance(high, int) and high < 10**8 * per_second:
        roles.doubts.append(f"the times in '{column}' count from {low:,} to {high:,}: an order rather than moments")
    fraction = per_second == 10**6 and isinstance(high, int) and len(str(raw.drop_nulls()[0]).split(".")[0]) <= 10
    return "s" if fraction else {1: "s", 10**3: "ms", 10**6: "us", 10**9: "ns"}[per_second]


# --- ratings and weights ----------------------------------------------------------------------------------------------


def _numbers(table: Table, column: str) -> bool:
    raw = table.frame[column]
    if raw.dtype != pl.String and not raw.dtype.is_numeric():
        return False
    return len(raw) > 0 and not checked_ratings(table, column).wrong.any()


def _ratings(table: Table, roles: Roles) -> None:
    _by_name(table, "rating", roles)
    column = roles.found.get("rating")
    if column is None:
        return
    wrong = checked_ratings(table, column).wrong
    if int(wrong.sum()) * 2 > len(wrong):
        roles.doubts.append(f"'{column}' is named like ratings, and most of its values are no numbers")
        del roles.found["rating"]
        roles.columns["rating"] = "none"
        return
    values = checked_ratings(table, column).values.filter(~wrong)
    low = int((values <= 0).sum())
    if low:
        text = f"{counted(low, 'rating')} of {len(values):,} in '{column}' {either(low, 'is', 'are')} 0 or below"
        roles.doubts.append(f"{text}: 0 often means not rated, and `drop_ratings = [0.0]` of a recipe leaves such out")


def _weights(table: Table, roles: Roles) -> None:
    """A column that is named like weights, and holds them."""
    if "weight" in roles.given:
        return
    free = [name for name in table.frame.columns if name not in roles.found.values() and plain(name) in WEIGHTS]
    free = [name for name in free if _numbers(table, name)]
    if len(free) == 1 and "rating" not in roles.found:
        values = checked_ratings(table, free[0], "weight").values
        if (values > 0).all():
            roles.weight = free[0]
