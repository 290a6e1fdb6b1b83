"""What is known of items, added to their vectors: the sum against a plain loop, and items that nobody watched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from contract.logs import UNWATCHED, groups, last_hidden
from matinee.data.dataset import Dataset
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.models.families.sequence import SelfAttentive
from matinee.store import load_model, save_model
from oracle.transformer_truth import Truth

COLUMNS = ("genres", "year", "country")
SMALL: dict[str, Any] = {"dim": 8, "max_len": 6, "epochs": 2, "batch_size": 16, "learning_rate": 0.03}
NAMES = ("sasrec", "bert4rec", "cl4srec")


def described() -> Dataset:
    """The log with a table: lists of unequal length, names that one item alone has, nulls, an item of no known value;
    of the two items without an event one is described."""
    data = groups()
    n = data.n_items
    genres: list[list[str] | None] = [[f"g{g}" for g in range(5) if (i * (g + 3)) % 7 < 2] for i in range(n)]
    year: list[int | None] = [1950 + (i * 13) % 29 for i in range(n)]
    country: list[str | None] = ["fr" if i % 3 else "kr" for i in range(n)]
    country[4], genres[5], year[6], genres[7] = "only here", None, None, ["lonely", "g1"]
    bare = int(data.items.encode(pl.Series(UNWATCHED[1:]))[0])
    genres[bare], year[bare], country[bare] = [], None, None
    table = pl.DataFrame(
        {"genres": genres, "year": year, "country": country}, schema_overrides={"genres": pl.List(pl.String)}
    )
    return replace(data, item_features=table)


DATA = described()


def fitted(name: str = "sasrec", **hyper: Any) -> SelfAttentive:
    model = registry.create(name, {**SMALL, "item_features": COLUMNS, **hyper}).fit(DATA, seed=3)
    assert isinstance(model, SelfAttentive)
    return model


def slow_values(data: Dataset) -> list[list[list[str]]]:
    """Of each item, for each column its known values; years as themselves, as there are fewer than 32."""
    assert data.item_features is not None
    rows = data.item_features.to_dicts()
    found = [
        [
            sorted(set(row["genres"] or [])),
            [str(row["year"])] if row["year"] else [],
            [row["country"]] * bool(row["country"]),
        ]
        for row in rows
    ]
    shared = [[v for c in (0, 2) for v in item[c]].count for item in found]
    for item in found:
        for c in (0, 2):  # of text the values that two items or more have
            item[c] = [v for v in item[c] if sum(count(v) for count in shared) > 1]
    return found


def slow_vectors(model: SelfAttentive, weights: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """(n_items, dim): own vector, if anyone watched it, and each column's mean."""
    values, counts = slow_values(DATA), DATA.item_counts()
    codes: dict[tuple[int, str], int] = {}
    for c in range(3):
        for name in sorted({v for item in values for v in item[c]}):
            codes[c, name] = len(codes)
    out = np.zeros((DATA.n_items, model.dim))
    for i, item in enumerate(values):
        if counts[i]:
            out[i] += weights["items.weight"][i]
        for c, mine in enumerate(item):
            for name in mine:
                out[i] += weights["features.values.weight"][codes[c, name]] / len(mine)
    return out


@pytest.mark.parametrize("name", NAMES)
def test_an_items_vector_is_its_own_and_the_means_of_its_values(name: str) -> None:
    model = fitted(name)
    weights = {key: value.astype(np.float64) for key, value in model.fitted.learned.weights.items()}
    assert len(weights["features.values.weight"]) == len(
        {(c, v) for i in slow_values(DATA) for c in range(3) for v in i[c]}
    )
    np.testing.assert_allclose(model.net.vectors.detach().numpy(), slow_vectors(model, weights), rtol=1e-5, atol=1e-6)


def test_the_sum_is_what_is_read_and_what_is_scored() -> None:
    model = fitted()
    weights = {key: value.astype(np.float64) for key, value in model.fitted.learned.weights.items()}
    vectors = slow_vectors(model, weights)
    truth = Truth({**weights, "items.weight": vectors}, model.n_heads)
    queries = DATA.queries_of(np.arange(12, dtype=np.int32))
    found = model.score(queries)
    bare = int(DATA.items.encode(pl.Series(UNWATCHED[1:]))[0])
    assert (found[:, bare] == -np.inf).all(), "nothing is known of it"
    rest = np.delete(np.arange(DATA.n_items), bare)
    for b in range(12):
        wanted = vectors @ truth.states(queries.history[b][-model.max_len :].tolist())[-1]
        np.testing.assert_allclose(found[b, rest], wanted[rest], rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


def test_an_item_that_nobody_watched_is_scored_by_its_features() -> None:
    model = fitted()
    assert model.scores_unknown_items()
    scores = model.score(DATA.queries_of(np.arange(12, dtype=np.int32)))
    told, bare = DATA.items.encode(pl.Series(UNWATCHED)).tolist()
    assert np.isfinite(scores[:, told]).all()
    assert scores[:, told].std() > 0
    assert (scores[:, bare] == -np.inf).all()
    plain = fitted(item_features=())
    assert not plain.scores_unknown_items()
    assert (plain.score(DATA.queries_of(np.arange(12, dtype=np.int32)))[:, told] == -np.inf).all()


@pytest.mark.parametrize("histories", [True, False])
def test_saved_and_loaded_with_the_model(histories: bool, tmp_path: Path) -> None:
    model = fitted()
    queries = DATA.queries_of(np.arange(20, dtype=np.int32))
    loaded = load_model(save_model(model, tmp_path / "m", histories=histories))
    assert loaded.score(queries).tobytes() == model.score(queries).tobytes()


def test_a_column_that_is_not_there_is_named() -> None:
    model = registry.create("sasrec", {**SMALL, "item_features": ("genre",)})
    with pytest.raises(MatineeError, match="no column 'genre'") as error:
        model.fit(DATA)
    assert "genres" in (error.value.hint or "")
    with pytest.raises(MatineeError, match="no table of items"):
        model.fit(groups())


def test_nothing_known_of_any_item_is_an_ordinary_case() -> None:
    empty = replace(DATA, item_features=pl.DataFrame({"genres": [None] * DATA.n_items}, schema={"genres": pl.String}))
    model = registry.create("sasrec", {**SMALL, "item_features": ("genres",)}).fit(empty, seed=3)
    scores = model.score(empty.queries_of(np.arange(3, dtype=np.int32)))
    watched = empty.item_counts() > 0
    assert np.isfinite(scores[:, watched]).all()
    assert (scores[:, ~watched] == -np.inf).all()


def test_features_tell_what_few_events_do_not() -> None:
    """With the group of each item as its feature, a short training finds the groups sooner."""
    data = groups()
    rng = np.random.default_rng(7)
    group = np.sort(rng.integers(0, 4, data.n_items))  # as contract.logs.groups draws them: ids ascend with the groups
    table = pl.DataFrame({"kind": [f"k{g}" for g in group]})
    train, valid = last_hidden(replace(data, item_features=table))
    losses = []
    for features in ((), ("kind",)):
        model = registry.create("sasrec", {**SMALL, "epochs": 4, "learning_rate": 0.01, "item_features": features})
        model.fit(train, valid=valid, seed=1)
        losses.append(model.curve[-1]["train_loss"] or np.nan)
    assert losses[1] < losses[0]


def test_dense_vectors_go_through_a_learned_linear_map(tmp_path: Path) -> None:
    """The part of features is V'v over |v|, beside the mean over genres; items without a vector get none of it."""
    rng = np.random.default_rng(4)
    vectors: list[list[float] | None] = [rng.normal(size=3).tolist() for _ in range(DATA.n_items)]
    vectors[3] = None
    assert DATA.item_features is not None
    described = DATA.item_features.with_columns(plot=pl.Series(vectors))
    data = replace(DATA, item_features=described)
    model = registry.create("sasrec", {**SMALL, "item_features": ("genres", "plot")}).fit(data, seed=3)
    features = model.net.features  # type: ignore[attr-defined]
    table = features.values.weight.detach().numpy()
    genres = sorted({g for row in described["genres"].to_list() for g in row or []} - {"lonely"})
    assert len(table) == len(genres) + 3
    for item, (names, vector) in enumerate(zip(described["genres"].to_list(), vectors, strict=True)):
        own = [genres.index(name) for name in names or [] if name in genres]
        wanted = sum(table[at] for at in own) / max(len(own), 1)
        if vector:
            wanted = wanted + np.array(vector) / np.linalg.norm(vector) @ table[len(genres) :]
        np.testing.assert_allclose(features().detach().numpy()[item], wanted, rtol=1e-4, atol=1e-6)
    again = load_model(save_model(model, tmp_path / "model"))
    assert again.score(data.queries()).tobytes() == model.score(data.queries()).tobytes()
