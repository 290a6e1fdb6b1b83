"""Files of sampled negatives: what stands in them, and that they are read as they were written."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import matinee as mt
from contract.logs import log
from matinee import split as splits
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Split
from matinee.errors import MatineeError, MatineeWarning

some = settings(max_examples=120)

Line = tuple[int, int, list[int]]  # user, item, negatives

ways: dict[str, Callable[..., Split]] = {
    "random": lambda data, **more: splits.random(data, valid=0.2, test=0.3, seed=3, **more),
    "by row": lambda data, **more: splits.random(data, valid=0.0, test=0.3, by="row", seed=3, **more),
    "leave_one_out": splits.leave_one_out,
    "latest": lambda data, **more: splits.latest(data, valid=0.2, test=0.4, **more),
    "temporal": lambda data, **more: splits.temporal(data, valid=0.5, test=0.7, **more),
    "mixed": lambda data, **more: splits.mixed(data, valid=0.3, test=0.4, seed=3, **more),
    "strong": lambda data, **more: splits.strong(data, valid=0.3, test=0.4, fold_in=0.5, seed=3, **more),
    "sessions": lambda data, **more: splits.sessions(data, test=0.4, valid=0.3, seed=3, **more),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("negatives") / "test.negative"


@st.composite
def logs(draw: st.DrawFn) -> Dataset:
    """A few users (ids 0, 10, ...) and films (ids 0, 7, ...), nobody like another; some watched nearly everything,
    some repeatedly. Rows are in no order, no two at one time, and rated 0 or 1."""
    n_items = draw(st.integers(5, 10))
    film = st.integers(0, n_items - 1)
    rows: list[tuple[int, int]] = []
    for user in range(draw(st.integers(2, 6))):
        every = draw(st.permutations(range(n_items)))
        watched = every[: draw(st.integers(2, n_items))]
        rows += [(user, item) for item in [*watched, *draw(st.lists(film, max_size=3))]]
    rows = draw(st.permutations(rows))
    times = draw(st.permutations(range(len(rows))))
    labels = draw(st.lists(st.integers(0, 1), min_size=len(rows), max_size=len(rows)))
    users, items = zip(*rows, strict=True)
    return log([10 * u for u in users], [7 * i for i in items], times, labels, more_items=[7_000])


def lines_of(path: Path) -> list[Line]:
    """The file by the plainest of readers."""
    found = []
    for text in path.read_text(encoding="utf-8").splitlines():
        head, *others = text.split("\t")
        user, item = head[1:-1].split(",")
        found.append((int(user), int(item), [int(other) for other in others]))
    return found


def write(split: Split, path: Path, **more: int) -> Ragged:
    """write_negatives, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)
        return splits.write_negatives(split, path, **more)


def read(split: Split, path: Path) -> list[Line]:
    """What `sampled` makes of a file: everything that is ranked but the answer is a negative."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)
        held = splits.sampled(split.test, path, split.train.users, split.train.items)
    users, items = split.train.users, split.train.items
    assert held.queries.candidates is not None
    found = []
    for b, row in enumerate(held.queries.candidates):
        (item,) = items.decode(held.truth[b])
        ranked = items.decode(row[row >= 0])
        assert item in ranked
        found.append((users.decode(held.queries.user[b : b + 1])[0], item, [one for one in ranked if one != item]))
    return found  # type: ignore[return-value]


def of_users(data: Dataset) -> dict[int, list[int]]:
    """Item ids of each user id, in time order."""
    found = defaultdict(list)
    for row in data.order:
        found[int(data.users.ids[data.user[row]])].append(int(data.items.ids[data.item[row]]))
    return found


@some
@given(logs(), st.sampled_from(sorted(ways)), st.booleans(), st.booleans(), st.integers(1, 8), st.integers(0, 99))
def test_negatives_are_what_the_user_never_watched(
    file: Path, data: Dataset, way: str, exclude_seen: bool, labels: bool, n: int, seed: int
) -> None:
    try:
        split = ways[way](data, exclude_seen=exclude_seen)
        drawn = write(splits.labelled(split) if labels else split, file, n=n, seed=seed)
    except MatineeError:  # a log too small for this split, or nothing to draw
        reject()
    watched, lines = of_users(data), lines_of(file)
    rankable = set(split.train.items.decode(np.unique(split.train.item)))
    assert [split.train.items.decode(row) for row in (drawn[b] for b in range(len(drawn)))] == [o for *_, o in lines]
    assert len({user for user, *_ in lines}) == len(lines), "a line a user"
    for user, item, others in lines:
        assert item in watched[user]
        assert set(others) <= rankable - set(watched[user])
        assert len(set(others)) == len(others) == min(n, len(rankable - set(watched[user])))
    asked = splits.labelled(split) if labels else split
    assert read(asked, file) == [(user, item, sorted(others)) for user, item, others in lines]
    with_answer = asked.test.queries.user[np.unique(asked.test.truth.rows)]
    if way != "sessions":  # where the first query alone is asked
        free = [u for u in split.train.users.decode(with_answer) if rankable - set(watched[u])]  # type: ignore[index]
        assert [user for user, *_ in lines] == free, "in code order"


@pytest.mark.parametrize("labels", [False, True])
@some
@given(data=logs(), n=st.integers(1, 3))
def test_the_answer_is_what_came_next(labels: bool, file: Path, data: Dataset, n: int) -> None:
    assert data.value is not None
    try:
        split = splits.latest(data, valid=0.1, test=0.5, exclude_seen=False)
        write(splits.labelled(split) if labels else split, file, n=n)
    except MatineeError:  # a log too small for this split, or nothing to draw
        reject()
    for user, item, _ in lines_of(file):
        rows = [row for row in data.order if data.users.ids[data.user[row]] == user]
        hidden = rows[len(rows) - max(1, len(rows) // 2) :]
        liked = {data.item[row] for row in hidden if data.value[row] == 1}
        first = next(row for row in hidden if not labels or data.item[row] in liked)
        assert item == data.items.ids[data.item[first]]


def clicks(n_users: int = 40, n_items: int = 60) -> Dataset:
    rng = np.random.default_rng(5)
    rows = [(u, i) for u in range(n_users) for i in rng.permutation(n_items)[: rng.integers(3, 30)].tolist()]
    users, items = zip(*rows, strict=True)
    return log([10 * u for u in users], [7 * i for i in items], rng.permutation(len(rows)))


def test_equal_seeds_give_equal_files_whatever_the_order_of_rows(tmp_path: Path) -> None:
    data = clicks()
    shuffled = data.rows(np.random.default_rng(6).permutation(len(data)))
    found = {}
    for name, rows, seed in (("a", data, 4), ("b", data, 4), ("shuffled", shuffled, 4), ("other", data, 5)):
        splits.write_negatives(splits.leave_one_out(rows), tmp_path / name, n=9, seed=seed)
        found[name] = (tmp_path / name).read_bytes()
    assert found["a"] == found["b"] == found["shuffled"]
    heads = [[text.partition(b"\t")[0] for text in found[name].splitlines()] for name in ("a", "other")]
    assert heads[0] == heads[1]
    assert found["a"] != found["other"]
    assert sum(a != b for a, b in zip(*(found[n].splitlines() for n in ("a", "other")), strict=True)) > 35
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a", "b", "other", "shuffled"], "nothing beside"


def test_every_unwatched_item_is_as_likely_at_every_place(tmp_path: Path) -> None:
    """4,000 users watched films 0 to 3 of 12, and one of 4 to 11, which lies in train."""
    users, items = [], []
    for user in range(4_000):
        users += [user] * 5
        items += [4 + user % 8, 0, 1, 2, 3]
    drawn = splits.write_negatives(splits.leave_one_out(log(users, items)), tmp_path / "x", n=3, seed=1)
    table = drawn.values.reshape(4_000, 3)
    for column in table.T:
        count = np.bincount(column, minlength=12)
        assert count[:4].tolist() == [0] * 4
        assert np.abs(count[4:] - 500).max() < 5 * np.sqrt(500), count


def test_who_watched_everything_has_no_line(tmp_path: Path) -> None:
    films = [list(range(6)), [0, 2, 1, 3], [5, 4, 3, 2, 1]]
    data = log([10 * u for u, row in enumerate(films) for _ in row], [7 * i for row in films for i in row])
    split = splits.leave_one_out(data)
    with pytest.warns(MatineeWarning, match="1 of 3 users watched every item with a training event"):
        drawn = splits.write_negatives(split, tmp_path / "x", n=2)
    # film 35 is hidden from user 0, and film 7 from user 20: of train are 0 to 28, 0 and 14, 35 to 21
    assert [(user, item, sorted(o)) for user, item, o in lines_of(tmp_path / "x")] == [(10, 21, [28, 35]), (20, 7, [0])]
    assert drawn.lengths.tolist() == [2, 1]
    alone = log([1] * 5, [3, 1, 4, 5, 9])
    with pytest.raises(MatineeError, match="1 of 1 user watched every item"):
        splits.write_negatives(splits.leave_one_out(alone), tmp_path / "y")
    assert not (tmp_path / "y").exists()


def test_of_several_queries_of_a_user_the_first_is_asked(tmp_path: Path) -> None:
    data = log(["a", "a", "b", "b", "c", "c", "c"], ["p", "q", "q", "r", "s", "t", "w"])
    (tmp_path / "test.jsonl").write_text(
        '{"user": "b", "history": ["q"], "truth": ["t", "p"]}\n'
        '{"history": ["q"], "truth": ["t"]}\n'
        '{"user": "b", "history": ["q", "t"], "truth": ["s"]}\n'
        '{"user": "a", "history": ["p"], "truth": ["r"]}\n'
    )
    split = splits.provided(data, test=tmp_path / "test.jsonl")
    splits.write_negatives(split, tmp_path / "x")
    heads = [text.split("\t") for text in (tmp_path / "x").read_text().splitlines()]
    # b watched p to t, in one query or another
    assert [(head, sorted(others)) for head, *others in heads] == [("(b,t)", ["w"]), ("(a,r)", ["s", "t", "w"])]
    with pytest.warns(MatineeWarning, match="2 of 4 queries of the split have no line"):
        held = splits.sampled(split.test, tmp_path / "x", split.train.users, split.train.items)
    assert held.queries.history[0].tolist() == split.test.queries.history[0].tolist()


def test_the_items_of_text_ids_are_read_as_they_are_written(tmp_path: Path) -> None:
    films = ["Amélie", "Die Hard 2", "12", "012", "q\u00a0r", "x;y|z"]
    watched = {"ann b": films[:4], "Ünal": films[2:], "7": films[4:] + films[:2]}
    rows = [(user, film) for user, theirs in watched.items() for film in theirs]
    users, items = zip(*rows, strict=True)
    split = splits.leave_one_out(log(users, items))
    drawn = splits.write_negatives(split, tmp_path / "x")
    assert drawn.lengths.tolist() == [2, 2, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        held = splits.sampled(split.test, tmp_path / "x", split.train.users, split.train.items)
    assert held.queries.user.tolist() == split.test.queries.user.tolist()
    assert held.truth.values.tolist() == split.test.truth.values.tolist()
    assert held.queries.candidates is not None
    for b, row in enumerate(held.queries.candidates):
        assert set(row[row >= 0].tolist()) == {*drawn[b].tolist(), *held.truth[b].tolist()}


@pytest.mark.parametrize("bad", ["a,b", "Heat (1995)", " a", "a ", "a\tb", "a\nb", "(", "\u3000"])
@pytest.mark.parametrize("what", ["user", "item"])
def test_ids_that_the_format_cannot_hold_are_refused(what: str, bad: str, tmp_path: Path) -> None:
    data = log([*["u" if what == "item" else bad] * 3, *["v"] * 3], ["a", "b", "c" if what == "user" else bad, *"def"])
    with pytest.raises(MatineeError, match=f"the {what} id .* cannot stand in a file"):
        splits.write_negatives(splits.leave_one_out(data), tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    split = splits.leave_one_out(clicks())
    for n in (0, -3):
        with pytest.raises(MatineeError, match=f"n = {n} negatives are none"):
            splits.write_negatives(split, tmp_path / "x", n=n)
    with pytest.raises(MatineeError, match="seed must be 0 or more, got -1"):
        splits.write_negatives(split, tmp_path / "x", seed=-1)
    nobody = np.full(len(split.test), -1, np.int32)
    nameless = replace(split.test, queries=replace(split.test.queries, user=nobody))
    none = replace(split.test, queries=split.test.queries.slice(0, 0), truth=Ragged.empty(0), pairs=None)
    for test in (nameless, none):
        with pytest.raises(MatineeError, match="has no answer of a user in the log"):
            splits.write_negatives(replace(split, test=test), tmp_path / "x")
    with pytest.raises(MatineeError, match="not a regular file"):
        splits.write_negatives(split, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_lines_are_what_is_ranked(tmp_path: Path) -> None:
    data = clicks()
    split = splits.leave_one_out(data)
    splits.write_negatives(split, tmp_path / "x", n=20)
    held = splits.sampled(split.test, tmp_path / "x", split.train.users, split.train.items)
    assert len(held) == len(split.test)
    assert held.queries.candidates is not None
    assert held.queries.candidates.shape == (40, 21)
    recs = mt.recommend(mt.models.Popularity().fit(split.train), held.queries, k=21)
    found = mt.evaluate(recs, held, k=21, metrics=["hit_rate"])
    known = split.train.item_counts()[held.truth.values] > 0
    assert found.mean("hit_rate", 21).value == pytest.approx(known.mean())
