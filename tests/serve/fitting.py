"""Values for requests of the schema that the small catalogue has: so that most of such a request is answered."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import strategies as st

from serve.world import GENRES, N_ITEMS, N_USERS

Values = st.SearchStrategy[Any]

KEYS = itertools.count()  # a strategy of texts would often draw one again
NUMBERS = st.integers(0, N_ITEMS - 1)
TITLES = NUMBERS.filter(lambda n: n not in (3, 5)).map("Film {:02d} é".format)
ITEMS: Values = NUMBERS.map(lambda n: 10 * n + 7) | TITLES
SECONDS = st.integers(0, 2**40 - 1)
SHARES = st.floats(0.0, 1.0)
EXPRESSIONS = st.sampled_from(
    [
        "year >= 1990", '"Drama" in genres', "1960 <= year < 1980 or not (\"War\" in genres)", 'title != "Twins"',
        "year in [1951, 1960, 2001]", 'column("year") > 1955 and "Comedy" in genres', "year == 1950.0",
        "not year != 1955",
    ]
)  # fmt: skip


def lists(of: Values, least: int = 0, most: int = 6) -> Values:
    return st.lists(of, min_size=least, max_size=most)


def event(**more: Values) -> Values:
    return st.fixed_dictionaries({"item": ITEMS, **more})


BOOSTS = st.fixed_dictionaries(
    {"where": EXPRESSIONS}, optional={"factor": st.floats(0.1, 10), "add": st.floats(-1, 1)}
).filter(lambda boost: len(boost) > 1)
QUOTAS = st.fixed_dictionaries(
    {"column": st.just("genres"), "value": st.sampled_from(GENRES), "at_most": st.integers(1, 5)}
) | st.fixed_dictionaries({"where": EXPRESSIONS, "at_least": st.just(1)})
RULES = st.fixed_dictionaries(
    {},
    optional={
        "where": EXPRESSIONS,
        "deny_where": EXPRESSIONS,
        "deny": lists(ITEMS),
        "boost": lists(BOOSTS, most=2),
        "pin": lists(st.fixed_dictionaries({"item": ITEMS, "place": st.integers(1, 3)}), most=1),
        "quota": lists(QUOTAS, most=2),
    },
)
FITTING: dict[str, Values] = {
    "user": st.integers(95, 100 + N_USERS),  # some are in no log
    "session_id": st.sampled_from(["a", "b 한국어", "session:"]),
    "history": lists(ITEMS, 1) | lists(event(time=SECONDS), 1) | lists(event(time=SECONDS, rating=st.floats(-5, 5)), 1),
    "title": st.sampled_from(["road trip", "영화", "🎬"]),
    "item": ITEMS,
    "model": st.sampled_from(["ease", "pop", "markov"]),
    "name": st.sampled_from(["ease", "pop", "markov"]),
    "id": st.integers(95, 100 + N_USERS).map(str) | st.just("session:a"),
    "query": st.sampled_from(["film", "Film 1", "fim 22", "TWI", "é", "07"]),
    "at": SECONDS,
    "context": st.just({}),
    "user_features": st.just({}),
    "k": st.integers(1, N_ITEMS + 5),
    "allow": st.none() | lists(ITEMS, least=8, most=30),
    "deny": lists(ITEMS),
    "where": st.none() | EXPRESSIONS,
    "exclude_seen": st.booleans(),
    "rules": RULES,
    "diversity": SHARES,
    "kind": st.just("watch"),
    "time": SECONDS,
    "rating": st.none(),
    "key": st.builds(lambda: f"key-{next(KEYS)}"),
}
APART = {"session_id": "user"}  # who asks has one of them


@st.composite
def fitted(draw: Any, given: Any) -> Any:
    """What the schema gave (a body, or what stands in a URL), with the catalogue's values in the places of the same
    names. Whatever else it holds stays."""
    if not isinstance(given, dict):
        return given
    return {
        name: draw(FITTING[name]) if name in FITTING else value
        for name, value in given.items()
        if APART.get(name) not in given
    }


@st.composite
def fitted_body(draw: Any, given: Any) -> Any:
    """The same of a body, in which somebody asks, or did something."""
    if isinstance(given, list):
        return [draw(fitted_body(each)) for each in given]
    found = draw(fitted(given))
    if not isinstance(found, dict):
        return found
    for name in {"events", "requests"} & set(found):
        return found | {name: draw(fitted_body(found[name]))}
    if "key" in found and not {"user", "session_id"} & set(found):
        found["user"] = draw(FITTING["user"])
    elif "key" not in found and ("item" in found or not {"user", "session_id", "title"} & set(found)):
        found["history"] = draw(FITTING["history"])  # why an item is asked of what is known
    return found
