"""Files of hidden pairs against a model, or against a file of recommendations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee.data.dataset import Dataset, Holdout
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, MatineeWarning


def log() -> Dataset:
    """1 watched 10, 20; 2 watched 20, 30 (the newer first in the log)."""
    return Dataset(
        IdMap([1, 2], what="user"),
        IdMap([10, 20, 30], what="item"),
        np.array([0, 0, 1, 1], np.int32),
        np.array([0, 1, 2, 1], np.int32),
        value=np.array([1, 2, 3, 4], np.float32),
        timestamp=np.array([1, 2, 9, 3]),
    )


class Loaded:
    """As much of a fitted model as hidden pairs need."""

    def __init__(self, data: Dataset) -> None:
        self.data = data


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def rows(holdout: Holdout) -> list[list[int]]:
    return [holdout.truth[b].tolist() for b in range(len(holdout))]


def test_hidden_pairs_are_asked_with_the_histories_of_the_models_log(tmp_path: Path) -> None:
    truth = written(tmp_path / "t.csv", "user_id,item_id\n2,10\n1,30\n1,99\n")
    holdout = mt.hidden_pairs(Loaded(log()), truth)
    queries = holdout.queries
    assert queries.user.tolist() == [0, 1]
    assert [queries.history[b].tolist() for b in (0, 1)] == [[0, 1], [1, 2]]
    assert queries.exclude is queries.history
    assert queries.history_ratings is not None
    assert queries.history_times is not None
    assert queries.history_ratings.tolist() == [1, 2, 4, 3]
    assert queries.history_times.tolist() == [1, 2, 3, 9]
    assert rows(holdout) == [[2, 3], [0]], "an unknown item is an answer with a code past the end"
    assert holdout.protocol.split.startswith("provided, t.csv ")
    assert (holdout.protocol.data, holdout.protocol.exclude) == (log().fingerprint, "the model's log")


def test_users_the_log_does_not_know_have_empty_histories(tmp_path: Path) -> None:
    truth = written(tmp_path / "t.csv", "user_id,item_id\n0,10\n2,10\n5,10\n")
    with pytest.warns(MatineeWarning, match="2 of 3 users are not in the model's log"):
        queries = mt.hidden_pairs(Loaded(log()), truth).queries
    assert queries.user.tolist() == [-1, 1, -1]
    assert queries.history.lengths.tolist() == [0, 2, 0]
    assert queries.history_times is not None
    assert queries.history_times.tolist() == [3, 9]


def test_a_model_is_not_measured_on_what_it_was_fitted_on(tmp_path: Path) -> None:
    truth = written(tmp_path / "t.csv", "user_id,item_id\n1,20\n1,30\n")
    with pytest.raises(MatineeError, match="1 of the 2 hidden pairs is in the log"):
        mt.hidden_pairs(Loaded(log()), truth)
    repeats = mt.hidden_pairs(Loaded(log()), truth, exclude_seen=False)
    assert rows(repeats) == [[1, 2]]
    assert repeats.queries.exclude.lengths.tolist() == [0]
    assert repeats.protocol.exclude == "nothing"
    with pytest.raises(MatineeError, match="without histories"):
        mt.hidden_pairs(Loaded(log().rows(np.zeros(4, bool))), truth)


def test_recommendations_by_rank_or_by_score(tmp_path: Path) -> None:
    truth = written(tmp_path / "t.csv", "user_id,item_id\n1,30\n2,10\n")
    by_rank = written(tmp_path / "r.csv", "user_id,item_id,rank\n2,10,2\n1,30,1\n2,77,1\n9,10,1\n")
    recs, holdout = mt.read_recommendations(by_rank, truth)
    assert recs.to_frame()["item_id"].to_list() == [30, 77, 10]
    assert recs.user.tolist() == [0, 1]
    assert recs.item[0, 1] == -1
    assert mt.evaluate(recs, holdout, k=[1, 2], metrics=["recall"]).mean("recall", 1).value == 0.5
    assert mt.evaluate(recs, holdout, k=[1, 2], metrics=["recall"]).mean("recall", 2).value == 1.0
    by_score = written(tmp_path / "s.csv", "user_id,item_id,score\n2,10,.2\n1,30,-4\n2,77,.9\n")
    scored, _ = mt.read_recommendations(by_score, truth)
    assert scored.item.tolist() == recs.item.tolist()


def test_users_without_recommendations_are_misses(tmp_path: Path) -> None:
    truth = written(tmp_path / "t.csv", "user_id,item_id\n1,30\n2,10\n")
    path = written(tmp_path / "r.csv", "user_id,item_id,rank\n1,30,1\n")
    with pytest.warns(MatineeWarning, match="1 of 2 users has no recommendations in r.csv: counted as a miss"):
        recs, holdout = mt.read_recommendations(path, truth)
    assert mt.evaluate(recs, holdout, k=1, metrics=["recall"]).mean("recall", 1).value == 0.5


def test_files_that_share_few_users_or_no_item_are_doubted(tmp_path: Path) -> None:
    truth = written(tmp_path / "t.csv", "user_id,item_id\n" + "".join(f"{u},10\n" for u in range(9)))
    few = written(tmp_path / "few.csv", "user_id,item_id,rank\n" + "".join(f"{u},10,1\n" for u in range(7, 17)))
    with pytest.warns(MatineeWarning) as warned:
        mt.read_recommendations(few, truth)
    assert [str(w.message) for w in warned] == [
        "only 2 of the 10 users of few.csv and 9 with hidden pairs are in both files: check the ids of both",
        "7 of 9 users have no recommendations in few.csv: counted as misses",
    ]
    other = written(tmp_path / "o.csv", "user_id,item_id,rank\n" + "".join(f"{u},Heat,1\n" for u in range(9)))
    with pytest.warns(MatineeWarning, match=r"no item of o\.csv is a hidden item"):
        recs, holdout = mt.read_recommendations(other, truth)
    assert mt.evaluate(recs, holdout, k=1, metrics=["recall"]).mean("recall", 1).value == 0
    strange = written(tmp_path / "s.csv", "user_id,item_id\n1,77\n2,78\n")
    with pytest.warns(MatineeWarning, match="no hidden item is in the model's log"):
        mt.hidden_pairs(Loaded(log()), strange)


def test_the_row_that_names_an_item_again_is_named(tmp_path: Path) -> None:
    truth = written(tmp_path / "t.csv", "user_id,item_id\n1,30\n")
    text = "user_id,item_id,score\n1,30,9\n2,30,5\n1,20,7\n2,30,4\n1,30,1\n"
    with pytest.raises(MatineeError, match=r"the list of user 2 names item 30 a second time, and 1 more row") as error:
        mt.read_recommendations(written(tmp_path / "r.csv", text), truth)
    assert error.value.where == "r.csv, row 5"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user_id,item_id\n1,30\n", "no column 'rank' or 'score'; it has 'user_id', 'item_id'"),
        ("user_id,item_id,rank\n1,30,1\n1,20,1\n", "user 1 has two items at rank 1"),
        ("user_id,item_id,rank\n8,30,1\n", "none of its users has a hidden pair"),
    ],
)
def test_recommendations_that_are_refused(tmp_path: Path, text: str, words: str) -> None:
    truth = written(tmp_path / "t.csv", "user_id,item_id\n1,30\n")
    with pytest.raises(MatineeError, match=words) as error:
        mt.read_recommendations(written(tmp_path / "r.csv", text), truth)
    assert error.value.where == str(tmp_path / "r.csv")
