"""Non-inferiority: whether a model is so little worse than another, if at all, that it may take its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

import numpy as np

from matinee.errors import MatineeError, counted
from matinee.evaluate.evaluate import Evaluation, named
from matinee.evaluate.power import POWER, users_needed
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.evaluate.significance import paired_differences

CONFIDENCE = 0.95
FORM = re.compile(r"([^=@\s]+)(?:@(\d+))?\s*=\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(%?)")
EXAMPLE = "write METRIC@K=MARGIN, e.g. ndcg@10=-0.5% or ndcg@10=-0.001"


@dataclass(frozen=True)
class Gate:
    """A metric and its margin: the bound that the difference, new minus old, must keep to. relative: the margin is a
    share of the old model's mean. k: 0 where the metric has no cut-off."""

    metric: str
    k: int
    margin: float
    relative: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "ndcg@10=-0.5%" (at most 0.5 % below the old mean), "recall@20=-0.002", or "rmse=+1%", since less of an
        error is better. Raises MatineeError for another form, and for a margin of -100 % or less."""
        found = FORM.fullmatch(text.strip())
        if found is None:
            raise MatineeError(f"{text!r} is no gate", hint=EXAMPLE)
        metric, k, margin, percent = found[1], int(found[2] or 0), float(found[3]), bool(found[4])
        margin = margin / 100 if percent else margin
        if not np.isfinite(margin) or (percent and margin <= -1):
            raise MatineeError(f"{text!r}: such a margin lets everything pass", hint=EXAMPLE)
        return cls(metric, k, margin, percent)

    @property
    def lower_is_better(self) -> bool:
        return self.metric in LOWER_IS_BETTER

    @property
    def column(self) -> str:
        return named(self.metric, self.k)

    @property
    def margin_words(self) -> str:
        """-0.5 %, +0.002."""
        return f"{100 * self.margin:+.6g} %" if self.relative else f"{self.margin:+.6g}"

    def __str__(self) -> str:
        return f"{self.column}={self.margin_words.replace(' ', '')}"


@dataclass(frozen=True)
class GateResult:
    """One gate, tried. new, old: means. difference: new minus old. margin: absolute. bound: the end of the one-sided
    interval of the difference, the lower one, or the upper one of a metric of which less is better. p: of the one-sided
    t-test that the difference does not keep to the margin. passed: whether the bound does. users_needed: to pass with a
    power of 80 % if the difference is as measured; None where it does not keep to the margin itself."""

    gate: Gate
    confidence: float
    new: float
    old: float
    difference: float
    margin: float
    bound: float
    p: float
    n_queries: int
    n_users: int
    passed: bool
    users_needed: int | None

    @property
    def sentence(self) -> str:
        """The verdict in words, with the numbers it rests on."""
        gate = self.gate
        end, allowed = ("upper", "rise") if gate.lower_is_better else ("lower", "fall")
        asked = gate.margin_words.lstrip("+-")
        loses = (self.margin > 0) == gate.lower_is_better and self.margin != 0
        rule = f"may {allowed} by {asked} at most" if loses else f"must not {allowed}"
        if not loses and self.margin:
            rule = f"must {'fall' if gate.lower_is_better else 'rise'} by {asked} or more"
        relative = f" ({100 * self.difference / self.old:+.1f} %)" if self.old else ""
        means = f"{self.old:.4f} to {self.new:.4f}, a difference of {self.difference:+.4f}{relative}"
        measured = f"{gate.column} {rule}: {means}"
        if np.isnan(self.bound):
            return f"{measured} of {counted(self.n_users, 'user')}, from whom no interval can be had: not shown"
        limit = f"its {end} {100 * self.confidence:.4g} % bound {self.bound:+.5f}"
        side = "keeps to" if self.passed else "does not keep to"
        shown = f"{measured}; {limit} {side} the margin {self.margin:+.5f}"
        return shown if self.passed else f"{shown}; {self._needed}"

    @property
    def _needed(self) -> str:
        if self.users_needed is None:
            return "the measured difference itself does not"
        return f"about {counted(self.users_needed, 'user')} would show it if the difference is as measured"


def try_gate(joint: Evaluation, new: str, old: str, gate: Gate, confidence: float = CONFIDENCE) -> GateResult:
    """Whether `new` may replace `old` in one metric, by the one-sided interval of their paired difference (Student's t,
    a user counts once). A relative margin is a share of the old mean as measured, which is taken as known.

    Raises MatineeError for a metric that was not measured, and a confidence that is not between 0.5 and 1.
    """
    from scipy.stats import t

    if not 0.5 < confidence < 1:
        raise MatineeError(f"the confidence is a share between 0.5 and 1, got {confidence!r}", hint="use 0.95, say")
    gate_column = gate.metric, gate.k
    paired = paired_differences(joint, new, old, *gate_column)
    means = (joint.mean(*gate_column, new).value, joint.mean(*gate_column, old).value)
    n, error = len(paired.sums), paired.error
    sign = -1 if gate.lower_is_better else 1  # what is computed is a gain, which must not be below the margin
    margin = gate.margin * means[1] if gate.relative else gate.margin
    room = sign * (paired.mean - margin)
    reach = float(t.ppf(confidence, n - 1)) * error if n > 1 else np.nan
    p = float(t.sf(room / error, n - 1)) if error > 0 else (np.nan if np.isnan(error) else float(room < 0))
    bound, needed = paired.mean - sign * reach, None
    if room > 0 and error >= 0:
        needed = users_needed(room, error * np.sqrt(n), power=POWER, alpha=1 - confidence, sides=1)
    passed = bool(sign * (bound - margin) >= 0)
    numbers = paired.mean, margin, bound, p
    return GateResult(gate, confidence, *means, *numbers, paired.n_queries, n, passed, needed)
