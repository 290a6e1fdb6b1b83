"""A hybrid's net of titles is trained after the other: interrupted in either, it ends in the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contract.cases import SMALL_LOG
from contract.logs import last_hidden, titled
from matinee.models.mmcf import MMCF
from matinee.nn.train import Loop

TRAIN, VALID = last_hidden(titled())


class Stop(Exception):  # noqa: N818 - a power cut, not an error
    pass


def made() -> MMCF:
    return MMCF(**{**SMALL_LOG["mmcf"], "epochs": 3, "title_epochs": 4})


def interrupted(path: Path, walks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit until so many epochs, of whichever net, are walked over."""
    walk, done = Loop._epoch, []

    def stopping(self: Loop, number: int) -> float:
        loss = walk(self, number)
        done.append(number)
        if len(done) == walks:
            raise Stop
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_epoch", stopping)
        with pytest.raises(Stop):
            made().fit(TRAIN, valid=VALID, seed=3, checkpoint=path)


def test_interrupted_in_either_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = made().fit(TRAIN, valid=VALID, seed=3)
    for walks in (2, 4, 2):  # kept are one epoch; all three, and one of titles; two of titles
        interrupted(tmp_path / "c", walks, monkeypatch)
    model = made().fit(TRAIN, valid=VALID, seed=3, checkpoint=tmp_path / "c")
    assert model.score(TRAIN.queries()).tobytes() == straight.score(TRAIN.queries()).tobytes()
    for curve in ("curve", "title_curve"):
        found, wanted = (getattr(m.fitted.learned, curve) for m in (model, straight))
        np.testing.assert_array_equal(found, wanted)
    again = model.for_refit()
    assert again.title_epochs == int(np.argmax(model.fitted.learned.title_curve[:, 2])) + 1
    assert again.epochs == int(np.argmax(model.fitted.learned.curve[:, 2])) + 1
