"""An ensemble's scoring beside that of its members, in blocks of queries as `recommend` takes them."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import matinee as mt
from matinee.data.dataset import Dataset, Queries, Scorer
from matinee.models.base import Model
from matinee.rank import blocks

METHODS = ("rank", "borda", "zscore", "minmax", "softmax", "raw")


class Took(NamedTuple):
    """Seconds on the wall, and of the processor: the latter hardly change where others work on the machine too."""

    wall: float
    processor: float


def seconds(scorers: Sequence[Scorer], queries: Queries, n_items: int) -> Took:
    """To score all queries by each of the scorers, block by block."""
    wall, processor = time.perf_counter(), time.process_time()
    for _, block in blocks(queries, n_items):
        for scorer in scorers:
            scorer.score(block)
    return Took(time.perf_counter() - wall, time.process_time() - processor)


def race(fitted: Sequence[Model], train: Dataset, queries: Queries, repeats: int) -> None:
    """Print the seconds of three members and of ensembles of them, in turn, the first turn left out."""
    joined = {method: mt.models.Ensemble(members=fitted, method=method, weights=[1, 1, 1]) for method in METHODS}
    runners: dict[str, Sequence[Model]] = {type(model).__name__: [model] for model in fitted}
    runners |= {"members": fitted} | {method: [model.fit(train)] for method, model in joined.items()}
    parts: dict[str, list[Took]] = {name: [] for name in runners}
    for turn in range(repeats + 1):
        for name, models in runners.items():
            took = seconds(models, queries, train.n_items)
            parts[name] += [took] if turn else []
    middle = {
        name: Took(*(statistics.median(column) for column in zip(*took, strict=True))) for name, took in parts.items()
    }
    whole = middle["members"]
    for name, took in middle.items():
        shares = f"{took.wall / whole.wall:.2f} and {took.processor / whole.processor:.2f} of the members"
        print(f"{name:10} {took.wall:.3f} s, {took.processor:.3f} s of the processor: {shares}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="ml-1m")
    parser.add_argument("--data-dir")
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    split = mt.split.random(mt.load(asked.data, data_dir=asked.data_dir), seed=0)
    members = [mt.models.EASE(l2=500), mt.models.ItemKNN(), mt.models.IALS()]
    fitted = [member.fit(split.train, seed=0) for member in members]
    race(fitted, split.train, split.test.queries, asked.repeats)


if __name__ == "__main__":
    main()
