"""CVAE's scores from its saved weights and the side tables, in plain Python and numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import polars as pl

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.models.cvae import CVAE
from oracle import truths
from oracle.net_checks import (
    DATA,
    HISTORIES,
    N_ITEMS,
    N_USERS,
    SMALL,
    SparseBatch,
    close,
    linear,
    sparse,
    unit_rows,
    weights,
)

Condition = Literal["users", "history", "both"]
JOBS = ["actor", "baker", None, "clerk"]
GENRES = [["Drama"], ["Comedy", "Drama"], None, [], ["War", "Rare"]]
USERS = [-1, 0, 5, 7, N_USERS - 1]


def described() -> Dataset:
    """Jobs of three kinds and ages for users, genres and years for films, each with gaps; "Rare" is one film's."""
    jobs = [JOBS[u % 4] for u in range(N_USERS)]
    ages = [None if u % 5 == 0 else 20 + u for u in range(N_USERS)]
    genres = [GENRES[i % 5] if i > 4 else (GENRES[i] or [])[:1] for i in range(N_ITEMS)]
    genres[4] = ["War", "Once"]
    years = [None if i % 6 == 1 else 1950 + 3 * i for i in range(N_ITEMS)]
    return replace(
        DATA,
        user_features=pl.DataFrame({"job": jobs, "age": ages}),
        item_features=pl.DataFrame({"genres": genres, "year": years}),
    )


def vectors(table: pl.DataFrame, name: str, known: list[str], number: str) -> SparseBatch:
    """(n, len(known) + 2): 1 for each known value, then the standardised number, then 1 where there is one."""
    numbers = table[number].to_list()
    there = [x for x in numbers if x is not None]
    mean, std = np.mean(there), np.std(there)
    rows = []
    for said, x in zip(table[name].to_list(), numbers, strict=True):
        said = [said] if isinstance(said, str) else said or []
        ones = [float(value in said) for value in known]
        rows.append([*ones, 0.0 if x is None else (x - mean) / std, float(x is not None)])
    return np.array(rows)


def truth(model: CVAE, side: SparseBatch) -> SparseBatch:
    w = weights(model)
    hidden = np.tanh(sparse(w, "encoder", unit_rows()) + side @ w["side.weight"].T)
    mean = linear(w, "code", hidden)[:, :3]
    return linear(w, "decoder", np.hstack([mean, side]))


def check_cvae() -> None:
    data = described()
    assert data.user_features is not None
    assert data.item_features is not None
    people = vectors(data.user_features, "job", ["actor", "baker", "clerk"], "age")
    films = vectors(data.item_features, "genres", ["Comedy", "Drama", "Rare", "War"], "year")
    user_side = np.array([people[u] if u >= 0 else np.zeros(5) for u in USERS])
    film_side = np.array([films[sorted(set(h))].mean(axis=0) for h in HISTORIES])
    sides = {"users": user_side, "history": film_side, "both": np.hstack([user_side, film_side])}
    queries = truths.histories(HISTORIES, USERS)
    for condition in get_args(Condition):
        model = CVAE(condition=condition, min_count=2, hidden=7, latent=3, **SMALL).fit(data)
        wanted = truth(model, sides[condition])
        close(model.score(queries), wanted)
        assert np.abs(wanted - truth(model, 0 * sides[condition])).max() > 1e-2, "the side vector must matter"


def check_cvae_of_somebody_new() -> None:
    """What a request brings counts before the table, where it brings anything."""
    data = described()
    assert data.user_features is not None
    known = vectors(data.user_features, "job", ["actor", "baker", "clerk"], "age")
    model = CVAE(condition="users", min_count=2, hidden=7, latent=3, **SMALL).fit(data)
    brought = pl.DataFrame({"job": ["clerk", "spy", None, "baker", None]})
    queries = replace(truths.histories(HISTORIES, USERS), user_features=brought)
    side = np.array([[0, 0, 1, 0, 0], known[0], known[5], [0, 1, 0, 0, 0], known[USERS[4]]])
    close(model.score(queries), truth(model, side))
    row = Ragged.from_lists([HISTORIES[3]])
    alone = Queries(np.array([7], np.int32), row, row, user_features=brought[3:4])
    close(model.score(alone), truth(model, side)[3:4])


CHECKS: dict[str, list[Callable[[], None]]] = {"cvae": [check_cvae, check_cvae_of_somebody_new]}
