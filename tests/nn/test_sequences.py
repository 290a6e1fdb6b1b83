"""Packing and cutting histories against loops over lists, and dropout against what it promises."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matinee.data.arrays import Ragged
from matinee.nn.blocks import dropout
from matinee.nn.sequences import LEAST_FILLED, Packed, latest, pack, rounded, windows

N_ITEMS = 9
Times = NDArray[np.int64]

histories = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=30), max_size=12)
"""Some are empty, some of one item, and with nine items most repeat one."""


NOTHING_FOLLOWS: list[list[list[int]]] = [[], [[]], [[3], [], [4]]]


@st.composite
def timed(draw: Callable[..., Any]) -> tuple[list[list[int]], Times]:
    """Histories, and when their events happened: ascending within each, some at once, some 300 years apart."""
    rows = draw(histories)
    second = st.integers(0, 100) | st.integers(10**9, 10**9 + 10**7) | st.integers(0, 10**10)
    seconds = [sorted(draw(st.lists(second, min_size=len(row), max_size=len(row)))) for row in rows]
    return rows, np.array([second for row in seconds for second in row], np.int64)


def rows_of(packed: Packed, values: torch.Tensor) -> list[list[Any]]:
    """What lies in each history's slots."""
    return [
        values[first : first + length].tolist()
        for first, length in zip(packed.first.tolist(), packed.length.tolist(), strict=True)
    ]


class TestPack:
    @given(rows=histories)
    def test_every_event_lies_in_one_slot_in_order(self, rows: list[list[int]]) -> None:
        packed = pack(Ragged.from_lists(rows), N_ITEMS)
        assert len(packed) == len(rows)
        assert rows_of(packed, packed.item) == rows
        assert packed.item[packed.slot].tolist() == [item for row in rows for item in row]
        assert len(set(packed.slot.tolist())) == len(packed.slot) == sum(map(len, rows))
        empty = np.setdiff1d(np.arange(len(packed.item)), packed.slot.numpy())
        assert (packed.item[empty] == N_ITEMS).all()
        assert rows_of(packed, packed.position) == [list(range(len(row))) for row in rows]
        for row, last in zip(rows, packed.last.tolist(), strict=True):
            assert not row or packed.item[last] == row[-1]

    @given(rows=histories)
    def test_groups_are_rectangles_of_histories_of_like_length(self, rows: list[list[int]]) -> None:
        packed = pack(Ragged.from_lists(rows), N_ITEMS)
        begins = {first: len(row) for row, first in zip(rows, packed.first.tolist(), strict=True) if row}
        at, every = 0, []
        for group in packed.groups:
            assert group.start == at
            lengths = [begins.pop(at + row * group.length) for row in range(group.rows)]
            assert max(lengths) == group.length
            assert min(lengths) >= LEAST_FILLED * group.length
            at += group.rows * group.length
            every += lengths
        assert every == sorted(every, reverse=True), "longest first"
        assert not begins, "a history does not begin at the left end of a row"
        assert rounded(at) == len(packed.item) == len(packed.position)

    @given(rows=histories)
    def test_groups_are_split_and_joined(self, rows: list[list[int]]) -> None:
        packed = pack(Ragged.from_lists(rows), N_ITEMS)
        x = torch.arange(2 * len(packed.item)).view(-1, 2)
        parts = packed.split(x)
        assert [tuple(part.shape) for part in parts] == [(g.rows, g.length, 2) for g in packed.groups]
        for number, (group, part) in enumerate(zip(packed.groups, parts, strict=True)):
            assert part.data_ptr() == x[group.start :].data_ptr(), "no copy"
            item = packed.item[group.start : group.start + group.slots].view(group.rows, group.length)
            assert torch.equal(packed.filled(number), item != N_ITEMS)
        if parts:
            joined, end = packed.join(list(parts)), sum(group.slots for group in packed.groups)
            assert torch.equal(joined[:end], x[:end])
            assert joined.shape == x.shape
            assert not joined[end:].any(), "behind the groups is nothing"

    @given(asked=timed())
    def test_times_are_seconds_before_the_last_event_up_to_34_years(self, asked: tuple[list[list[int]], Times]) -> None:
        rows, times = asked
        histories = Ragged.from_lists(rows)
        packed = pack(histories, N_ITEMS, times)
        assert packed.time is not None
        for b, found in enumerate(rows_of(packed, packed.time)):
            seconds = times[histories.offsets[b] : histories.offsets[b + 1]].tolist()
            assert found == [min(seconds[-1] - second, 2**30 - 1) for second in seconds]
        empty = np.setdiff1d(np.arange(len(packed.item)), packed.slot.numpy())
        assert not packed.time[empty].any()

    def test_no_history_at_all(self) -> None:
        for rows in (0, 1, 3):
            packed = pack(Ragged.empty(rows), N_ITEMS, np.empty(0, np.int64))
            assert (len(packed), len(packed.item), packed.groups) == (rows, 0, ())

    def test_equal_lengths_are_one_group_without_an_empty_slot(self) -> None:
        packed = pack(Ragged.from_lists([[1, 2, 3]] * 50), N_ITEMS)
        assert [(g.rows, g.length) for g in packed.groups] == [(50, 3)]
        assert packed.groups[0].slots == len(packed.slot) == 150
        assert len(packed.item) == 152

    def test_batches_come_in_few_sizes(self) -> None:
        sizes = [rounded(n) for n in range(1 << 14)]
        assert all(n <= size <= n * (1 + 1 / 32) + 1 for n, size in enumerate(sizes))
        assert [rounded(size) for size in sizes] == sizes
        assert len({size for size in sizes if size > 1 << 13}) == 32

    def test_every_part_moves_to_a_device(self) -> None:
        packed = pack(Ragged.from_lists([[1, 2], [], [3]]), N_ITEMS, np.array([0, 60, 5])).to(torch.device("meta"))
        tensors = [value for value in vars(packed).values() if isinstance(value, torch.Tensor)]
        assert len(tensors) == 6
        assert all(value.is_meta for value in tensors)
        assert packed.groups


class TestLatest:
    @given(rows=histories, n=st.integers(1, 35))
    def test_is_the_end_of_each_history(self, rows: list[list[int]], n: int) -> None:
        whole = Ragged.from_lists(rows)
        found, at = latest(whole, n)
        assert [found[b].tolist() for b in range(len(found))] == [row[-n:] for row in rows]
        assert at.tolist() == [p for b in range(len(rows)) for p in range(whole.offsets[b], whole.offsets[b + 1])[-n:]]


class TestWindows:
    @given(rows=histories, n=st.integers(2, 35))
    def test_the_last_n_of_each_history_that_has_two(self, rows: list[list[int]], n: int) -> None:
        whole = Ragged.from_lists(rows)
        found, at = windows(whole, n, every=False)
        assert [found[b].tolist() for b in range(len(found))] == [row[-n:] for row in rows if len(row) > 1]
        assert whole.values[at].tolist() == found.values.tolist()

    @settings(max_examples=300)
    @given(rows=histories, n=st.integers(2, 12))
    def test_each_step_from_one_event_to_the_next_is_in_one_piece(self, rows: list[list[int]], n: int) -> None:
        whole = Ragged.from_lists(rows)
        found, at = windows(whole, n, every=True)
        assert whole.values[at].tolist() == found.values.tolist()
        steps: Counter[tuple[int, int]] = Counter()
        ends = set()
        for b in range(len(found)):
            piece = at[found.offsets[b] : found.offsets[b + 1]].tolist()
            assert 2 <= len(piece) <= n
            assert piece == list(range(piece[0], piece[0] + len(piece)))
            steps.update(itertools.pairwise(piece))
            ends.add((piece[-1], len(piece)))
        wanted = [(p, p + 1) for b in range(len(rows)) for p in range(whole.offsets[b], whole.offsets[b + 1] - 1)]
        assert steps == Counter(wanted)
        assert len(found) == sum(math.ceil((len(row) - 1) / (n - 1)) for row in rows if len(row) > 1)
        for b, row in enumerate(rows):
            if len(row) > 1:
                assert (whole.offsets[b + 1] - 1, min(n, len(row))) in ends, "the last piece is as long as can be"

    def test_nothing_follows_anything(self) -> None:
        for every in (False, True):
            for rows in NOTHING_FOLLOWS:
                found, at = windows(Ragged.from_lists(rows), 5, every=every)
                assert len(found) == len(found.values) == len(at) == 0


class TestDropout:
    x = torch.linspace(0.5, 2.0, 200_001)  # no multiple of the four entries that share a random number

    def dropped(self, share: float, x: torch.Tensor | None = None, seed: int = 5) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return dropout(self.x if x is None else x, share, training=True)

    @pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9, 0.99])
    def test_a_share_is_left_out_and_the_rest_scaled_up(self, share: float) -> None:
        ratio = (self.dropped(share) / self.x).numpy()
        assert abs((ratio == 0).mean() - share) < 5 * math.sqrt(share * (1 - share) / len(ratio))
        # the share is rounded to a 65,536th, and the scale is the rounded one's
        np.testing.assert_allclose(ratio[ratio > 0], 1 / (1 - share), rtol=2.0**-17 / (1 - share) + 1e-6)
        assert abs(ratio.mean() - 1.0) < 5 * math.sqrt(share / (1 - share) / len(ratio))

    def test_neighbours_are_left_out_independently(self) -> None:
        """Four entries come from one random number: they must not hang together."""
        out = (self.dropped(0.3) == 0).double().numpy()[:200_000].reshape(-1, 4)
        together = np.corrcoef(out.T)
        assert np.abs(together[~np.eye(4, dtype=bool)]).max() < 5 / math.sqrt(len(out))
        assert abs(np.corrcoef(out[:-1, 3], out[1:, 0])[0, 1]) < 5 / math.sqrt(len(out))

    @pytest.mark.parametrize("share", [0.999_99, 0.999_999, 1 - 1e-12])
    def test_nearly_all(self, share: float) -> None:
        """Once rounded, such shares are no less than 1 - 1 / 65,536, and what stays is scaled by no more."""
        found = self.dropped(share)
        assert (found != 0).double().mean() < 20 / 65_536
        assert ((found == 0) | torch.isclose(found / self.x, torch.tensor(65_536.0))).all()

    def test_the_gradient_is_the_mask(self) -> None:
        x = self.x.clone().requires_grad_()
        found = self.dropped(0.4, x)
        (gradient,) = torch.autograd.grad(found.sum(), x)
        np.testing.assert_allclose(gradient.numpy(), (found.detach() / self.x).numpy(), rtol=1e-6)

    def test_same_seed_same_mask(self) -> None:
        assert torch.equal(self.dropped(0.3), self.dropped(0.3))
        assert not torch.equal(self.dropped(0.3), self.dropped(0.3, seed=6))

    def test_off(self) -> None:
        state = torch.get_rng_state()
        assert dropout(self.x, 0.0, training=True) is self.x
        assert dropout(self.x, 0.7, training=False) is self.x
        assert torch.equal(torch.get_rng_state(), state), "nothing was drawn"

    @pytest.mark.parametrize("shape", [(0, 5), (1,), (3, 7), (2, 3, 5)])
    def test_shapes_and_kinds(self, shape: tuple[int, ...]) -> None:
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            found = self.dropped(0.5, torch.ones(shape, dtype=dtype))
            assert found.shape == shape
            assert found.dtype == dtype
            assert set(found.flatten().tolist()) <= {0.0, 2.0}
        turned = torch.arange(1.0, 13.0).view(3, 4).T
        found = self.dropped(0.5, turned)
        assert ((found == 0) | (found == 2 * turned)).all()
