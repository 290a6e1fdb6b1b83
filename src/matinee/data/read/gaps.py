"""Sessions cut from a log with times, where a user waits longer than a gap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from matinee.data.read.assemble import Log
from matinee.errors import MatineeError, offered, option


def by_gap(log: Log, gap: int) -> Log:
    """The log with sessions as users, "7/1", "7/2" ...: a new one after more than `gap` seconds without an event.

    Raises MatineeError where the log has no times."""
    if log.times is None:
        name = f"name the column of times: {option('timestamp', 'time')}"
        hint = name if offered("timestamp") else "read a log with times"
        raise MatineeError("sessions are cut by times, and the log has none", where=log.table.name, hint=hint)
    user = log.user.cast(pl.String)
    code = user.rank("dense").to_numpy().astype(np.int64)
    seconds = log.times.seconds
    order = np.lexsort((seconds, code))
    new_user = np.append(True, np.diff(code[order]) != 0)[: len(order)]
    late = np.append(True, np.diff(seconds[order]) > gap)[: len(order)]
    starts = np.cumsum(new_user | late)
    first = np.maximum.accumulate(np.where(new_user, starts, 0))
    number = np.empty(len(order), np.int64)
    number[order] = starts - first + 1
    return replace(log, user=(user + "/" + pl.Series(number).cast(pl.String)).alias(log.user.name))
