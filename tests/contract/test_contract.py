"""Every model of the registry keeps every promise in `checks`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from contract.checks import CHECKS, CLOSED_FORM, OWN_VECTORS, RATING, SMALL_LOG, Check
from matinee.models import registry

# some of the logs have no user with two events: then sequence models say so, and keep their promises
pytestmark = pytest.mark.filterwarnings("ignore:.*learns nothing and popularity answers:matinee.errors.MatineeWarning")

# a model runs with its defaults, and with these
VARIANTS: dict[str, list[Mapping[str, Any]]] = {
    "popularity": [{"half_life_days": 3.0}],
    "item_knn": [{"weighting": "none", "shrinkage": 5.0}, {"weighting": "bm25"}, {"half_life": 4.0}],
    "user_knn": [{"weighting": "none", "shrinkage": 2.0}, {"weighting": "bm25"}],
    "markov": [{"window": 4, "max_len": 6, "half_life": 8.0, "shrinkage": 0.5}],
    "ease": [{"half_life": 4.0}, {"l2": 0.01}, {"dropout": 0.5, "user_damping": 0.5}],
    "slim": [
        {"l1": 0.2, "l2": 1.0, "nonnegative": False, "half_life": 4.0},
        {"l1": 0.1, "l2": 1.0, "user_damping": 0.5},
    ],
    "admm_slim": [
        {"l1": 0.1, "l2": 5.0, "rho": 10.0, "nonnegative": True, "half_life": 4.0},
        {"l1": 0.1, "l2": 5.0, "rho": 10.0, "dropout": 0.0, "user_damping": 0.0},
    ],
    "ials": [{"nu": 0.5, "n_factors": 7}],
    "biased_mf": [{"loss": "bce"}, {"n_factors": 0}],
    "svd_ae": [{"share": 0.1}, {"half_life": 4.0}],
    "prod2vec": [{"dim": 16, "against": "input", "neighbours": "both", "subsample": 0.01, "half_life": 4.0}],
    "neumf": [{**SMALL_LOG["neumf"], "epochs": 20, "pretrain": 8, "gmf_share": 0.6}],
    "gru4rec": [
        {
            "dim": 16,
            "hidden": 24,
            "tied": False,
            "epochs": 40,
            "batch_size": 20,
            "learning_rate": 0.01,
            "loss": "bpr_max",
        }
    ],
    "sasrec": [
        {
            **{"dim": 8, "n_heads": 2, "max_len": 4, "windows": "all", "relative": True, "gated": True},
            **{"loss": "sampled_softmax", "n_negatives": 20, "negatives_for": "event", "sampling": "popularity"},
            **{"feed_forward": "swiglu", "epochs": 8, "batch_size": 20, "learning_rate": 0.01},
        }
    ],
    "lightgbm": [
        {"objective": "binary", "n_trees": 60, "min_rows": 5, "learning_rate": 0.1, "n_negatives": 5, "folds": 3}
    ],
    "ensemble": [
        {"members": ["ease", "user_knn", "popularity"], "method": "zscore"},
        {"members": [{"name": "ials", "n_factors": 7}, "markov"], "method": "softmax", "weights": [0.7, 0.3]},
        {"members": ["ease", {"name": "ensemble", "members": ["markov", "item_knn"]}], "weights": [0.6, 0.4]},
    ],
    "rerank": [
        {"first": "popularity", "second": {"name": "ensemble", "members": ["markov", "item_knn"]}},
        {
            "first": {"name": "ials", "n_factors": 7},
            "second": {"name": "lightgbm", "n_trees": 30, "min_rows": 5},
            "n": 70,
        },
    ],
}
CASES = [(name, hyper) for name in registry.names() for hyper in (SMALL_LOG.get(name, {}), *VARIANTS.get(name, []))]


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize(
    ("name", "hyper"), CASES, ids=lambda x: x if isinstance(x, str) else "-".join(map(str, x.values()))
)
def test_contract(name: str, hyper: Mapping[str, Any], check: Check) -> None:
    check(lambda: registry.create(name, hyper))


@pytest.mark.parametrize("name", registry.names())
def test_a_model_file_is_the_papers_idea_and_nothing_else(name: str) -> None:
    path = Path(inspect.getfile(registry.model_class(name)))
    assert len(path.read_text().splitlines()) <= 150


def test_exemptions_name_models_that_exist() -> None:
    assert {*VARIANTS, *CLOSED_FORM, *SMALL_LOG, *RATING, *OWN_VECTORS} <= set(registry.names())
