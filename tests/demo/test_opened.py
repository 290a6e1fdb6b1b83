"""Models on the page: which may stand side by side, what a blend is, what models read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matinee as mt
from demo.films import log
from matinee.data.arrays import Floats
from matinee.demo.opened import Shown, open_models, opened, reads_moment, reads_people, with_weights
from matinee.report.palette import Look


def test_folders_of_models_and_runs_are_opened(tmp_path: Path) -> None:
    data = log()
    for name in ("ease", "popularity"):
        model = mt.models.EASE(l2=10) if name == "ease" else mt.models.Popularity()
        mt.save_model(model.fit(data), tmp_path / "run" / "models" / name)
    mt.save_model(mt.models.ItemKNN(k=5).fit(data), tmp_path / "ease")
    (tmp_path / "run" / "report.html").write_text("<p>report")
    found = open_models((tmp_path / "run", tmp_path / "ease"))
    assert [each.label for each in found.shown] == ["ease", "popularity", "ease-2", "Blend"]
    assert [each.name for each in found.shown] == ["EASE", "Popularity", "ease-2", "Blend"]
    assert found.shown[3].members == ("EASE", "ItemKNN")  # popularity is no member
    assert found.shown[3].weights == (0.5, 0.5)
    assert list(found.reports) == ["run"]
    with pytest.raises(mt.MatineeError, match="there is no such folder"):
        open_models((tmp_path / "nothing",))
    with pytest.raises(mt.MatineeError, match="no model is here"):
        open_models((tmp_path,))


def test_models_of_different_logs_are_refused() -> None:
    models = {"a": mt.models.Popularity().fit(log()), "b": mt.models.Popularity().fit(log(n_users=30))}
    with pytest.raises(mt.MatineeError, match="b was fitted on other users or items than a"):
        opened(models)
    with pytest.raises(mt.MatineeError, match="there is no model"):
        opened({})


def test_an_ensemble_is_shown_in_place_of_a_blend_and_takes_other_weights() -> None:
    data = log()
    models = {"ease": mt.models.EASE(l2=10).fit(data), "knn": mt.models.ItemKNN(k=5).fit(data)}
    ensemble = mt.models.Ensemble(members=list(models.values()), weights=(0.75, 0.25)).fit(data)
    found = opened({**models, "both": ensemble})
    assert [each.label for each in found.shown] == ["ease", "knn", "both"]
    assert found.shown[2].weights == (0.75, 0.25)
    query = mt.query(data, user=3)
    alone = mt.recommend(with_weights(ensemble, (0.0, 0.4)), query, 3).item
    assert np.array_equal(alone, mt.recommend(models["knn"], query, 3).item)
    assert not np.array_equal(alone, mt.recommend(models["ease"], query, 3).item)
    assert np.array_equal(with_weights(ensemble, (0.0, 0.0)).score(query), ensemble.score(query))


def test_films_to_begin_with_are_popular_and_differ() -> None:
    data = log()
    found = opened({"p": mt.models.Popularity().fit(data)})
    first = found.well_known(6)
    assert first[0] == int(np.argmax(data.item_counts()))
    genres = [found.cards[code].genres for code in first]
    assert len({genre for each in genres for genre in each}) >= 8
    assert len(set(first)) == 6


def test_people_are_spread_from_the_most_to_the_least_active() -> None:
    data = log()
    found, counts = opened({"p": mt.models.Popularity().fit(data)}).people(5), data.user_counts()
    assert [int(counts[code]) for code in found] == sorted((int(counts[code]) for code in found), reverse=True)
    assert counts[found[0]] == counts.max()
    assert counts[found[-1]] == counts.min()


class Reader:
    """Scores that depend on what a request says beside its history."""

    data = log()

    def __init__(self, *, hour: bool = False, gender: bool = False) -> None:
        self.hour, self.gender = hour, gender

    def score(self, queries: mt.Queries) -> Floats:
        """float32 (B, 2)."""
        found = np.zeros((len(queries), 2), np.float32)
        if self.hour and queries.request_time is not None:
            found[:, 0] = queries.request_time // 3600 % 24
        if self.gender and queries.user_features is not None:
            found[:, 1] = (queries.user_features["gender"] == "F").to_numpy()
        return found


def test_what_a_model_reads_is_asked_of_it() -> None:
    def shown(model: Any) -> Shown:
        return Shown("a", "A", model, Look(1, "o"))

    assert reads_moment(shown(Reader(hour=True)))
    assert not reads_moment(shown(Reader(gender=True)))
    assert reads_people(shown(Reader(gender=True)))
    assert not reads_people(shown(Reader(hour=True)))
    model = mt.models.EASE(l2=10).fit(log())
    assert not reads_moment(shown(model))
    assert not reads_people(shown(model))


def test_search_leaves_out_similar_spellings_where_a_title_fits() -> None:
    found = opened({"p": mt.models.Popularity().fit(log())})
    assert [found.cards[code].title for code in found.search("matrix", 5)] == ["Matrix, The (1999)"]
    assert found.cards[found.search("casablanka", 5)[0]].title == "Casablanca (1942)"
