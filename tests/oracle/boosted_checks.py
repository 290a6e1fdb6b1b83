"""Trees and two stages against loops over rows and nodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from contract.logs import groups, last_hidden
from matinee.models.ease import EASE
from matinee.models.item_knn import ItemKNN
from matinee.models.lightgbm import LightGBM
from matinee.models.rerank import Rerank
from matinee.rank import recommend


def walked(text: str, row: dict[int, float]) -> float:
    """The sum of the leaves that one row reaches, from LightGBM's text: no column is categorical here."""
    total = 0.0
    for tree in text.split("\nTree=")[1:]:
        said = dict(line.split("=", 1) for line in tree.splitlines() if "=" in line)
        leaves = [float(x) for x in said["leaf_value"].split()]
        if len(leaves) == 1:
            total += leaves[0]
            continue
        names = ("split_feature", "threshold", "left_child", "right_child", "decision_type")
        column, threshold, left, right, kind = ([float(x) for x in said[name].split()] for name in names)
        node = 0
        while node >= 0:
            x, missing = row[int(column[node])], (int(kind[node]) >> 2) & 3
            if np.isnan(x) and missing == 2:
                below = bool(int(kind[node]) & 2)
            else:
                below = (0.0 if np.isnan(x) else x) <= threshold[node]
            node = int((left if below else right)[node])
        total += leaves[-1 - node]
    return total


def check_trees_are_walked() -> None:
    """Scores are the leaves' sums, and the rows' plain columns what they are called."""
    train, valid = last_hidden(groups())
    model = LightGBM(n_trees=8, min_rows=5, n_neighbours=20, fields=()).fit(train)
    rows, similar = model.engine.rows, ItemKNN(k=20).fit(train).score(valid.queries)
    item, few = np.arange(train.n_items), np.arange(0, len(valid), 17)
    scores = model.score(valid.queries)
    for b in few:
        query = valid.queries.slice(int(b), int(b) + 1)
        X = rows.of(query, np.zeros(len(item), np.int64), item)
        at = {name: X[:, column] for column, name in enumerate(rows.names)}
        known = train.item_counts() > 0
        assert (at["history length"] == len(query.history.values)).all()
        assert (at["item count"] == train.item_counts()).all()
        np.testing.assert_allclose(
            at["similar"][known], similar[b, known] / similar[b, known].max(), rtol=1e-4, atol=1e-6
        )
        assert query.history_times is not None
        assert train.timestamp is not None
        for i in np.flatnonzero(known)[::9]:
            assert train.value is not None
            mine = train.item == i
            mean = (train.value[mine].sum() + 5 * train.value.mean()) / (mine.sum() + 5)
            np.testing.assert_allclose(at["item mean"][i], mean, rtol=1e-5)
            first = (query.history_times[-1] - train.timestamp[mine].min()) / 86_400
            np.testing.assert_allclose(at["days since the item's first event"][i], first, rtol=1e-4, atol=1e-6)
            slow = walked(model.fitted.learned.trees, dict(enumerate(X[i].astype(np.float64).tolist())))
            np.testing.assert_allclose(scores[b, i], slow, rtol=1e-5, atol=1e-6)


def check_two_stages() -> None:
    """The second's best among the first's best, by sets and sorts."""
    train, valid = last_hidden(groups())
    first, second = EASE(l2=20.0).fit(train), ItemKNN(k=20).fit(train)
    found = recommend(Rerank(first=first, second=second, n=9).fit(train), valid.queries, 9).item
    one, two = first.score(valid.queries), second.score(valid.queries)
    for b in range(len(valid)):
        free = set(np.flatnonzero(one[b] > -np.inf).tolist()) - set(valid.queries.exclude[b].tolist())
        brought = sorted(free, key=lambda i: (-one[b, i], i))[:9]
        assert found[b].tolist() == sorted(brought, key=lambda i: (-two[b, i], i))


CHECKS: dict[str, list[Callable[[], None]]] = {"lightgbm": [check_trees_are_walked], "rerank": [check_two_stages]}
