"""Which list is shown, and with which probability each item stands where it does: one place chooses and records.

An answer is made in three steps, and each may be random:

1. Routing: arm a, one of the routed models, answers with probability w_a. A stable hash of the person decides.
2. With probability e, the share, the list is drawn: k of the C_a items that arm a may recommend to this person, each
   ordered choice of k as likely as another.
3. Otherwise it is the arm's own list, best first.

So item i stands at position p (from 1) with the probability

    P(i at p) = sum over arms a of w_a * ((1 - e) * [arm a puts i at p] + e * [i is a candidate of a] / C_a)

for p up to k and up to C_a. An arm without candidates is never randomised. It is a probability of the whole answer: not
of that arm, and not of that draw. Positions of one answer are not independent, but estimates that weigh each position
alone (`evaluate.off_policy`) need no more than this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ints
from matinee.errors import MatineeError, option


@dataclass(frozen=True)
class Arm:
    """What one of the routed models would answer. items: int (n,) codes, best first. candidates: int (C,) distinct
    codes that it may recommend here. weight: how likely it is to answer, in comparison with the others.

    The codes of all arms must mean the same items: translate them where catalogues differ. -1 stands for any item that
    the arm whose list is shown does not have. Without items it shows nothing: an arm that cannot answer."""

    items: Ints
    candidates: Ints
    weight: float = 1.0


def explored(
    items: Ints, candidates: Ints, share: float, rng: np.random.Generator, *, k: int | None = None,
    weight: float = 1.0, others: Sequence[Arm] = (),
) -> tuple[Ints, NDArray[np.float64]]:  # fmt: skip
    """The list to show, int32 (n,), and the probability of each of its items at its position, float64 (n,).

    items, candidates, weight: of the arm that answers, as in Arm. share: of answers that are drawn, e. k: how many
    items are asked for; when left out as many as `items`. others: the arms that might have answered. Without them the
    probabilities are those given this arm, which are right as well, and make estimates less sure.

    Raises MatineeError for a share that is not from 0 to 1."""
    if not 0 <= share <= 1:
        raise MatineeError(f"the share of randomised answers is {share!r}", hint=f"use {option('explore', 0.05)}, say")
    own = Arm(np.asarray(items, np.int32), candidates, weight)
    k = len(own.items) if k is None else k
    shown = drawn(own.items, candidates, share, rng, k)
    return shown, probabilities(shown, [own, *others], share, k)


def drawn(items: Ints, candidates: Ints, share: float, rng: np.random.Generator, k: int) -> Ints:
    """The list to show, int32 (n,): steps 2 and 3. It depends on the arm that answers alone."""
    n = len(candidates)
    if share and n and rng.random() < share:
        return np.asarray(candidates)[rng.choice(n, min(k, n), replace=False)].astype(np.int32)
    return items[:k]


def probabilities(shown: Ints, arms: Sequence[Arm], share: float, k: int) -> NDArray[np.float64]:
    """float64 (n,): with which probability each item of a list, int (n,), stands at its position, by the rule above."""
    total, found = 0.0, np.zeros(len(shown))
    for arm in arms:
        n, part = len(arm.candidates), share if len(arm.candidates) else 0.0
        length = min(len(shown), len(arm.items))
        here = np.zeros(len(shown))
        here[:length] = (1 - part) * (np.asarray(arm.items)[:length] == shown[:length])
        if part:
            reached = np.arange(len(shown)) < min(k, n)
            here += part / n * (np.isin(shown, arm.candidates) & reached)
        total, found = total + arm.weight, found + arm.weight * here
    return np.minimum(found / total, 1.0)  # 1 exactly where all arms agree
