"""A small log for the demo: ordinary films and 30 hostile titles, ratings, times, a table of users."""

from __future__ import annotations

import numpy as np
import polars as pl

import matinee as mt
from hostile import TITLES as HOSTILE

ORDINARY = [
    ("Matrix, The (1999)", "Action|Sci-Fi"), ("Heat (1995)", "Crime|Drama"), ("Amélie (2001)", "Comedy|Romance"),
    ("기생충 (2019)", "드라마"), ("Fargo (1996)", "Crime"), ("Toy Story (1995)", "Animation|Comedy"),
    ("Alien (1979)", "Horror|Sci-Fi"), ("Casablanca (1942)", "Drama|Romance"), ("Brazil (1985)", "Sci-Fi"),
    ("Vertigo (1958)", "Mystery"), ("Psycho (1960)", "Horror"), ("Ran (1985)", "Drama|War"),
    ("Jaws (1975)", "Action"), ("Rocky (1976)", "Drama"), ("Big (1988)", "Comedy"), ("Gandhi (1982)", "Drama"),
    ("Speed (1994)", "Action"), ("Clue (1985)", "Mystery"), ("Antz (1998)", "Animation"), ("Babe (1995)", "Family"),
]  # fmt: skip


def log(*, hostile: bool = False, n_users: int = 60, seed: int = 3) -> mt.Dataset:
    """Two tastes: users of even numbers like the first half of the films; a few watch all kinds."""
    titles = [*ORDINARY, *((title, "Drama") for title in HOSTILE)] if hostile else ORDINARY
    rng, n = np.random.default_rng(seed), len(titles)
    rows = []
    for user in range(n_users):
        half = np.arange(n)[user % 2 :: 2]
        watched = rng.choice(half, int(rng.integers(5, 9)), replace=False).tolist()
        watched += rng.choice(n, 2, replace=False).tolist()
        for at, item in enumerate(dict.fromkeys(watched)):
            rows.append((user, 100 + item, int(rng.integers(1, 6)), 1_000_000_000 + user * 86_400 + at * 7_200))
    items = pl.DataFrame(
        {
            "item_id": [100 + at for at in range(n)],
            "title": [title for title, _ in titles],
            "genres": [genres for _, genres in titles],
        }
    )
    users = pl.DataFrame({"user_id": range(n_users), "gender": ["F", "M", "M"] * (n_users // 3)})
    frame = pl.DataFrame(rows, ["user_id", "item_id", "rating", "timestamp"], orient="row")
    return mt.read(frame, items=items, users=users)
