"""Comparisons of models on the same queries: paired tests, and the check that two evaluations may be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from matinee.data.dataset import Protocol
from matinee.errors import MatineeError, counted
from matinee.evaluate.evaluate import Evaluation, named
from matinee.evaluate.hits import Values
from matinee.evaluate.intervals import standard_error, summed_by
from matinee.evaluate.paired import CORRECTIONS, NAMES, TESTS, Correction, Test, check_names, student
from matinee.evaluate.predictions import ROOTED

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class PairedTest:
    """Model `a` minus model `b` on the same queries.

    difference: mean of the differences; ci_low, ci_high: 95 % interval of Student's t. p_t: two-sided paired t-test.
    test, p: the two-sided test that was asked for (a name of `paired.TESTS`). correction, p_corrected: p after the
    correction for the number of pairs compared (of `paired.CORRECTIONS`). n_queries: queries with an answer; n_users:
    independent differences (queries of one user are not independent: they are summed, and count as one).
    """

    a: str
    b: str
    metric: str
    k: int
    difference: float
    ci_low: float
    ci_high: float
    p_t: float
    test: Test
    p: float
    correction: Correction
    p_corrected: float
    n_queries: int
    n_users: int

    def __str__(self) -> str:
        by_t = "" if self.test == "t" else f", {self.p_t:.2g} (t)"
        corrected = "" if self.correction == "none" else f", {self.p_corrected:.2g} ({NAMES[self.correction]})"
        return (
            f"{self.a} - {self.b}: {named(self.metric, self.k)} {self.difference:+.4f} "
            f"[{self.ci_low:+.4f}, {self.ci_high:+.4f}], p = {self.p:.2g} ({self.test}){by_t}{corrected}"
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
    *evaluations: Evaluation, metric: str | None = None, k: int | None = None, test: Test = "randomisation",
    correction: Correction = "holm", draws: int = 10_000, seed: int = 0,
) -> Comparison:  # fmt: skip
    """One table of all models, and a paired test of every pair on one metric (the first measured, unless named).

    test: "randomisation", "t", "wilcoxon" or "bootstrap". correction: "holm", "benjamini_hochberg" or "none".

    Raises MatineeError where the evaluations were made under different protocols or on different queries, or where
    two models share a label.
    """
    joint = joined(evaluations)
    column = column_of(joint, metric, k)
    pairs = [] if column in of_models(joint) else combinations(joint.labels, 2)
    tests = paired_tests(joint, column, pairs, test=test, correction=correction, draws=draws, seed=seed)
    return Comparison(joint, tests)


def paired_tests(
    joint: Evaluation, column: tuple[str, int], pairs: Iterable[tuple[str, str]], *, test: Test = "randomisation",
    correction: Correction = "holm", **how: int,
) -> tuple[PairedTest, ...]:  # fmt: skip
    """A test of each pair on one column, corrected for their number. how: draws and seed of `paired_test`."""
    check_names(test, correction)
    found = [paired_test(joint, a, b, metric=column[0], k=column[1], test=test, **how) for a, b in pairs]
    corrected = CORRECTIONS[correction](np.array([one.p for one in found]))
    return tuple(
        replace(one, correction=correction, p_corrected=float(p)) for one, p in zip(found, corrected, strict=True)
    )


def joined(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The models of several evaluations as one. Raises MatineeError unless protocol, queries and metrics agree."""
    if not evaluations:
        raise MatineeError("there is nothing to compare", hint="pass at least one evaluation")
    first, *rest = evaluations
    values, totals = dict(first.values), dict(first.totals)
    for other in rest:
        both = f"{', '.join(first.labels)} and {', '.join(other.labels)}"
        _refuse_protocols(both, first.protocol, other.protocol)
        if first.queries != other.queries or first.users != other.users:
            hint = "evaluate all models on one split, made with one seed"
            raise MatineeError(f"{both} did not answer the same queries ({_other_queries(first, other)})", hint=hint)
        twice = {label for label, _, _ in [*values, *totals]} & set(other.labels)
        if twice:
            raise MatineeError(f"two models have the label {', '.join(sorted(twice))}", hint="pass label= to evaluate")
        missing = set(first.columns) ^ set(other.columns)
        if missing:
            names = ", ".join(named(*column) for column in sorted(missing))
            raise MatineeError(f"{both} were not both measured by {names}", hint="use the same metrics and k for all")
        values |= other.values
        totals |= other.totals
    return replace(
        first, values=values, totals=totals, warnings=tuple(text for e in evaluations for text in e.warnings)
    )


def _refuse_protocols(both: str, one: Protocol, other: Protocol) -> None:
    if one.fingerprint != other.fingerprint:
        words = [f.name for f in fields(Protocol) if getattr(one, f.name) != getattr(other, f.name)]
        differ = "; ".join(f"{w}: {getattr(one, w)!r} and {getattr(other, w)!r}" for w in words)
        hint = "evaluate all models under one protocol; numbers of different protocols do not compare"
        raise MatineeError(f"{both} were measured under different protocols ({differ})", hint=hint)


def _other_queries(one: Evaluation, other: Evaluation) -> str:
    if len(one) != len(other):
        return f"{counted(len(one), 'query')} and {counted(len(other), 'query')}"
    return "other users" if one.users != other.users or (one.user != other.user).any() else "other hidden answers"


def paired_test(
    evaluation: Evaluation, a: str, b: str, *, metric: str | None = None, k: int | None = None,
    test: Test = "randomisation", draws: int = 10_000, seed: int = 0,
) -> PairedTest:  # fmt: skip
    """Two models of one evaluation (see `joined`), by a test of `paired.TESTS`. p_corrected is p: a single pair needs
    no correction. Where the metric has weights, all tests but Student's are of the weighted differences."""
    check_names(test, "none")
    metric, k = column_of(evaluation, metric, k)
    paired = paired_differences(evaluation, a, b, metric, k)
    low, high, p = student(paired.mean, paired.error, len(paired.sums))
    p_t = p
    if test != "t":
        p = TESTS[test](paired.sums, draws=draws, seed=seed)
    ends = paired.mean, low, high
    return PairedTest(a, b, metric, k, *ends, p_t, test, p, "none", p, paired.n_queries, len(paired.sums))


class Paired(NamedTuple):
    """Differences of two models. mean: over queries; error: its standard error. sums: float64 (users,), the weighted
    differences of each user, of which the mean is the sum, over all weights."""

    mean: float
    error: float
    sums: Values
    n_queries: int


def paired_differences(evaluation: Evaluation, a: str, b: str, metric: str, k: int) -> Paired:
    """`a` minus `b` in one column. For rmse they are the differences of squared errors, divided by the sum of the
    roots: their mean is the difference of the roots. Raises MatineeError for a number of all lists together."""
    means = [evaluation.mean(metric, k, label).value for label in (a, b)]  # names what is missing
    if (a, metric, k) in evaluation.totals:
        what = f"{metric} is one number of all lists of a model, so it has no values to pair"
        raise MatineeError(what, hint=f"name another: {', '.join(dict.fromkeys(m for _, m, _ in evaluation.values))}")
    difference = evaluation.values[a, metric, k] - evaluation.values[b, metric, k]
    if metric in ROOTED and sum(means) > 0:
        difference = difference / sum(means)
    weight, cluster = evaluation.weights.get((metric, k)), evaluation.clusters
    mean, error, _, n = standard_error(difference, weight, cluster)
    there = ~np.isnan(difference)
    sums = difference[there] if weight is None else (weight * difference)[there]
    if cluster is not None:
        sums = summed_by(cluster[there], sums)
    return Paired(mean, error, sums, n)


def of_models(evaluation: Evaluation) -> set[tuple[str, int]]:
    """The columns that are one number of all lists of a model: they cannot be tested."""
    return {(metric, k) for _, metric, k in evaluation.totals}


def column_of(evaluation: Evaluation, metric: str | None, k: int | None) -> tuple[str, int]:
    """The first column of this metric and k, of which either may be left out."""
    for name, cut in evaluation.columns:
        if metric in (None, name) and k in (None, cut):
            return name, cut
    wanted = f"k = {k}" if metric is None else named(metric, k or 0)
    measured = ", ".join(named(*column) for column in evaluation.columns)
    raise MatineeError(f"{wanted} was not measured", hint=f"measured: {measured}")
