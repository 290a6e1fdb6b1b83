"""What an ensemble learned: its members and their weights, also for groups of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Queries
from matinee.models import registry
from matinee.models.base import Shapes
from matinee.models.families.composite import Members
from matinee.models.families.fusion import Weights

GroupedBy = Literal["history", "gap"]
OneEach = tuple[float, ...]
"""A number for each member."""


def check_weights(rows: Sequence[OneEach], n: int, edges: OneEach | None) -> None:
    """Raise ValueError for weights, a row for each group, that are not those of n members; and for edges of groups,
    where these are of groups, that do not ascend or are not between as many rows."""
    for row in rows:
        if len(row) != n:
            raise ValueError(f"{len(row)} weights for {n} members")
        if min(row) < 0 or max(row) == 0:
            raise ValueError(f"weights {list(row)}: none may be negative, and one must be positive")
    groups = len(edges or ()) + 1
    if edges is not None and list(edges) != sorted(set(edges)):
        raise ValueError(f"edges {list(edges)}: each is larger than the one before")
    if len(rows) > 1 and len(rows) != groups:
        raise ValueError(f"{len(rows)} lists of weights for {groups} group{'s' if groups > 1 else ''}")


def rows_of(weights: OneEach | tuple[OneEach, ...] | None) -> tuple[OneEach, ...]:
    """Given weights, a row for each group; without any, no row."""
    given: Any = weights or ()
    return given if not given or isinstance(given[0], tuple) else (given,)


@dataclass(frozen=True)
class Mixture(Members):
    """members: M fitted models. weights: float64 (M,), not negative, 1 in sum; (E + 1, M) where groups of queries have
    weights of their own. edges: float64 (E,), where the groups after the first begin. path: float64 (S, 2), of a greedy
    search the member added in each step and the metric with it; else without rows."""

    weights: Weights
    edges: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    path: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        groups, n = len(self.edges) + 1, len(self.members)
        return {"weights": (n,) if groups == 1 else (groups, n), "path": (len(self.path), 2)}

    def weights_for(self, queries: Queries, by: GroupedBy | None) -> Weights:
        """float64 (M,), or (B, M) where groups have weights of their own."""
        return self.weights if by is None or not len(self.edges) else self.weights[group_of(queries, by, self.edges)]

    def summary(self, by: GroupedBy | None) -> str:
        """The weights in words, of groups one after the other."""
        names = [registry.name_of(member) for member in self.members]
        unit = "events" if by == "history" else "days"
        starts = ["", *(f"from {edge:g} {unit} on: " for edge in self.edges)]
        rows = np.atleast_2d(self.weights).tolist()
        each = [", ".join(f"{n} {w:.2f}" for n, w in zip(names, row, strict=True)) for row in rows]
        return "weights " + "; ".join(start + row for start, row in zip(starts, each, strict=True))


def grouped_value(queries: Queries, by: GroupedBy) -> NDArray[np.float64]:
    """float64 (B,): events known of each user; or days from the latest of them to the request, infinite where a time is
    not known."""
    lengths = queries.history.lengths
    if by == "history":
        return lengths.astype(np.float64)
    days = np.full(len(queries), np.inf)
    if queries.history_times is None or queries.request_time is None:
        return days
    some = np.flatnonzero(lengths)
    latest = np.maximum.reduceat(queries.history_times, queries.history.offsets[some]) if len(some) else np.empty(0)
    days[some] = np.maximum(queries.request_time[some] - latest, 0) / 86_400
    return days


def group_of(queries: Queries, by: GroupedBy, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64 (B,): 0 below the first edge, len(edges) from the last on."""
    return np.searchsorted(edges, grouped_value(queries, by), side="right")
