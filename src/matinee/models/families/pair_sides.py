"""What requests and items say, each by itself, in a net of pairs, made once however many pairs there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.features.requests import EncodedFields, RequestFeatures
from matinee.models.families.network import import_torch

if TYPE_CHECKING:
    from torch import Tensor

NUMBERS = 1 << 21
"""Numbers that a net may hold at once where it answers: 8 MB stay in a cache."""


def item_sides(net: Any, asked: RequestFeatures, item: NDArray[np.integer[Any]]) -> Tensor:
    """float32 (B, C, s): what request b's C items say, with what belongs to the pair; -1: an unknown item.

    Where nothing belongs to pairs each distinct item is asked once, and `item` may have one row for all requests.
    """
    torch = import_torch()
    tables = net.tables
    if not tables.fields.of("pair"):
        codes, at = np.unique(item, return_inverse=True)
        each: Tensor = net.of_item(net.vectors(tables.items.take(codes)))
        every: Tensor = torch.nn.functional.embedding(torch.from_numpy(at.reshape(item.shape)).to(each.device), each)
        return every
    pair = EncodedFields(tables.ages(asked, item).reshape(-1, 1), np.empty((item.size, 0), np.float32))
    said: Tensor = net.of_item(net.vectors(tables.items.take(item.ravel()).join(pair)))
    return said.view(*item.shape, -1)


def same_sides(net: Any, asked: RequestFeatures, item: NDArray[np.integer[Any]]) -> Tensor:
    """float32 (1 or B, C, s): what the same C items say to every request."""
    rows = len(asked) if net.tables.fields.of("pair") else 1
    return item_sides(net, asked, np.broadcast_to(item, (rows, len(item))))


def put(vectors: Tensor, place: int, own: Tensor) -> Tensor:
    """(B, fields, width) with the field at `place` replaced by own (B, width), which keeps its gradient."""
    torch = import_torch()
    replaced: Tensor = torch.cat([vectors[:, :place], own[:, None], vectors[:, place + 1 :]], dim=1)
    return replaced


def chunks(n: int, floats: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers 0..n - 1 in runs whose rows hold at most NUMBERS numbers, `numbers` each, but at least one row."""
    step = max(1, NUMBERS // max(1, floats))
    for start in range(0, n, step):
        yield np.arange(start, min(n, start + step))


def blocks_of(rows: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows in runs of about NUMBERS numbers, sizes (len(rows),) each."""
    cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // NUMBERS)) + 1
    return [run for run in np.split(rows, cuts) if len(run)]
