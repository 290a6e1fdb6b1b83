"""Lists under rules against slow lists in plain Python: masks, boosts, quotas and pins, blocks, candidates, pools."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest

from matinee import rank
from matinee.data.arrays import Bools, Floats, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, MatineeWarning
from matinee.models.ease import EASE
from matinee.rank import Recommendations, recommend
from matinee.rules import Rules, applied
from oracle import truths

N_USERS, N_ITEMS = 37, 60
RNG = np.random.default_rng(5)
NAMES, CHANCE = ["Drama", "Comedy", "War", "Noir"], [0.5, 0.3, 0.1, 0.1]
GENRES = [[str(g) for g in RNG.choice(NAMES, RNG.integers(1, 3), False, CHANCE)] for _ in range(N_ITEMS)]
DIRECTORS = [f"d{int(d)}" for d in RNG.geometric(0.2, N_ITEMS)]
YEARS: list[int | None] = [int(y) for y in RNG.integers(1960, 2020, N_ITEMS)]
YEARS[7] = None
TABLE = pl.DataFrame(
    {
        "title": [f"Film {i}" for i in range(N_ITEMS)],
        "genres": pl.Series(GENRES, dtype=pl.List(pl.String)),
        "director": DIRECTORS,
        "year": YEARS,
    }
)


@dataclass
class Table:
    """A scorer of given scores: row = user code."""

    scores: Floats
    data: Dataset

    @property
    def users(self) -> IdMap:
        return self.data.users

    @property
    def items(self) -> IdMap:
        return self.data.items

    def score(self, queries: Queries) -> Floats:
        whole: Floats = self.scores[queries.user]
        if queries.candidates is None:
            return whole.copy()
        return np.take_along_axis(whole, np.maximum(queries.candidates, 0), axis=1)

    def fallback(self, queries: Queries) -> Bools:
        return np.zeros(len(queries), np.bool_)


def scorer() -> Table:
    """Scores of any sign, some of them equal, some items that cannot be scored."""
    scores = np.random.default_rng(9).normal(size=(N_USERS, N_ITEMS)).astype(np.float32)
    scores[:, ::9] = np.round(scores[:, ::9])
    scores[3::5, 11] = -np.inf
    log = truths.as_dataset(truths.random_log(2, N_USERS, N_ITEMS), N_ITEMS)
    items = IdMap([f"i{i:02d}" for i in range(N_ITEMS)], what="item")
    return Table(scores, replace(log, items=items, item_features=TABLE))


MODEL = scorer()
QUERIES = Queries(np.arange(N_USERS, dtype=np.int32), Ragged.empty(N_USERS), MODEL.data.histories())


def quietly(rules: Rules, k: int = 8, queries: Queries = QUERIES, **more: Any) -> Recommendations:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)
        return recommend(MODEL, queries, k, rules=rules, **more)


def lists(recs: Recommendations) -> list[list[int]]:
    return [[i for i in row if i >= 0] for row in recs.item.tolist()]


# --- which items ----------------------------------------------------------------------------------------------------


def test_expressions_and_lists_are_masks() -> None:
    rules = Rules(where="year >= 1980", deny_where='"War" in genres', deny=["Film 5", "i30"])
    wanted = {i for i in range(N_ITEMS) if (YEARS[i] or 0) >= 1980 and "War" not in GENRES[i]} - {5, 30}
    ids = MODEL.items.decode(sorted(wanted))
    found, plain = quietly(rules), recommend(MODEL, QUERIES, 8, allow=ids)
    assert (found.item == plain.item).all()
    assert (found.score == plain.score).all()
    assert (found.tied == plain.tied).all()
    assert set(found.item[found.item >= 0].tolist()) <= wanted
    some = quietly(Rules(allow=["Film 3", "i09", "i40"]), 3)
    assert (some.item == recommend(MODEL, QUERIES, 3, allow=["i03", "i09", "i40"]).item).all()
    assert (quietly(Rules()).item == recommend(MODEL, QUERIES, 8).item).all()


def test_rules_and_lists_of_a_call_both_hold() -> None:
    even = MODEL.items.decode(range(0, N_ITEMS, 2))
    found = quietly(Rules(where="year >= 1990"), allow=even)
    for row in lists(found):
        assert all(i % 2 == 0 and (YEARS[i] or 0) >= 1990 for i in row)


# --- boosts ---------------------------------------------------------------------------------------------------------


def slow_boosted(b: int, free: Sequence[int]) -> dict[int, float]:
    """Two boosts by hand: factor 1.5 for Drama, factor 2 and .1 more for Noir."""
    scores = {i: float(MODEL.scores[b, i]) for i in free}
    low, high = min(scores.values()), max(scores.values())
    found = {}
    for i, score in scores.items():
        s = (score - low) / (high - low)
        factor = (1.5 if "Drama" in GENRES[i] else 1.0) * (2.0 if "Noir" in GENRES[i] else 1.0)
        found[i] = factor * s + (0.1 if "Noir" in GENRES[i] else 0.0)
    return found


def free_items(b: int) -> list[int]:
    seen = set(QUERIES.exclude[b].tolist())
    return [i for i in range(N_ITEMS) if i not in seen and MODEL.scores[b, i] > -math.inf]


def test_boosts_change_scores_that_are_from_0_to_1() -> None:
    boosts = [{"where": '"Drama" in genres', "factor": 1.5}, {"where": '"Noir" in genres', "factor": 2, "add": 0.1}]
    rules = Rules.from_dict({"where": "year != None", "boost": boosts})
    found = quietly(rules)
    for b in range(N_USERS):
        boosted = slow_boosted(b, [i for i in free_items(b) if i != 7])
        for i, score in zip(found.item[b].tolist(), found.score[b].tolist(), strict=True):
            assert score == pytest.approx(boosted[i], rel=1e-4, abs=1e-5)
        left = sorted(boosted.values(), reverse=True)
        assert found.score[b].tolist() == pytest.approx(left[:8], rel=1e-4, abs=1e-5)


def test_a_boost_by_name_and_equal_scores() -> None:
    flat = replace(MODEL, scores=np.zeros((N_USERS, N_ITEMS), np.float32))
    found = recommend(flat, QUERIES, 2, rules=Rules.from_dict({"boost": [{"items": ["Film 44"], "add": 0.5}]}))
    for b in range(N_USERS):
        if 44 not in QUERIES.exclude[b]:
            assert (int(found.item[b, 0]), float(found.score[b, 0])) == (44, 0.5)
    assert (found.score[:, 1] == 0).all()


# --- quotas and pins --------------------------------------------------------------------------------------------------


Count = tuple[set[int], int | None, int]
"""Items, at least, at most."""


def slow_list(
    free: list[int], score: dict[int, float], k: int, counts: list[Count], pins: dict[int, int]
) -> tuple[list[int], bool]:
    """The list as docs/rules.md says it is made, and whether quotas are met. pins: place from 1 -> item."""
    ranked = sorted(free, key=lambda i: (-score[i], i))
    pinned = {place: item for place, item in pins.items() if place <= k}
    chosen = list(pinned.values())

    def missing(items: list[int]) -> int:
        return sum(max(0, least - len(some & set(items))) for some, least, _ in counts if least is not None)

    def kept(items: list[int]) -> bool:
        return all(most >= len(some & set(items)) for some, _, most in counts)

    while len(chosen) < k:
        able = [i for i in ranked if i not in chosen and kept([*chosen, i])]
        if not able:
            break
        fits = [i for i in able if missing([*chosen, i]) <= k - len(chosen) - 1]
        chosen.append(fits[0] if fits else min(able, key=lambda i: (missing([*chosen, i]), ranked.index(i))))
    others = sorted((i for i in chosen if i not in pinned.values()), key=ranked.index)
    found = []
    for place in range(1, k + 1):
        found += [pinned[place]] if place in pinned else others[:1]
        others = others if place in pinned else others[1:]
    return found, missing(found) == 0


def of(name: str) -> set[int]:
    return {i for i in range(N_ITEMS) if name in GENRES[i]}


QUOTAS: dict[str, tuple[list[dict[str, Any]], list[Count]]] = {
    "at least": ([{"column": "genres", "value": "Noir", "at_least": 3}], [(of("Noir"), 3, 99)]),
    "at most": ([{"column": "genres", "value": "Drama", "at_most": 2}], [(of("Drama"), None, 2)]),
    "none": ([{"column": "genres", "value": "Drama", "at_most": 0}], [(of("Drama"), None, 0)]),
    "each value": (
        [{"column": "director", "at_most": 1}],
        [({i for i in range(N_ITEMS) if DIRECTORS[i] == d}, None, 1) for d in sorted(set(DIRECTORS))],
    ),
    "several": (
        [
            {"column": "genres", "value": "War", "at_least": 2, "at_most": 3},
            {"column": "genres", "value": "Noir", "at_least": 3},
            {"where": "year < 1985", "at_least": 2},
            {"column": "director", "at_most": 2},
        ],
        [
            (of("War"), 2, 3),
            (of("Noir"), 3, 99),
            ({i for i in range(N_ITEMS) if (YEARS[i] or 9999) < 1985}, 2, 99),
            *[({i for i in range(N_ITEMS) if DIRECTORS[i] == d}, None, 2) for d in sorted(set(DIRECTORS))],
        ],
    ),
    "more than there are places": (
        [{"column": "genres", "value": "Drama", "at_least": 6}, {"column": "genres", "value": "Comedy", "at_least": 6}],
        [(of("Drama"), 6, 99), (of("Comedy"), 6, 99)],
    ),
}


def pinned_items() -> dict[int, int]:
    """One with Drama and two without, none with War, of three directors."""
    drama = next(i for i in range(12, N_ITEMS) if "Drama" in GENRES[i] and "War" not in GENRES[i])
    others = [i for i in range(12, N_ITEMS) if not {"Drama", "War"} & set(GENRES[i])]
    second = next(i for i in others if DIRECTORS[i] != DIRECTORS[drama])
    third = next(i for i in others if DIRECTORS[i] not in (DIRECTORS[drama], DIRECTORS[second]))
    return {1: drama, 4: second, 8: third}


@pytest.mark.parametrize("pool", [1, 20, 500])
@pytest.mark.parametrize("pins", [{}, pinned_items()], ids=["free", "pinned"])
@pytest.mark.parametrize("name", QUOTAS)
def test_lists_keep_quotas_and_pins(name: str, pins: dict[int, int], pool: int) -> None:
    (quotas, counts), k = QUOTAS[name], 8
    given = {"quota": quotas, "pin": [{"item": f"Film {item}", "place": place} for place, item in pins.items()]}
    if name == "none" and pins:
        with pytest.raises(MatineeError, match="at most 0 with Drama in genres: 1 pinned item is so"):
            quietly(Rules.from_dict(given))
        return
    with mock.patch.object(applied, "POOL", pool):
        found = quietly(Rules.from_dict(given), k)
    plain, changed = recommend(MODEL, QUERIES, k), 0
    for b in range(N_USERS):
        seen = set(QUERIES.exclude[b].tolist())
        score = {i: float(MODEL.scores[b, i]) for i in range(N_ITEMS)}
        mine = {place: item for place, item in pins.items() if item not in seen}
        free = [i for i in free_items(b) if i not in mine.values()]
        wanted, _ = slow_list(free, score, k, counts, mine)
        assert lists(found)[b] == wanted
        for place, item in enumerate(found.item[b][: len(wanted)].tolist()):
            assert found.score[b, place] == MODEL.scores[b, item] or math.isnan(found.score[b, place])
        changed += wanted != lists(plain)[b]
    assert changed > N_USERS / 4, "the rules change lists"


def test_what_cannot_be_kept_is_counted() -> None:
    left = [sum("War" in GENRES[i] for i in free_items(b)) for b in range(N_USERS)]
    least = min(left) + 1
    quotas = [{"column": "genres", "value": "War", "at_least": least}, {"column": "director", "at_most": 1}]
    counts = [(of("War"), least, 99), *QUOTAS["each value"][1]]
    rules = Rules.from_dict({"where": '"War" in genres or year > 2010', "quota": quotas})
    unmet, short = 0, 0
    for b in range(N_USERS):
        free = [i for i in free_items(b) if "War" in GENRES[i] or (YEARS[i] or 0) > 2010]
        wanted, met = slow_list(free, {i: float(MODEL.scores[b, i]) for i in free}, 8, counts, {})
        unmet, short = unmet + (not met), short + (len(wanted) < min(8, len(free)))
    assert unmet > 0
    assert 0 < short < N_USERS
    with pytest.warns(MatineeWarning) as told:
        recommend(MODEL, QUERIES, 8, rules=rules)
    texts = [str(warning.message) for warning in told]
    assert any(f": {unmet} of 37 queries have fewer" in text for text in texts)
    assert any(f"{short} of 37 queries have a list that is not full" in text for text in texts)


def test_ties_at_the_cut_are_told() -> None:
    flat = replace(MODEL, scores=np.zeros((N_USERS, N_ITEMS), np.float32))
    rules = Rules.from_dict({"quota": QUOTAS["at most"][0]})
    assert recommend(flat, QUERIES, 4, rules=rules).tied.all()
    assert not quietly(rules, 8).tied.all()


def test_candidates_and_blocks_and_users_lists() -> None:
    rng = np.random.default_rng(4)
    candidates = rng.integers(-1, N_ITEMS, (N_USERS, 30)).astype(np.int32)
    asked = replace(QUERIES, candidates=candidates)
    quotas, counts = QUOTAS["several"]
    boost = [{"where": '"Drama" in genres', "add": 3.0}]
    rules = Rules.from_dict({"quota": quotas, "pin": [{"item": "Film 13", "place": 2}], "boost": boost})
    found = quietly(rules, 6, asked)
    with mock.patch.object(rank, "BLOCK_BYTES", 7 * 4 * N_ITEMS):
        again = quietly(rules, 6, asked)
    assert (again.item == found.item).all()
    np.testing.assert_array_equal(again.score, found.score)
    for b in range(N_USERS):
        free = [i for i in free_items(b) if i in candidates[b]]
        low, high = min(MODEL.scores[b, i] for i in free), max(MODEL.scores[b, i] for i in free)
        score = {i: float((MODEL.scores[b, i] - low) / (high - low)) + 3.0 * ("Drama" in GENRES[i]) for i in free}
        mine = {2: 13} if 13 in candidates[b] and 13 not in QUERIES.exclude[b] else {}
        wanted, _ = slow_list([i for i in free if i not in mine.values()], score, 6, counts, mine)
        assert lists(found)[b] == wanted
    only = {MODEL.users.decode([0])[0]: ["i01", "i02"]}
    own = quietly(Rules.from_dict({"pin": [{"item": "Film 13", "place": 1}]}), 3, allow=only)
    assert 13 not in own.item[0], "it is not on the user's own list"
    assert all(13 in QUERIES.exclude[b] or own.item[b, 0] == 13 for b in range(1, N_USERS))


def test_a_pinned_item_that_cannot_be_scored() -> None:
    found = quietly(Rules.from_dict({"pin": [{"item": "Film 11", "place": 1}]}), 3)
    rows = [b for b in range(3, N_USERS, 5) if 11 not in QUERIES.exclude[b]]
    assert rows
    assert (found.item[rows, 0] == 11).all()
    assert np.isnan(found.score[rows, 0]).all()


# --- what is refused or told ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"where": "yeer > 3"}, "no column 'yeer'"),
        ({"where": "year > 3000"}, "the rules allow no item"),
        ({"deny": ["Film 99"]}, "Film 99"),
        ({"boost": [{"items": ["nothing"], "add": 1}]}, "nothing"),
        ({"quota": [{"column": "genre", "at_most": 1}]}, r"no column 'genre'(.|\n)*did you mean genres"),
        ({"quota": [{"column": "genres", "value": "drama", "at_most": 1}]}, r"no item has 'drama'(.|\n)*Drama"),
        ({"quota": [{"column": "genres", "value": "Drama", "at_least": 9}]}, "a list has only 8 places"),
        ({"where": "year < 1966", "quota": [{"column": "genres", "value": "Noir", "at_least": 5}]}, r"only \d such"),
        ({"pin": [{"item": "Film 1", "place": 1}], "deny": ["i01"]}, "'Film 1' is pinned to place 1, and other rules"),
        ({"pin": [{"item": "Film 1", "place": 1}, {"item": "i01", "place": 2}]}, "pinned to two places"),
    ],
)
def test_rules_that_no_list_can_keep(given: dict[str, Any], words: str) -> None:
    with pytest.raises(MatineeError, match=words):
        recommend(MODEL, QUERIES, 8, rules=Rules.from_dict(given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"deny_where": "year > 3000"}, "deny_where holds for no item"),
        ({"boost": [{"where": "year > 3000", "add": 1}]}, "a boost holds for no item: year > 3000"),
        ({"pin": [{"item": "Film 1", "place": 9}]}, "1 pin is beyond the 8 places"),
    ],
)
def test_rules_that_change_nothing_are_told(given: dict[str, Any], words: str) -> None:
    with pytest.warns(MatineeWarning, match=words):
        found = recommend(MODEL, QUERIES, 8, rules=Rules.from_dict(given))
    assert (found.item == recommend(MODEL, QUERIES, 8).item).all()


def test_numbers_as_values_of_a_column() -> None:
    year = next(y for y in YEARS if y is not None and YEARS.count(y) > 2)
    for value in (year, float(year), str(year)):
        found = quietly(Rules.from_dict({"quota": [{"column": "year", "value": value, "at_most": 1}]}), 20)
        assert max(sum(YEARS[i] == year for i in row) for row in lists(found)) == 1


def test_a_model_without_a_table() -> None:
    log = truths.as_dataset(truths.random_log(2, N_USERS, N_ITEMS), N_ITEMS)
    model = EASE().fit(log)
    assert (recommend(model, log.queries([3]), 4, rules=Rules(deny=(1, 2))).item >= 3).any()
    with pytest.raises(MatineeError, match="no table of items"):
        recommend(model, log.queries([3]), 4, rules=Rules(where="year > 3"))


def test_what_lists_kept_is_written_down() -> None:
    rules = Rules(where="year >= 1980")
    assert quietly(rules).rules == str(rules)
    assert recommend(MODEL, QUERIES, 3).rules == ""
