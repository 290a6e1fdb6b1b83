"""The pointwise family from a log to answers: features of newcomers, labels, negatives, times, files, memory."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matinee import store
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Holdout, Pairs, Protocol, Queries
from matinee.data.dislikes import Dislikes
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.evaluate import predictions
from matinee.models import registry
from matinee.models.families import pair_loss, pair_sides, pair_users
from matinee.models.families.pair_loss import PairLoss
from matinee.models.families.pair_users import UserFolding
from matinee.models.families.pointwise import Pointwise
from matinee.models.fm import FM
from matinee.nn.train import Step
from matinee.rank import recommend

N_USERS, N_ITEMS = 48, 34
NEW_USERS, NEW_ITEMS = (5, 18, 31, 44), (6, 13, 20, 27)  # no event; two of each kind
ALL_FIELDS = ("user", "user.sex", "item", "item.genres")
SHORT: dict[str, Any] = {"dim": 8, "epochs": 12, "batch_size": 64, "learning_rate": 0.03, "fields": ALL_FIELDS}
DEEP: dict[str, Any] = {**SHORT, "layers": (16, 8), "dropout": 0.0}
HYPER: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("gmf", "fm"), SHORT),
    **dict.fromkeys(("mlp", "neumf", "deepfm"), DEEP),
    "autoint": {**SHORT, "n_blocks": 1, "init_std": 0.3, "dropout": 0.0},
    "autoint_plus": {**DEEP, "n_blocks": 1, "init_std": 0.3},
}
"""Every model but logistic regression, in which fields do not meet."""


def kind(codes: Any) -> NDArray[np.int64]:
    """0 or 1: the sex of a user, the genre of an item; neither lies in one half of the codes."""
    return np.asarray(codes) * 7 // 3 % 2


@lru_cache(maxsize=1)
def tasted() -> Dataset:
    """Women (0) watch war (0) and men (1) drama (1), in 9 of 10 events; in the mornings war, in the evenings drama."""
    rng = np.random.default_rng(5)
    users = np.setdiff1d(np.arange(N_USERS), NEW_USERS)
    items = np.setdiff1d(np.arange(N_ITEMS), NEW_ITEMS)
    appeal = rng.gamma(2.0, size=len(items)) + 0.3
    user, item = [], []
    for u in users:
        chance = appeal * np.where(kind(items) == kind(u), 1.0, 0.1)
        chosen = rng.choice(items, size=int(rng.integers(5, 9)), replace=False, p=chance / chance.sum())
        user += [u] * len(chosen)
        item += chosen.tolist()
    hour = np.where(kind(item) == 0, rng.integers(6, 10, len(item)), rng.integers(18, 22, len(item)))
    return Dataset(
        IdMap(np.arange(N_USERS), what="user"),
        IdMap(np.arange(N_ITEMS), what="item"),
        np.array(user, np.int32),
        np.array(item, np.int32),
        timestamp=86_400 * (11_000 + rng.permutation(len(item))) + 3_600 * hour,
        user_features=pl.DataFrame({"sex": ["f" if k == 0 else "m" for k in kind(np.arange(N_USERS))]}),
        item_features=pl.DataFrame(
            {"genres": [["war", "long"] if k == 0 else ["drama"] for k in kind(np.arange(N_ITEMS))]}
        ),
    )


@lru_cache(maxsize=1)
def labelled() -> Dataset:
    """Each user of `tasted` about 12 items: liked (1) with probability .9 where the kinds agree, else .2."""
    rng = np.random.default_rng(6)
    users = np.repeat(np.setdiff1d(np.arange(N_USERS), NEW_USERS), 12)
    items = rng.integers(0, N_ITEMS, len(users))
    value = rng.random(len(users)) < np.where(kind(users) == kind(items), 0.9, 0.2)
    times = 10**9 + 3_600 * rng.permutation(len(users))
    user, item, label = users.astype(np.int32), items.astype(np.int32), value.astype(np.float32)
    return replace(tasted(), user=user, item=item, value=label, timestamp=times)


def made(name: str, **hyper: Any) -> Pointwise:
    model = registry.create(name, {**HYPER[name], **hyper})
    assert isinstance(model, Pointwise)
    return model


@lru_cache(maxsize=8)
def fitted(name: str) -> Pointwise:
    return made(name).fit(tasted(), seed=3)


def asked(histories: list[list[int]], users: list[int] | None = None, **more: Any) -> Queries:
    history = Ragged.from_lists(histories)
    return Queries(np.array([-1] * len(history) if users is None else users, np.int32), history, history, **more)


def newcomers(sexes: list[str | None]) -> Queries:
    return asked([[]] * len(sexes), user_features=pl.DataFrame({"sex": sexes}, schema={"sex": pl.String}))


def share_of_kind(items: NDArray[Any], wanted: Any) -> float:
    return float((kind(items) == wanted).mean())


@pytest.mark.parametrize("name", HYPER)
class TestFeatures:
    def test_users_without_an_event_are_answered_by_what_they_are(self, name: str) -> None:
        """By the table, and the same by what a request brings; not popularity, and not alike."""
        model = fitted(name)
        of_table = model.score(tasted().queries_of(np.array(NEW_USERS, np.int32)))
        request_user_features = model.score(newcomers(["f" if k == 0 else "m" for k in kind(NEW_USERS)]))
        assert np.isfinite(of_table).all()
        np.testing.assert_allclose(request_user_features, of_table, rtol=1e-5, atol=1e-6)
        recs = recommend(model, tasted().queries_of(np.array(NEW_USERS, np.int32)), 8)
        assert not recs.fallback.any()
        for user, row in zip(NEW_USERS, recs.item, strict=True):
            assert share_of_kind(row, kind(user)) > 0.8

    def test_who_says_nothing_falls_back(self, name: str) -> None:
        recs = recommend(fitted(name), newcomers([None, "neither", "f"]), 5)
        assert recs.fallback.tolist() == [True, True, False]
        popular = np.argsort(-tasted().item_counts(), kind="stable")[:5]
        assert recs.item[:2].tolist() == [popular.tolist()] * 2

    def test_items_without_an_event_are_scored_by_what_they_are(self, name: str) -> None:
        model = fitted(name)
        users = np.setdiff1d(np.arange(N_USERS), NEW_USERS)
        scores = model.score(tasted().queries_of(users.astype(np.int32)))
        assert model.scores_unknown_items()
        assert np.isfinite(scores).all()
        known = np.setdiff1d(np.arange(N_ITEMS), NEW_ITEMS)
        for item in NEW_ITEMS:
            for sex in (0, 1):
                of = scores[kind(users) == sex].mean(axis=0)
                like, other = (of[known[kind(known) == k]].mean() for k in (kind(item), 1 - kind(item)))
                assert abs(of[item] - like) < 0.5 * abs(of[item] - other)
        found = recommend(model, tasted().queries_of(users.astype(np.int32)), 12)
        for item in NEW_ITEMS:
            given = (found.item == item).any(axis=1)
            like, other = (given[kind(users) == k].mean() for k in (kind(item), 1 - kind(item)))
            assert like > 2 * other, "it is given to those who watch its kind"

    def test_a_history_alone_says_whom_one_resembles(self, name: str) -> None:
        """Someone unseen, of whom nothing is known but four events, where the log says nothing else of anybody."""
        model = made(name, fields=("user", "item", "item.genres")).fit(tasted(), seed=3)
        watched, users = np.flatnonzero(tasted().item_counts()), np.setdiff1d(np.arange(N_USERS), NEW_USERS)
        queries = asked([watched[kind(watched) == k][:4].tolist() for k in (0, 1)])
        assert not model.fallback(queries).any()
        new, known = (model.score(q)[:, watched] for q in (queries, tasted().queries_of(users.astype(np.int32))))
        typical = known - known.mean(axis=0)
        for k in (0, 1):
            taste = new[k] - known.mean(axis=0)  # what sets someone apart from the average
            like = [np.corrcoef(taste, row)[0, 1] for row in typical]
            assert np.mean(np.array(like)[kind(users) == k]) > 0.3
            assert np.mean(np.array(like)[kind(users) != k]) < 0.0
        best = recommend(model, queries, 8).item
        assert share_of_kind(best[0], 0) > share_of_kind(best[1], 0) + 0.3

    def test_saved_with_its_vocabulary(self, name: str, tmp_path: Path) -> None:
        model = fitted(name)
        queries = newcomers(["f", "m", "neither", None])
        for histories in (True, False):
            folder = store.save_model(model, tmp_path / str(histories), histories=histories)
            loaded = store.load_model(folder)
            assert isinstance(loaded, Pointwise)
            assert loaded.net.tables.fields == model.net.tables.fields
            for each in (queries, tasted().queries_of(np.array(NEW_USERS, np.int32)), asked([[0, 1], [2]])):
                assert loaded.score(each).tobytes() == model.score(each).tobytes()
            assert loaded.fallback(queries).tolist() == model.fallback(queries).tolist()


def test_ids_alone_say_nothing_of_newcomers() -> None:
    model = made("gmf", fields=("user", "item")).fit(tasted(), seed=3)
    queries = tasted().queries_of(np.array(NEW_USERS, np.int32))
    assert model.fallback(queries).all()
    assert not model.scores_unknown_items()
    scores = model.score(asked([[0, 1]]))
    assert (scores[:, list(NEW_ITEMS)] == -np.inf).all()
    assert np.isfinite(np.delete(scores, NEW_ITEMS, axis=1)).all()


class TestLabels:
    def halves(self) -> tuple[Dataset, Holdout]:
        """Three of four rows to fit on; of the others what each user sees is the log."""
        log = labelled()
        hidden = np.arange(len(log)) % 4 == 0
        train, rest = log.rows(~hidden), log.rows(hidden)
        queries = train.queries()
        pairs = Pairs(rest.user, rest.item, rest.user, rest.timestamp, label=rest.value)
        return train, Holdout(queries, rest.histories(), Protocol("made", "rows", "valid", "train", "train"), pairs)

    @pytest.mark.parametrize("name", ["fm", "deepfm", "autoint_plus", "neumf"])
    def test_they_are_learned_and_validated_by_logloss(self, name: str) -> None:
        train, valid = self.halves()
        model = made(name, patience=3, learning_rate=0.01, epochs=30).fit(train, valid=valid, seed=3)
        assert valid.pairs is not None
        label = valid.pairs.label
        assert label is not None
        assert model.curve_names == ("logloss", "logloss")
        found = model.predict(valid.pairs, valid.queries)
        assert found.dtype == np.float32
        assert ((found > 0) & (found < 1)).all()
        assert predictions.auc(label, found) > 0.75
        assert abs(found.mean() - label.mean()) < 0.1
        metrics = [epoch["valid_metric"] for epoch in model.curve]
        best = max(x for x in metrics if x is not None)
        # the best epoch's weights; validation answered before codes without a row took their field's mean
        assert -predictions.logloss(label, found) == pytest.approx(best, rel=0.02)
        constant = predictions.logloss(label, np.full(len(label), label.mean()))
        assert -best < constant

    def test_the_mean_is_calibrated(self) -> None:
        log = labelled()
        assert log.value is not None
        model = made("fm", epochs=25).fit(log, seed=3)
        found = model.predict(Pairs(log.user, log.item, np.zeros(len(log), np.int32), log.timestamp))
        assert abs(found.mean() - log.value.mean()) < 0.02
        for value in (0.0, 1.0):
            assert abs(found[log.value == value].mean() - value) < 0.35

    def test_target(self) -> None:
        with pytest.raises(MatineeError, match=r"no labels 0 and 1(.|\n)*label_min"):
            made("fm", target="label").fit(tasted())
        rated = replace(labelled(), value=np.where(labelled().value == 1.0, 5.0, 2.0).astype(np.float32))
        with pytest.raises(MatineeError, match="no labels 0 and 1"):
            made("fm", target="label").fit(rated)
        watched = made("fm", target="watched", epochs=1).fit(labelled())
        assert watched.curve_names == ("loss", "ndcg@10")

    def test_a_model_of_labels_answers_without_its_histories(self, tmp_path: Path) -> None:
        """Nobody's rows are kept then, nor the labels; that the model learned labels must still be known."""
        model = made("fm", target="label", epochs=2).fit(labelled(), seed=3)
        loaded = store.load_model(store.save_model(model, tmp_path / "m", histories=False))
        queries = asked([[0, 1, 2]], history_ratings=np.array([1.0, 0.0, 1.0], np.float32))
        assert loaded.score(queries).tobytes() == model.score(queries).tobytes()

    def test_a_label_that_changes_folds_its_user_in_again(self) -> None:
        model = made("fm", epochs=2).fit(labelled(), seed=3)
        as_learned = model.data.queries_of(np.arange(3, dtype=np.int32))
        assert as_learned.history_ratings is not None
        turned = replace(as_learned, history_ratings=1 - as_learned.history_ratings)
        assert not np.allclose(model.score(as_learned), model.score(turned))


class TestNegatives:
    def drawn(self, data: Dataset, users: NDArray[Any], seed: int, **hyper: Any) -> NDArray[np.int64]:
        model = FM(fields=("user", "item"), dim=2, **hyper)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = model.build(data)
        events = net.tables.encode_requests(users)
        request = net.of_request(net.vectors(events.part))
        return PairLoss(net, data, model, labels=False).draw(events, users, request, Step(0, 0, seed))

    @settings(max_examples=30)
    @given(
        seed=st.integers(0, 10_000),
        density=st.floats(0.02, 0.98),
        sampling=st.sampled_from(["uniform", "popularity", "hard"]),
        n=st.integers(1, 6),
    )
    def test_none_was_watched(self, seed: int, density: float, sampling: str, n: int) -> None:
        """Also where one user watched everything: nothing, then, and for nobody else."""
        rng = np.random.default_rng(seed)
        seen = rng.random((7, 9)) < density
        seen[2] = True
        user, item = (column.astype(np.int32) for column in np.nonzero(seen))
        data = Dataset(IdMap(np.arange(7)), IdMap(np.arange(9)), user, item)
        users = rng.integers(0, 7, 40).astype(np.int32)
        found = self.drawn(data, users, seed, sampling=sampling, n_negatives=n)
        assert found.shape == (40, n)
        nothing = np.array([bool(seen[user].all()) for user in users])
        assert ((found == -1) == nothing[:, None]).all()
        for row in np.flatnonzero(~nothing):
            assert not seen[users[row], found[row]].any()
        same = self.drawn(data, users, seed, sampling=sampling, n_negatives=n)
        assert found.tolist() == same.tolist()

    @pytest.mark.parametrize("sampling", [pytest.param("uniform", marks=pytest.mark.slow), "hard"])
    def test_what_a_user_disliked_sinks(self, sampling: str) -> None:
        """Items 0 and 1 are watched alike; the users of one half dislike item 0, those of the other item 1."""
        user, item = np.divmod(np.arange(400, dtype=np.int32), 10)
        keep = (item > 1) | (user % 4 < 2)
        disliked = Dislikes(
            np.flatnonzero(np.arange(40) % 4 >= 2).astype(np.int32), np.tile([0, 1], 10).astype(np.int32)
        )
        data = Dataset(IdMap(np.arange(40)), IdMap(np.arange(10)), user[keep], item[keep], dislikes=disliked)
        queries = data.queries_of(disliked.user, exclude_dislikes=False)
        gaps = []
        for share in (0.0, 1.0):
            scores = (
                made("fm", fields=("user", "item"), sampling=sampling, dislikes=share, epochs=30, n_negatives=2)
                .fit(data)
                .score(queries)
            )
            rows = np.arange(20)
            gaps.append(float((scores[rows, 1 - disliked.item] - scores[rows, disliked.item]).mean()))
        assert gaps[1] > gaps[0] + 0.5

    def test_hard_ones_score_higher(self) -> None:
        data, users = tasted(), tasted().user
        model = FM(fields=("user", "item"), dim=2, sampling="hard", hard_of=8, init_std=1.0)
        torch.manual_seed(0)
        net = model.build(data)
        events = net.tables.encode_requests(users)
        request = net.of_request(net.vectors(events.part))
        scores = []
        for hard_of in (1, 8):
            each = model.model_copy(update={"hard_of": hard_of})
            items = PairLoss(net, data, each, labels=False).draw(events, users, request, Step(0, 0, 1))
            scores.append(float(net.meet(request, pair_sides.item_sides(net, events, items)).mean().detach()))
        assert scores[1] > scores[0] + 1.0

    @pytest.mark.parametrize("sampling", ["uniform", "hard"])
    def test_anew_each_epoch_and_again_with_the_seed(self, sampling: str) -> None:
        name = "hardest" if sampling == "hard" else "negatives"
        true, fits = getattr(pair_loss, name), []
        for seed in (3, 3, 4):
            seen: list[list[int]] = []

            def told(*args: Any, seen: list[list[int]] = seen) -> Any:
                items = true(*args)
                seen.append(items.ravel().tolist())
                return items

            with mock.patch.object(pair_loss, name, told):
                made("gmf", sampling=sampling, epochs=3, batch_size=10_000).fit(tasted(), seed=seed)
            assert len({tuple(items) for items in seen}) == len(seen) == 3
            fits.append(seen)
        assert fits[0] == fits[1] != fits[2]

    def test_who_watched_everything_is_learned_from_too(self) -> None:
        data = tasted()
        user = np.concatenate([data.user, np.full(N_ITEMS, NEW_USERS[0])]).astype(np.int32)
        item = np.concatenate([data.item, np.arange(N_ITEMS)]).astype(np.int32)
        for sampling in ("uniform", "popularity", "hard"):
            bare = Dataset(data.users, data.items, user, item)
            model = made("gmf", fields=("user", "item"), sampling=sampling, epochs=2).fit(bare, seed=3)
            assert np.isfinite(model.score(bare.queries())).all()


class TestTimes:
    def at(self, model: Pointwise, hours: list[int]) -> NDArray[Any]:
        """Mean probability of war and of drama (columns) for the users, at these hours (rows) of a day."""
        data = tasted()
        item = np.flatnonzero(data.item_counts())
        user = np.repeat(np.setdiff1d(np.arange(N_USERS), NEW_USERS), len(item)).astype(np.int32)
        items = np.tile(item, len(user) // len(item)).astype(np.int32)
        rows = []
        for hour in hours:
            times = np.full(len(user), 86_400 * 11_100 + 3_600 * hour)
            p = model.predict(Pairs(user, items, np.zeros(len(user), np.int32), times))
            rows.append([p[kind(items) == k].mean() for k in (0, 1)])
        return np.array(rows)

    def test_the_hour_of_a_request_matters_where_it_is_a_field(self) -> None:
        morning, evening = self.at(made("fm", fields=("item", "item.genres", "time.hour")).fit(tasted()), [8, 20])
        assert morning[0] > 1.5 * evening[0]
        assert evening[1] > 1.5 * morning[1]
        without = self.at(fitted("fm"), [8, 20])
        assert without[0].tolist() == without[1].tolist()

    def test_scores_are_of_the_moment_asked_for(self) -> None:
        model = made("fm", fields=("item", "item.genres", "time.hour")).fit(tasted())
        moments = 86_400 * 11_100 + 3_600 * np.array([8, 20])
        recs = recommend(model, asked([[0], [0]], request_time=moments), 8)
        assert [share_of_kind(recs.item[k], k) > 0.7 for k in (0, 1)] == [True, True]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("user", "item.genre"), "did you mean genres"),
        (("user", "items"), "first word must be one of user, item"),
        (("user", "user.sex:colour"), "unknown field type 'colour'"),
        (("user", "context.device"), "no further columns"),
        (("user", "time.second"), "use time.year"),
        (("user", "item", "item"), "'item' is named twice"),
    ],
)
def test_wrong_names_of_fields(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(MatineeError, match=message):
        made("fm", fields=names).fit(tasted())


class TestMemory:
    @pytest.mark.parametrize("aged", [False, True], ids=["shared items", "fields of pairs"])
    @pytest.mark.parametrize("name", ["fm", "neumf", "autoint_plus"])
    def test_a_catalogue_is_ranked_in_chunks(self, name: str, aged: bool) -> None:
        """What meets at once is bounded, and the answers hang on it in no way; nor those of candidates and pairs."""
        data = tasted()
        years = pl.Series("year", np.arange(N_ITEMS) % 9 + 1990)
        data = replace(data, item_features=data.item_features.with_columns(years))  # type: ignore[union-attr]
        fields = (*ALL_FIELDS, "time.age") if aged else ALL_FIELDS
        model = made(name, fields=fields, epochs=1).fit(data, seed=3)
        queries = data.queries()
        candidates = np.random.default_rng(0).integers(-1, N_ITEMS, (len(queries), 11)).astype(np.int32)
        some = replace(queries, candidates=candidates)
        pairs = Pairs(data.user, data.item, np.zeros(len(data), np.int32))
        whole = model.score(queries), model.score(some), model.predict(pairs)
        meet, most = type(model.net).meet, 3 * N_ITEMS * model.net.numbers
        sizes: list[int] = []

        def told(net: Any, request: Any, item: Any) -> Any:
            assert len(item) in (1, len(request))
            assert aged or item.shape[1] != N_ITEMS or len(item) == 1, "the catalogue is not repeated for each query"
            sizes.append(len(request) * item.shape[1] * net.numbers)
            return meet(net, request, item)

        with mock.patch.object(pair_sides, "NUMBERS", most), mock.patch.object(type(model.net), "meet", told):
            found = model.score(queries), model.score(some), model.predict(pairs)
        assert len(sizes) > 20
        assert max(sizes) <= most
        for one, other in zip(found, whole, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)

    def test_users_are_folded_in_block_by_block(self) -> None:
        """A few events of many users at a time; the same vectors."""
        model = fitted("gmf")
        rng = np.random.default_rng(1)
        queries = asked([rng.integers(0, N_ITEMS, rng.integers(1, 6)).tolist() for _ in range(60)])
        whole = model.score(queries)
        folded, sizes = UserFolding.folded, []

        def told(self: Any, queries: Queries, start: Any) -> Any:
            sizes.append(len(queries))
            return folded(self, queries, start)

        # a user of 5 events takes so many pairs, each with the numbers of a product and two vectors
        each = (5 + pair_users.FOLD_NEGATIVES) * (model.floats_per_pair + 2 * model.net.vectors.table.embedding_dim)
        with mock.patch.object(pair_sides, "NUMBERS", 6 * each), mock.patch.object(UserFolding, "folded", told):
            found = model.score(queries)
        assert len(sizes) > 5
        assert max(sizes) <= 7
        np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-5)
