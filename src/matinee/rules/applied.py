"""Rules made ready for the items of one model: masks, factors, counters and places, looked up once for all queries."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Bools, Floats, Ints, Ragged
from matinee.data.dataset import Dataset
from matinee.data.features.attributes import attribute_in, item_column
from matinee.data.ids import Id, IdMap
from matinee.data.items import find_items
from matinee.errors import MatineeError, MatineeWarning, counted, did_you_mean, either
from matinee.rules.expression import Expression
from matinee.rules.rules import Quota, Rules

POOL = 100  # best items of a query among which a list is chosen; where these are too few, among all
NO_LIMIT = np.iinfo(np.int64).max
TopK = Callable[[Floats, int], tuple[Ints, Floats, Bools]]


@dataclass(frozen=True)
class Counters:
    """Quotas as numbers. of: the counters of each item, int32 (n_items rows). most, least: int64 (C,)."""

    of: Ragged
    most: NDArray[np.int64]
    least: NDArray[np.int64]


@dataclass
class Applied:
    """forbidden: bool (n_items,). factor, add: float32 (n_items,), None without boosts. pinned: int32 (k,), -1 = free.
    Every `choose` adds to the numbers of queries that are told in the end."""

    forbidden: Bools
    factor: Floats | None
    add: Floats | None
    pinned: Ints
    counters: Counters | None
    quotas: tuple[Quota, ...]
    _queries: int = field(default=0)
    _unmet: int = field(default=0)
    _short: int = field(default=0)

    @classmethod
    def of(cls, rules: Rules, items: IdMap, data: Dataset | None, k: int) -> Applied:
        """Raises MatineeError for columns and items that do not exist, and for rules that no list can keep. Warns of
        rules that change nothing."""
        ready = _Items(items, data)
        forbidden = ready.forbidden(rules)
        factor, add = ready.boosts(rules)
        pinned = ready.pinned(rules, forbidden, k)
        counters = ready.counters(rules, forbidden, pinned, k)
        return cls(forbidden, factor, add, pinned, counters, rules.quota)

    def boost(self, scores: Floats, codes: Ints | None) -> None:
        """Boosted scores in place of scores (B, columns). codes: int32 (B, columns), the item of each column; None:
        columns are items."""
        if self.factor is None:
            return
        table = np.empty((0, 0), np.int32) if codes is None else codes
        arrays = (table, self.factor, self.add, scores)
        kernels.parallel(lambda a, b: kernels.rules.boost_rows(a, b, *arrays), len(scores), chunk=64)

    @property
    def chooses(self) -> bool:
        """Whether lists are more than the best scores."""
        return self.counters is not None or bool((self.pinned >= 0).any())

    def choose(
        self, scores: Floats, codes: Ints | None, pinnable: Bools, k: int, top_k: TopK
    ) -> tuple[Ints, Floats, Bools]:
        """Item codes int32 (B, k) and scores float32 (B, k), -1 and -inf where nothing is left; tied, bool (B,).

        pinnable: bool (B, k), whether the query may be given what is pinned at this place; a pinned item that the model
        cannot score has the score NaN.
        """
        pinned = np.where(pinnable, self.pinned[:k], np.int32(-1)).astype(np.int32)
        columns = scores.shape[1]
        pool = min(max(POOL, 4 * k), columns)
        chosen = self._chosen(scores, codes, pinned, k, top_k(scores, pool)[:2], whole=pool == columns)
        again = np.flatnonzero(~chosen.complete)
        if len(again):  # the pool was too small
            some = scores[again]
            order = np.argsort(-some, axis=1, kind="stable").astype(np.int32)
            ordered = np.take_along_axis(some, order, axis=1)
            found = np.where(ordered > -np.inf, order, np.int32(-1)), ordered
            part = self._chosen(some, None if codes is None else codes[again], pinned[again], k, found, whole=True)
            for name in ("item", "score", "tied", "unmet", "short"):
                getattr(chosen, name)[again] = getattr(part, name)
        self._queries += len(scores)
        self._unmet += int(chosen.unmet.sum())
        self._short += int(chosen.short.sum())
        return chosen.item, chosen.score, chosen.tied

    def _chosen(
        self, scores: Floats, codes: Ints | None, pinned: Ints, k: int, best: tuple[Ints, Floats], *, whole: bool
    ) -> _Chosen:
        column, score = best
        item = column
        if codes is not None:
            item = np.where(column >= 0, np.take_along_axis(codes, np.maximum(column, 0), axis=1), np.int32(-1))
        found = _Chosen.empty(len(scores), k)
        counters = self.counters or Counters(Ragged.empty(len(self.forbidden)), *(np.empty(0, np.int64),) * 2)
        arrays = (
            np.ascontiguousarray(item, np.int32), score, counters.of.offsets, counters.of.values, counters.most,
            counters.least, pinned, _scores_of(scores, codes, pinned), found.item, found.score, found.tied, found.unmet,
            found.short, found.complete,
        )  # fmt: skip
        kernels.parallel(lambda a, b: kernels.rules.choose_rows(a, b, whole, *arrays), len(scores), chunk=32)
        return found

    def tell(self) -> None:
        """Warn of lists that are not as the rules ask, with their number."""
        of = counted(self._queries, "query", "queries")
        if self._unmet:
            least = "; ".join(str(quota) for quota in self.quotas if quota.at_least is not None)
            what = f"{least}: {self._unmet:,} of {of} {either(self._unmet, 'has', 'have')} fewer"
            warnings.warn(f"{what}, as too few such items, or too few places, are left", MatineeWarning, stacklevel=3)
        if self._short:
            what = f"{self._short:,} of {of} {either(self._short, 'has', 'have')} a list that is not full"
            warnings.warn(f"{what}: of what is left, each item would break a quota", MatineeWarning, stacklevel=3)


def check_rules(rules: Rules, data: Dataset, k: int) -> None:
    """Raise MatineeError where lists of k items of a log cannot keep the rules; what is only odd is told when lists are
    made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)
        try:
            Applied.of(rules, data.items, data, k)
        except MatineeError as error:
            raise MatineeError(error.what, where="rules", hint=error.hint) from None


@dataclass
class _Chosen:
    item: Ints
    score: Floats
    tied: Bools
    unmet: Bools
    short: Bools
    complete: Bools

    @classmethod
    def empty(cls, n: int, k: int) -> _Chosen:
        flags = (np.zeros(n, np.bool_) for _ in range(4))
        return cls(np.full((n, k), -1, np.int32), np.full((n, k), -np.inf, np.float32), *flags)


def _scores_of(scores: Floats, codes: Ints | None, pinned: Ints) -> Floats:
    """float32 (B, k): the scores of pinned items, NaN where there is none."""
    found = np.full(pinned.shape, np.nan, np.float32)
    for place in np.flatnonzero((pinned >= 0).any(axis=0)):
        item = pinned[:, place]
        column = np.maximum(item, 0) if codes is None else np.argmax(codes == item[:, None], axis=1)
        score = scores[np.arange(len(scores)), column]
        there = (item >= 0) & (score > -np.inf)
        found[there, place] = score[there]
    return found


class _Items:
    """Looks rules up among the items of a model, and in their table."""

    def __init__(self, items: IdMap, data: Dataset | None) -> None:
        self.items, self.data, self.n = items, data, len(items)
        self.table = None if data is None else data.item_features

    def rows(self, text: str) -> Bools:
        """bool (n_items,): where an expression is true."""
        return Expression(text).rows(self.table, self.n)

    def codes(self, items: Iterable[Id]) -> NDArray[np.int64]:
        """int64 (n,): of titles or ids."""
        each = list(items)
        return np.asarray(self.items.codes(each) if self.data is None else find_items(each, self.data), np.int64)

    def forbidden(self, rules: Rules) -> Bools:
        """bool (n_items,). Raises MatineeError where nothing is left."""
        allowed = np.ones(self.n, np.bool_)
        for text in rules.where:
            allowed &= self.rows(text)
        if rules.allow is not None:
            listed = np.zeros(self.n, np.bool_)
            listed[self.codes(rules.allow)] = True
            allowed &= listed
        for text in rules.deny_where:
            denied = self.rows(text)
            if not denied.any():
                warnings.warn(f"deny_where holds for no item: {text}", MatineeWarning, stacklevel=2)
            allowed &= ~denied
        allowed[self.codes(rules.deny)] = False
        if not allowed.any():
            raise MatineeError("the rules allow no item", hint="loosen where, allow, deny_where or deny")
        return ~allowed

    def boosts(self, rules: Rules) -> tuple[Floats, Floats] | tuple[None, None]:
        """float32 (n_items,) twice; None where there are none."""
        if not rules.boost:
            return None, None
        factor, add = np.ones(self.n), np.zeros(self.n)
        for boost in rules.boost:
            held = np.zeros(self.n, np.bool_) if boost.where is None else self.rows(boost.where)
            held[self.codes(boost.items)] = True
            if not held.any():
                warnings.warn(f"a boost holds for no item: {boost.where}", MatineeWarning, stacklevel=2)
            factor[held] *= boost.factor
            add[held] += boost.add
        return factor.astype(np.float32), add.astype(np.float32)

    def pinned(self, rules: Rules, forbidden: Bools, k: int) -> Ints:
        """int32 (k,), -1 = free. Raises MatineeError for an item that the rules deny as well."""
        found = np.full(k, -1, np.int32)
        for pin in rules.pin:
            (code,) = self.codes([pin.item])
            if forbidden[code]:
                what = f"{pin.item!r} is pinned to place {pin.place}, and other rules deny it"
                raise MatineeError(what, hint="leave out the pin, or let the item pass")
            if (found == code).any():
                raise MatineeError(f"{pin.item!r} is pinned to two places", hint="name it once")
            if pin.place <= k:
                found[pin.place - 1] = code
        if beyond := sum(pin.place > k for pin in rules.pin):
            what = f"{counted(beyond, 'pin')} {either(beyond, 'is', 'are')} beyond the {counted(k, 'place')} of a list"
            warnings.warn(what, MatineeWarning, stacklevel=2)
        return found

    def counters(self, rules: Rules, forbidden: Bools, pinned: Ints, k: int) -> Counters | None:
        """None without quotas. Raises MatineeError for quotas that no list of k can keep."""
        if not rules.quota:
            return None
        pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []  # item, counter
        most: list[int] = []
        least: list[int] = []
        for quota in rules.quota:
            item, value, n = self.members(quota)
            pairs.append((item, value + len(most)))
            most += [NO_LIMIT if quota.at_most is None else quota.at_most] * n
            least += [quota.at_least or 0] * n
            self._refuse_impossible(quota, item[~forbidden[item]], value[~forbidden[item]], n, pinned, k)
        items, counters = (np.concatenate(column) for column in zip(*pairs, strict=True))
        of = Ragged.from_rows(items, counters.astype(np.int32), self.n)
        return Counters(of, np.array(most, np.int64), np.array(least, np.int64))

    def members(self, quota: Quota) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """int64 (m,) twice: items and which counter of the quota each counts for; and how many counters it has."""
        if quota.where is not None:
            item = np.flatnonzero(self.rows(quota.where))
            return item, np.zeros(len(item), np.int64), 1
        assert quota.column is not None
        found = attribute_in(item_column(self.table, quota.column))
        item, value = found.codes.rows, found.codes.values.astype(np.int64)
        if quota.value is None:
            return item, value, len(found.values)
        name = _as_text(quota.value)
        if name not in found.values:
            hint = did_you_mean(name, found.values) or "name a value of the column"
            raise MatineeError(f"no item has {quota.value!r} in column {quota.column!r}", hint=hint)
        item = item[value == found.values.index(name)]
        return item, np.zeros(len(item), np.int64), 1

    def _refuse_impossible(
        self, quota: Quota, item: NDArray[np.int64], value: NDArray[np.int64], n: int, pinned: Ints, k: int
    ) -> None:
        """item, value: int64 (m,), of items that may be recommended."""
        if quota.at_least is not None and quota.at_least > k:
            raise MatineeError(f"{quota}: a list has only {counted(k, 'place')}", hint="ask for fewer, or raise k")
        if quota.at_least is not None and quota.at_least > len(item):
            what = f"{quota}: only {counted(len(item), 'such item')} may be recommended"
            raise MatineeError(what, hint="ask for fewer, or loosen the other rules")
        held = np.bincount(value[np.isin(item, pinned[pinned >= 0])], minlength=n)
        if quota.at_most is not None and held.max(initial=0) > quota.at_most:
            what = f"{quota}: {counted(int(held.max()), 'pinned item')} {either(int(held.max()), 'is', 'are')} so"
            raise MatineeError(what, hint="raise at_most, or pin fewer")


def _as_text(value: Id | float) -> str:
    """A value as vocabularies have it: 7.0 is 7."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)
