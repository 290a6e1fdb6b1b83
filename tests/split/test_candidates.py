"""What is ranked, and which hidden rows are answers: labels, each query's own rows, files of sampled negatives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import matinee as mt
from matinee import split as splits
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Holdout, Pairs, Protocol, Queries, Split
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, MatineeWarning
from matinee.evaluate import compare

few = settings(max_examples=50)

Row = tuple[int, int, int]  # user, item, label


def dataset(rows: Sequence[Row]) -> Dataset:
    """User u has the id 10 u, item i the id 7 i; codes are u and i where all occur."""
    user, item, label = (np.array(column) for column in zip(*rows, strict=True))
    users, items = (
        IdMap.from_series(pl.Series(ids), what=what) for ids, what in ((user * 10, "user"), (item * 7, "item"))
    )
    coded = users.encode(pl.Series(user * 10)), items.encode(pl.Series(item * 7))
    return Dataset(users, items, *coded, value=label.astype(np.float32), name="clicks")


@st.composite
def holdouts(draw: st.DrawFn) -> Holdout:
    """A few queries (of users 0, 1, ...) with hidden rows, some of them repeated, and exclusions that may hit them."""
    n = draw(st.integers(1, 4))
    code = st.integers(0, 9)
    rows = draw(st.lists(st.tuples(st.integers(0, n - 1), code, st.integers(0, 1)), min_size=1, max_size=25))
    query, item, label = (np.array(column, np.int32) for column in zip(*sorted(rows), strict=True))
    exclude = Ragged.from_lists([sorted(draw(st.sets(code, max_size=3))) for _ in range(n)])
    asked = Queries(np.arange(n, dtype=np.int32), Ragged.empty(n), exclude)
    pairs = Pairs(query, item, query, label=label.astype(np.float32))
    truth = splits.parts.answers(query.astype(np.int64), item, exclude, 10)
    return Holdout(asked, truth, Protocol("d", "by hand", "test", "train", "train"), pairs)


def random_clicks(*, repeats: bool = False) -> Dataset:
    rng = np.random.default_rng(3)
    rows = []
    for user in range(30):
        items = rng.choice(40, size=rng.integers(8, 25), replace=repeats)
        rows += [(user, int(item), int(rng.random() < 0.2 + 0.6 * (item % 2))) for item in items]
    return dataset(rows)


@pytest.fixture(scope="module")
def split() -> Split:
    return splits.random(random_clicks(), by="row", valid=0.1, test=0.3, seed=1)


# --- labels -----------------------------------------------------------------------------------------------------------


@few
@given(holdouts())
def test_answers_are_the_items_with_a_row_labelled_one(held: Holdout) -> None:
    found = splits.labelled(splits_of(held)).test
    expected = defaultdict(set)
    assert held.pairs is not None
    assert held.pairs.label is not None
    for query, item, label in zip(held.pairs.query, held.pairs.item, held.pairs.label, strict=True):
        if label == 1 and item not in held.queries.exclude[query]:
            expected[int(query)].add(int(item))
    assert [set(found.truth[b].tolist()) for b in range(len(held))] == [expected[b] for b in range(len(held))]
    assert len(found.truth.values) == sum(map(len, expected.values())), "each once"


def splits_of(held: Holdout) -> Split:
    """A split whose test this is."""
    data = dataset([(0, 0, 1)])
    nothing = replace(held, queries=held.queries.slice(0, 0), truth=Ragged.empty(0), pairs=None)
    return Split(data, nothing, held)


def test_labels_change_the_answers_and_say_so(split: Split) -> None:
    found = splits.labelled(split)
    assert found.train is split.train
    assert found.train.value is not None
    assert set(found.train.value.tolist()) == {0, 1}, "a model may learn from both"
    assert found.train.matrix(values=True).nnz == len(found.train), "rows labelled 0 stand in the matrix of ratings"
    for part, before in ((found.valid, split.valid), (found.test, split.test)):
        assert part.pairs is before.pairs, "what is predicted stays"
        assert 0 < len(part.truth.values) < len(before.truth.values)
        assert part.protocol.fingerprint != before.protocol.fingerprint
        assert part.protocol.split == "random by row, valid .1, test .3, answers = rows labelled 1"
    silent = sum(len(found.test.truth[b]) == 0 for b in range(len(found.test)))
    assert f"{silent} of {len(split.test)} queries of test have no row labelled 1, so no answer" in found.notes
    again = splits.labelled(found)
    assert again.test.protocol == found.test.protocol


def test_ratings_are_no_labels() -> None:
    data = dataset([(u, i, 1 + (u + i) % 5) for u in range(6) for i in range(8)])
    made = splits.random(data, by="row", test=0.3, seed=0)
    for call in (lambda: splits.labelled(made), lambda: splits.observed(made.test)):
        with pytest.raises(MatineeError, match=r"run from \d to 5, not 0 and 1") as caught:
            call()
        assert "label_min" in str(caught.value.hint)


def test_hidden_pairs_without_labels_stay_answers(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("user_id,item_id\n0,700\n10,700\n")
    made = splits.provided(random_clicks(), test=tmp_path / "test.csv")
    assert splits.labelled(made).test is made.test
    with pytest.raises(MatineeError, match="have no labels"):
        splits.observed(made.test)


# --- each query's own rows --------------------------------------------------------------------------------------------


@few
@given(holdouts())
def test_observed_ranks_the_hidden_rows_and_nothing_else(held: Holdout) -> None:
    found = splits.observed(held)
    assert found.queries.candidates is not None
    assert held.pairs is not None
    for b, row in enumerate(found.queries.candidates.tolist()):
        own = set(held.pairs.item[held.pairs.query == b].tolist()) - set(held.queries.exclude[b].tolist())
        listed = [code for code in row if code >= 0]
        assert listed == sorted(own)
        assert set(found.truth[b].tolist()) <= own
    assert found.truth.values.tolist() == splits.labelled(splits_of(held)).test.truth.values.tolist()


def test_observed_is_what_is_recommended(split: Split) -> None:
    held = splits.observed(split.test)
    assert held.protocol.candidates == "each query's own hidden rows"
    recs = mt.recommend(mt.models.Popularity().fit(split.train), held.queries, k=40)
    count = split.train.item_counts()
    assert split.test.pairs is not None
    for b in range(len(held)):
        own = set(split.test.pairs.item[split.test.pairs.query == b].tolist())
        known = [code for code in own if count[code] > 0]
        wanted = sorted(known, key=lambda code: (-count[code], code))
        assert [code for code in recs.item[b].tolist() if code >= 0] == wanted
    result = mt.evaluate(recs, held, k=40, metrics=["recall"])
    everything = mt.evaluate(
        mt.recommend(mt.models.Popularity().fit(split.train), splits.labelled(split).test.queries, k=40),
        splits.labelled(split).test,
        k=40,
        metrics=["recall"],
    )
    assert result.mean("recall", 40).value == pytest.approx(1.0), "whoever ranks only what was watched finds it"
    assert everything.notes == ()
    with pytest.raises(MatineeError, match="different protocols"):
        compare(result, everything)


def test_a_refit_is_ranked_by_the_same_rule(split: Split) -> None:
    _, test = splits.refitted(splits.labelled(split))
    held = splits.with_candidates(test, "observed", split.train.users, split.train.items)
    plain = splits.observed(split.test)
    assert held.queries.candidates is not None
    assert plain.queries.candidates is not None
    assert held.queries.candidates.tolist() == plain.queries.candidates.tolist()
    assert "fitted on train + valid" in held.protocol.history
    assert splits.with_candidates(test, "all", split.train.users, split.train.items) is test


# --- sampled negatives ------------------------------------------------------------------------------------------------


@pytest.fixture
def left_out() -> Split:
    """Users 0 to 4 (ids 0 to 40) watched six of ten films (ids 0 to 63) in order; the last is hidden."""
    return splits.leave_one_out(
        dataset([(u, (u + 2 * n) % 10 if n < 5 else (u + 1) % 10, 1) for u in range(5) for n in range(6)])
    )


def negatives(folder: Path, text: str) -> Path:
    path = folder / "test.negative"
    path.write_bytes(text.encode())
    return path


def given_lines(held: Holdout, path: Path, split: Split) -> Holdout:
    return splits.sampled(held, path, split.train.users, split.train.items)


def test_a_line_is_a_query(left_out: Split, tmp_path: Path) -> None:
    test, items = left_out.test, left_out.train.items
    assert test.pairs is not None
    hidden = {int(u): items.ids[i] for u, i in zip(test.pairs.user, test.pairs.item, strict=True)}
    # user 10 has watched the film 7, which is therefore not ranked; 49 stands there twice
    text = f"(10,{hidden[1]})\t7\t49\t35\t49\r\n( 0 , {hidden[0]} )\t21 \n\n(20,{hidden[2]})\t{hidden[2]}\t7\n"
    with pytest.warns(MatineeWarning, match="2 of 5 queries of the split have no line"):
        held = given_lines(test, negatives(tmp_path, text), left_out)
    assert held.queries.user.tolist() == [1, 0, 2]
    assert held.truth.values.tolist() == [items.code(int(hidden[u])) for u in (1, 0, 2)]
    assert held.queries.candidates is not None
    listed = [{int(items.ids[code]) for code in row if code >= 0} for row in held.queries.candidates]
    watched = set(left_out.test.queries.exclude[1].tolist())
    assert items.code(7) in watched
    ranked = [{hidden[1], 7, 49, 35}, {hidden[0], 21}, {hidden[2], 7}]
    excluded = [{int(items.ids[c]) for c in test.queries.exclude[u]} for u in (1, 0, 2)]
    assert listed == [one - two for one, two in zip(ranked, excluded, strict=True)]
    assert [held.queries.history[b].tolist() for b in range(3)] == [test.queries.history[u].tolist() for u in (1, 0, 2)]
    assert held.protocol.candidates.startswith("as given in test.negative ")
    other = given_lines_quietly(test, negatives(tmp_path, text.replace("49", "56")), left_out)
    assert other.protocol.fingerprint != held.protocol.fingerprint
    recs = mt.recommend(mt.models.Popularity().fit(left_out.train), held.queries, k=5)
    found = mt.evaluate(recs, held, k=5, metrics=["hit_rate"])
    assert found.n_queries == 3
    assert len(found.notes) == 1


def given_lines_quietly(held: Holdout, path: Path, split: Split) -> Holdout:
    with pytest.warns(MatineeWarning):
        return given_lines(held, path, split)


def test_several_lines_of_one_user_are_several_queries(tmp_path: Path) -> None:
    rows = [(u, i, 1) for u in range(4) for i in range(10)]
    made = splits.random(dataset(rows), test=0.3, valid=0.0, seed=2)
    first, second = (int(made.train.items.ids[code]) for code in made.test.truth[3][:2])
    seen = made.train.items.ids[made.train.item[made.train.user == 3]][0]
    path = negatives(tmp_path, f"(30,{first})\t{second}\n(30,{second})\t{first}\t{seen}\n")
    held = given_lines_quietly(made.test, path, made)
    assert held.queries.user.tolist() == [3, 3]
    assert [len(held.truth[b]) for b in range(2)] == [1, 1]
    assert held.queries.candidates is not None
    assert [sorted(made.train.items.ids[row[row >= 0]].tolist()) for row in held.queries.candidates] == [
        sorted([first, second])
    ] * 2


def test_strangers_and_unknown_negatives_are_warnings(left_out: Split, tmp_path: Path) -> None:
    test, items = left_out.test, left_out.train.items
    lines = [f"({10 * u},{items.ids[test.truth[u][0]]})\t0\t7\t14\t21\t28\t35" for u in range(5)]
    path = negatives(tmp_path, "\n".join([*lines, "(999,0)\t7", "(nobody,what)\tx\ty"]))
    with pytest.warns(MatineeWarning) as caught:
        held = given_lines(test, path, left_out)
    texts = [str(one.message) for one in caught]
    assert [text.partition(": ")[2] for text in texts] == [
        "2 of 7 lines are of users without a query in the split: left out",
        "2 negatives are items not in the log: left out",
    ]
    assert len(held) == 5


def test_text_ids(tmp_path: Path) -> None:
    users = IdMap(np.array(["ann", "bob"], object), what="user")
    items = IdMap(np.array([f"film {c}" for c in "abcdef"], object), what="item")
    user, item = np.repeat(np.arange(2, dtype=np.int32), 4), np.tile(np.array([3, 1, 5, 0], np.int32), 2)
    made = splits.leave_one_out(Dataset(users, items, user, item))
    path = negatives(tmp_path, "\ufeff(bob,film a)\tfilm c\tfilm e\n(ann,film a)\tfilm c")
    held = given_lines(made.test, path, made)
    assert held.queries.user.tolist() == [1, 0]
    assert held.queries.candidates is not None
    assert held.queries.candidates.tolist() == [[0, 2, 4], [0, 2, -1]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"test\.negative: holds no line"),
        ("(0,1)\n", r"line 1: is no line of sampled negatives: '\(0,1\)' with 0 negatives"),
        ("\n0,1\t3\n", r"line 2: is no line of sampled negatives: '0,1'"),
        ("(0,1,2)\t3\n", "line 1: is no line"),
        ("(0,0)\t3\n", r"test\.negative, line 1: item 0 of user 0 is no answer of this split\n"),
        ("(0,5)\t3\n", "line 1: its item of user 0 is no answer"),
        ("(999,7)\t3\n", "none of the users has a query"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(text: str, says: str, left_out: Split, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match=says):
        given_lines(left_out.test, negatives(tmp_path, text), left_out)


def test_files_that_cannot_be_read(left_out: Split, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="cannot be read"):
        given_lines(left_out.test, tmp_path / "nothing.negative", left_out)
    (tmp_path / "latin").write_bytes(b"(0,1)\t3\n(caf\xe9,1)\t3\n")
    with pytest.raises(MatineeError, match=r"line 2: is not UTF-8"):
        given_lines(left_out.test, tmp_path / "latin", left_out)
