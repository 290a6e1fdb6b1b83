"""MMCF on a made collection of lists with titles and artists: steps per second of one thread, peak memory, a query."""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import time

import numpy as np
import polars as pl

import matinee as mt
from matinee.data.dataset import Dataset


def collection(n_lists: int, n_items: int, mean_length: int, seed: int = 0) -> Dataset:
    """Lists of one of 500 moods each, called by two or three words of it; every artist has ten items."""
    rng = np.random.default_rng(seed)
    mood = rng.integers(0, 500, n_lists)
    length = 1 + rng.poisson(mean_length - 1, n_lists)
    row = np.repeat(np.arange(n_lists), length)
    popular = (rng.pareto(1.2, len(row)) * n_items / 200).astype(np.int64)
    item = (popular + mood[row] * (n_items // 500)) % n_items
    words = np.array([f"{a}{b}" for a in ("su", "ro", "chi", "jo", "ki") for b in ("mmer", "ck", "ll", "y", "ds")])
    titles = [" ".join(words[[m % 25, m // 25 % 25]]) + (f" {m % 7}" if m % 3 else "") for m in mood.tolist()]
    items = pl.DataFrame({"item": range(n_items), "artist": [f"artist {i // 10}" for i in range(n_items)]})
    lists = pl.DataFrame({"user": range(n_lists), "title": titles})
    return mt.read({"user": row, "item": item}, users=lists, items=items)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lists", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--length", type=int, default=30, help="mean number of items of a list")
    asked = parser.parse_args()
    data = collection(asked.lists, asked.items, asked.length)
    model = mt.models.MMCF(epochs=1, learning_rate=3e-3)
    ends: list[float] = []

    def on_round(number: int, loss: float, measured: float) -> None:
        ends.append(time.process_time())

    start = time.process_time()
    model = model.fit(data, on_round=on_round)
    steps = math.ceil((asked.lists + model.net.columns.of_item.shape[1]) / model.batch_size)  # artists are lists too
    for name, seconds in (("lists", ends[0] - start), ("titles", ends[1] - ends[0])):
        print(
            f"{name}: {steps} steps, {steps / seconds:.2f} a second of the processor, what is made before them included"
        )
    took = []
    for each in range(12):
        query = mt.history([each, each + 1], data, title="summer chill")
        before = time.process_time()
        mt.recommend(model, query, 10)
        took.append(time.process_time() - before)
    print(f"one query with a title: {1000 * statistics.median(took):.1f} ms of the processor")
    print(f"peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
