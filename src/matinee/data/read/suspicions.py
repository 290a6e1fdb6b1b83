"""Warnings about a log that was read as somebody said, and looks as if something else was meant."""

from __future__ import annotations

import warnings

import numpy as np

from matinee.data.arrays import Floats
from matinee.data.read.columns import first_row_of_names
from matinee.data.read.tables import Table
from matinee.errors import MatineeWarning, offered, option

FIRST_TIME, LAST_TIME = 500_000_000, 5e18  # as ratings: seconds from 1985 on, to nanoseconds


def warn_of_names(table: Table) -> None:
    """A MatineeWarning where the first event of a file without a header is rather its names of columns."""
    cells = first_row_of_names(table)
    if not cells:
        return
    text = f"{table.name}: the first row is read as an event, and looks like names of columns: {', '.join(cells[:6])}"
    how = f"; without {option('header', table.dialect.header)} it names them" if offered("header") else ""
    warnings.warn(text + how, MatineeWarning, stacklevel=2)


def warn_of_times(ratings: Floats, name: str, column: str) -> None:
    """A MatineeWarning where all ratings are whole numbers as large as Unix times. ratings: float32 (n,)."""
    if not len(ratings) or ratings.min() < FIRST_TIME or ratings.max() > LAST_TIME or np.any(ratings % 1):
        return
    text = f"{name}: the ratings in '{column}' look like Unix times ({ratings.min():.0f} to {ratings.max():.0f})"
    how = f"; {option('timestamp', column)} reads them so, {option('rating', None)} reads no ratings"
    warnings.warn(text + (how if offered("rating", "timestamp") else ""), MatineeWarning, stacklevel=2)
