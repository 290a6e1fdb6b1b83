"""Numbers as the report and the take-aways print them; units after a narrow no-break space."""

from __future__ import annotations

from datetime import datetime

from matinee.data.moments import moment_of

THIN = "\u202f"
DAY = 86_400


def typed(text: str) -> str:
    """The text with ordinary spaces only, for terminals and JSON."""
    return text.replace(THIN, " ").replace("\u00a0", " ").replace("\u2060", "")


def count(n: float) -> str:
    """12,345; a fraction below 100 keeps one digit."""
    return f"{n:,.0f}" if float(n).is_integer() or abs(n) >= 100 else f"{n:,.1f}"


def percent(share: float) -> str:
    """Two or three significant digits: 0.042 %, 6.3 %, 43 %; 0 and 100 only where they are exact."""
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f}{THIN}%"
    digits = 0 if 10 <= value < 99.5 else 1 if 1 <= value < 99.95 else 2 if 0.095 <= value < 1 else 3
    return f"{value:.{digits}f}{THIN}%"


def date(second: float) -> str:
    """20 Sep 1997 (UTC); seconds beyond the calendar as plain numbers."""
    moment = _moment(second)
    return f"{second:,.0f}" if moment is None else f"{moment.day}\u00a0{_MONTHS[moment.month - 1]}\u00a0{moment.year}"


def tick(second: float, span: float) -> str:
    """A date or time, as precise as an axis of `span` seconds needs."""
    moment = _moment(second)
    if moment is None:
        return f"{second:,.0f}"
    if span < 3 * DAY:
        return f"{moment:%H:%M}"
    month = _MONTHS[moment.month - 1]
    return f"{month} {moment.year}" if span > 120 * DAY else f"{moment.day} {month}"


def duration(span: float) -> str:
    """A span of seconds in its largest fitting unit: 3.2 years, 41 days."""
    for unit, size in (("years", 365.25 * DAY), ("days", DAY), ("hours", 3600), ("minutes", 60)):
        if span >= 2 * size:
            return f"{span / size:.1f} {unit}" if span < 20 * size else f"{span / size:,.0f} {unit}"
    return f"{span:,.0f} seconds"


def span(low: str, high: str) -> str:
    """20–737, on one line."""
    return f"{low}–\u2060{high}"


def listed(words: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


# strftime's %b would follow the reader's locale
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _moment(second: float) -> datetime | None:
    try:
        return moment_of(second)
    except (ValueError, OverflowError, OSError):
        return None
