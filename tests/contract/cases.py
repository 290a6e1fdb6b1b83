"""Which models the contract suite runs, and with which hyper-parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contract.logs import described, groups, titled
from matinee.data.dataset import Dataset
from matinee.models import registry

Hyper = Mapping[str, Any]

NET: Hyper = {"epochs": 40, "batch_size": 20, "learning_rate": 0.01}
PAIRS: Hyper = {"dim": 8, "epochs": 15, "batch_size": 100, "learning_rate": 0.02}
FIELDS: Hyper = {**PAIRS, "n_blocks": 1, "n_heads": 4, "init_std": 0.3, "epochs": 24, "batch_size": 50, "dropout": 0.0}
LINEAR: Hyper = {"l1": 0.1, "l2": 5.0, "rho": 10.0}

SMALL_LOG: Mapping[str, Hyper] = {
    "slim": {"l1": 0.1, "l2": 1.0},
    "pctm": {"tau": 1.0, "popularity": -0.1},
    "admm_slim": {**LINEAR, "iterations": 20},
    "svd": {"n_factors": 6},
    "auto_rec": {"hidden": 8, "epochs": 5},
    **{name: {"hidden": 16, **NET} for name in ("dae", "multi_dae", "cdae")},
    **{name: {"hidden": 16, "latent": 8, **NET} for name in ("multi_vae", "cvae")},
    "mmcf": {"hidden": 16, "filters": 8, "letter_dim": 6, **NET},
    "rec_vae": {"hidden": 16, "latent": 8, **NET, "epochs": 25},
    **dict.fromkeys(("gmf", "fm"), PAIRS),
    **{name: {**PAIRS, "layers": (16, 8), "dropout": 0.0} for name in ("mlp", "neumf", "deepfm")},
    **dict.fromkeys(("autoint", "autoint_plus"), FIELDS),
    "logistic": {"epochs": 10, "batch_size": 200},
    **{name: {"dim": 16, "hidden": 24, **NET} for name in ("gru4rec", "narm")},
    **{name: {"dim": 16, **NET} for name in ("stamp", "sasrec", "bert4rec", "cl4srec")},
    "lightgbm": {"n_trees": 60, "min_rows": 5, "learning_rate": 0.1},
    "ensemble": {"members": ["ease", {"name": "item_knn", "k": 20}]},
    "stacking": {"members": ["ease", {"name": "item_knn", "k": 20}], "n_trees": 10, "n_leaves": 3, "n": 30},
    "rerank": {"first": {"name": "item_knn", "k": 20}, "second": "ease"},
    **{name: {"base": "ease", "n": 30} for name in ("mmr", "calibrated", "popularity_discount")},
}
"""Registry name -> hyper-parameters for the suite's small log, where the defaults suit logs a thousand times as large
or a hyper-parameter has no default."""

VARIANTS: Mapping[str, list[Hyper]] = {
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
        {**LINEAR, "nonnegative": True, "half_life": 4.0},
        {**LINEAR, "dropout": 0.0, "user_damping": 0.0},
    ],
    "content": [{"how": "ridge"}, {"how": "ridge", "own": False, "feature_l2": 0.5}],
    "title_match": [{"match": "equal", "k": 7}],
    "ials": [{"nu": 0.5, "n_factors": 7}],
    "biased_mf": [{"loss": "bce"}, {"n_factors": 0}],
    "svd_ae": [{"share": 0.1}, {"half_life": 4.0}],
    "prod2vec": [{"dim": 16, "against": "input", "neighbours": "both", "subsample": 0.01, "half_life": 4.0}],
    "neumf": [{**SMALL_LOG["neumf"], "epochs": 20, "pretrain": 8, "gmf_share": 0.6}],
    "gru4rec": [{**SMALL_LOG["gru4rec"], "tied": False, "loss": "bpr_max"}],
    "sasrec": [
        {
            **{"dim": 8, "n_heads": 2, "max_len": 4, "windows": "all", "relative": True, "gated": True},
            **{"loss": "sampled_softmax", "n_negatives": 20, "negatives_for": "event", "sampling": "popularity"},
            **{"feed_forward": "swiglu", "epochs": 8, "batch_size": 20, "learning_rate": 0.01},
        },
        {**SMALL_LOG["sasrec"], "target": "static", "target_share": 0.4, "windows": "all", "max_len": 6},
    ],
    "bert4rec": [{**SMALL_LOG["bert4rec"], "target": "static"}],
    "cl4srec": [{**SMALL_LOG["cl4srec"], "target": "static", "contrast": 0.01}],
    "lightgbm": [{**SMALL_LOG["lightgbm"], "objective": "binary", "n_negatives": 5, "folds": 3}],
    "ensemble": [
        {"members": ["ease", "user_knn", "popularity"], "method": "zscore"},
        {"members": [{"name": "ials", "n_factors": 7}, "markov"], "method": "softmax", "weights": [0.7, 0.3]},
        {"members": ["ease", "markov"], "quotas": [2, 1]},
        {
            "members": ["ease", "markov"],
            "weights": [[1, 2], [3, 1]],
            "grouped_by": "history",
            "edges": [4],
            "method": "minmax",
        },
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
    "mmr": [{"base": {"name": "item_knn", "k": 20}, "similarity": "attributes"}],
}
"""Registry name -> further hyper-parameters that the model is run with."""

LOGS: Mapping[str, Callable[[], Dataset]] = {"content": described, "title_match": titled}
"""Registry name -> the log of the suite, where the model asks for tables; the others get `groups`."""


def log_of(name: str) -> Callable[[], Dataset]:
    return LOGS.get(name, groups)


CASES: list[tuple[str, Hyper]] = [
    (name, hyper) for name in registry.names() for hyper in (SMALL_LOG.get(name, {}), *VARIANTS.get(name, []))
]
"""Every model as the suite runs it: on the small log with its defaults or SMALL_LOG, then with its VARIANTS."""


SLOW_VARIANTS = {"lightgbm", "rerank", "sasrec", "bert4rec", "cl4srec", "gru4rec"}
"""Models whose VARIANTS take five to thirty seconds each: `make check-long` runs them, `make test` the first case."""


def is_slow(name: str, hyper: Hyper) -> bool:
    return name in SLOW_VARIANTS and hyper in VARIANTS.get(name, [])


def case_id(name: str, hyper: Hyper) -> str:
    """The name and the settings, as a test's id."""
    return "-".join([name, *(f"{value}" for value in hyper.values())])
