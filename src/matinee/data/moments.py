"""Seconds as moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def moment_of(second: float) -> datetime:
    """The moment of a Unix second. Before 1970 too, where the C library of Windows knows none. Raises OverflowError or
    ValueError beyond the calendar (years 1 to 9999)."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
