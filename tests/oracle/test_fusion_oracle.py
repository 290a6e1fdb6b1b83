"""Rank fusion against ranx (Bassani & Romelli, CIKM 2022): the same sums, and so the same lists."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from matinee.data.arrays import Floats, Ragged
from matinee.models.families.fusion import MemberScores, Method, make_comparable
from matinee.rank import top_k

# ours -> ranx's way to make scores comparable, and to join them; its own name for 60 is the default of both
WAYS: dict[Method, tuple[str | None, str, dict[str, Any]]] = {
    "rank": (None, "rrf", {"k": 60}),
    "borda": (None, "bordafuse", {}),
    "zscore": ("zmuv", "sum", {}),
    "minmax": ("min-max", "sum", {}),
}
N_QUERIES, N_ITEMS = 7, 40


def members(seed: int) -> list[Floats]:
    """Three models' scores without equal ones, on scales far apart, one of them skewed."""
    rng = np.random.default_rng(seed)
    shape = N_QUERIES, N_ITEMS
    found = rng.normal(3.0, 5.0, shape), rng.exponential(200.0, shape), rng.uniform(-0.001, 0.001, shape)
    return [each.astype(np.float32) for each in found]


def ours(scores: list[Floats], method: Method) -> Floats:
    comparable = [each.copy() for each in scores]
    for each in comparable:
        make_comparable(each, Ragged.empty(N_QUERIES), method)
    return MemberScores(comparable, np.ones((N_QUERIES, N_ITEMS), np.bool_)).mixed(np.ones(len(scores)))


def theirs(scores: list[Floats], method: Method) -> NDArray[np.float64]:
    ranx = pytest.importorskip("ranx")
    norm, way, params = WAYS[method]
    runs = [
        ranx.Run({f"q{q}": {f"i{i}": float(x) for i, x in enumerate(row)} for q, row in enumerate(each)})
        for each in scores
    ]
    found = ranx.fuse(runs=runs, norm=norm, method=way, params=params).to_dict()
    return np.array([[found[f"q{q}"][f"i{i}"] for i in range(N_ITEMS)] for q in range(N_QUERIES)])


def test_methods_that_ranx_has_are_all_here() -> None:
    assert set(get_args(Method)) - set(WAYS) == {"softmax", "raw"}


@pytest.mark.filterwarnings("ignore:unsafe cast from uint64 to int64")  # in ranx
@pytest.mark.slow  # ranx compiles its loops when it is first asked, which takes most of a minute
@pytest.mark.parametrize("method", WAYS)
@pytest.mark.parametrize("seed", [0, 1])
def test_fused_scores_are_those_of_ranx(method: Method, seed: int) -> None:
    scores = members(seed)
    mine, other = ours(scores, method), theirs(scores, method)
    if method == "borda":  # from 1 for the best to 0 for the last; ranx counts from n to 1
        other = (other - len(scores)) / (N_ITEMS - 1)
    np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-5)
    places, _, _ = top_k(mine, 10)
    for row, line in zip(places, other, strict=True):
        assert line[row].tolist() == pytest.approx(np.sort(line)[::-1][:10].tolist(), abs=2e-5)
