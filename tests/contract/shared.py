"""What the checks of one model share: the log, the fitted models, and how a broken promise is stated."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any
from unittest import mock

import numpy as np

from contract.logs import groups, last_hidden, renamed
from matinee import kernels
from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.families.composite import Composite
from matinee.rank import Recommendations

Make = Callable[[], Model]

PROMISES: Mapping[str, str] = {
    "renamed_ids": "the names of users and items, and so the order of their codes, do not change a score",
    "history_alone": "the same history gets the same answer, whether its user is known or not",
    "personal": "users with different histories get different answers",
    "alone": "an item's score does not depend on which others may be recommended",
    "taste": "what it recommends, and calls similar, follows who watched what",
    "source": "the docstring cites a publication",
}
"""Promises a model may be exempt from, by a reason in its class's `exemptions`."""


@dataclass(frozen=True)
class Fit:
    """A fitted model, what its `fit` returned, and its scores for all users when the fit ended."""

    model: Model
    returned: object
    scores: Floats


class Case:
    """A model under check: how to make it, the log, and its fits.

    A fit is made when a check first asks for it. Later checks get the same one and must leave it as it is.
    """

    def __init__(self, make: Make, log: Callable[[], Dataset] = groups) -> None:
        """make: returns a new, unfitted model."""
        self.make = make
        self.data = log()
        self.queries = self.data.queries()
        self._given = self.inputs()
        self._fits: dict[tuple[str, int], Fit] = {}

    @property
    def model(self) -> Model:
        """A short fit on the whole log; with four threads, whatever the machine has."""
        return self._fit("log", self.data, threads=4).model

    @property
    def scores(self) -> Floats:
        """float32 (n_users, n_items), read-only: the scores of `model` for all users when its fit ended."""
        return self._fit("log", self.data, threads=4).scores

    @cached_property
    def refitted(self) -> Fit:
        """The fit of `model` once more, on one thread, by a model that was fitted on `few` before."""
        return self._fit("log", self.data, threads=1, before=self.few)

    @cached_property
    def rearranged(self) -> Floats:
        """float32 (n_users, n_items): the scores after a fit on the log with its rows shuffled and its ids renamed in
        order, and a weight of 1 on each event. Equal scores keep all these promises."""
        order = np.random.default_rng(5).permutation(len(self.data))
        same, _, _ = renamed(self.data.rows(order), None)
        return self.weighed(replace(same, weight=np.ones(len(same), np.float32)))

    @property
    def learned(self) -> Model:
        """Fitted in all its rounds on the log without each user's last two events, for promises of quality."""
        return self._fit("train", self.split[0], threads=4).model

    @cached_property
    def few(self) -> Dataset:
        """The events of every third user, for promises that hold on any log."""
        return self.data.rows(self.data.user % 3 == 0)

    @cached_property
    def split(self) -> tuple[Dataset, Holdout]:
        """The log without each user's last two events, and these."""
        return last_hidden(self.data)

    @cached_property
    def scores_on_few(self) -> Floats:
        """float32 (n_users, n_items): the scores of the model of `refitted` for the users of `few`, after its first
        fit."""
        _ = self.refitted
        return self._before

    def weighed(self, data: Dataset) -> Floats:
        """float32 (n_users, n_items): the scores of a model fitted on a log with weights, for all users. It must say
        where it does not use them."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model = self.fresh(data)
        ignored = [str(warning.message) for warning in said if "does not use them" in str(warning.message)]
        assert model.uses_weights() or ignored
        assert model.member_fields or len(ignored) == (not model.uses_weights())
        return model.score(data.queries())

    def fresh(self, data: Dataset | None = None) -> Model:
        """A fit of its own, for checks of fitting: with the seed of `model`, and on its log where none is given."""
        return self.short().fit(self.data if data is None else data, seed=3)

    def short(self) -> Model:
        """A new, unfitted model that trains in an eighth of its rounds: promises of any fit are promises of a short
        one, and most of the suite's time is spent on fits."""
        return shortened(self.make())

    def inputs(self) -> list[bytes]:
        """The bytes of the log and of its queries."""
        log, queries = self.data, self.queries
        arrays = [log.user, log.item, log.value, log.timestamp, queries.history.values, queries.exclude.values]
        return [array.tobytes() for array in arrays if array is not None]

    def inputs_untouched(self) -> bool:
        return self.inputs() == self._given

    def assert_untouched(self) -> None:
        """Raises AssertionError where a check has changed a shared model, or the log."""
        for (log, threads), fit in self._fits.items():
            same = fit.model.score(self.queries).tobytes() == fit.scores.tobytes()
            assert same, f"a check has changed the model fitted on the {log} with {threads} threads"
        assert self.inputs_untouched(), "a check has changed the log"

    def _fit(self, log: str, data: Dataset, *, threads: int, before: Dataset | None = None) -> Fit:
        key = log, threads
        if key not in self._fits:
            model = self.make() if log == "train" else self.short()
            if before is not None:
                model.fit(before, seed=3)
                self._before = model.score(before.queries()).copy()
            with n_threads(threads):
                returned = model.fit(data, seed=3)
            scores = model.score(self.queries).copy()
            scores.flags.writeable = False
            self._fits[key] = Fit(model, returned, scores)
        return self._fits[key]


def shortened(model: Model) -> Model:
    """The model with an eighth of its rounds, and at least three; of composites, its members."""
    if isinstance(model, Composite):
        return model.with_submodels([shortened(member) for member in model.submodels()])
    least = {"epochs": 3, "n_trees": 3, "pretrain": 1}
    rounds = {name: getattr(model, name) for name in least if hasattr(model, name)}
    return model.model_copy(update={name: max(least[name], n // 8) for name, n in rounds.items() if n > least[name]})


@contextmanager
def n_threads(n: int) -> Iterator[None]:
    """Compiled loops use so many threads."""
    with (
        mock.patch.object(kernels.threads, "n_threads", return_value=n),  # what `parallel` reads
        mock.patch.object(kernels, "n_threads", return_value=n),  # what models read
    ):
        yield


def exemptions(cls: type[Model]) -> dict[str, str]:
    """Promise -> why models of this class do not keep it; families' exemptions hold for their members."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= vars(base).get("exemptions", {})
    return found


def keeps(model: Model, promise: str) -> bool:
    assert promise in PROMISES
    return promise not in exemptions(type(model))


def scores_unknown_items(model: Model) -> bool:
    # a class variable or property today, a method once capabilities are methods
    value: Any = model.scores_unknown_items
    return bool(value() if callable(value) else value)


def without_users(queries: Queries) -> Queries:
    """The same histories, of users nobody knows."""
    return replace(queries, user=np.full(len(queries), -1, np.int32))


def rounding(row: Floats) -> float:
    """What float32 may lose where the terms of a score cancel: it rounds relative to the terms, which are of the size
    of the row's other scores."""
    return 1e-6 * float(np.abs(row[np.isfinite(row)]).max())


def refuses(act: Callable[[], Any], pattern: str) -> None:
    try:
        act()
    except MatineeError as error:
        message = str(error)
    else:
        raise AssertionError(f"no MatineeError about {pattern!r}")
    assert re.search(pattern, message), f"the message does not contain {pattern!r}: {message}"


def refuses_values(name: str, field: str, *values: Any) -> None:
    for value in values:
        refuses(partial(registry.create, name, {field: value}), field)


def same_answers(one: Recommendations, other: Recommendations) -> None:
    assert one.item.tobytes() == other.item.tobytes()
    assert one.score.tobytes() == other.score.tobytes()
    assert one.fallback.tobytes() == other.fallback.tobytes()
