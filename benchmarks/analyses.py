"""All analyses of what ten models recommend: seconds of `mt.analyse`, and its tables.

    .venv/bin/python benchmarks/analyses.py --data-dir ../shared/data
    .venv/bin/python benchmarks/analyses.py --data ml-100k --repeats 1                      # does it run?

The models are quick ones: popularity, EASE, item kNN, iALS, SVD, the Markov chain, and four variants. The first time
compiles or loads the kernels; the median of the repeats is of the others.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import matinee as mt
from matinee.models.base import Model
from matinee.profiling import measured


def models() -> dict[str, Model]:
    m = mt.models
    return {
        "popularity": m.Popularity(), "ease": m.EASE(), "item_knn": m.ItemKNN(), "ials": m.IALS(), "svd": m.SVD(),
        "markov": m.Markov(), "ease_1000": m.EASE(l2=1000), "item_knn_20": m.ItemKNN(k=20),
        "svd_20": m.SVD(n_factors=20), "ials_16": m.IALS(n_factors=16),
    }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", default="ml-1m")
    options.add_argument("--data-dir", type=Path)
    options.add_argument("-k", type=int, default=10)
    options.add_argument("--repeats", type=int, default=3)
    asked = options.parse_args()
    split = mt.split.random(mt.load(asked.data, data_dir=asked.data_dir), seed=0)
    recs = {}
    for label, model in models().items():
        recs[label] = mt.recommend(model.fit(split.train), split.test.queries, asked.k)
    seconds = []
    for _ in range(asked.repeats + 1):
        busy = time.process_time()
        with measured() as cost:
            found = mt.analyse(recs, split.test, split.train)
        seconds.append((cost.seconds, time.process_time() - busy))
    print(found)
    for table in (found.by_popularity, found.by_activity, found.pairs, found.year_quartiles(), found.top):
        print(table)
    first, *others = (wall for wall, _ in seconds)
    processor = median(busy for _, busy in seconds[1:])
    print(f"first {first:.1f} s, then {median(others):.1f} s ({processor:.1f} s of processor time); {len(recs)} models")


if __name__ == "__main__":
    main()
