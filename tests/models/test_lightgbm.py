"""LightGBM: rows that do not know their own label, early stopping, labels, people and films known by features alone."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from contract.logs import groups, last_hidden, one_query
from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Holdout, Pairs
from matinee.data.features.context import ContextFields
from matinee.data.features.requests import ContextTables
from matinee.errors import MatineeError
from matinee.files import sha256
from matinee.models import registry
from matinee.models.families import boosted_features as boosted_rows
from matinee.models.families.boosted_examples import Draw, RankingExamples, groups_of, training_examples
from matinee.models.families.boosted_features import FeatureBuilder, since
from matinee.models.lightgbm import LightGBM
from matinee.rank import recommend
from matinee.store import load_model, save_model
from store.sealing import edit_manifest

SMALL: dict[str, Any] = {"n_trees": 40, "min_rows": 5, "learning_rate": 0.1, "n_negatives": 5}


@pytest.fixture(scope="module")
def hidden() -> tuple[Dataset, Holdout]:
    return last_hidden(groups())


def described() -> Dataset:
    """The groups, with films that have genres and people an age; labels 1 from 3 stars on."""
    data = groups()
    genres = [[f"g{code * 4 // data.n_items}", "all"] for code in range(data.n_items)]
    ages = pl.DataFrame({"age": [20 + 10 * (code % 4) for code in range(data.n_users)]})
    return replace(data, item_features=pl.DataFrame({"genres": genres}), user_features=ages)


def labelled() -> Dataset:
    """Labels that follow who likes which genre."""
    data = described()
    liked = (data.user % 4 == data.item * 4 // data.n_items) | (data.item % 5 == 0)
    return replace(data, value=liked.astype(np.float32))


def lesson_of(data: Dataset, draw: Draw) -> RankingExamples:
    data = data.rows(data.order)
    tables = ContextTables(ContextFields.fit(data, ["item.genres", "user.age", "time.hour"]), data)
    return training_examples(data, tables, draw, LightGBM().state_of, folds=4, most=10**6, seed=1)


# --- leakage ----------------------------------------------------------------------------------------------------------


def test_a_rows_own_label_does_not_change_its_features() -> None:
    data = labelled()
    data = data.rows(data.order)
    before = lesson_of(data, Draw(0, 0.0))
    moved = np.zeros(before.X.shape[0], np.int64)
    for row in range(0, len(data), 37):
        value = data.value.copy()  # type: ignore[union-attr]
        value[row] = 1.0 - value[row]
        after = lesson_of(replace(data, value=value), Draw(0, 0.0))
        (own,) = np.flatnonzero(before.label != after.label)
        assert before.X[own].tobytes() == after.X[own].tobytes()
        moved += (before.X != after.X).any(axis=1) & ~(np.isnan(before.X) & np.isnan(after.X)).all(axis=1)
    assert moved.any(), "labels of others are seen"


def test_a_watched_item_is_not_in_what_its_own_row_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    data = groups()
    data = data.rows(data.order)
    asked: list[tuple[float, float]] = []
    right = FeatureBuilder.of

    def watching(self: FeatureBuilder, queries: Any, row: Any, item: Any, *more: Any) -> Floats:
        own = item[:: 1 + 3]  # the watched item comes before its three negatives
        place = row[:: 1 + 3]
        assert all(i not in queries.history[r] for i, r in zip(own, place, strict=True))
        whole = data.item_counts()[own]
        assert (self.state.count[own] < whole).all(), "the event itself is not counted"
        asked.append((float(len(own)), 0.0))
        return right(self, queries, row, item, *more)

    monkeypatch.setattr(boosted_rows.FeatureBuilder, "of", watching)
    tables = ContextTables(ContextFields.fit(data, []), data)
    found = training_examples(data, tables, Draw(3, 0.0), LightGBM().state_of, folds=4, most=10**6, seed=1)
    assert sum(n for n, _ in asked) == len(data) == found.label.sum()
    assert found.group.sum() == len(found.label)


def test_nearest_examples_are_what_a_first_stage_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watched or not, each is among the n items that resemble the rest of its user's history most; no negative is
    watched, and each watched item is asked about once at most."""
    data = groups()
    data = data.rows(data.order)
    n, pairs = 6, set(zip(data.user.tolist(), data.item.tolist(), strict=True))
    right, seen = FeatureBuilder.of, []

    def watching(self: FeatureBuilder, queries: Any, row: Any, item: Any, *more: Any) -> Floats:
        assert not more, "a list is asked for at the end of a history"
        for r, i in zip(row.tolist(), item.tolist(), strict=True):
            history = queries.history[r]
            scores = np.asarray(self.state.similar)[history].sum(axis=0)
            scores[history] = -np.inf
            assert scores[i] >= np.sort(scores)[-n] - 1e-5
            seen.append((int(queries.user[r]), i))
        return right(self, queries, row, item, *more)

    monkeypatch.setattr(boosted_rows.FeatureBuilder, "of", watching)
    model = LightGBM(similar="ridge", ridge=5.0)
    tables = ContextTables(ContextFields.fit(data, []), data)
    found = training_examples(data, tables, Draw(3, 0.0, n), model.state_of, folds=4, most=10**6, seed=1)
    assert len(seen) == len(found.label) == found.group.sum()
    watched = [pair for pair, label in zip(seen, found.label.tolist(), strict=True) if label]
    assert 0 < len(watched) == len(set(watched)) < len(data)
    assert set(watched) <= pairs
    assert not pairs & {pair for pair, label in zip(seen, found.label.tolist(), strict=True) if not label}


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["lambdarank", pytest.param("binary", marks=pytest.mark.slow)])
def test_early_stopping_keeps_the_best_round(objective: str, hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    model = registry.create(
        "lightgbm", {**SMALL, "n_trees": 400, "learning_rate": 0.3, "patience": 5, "objective": objective}
    )
    curve = model.fit(train, valid=valid, seed=1).curve
    best = int(np.argmax([row["valid_metric"] for row in curve]))  # type: ignore[arg-type]
    assert len(curve) == best + 1 + 5
    assert model.fitted.learned.trees.count("\nTree=") == best + 1
    assert model.for_refit().model_dump()["n_trees"] == best + 1
    assert model.fit(train, seed=1).curve[0]["valid_metric"] is None, "without valid nothing is measured"


def test_labels_are_learned_and_give_probabilities() -> None:
    data = labelled()
    test = np.arange(len(data)) % 4 == 0
    train, rest = data.rows(~test), data.rows(test)
    model = LightGBM(objective="binary", **SMALL).fit(train, seed=2)
    found = model.predict(Pairs(rest.user, rest.item, np.zeros(len(rest), np.int32), rest.timestamp))
    assert rest.value is not None
    assert ((found >= 0) & (found <= 1)).all()
    mean = [found[rest.value == label].mean() for label in (0, 1)]
    assert mean[1] - mean[0] > 0.3
    queries = train.queries()
    by_hand = model.predict(Pairs(rest.user, rest.item, rest.user, rest.timestamp), queries)
    np.testing.assert_array_equal(by_hand, found)
    with pytest.raises(MatineeError, match='set objective = "binary"'):
        LightGBM(**SMALL).fit(train).predict(Pairs(rest.user, rest.item, rest.user))


def test_films_without_an_event_are_known_by_their_genres(hidden: tuple[Dataset, Holdout]) -> None:
    data = described()
    model = LightGBM(**SMALL).fit(data)
    assert model.scores_unknown_items()
    unwatched = np.flatnonzero(data.item_counts() == 0)
    assert np.isfinite(model.score(data.queries())[:, unwatched]).all()
    assert not LightGBM(**SMALL).fit(groups()).scores_unknown_items()


def test_people_without_a_history_are_known_by_their_age() -> None:
    data = described()
    model = LightGBM(**SMALL).fit(data)
    idle = int(np.flatnonzero(data.user_counts() == 0)[0])
    assert model.fallback(one_query([], user=idle)).tolist() == [False]
    assert model.fallback(one_query([], user=-1)).tolist() == [True]
    assert (recommend(model, one_query([], user=idle), 5).item >= 0).all()


def test_what_a_request_brings_of_a_new_user_counts() -> None:
    data = described()
    model = LightGBM(**SMALL, fields=("user.age", "item.genres")).fit(data)
    asked = one_query(data.histories()[0][:3].tolist())
    young, old = (replace(asked, user_features=pl.DataFrame({"age": [age]})) for age in (20, 50))
    assert model.score(young).tobytes() != model.score(old).tobytes()


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MatineeError, match=r"needs LightGBM(.|\n)*pip install 'matinee\[boost\]'"):
        LightGBM().fit(groups())


def test_it_lives_with_torch() -> None:
    torch = pytest.importorskip("torch")
    model = LightGBM(**SMALL).fit(groups())
    layer = torch.nn.Linear(40, 40)
    layer(torch.ones(200, 40)).sum().backward()
    assert np.isfinite(model.score(groups().queries(["u003"]))).any()


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_days_since_are_those_of_a_slow_loop() -> None:
    rng = np.random.default_rng(4)
    lengths = np.array([0, 5, 1, 0, 9])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    times = np.concatenate([np.sort(rng.integers(0, 9, n)) for n in lengths]) * 43_200 + 10**9
    row, moment = rng.integers(0, 5, 200), rng.integers(-3, 13, 200) * 43_200 + 10**9
    last, first = since(offsets, times, row, moment)
    for r, m, got_last, got_first in zip(row, moment, last, first, strict=True):
        theirs = times[offsets[r] : offsets[r + 1]]
        earlier = theirs[theirs < m]
        np.testing.assert_equal(got_last, (m - earlier[-1]) / 86_400 if len(earlier) else np.nan)
        np.testing.assert_equal(got_first, (m - theirs[0]) / 86_400 if len(theirs) else np.nan)


def test_groups_are_runs_cut_where_they_are_long() -> None:
    row = np.repeat([4, 7, 9], [3, 2500, 1000])
    assert groups_of(row).tolist() == [3, 1000, 1000, 500, 1000]
    assert groups_of(np.array([2])).tolist() == [1]


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> LightGBM:
    return LightGBM(**{**SMALL, "n_trees": 5}, fields=("item", "user.age", "item.genres")).fit(described())


def test_trees_lie_in_a_file_of_their_own(model: LightGBM, tmp_path: Path) -> None:
    folder = save_model(model, tmp_path / "model", histories=False)
    text = (folder / "model.txt").read_text()
    assert text.startswith("tree\nversion=")
    assert "parameters" not in text
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["learned"]["trees"] == "text"
    assert "Tree=" not in json.dumps(manifest)
    loaded = load_model(folder)
    queries = described().queries()
    assert loaded.score(queries).tobytes() == model.score(queries).tobytes(), "item times are kept, histories are not"
    save_model(model, folder)


def edit(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def resized(text: str) -> str:
    """With tree_sizes that fit, as a hostile text would have them: what else is wrong must be found."""
    starts = [match.start() for match in re.finditer(r"^Tree=\d+$", text, flags=re.MULTILINE)]
    if not starts or "end of trees" not in text:
        return text
    ends = [*starts[1:], text.index("end of trees")]
    sizes = " ".join(str(stop - start) for start, stop in zip(starts, ends, strict=True))
    return re.sub(r"^tree_sizes=.*$", f"tree_sizes={sizes}", text, flags=re.MULTILINE)


DAMAGE = {
    "sizes that do not fit": edit("end of trees", "\nx=1\nTree=x\nend of trees"),
    "empty": lambda text: "",
    "no end": lambda text: text[: text.index("end of trees")],
    "many classes": edit("num_class=1", "num_class=3"),
    "other columns": edit("max_feature_idx=", "max_feature_idx=9"),
    "no such column": edit("split_feature=", "split_feature=999 "),
    "a loop": edit("left_child=1", "left_child=0"),
    "a leaf that is not there": edit("right_child=", "right_child=-9999 "),
    "not a number": edit("leaf_value=", "leaf_value=nan "),
    "linear": edit("is_linear=0", "is_linear=1"),
    "many leaves": edit("num_leaves=", "num_leaves=9"),
    "no such set": edit("cat_boundaries=0", "cat_boundaries=5"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_trees_that_cannot_be_walked_are_refused(kind: str, model: LightGBM, tmp_path: Path) -> None:
    folder = save_model(model, tmp_path / "model")
    path = folder / "model.txt"
    assert resized(path.read_text()) == path.read_text()
    damaged = DAMAGE[kind](path.read_text())
    path.write_text(damaged if kind.startswith("sizes") else resized(damaged))
    edit_manifest(folder, lambda manifest: manifest["sha256"].update({"model.txt": sha256(path)}))
    with pytest.raises(MatineeError, match="no trees of LightGBM"):
        load_model(folder)
