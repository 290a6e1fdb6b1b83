"""A model that stopped early takes its number of epochs to the fit on train and valid."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from contract.logs import groups, last_hidden
from matinee import split as splits
from matinee.models.ease import EASE
from matinee.models.multi_dae import MultiDAE
from matinee.models.sasrec import SASRec


def test_epochs_are_those_of_the_best_validation() -> None:
    split = splits.random(groups(), seed=3)
    model = MultiDAE(hidden=8, epochs=12, batch_size=20, learning_rate=0.05).fit(split.train, valid=split.valid)
    metrics = [epoch["valid_metric"] or 0.0 for epoch in model.curve]
    again = model.for_refit()
    assert again.epochs == 1 + int(np.argmax(metrics))
    assert again.hidden == 8
    assert [epoch["valid_metric"] for epoch in again.fit(split.train).curve] == [None] * again.epochs


def test_other_models_are_fitted_as_they_are() -> None:
    model = EASE(l2=50.0).fit(groups())
    assert model.for_refit() is model


@pytest.mark.parametrize("schedule", ["constant", "cosine", "exponential"])
def test_a_refit_walks_as_fast_as_the_fit_did(schedule: Literal["constant", "cosine", "exponential"]) -> None:
    """On the log of the first fit it ends with the same weights: its rates fall over as many epochs, of which it takes
    the first. Over the epochs to the best one alone they would have fallen to nothing."""
    train, valid = last_hidden(groups())
    model = SASRec(dim=8, max_len=10, epochs=30, patience=2, batch_size=20, learning_rate=0.03, schedule=schedule)
    model.fit(train, valid=valid, seed=3)
    assert model.best_round is not None
    assert model.best_round < len(model.curve)
    again = model.for_refit()
    assert (again.epochs, again.stop_epoch) == (
        (model.best_round, None) if schedule == "constant" else (30, model.best_round)
    )
    again.fit(train, seed=3)
    assert len(again.curve) == model.best_round
    for name, weight in model.fitted.learned.weights.items():
        assert again.fitted.learned.weights[name].tobytes() == weight.tobytes()
    assert again.for_refit() == again, "without a validation there is nothing to take along"
