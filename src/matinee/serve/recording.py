"""What people were shown is kept, with the probability that it was shown: a log that `evaluate` can learn from."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from matinee.data.arrays import Ints
from matinee.errors import MatineeError, option
from matinee.serve.asking import Ask, Ranked
from matinee.serve.events.records import Answer, Shown
from matinee.serve.exploration import explored

if TYPE_CHECKING:
    from matinee.serve.stored import Stored


class Recorder:
    """Keeps the answers that routing gave to somebody, and draws a share of them at random.

    Only lists without rules of their own are drawn: a drawn list would break them. Probabilities are those given the
    arm that answered, which the person decides."""

    def __init__(self, stored: Stored, share: float, rng: np.random.Generator | None = None) -> None:
        if not 0 <= share < 1:
            raise MatineeError(f"{share} is no share of randomised answers", hint=f"use {option('explore', 0.05)}, say")
        self._stored, self._share = stored, share
        self._rng = np.random.default_rng() if rng is None else rng

    def shown(self, ask: Ask, ranked: Ranked, arm: str, person: str, request_id: str) -> Ranked:
        """What is shown in place of a list, most often itself; it is kept soon."""
        share = 0.0 if ask.alone else self._share
        candidates = candidates_of(ask) if share else np.empty(0, np.int32)
        items = np.array(ranked.item, np.int32)
        shown, probability = explored(items, candidates, share, self._rng, k=ask.request.k)
        ids = ask.live.ids
        kept = tuple(
            Shown(str(ids[code]), place, value)
            for place, (code, value) in enumerate(zip(shown.tolist(), probability.tolist(), strict=True), start=1)
        )
        live = ask.live
        self._stored.keep_answer(
            Answer(request_id, time.time(), person, live.name, live.version, arm, kept, share, len(candidates))
        )
        if np.array_equal(shown, items):
            return ranked
        scores = dict(zip(ranked.item, ranked.score, strict=True))
        return replace(ranked, item=shown.tolist(), score=[scores.get(code) for code in shown.tolist()], drawn=True)


def candidates_of(ask: Ask) -> Ints:
    """int32 (C,): what the model may recommend to this person."""
    model, state = ask.live.model, ask.state
    may = np.ones(len(model.items), np.bool_) if model.scores_unknown_items() else model.fitted.popularity > 0
    if ask.request.exclude_seen:
        may[state.item] = False
    may[state.disliked] = False
    return np.flatnonzero(may).astype(np.int32)
