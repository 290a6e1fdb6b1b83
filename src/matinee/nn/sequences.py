"""Packed histories: batches of sequences with almost no padding.

The histories of a batch are stored one after the other, longest first, in groups of similar length: a group of `rows`
histories is a rectangle of rows x length slots, of which only the ends of the shorter ones are empty. So a layer that
reads one item at a time is one call on all slots, and attention and recurrence read each group as a rectangle without a
copy. A few empty slots follow the groups, so that batches have few different sizes: for bfloat16 on a CPU torch
compiles a product once for each size, and keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from matinee.data.arrays import Ragged

LEAST_FILLED = 0.85
"""A group's shortest history has at least this share of its longest one's length."""

SIZES = 32
"""Numbers of slots between one power of two and the next."""

FAR = 2**30 - 1
"""34 years in seconds: twice that is an int32."""

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """rows x length slots, from slot `start`."""

    start: int
    rows: int
    length: int

    @property
    def slots(self) -> int:
        return self.rows * self.length


@dataclass(frozen=True)
class Packed:
    """B histories in N slots. A history fills consecutive slots, oldest first, from the left end of its group's row.

    item: int64 (N,), item codes; n_items where a slot is empty. position: int64 (N,), from 0 at a history's start.
    time: int32 (N,), seconds before the last event of the history, exact, so that the distance of two events does not
    depend on later ones; None without timestamps. gap: int32 (N,), seconds until the next event or request; None where
    unknown. first, length: int64 (B,), the first slot and the length of each history, in the order of the batch; empty
    histories have no slot. slot: int64 (E,), the slots that hold events, history after history.
    """

    item: Tensor
    position: Tensor
    slot: Tensor
    first: Tensor
    length: Tensor
    groups: tuple[Group, ...]
    time: Tensor | None = None
    gap: Tensor | None = None

    def __len__(self) -> int:
        return len(self.length)

    @property
    def last(self) -> Tensor:
        """int64 (B,): the slot of each history's last event."""
        return self.first + self.length - 1

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, d) -> each group's (rows, length, d), as views."""
        return tuple(
            x[group.start : group.start + group.slots].view(group.rows, group.length, -1) for group in self.groups
        )

    def filled(self, group: int) -> Tensor:
        """bool (rows, length): true where the group's slots hold events."""
        where = self.groups[group]
        full = torch.zeros(len(self.item), dtype=torch.bool, device=self.item.device)
        full[self.slot] = True
        return full[where.start : where.start + where.slots].view(where.rows, where.length)

    def join(self, parts: list[Tensor]) -> Tensor:
        """Each group's (rows, length, d) -> (N, d), 0 after the groups."""
        flat = [part.reshape(-1, part.shape[-1]) for part in parts]
        behind = len(self.item) - sum(map(len, flat))
        return torch.cat([*flat, flat[0].new_zeros(behind, flat[0].shape[1])])

    def to(self, device: torch.device) -> Packed:
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return Packed(**{**vars(self), **moved})


def pack(histories: Ragged, n_items: int, times: Index | None = None, gaps: Index | None = None) -> Packed:
    """times: int64 Unix seconds, and gaps: int64 seconds, both in parallel with histories.values."""
    lengths = histories.lengths
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    first = np.zeros(len(lengths), np.int64)
    groups, slots = [], 0
    for start, stop in _cuts(lengths[order]):  # longest first, so a group's first history gives its length
        group = Group(slots, stop - start, int(lengths[order[start]]))
        first[order[start:stop]] = slots + np.arange(group.rows) * group.length
        groups.append(group)
        slots += group.slots
    place = np.arange(len(histories.values)) - np.repeat(histories.offsets[:-1], lengths)
    slot = np.repeat(first, lengths) + place
    n = rounded(slots)
    item = np.full(n, n_items, np.int64)
    item[slot] = histories.values
    position = np.concatenate([*(np.tile(np.arange(g.length), g.rows) for g in groups), np.zeros(n - slots, np.int64)])

    def laid(seconds: Index) -> Tensor:
        out = np.zeros(n, np.int32)
        out[slot] = np.clip(seconds, -FAR, FAR)
        return torch.from_numpy(out)

    time = None
    if times is not None:
        ends = np.repeat(times[np.maximum(histories.offsets[1:] - 1, 0)], lengths) if len(times) else times
        time = laid(ends - times)
    return Packed(
        item=torch.from_numpy(item),
        position=torch.from_numpy(position),
        slot=torch.from_numpy(slot),
        first=torch.from_numpy(first),
        length=torch.from_numpy(lengths.copy()),
        groups=tuple(groups),
        time=time,
        gap=None if gaps is None else laid(gaps),
    )


def rounded(slots: int) -> int:
    """This number of slots, rounded up to one of the SIZES between two powers of two."""
    step = max(1, (1 << slots.bit_length()) // (2 * SIZES))
    return -(-slots // step) * step


def _cuts(lengths: Index) -> Iterator[tuple[int, int]]:
    """(start, stop) of the groups of these lengths, which descend."""
    start = 0
    while start < len(lengths):
        least = int(np.ceil(LEAST_FILLED * lengths[start]))
        stop = int(np.searchsorted(-lengths, -least, side="right"))
        yield start, stop
        start = stop


def latest(histories: Ragged, n: int) -> tuple[Ragged, Index]:
    """The last n values of each row, and int64 (m,): their indices in histories.values."""
    lengths = np.minimum(histories.lengths, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    at = np.repeat(histories.offsets[1:] - offsets[1:], lengths) + np.arange(offsets[-1])
    return Ragged(offsets, histories.values[at]), at


def windows(histories: Ragged, n: int, *, every: bool) -> tuple[Ragged, Index]:
    """Pieces of 2 to n values, and int64 (m,): the indices of their values in histories.values.

    every = False: the last n of each history. True: as many pieces as cover it, each starting with the value that the
    one before ends with, so that each value but the first is a target once; the latest piece is full where it can be.
    """
    histories_lengths = histories.lengths
    if every:
        steps = np.maximum(histories_lengths - 1, 0)
        counts = -(-steps // (n - 1))
    else:
        counts = (histories_lengths > 1).astype(np.int64)
    row = np.repeat(np.arange(len(histories)), counts)
    number = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)  # 0: the latest piece
    stop = histories.offsets[1:][row] - number * (n - 1)
    start = np.maximum(stop - n, histories.offsets[:-1][row])
    lengths = stop - start
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    at: Any = np.repeat(start - offsets[:-1], lengths) + np.arange(offsets[-1])
    return Ragged(offsets, histories.values[at]), at
