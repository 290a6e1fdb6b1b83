"""A model that stopped early takes its number of epochs to the fit on train and valid."""

from __future__ import annotations

import numpy as np

from contract.logs import groups
from matinee import split as splits
from matinee.models.ease import EASE
from matinee.models.multi_dae import MultiDAE


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
