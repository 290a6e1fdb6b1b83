"""Labels made of ratings: which levels there are, the loss against a plain sum, and what a net learns of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from matinee.data.dataset import Dataset
from matinee.data.filters import filter_events
from matinee.data.ids import IdMap
from matinee.models.families.ordinal import MOST_LEVELS, OrdinalTargets
from matinee.models.fm import FM

GRADE = np.array([1, 5, 4, 3, 3, 4, 4, 2, 5, 4], np.float32)
LABEL = (GRADE >= 4).astype(np.float32)


def log_odds(share: float) -> float:
    return math.log(share / (1.0 - share))


class TestLevels:
    def test_all_but_the_lowest_and_the_labels_own(self) -> None:
        targets = OrdinalTargets.of(GRADE, LABEL)
        assert targets.levels.tolist() == [2.0, 3.0, 5.0]
        own = log_odds(0.6)  # six of ten reach a 4, nine a 2, eight a 3, two a 5
        wanted = [log_odds(share) - own for share in (0.9, 0.8, 0.2)]
        np.testing.assert_allclose(targets.ahead, wanted, rtol=1e-6)

    def test_labels_of_two_ratings_have_no_other_level(self) -> None:
        targets = OrdinalTargets.of(np.array([1, 5, 5], np.float32), np.array([0, 1, 1], np.float32))
        assert len(targets.levels) == 0
        logit, label = torch.tensor([0.3, -1.0]), torch.tensor([1.0, 0.0])
        plain = torch.nn.functional.binary_cross_entropy_with_logits(logit, label, reduction="sum")
        assert float(targets.loss(logit, np.array([1, 0]), label, 0.5)) == pytest.approx(float(plain))

    def test_of_many_ratings_deciles(self) -> None:
        raw_rating = np.random.default_rng(0).gamma(2.0, size=5_000).astype(np.float32)
        targets = OrdinalTargets.of(raw_rating, (raw_rating > 3).astype(np.float32))
        assert 0 < len(targets.levels) <= MOST_LEVELS
        assert np.isfinite(targets.ahead).all()
        assert (np.diff(targets.ahead) < 0).all(), "a higher level is reached less often"


def test_the_loss_is_the_weighted_mean_of_each_levels_own() -> None:
    targets, rows, weight = OrdinalTargets.of(GRADE, LABEL), np.array([3, 1, 7, 5]), 0.3
    logit = torch.tensor([0.4, -2.0, 1.5, 0.0], requires_grad=True)
    found = targets.loss(logit, rows, torch.from_numpy(LABEL[rows]), weight)
    total = 0.0
    for z, raw_rating in zip(logit.tolist(), GRADE[rows], strict=True):
        for level, of in ((4.0, 1.0), (2.0, weight), (3.0, weight), (5.0, weight)):
            ahead = log_odds(float(np.mean(level <= GRADE))) - log_odds(0.6)
            p = 1.0 / (1.0 + math.exp(-z - ahead))
            total -= of * math.log(p if raw_rating >= level else 1.0 - p)
    assert float(found.detach()) == pytest.approx(total / (1.0 + 3 * weight), rel=1e-5)
    assert torch.autograd.grad(found, logit)[0].isfinite().all()


def graded() -> Dataset:
    """Everybody gives item i a rating of about i % 5 + 1; so labels alone cannot tell a 5 from a 4."""
    rng = np.random.default_rng(3)
    user, item = np.divmod(rng.choice(40 * 25, 600, replace=False), 25)
    rating = np.clip(item % 5 + 1 + rng.choice([-1, 0, 0, 0, 1], len(item)), 1, 5)
    ids = IdMap(np.arange(40), what="user"), IdMap(np.arange(25), what="item")
    log = Dataset(*ids, user.astype(np.int32), item.astype(np.int32), value=rating.astype(np.float32))
    return filter_events(log, label_min=3)


def test_a_net_learns_what_labels_do_not_tell() -> None:
    """Items of 4 and 5 are liked by nearly all: only ratings put those of 5 ahead."""
    log = graded()
    hyper = {"dim": 8, "epochs": 30, "batch_size": 50, "learning_rate": 0.02}

    def ahead(targets: float, data: Dataset) -> float:
        """How often an item of mostly 5 scores above one of mostly 4."""
        scores = FM(**hyper, ordinal_weight=targets).fit(data).score(data.queries_of(np.arange(40, dtype=np.int32)))
        return float(np.mean(scores[:, 4::5, None] > scores[:, None, 3::5]))

    assert ahead(0.5, log) > 0.85
    assert ahead(0.0, log) < 0.75
    assert ahead(0.5, replace(log, raw_rating=None)) == ahead(0.0, log), (
        "labels of unknown making are learned as they are"
    )


def test_probabilities_stay_the_labels() -> None:
    log = graded()
    model = FM(dim=8, epochs=30, batch_size=50, learning_rate=0.02, ordinal_weight=0.5).fit(log)
    assert model.curve_names == ("loss", "logloss"), "two measures, which the report draws on two axes"
    asked = log.queries_of(np.arange(40, dtype=np.int32))
    p = 1.0 / (1.0 + np.exp(-model.score(asked)[log.user, log.item]))
    assert log.value is not None
    assert p.mean() == pytest.approx(log.value.mean(), abs=0.05)
