"""Content and TitleMatch where things are missing: new items, no table, no titles, vectors that are not right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from contract.logs import described, one_query, titled
from matinee.data.dataset import Dataset
from matinee.errors import MatineeError, MatineeWarning
from matinee.models.content import Content
from matinee.models.title_match import TitleMatch
from matinee.rank import recommend


def without_some_items(data: Dataset) -> tuple[Dataset, Any]:
    """The log without the events of every sixth item, and their codes."""
    new = np.arange(0, data.n_items - 2, 6)
    return data.rows(~np.isin(data.item, new)), new


@pytest.mark.parametrize("how", ["cosine", "ridge"])
def test_new_items_go_to_those_who_watch_their_group(how: str) -> None:
    data = described()
    train, new = without_some_items(data)
    model = Content(how=how, l2=20.0).fit(train)
    assert model.scores_unknown_items()
    scores = model.score(train.queries())[:90]
    assert np.isfinite(scores[:, new]).all()
    watched = data.matrix().toarray()[:90][:, new] > 0
    mean_rank = (scores[:, new].argsort(axis=1).argsort(axis=1) / (len(new) - 1))[watched].mean()
    assert mean_rank > 0.7  # 0.5 by chance
    unknown = data.n_items - 1
    assert (scores[:, unknown] == -np.inf).all()


def test_an_item_without_features_gets_nothing_and_says_nothing() -> None:
    data = described()
    assert data.item_features is not None
    table = data.item_features.with_columns(
        pl.when(pl.int_range(pl.len()) != 4).then(pl.col(name)).alias(name) for name in data.item_features.columns
    )
    model = Content().fit(replace(data, item_features=table))
    assert model.score(one_query([0]))[0, 4] == 0.0
    assert recommend(model, one_query([4]), 3).fallback.all()
    assert not recommend(model, one_query([4, 0]), 3).fallback.any()


def test_without_a_table_popularity_answers_and_it_is_said() -> None:
    data = replace(described(), item_features=None)
    with pytest.warns(MatineeWarning, match="no table of items that says what two of them share"):
        model = Content().fit(data)
    assert recommend(model, one_query([0]), 3).fallback.all()
    with pytest.raises(MatineeError, match="no table of items"):
        Content(attributes=("tags",)).fit(data)
    with pytest.raises(MatineeError, match="no column 'tag'"):
        Content(attributes=("tag",)).fit(described())


@pytest.mark.parametrize(
    ("row", "said"), [([1.0], "has not 5 numbers"), ([1.0, float("nan"), 0, 0, 0], "not finite"), ([], "has not 5")]
)
def test_a_vector_that_is_not_right_is_named(row: list[float], said: str) -> None:
    data = described()
    assert data.item_features is not None
    vectors = data.item_features["vector"].to_list()
    vectors[2] = row
    table = data.item_features.with_columns(vector=pl.Series(vectors, dtype=pl.List(pl.Float64)))
    with pytest.raises(MatineeError, match=said) as error:
        Content().fit(replace(data, item_features=table))
    assert "row 3, column 'vector'" in str(error.value)


def test_arrays_of_floats_are_vectors_too() -> None:
    data = described()
    assert data.item_features is not None
    fixed = data.item_features.with_columns(pl.col("vector").cast(pl.Array(pl.Float32, 5)))
    one, other = (Content().fit(replace(data, item_features=table)) for table in (data.item_features, fixed))
    np.testing.assert_allclose(one.score(data.queries()), other.score(data.queries()), rtol=1e-5, atol=1e-6)


def test_titles_of_any_kind_are_asked_for() -> None:
    data = titled()
    model = TitleMatch(k=5).fit(data)
    asked = ["group 2", "GROUP  2 list 1", "💿", "", None, "🎄" * 500, "x" * 500]
    queries = replace(data.queries().take(np.full(len(asked), 90)), title=tuple(asked))  # 90 is the user without events
    recs = recommend(model, queries, 5)
    assert (recs.item >= 0).all()
    assert recs.fallback.tolist() == [False, False, True, False, False, True, True]
    popular = np.argsort(-data.item_counts(), kind="stable")[:5].tolist()
    assert [row == popular for row in recs.item.tolist()] == [False, False, True, True, True, True, True]
    assert TitleMatch().fit(described()).reads_titles()
