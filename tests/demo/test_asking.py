"""What stands on the page as a query, against the queries of the library."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

import matinee as mt
from demo.films import log
from matinee.demo.asking import Asked, moment, people_columns, queries_of, years

DATA = log()


def test_someone_new_is_a_history_of_titles() -> None:
    asked = queries_of(DATA, Asked(picked=(4, 1), liked=(1, 7)))
    assert asked.history[0].tolist() == [4, 1, 7]
    assert asked.exclude[0].tolist() == [4, 1, 7]
    assert asked.user.tolist() == [-1]
    assert asked.history_times is None


def test_a_user_of_the_data_is_asked_as_by_the_library() -> None:
    own, asked = mt.query(DATA, user=7), queries_of(DATA, Asked(user=7))
    assert asked.history[0].tolist() == own.history[0].tolist()
    assert asked.user.tolist() == own.user.tolist()


def test_a_like_of_a_user_is_an_event_at_the_end() -> None:
    own = mt.query(DATA, user=7)
    unseen = next(code for code in range(DATA.n_items) if code not in own.history[0])
    asked = queries_of(DATA, Asked(user=7, liked=(unseen,)))
    assert asked.history[0].tolist() == [*own.history[0], unseen]
    assert unseen in asked.exclude[0]
    assert asked.history_ratings is not None
    assert asked.history_ratings[-1] == 5.0
    assert asked.history_times is not None
    assert own.history_times is not None
    assert asked.history_times[-1] == own.history_times.max() + 1


def test_a_disliked_item_leaves_the_history_and_is_never_answered() -> None:
    own = mt.query(DATA, user=7)
    seen, unseen = int(own.history[0][0]), next(c for c in range(DATA.n_items) if c not in own.history[0])
    asked = queries_of(DATA, Asked(user=7, disliked=(seen, unseen)))
    assert asked.history[0].tolist() == own.history[0].tolist()[1:]
    assert {seen, unseen} <= set(asked.exclude[0].tolist())
    model = mt.models.EASE(l2=10).fit(DATA)
    assert not {seen, unseen} & set(mt.recommend(model, asked, DATA.n_items).item[0].tolist())


def test_title_moment_and_who_asks_come_with_the_query() -> None:
    asked = queries_of(DATA, Asked(user=7, title="noir", at=moment(2004, 6, 20), who=(("gender", "F"),)))
    assert asked.title == ("noir",)
    assert asked.request_time is not None
    assert datetime.fromtimestamp(int(asked.request_time[0]), UTC) == datetime(2004, 6, 15, 20, tzinfo=UTC)
    assert asked.user_features is not None
    assert asked.user_features.to_dicts() == [{"gender": "F"}]
    new = queries_of(DATA, Asked(picked=(1,), who=(("gender", "M"),)))
    assert new.user_features is not None
    assert new.user_features["gender"].to_list() == ["M"]


def test_columns_of_few_values_may_be_chosen() -> None:
    assert people_columns(DATA) == {"gender": ["M", "F"]}
    assert people_columns(replace(DATA, user_features=None)) == {}


def test_years_are_those_of_the_log() -> None:
    assert years(DATA) == (2001, 2001)
    assert years(replace(DATA, timestamp=None)) is None


def test_nothing_said_is_told_from_something() -> None:
    assert not Asked(disliked=(3,)).says_something
    assert Asked(title="noir").says_something
    assert Asked(user=0).says_something
    assert np.array_equal(queries_of(DATA, Asked()).history.lengths, [0])
