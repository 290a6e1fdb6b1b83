"""Groups of metrics: all of them once, none too wide, those that repeat another one folded."""

from __future__ import annotations

import numpy as np
import pytest

from matinee.data.dataset import Protocol
from matinee.report.metric_groups import MOST, grouped, packed
from matinee.report.scores import Cell, Row, Table

PROTOCOL = Protocol("log", "leave one out", "test", "train", "train")


def table(columns: dict[tuple[str, int], list[float | None]]) -> Table:
    n = len(next(iter(columns.values())))
    rows = tuple(
        Row(f"m{at}", "ease", tuple(None if (v := c[at]) is None else Cell(v, None, (v,)) for c in columns.values()))
        for at in range(n)
    )
    return Table("f", "test", PROTOCOL, tuple(columns), rows, (9, 9), (0,), 1, tested=False)


@pytest.mark.parametrize("sizes", [[2] * 6, [1], [3, 3, 3], [12], [1, 12, 1], [4, 4], [7, 1], [1] * 15, []])
def test_neighbours_are_packed_in_order(sizes: list[int]) -> None:
    found = packed(sizes)
    assert [at for pack in found for at in pack] == list(range(len(sizes)))
    for pack in found:
        assert len(pack) <= 1 or sum(sizes[at] for at in pack) <= MOST


def test_twelve_columns_become_two_groups_of_six() -> None:
    assert packed([2] * 6) == [[0, 1, 2], [3, 4, 5]]


def test_metrics_that_repeat_another_are_folded_where_one_item_is_hidden() -> None:
    recall, mrr = {1: [0.2, 0.5], 5: [0.4, 0.6]}, {1: [0.1, 0.3], 5: [0.2, 0.4]}
    columns: dict[tuple[str, int], list[float | None]] = {}
    for k in (1, 5):
        columns[("recall", k)] = list(recall[k])
        columns[("precision", k)] = [v / k for v in recall[k]]
        columns[("mrr", k)] = list(mrr[k])
        columns[("map", k)] = list(mrr[k])
        columns[("hit_rate", k)] = [recall[k][0], recall[k][1] + 1e-3 * (k == 5)]  # not equal: stays
    found = grouped(table(columns), one_answer=True)
    assert [list(group.heads) for group in found.groups] == [["recall", "mrr", "hit_rate"]]
    assert found.folded == (
        "Each query hides one item, so precision is recall divided by k and map is mrr: shown once.",
    )
    assert [list(columns)[at] for at in found.columns] == [
        (m, k) for m in ("recall", "mrr", "hit_rate") for k in (1, 5)
    ]
    whole = grouped(table(columns), one_answer=False)
    assert whole.folded == ()
    assert sorted(whole.columns) == list(range(10))


def test_rows_are_ranked_by_each_column() -> None:
    columns: dict[tuple[str, int], list[float | None]] = {
        ("ndcg", 5): [0.3, None, 0.5, 0.4],
        ("rmse", 0): [1.1, 0.9, None, 1.0],
    }
    (group,) = grouped(table(columns), one_answer=False).groups
    by_ndcg, by_rmse = np.array(group.ranks).T.tolist()
    assert by_ndcg == [2, 3, 0, 1]
    assert by_rmse == [2, 0, 3, 1]
