"""Trees as LightGBM grows, keeps and reads them; what they are grown for, models/lightgbm.py says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr

from matinee import kernels
from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Pairs, Queries
from matinee.data.features.context import ContextFields
from matinee.data.features.requests import ContextTables
from matinee.errors import MatineeError
from matinee.models.base import Fitted, Learned, Model, TextFile
from matinee.models.families.boosted_examples import RankingExamples
from matinee.models.families.boosted_features import FeatureBuilder, LogState
from matinee.models.families.boosted_text import check_trees, trees_of
from matinee.models.needs import FLOAT, LogSize
from matinee.nn.backend import set_environment
from matinee.nn.rounds import Rounds

CHUNK = 1 << 16
"""Rows that are made at once where they are answered: some 15 MB."""
COLUMNS, TEXT_OF_LEAF = 16, 110
"""Columns of a row without side tables, and bytes of a leaf as text, about."""
SAY_AGAIN = "fit and save the model again"


@dataclass(frozen=True)
class Boosted(LogState):
    """trees: in LightGBM's own format. vocabulary: ContextFields as JSON. curve: float64 (rounds, 3), as nn.CURVE."""

    trees: TextFile
    vocabulary: str
    curve: NDArray[np.float64]


@dataclass(frozen=True)
class Engine:
    """What answers: the rows of a fitted log, and its trees."""

    rows: FeatureBuilder
    learned: Boosted

    @classmethod
    def of(cls, fitted: Fitted) -> Engine:
        learned: Boosted = fitted.learned
        tables = ContextTables(ContextFields.model_validate_json(learned.vocabulary), fitted.data)
        return cls(FeatureBuilder(learned, tables), learned)

    def check(self) -> None:
        """Raise MatineeError unless the trees can be walked with these rows. LightGBM is not needed."""
        try:
            check_trees(self.learned.trees, len(self.rows.names))
        except (ValueError, OverflowError) as error:
            raise MatineeError(f"these are no trees of LightGBM: {error}", hint=SAY_AGAIN) from None

    @cached_property
    def booster(self) -> Any:
        lightgbm = import_lightgbm()
        try:
            return lightgbm.Booster(model_str=self.learned.trees)
        except lightgbm.basic.LightGBMError as error:
            raise MatineeError(f"LightGBM cannot read its trees: {error}", hint=SAY_AGAIN) from None

    def answer(self, X: Floats, *, raw: bool) -> Floats:
        """float32 (n,): for rows X the sum of the trees, or where `raw` is false what the objective makes of it."""
        found: Floats = self.booster.predict(X, raw_score=raw, num_threads=kernels.n_threads()).astype(np.float32)
        return found

    def scores(self, queries: Queries) -> Floats:
        """float32 (B, n_items), or (B, C) where queries name candidates."""
        codes = queries.candidates
        width = len(self.learned.count) if codes is None else codes.shape[1]
        scores = np.empty((len(queries), width), np.float32)
        step = max(1, CHUNK // max(1, width))
        for start in range(0, len(queries) if width else 0, step):
            part = queries.slice(start, start + step)
            item = np.tile(np.arange(width), len(part)) if part.candidates is None else part.candidates.ravel()
            X = self.rows.of(part, np.repeat(np.arange(len(part)), width), np.maximum(item, 0))
            scores[start : start + step] = self.answer(X, raw=True).reshape(len(part), width)
        return scores

    def probabilities(self, pairs: Pairs, queries: Queries, row: NDArray[np.integer[Any]]) -> Floats:
        """float32 (n,): of pairs that see the history of queries row[r]."""
        found = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), CHUNK):
            at = slice(start, start + CHUNK)
            asked, place = np.unique(row[at], return_inverse=True)
            time = None if pairs.timestamp is None else pairs.timestamp[at]
            context = None if pairs.context is None else pairs.context[at]
            X = self.rows.of(queries.take(asked), place, pairs.item[at], time, context)
            found[at] = self.answer(X, raw=False)
        return found


class BoostedTrees(Model):
    """The family of boosted trees: what a fitted one answers. A member says what its trees learn from."""

    learned_type: ClassVar[type[Learned]] = Boosted

    _engine: Engine | None = PrivateAttr(default=None)

    @property
    def engine(self) -> Engine:
        if self._engine is None or self._engine.learned is not self.fitted.learned:
            self._engine = Engine.of(self.fitted)
        return self._engine

    def restore(self, fitted: Fitted) -> Self:
        super().restore(fitted).engine.check()
        return self

    def scores_candidates(self) -> bool:
        return True

    def scores_unknown_items(self) -> bool:
        return any(field.name != "item" for field in self.engine.rows.tables.fields.of("item"))

    def fallback(self, queries: Queries) -> Bools:
        nothing, tables = super().fallback(queries), self.engine.rows.tables
        return nothing & ~tables.described(tables.queries(queries)) if nothing.any() else nothing

    def score_histories(self, queries: Queries) -> Floats:
        return self.engine.scores(queries)


def trees_bytes(size: LogSize, n_trees: int, n_leaves: int) -> float:
    """Of the trees' text, and of the times and counts of items, on disk."""
    return 8 * size.events + 2 * FLOAT * size.items + TEXT_OF_LEAF * n_trees * n_leaves


def rows_bytes(size: LogSize, max_rows: int, n_negatives: int) -> float:
    """What the training rows hold: in folds, joined, and as LightGBM bins them. How many columns side tables give is
    not known."""
    rows = min(max_rows, size.events * (1 + n_negatives))
    return 2 * (FLOAT + 2) * COLUMNS * rows


def grown(
    examples: RankingExamples,
    check: RankingExamples | None,
    params: Mapping[str, Any],
    rounds: Rounds,
    categorical: list[int],
) -> TextFile:
    """The trees up to the best round on `check`; without it all of them.

    The same bytes on every run, whatever the number of threads: LightGBM's `deterministic`, rows in their order.
    """
    lightgbm = import_lightgbm()
    params = {
        **params,
        "num_threads": kernels.n_threads(),
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    train = lightgbm.Dataset(
        examples.X, examples.label, group=examples.group, categorical_feature=categorical, params=dict(params)
    )
    watch = [] if check is None else [train.create_valid(check.X, check.label, group=check.group)]
    sign = -1.0 if params["objective"] == "binary" else 1.0  # of the curve's measure more is better
    best = [rounds.total]

    def after_round(env: Any) -> None:
        measured = env.evaluation_result_list
        if rounds.add(np.nan, (lambda: sign * measured[0][2]) if measured else None):
            best[0] = len(rounds)
        if rounds.done:
            raise lightgbm.callback.EarlyStopException(best[0] - 1, measured)

    booster = lightgbm.train(params, train, rounds.total, valid_sets=watch, callbacks=[after_round])
    return TextFile(trees_of(booster.model_to_string(num_iteration=best[0])))


def import_lightgbm() -> Any:
    """lightgbm, or one line that says what to install. Its threads wait as those of nets do."""
    set_environment()
    try:
        import lightgbm
    except ImportError:
        raise MatineeError("this model needs LightGBM", hint="pip install 'matinee[boost]'") from None
    return lightgbm
