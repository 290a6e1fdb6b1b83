"""Sessions hidden whole, against a slow plain-Python reference; files of prefixes; Diginetica itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_strategies import by_user, contents, dataset, few, in_order, logs, rows_of, some_log

from data.samples import real
from matinee import split as splits
from matinee.data.dataset import Dataset
from matinee.data.read.catalog import load
from matinee.data.read.log import read
from matinee.errors import MatineeError
from matinee.evaluate import audit
from matinee.study.recipe import load_recipe


def slow_sessions(data: Dataset, seed: int, valid: float, test: float, which: str) -> dict[int, str]:
    """Session -> its part, in plain loops."""
    rows = by_user(data, in_order(data))
    askable = [u for u in sorted(rows) if len(rows[u]) >= 2]
    if which == "random":
        first = np.random.default_rng(seed).permutation(askable).tolist()
    else:
        time = range(len(data)) if data.timestamp is None else data.timestamp.tolist()
        first = sorted(askable, key=lambda u: (time[rows[u][-1]], rows[u][-1]), reverse=True)
    n_test, n_valid = (max(1, math.floor(share * len(askable) + 1e-9)) if share else 0 for share in (test, valid))
    part = dict.fromkeys(rows, "train")
    part |= dict.fromkeys(first[:n_test], "test")
    return part | dict.fromkeys(first[n_test : n_test + n_valid], "valid")


@few
@given(
    data=logs(),
    seed=st.integers(0, 3),
    shares=st.sampled_from([(0.05, 0.05), (0.2, 0.4), (0.0, 0.3)]),
    which=st.sampled_from(["random", "last"]),
    exclude_seen=st.booleans(),
)
def test_sessions_equal_the_slow_reference(
    data: Dataset, seed: int, shares: tuple[float, float], which: Any, exclude_seen: bool
) -> None:
    valid, test = shares
    try:
        split = splits.sessions(data, valid=valid, test=test, which=which, seed=seed, exclude_seen=exclude_seen)
    except MatineeError:
        assume(False)
    part = slow_sessions(data, seed, valid, test, which)
    of = [part[u] for u in data.user.tolist()]
    assert rows_of(split.train) == [r for r, p in enumerate(of) if p == "train"]
    assert split.train_valid is not None
    assert rows_of(split.train_valid) == [r for r, p in enumerate(of) if p != "test"]
    for name, held in (("valid", split.valid), ("test", split.test)):
        asked = []
        for user, rows in sorted(by_user(data, [r for r in in_order(data) if of[r] == name]).items()):
            asked += [(user, rows[:n], rows[n]) for n in range(1, len(rows))]
        queries, pairs = held.queries, held.pairs
        assert pairs is not None
        assert queries.user.tolist() == pairs.user.tolist() == [u for u, _, _ in asked]
        assert rows_of(held) == [answer for _, _, answer in asked]
        assert pairs.query.tolist() == list(range(len(asked)))
        seen = [r for _, past, _ in asked for r in past]
        assert queries.history_ratings is None or queries.history_ratings.tolist() == [float(r) for r in seen]
        assert (queries.history_times is None) == (data.timestamp is None)
        assert (
            data.timestamp is None
            or queries.history_times is None
            or queries.history_times.tolist() == data.timestamp[seen].tolist()
        )
        for b, (_, past, answer) in enumerate(asked):
            history, item = data.item[past].tolist(), int(data.item[answer])
            assert queries.history[b].tolist() == history
            assert queries.exclude[b].tolist() == (history if exclude_seen else [])
            assert held.truth[b].tolist() == ([] if exclude_seen and item in history else [item])


@few
@given(data=logs(), seed=st.integers(0, 3))
def test_refitted_sessions_keep_their_histories(data: Dataset, seed: int) -> None:
    try:
        split = splits.sessions(data, valid=0.3, test=0.3, seed=seed, exclude_seen=False)
    except MatineeError:
        assume(False)
    log, test = splits.refitted(split)
    assert log is split.train_valid
    assert test.queries is split.test.queries
    assert test.protocol.history == "the session so far (fitted on train + valid)"


def test_a_split_is_a_pure_function_of_data_and_seed() -> None:
    data = some_log(distinct_times=True)
    one = splits.sessions(data, seed=5, exclude_seen=False)
    assert contents(one) == contents(splits.sessions(data, seed=5, exclude_seen=False))
    assert contents(one) != contents(splits.sessions(data, seed=6, exclude_seen=False))
    shuffled = splits.sessions(data.rows(np.random.default_rng(0).permutation(len(data))), seed=5, exclude_seen=False)
    assert rows_of(shuffled.test) == rows_of(one.test)
    assert shuffled.test.queries.history.values.tolist() == one.test.queries.history.values.tolist()
    protocols = {
        splits.sessions(data, **options).test.protocol.fingerprint
        for options in ({}, {"seed": 3}, {"valid": 0.2}, {"test": 0.2}, {"which": "last"}, {"exclude_seen": False})
    }
    assert len(protocols) == 5, "all but the seed are part of the protocol"
    (made,) = splits.make(data, "sessions", {"valid": "0.2", "test": 0.1, "which": "last", "exclude_seen": False})
    assert contents(made) == contents(splits.sessions(data, valid=0.2, test=0.1, which="last", exclude_seen=False))


def test_the_audit_knows_hidden_sessions_from_leaks() -> None:
    split = splits.sessions(some_log(distinct_times=True), exclude_seen=False)
    report = audit(split)
    assert not report.failed
    assert any("share no event" in finding.words for finding in report.findings)


# --- files of prefixes -----------------------------------------------------------------------------------------------


def test_a_file_asks_and_the_log_teaches(tmp_path: Path) -> None:
    data = dataset([(u, i, 10 * u + i) for u in range(1, 6) for i in (u, u + 1)])
    path = tmp_path / "asked.txt"
    path.write_text("7 14 7\t14\r\n\n\t21\n 14  999\t 7 \n")
    split = splits.sessions(data, test=path, valid=0.2, seed=1, exclude_seen=False)
    items, test = split.train.items, split.test
    assert items.ids.tolist() == [7, 14, 21, 28, 35, 42, 999]
    assert test.queries.user.tolist() == [-1, -1, -1]
    assert [items.decode(test.queries.history[b]) for b in range(3)] == [[7, 14, 7], [], [14, 999]]
    assert items.decode(test.truth.values) == [14, 21, 7]
    assert test.truth.lengths.tolist() == [1, 1, 1], "what was seen may be the answer"
    assert not len(test.queries.exclude.values)
    assert split.notes == ("1 item id of the provided files is not in the log",)
    assert len(split.valid) == 1
    assert split.valid.protocol.split == test.protocol.split
    assert "asked.txt" in test.protocol.split
    assert split.valid.protocol.data == test.protocol.data == data.fingerprint
    log, refitted = splits.refitted(split)
    assert len(log) == len(data)
    assert refitted.queries is test.queries, "nobody known asks: histories are the file's"
    (lines,) = splits.make(data, "provided", {"test": str(path), "exclude_seen": True})
    assert items.decode(lines.test.truth.values) == [21, 7]
    assert [note for note in lines.notes if "repeat" in note] == [
        "1 answer of test repeats an excluded event and is left out of its truth"
    ]
    masked = splits.sessions(data, test=path, valid=0.2, exclude_seen=True)
    assert sum("of test repeat" in note for note in masked.notes) == 1, "told once"


def test_steps_of_one_session_are_told(tmp_path: Path) -> None:
    """Nobody says which lines belong together, so each counts as one; a reader of the intervals should know."""
    data = dataset([(u, i, 10 * u + i) for u in range(1, 6) for i in (u, u + 1)])
    steps = "7 14 7\t21\n7 14\t7\n7\t14\n14\t21\n21\t14\n21 14\t7\n14 7\t7\n"
    for name, content, wanted in (
        ("longest first.txt", steps, 3),
        ("apart.txt", "7\t14\n14 7\t21\n7 14 21\t7\n", 0),
        ("q.jsonl", '{"history": [7], "truth": [14]}\n{"history": [7, 14], "truth": [7]}\n', 1),
        ("named.jsonl", '{"user": 10, "history": [7], "truth": [14]}\n{"history": [7, 14], "truth": [7]}\n', 0),
        ("sets.jsonl", '{"history": [7], "truth": [14, 21]}\n{"history": [7, 14, 21], "truth": [7]}\n', 0),
    ):
        (tmp_path / name).write_text(content)
        split = splits.sessions(data, test=tmp_path / name, exclude_seen=False)
        told = [note.split()[0] for note in split.notes if "as independent" in note]
        assert told == ([str(wanted)] if wanted else []), name


def test_sessions_named_by_json_lines_keep_the_given_history(tmp_path: Path) -> None:
    data = dataset([(u, i, 10 * u + i) for u in range(1, 6) for i in (u, u + 1)])
    (tmp_path / "q.jsonl").write_text('{"user": 10, "history": [42], "truth": [7]}\n{"history": [7], "truth": [7]}\n')
    split = splits.sessions(data, test=tmp_path / "q.jsonl", exclude_seen=False)
    _, test = splits.refitted(split)
    assert split.train.items.decode(test.queries.history.values) == [42, 7], "not user 10's own log"
    assert test.protocol.history == "as given (fitted on train + valid)"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", "", r"t\.txt: holds no line"),
        ("t.txt", "7 14\t21\n7 14 21\n", r"t\.txt, line 2: is not items, a tab and one item"),
        ("t.txt", "7\t\n", r"t\.txt, line 1: is not items, a tab"),
        ("t.txt", "7\t14 21\n", r"t\.txt, line 1: is not items, a tab"),
        ("t.txt", "7 x\t14\n", r"t\.txt, line 1: 'x' is no whole number"),
        ("t.txt", b"7\t14\n7 \xe9\t14\n", r"t\.txt, line 2: is not UTF-8"),
        ("t.csv", "user_id,item_id\n10,7\n", r"t\.csv: queries of sessions are read from \.txt"),
        ("gone.txt", None, r"gone\.txt: cannot be read: No such file"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: str | bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(MatineeError, match=message) as caught:
        splits.sessions(some_log(), test=tmp_path / name)
    assert "hint: " in str(caught.value) or "'x'" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": 0}, "test must be between 0 and 1, got 0"),
        ({"test": 0.5, "valid": 0.5}, "leave nothing for train"),
        ({"which": "first"}, "which='first' is unknown"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
    ],
)
def test_wrong_options_say_what_to_do(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MatineeError, match=message) as caught:
        splits.sessions(some_log(), **options)
    assert caught.value.hint


def test_logs_that_ask_nothing() -> None:
    lonely = dataset([(u, u, u) for u in range(9)])
    with pytest.raises(MatineeError, match="no event for valid"):
        splits.sessions(lonely)
    with pytest.raises(MatineeError, match="no event for train"):
        splits.sessions(dataset([(0, 1, 1), (0, 2, 2)]), valid=0.0)


def test_the_last_sessions_of_an_untimed_log_are_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("".join(f"{line} {line + 1} {line + 3}\n" for line in range(1, 41)))
    data = read(tmp_path / "s.txt", format="sessions")
    split = splits.sessions(data, valid=0.1, test=0.05, which="last")
    assert split.train.users.decode(np.unique(split.test.queries.user)) == [39, 40]
    assert split.train.users.decode(np.unique(split.valid.queries.user)) == [35, 36, 37, 38]


def test_of_sessions_that_ended_in_one_second_the_log_tells_the_last() -> None:
    """Sessions 1 to 40 end together; their last lines stand in the order of `ends`, not of codes."""
    ends = np.random.default_rng(3).permutation(np.arange(1, 41)).tolist()
    data = dataset([(u, u, 5) for u in range(1, 41)] + [(u, u + 1, 9) for u in ends])
    split = splits.sessions(data, valid=0.1, test=0.05, which="last")
    assert split.train.users.decode(np.unique(split.test.queries.user)) == sorted(10 * u for u in ends[-2:])
    assert split.train.users.decode(np.unique(split.valid.queries.user)) == sorted(10 * u for u in ends[-6:-2])


# --- recipes and the real set ----------------------------------------------------------------------------------------


def test_recipes_find_the_file_beside_a_named_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        '[split]\nstrategy = "sessions"\ntest = "d/t.txt"\n[evaluate]\nexclude_seen = false\n'
        '[[model]]\nname = "popularity"\n'
    )
    study = load_recipe(recipe)
    data = some_log()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MatineeError, match=r"d/t\.txt: cannot be read"):
        study.split_data(data, 0, tmp_path / "data")
    for folder, answer in ((tmp_path / "cache" / "matinee", 7), (tmp_path / "data", 14)):
        (folder / "d").mkdir(parents=True)
        (folder / "d" / "t.txt").write_text(f"21\t{answer}\n")
        (split,) = study.split_data(data, 0, tmp_path / "data")
        assert split.train.items.decode(split.test.truth.values) == [answer], "data_dir comes before the cache"
        assert study.files(tmp_path / "data") == [folder / "d" / "t.txt"]
    shares = study.model_copy(update={"split": {"strategy": "sessions", "test": 0.1}})
    assert shares.files() == [], "a share is no file"


def test_diginetica_is_split_as_in_the_literature() -> None:
    folder = real("diginetica")
    data = load("diginetica", data_dir=folder.parent)
    split = splits.sessions(data, test=folder / "test_prefix_target.txt", seed=3, exclude_seen=False)
    assert split.train_valid is not None
    assert int((split.train_valid.user_counts() - 1).sum()) == 719_470
    assert (split.train_valid.n_users, split.train.n_items) == (186_670, 43_097)
    assert len(np.unique(split.valid.queries.user)) == int(0.05 * 186_670)
    assert len(split.train) + len(split.valid) + len(np.unique(split.valid.queries.user)) == len(data)
    assert len(split.test) == 60_858
    assert split.test.truth.lengths.tolist() == [1] * 60_858
    lines = pl.read_csv(folder / "test_prefix_target.txt", separator="\t", has_header=False, new_columns=["h", "t"])
    codes = split.train.items.encode(lines["t"])
    assert split.test.truth.values.tolist() == codes.tolist()
    ids = [int(i) for line in lines["h"].cast(pl.String).to_list() for i in line.split()]
    assert split.train.items.decode(split.test.queries.history.values) == ids
    assert any("queries of test continue the session" in note for note in split.notes)
    assert not audit(split).failed
