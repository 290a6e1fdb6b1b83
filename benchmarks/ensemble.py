"""An ensemble's scoring beside that of its members, in blocks of queries as `recommend` takes them."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import matinee as mt
from matinee.data.dataset import Queries, Scorer
from matinee.rank import blocks

METHODS = ("rank", "borda", "zscore", "minmax", "softmax", "raw")


def seconds(scorers: Sequence[Scorer], queries: Queries, n_items: int) -> float:
    """To score all queries by each of the scorers, block by block."""
    start = time.perf_counter()
    for _, block in blocks(queries, n_items):
        for scorer in scorers:
            scorer.score(block)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="ml-1m")
    parser.add_argument("--data-dir")
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    split = mt.split.random(mt.load(asked.data, data_dir=asked.data_dir), seed=0)
    members = [mt.models.EASE(l2=500), mt.models.ItemKNN(), mt.models.IALS()]
    fitted = [member.fit(split.train, seed=0) for member in members]
    queries, n_items = split.test.queries, split.train.n_items
    joined = {
        method: mt.models.Ensemble(members=fitted, method=method, weights=[1, 1, 1]).fit(split.train)
        for method in METHODS
    }
    parts: dict[str, list[float]] = {name: [] for name in ("ease", "item_knn", "ials", "members", *METHODS)}
    for turn in range(asked.repeats + 1):  # in turn, the first left out
        found = {name: seconds([one], queries, n_items) for name, one in zip(parts, fitted, strict=False)}
        found["members"] = seconds(fitted, queries, n_items)
        found |= {method: seconds([model], queries, n_items) for method, model in joined.items()}
        for name, took in found.items():
            parts[name] += [took] if turn else []
    whole = statistics.median(parts["members"])
    for name, took in parts.items():
        middle = statistics.median(took)
        print(f"{name:10} {middle:.3f} s, {min(took):.3f} at best, {middle / whole:.2f} of the members")


if __name__ == "__main__":
    main()
