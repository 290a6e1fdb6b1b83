"""LightGBM: boosted trees over what is known of a request, an item, and the two together."""

from __future__ import annotations

from typing import Any, Literal

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Pairs, Queries
from matinee.data.features.context import ContextFields, default_names, parsed, tables_of
from matinee.data.features.requests import ContextTables
from matinee.errors import MatineeError
from matinee.models.ease import EASE
from matinee.models.families.boosted import Boosted, BoostedTrees, grown, import_lightgbm, rows_bytes, trees_bytes
from matinee.models.families.boosted_examples import Draw, training_examples, validation
from matinee.models.families.boosted_features import FeatureBuilder, LogState
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.item_knn import ItemKNN
from matinee.models.needs import LogSize


class LightGBM(BoostedTrees):
    """Gradient-boosted trees grown leaf by leaf on histograms (Ke et al., NeurIPS 2017), with the gradients of
    LambdaMART (Burges, MSR-TR-2010-82, 2010; objective "lambdarank") or of the logistic loss ("binary").

    A row is a request and an item: context fields (data/features/context.py; ids only where named), counts, mean
    ratings, times since last events, and the item's similarity to the history, by items that are watched together and
    by its lists (genres). No row is made from its own event: families/boosted_examples.py says how.

    A log of labels 0 and 1 (`label_min` in a recipe) is learned as it is, another against items that its users did not
    watch. "lambdarank" ranks a user's rows of a fold among each other. With valid, the round with the best ndcg@10
    (binary: log loss) on rows of valid made in the same way is kept; it is not the ndcg@10 of the whole catalogue.
    """

    exemptions = {"renamed_ids": "negatives are drawn in the order of ids"}
    rounds_field = "n_trees"

    objective: Literal["lambdarank", "binary"] = tunable("lambdarank", "objective", choices=["lambdarank", "binary"])
    fields: tuple[str, ...] | None = tunable(
        None, "context fields: user.gender, time.hour, item ...; None: all with a plain kind, without ids"
    )
    min_count: int = tunable(1, "minimum frequency for a value to enter the vocabulary", ge=1)
    max_values: int = tunable(255, "maximum number of values of a field", ge=1)
    buckets: int = tunable(64, "maximum number of buckets of a number", ge=1)
    similar: Literal["cosine", "ridge"] = tunable(
        "cosine", "item similarity: cosine neighbours, or EASE's weights (items^2 numbers)"
    )
    n_neighbours: int = tunable(200, "cosine: neighbours kept for each item", low=20, high=500, log=True, ge=1)
    ridge: float = tunable(500.0, "ridge: EASE's l2", low=1.0, high=1e4, log=True, gt=0.0)
    n_negatives: int = tunable(20, "negatives for each event; ignored for labels", low=4, high=50, log=True, ge=1)
    alpha: float = tunable(0.0, "negatives are sampled in proportion to events^alpha", low=0.0, high=1.0, ge=0.0)
    nearest: int = tunable(0, "sample negatives from the N items most similar to the history; 0: from all items", ge=0)
    folds: int = tunable(5, "cross-fitting folds: features of a fold come from the other folds", ge=2, le=100)
    max_rows: int = tunable(500_000, "maximum number of training rows; users are sampled where there are more", ge=1)
    n_trees: int = tunable(300, "most trees; early stopping may end before", low=50, high=2000, log=True, ge=1)
    n_leaves: int = tunable(31, "maximum number of leaves of a tree", low=7, high=255, log=True, ge=2, le=1 << 16)
    learning_rate: float = tunable(0.05, "learning rate", low=0.01, high=0.3, log=True, gt=0.0)
    min_rows: int = tunable(50, "minimum number of rows in a leaf", low=5, high=500, log=True, ge=1)
    columns: float = tunable(0.8, "share of the columns that a tree sees", low=0.3, high=1.0, gt=0.0, le=1.0)
    l2: float = tunable(1.0, "L2 penalty on the leaf values", low=0.01, high=100.0, log=True, ge=0.0)
    patience: int = tunable(30, "early stopping: trees without a better validation", ge=1)

    # -- learning ----------------------------------------------------------------------------------------------------

    def check(self, data: Dataset) -> None:
        super().check(data)
        import_lightgbm()
        parsed(self.fields or (), tables_of(data))

    def learn(self, data: Dataset, context: FitContext) -> Boosted:
        data = data.rows(data.order)
        names = default_names(tables_of(data), ids=False) if self.fields is None else self.fields
        limits: dict[str, Any] = {"min_count": self.min_count, "max_values": self.max_values, "buckets": self.buckets}
        tables = ContextTables(ContextFields.fit(data, names, **limits), data)
        draw = Draw(0 if data.labelled else self.n_negatives, self.alpha, self.nearest)
        sizes = {"folds": self.folds, "most": self.max_rows, "seed": context.seed}
        # Cross-fitting: the features of a fold come from the other folds, so no row knows its own label.
        examples = training_examples(data, tables, draw, self.state_of, **sizes)
        state = self.state_of(data)
        rows = FeatureBuilder(state, tables)
        check = validation(rows, data, context.valid, draw, most=self.max_rows // 5, seed=context.seed)
        rounds = context.rounds(self.n_trees, patience=self.patience)
        trees = grown(examples, check, self._params(context), rounds, rows.categorical)
        kept = state.similar, state.count, state.mean, state.times, state.prior
        return Boosted(*kept, trees, tables.fields.model_dump_json(), rounds.curve)

    def state_of(self, data: Dataset) -> LogState:
        """What rows read of a log."""
        return LogState.of(data, self.similarity.weights(data.matrix()))

    @property
    def similarity(self) -> ItemKNN | EASE:
        return ItemKNN(k=self.n_neighbours, weighting="tfidf") if self.similar == "cosine" else EASE(l2=self.ridge)

    def learned_bytes(self, size: LogSize) -> float:
        return self.similarity.learned_bytes(size) + trees_bytes(size, self.n_trees, self.n_leaves)

    def fit_bytes(self, size: LogSize) -> float:
        return 2 * self.similarity.fit_bytes(size) + rows_bytes(size, self.max_rows, self.n_negatives)

    def _params(self, context: FitContext) -> dict[str, Any]:
        """As LightGBM calls them. Many bins: what is asked for is the order at the top of a user's list."""
        return {
            "objective": self.objective,
            "metric": "ndcg" if self.objective == "lambdarank" else "binary_logloss",
            "eval_at": [context.metric.k if context.metric is not None and context.metric.k else 10],
            "max_bin": 1023,
            "num_leaves": self.n_leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_rows,
            "feature_fraction": self.columns,
            "lambda_l2": self.l2,
            "seed": context.seed % (1 << 31),
        }

    def measures_alike(self) -> bool:
        """False: its rounds measure lists of n_negatives sampled negatives, or the loss of the objective."""
        return False

    @property
    def curve_names(self) -> tuple[str, str]:
        ranked = self.fitted.metric or "ndcg@10"
        return ("loss", f"sampled {ranked}") if self.objective == "lambdarank" else ("logloss", "logloss")

    # -- answering ---------------------------------------------------------------------------------------------------

    def predicts(self) -> bool:
        return self.objective == "binary"

    def predict(self, pairs: Pairs, queries: Queries | None = None) -> Floats:
        """float32 (n,): the probability of label 1; of a log without labels that the item is no sampled negative."""
        if not self.predicts():
            raise MatineeError("lambdarank orders items and gives no probabilities", hint='set objective = "binary"')
        return self.engine.probabilities(pairs, *self.resolve_queries(pairs, queries))
