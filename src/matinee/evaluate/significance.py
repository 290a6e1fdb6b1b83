"""Comparisons of models on the same queries: paired tests, and the check that two evaluations may be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from matinee.data.dataset import Protocol
from matinee.errors import MatineeError
from matinee.evaluate.evaluate import Evaluation, named
from matinee.evaluate.intervals import standard_error, summed_by
from matinee.evaluate.metrics import Values
from matinee.evaluate.predictions import ROOTED

if TYPE_CHECKING:
    import polars as pl

_BLOCK = 1 << 22  # signs drawn at once: 32 MB as float64


@dataclass(frozen=True)
class PairedTest:
    """Model `a` minus model `b` on the same queries.

    difference: mean of the differences; ci_low, ci_high: 95 % interval of Student's t. p_t: two-sided paired t-test.
    p_random: two-sided paired randomisation test (signs flipped). p_holm: p_random after Holm's correction for the
    number of pairs compared. n_queries: queries with an answer; n_users: independent differences (queries of one user
    are not independent: they are summed, and flip together).
    """

    a: str
    b: str
    metric: str
    k: int
    difference: float
    ci_low: float
    ci_high: float
    p_t: float
    p_random: float
    p_holm: float
    n_queries: int
    n_users: int

    def __str__(self) -> str:
        return (
            f"{self.a} - {self.b}: {named(self.metric, self.k)} {self.difference:+.4f} "
            f"[{self.ci_low:+.4f}, {self.ci_high:+.4f}], p = {self.p_random:.2g} (randomisation), {self.p_t:.2g} (t), "
            f"{self.p_holm:.2g} (Holm)"
        )


@dataclass(frozen=True, repr=False)
class Comparison:
    """Several models in one table, under one protocol, and every pair of them tested."""

    evaluation: Evaluation
    tests: tuple[PairedTest, ...]

    def to_frame(self) -> pl.DataFrame:
        """One row a pair: the fields of PairedTest, and the protocol's fingerprint."""
        import polars as pl

        rows = [[getattr(test, f.name) for f in fields(test)] for test in self.tests]
        frame = pl.DataFrame(rows, schema=[f.name for f in fields(PairedTest)], orient="row")
        return frame.with_columns(protocol=pl.lit(self.evaluation.protocol.fingerprint))

    def __str__(self) -> str:
        return "\n".join([str(self.evaluation), "", *(str(test) for test in self.tests)])

    __repr__ = __str__


def compare(
    *evaluations: Evaluation, metric: str | None = None, k: int | None = None, draws: int = 10_000, seed: int = 0
) -> Comparison:
    """One table of all models, and a paired test of every pair on one metric (the first measured, unless named).

    Raises MatineeError where the evaluations were made under different protocols or on different queries, or where
    two models share a label.
    """
    joint = joined(evaluations)
    column = column_of(joint, metric, k)
    return Comparison(joint, paired_tests(joint, column, combinations(joint.labels, 2), draws=draws, seed=seed))


def paired_tests(
    joint: Evaluation, column: tuple[str, int], pairs: Iterable[tuple[str, str]], **how: int
) -> tuple[PairedTest, ...]:
    """A test of each pair on one column, corrected for their number. how: draws and seed of `paired_test`."""
    tests = [paired_test(joint, a, b, metric=column[0], k=column[1], **how) for a, b in pairs]
    corrected = holm(np.array([test.p_random for test in tests]))
    return tuple(replace(test, p_holm=float(p)) for test, p in zip(tests, corrected, strict=True))


def joined(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The models of several evaluations as one. Raises MatineeError unless protocol, queries and metrics agree."""
    if not evaluations:
        raise MatineeError("there is nothing to compare", hint="pass at least one evaluation")
    first, *rest = evaluations
    values = dict(first.values)
    for other in rest:
        both = f"{', '.join(first.labels)} and {', '.join(other.labels)}"
        _refuse_protocols(both, first.protocol, other.protocol)
        if first.queries != other.queries or first.users != other.users:
            hint = "evaluate all models on one split, made with one seed"
            raise MatineeError(f"{both} did not answer the same queries", hint=hint)
        twice = {label for label, _, _ in values} & set(other.labels)
        if twice:
            raise MatineeError(f"two models have the label {', '.join(sorted(twice))}", hint="pass label= to evaluate")
        missing = set(first.columns) ^ set(other.columns)
        if missing:
            names = ", ".join(named(*column) for column in sorted(missing))
            raise MatineeError(f"{both} were not both measured by {names}", hint="use the same metrics and k for all")
        values |= other.values
    return replace(first, values=values, warnings=tuple(text for e in evaluations for text in e.warnings))


def _refuse_protocols(both: str, one: Protocol, other: Protocol) -> None:
    if one.fingerprint != other.fingerprint:
        words = [f.name for f in fields(Protocol) if getattr(one, f.name) != getattr(other, f.name)]
        differ = "; ".join(f"{w}: {getattr(one, w)!r} and {getattr(other, w)!r}" for w in words)
        hint = "evaluate all models under one protocol; numbers of different protocols do not compare"
        raise MatineeError(f"{both} were measured under different protocols ({differ})", hint=hint)


def paired_test(
    evaluation: Evaluation, a: str, b: str, *, metric: str | None = None, k: int | None = None, draws: int = 10_000,
    seed: int = 0,
) -> PairedTest:  # fmt: skip
    """Two models of one evaluation (see `joined`). p_holm is p_random: a single pair needs no correction. For rmse the
    mean squared errors are tested: their difference divided by the sum of the roots is that of the roots."""
    metric, k = column_of(evaluation, metric, k)
    means = [evaluation.mean(metric, k, label).value for label in (a, b)]  # names what is missing
    difference = evaluation.values[a, metric, k] - evaluation.values[b, metric, k]
    if metric in ROOTED and sum(means) > 0:
        difference = difference / sum(means)
    weight, cluster = evaluation.weights.get((metric, k)), evaluation.clusters
    mean, error, groups, n = standard_error(difference, weight, cluster)
    low, high, p_t = student(mean, error, groups)
    there = ~np.isnan(difference)
    d = difference[there] if weight is None else (weight * difference)[there]
    if cluster is not None:
        d = summed_by(cluster[there], d)
    p = randomisation(d, draws=draws, seed=seed)
    return PairedTest(a, b, metric, k, mean, low, high, p_t, p, p, n, groups)


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


def holm(p: Values) -> Values:
    """float64 (n,): p-values after Holm's step-down correction (Scand. J. Statistics 1979) of the family-wise error,
    valid under any dependence."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty_like(p)
    out[order] = np.minimum(stepped, 1)
    return out


def _flipped_sums(d: Values, draws: int, seed: int) -> Iterator[Values]:
    """Sums of d with random signs, in blocks: sum(s d) = 2 sum(d where the sign is plus) - sum(d)."""
    rng = np.random.default_rng(seed)
    n_bytes = (len(d) + 7) // 8
    block = max(1, _BLOCK // (8 * n_bytes))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        coins = np.unpackbits(rng.integers(0, 256, (rows, n_bytes), np.uint8), axis=1, count=len(d))
        yield 2 * (coins.astype(np.float64) @ d) - d.sum()


def student(mean: float, error: float, groups: int) -> tuple[float, float, float]:
    """95 % interval and two-sided p of a mean with this standard error, by Student's t."""
    from scipy.stats import t

    if not error > 0:  # one user alone, or the same difference everywhere
        return (mean, mean, 1.0 if mean == 0 else 0.0) if error == 0 else (np.nan, np.nan, np.nan)
    half = float(t.ppf(0.975, groups - 1)) * error
    return mean - half, mean + half, float(2 * t.sf(abs(mean / error), groups - 1))


def column_of(evaluation: Evaluation, metric: str | None, k: int | None) -> tuple[str, int]:
    """The first column of this metric and k, of which either may be left out."""
    for name, cut in evaluation.columns:
        if metric in (None, name) and k in (None, cut):
            return name, cut
    wanted = f"k = {k}" if metric is None else named(metric, k or 0)
    measured = ", ".join(named(*column) for column in evaluation.columns)
    raise MatineeError(f"{wanted} was not measured", hint=f"measured: {measured}")
