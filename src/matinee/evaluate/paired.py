"""Paired tests on one difference a user, and corrections for several of them; each is chosen by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import numpy as np

from matinee.errors import MatineeError, suggestion
from matinee.evaluate.hits import Values

Test = Literal["randomisation", "t", "wilcoxon", "bootstrap"]
Correction = Literal["holm", "benjamini_hochberg", "none"]
_BLOCK = 1 << 22  # numbers drawn at once: 32 MB as float64
DIGITS = 12  # differences that agree to so many decimals differ by rounding, and tie in ranks


def randomisation(difference: Values, *, draws: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of the sum of paired differences when each sign is random (Fisher's randomisation test; Smucker et
    al., CIKM 2007): (1 + draws at least as extreme) / (1 + draws), never 0.

    difference: float64 (n,). Time grows as draws x (differences that are not 0).
    """
    d = difference[difference != 0]
    if not len(d):
        return 1.0
    observed = abs(float(d.sum())) * (1 - 1e-9)  # sums in another order differ in the last bits
    extreme = sum(int(np.count_nonzero(np.abs(sums) >= observed)) for sums in _flipped_sums(d, draws, seed))
    return (1 + extreme) / (1 + draws)


def _flipped_sums(d: Values, draws: int, seed: int) -> Iterator[Values]:
    """Sums of d with random signs, in blocks: sum(s d) = 2 sum(d where the sign is plus) - sum(d)."""
    rng = np.random.default_rng(seed)
    n_bytes = (len(d) + 7) // 8
    block = max(1, _BLOCK // (8 * n_bytes))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        coins = np.unpackbits(rng.integers(0, 256, (rows, n_bytes), np.uint8), axis=1, count=len(d))
        yield 2 * (coins.astype(np.float64) @ d) - d.sum()


def t_test(difference: Values, *, draws: int = 0, seed: int = 0) -> float:
    """Two-sided p of Student's paired t-test. difference: float64 (n,); draws and seed are not used."""
    n = len(difference)
    error = float(difference.std(ddof=1)) / np.sqrt(n) if n > 1 else np.nan
    return student(float(difference.mean()), error, n)[2]


def wilcoxon(difference: Values, *, draws: int = 0, seed: int = 0) -> float:
    """Two-sided p of Wilcoxon's signed-rank test (Biometrics Bulletin 1945): whether the differences are symmetric
    around 0, by their ranks. Differences of 0 are left out; exact up to 50 differences without ties, else normal.

    difference: float64 (n,); draws and seed are not used.
    """
    from scipy.stats import wilcoxon as signed_ranks

    d = np.round(difference, DIGITS)
    d = d[d != 0]
    return float(signed_ranks(d).pvalue) if len(d) else 1.0


def bootstrap(difference: Values, *, draws: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of the mean by the bootstrap of its t (Sakai, SIGIR 2006): samples with replacement of the
    differences shifted to a mean of 0; (1 + samples whose t is at least as extreme) / (1 + draws), never 0.

    difference: float64 (n,). NaN for one difference alone. Time grows as draws x n.
    """
    d, n = difference, len(difference)
    if not d.any():
        return 1.0
    if n < 2:
        return np.nan
    if (d == d[0]).all():
        return 1 / (1 + draws)
    observed = abs(float(d.mean())) / float(d.std(ddof=1)) * (1 - 1e-9)
    shifted, rng, extreme = d - d.mean(), np.random.default_rng(seed), 0
    block = max(1, _BLOCK // n)
    for start in range(0, draws, block):
        drawn = shifted[rng.integers(0, n, (min(block, draws - start), n), np.int32)]
        mean, deviation = np.abs(drawn.mean(axis=1)), drawn.std(axis=1, ddof=1)
        extreme += int(np.count_nonzero((mean > 0) & (mean >= observed * deviation)))
    return (1 + extreme) / (1 + draws)


def student(mean: float, error: float, groups: int) -> tuple[float, float, float]:
    """95 % interval and two-sided p of a mean with this standard error, by Student's t."""
    from scipy.stats import t

    if not error > 0:  # one user alone, or the same difference everywhere
        return (mean, mean, 1.0 if mean == 0 else 0.0) if error == 0 else (np.nan, np.nan, np.nan)
    half = float(t.ppf(0.975, groups - 1)) * error
    return mean - half, mean + half, float(2 * t.sf(abs(mean / error), groups - 1))


def holm(p: Values) -> Values:
    """float64 (n,): p-values after Holm's step-down correction (Scand. J. Statistics 1979) of the family-wise error,
    valid under any dependence. NaN (a test that could not be made) stays, and is not counted."""
    return _stepped(p, lambda ranked: np.maximum.accumulate(ranked * np.arange(len(ranked), 0, -1)))


def benjamini_hochberg(p: Values) -> Values:
    """float64 (n,): p-values after the step-up correction of Benjamini and Hochberg (J. Royal Statistical Society B
    1995) of the false discovery rate, valid for independent or positively dependent tests. NaN as in `holm`."""

    def step_up(ranked: Values) -> Values:
        scaled = ranked * len(ranked) / np.arange(1, len(ranked) + 1)
        return np.asarray(np.minimum.accumulate(scaled[::-1])[::-1])

    return _stepped(p, step_up)


def _stepped(p: Values, step: Callable[[Values], Values]) -> Values:
    """float64 (n,): `step` of the sorted p-values that are not NaN, at most 1, in the order of p."""
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]  # NaN are sorted to the end
    out = np.full(len(p), np.nan)
    out[order] = np.minimum(step(p[order]), 1)
    return out


TESTS: Mapping[Test, Callable[..., float]] = {
    "randomisation": randomisation, "t": t_test, "wilcoxon": wilcoxon, "bootstrap": bootstrap,
}  # fmt: skip
CORRECTIONS: Mapping[Correction, Callable[[Values], Values]] = {
    "holm": holm, "benjamini_hochberg": benjamini_hochberg, "none": lambda p: p,
}  # fmt: skip
NAMES = {
    "randomisation": "randomisation test", "t": "t-test", "wilcoxon": "Wilcoxon test", "bootstrap": "bootstrap test",
    "holm": "Holm", "benjamini_hochberg": "Benjamini-Hochberg", "none": "not corrected",
}  # fmt: skip
"""How a test or a correction is called in a sentence."""


def check_names(test: str, correction: str) -> None:
    """Raise MatineeError for the name of no test or no correction."""
    for name, kind, known in ((test, "paired test", [*TESTS]), (correction, "correction", [*CORRECTIONS])):
        if name not in known:
            raise MatineeError(f"no {kind} is called {name!r}", hint=suggestion(name, known))
