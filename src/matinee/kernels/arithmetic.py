"""What several kernel files share: the compiler's licence, random bits and the exponential of a softmax."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FUSED = {"contract", "nsz"}  # multiply and add in one instruction; NaN and infinity keep their meaning
SUMS = FUSED | {"reassoc"}  # sums may be vectorised too, so their order is the compiler's
# Kernels with error_model="numpy" skip Python's check for a division by zero, which would prevent vectorising.

LOG2E = np.float32(1.4426950408889634)
# 2^f for |f| <= 1/2, to 2e-7: the series of exp(f ln 2)
_C1, _C2, _C3 = np.float32(0.6931471805599453), np.float32(0.2402265069591007), np.float32(0.0555041086648216)
_C4, _C5, _C6 = np.float32(0.0096181291076285), np.float32(0.0013333558146428), np.float32(0.0001540353039338)


@njit(nogil=True, cache=True, fastmath=FUSED, error_model="numpy")
def power_of_two(x: Any) -> Any:
    """2^x as two float32 factors, for x <= 0: the bits (int32) of 2^n, n = round(x), and 2^(x - n). Loops over this are
    vectorised, unlike loops over np.exp. The caller reads the bits as float32 through a view of the same memory."""
    y = max(x, np.float32(-126.0))  # the smallest exponent of a normal float32
    n = np.floor(y + np.float32(0.5))
    f = y - n
    series = np.float32(1.0) + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6)))))
    return (np.int32(n) + np.int32(127)) << np.int32(23), series


@njit(nogil=True, cache=True)
def random_bits(key: Any, counter: Any) -> Any:
    """64 random bits, a pure function of two uint64 (the finaliser of splitmix64)."""
    z = key + np.uint64(0x9E3779B97F4A7C15) * (counter + np.uint64(1))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
