"""One small adapter a library: the same work through its own public functions, on its own types.

What a library needs to be given (its data set, its data frames) is made beforehand and not timed; what it answers is
turned into item codes (n_users, k) by `items`, not timed either. A method that raises NotImplementedError is work the
library does not do.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workload import ALPHA0, FACTORS, IALS_L2, ITERATIONS, L2, NEIGHBOURS, Floats, Ints, K, Log


class Library:
    """A library with one log: fit_* return a fitted model, recommend answers every user, seen items left out."""

    name: str
    one_blas_thread = False
    """Its ranking has threads of its own and its documentation asks for one BLAS thread."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def fit_ease(self) -> Any:
        raise NotImplementedError

    def fit_item_knn(self) -> Any:
        raise NotImplementedError

    def fit_ials(self) -> Any:
        """FACTORS factors, ITERATIONS iterations of 3 conjugate gradient steps each half."""
        raise NotImplementedError

    def dot_product(self, user_factors: Floats, item_factors: Floats) -> Any:
        """A fitted model with these factors, (n, d) each."""
        raise NotImplementedError

    def recommend(self, model: Any) -> Any:
        raise NotImplementedError

    def recommend_one(self, model: Any, user: int) -> Any:
        raise NotImplementedError

    def items(self, answer: Any) -> Ints:
        raise NotImplementedError


class Matinee(Library):
    name = "matinee"

    def __init__(self, log: Log) -> None:
        from matinee.data.dataset import Dataset
        from matinee.data.ids import IdMap

        super().__init__(log)
        user, item = log.train.nonzero()
        users, items = (IdMap(np.arange(n), what=what) for n, what in ((log.n_users, "user"), (log.n_items, "item")))
        self.data = Dataset(users, items, user.astype(np.int32), item.astype(np.int32))

    @cached_property
    def queries(self) -> Any:
        return self.data.queries()

    def fit_ease(self) -> Any:
        from matinee.models.ease import EASE

        return EASE(l2=L2).fit(self.data)

    def fit_item_knn(self) -> Any:
        from matinee.models.item_knn import ItemKNN

        return ItemKNN(k=NEIGHBOURS).fit(self.data)

    def fit_ials(self) -> Any:
        from matinee.models.ials import IALS

        return IALS(n_factors=FACTORS, epochs=ITERATIONS, alpha0=ALPHA0, l2=IALS_L2, nu=1.0, steps=3).fit(self.data)

    def dot_product(self, user_factors: Floats, item_factors: Floats) -> Any:
        return DotProduct(self.data.users, self.data.items, user_factors, item_factors)

    def recommend(self, model: Any) -> Any:
        from matinee.rank import recommend

        return recommend(model, self.queries, k=K)

    @cached_property
    def one_query(self) -> list[Any]:
        return [self.queries.slice(user, user + 1) for user in range(min(100, self.log.n_users))]

    def recommend_one(self, model: Any, user: int) -> Any:
        from matinee.rank import recommend

        return recommend(model, self.one_query[user], k=K)

    def ask_one(self, model: Any, user: int) -> Any:
        """The same with the query made on the way, from an external id."""
        from matinee.rank import recommend

        return recommend(model, self.data.queries([user]), k=K)

    def items(self, answer: Any) -> Ints:
        return np.asarray(answer.item)


class DotProduct:
    """A Scorer: scores = U @ V.T."""

    def __init__(self, users: Any, items: Any, user_factors: Floats, item_factors: Floats) -> None:
        self.users, self.items, self.user_factors, self.item_factors = users, items, user_factors, item_factors

    def score(self, queries: Any) -> Floats:
        scores: Floats = self.user_factors[queries.user] @ self.item_factors.T
        return scores

    def fallback(self, queries: Any) -> NDArray[np.bool_]:
        return np.zeros(len(queries), np.bool_)


class RecTools(Library):
    name = "rectools"
    one_blas_thread = True  # it ranks with implicit

    def __init__(self, log: Log) -> None:
        import pandas as pd
        from rectools.dataset import Dataset, IdMap, Interactions

        super().__init__(log)
        user, item = log.train.nonzero()
        events = pd.DataFrame({"user_id": user, "item_id": item, "weight": 1.0, "datetime": pd.Timestamp(0)})
        self.users = np.arange(log.n_users)
        self.data = Dataset(IdMap(self.users), IdMap(np.arange(log.n_items)), Interactions(events))

    def fit_ease(self) -> Any:
        from rectools.models import EASEModel

        return EASEModel(regularization=L2).fit(self.data)

    def fit_item_knn(self) -> Any:
        from implicit.nearest_neighbours import CosineRecommender
        from rectools.models import ImplicitItemKNNWrapperModel

        return ImplicitItemKNNWrapperModel(CosineRecommender(K=NEIGHBOURS)).fit(self.data)

    def fit_ials(self) -> Any:
        from rectools.models import ImplicitALSWrapperModel

        return ImplicitALSWrapperModel(implicit_als()).fit(self.data)

    def dot_product(self, user_factors: Floats, item_factors: Floats) -> Any:
        from rectools.models import PureSVDModel

        model = PureSVDModel(factors=user_factors.shape[1])
        model.user_factors, model.item_factors, model.is_fitted = user_factors, item_factors, True
        return model

    def recommend(self, model: Any) -> Any:
        return model.recommend(self.users, self.data, k=K, filter_viewed=True)

    def recommend_one(self, model: Any, user: int) -> Any:
        return model.recommend([user], self.data, k=K, filter_viewed=True)

    def items(self, answer: Any) -> Ints:
        item = np.full((self.log.n_users, K), -1)
        item[answer["user_id"], answer["rank"] - 1] = answer["item_id"]
        return item


class Implicit(Library):
    name = "implicit"
    one_blas_thread = True

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.users = np.arange(log.n_users)
        self.rows = [log.train[user] for user in range(min(100, log.n_users))]

    def fit_item_knn(self) -> Any:
        from implicit.nearest_neighbours import CosineRecommender

        model = CosineRecommender(K=NEIGHBOURS)
        model.fit(self.log.train, show_progress=False)
        return model

    def fit_ials(self) -> Any:
        model = implicit_als()
        model.fit(self.log.train, show_progress=False)
        return model

    def dot_product(self, user_factors: Floats, item_factors: Floats) -> Any:
        from implicit.cpu.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(factors=user_factors.shape[1])
        model.user_factors, model.item_factors = user_factors, item_factors
        return model

    def fit_als(self) -> tuple[Floats, Floats]:
        """The factors that every library is given to rank with: 64, 15 iterations."""
        from implicit.cpu.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(factors=FACTORS, iterations=ITERATIONS, random_state=0)
        model.fit(self.log.train, show_progress=False)
        return model.user_factors, model.item_factors

    def recommend(self, model: Any) -> Any:
        return model.recommend(self.users, self.log.train, N=K)

    def recommend_one(self, model: Any, user: int) -> Any:
        return model.recommend(user, self.rows[user], N=K)

    def items(self, answer: Any) -> Ints:
        return np.asarray(answer[0])


def implicit_als() -> Any:
    """Its loss weighs a watched pair by alpha against 1 and penalises all vectors alike, so ours cannot be given to it:
    of alpha 1, 2, 4.3 and 10 with penalties of .01 to 100 this pair ranks best on the workload."""
    from implicit.cpu.als import AlternatingLeastSquares

    return AlternatingLeastSquares(
        factors=FACTORS, iterations=ITERATIONS, alpha=2.0, regularization=30.0, random_state=0
    )


class Irspack(Library):
    name = "irspack"

    def __init__(self, log: Log) -> None:
        from irspack.utils.id_mapping import IDMapper

        super().__init__(log)
        self.users = list(range(log.n_users))
        self.mapper = IDMapper(self.users, list(range(log.n_items)))

    def fit_ease(self) -> Any:
        from irspack.recommenders.dense_slim import DenseSLIMRecommender

        return DenseSLIMRecommender(self.log.train, reg=L2).learn()

    def fit_item_knn(self) -> Any:
        from irspack.recommenders.knn import CosineKNNRecommender

        return CosineKNNRecommender(self.log.train, normalize=True, top_k=NEIGHBOURS).learn()

    def fit_ials(self) -> Any:
        from irspack.recommenders.ials import IALSRecommender

        model = IALSRecommender(
            self.log.train,
            n_components=FACTORS,
            train_epochs=ITERATIONS,
            alpha0=ALPHA0,
            reg=IALS_L2,
            nu=1.0,
            max_cg_steps=3,
        )
        with contextlib.redirect_stdout(io.StringIO()):  # it draws a progress bar
            return model.learn()

    def recommend(self, model: Any) -> Any:
        return self.mapper.recommend_for_known_user_batch(model, self.users, cutoff=K)

    def items(self, answer: Any) -> Ints:
        item = np.full((self.log.n_users, K), -1)
        for user, found in enumerate(answer):
            item[user, : len(found)] = [code for code, _ in found]
        return item


LIBRARIES: list[type[Library]] = [Matinee, RecTools, Irspack, Implicit]


# --- metrics: recommendations item (n_users, k) and truth csr -> a function to time, and its recall and ndcg ---------


def matinee_evaluate(item: Ints, truth: Any) -> Any:
    """The public function: values per query, means and their 95 % intervals."""
    from matinee.data.arrays import Ragged
    from matinee.data.dataset import Holdout, Protocol, Queries
    from matinee.data.ids import IdMap
    from matinee.evaluate import evaluate
    from matinee.rank import Recommendations

    n = len(item)
    users, items, user = IdMap(np.arange(n)), IdMap(np.arange(truth.shape[1])), np.arange(n, dtype=np.int32)
    no = np.zeros(n, np.bool_)
    answers = Recommendations(users, items, user, item.astype(np.int32), np.zeros(item.shape, np.float32), no, no)
    nothing = Ragged.empty(n)
    protocol = Protocol("made up", "none", "test", "none", "none")
    holdout = Holdout(Queries(user, nothing, nothing), ragged(truth), protocol)

    def run() -> tuple[float, float]:
        values = evaluate(answers, holdout, k=K, metrics=("recall", "ndcg"))
        return values.mean("recall", K).value, values.mean("ndcg", K).value

    return run


def matinee_values(item: Ints, truth: Any) -> Any:
    """Values per query and plain means, as the peers give them."""
    from matinee.evaluate.metrics import ranking

    codes, hidden = item.astype(np.int32), ragged(truth)

    def run() -> tuple[float, float]:
        values = ranking(codes, hidden, k=K, metrics=("recall", "ndcg"))
        return float(np.nanmean(values["recall", K])), float(np.nanmean(values["ndcg", K]))

    return run


def ragged(matrix: Any) -> Any:
    from matinee.data.arrays import Ragged

    return Ragged(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32))


def rectools_metrics(item: Ints, truth: Any) -> Any:
    import pandas as pd
    from rectools.metrics import NDCG, Recall, calc_metrics

    user, rank = np.nonzero(item >= 0)
    answers = pd.DataFrame({"user_id": user, "item_id": item[user, rank], "rank": rank + 1})
    user, hidden = truth.nonzero()
    events = pd.DataFrame({"user_id": user, "item_id": hidden})
    metrics = {"recall": Recall(k=K), "ndcg": NDCG(k=K, divide_by_achievable=True)}  # our definition of ndcg

    def run() -> tuple[float, float]:
        values = calc_metrics(metrics, answers, events)
        return values["recall"], values["ndcg"]

    return run


def ir_measures_metrics(item: Ints, truth: Any) -> Any:
    import ir_measures
    from ir_measures import R, nDCG

    names = [str(code) for code in range(truth.shape[1])]
    judged = np.flatnonzero(np.diff(truth.indptr)).tolist()
    hidden = {str(u): {names[i]: 1 for i in truth.indices[truth.indptr[u] : truth.indptr[u + 1]]} for u in judged}
    answers = {str(u): {names[i]: float(K - r) for r, i in enumerate(item[u]) if i >= 0} for u in judged}
    measures = [R @ K, nDCG @ K]

    def run() -> tuple[float, float]:
        values = ir_measures.calc_aggregate(measures, hidden, answers)
        return values[measures[0]], values[measures[1]]

    return run


METRICS = {
    "matinee": matinee_evaluate,
    "matinee, no intervals": matinee_values,
    "rectools": rectools_metrics,
    "ir-measures": ir_measures_metrics,
}


def quiet() -> None:
    """implicit warns of BLAS threads and of conversions in every call; we set its threads as it asks."""
    warnings.filterwarnings("ignore", module="implicit")
    warnings.filterwarnings("ignore", module="rectools")
