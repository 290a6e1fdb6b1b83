"""Content and TitleMatch against scikit-learn's TF-IDF, cosines one by one, and ridge regressions column by column."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.features.grams import Grams
from matinee.data.titles import plain
from matinee.models.content import Content
from matinee.models.title_match import TitleMatch
from oracle import truths
from oracle.truths import Matrix

N_USERS, N_ITEMS = 37, 23
NEW = {6, 13, 22}  # no event; of 22 nothing is known either
HELD = [seen - NEW for seen in truths.random_log(3, N_USERS, N_ITEMS, 0.35, twins=False)]
RNG = np.random.default_rng(5)
TITLES: list[str | None] = [
    None if i in (4, 22) else f"{['The Heat', 'Night-train', 'Ночь HEAT', 'só'][i % 4]} {['of', 'II', ''][i % 3]} {i}"
    for i in range(N_ITEMS)
]
GENRES = [None if i == 22 else [f"g{j}" for j in range(5) if (i * 7 + j * j) % 4 == 0] for i in range(N_ITEMS)]
YEARS = [None if i in (9, 22) else 1990 + (i * i) % 6 for i in range(N_ITEMS)]
COUNTRY = [None if i == 22 else ["fr", "us", "us", "jp"][(i * 3) % 4] for i in range(N_ITEMS)]
VECTORS = [None if i in (2, 22) else np.round(RNG.normal(size=4), 3).tolist() for i in range(N_ITEMS)]
TABLE = pl.DataFrame(
    {"title": TITLES, "genres": GENRES, "year": YEARS, "country": COUNTRY, "plot": VECTORS, "n_id": range(N_ITEMS)}
)
DATA = replace(truths.as_dataset(HELD, N_ITEMS), item_features=TABLE)
HISTORIES = [[3], [0, 5, 9], [9, 5, 0, 6], [7, 7, 2, 7, 11], [1, 2, 3, 4, 5, 8], [22, 12], [13]]


def tfidf(rows: Sequence[Sequence[str]]) -> Matrix:
    """By scikit-learn: rows of length 1 of the values that two rows have."""
    vectorizer = TfidfVectorizer(analyzer=lambda row: row, min_df=2, binary=True)
    found: Matrix = vectorizer.fit_transform(rows).toarray()
    return found


def lengths_of_one(rows: Matrix) -> Matrix:
    return np.array([row / norm if (norm := math.sqrt(sum(row**2))) else row for row in rows])


def words(title: str | None) -> list[str]:
    found, word = [], ""
    for char in (title or "").lower() + " ":
        if char.isalnum():
            word += char
        elif word:
            found.append(word)
            word = ""
    return found


def features(names: Sequence[str]) -> Matrix:
    one: dict[str, Sequence[Any]] = {"year": YEARS, "country": COUNTRY}
    lists: dict[str, Any] = {"title": [words(title) for title in TITLES], "genres": [row or [] for row in GENRES]}
    lists |= {name: [[] if value is None else [str(value)] for value in column] for name, column in one.items()}
    parts = [
        lengths_of_one(np.array([vector or [0.0] * 4 for vector in VECTORS])) if name == "plot" else tfidf(lists[name])
        for name in names
    ]
    return lengths_of_one(np.hstack(parts))


ALL = ("title", "genres", "year", "country", "plot")


def close(found: Any, truth: Any) -> None:
    wanted = np.asarray(truth)
    finite = np.isfinite(wanted)
    assert (np.isfinite(found) == finite).all()
    np.testing.assert_allclose(found[finite], wanted[finite], rtol=1e-4, atol=1e-5 * np.abs(wanted[finite]).max())


def wanted_scores(W: Matrix) -> Matrix:
    scores = np.array([truths.item_scores(W, history) for history in HISTORIES])
    scores[:, 22] = -np.inf
    return scores


def asked(histories: Sequence[Sequence[int]]) -> Queries:
    return truths.histories(histories)


def check_cosines() -> None:
    for k in (1, 4, 100):
        for names in (ALL, ("genres", "plot"), ("title",)):
            F = features(names)
            W = np.zeros((N_ITEMS, N_ITEMS))
            for j in range(N_ITEMS):
                cosine = [0.0 if i == j else float(F[i] @ F[j]) for i in range(N_ITEMS)]
                for i in truths.nearest(cosine, k):
                    W[i, j] = cosine[i]
            assert k > N_ITEMS or (W != W.T).any()
            model = Content(k=k, attributes=() if names == ALL else names).fit(DATA)
            close(model.fitted.learned.W.toarray(), W)
            known = (F != 0).any(axis=1)
            assert model.fitted.learned.n_features.tolist() == (F != 0).sum(axis=1).tolist()
            says = [any(known[i] for i in history) for history in HISTORIES]
            assert (~model.fallback(asked(HISTORIES))).tolist() == says
            if names == ALL:
                assert all(says)
                close(model.score(asked(HISTORIES)), wanted_scores(W))


def check_ridge() -> None:
    """Each row of EASE's weights, over the items of the log, regressed on what these are like; then predicted."""
    E = truths.ease_weights(truths.dense(HELD, N_ITEMS), 7.0)
    F = features(ALL)
    known = [i for i in range(N_ITEMS) if i not in NEW]
    predicted = np.array(
        [Ridge(alpha=0.8, fit_intercept=False).fit(F[known], E[i, known]).predict(F) for i in range(N_ITEMS)]
    )
    np.fill_diagonal(predicted, 0.0)
    assert np.abs(predicted - predicted.T).max() > 0.01 * np.abs(predicted).max()
    for own in (True, False):
        W = np.where(np.isin(np.arange(N_ITEMS), known), E, predicted) if own else predicted
        model = Content(how="ridge", l2=7.0, feature_l2=0.8, own=own).fit(DATA)
        close(model.fitted.learned.W, W)
        assert model.fallback(asked(HISTORIES)).tolist() == [False] * 6 + [True]  # nobody watched 13
        close(model.score(asked(HISTORIES[:6])), wanted_scores(W)[:6])
    few = Content(how="ridge", l2=7.0, feature_l2=0.8, attributes=("plot",)).fit(DATA)  # solved in features
    P = features(("plot",))
    at = [Ridge(alpha=0.8, fit_intercept=False).fit(P[known], E[i, known]).predict(P[[6, 13]]) for i in range(N_ITEMS)]
    truth = np.array(at)
    truth[6, 0] = truth[13, 1] = 0.0
    close(few.fitted.learned.W[:, [6, 13]], truth)


# --- titles -----------------------------------------------------------------------------------------------------------

NAMES = ["Summer BBQ", "summer  bbq", "Bbq!", "비 오는 날", "비", "🎄", "xmas 🎄", None, "", "rainy day"]
LISTS = [NAMES[u % 10] for u in range(N_USERS)]
SAID = ["summer", "SUMMER BBQ", "비 오", "🎄🎄", "day", "zzzz", "", None, "rainy", "ﬁsh"]


def titled() -> Dataset:
    return replace(DATA, user_features=pl.DataFrame({"title": LISTS}, schema={"title": pl.String}))


def check_pieces_are_those_of_scikit_learn() -> None:
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), binary=True, preprocessor=plain)
    there = [title for title in LISTS if title]
    wanted = vectorizer.fit_transform(there)
    grams = Grams.fit(LISTS)
    assert list(grams.pieces) == sorted(vectorizer.vocabulary_)
    order = [vectorizer.vocabulary_[piece] for piece in grams.pieces]
    close(grams.rows(there).toarray(), wanted.toarray()[:, order])
    close(grams.rows(SAID).toarray(), vectorizer.transform([said or "" for said in SAID]).toarray()[:, order])


def check_title_match() -> None:
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), binary=True, preprocessor=plain)
    T = vectorizer.fit([title for title in LISTS if title]).transform([title or "" for title in LISTS]).toarray()
    S = vectorizer.transform([said or "" for said in SAID]).toarray()
    count = np.bincount(DATA.item, minlength=N_ITEMS)
    users = [-1, 0, 3, -1, -1, -1, -1, 5, 9, -1]
    history = Ragged.from_lists([[], [4], [], [], [1, 2], [], [3], [], [], []])
    queries = Queries(np.array(users, np.int32), history, Ragged.empty(len(SAID)), title=tuple(SAID))
    for match, k in (("similar", 4), ("similar", 100), ("equal", 2), ("equal", 100)):
        wanted, silent = [], []
        for q, said in enumerate(SAID):
            equal = [float(plain(said) == plain(title) != "") for title in LISTS]
            alike = equal if match == "equal" else [float(S[q] @ T[u]) for u in range(N_USERS)]
            silent.append(bool(said) and not any(alike))
            alike = [0.0 if u == users[q] else s for u, s in enumerate(alike)]
            scores = [0.3 * float(n) / N_USERS for n in count]
            for u in truths.nearest(alike, k):
                for item in HELD[u]:
                    scores[item] += alike[u]
            wanted.append(count.tolist() if silent[-1] else scores)
        model = TitleMatch(k=k, match=match, prior=0.3).fit(titled())
        found = model.score(queries)
        assert model.fallback(queries).tolist() == silent
        truth = np.array(wanted, np.float64)
        truth[:, count == 0] = -np.inf
        close(found, truth)


def check_title_match_with_attributes() -> None:
    """Lists as documents of their items' values beside their titles, by scikit-learn."""
    names, users = ("genres", "country"), [-1, 0, -1, 3, -1]
    said = [SAID[0], SAID[1], None, None, SAID[2]]
    histories = [[1, 2, 3], [0, 5], [22], [9, 10, 11, 0], []]
    table: dict[str, list[Any]] = {"genres": GENRES, "country": [*COUNTRY]}

    def document(items: Sequence[int]) -> list[str]:
        cells = [(name, column[item]) for name, column in table.items() for item in items]
        return [f"{n} {value}" for n, cell in cells for value in ([cell] if isinstance(cell, str) else cell or [])]

    by_title = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), binary=True, preprocessor=plain)
    by_title.fit([title for title in LISTS if title])
    by_value = TfidfVectorizer(analyzer=lambda row: row).fit([document(sorted(held)) for held in HELD])
    T = by_title.transform([title or "" for title in LISTS]).toarray()
    V = by_value.transform([document(sorted(held)) for held in HELD]).toarray()
    S = by_title.transform([one or "" for one in said]).toarray()
    W = by_value.transform([document(items) for items in histories]).toarray()
    queries = Queries(
        np.array(users, np.int32), Ragged.from_lists(histories), Ragged.empty(len(users)), title=tuple(said)
    )
    count = np.bincount(DATA.item, minlength=N_ITEMS)
    truth = np.empty((len(users), N_ITEMS))
    for q, user in enumerate(users):
        alike = [0.0 if u == user else float(S[q] @ T[u] + W[q] @ V[u]) for u in range(N_USERS)]
        truth[q] = 0.2 * count / N_USERS
        for u in truths.nearest(alike, 6):
            truth[q, sorted(HELD[u])] += alike[u]
    truth[:, count == 0] = -np.inf
    close(TitleMatch(k=6, prior=0.2, attributes=names).fit(titled()).score(queries), truth)


CHECKS: dict[str, list[Callable[[], None]]] = {
    "content": [check_cosines, check_ridge],
    "title_match": [check_pieces_are_those_of_scikit_learn, check_title_match, check_title_match_with_attributes],
}
