"""Measuring: metrics with intervals, comparisons under one protocol, and the audit of a split.

Example: `mt.evaluate(recs, split.test, k=10, metrics=["ndcg", "recall"])`
"""

import sys
from types import ModuleType

from matinee.evaluate.audit import AuditReport, Finding, audit
from matinee.evaluate.evaluate import Evaluation, by_activity, evaluate
from matinee.evaluate.predictions import Bin, calibration
from matinee.evaluate.ratings import evaluate_ratings
from matinee.evaluate.significance import Comparison, PairedTest, compare, paired_test

__all__ = [
    "AuditReport", "Bin", "Comparison", "Evaluation", "Finding", "PairedTest", "audit", "by_activity", "calibration",
    "compare", "evaluate", "evaluate_ratings", "paired_test",
]  # fmt: skip


class _Package(ModuleType):
    """`mt.evaluate(...)` and this package share a name, and importing any part of the package puts the package there:
    so calling the package measures."""

    __call__ = staticmethod(evaluate)


sys.modules[__name__].__class__ = _Package
