"""`fit(checkpoint=...)` of every trained model: interrupted and started again, it ends in the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.cases import SMALL_LOG
from contract.logs import groups, last_hidden
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.models.families.network import Trained
from matinee.nn.train import Loop

TRAINED = [name for name in registry.names() if issubclass(registry.model_class(name), Trained)]
DRAWN = [
    (
        "sasrec",
        {"loss": loss, "n_negatives": 5, "sampling": sampling, "negatives_for": whose, "windows": "all", "max_len": 4},
    )
    for loss, sampling, whose in (
        ("bce", "uniform", "event"),
        ("sampled_softmax", "popularity", "batch"),
        ("bpr_max", "in_batch", "event"),
        ("gbce", "uniform", "history"),
    )
]
"""Trainings with negatives, dropout and cut histories: what is drawn must be drawn again."""
STATIC: list[tuple[str, dict[str, Any]]] = [
    ("sasrec", {"target": "static", "loss": "bce", "n_negatives": 5, "negatives_for": "event", "max_len": 4}),
    ("bert4rec", {"target": "static", "target_share": 0.4}),
]
POINTWISE: list[tuple[str, dict[str, Any]]] = [
    ("neumf", {"pretrain": 3}),  # it goes on amid the epochs in which its parts are trained apart,
    ("neumf", {"pretrain": 2}),  # and with the first one in which they are trained together
    ("fm", {"sampling": "hard", "pooling": "attention"}),
    ("deepfm", {"sampling": "popularity", "dropout": 0.3, "batch_norm": True}),
]
CASES: list[tuple[str, dict[str, Any]]] = [*((name, {}) for name in TRAINED), *DRAWN, *STATIC, *POINTWISE]
TRAIN, VALID = last_hidden(groups())


def takes_seconds(name: str, hyper: dict[str, Any]) -> bool:
    drawn = hyper.get("loss") in {"gbce", "bpr_max", "sampled_softmax"} or (name, hyper) in STATIC[1:] + POINTWISE[1:]
    return name in {"rec_vae", "autoint_plus", "cl4srec"} or drawn


class Stop(Exception):  # noqa: N818 - a power cut, not an error
    pass


def create(name: str, **hyper: Any) -> Trained:
    model = registry.create(name, {**SMALL_LOG.get(name, {}), "epochs": 4, **hyper})
    assert isinstance(model, Trained)
    return model


def interrupted(model: Trained, path: Path, epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit until this epoch's examples are walked over, and no further."""
    walk = Loop._epoch

    def stopping(self: Loop, number: int) -> float:
        loss = walk(self, number)
        if number == epoch:
            raise Stop
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_epoch", stopping)
        with pytest.raises(Stop):
            model.fit(TRAIN, valid=VALID, seed=3, checkpoint=path)


@pytest.mark.parametrize(
    ("name", "hyper"),
    [pytest.param(*case, marks=[pytest.mark.slow] if takes_seconds(*case) else []) for case in CASES],
    ids=lambda x: x if isinstance(x, str) else x.get("loss", ""),
)
def test_interrupted_and_fitted_again(
    name: str, hyper: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = create(name, **hyper).fit(TRAIN, valid=VALID, seed=3)
    model = create(name, **hyper)
    for epoch in (0, 2):
        interrupted(model, tmp_path / "c", epoch, monkeypatch)
        assert (tmp_path / "c").exists() == (epoch > 0)
    model.fit(TRAIN, valid=VALID, seed=3, checkpoint=tmp_path / "c")
    assert model.score(TRAIN.queries()).tobytes() == straight.score(TRAIN.queries()).tobytes()
    curves = [m.fitted.learned.curve[:, :3] for m in (model, straight)]
    np.testing.assert_array_equal(curves[0], curves[1])


@pytest.mark.parametrize("name", TRAINED)
def test_a_checkpoint_of_another_fit_is_refused(name: str, tmp_path: Path) -> None:
    create(name, epochs=1).fit(TRAIN, seed=3, checkpoint=tmp_path / "c")
    before = (tmp_path / "c").read_bytes()
    others: list[tuple[Trained, dict[str, Any]]] = [
        (create(name, epochs=1), {"seed": 4}),
        (create(name, epochs=1, learning_rate=0.04), {"seed": 3}),
    ]
    for model, how in others:
        with pytest.raises(MatineeError, match="is the checkpoint of another training"):
            model.fit(TRAIN, checkpoint=tmp_path / "c", **how)
    with pytest.raises(MatineeError, match="data was "):
        create(name, epochs=1).fit(groups(), seed=3, checkpoint=tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == before
