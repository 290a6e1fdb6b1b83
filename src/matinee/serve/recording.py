"""What people were shown is kept, with the probability that it was shown: a log that `evaluate` can learn from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from matinee.errors import MatineeError, option
from matinee.serve.asking import Ask, Ranked
from matinee.serve.events.records import Answer
from matinee.serve.exploration import Arm, drawn
from matinee.serve.others import Chosen, Other, Others, candidates_of, recorded

if TYPE_CHECKING:
    from matinee.serve.stored import Stored


class Recorder:
    """Keeps the answers that routing gave to somebody, and draws a share of them at random.

    Only lists without rules of their own are drawn: a drawn list would break them. Probabilities are over the draw and
    over routing: the models that might have answered are asked as well, soon after (see `Others`)."""

    def __init__(self, stored: Stored, share: float, rng: np.random.Generator | None = None) -> None:
        if not 0 <= share < 1:
            raise MatineeError(f"{share} is no share of randomised answers", hint=f"use {option('explore', 0.05)}, say")
        self._stored, self._share = stored, share
        self._rng = np.random.default_rng() if rng is None else rng
        self._others = Others(stored.keep_answer, stored.drop)

    def shown(
        self, ask: Ask, ranked: Ranked, arm: str, person: str, request_id: str, weight: float = 1.0,
        others: Sequence[Other] = (),
    ) -> Ranked:  # fmt: skip
        """What is shown in place of a list, most often itself; it is kept soon. weight: the share of the arm that
        answers; others: those that might have answered."""
        share = 0.0 if ask.alone else self._share
        own = Arm(np.array(ranked.item, np.int32), candidates_of(ask) if share else np.empty(0, np.int32), weight)
        shown = drawn(own.items, own.candidates, share, self._rng, ask.request.k)
        live, n = ask.live, len(own.candidates)
        answer = Answer(request_id, time.time(), person, live.name, live.version, arm, (), share, n)
        chosen = Chosen(ask, own, shown, answer, tuple(others))
        if others:
            self._others.add(chosen)
        else:
            self._stored.keep_answer(recorded(chosen, ()))
        if np.array_equal(shown, own.items):
            return ranked
        scores = dict(zip(ranked.item, ranked.score, strict=True))
        return replace(ranked, item=shown.tolist(), score=[scores.get(code) for code in shown.tolist()], drawn=True)

    def forget(self, person: str) -> None:
        """Keep nothing of a person that was not stored yet."""
        self._others.forget(person)

    async def close(self) -> None:
        """Finish what waits, as far as there is time."""
        await self._others.close()
