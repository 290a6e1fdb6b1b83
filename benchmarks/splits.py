"""The splits that nets are trained on, each a function of a data folder; every library is given the same object."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import matinee as mt
import workload
from matinee import split
from matinee.data.dataset import Dataset, Split
from matinee.data.ids import IdMap


def static_1m(data_dir: Path) -> Split:
    """Rating >= 3, 10-core, random 8:1:1 of each user: the protocol of recipes/ml-1m-autoencoders.toml, seed 0."""
    data = mt.load("ml-1m", data_dir=data_dir)
    return split.random(mt.filter_events(data, min_rating=3.0, min_user_events=10, min_item_events=10), seed=0)


def next_1m(data_dir: Path) -> Split:
    """Items of under 5 ratings dropped, leave one out: 6,040 x 3,416, 999,611 events."""
    return split.leave_one_out(mt.filter_events(mt.load("ml-1m", data_dir=data_dir), min_item_events=5))


def next_100k(data_dir: Path) -> Split:
    """Leave one out of all 943 x 1,682."""
    return split.leave_one_out(mt.load("ml-100k", data_dir=data_dir))


def clicks_1m(data_dir: Path) -> Split:
    """Label = rating >= 4, rows at random, valid .08 and test .2: the protocol of `matinee study autoint`."""
    data = mt.filter_events(mt.load("ml-1m", data_dir=data_dir), label_min=4.0)
    return split.random(data, valid=0.08, test=0.2, by="row", seed=42)


def toy(*, labels: bool = False) -> Dataset:
    """200 x 100, 4,000 made-up events at made-up times."""
    user, item = workload.draw_log(200, 100, 4_000, seed=0)
    time = np.random.default_rng(1).permutation(len(user)).astype(np.int64)
    users, items = IdMap(np.arange(200), what="user"), IdMap(np.arange(100), what="item")
    value = (time % 2).astype(np.float32) if labels else None
    return Dataset(users, items, user.astype(np.int32), item.astype(np.int32), value, time, name="toy")


SPLITS: dict[str, Callable[[Path], Split]] = {
    "ml-1m, random": static_1m,
    "ml-1m, next": next_1m,
    "ml-100k, next": next_100k,
    "ml-1m, clicks": clicks_1m,
    "toy, random": lambda data_dir: split.random(toy(), seed=0),
    "toy, clicks": lambda data_dir: split.random(mt.filter_events(toy(labels=True), label_min=1.0), by="row", seed=0),
    "toy, next": lambda data_dir: split.leave_one_out(toy()),
}
