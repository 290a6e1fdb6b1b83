"""The Markov chain against counting in plain Python: from the events of the log, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from matinee.data.dataset import Dataset
from matinee.models.markov import Markov
from oracle import truths

N_USERS, N_ITEMS = 83, 41
DATA = truths.as_dataset(truths.random_log(4, N_USERS, N_ITEMS), N_ITEMS)
HISTORIES = [[3], [0, 5, 9], [9, 5, 0], [7, 7, 2, 7, 11], [1, 2, 3, 4, 5, 6, 7, 8], [40, 39, 1, 1]]


def transitions(data: Dataset, window: int, power: float) -> list[list[float]]:
    """[b][a]: the sum of d^-power over the times that a came d <= window events after b in one history."""
    time = range(len(data)) if data.timestamp is None else data.timestamp.tolist()
    rows = sorted(range(len(data)), key=lambda r: (data.user[r], time[r], r))
    sequences: dict[int, list[int]] = {}
    for r in rows:
        sequences.setdefault(int(data.user[r]), []).append(int(data.item[r]))
    n = data.n_items
    count = [[0.0] * n for _ in range(n)]
    for sequence in sequences.values():
        for a, first in enumerate(sequence):
            for d, then in enumerate(sequence[a + 1 : a + 1 + window], start=1):
                count[first][then] += d**-power
    return count


def slow_scores(
    data: Dataset, window: int, shrinkage: float, last: int, half_life: float, history: Sequence[int]
) -> list[float]:
    n, count = data.n_items, transitions(data, window, 1.0)
    prior = [data.item.tolist().count(j) / len(data) for j in range(n)]
    speakers = [i for i in history if prior[i] > 0][-last:]
    voices = [0.5 ** (back / half_life) for back in range(len(speakers))][::-1]
    return [
        sum(
            voice * (count[i][j] + shrinkage * prior[j]) / (sum(count[i]) + shrinkage)
            for i, voice in zip(speakers, voices, strict=True)
        )
        / sum(voices)
        for j in range(n)
    ]


def check_markov() -> None:
    for window, shrinkage, last, half_life in (
        (1, 1.0, 1, 2.0),
        (1, 0.01, 3, 1e9),
        (4, 20.0, 1, 2.0),
        (3, 2.0, 4, 1.5),
        (1000, 5.0, 100, 0.5),
    ):
        model = Markov(window=window, shrinkage=shrinkage, max_len=last, half_life=half_life).fit(DATA)
        wanted = [slow_scores(DATA, window, shrinkage, last, half_life, h) for h in HISTORIES]
        found = model.score(truths.histories(HISTORIES))
        # float32 sums of at most eight terms
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)


def check_markov_of_an_untimed_log_with_items_nobody_watched() -> None:
    """The log's order is that of time; item 4 has no event and says nothing, item 5 is only ever the last."""
    log = [(0, 1), (1, 2), (0, 2), (1, 1), (0, 1), (0, 1), (1, 0), (2, 5), (2, 3), (3, 3), (3, 5)]
    rows = np.array(log, np.int32)
    data = truths.as_dataset([set(range(6)) for _ in range(4)], 6)
    data = replace(data, user=rows[:, 0], item=rows[:, 1], timestamp=None)
    model = Markov(window=2, shrinkage=3.0, max_len=2, half_life=1.0).fit(data)
    histories = [[1], [1, 4], [4, 4, 3, 4], [5, 1, 4], [0]]
    wanted = np.array([slow_scores(data, 2, 3.0, 2, 1.0, h) for h in histories])
    wanted[:, 4] = -np.inf
    np.testing.assert_allclose(model.score(truths.histories(histories)), wanted, rtol=1e-5)
    assert (wanted[0] == wanted[1]).all(), "an item without an event is passed over"


CHECKS: dict[str, list[Callable[[], None]]] = {
    "markov": [check_markov, check_markov_of_an_untimed_log_with_items_nobody_watched]
}
