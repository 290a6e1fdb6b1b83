"""Vectors as Parquet: their products are the model's scores, ids and titles come back, what has none is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from contract.cases import SMALL_LOG
from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, MatineeWarning
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.families.factors import Factors
from matinee.models.families.sequence import Sequence
from matinee.vectors import WithVectors

NAMES = [name for name in registry.names() if issubclass(registry.model_class(name), WithVectors)]
MORE: list[tuple[str, dict[str, Any]]] = [
    ("svd", {"centred": True}),
    ("biased_mf", {"loss": "bce"}),
    ("gru4rec", {"tied": False}),
    ("bert4rec", {"ask": "anywhere"}),
    ("sasrec", {"item_features": ["genre"], "time_gaps": True}),
    ("prod2vec", {"against": "output"}),
]


def log(*, text: bool = False) -> Dataset:
    """34 users of 25 films. User 5 and films 3 and 24 have no event; titles are Korean, but for one that is missing."""
    rng = np.random.default_rng(4)
    users = [user for user in range(34) if user != 5]
    films = [film for film in range(24) if film != 3]
    rows = [(u, f) for u in users for f in rng.choice(films, 2 + u % 9, replace=False)]
    user, item = (np.array(codes, np.int32) for codes in zip(*rows, strict=True))
    ids = [np.array([f"{kind}{n:02}" for n in range(size)], object) for kind, size in (("사람", 34), ("film ", 25))]
    numbers = [np.arange(34) * 3 - 7, np.arange(25) + (1 << 40)]
    titles = [None if n == 1 else f"영화 {n}" for n in range(25)]
    table = pl.DataFrame({"title": titles, "genre": [f"g{n % 4}" for n in range(24)] + [None]})
    value, time = rng.integers(1, 6, len(rows)).astype(np.float32), np.arange(len(rows)) * 1000
    people, catalogue = (IdMap(kind) for kind in (ids if text else numbers))
    return Dataset(people, catalogue, user, item, value, time, item_features=table)


def fitted(name: str, **hyper: Any) -> Model:
    return registry.create(name, {**SMALL_LOG.get(name, {}), **hyper}).fit(log(), seed=2)


def read(path: Path, name: str) -> tuple[list[Any], np.ndarray[Any, Any]]:
    frame = pl.read_parquet(path)
    assert isinstance(frame.schema["vector"], pl.Array)
    assert frame.schema["vector"].inner == pl.Float32
    return frame[name].to_list(), frame["vector"].to_numpy()


def test_all_factor_and_sequence_models_have_vectors() -> None:
    families = (Factors, Sequence)
    assert {name for name in registry.names() if issubclass(registry.model_class(name), families)} <= set(NAMES)
    assert not {"ease", "popularity", "multi_vae", "ensemble"} & set(NAMES)


@pytest.mark.parametrize(
    ("name", "hyper"),
    [*((name, {}) for name in NAMES), *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE)],
)
@pytest.mark.filterwarnings("ignore:left out")
def test_products_of_what_is_read_back_are_the_scores(name: str, hyper: dict[str, Any], tmp_path: Path) -> None:
    model = fitted(name, **hyper)
    found = mt.write_vectors(model, tmp_path / "items.parquet", users=tmp_path / "users.parquet")
    items, V = read(tmp_path / "items.parquet", "item_id")
    users, U = read(tmp_path / "users.parquet", "user_id")
    score = model.score(model.data.queries(users))
    recommended = np.isfinite(score).any(axis=0)
    expected = score[:, recommended].astype(np.float64)
    assert items == model.items.decode(np.flatnonzero(recommended))
    assert users == [user for code, user in enumerate(model.users.ids.tolist()) if code != 5]
    assert (found.width, found.items, found.users) == (V.shape[1], len(items), len(users))
    assert expected.std() > 0
    np.testing.assert_allclose(U.astype(np.float64) @ V.T, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_a_new_history_is_scored_by_the_same_item_vectors(tmp_path: Path) -> None:
    """What a service does for people who came after the file was written."""
    model = fitted("ials")
    assert isinstance(model, WithVectors)
    with pytest.warns(MatineeWarning, match="left out: 2 items without a training event"):
        assert mt.write_vectors(model, tmp_path / "items.parquet").users is None
    items, V = read(tmp_path / "items.parquet", "item_id")
    query = mt.query(model, history=[items[4], items[9]], exclude_seen=False)
    best = np.argsort(-(V @ model.vectors(query)[0]), kind="stable")[:5]
    assert [items[n] for n in best] == mt.recommend(model, query, k=5).to_frame(model.data)["item_id"].to_list()


def test_text_ids_and_korean_titles_come_back(tmp_path: Path) -> None:
    data = log(text=True)
    model = mt.models.SVD(n_factors=3).fit(data)
    with pytest.warns(MatineeWarning) as told:
        mt.write_vectors(model, tmp_path / "items.parquet", users=tmp_path / "users.parquet")
    assert [str(warning.message) for warning in told] == [
        "left out: 2 items without a training event",
        "left out: 1 user of whom the model knows nothing",
    ]
    frame = pl.read_parquet(tmp_path / "items.parquet")
    assert data.item_features is not None
    there = [n for n in range(24) if n != 3]
    assert frame["item_id"].to_list() == [f"film {n:02}" for n in there]
    assert frame["title"].to_list() == data.item_features["title"].gather(there).to_list()
    users = pl.read_parquet(tmp_path / "users.parquet")
    assert users.columns == ["user_id", "vector"]
    assert users["user_id"][0] == "사람00"


def test_what_cannot_be_written_is_refused_before_any_file(tmp_path: Path) -> None:
    out = tmp_path / "items.parquet"
    with pytest.raises(MatineeError, match=r"EASE has no vectors") as error:
        mt.write_vectors(mt.models.EASE().fit(log()), out)
    assert error.value.hint is not None
    assert {"svd", "ials", "bpr", "sasrec", "gru4rec"} <= set(error.value.hint.replace(",", "").split())
    with pytest.raises(MatineeError, match="not fitted"):
        mt.write_vectors(mt.models.SVD(), out)
    model = fitted("svd")
    with pytest.raises(MatineeError, match="written as Parquet"):
        mt.write_vectors(model, tmp_path / "items.csv")
    with pytest.raises(MatineeError, match="in one file"):
        mt.write_vectors(model, out, users=out)
    mt.save_model(model, tmp_path / "bare", histories=False)
    with pytest.raises(MatineeError, match="without histories"):
        mt.write_vectors(mt.load_model(tmp_path / "bare"), out, users=tmp_path / "users.parquet")
    single = mt.read([(1, 2), (2, 3)])
    with pytest.warns(MatineeWarning, match="learns nothing"):
        nothing = mt.models.GRU4Rec(epochs=1).fit(single)
    with pytest.raises(MatineeError, match="learned nothing"):
        mt.write_vectors(nothing, out)
    assert not out.exists()


@pytest.mark.filterwarnings("ignore:left out")
def test_items_of_a_model_without_histories_can_be_written(tmp_path: Path) -> None:
    model = fitted("sasrec")
    mt.save_model(model, tmp_path / "bare", histories=False)
    for name, given in (("a", model), ("b", mt.load_model(tmp_path / "bare"))):
        mt.write_vectors(given, tmp_path / f"{name}.parquet")
    assert pl.read_parquet(tmp_path / "a.parquet").equals(pl.read_parquet(tmp_path / "b.parquet"))
