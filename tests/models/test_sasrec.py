"""SASRec from a log to scores: what a batch teaches, what is drawn for it, and answers against the slow truth."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from contract.logs import UNWATCHED, groups
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, MatineeWarning
from matinee.models import registry
from matinee.models.families import sequence
from matinee.models.families.sequence import Histories, TrainingBatch
from matinee.models.sasrec import SASRec
from matinee.nn.sequences import latest, pack
from matinee.nn.train import Step
from matinee.store import load_model, save_model
from oracle.transformer_truth import Truth

pytestmark = pytest.mark.xdist_group("sasrec")  # its kernels are compiled once
MAX_LEN = 6
SMALL: dict[str, Any] = {"dim": 8, "max_len": MAX_LEN, "epochs": 3, "batch_size": 4, "learning_rate": 0.03}
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "relative": {"relative": True, "n_heads": 2},
    "all": {
        "relative": True,
        "n_heads": 4,
        "gated": True,
        "feed_forward": "swiglu",
        "ffn_multiplier": 2,
        "n_blocks": 1,
    },
}


def log() -> Dataset:
    """24 users with 1 to 15 events of 17 items, hours to years apart; rows in no order, two items never watched."""
    rng = np.random.default_rng(2)
    lengths = rng.integers(1, 16, 24)
    user = np.repeat(np.arange(24), lengths)
    item = np.minimum(rng.geometric(0.15, len(user)) - 1, 16)
    gaps = 10 ** rng.uniform(2.0, 7.0, len(user))
    time = (10**9 + np.cumsum(gaps)).astype(np.int64)
    order = rng.permutation(len(user))
    users, items = IdMap(np.arange(24), what="user"), IdMap(np.arange(19), what="item")
    return Dataset(users, items, user[order].astype(np.int32), item[order].astype(np.int32), timestamp=time[order])


DATA = log()


def told() -> list[list[tuple[int, int]]]:
    """Each user's (item, time), in time."""
    assert DATA.timestamp is not None
    rows = sorted(zip(DATA.timestamp.tolist(), DATA.user.tolist(), DATA.item.tolist(), strict=True))
    return [[(item, time) for time, user, item in rows if user == u] for u in range(DATA.n_users)]


def queries(*, timed: bool = True) -> Queries:
    """Each user's history, one of nothing but unwatched items, one without any, and one in which items repeat."""
    rows = [*told(), [(17, 5), (18, 6)], [], [(4, 10**9), (18, 2 * 10**9), (4, 2 * 10**9 + 7_777), (0, 3 * 10**9)]]
    history = Ragged.from_lists([item for item, _ in row] for row in rows)
    times = np.array([time for row in rows for _, time in row], np.int64)
    return Queries(np.full(len(rows), -1, np.int32), history, history, history_times=times if timed else None)


@pytest.mark.parametrize("hyper", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("timed", [True, False])
def test_scores_are_the_last_state_times_the_items_vectors(hyper: dict[str, Any], timed: bool) -> None:
    """Of the last max_len items that were in training, in the order of their histories; also in several blocks."""
    model = SASRec(**SMALL, **hyper).fit(DATA, seed=3)
    weights = {name: value.astype(np.float64) for name, value in model.fitted.learned.weights.items()}
    moved = {name: np.abs(value).max() for name, value in weights.items() if "attention.bias" in name}
    assert all(size > 0.01 for size in moved.values()), "nothing was learned about places or times"
    truth = Truth(weights, model.n_heads, feed_forward=model.feed_forward)
    asked = queries(timed=timed)
    found = model.score(asked)
    with mock.patch.object(sequence, "SLOTS", 20):
        np.testing.assert_allclose(model.score(asked), found, rtol=1e-5, atol=1e-6)
    for b in range(len(asked)):
        start = asked.history.offsets[b]
        seen = [p for p in range(start, asked.history.offsets[b + 1]) if asked.history.values[p] < 17][-MAX_LEN:]
        if not seen:
            assert found[b, :17].tolist() == DATA.item_counts()[:17].tolist(), "popularity answers"
            continue
        seconds = None if asked.history_times is None else asked.history_times[seen].tolist()
        state = truth.states(asked.history.values[seen].tolist(), seconds)[-1]
        wanted = weights["items.weight"][:17] @ state
        np.testing.assert_allclose(found[b, :17], wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
    assert (found[:, 17:] == -np.inf).all()


def rows_of(histories: sequence.Histories) -> list[list[tuple[int, int]]]:
    assert histories.times is not None
    both = list(zip(histories.item.values.tolist(), histories.times.tolist(), strict=True))
    return [both[a:b] for a, b in zip(histories.item.offsets[:-1], histories.item.offsets[1:], strict=True)]


def cut(*, every: bool) -> list[list[tuple[int, int]]]:
    """The pieces of the log: the last max_len + 1 events of a user, or all, an event shared with the next piece."""
    pieces = []
    for row in told():
        stops = range(len(row), 1, -MAX_LEN) if every else [len(row)] if len(row) > 1 else []
        pieces += [row[max(stop - MAX_LEN - 1, 0) : stop] for stop in stops]
    return pieces


@pytest.mark.parametrize("every", [False, True])
def test_a_batch_asks_at_each_event_for_the_next_one(every: bool) -> None:
    """Over an epoch each step from one event to the next once, or those within the last max_len + 1 events."""
    model = SASRec(**SMALL, windows="all" if every else "last", relative=True)
    pieces, wanted = model.pieces(DATA), cut(every=every)
    assert sorted(rows_of(pieces)) == sorted(wanted)
    steps = [min(len(row) - 1, len(row) - 1 if every else MAX_LEN) for row in told()]
    assert model.terms(pieces.item.lengths) == sum(steps) == sum(len(piece) - 1 for piece in wanted)
    net = model.build(DATA)
    found: Counter[tuple[tuple[int, ...], int]] = Counter()
    for rows in np.array_split(np.random.default_rng(1).permutation(len(pieces)), 5):
        batch = pieces.take(rows)
        make_batch = model.make_batch(net, batch, Step(0, 0, 0))
        packed = make_batch.packed
        assert len(make_batch.target) == len(make_batch.slot) == model.terms(batch.item.lengths)
        begins = np.repeat(packed.first.numpy(), packed.length.numpy()).tolist()
        for slot, begin, target in zip(make_batch.slot.tolist(), begins, make_batch.target.tolist(), strict=True):
            found[tuple(packed.item[begin : slot + 1].tolist()), target] += 1
        assert packed.time is not None
        assert packed.time[packed.first].tolist() == [piece[-2][1] - piece[0][1] for piece in rows_of(batch)]
    assert found == Counter(
        (tuple(item for item, _ in piece[:t]), piece[t][0]) for piece in wanted for t in range(1, len(piece))
    )


def test_a_log_without_times_is_learned_in_its_order() -> None:
    bare = replace(DATA, timestamp=None)
    pieces = SASRec(**SMALL).pieces(bare)
    assert pieces.times is None
    first = bare.item[bare.user == bare.user[0]]
    assert first[-MAX_LEN - 1 :].tolist() in [pieces.item[b].tolist() for b in range(len(pieces))]


class TestWaiting:
    """How long after an event the next one came, or is asked for."""

    histories = Histories(
        Ragged.from_lists([[3, 4, 5, 6], [], [7], [8, 9]]), np.array([10, 20, 50, 51, 7, 100, 90], np.int64)
    )

    def gaps(self, asked: Any = None) -> list[int]:
        found = self.histories.time_gaps(asked).gaps
        assert found is not None
        return list(found.tolist())

    def test_until_the_next_event_or_the_request(self) -> None:
        asked = np.array([60, 0, 9, 85], np.int64)
        assert self.gaps(asked) == [10, 30, 1, 9, 2, 0, 0], "nothing is below 0"

    def test_without_a_request_as_long_as_usual(self) -> None:
        assert self.gaps() == [10, 30, 1, 10, 0, 0, 0]
        rng = np.random.default_rng(2)
        rows = [np.sort(rng.integers(0, 1_000, n)) for n in rng.integers(0, 9, 40)]
        some = Histories(Ragged.from_lists([np.zeros(len(row), np.int32) for row in rows]), np.concatenate(rows))
        gaps = some.time_gaps().gaps
        assert gaps is not None
        for row, times in enumerate(rows):
            found = gaps[some.item.offsets[row] : some.item.offsets[row + 1]]
            np.testing.assert_array_equal(found[:-1], np.diff(times))
            if len(times):
                own = np.sort(np.diff(times))
                assert found[-1] == (own[len(own) // 2] if len(own) else 0)

    def test_a_log_without_times_says_nothing(self) -> None:
        bare = Histories(self.histories.item, None)
        assert bare.time_gaps(np.zeros(4, np.int64)).gaps is None
        with pytest.raises(MatineeError, match="has no timestamps, so it is not known how long anyone waited"):
            SASRec(**SMALL, time_gaps=True).fit(replace(DATA, timestamp=None))

    def test_a_history_without_times_waits_as_long_as_is_usual_in_the_log(self, tmp_path: Path) -> None:
        model = SASRec(**{**SMALL, "epochs": 1}, time_gaps=True).fit(DATA)
        assert DATA.timestamp is not None
        histories = Histories(DATA.histories(), DATA.timestamp[DATA.order])
        gaps = histories.time_gaps().gaps
        assert gaps is not None
        usual = int(np.median(gaps))
        asked = DATA.queries_of(np.arange(3, dtype=np.int32))
        undated = replace(asked, history=latest(asked.history, MAX_LEN)[0], history_times=None)
        with torch.inference_mode():
            told = model.packed(
                model.net, Histories(undated.history, None, np.full(len(undated.history.values), usual))
            )
            wanted = (model.net(told)[told.last] @ model.net.vectors.T).numpy()
        np.testing.assert_allclose(model.score(undated)[:, :17], wanted[:, :17], rtol=1e-5)
        save_model(model, tmp_path / "m")
        assert load_model(tmp_path / "m").score(undated).tobytes() == model.score(undated).tobytes()
        save_model(model, tmp_path / "bare", histories=False)
        assert load_model(tmp_path / "bare").score(undated).tobytes() == model.score(undated).tobytes()

    def test_the_moment_of_the_request_counts_where_it_is_asked_for(self) -> None:
        """And neither it nor a wait changes an earlier state."""
        assert DATA.timestamp is not None
        queries, now = DATA.queries_of(np.arange(3, dtype=np.int32)), int(DATA.timestamp.max())
        later = replace(queries, request_time=np.full(3, now + 10**9, np.int64))
        soon = replace(queries, request_time=np.full(3, now, np.int64))
        model = SASRec(**{**SMALL, "epochs": 1}, time_gaps=True).fit(DATA)
        assert not np.allclose(model.score(later), model.score(soon))
        plain = SASRec(**{**SMALL, "epochs": 1}).fit(DATA)
        np.testing.assert_array_equal(plain.score(later), plain.score(soon))
        net = model.net
        with torch.inference_mode():
            one, _ = model.encode_query(
                net, Histories(queries.history, queries.history_times).time_gaps(later.request_time)
            )
            other, _ = model.encode_query(
                net, Histories(queries.history, queries.history_times).time_gaps(soon.request_time)
            )
            moved = (net(one) - net(other)).abs().amax(dim=1)
        earlier = torch.ones(len(moved), dtype=torch.bool)
        earlier[one.last] = False
        assert not moved[earlier].any()
        assert (moved[one.last] > 0).all()

    def test_it_learns_that_what_follows_hangs_on_when(self) -> None:
        """Item 1 follows item 0 within a minute, item 2 after a day."""
        rng = np.random.default_rng(0)
        users, visits = 60, 8
        soon = rng.random((users, visits)) < 0.5
        user = np.repeat(np.arange(users), 2 * visits)
        item = np.stack([np.zeros_like(soon, np.int32), np.where(soon, 1, 2)], axis=2).ravel()
        first = np.broadcast_to(np.arange(visits) * 10**6, soon.shape)
        time = np.stack([first, first + np.where(soon, 60, 86_400)], axis=2).ravel()
        ids = IdMap(np.arange(users), what="user"), IdMap(np.arange(3), what="item")
        log = Dataset(*ids, user.astype(np.int32), item.astype(np.int32), timestamp=time.astype(np.int64))
        model = SASRec(max_len=20, dim=8, epochs=60, batch_size=20, learning_rate=0.02, time_gaps=True).fit(log)
        asked = replace(
            log.queries_of(np.arange(2, dtype=np.int32)),
            history=Ragged.from_lists([np.array([0], np.int32)] * 2),
            history_times=np.zeros(2, np.int64),
            request_time=np.array([60, 86_400], np.int64),
        )
        scores = model.score(asked)
        assert scores[0, 1] > scores[0, 2]
        assert scores[1, 2] > scores[1, 1]


class TestDraws:
    target = torch.tensor([3, 0, 3, 9, 16, 1, 1])
    make_batch = TrainingBatch(pack(Ragged.empty(0), 19), torch.arange(7), target, torch.tensor([3, 0, 4]))

    def drawn(self, seed: int = 5, loss: str = "bce", **hyper: Any) -> Any:
        return SASRec(loss=loss, n_negatives=300, **hyper).drawing(DATA)(self.make_batch, Step(0, 0, seed))

    def test_once_for_a_batch_or_anew_for_each_event(self) -> None:
        """Once and uniformly: no item twice, for it would be pushed away twice by all of the batch."""
        assert self.drawn(negatives_for="batch", sampling="popularity").item.shape == (300,)
        assert sorted(self.drawn(negatives_for="batch").item.tolist()) == list(range(19))
        own = self.drawn(negatives_for="event")
        assert (own.k, own.shared) == (300, False)
        rows = [*own.draw(3).tolist(), *own.draw(4).tolist()]
        assert len({tuple(row) for row in rows}) == 7
        assert {len(row) for row in rows} == {300}

    def test_anew_for_each_history(self) -> None:
        for sampling in ("uniform", "popularity", "in_batch"):
            found = self.drawn(negatives_for="history", sampling=sampling)
            assert (found.k, found.shared) == (300, True)
            assert found.begin.tolist() == [0, 3, 3, 7]
            assert len({tuple(found.draw(1)[0].tolist()) for _ in range(3)}) == 3

    def test_none_is_drawn_before_its_piece_is_at_hand(self) -> None:
        """A million for each of seven events are 56 MB."""
        drawing = SASRec(loss="bce", n_negatives=1 << 20, negatives_for="event").drawing(DATA)
        tracemalloc.start()
        found = drawing(self.make_batch, Step(0, 0, 5))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1e6
        assert found.draw(1).shape == (1, 1 << 20)

    def test_a_function_of_the_steps_seed(self) -> None:
        for sampling in ("uniform", "popularity", "in_batch"):
            one, same, other = (self.drawn(seed, sampling=sampling).item for seed in (5, 5, 6))
            assert torch.equal(one, same)
            assert not torch.equal(one, other)
            one, same, other = (
                self.drawn(seed, sampling=sampling, negatives_for="event").draw(7) for seed in (5, 5, 6)
            )
            assert torch.equal(one, same)
            assert not torch.equal(one, other)

    def test_how(self) -> None:
        """Uniform over all items; by popularity over what was watched; in a batch, what others' next items are."""
        uniform, popular, near = (
            set(self.drawn(sampling=sampling, negatives_for="event").draw(7).flatten().tolist())
            for sampling in ("uniform", "popularity", "in_batch")
        )
        assert uniform == set(range(19))
        assert popular == set(range(17))
        assert near == set(self.target.tolist())

    def test_log_q_where_draws_are_uneven_and_it_is_asked_for(self) -> None:
        counts = DATA.item_counts()[:17]
        assert self.drawn(sampling="uniform", loss="sampled_softmax").log_q is None
        assert self.drawn(sampling="popularity", loss="sampled_softmax", log_q=False).log_q is None
        assert self.drawn(sampling="popularity").log_q is None, "other losses take the drawn ones as they are"
        for sampling, alpha in (("popularity", 0.75), ("in_batch", 1.0)):
            log_q = self.drawn(sampling=sampling, loss="sampled_softmax").log_q
            np.testing.assert_allclose(log_q[:17].exp(), counts**alpha / (counts**alpha).sum(), rtol=1e-5)

    def test_cross_entropy_draws_nothing(self) -> None:
        assert SASRec().drawing(DATA)(self.make_batch, Step(0, 0, 5)) is None


def test_blocks_hold_each_history_with_events_once() -> None:
    lengths = np.random.default_rng(0).integers(0, 30, 200)
    with mock.patch.object(sequence, "SLOTS", 64):
        found = sequence.blocks(lengths, 10)
    assert sorted(np.concatenate(found)) == np.flatnonzero(lengths).tolist()
    for rows in found:
        assert np.minimum(lengths[rows], 10).sum() + len(rows) <= 64 + 11
        assert len(rows) > 1
    assert sequence.blocks(np.zeros(3, np.int64), 10) == []


def test_heads_that_do_not_divide_the_vectors_are_refused() -> None:
    """As soon as they are named: a study finds it before it begins."""
    for name in ("sasrec", "cl4srec", "bert4rec"):
        with pytest.raises(MatineeError, match="2 attention heads do not divide vectors of dim = 9"):
            registry.create(name, {"dim": 9, "n_heads": 2})


def test_histories_of_one_event_teach_nothing_and_are_answered() -> None:
    alone = DATA.rows(np.unique(DATA.user, return_index=True)[1])
    with pytest.warns(MatineeWarning, match="no user has two events"):
        model = SASRec(**SMALL, loss="sampled_softmax", sampling="in_batch").fit(alone)
    assert all(epoch["train_loss"] is None for epoch in model.curve)
    assert np.isfinite(model.score(alone.queries())[:, alone.item_counts() > 0]).all()


def test_empty_histories_alone() -> None:
    """A block of nothing but them, as one user without events."""
    model = SASRec(**SMALL).fit(groups())
    unknown = groups().items.code(UNWATCHED[0])
    asked: list[list[list[int]]] = [[[]], [[], []], [[unknown]], [[unknown], [], [unknown] * 3]]
    for rows in asked:
        history = Ragged.from_lists(rows)
        found = model.score(Queries(np.full(len(rows), -1, np.int32), history, history))
        assert (found[:, groups().item_counts() > 0] > 0).all()
