"""Similar users against loops."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from contract.logs import groups, log
from matinee.data.dataset import Dataset
from matinee.data.ids import Id
from matinee.errors import MatineeError
from matinee.models.popularity import Popularity
from matinee.models.user_knn import UserKNN
from matinee.similar import similar_users


def slow(data: Dataset, user: Id) -> dict[Id, tuple[float, int]]:
    """User -> (cosine, items of both), in plain Python; users who share nothing are left out."""
    watched: dict[Id, set[int]] = {u: set() for u in data.users.decode(range(data.n_users))}
    for u, i in zip(data.users.decode(data.user), data.item.tolist(), strict=True):
        watched[u].add(i)
    holders = [sum(i in items for items in watched.values()) for i in range(data.n_items)]

    def product(a: set[int], b: set[int]) -> float:
        return sum(math.log(1 + data.n_users / holders[i]) ** 2 for i in a & b)

    mine = watched[user]
    return {
        u: (product(mine, items) / math.sqrt(product(mine, mine) * product(items, items)), len(mine & items))
        for u, items in watched.items()
        if u != user and mine & items
    }


@pytest.mark.parametrize("user", ["u000", "u013", "u089"])
def test_equals_loops(user: str) -> None:
    data = groups()
    wanted = slow(data, user)
    found = similar_users(data, user, data.n_users)
    assert found.columns == ["user_id", "similarity", "shared"]
    assert len(found) == len(wanted)
    for who, similarity, shared in found.iter_rows():
        assert similarity == pytest.approx(wanted[who][0], rel=1e-6)
        assert shared == wanted[who][1]
    assert all(a >= b for a, b in pairwise(found["similarity"].to_list()))
    assert similar_users(data, user, 4).equals(found.head(4))


def test_every_model_answers_alike_and_user_knn_means_the_same() -> None:
    data = groups()
    found = similar_users(data, "u013", 3)
    assert similar_users(Popularity().fit(data), "u013", 3).equals(found)
    model = UserKNN(k=1).fit(data)
    scores = model.score(data.queries(["u013"]))[0]
    nearest = data.users.code(found["user_id"][0])
    assert scores.max() == pytest.approx(found["similarity"][0], rel=1e-5)
    assert set(scores.nonzero()[0]) >= set(data.histories()[nearest].tolist())


def test_repeats_count_once_and_equals_go_by_id() -> None:
    data = log(["a", "a", "b", "c", "d"], [1, 1, 1, 1, 2], more_users=["e"])
    assert similar_users(data, "a").rows() == [("b", pytest.approx(1.0), 1), ("c", pytest.approx(1.0), 1)]
    assert similar_users(data, "d").rows() == []
    assert similar_users(data, "e").rows() == []


def test_refusals() -> None:
    data = groups()
    with pytest.raises(MatineeError, match="unknown user 'u00x'"):
        similar_users(data, "u00x")
    for k in (0, 1.5):
        with pytest.raises(MatineeError, match="is not a number of users"):
            similar_users(data, "u000", k)  # type: ignore[arg-type]
    with pytest.raises(MatineeError, match="is not fitted"):
        similar_users(Popularity(), "u000")
