"""LightGBM's text of trees, looked through before LightGBM reads it: its parser follows every number it is given."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

END = "end of trees"


def trees_of(text: str) -> str:
    """The trees of a model's text. What follows them, importances and the parameters of the training, is not needed to
    answer."""
    return text[: text.index(END)] + END + "\n"


def check_trees(text: str, n_columns: int) -> None:
    """Raise ValueError unless the text is one ensemble of plain trees over n_columns columns, of which each can be
    walked to a leaf."""
    head, *trees = re.split(r"^Tree=\d+$", text, flags=re.MULTILINE)
    said = _entries(head)
    if not head.startswith("tree\n") or not text.endswith(f"{END}\n"):
        raise ValueError("it does not begin or end as LightGBM's text of trees does")
    wanted = {"num_class": "1", "num_tree_per_iteration": "1", "max_feature_idx": str(n_columns - 1)}
    for name, value in wanted.items():
        if said.get(name) != value:
            raise ValueError(f"{name} is {said.get(name)}, not {value}")
    sizes = said.get("tree_sizes", "").split()
    starts = [match.start() for match in re.finditer(r"^Tree=\d+$", text, flags=re.MULTILINE)]
    ends = [*starts[1:], text.index(END)] if starts else []
    if [str(b - a) for a, b in zip(starts, ends, strict=True)] != sizes:
        raise ValueError("tree_sizes are not those of the trees")
    for number, tree in enumerate(trees):
        _check_tree(_entries(tree), n_columns, f"tree {number}")


def _check_tree(said: dict[str, str], n_columns: int, where: str) -> None:
    n = int(said.get("num_leaves", "0"))
    if not 1 <= n <= 1 << 17 or said.get("is_linear", "0") != "0":
        raise ValueError(f"{where} has {n} leaves, or is linear")
    if not np.isfinite(_numbers(said, "leaf_value", n, where)).all():
        raise ValueError(f"{where} answers with numbers that are not finite")
    if n == 1:
        return
    column, kind = (_whole(said, name, n - 1, where) for name in ("split_feature", "decision_type"))
    threshold = _numbers(said, "threshold", n - 1, where)
    if not 0 <= column.min() <= column.max() < n_columns or not 0 <= kind.min() <= kind.max() < 16:
        raise ValueError(f"{where} splits by a column that does not exist")
    reached = np.concatenate([_whole(said, name, n - 1, where) for name in ("left_child", "right_child")])
    above = np.tile(np.arange(n - 1), 2)
    # children come after their parents, and each node and leaf (-1 - leaf) but the root is reached once
    if (
        sorted(reached.tolist()) != [*range(-n, 0), *range(1, n - 1)]
        or (reached[reached >= 0] <= above[reached >= 0]).any()
    ):
        raise ValueError(f"{where} is no tree")
    n_sets = int(said.get("num_cat", "0"))
    places = threshold[(kind & 1) == 1]
    if n_sets == 0 and not len(places):
        return
    bounds = _whole(said, "cat_boundaries", n_sets + 1, where)
    _whole(said, "cat_threshold", int(bounds[-1]), where)
    if bounds[0] != 0 or (np.diff(bounds) < 0).any() or not np.isin(places, np.arange(n_sets)).all():
        raise ValueError(f"{where} splits by a set that does not exist")


def _entries(text: str) -> dict[str, str]:
    lines = [line.partition("=") for line in text.splitlines() if "=" in line]
    found = {name: value for name, _, value in lines}
    if len(found) < len(lines):
        raise ValueError("a line stands twice")
    return found


def _numbers(said: dict[str, str], name: str, n: int, where: str) -> NDArray[np.float64]:
    found = np.array(said.get(name, "").split(), np.float64)
    if len(found) != n or np.isnan(found).any():
        raise ValueError(f"{where}: {name} are not {n} numbers")
    return found


def _whole(said: dict[str, str], name: str, n: int, where: str) -> NDArray[np.int64]:
    found = _numbers(said, name, n, where)
    if (np.abs(found) > 1 << 40).any():
        raise ValueError(f"{where}: {name} are no places")
    return found.astype(np.int64)
