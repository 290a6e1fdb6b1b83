"""Milliseconds to rank all films of ML-1M for one user, through the public function; medians of 50 users.

.venv/bin/python benchmarks/one_user.py --data-dir ../shared/data
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import matinee as mt
from matinee.models import registry
from nets import FIELDS
from splits import SPLITS
from timing import environment

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ease": ("ml-1m, clicks", {}),
    "fm": ("ml-1m, clicks", {"fields": FIELDS}),
    "deepfm": ("ml-1m, clicks", {"fields": FIELDS}),
    "autoint_plus": ("ml-1m, clicks", {"fields": FIELDS, "layers": [32, 32]}),
    "neumf": ("ml-1m, clicks", {"target": "watched"}),
    "sasrec": ("ml-1m, next", {}),
    "gru4rec": ("ml-1m, next", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"), help="holds ml-1m")
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated; default: %(default)s")
    given = parser.parse_args()
    machine = environment()
    print(f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_at_start']:.2f}; {machine['when']}")
    for name in given.models.split(","):
        place, hyper = MODELS[name]
        train = SPLITS[place](given.data_dir).train
        few = train.rows(train.user < 300)  # what is learned does not matter here, how many films there are does
        model = registry.create(name, {**hyper, **({} if name == "ease" else {"epochs": 1})}).fit(few)
        known = [timed(model, train, user) for user in range(60)][10:]
        new = [timed(model, train, user) for user in range(1_000, 1_060)][10:]
        print(f"{name:14} {median(known):7.2f} ms as learned {median(new):7.2f} ms with another history", flush=True)


def timed(model: Any, train: mt.Dataset, user: int) -> float:
    queries = train.queries_of(np.array([user], np.int32))
    start = time.perf_counter()
    mt.recommend(model, queries, 10)
    return 1e3 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
