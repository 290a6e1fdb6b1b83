"""Dislikes: events that say no. They are no rows of a log, so no model, split or metric takes them for likes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Ints, Ragged
from matinee.data.log_columns import LogColumns


@dataclass(frozen=True)
class Dislikes:
    """m events. user, item: int32 (m,) codes of the log. timestamp: int64 (m,) Unix seconds, None in a log without.

    Example: `data.dislikes is None or len(data.dislikes.user)`
    """

    user: Ints
    item: Ints
    timestamp: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Dislikes({len(self):,})"

    def checked(self, name: str, n_users: int, n_items: int) -> Dislikes:
        """The same in their own types. Raises MatineeError naming `name` and the row, as a Dataset does of its rows."""
        check, times = LogColumns(name), self.timestamp
        user, item = check.codes(self.user, "user", n_users), check.codes(self.item, "item", n_items)
        times = None if times is None else check.times(times)
        check.height(item, "item", len(user))
        check.height(times, "timestamp", len(user))
        return Dislikes(user, item, times)

    def rows(self, index: NDArray[Any]) -> Dislikes:
        """Only these (a boolean mask or row numbers)."""
        return Dislikes(self.user[index], self.item[index], None if self.timestamp is None else self.timestamp[index])

    def recoded(self, user: Ints, item: Ints) -> Dislikes | None:
        """With new codes: user (n_users,) and item (n_items,) of each old code, -1 where it is gone, and the dislike
        with it. None where no dislike is left."""
        users, items = user[self.user], item[self.item]
        kept = (users >= 0) & (items >= 0)
        return Dislikes(users, items, self.timestamp).rows(kept) if kept.any() else None

    def join(self, other: Dislikes) -> Dislikes:
        """Both; without times unless both have them."""
        times = None
        if self.timestamp is not None and other.timestamp is not None:
            times = np.concatenate([self.timestamp, other.timestamp])
        return Dislikes(np.concatenate([self.user, other.user]), np.concatenate([self.item, other.item]), times)

    def before(self, limit: NDArray[np.int64]) -> Bools:
        """bool (m,): true for dislikes earlier than their user's limit, int64 (n_users,). Without times all are."""
        if self.timestamp is None:
            return np.ones(len(self), np.bool_)
        early: Bools = self.timestamp < limit[self.user]
        return early

    def of(self, users: Ints, before: NDArray[np.int64] | None = None) -> Ragged:
        """int32 (B rows): the items that these users (B,) dislike; an unknown user (-1) dislikes nothing.

        before: int64 (B,) Unix seconds, only earlier dislikes; without times they are known from the start.
        """
        n = 1 + max(int(self.user.max(initial=0)), int(users.max(initial=0)))
        rows = Ragged.from_rows(self.user, np.arange(len(self), dtype=np.int32), n).take(np.maximum(users, 0))
        kept = users[rows.rows] >= 0
        if before is not None and self.timestamp is not None:
            kept &= self.timestamp[rows.values] < before[rows.rows]
        rows = rows.keep(kept)
        return Ragged(rows.offsets, self.item[rows.values])

    def content(self) -> Iterator[bytes]:
        """What a fingerprint is made of."""
        yield b"dislikes"
        for array in (self.user, self.item, self.timestamp):
            yield b"-" if array is None else np.ascontiguousarray(array).tobytes()
