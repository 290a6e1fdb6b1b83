"""What to know of numbers of named candidates: how much of the answers chance alone would show."""

from __future__ import annotations

import numpy as np

from matinee.data.dataset import Holdout
from matinee.evaluate.hits import find_hits
from matinee.split.candidates import NEW_ALONE


def short_lists(holdout: Holdout, k: int) -> tuple[str, ...]:
    """A note on numbers of named candidates, which look too good; none where the whole catalogue is ranked."""
    candidates, relevant = holdout.queries.candidates, holdout.truth.lengths
    if candidates is None:
        return ()
    there = find_hits(candidates, holdout.truth)
    asked = (relevant > 0) & (there.listed > 0)
    if not asked.any():
        return ()
    listed, found = there.listed[asked], there.count(candidates.shape[1])[asked] / relevant[asked]
    by_chance = float((found * np.minimum(k, listed) / listed).mean())
    if holdout.protocol.candidates == NEW_ALONE:
        return (
            f"new items alone are ranked, {listed.mean():,.1f} on average: in random order the first {k} would already "
            f"show {by_chance:.0%} of the answers. Numbers over the whole catalogue are others",
        )
    return (
        f"these numbers flatter: not the catalogue is ranked but short lists with the answers in them, "
        f"{listed.mean():,.1f} items on average, and in random order the first {k} would already show {by_chance:.0%} "
        "of the answers. Do not compare them with numbers over the whole catalogue, where even the order of the models "
        "may differ (Krichene and Rendle, KDD 2020)",
    )
