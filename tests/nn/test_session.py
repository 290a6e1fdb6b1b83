"""Causal additive attention against loops, gradients by differences, and how much of it is in memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from matinee import kernels
from matinee.data.arrays import Ragged
from matinee.nn import session
from matinee.nn.sequences import Packed, pack
from matinee.nn.session import attended, by_pieces, means

N_ITEMS = 9
ROWS = [[3, 1, 4], [], [1, 5, 2, 6, 5, 3, 5, 8], [7], [1, 2, 3, 4, 5, 6, 7], [0, 0]]
histories = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=9), max_size=8)


def packed(rows: list[list[int]]) -> Packed:
    return pack(Ragged.from_lists(rows), N_ITEMS)


def sides(n: int, d: int = 4, m: int = 3, *, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """asking (n, d), asked (n, d), values (n, m), v (d,)."""
    rng = np.random.default_rng(n)
    shapes = [(n, d), (n, d), (n, m), (d,)]
    return [torch.from_numpy(scale * rng.normal(size=shape)).to(dtype).requires_grad_() for shape in shapes]


def slowly(batch: Packed, x: Tensor, y: Tensor, values: Tensor, v: Tensor) -> Tensor:
    """(E, m), slot by slot, in float64."""
    x, y, values, v = (one.double() for one in (x, y, values, v))
    found = [values.new_zeros(0, values.shape[1])]
    for first, length in zip(batch.first.tolist(), batch.length.tolist(), strict=True):
        for t in range(first, first + length):
            at = [(v @ torch.sigmoid(x[t] + y[j])) * values[j] for j in range(first, t + 1)]
            found.append(torch.stack(at).sum(dim=0)[None])
    return torch.cat(found)


def near(found: Tensor, truth: Tensor) -> None:
    largest = float(truth.detach().abs().max()) if truth.numel() else 0.0
    np.testing.assert_allclose(found.detach().numpy(), truth.detach().numpy(), rtol=1e-5, atol=1e-6 * largest)


def check(batch: Packed, inputs: list[Tensor]) -> None:
    found = attended(batch, *inputs)[batch.slot]
    truth = slowly(batch, *inputs)
    near(found, truth)
    if len(batch.slot):
        weight = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
        gradients = [torch.autograd.grad((s * weight).sum(), inputs) for s in (found, truth)]
        for one, other in zip(*gradients, strict=True):
            near(one, other)


@settings(max_examples=30)
@given(rows=histories)
def test_sums_and_gradients_are_those_of_loops(rows: list[list[int]]) -> None:
    batch = packed(rows)
    check(batch, sides(len(batch.item)))


def test_large_numbers_take_the_safe_way() -> None:
    """exp of these would overflow."""
    batch = packed(ROWS)
    inputs = sides(len(batch.item), scale=60.0)
    assert inputs[0].abs().max() > 90
    check(batch, inputs)


@pytest.mark.parametrize("piece", [1, 30, 200])
def test_pieces_change_nothing(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = packed([*ROWS, *ROWS])
    for scale in (1.0, 60.0):  # both ways
        monkeypatch.setattr(session, "PIECE", piece)
        check(batch, sides(len(batch.item), scale=scale))


def test_both_ways_agree() -> None:
    rng = np.random.default_rng(0)
    x, y, values = (torch.from_numpy(rng.normal(size=(5, 7, d)).astype(np.float32)) for d in (4, 4, 3))
    v = torch.from_numpy(rng.normal(size=4).astype(np.float32))
    batch = packed([[1] * 7] * 5)
    found = attended(batch, x.reshape(35, 4), y.reshape(35, 4), values.reshape(35, 3), v)
    near(found.view(5, 7, 3), by_pieces(x, y, values, v))


def test_gradients_by_differences() -> None:
    batch = packed(ROWS)
    inputs = sides(len(batch.item), dtype=torch.float64)

    def function(*given: Tensor) -> Tensor:
        return attended(batch, *given)[batch.slot]

    assert torch.autograd.gradcheck(function, inputs)


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = packed([[1] * 60] * 11)
    inputs = sides(len(batch.item))
    found = []
    for n in (1, 3):
        monkeypatch.setattr(kernels.threads, "n_threads", lambda n=n: n)
        out = attended(batch, *inputs)
        found.append([out, *torch.autograd.grad(out.square().sum(), inputs)])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_what_is_not_a_number_stays_so() -> None:
    """A training that diverges is told so; it does not go on with numbers."""
    batch = packed(ROWS)
    inputs = [one.detach().clone() for one in sides(len(batch.item))]
    inputs[0][int(batch.last[0])] = math.nan
    assert attended(batch, *inputs)[batch.last[0]].isnan().all()


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """How many numbers the largest tensor made meanwhile holds."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else [out]:
            if isinstance(one, Tensor):
                self.numbers = max(self.numbers, one.numel())
        return out


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_sigmoids_are_never_all_in_memory(scale: float) -> None:
    rows, length, d = 6, 200, 64
    batch = packed([[1] * length] * rows)
    inputs = sides(rows * length, d, d, scale=scale)
    with Largest() as largest:  # type: ignore[no-untyped-call]
        torch.autograd.backward(attended(batch, *inputs).sum())
    assert rows * length * d <= largest.numbers <= session.PIECE < rows * length * length * d / 3


def test_means_are_of_what_was_seen_so_far() -> None:
    batch = packed(ROWS)
    x = torch.randn(len(batch.item), 2, generator=torch.Generator().manual_seed(0))
    found = means(x, batch)
    for first, length in zip(batch.first.tolist(), batch.length.tolist(), strict=True):
        for t in range(length):
            near(found[first + t], x[first : first + t + 1].mean(dim=0))
