"""Measuring: metrics with intervals, comparisons under one protocol, and the audit of a split."""

from matinee.evaluate.audit import AuditReport, Finding, audit
from matinee.evaluate.evaluate import Evaluation, by_activity, evaluate
from matinee.evaluate.significance import Comparison, PairedTest, compare, paired_test

__all__ = [
    "AuditReport",
    "Comparison",
    "Evaluation",
    "Finding",
    "PairedTest",
    "audit",
    "by_activity",
    "compare",
    "evaluate",
    "paired_test",
]
