"""What people are shown is kept: the items at their positions, and the probabilities of `exploration`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import matinee as mt
from serve.world import App, ids, started


def kept(path: Path) -> list[dict[str, Any]]:
    """The answers of a store with their items, in the order of the requests."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        answers = [
            dict(row._mapping) for row in connection.execute(sa.text("select * from matinee_answers order by number"))
        ]
        shown = connection.execute(sa.text("select * from matinee_shown order by position")).all()
    for answer in answers:
        answer["items"] = []
    by_request = {answer["request"]: answer["items"] for answer in answers}
    for row in shown:
        by_request[row.request].append((row.item, row.position, row.probability))
    engine.dispose()
    return answers


def test_answers_of_routing_are_kept_with_their_arm(folders: dict[str, Path], tmp_path: Path) -> None:
    at = tmp_path / "e.db"
    with started(mt.create_app(folders, events=str(at), routing={"ease": 1, "pop": 1})) as running:
        given = [running.ask(user=user, k=3) for user in (100, 101, 102)]
        given.append(running.ask(session_id="s", k=2, deny=[7]))
        running.ask(history=[7])  # nobody
        running.ask(user=100, model="markov")  # not by routing
    found = kept(at)
    assert [answer["request"] for answer in found] == [answer["request_id"] for answer in given]
    assert [answer["person"] for answer in found] == ["100", "101", "102", "session:s"]
    for answer, record in zip(given, found, strict=True):
        assert (record["model"], record["version"], record["arm"]) == (
            answer["model"],
            answer["version"],
            answer["arm"],
        )
        assert [row[:2] for row in record["items"]] == [(str(item), at) for at, item in enumerate(ids(answer), start=1)]
        assert (record["share"], answer["randomised"]) == (0.0, False)


def test_a_share_of_lists_is_drawn_and_probabilities_say_so(folders: dict[str, Path], tmp_path: Path) -> None:
    at, share, n, k = tmp_path / "e.db", 0.3, 120, 3
    with started(mt.create_app(folders["ease"], events=str(at), explore=share)) as running:
        given = [running.ask(user=100 + n % 40, k=k) for n in range(n)]
        best = {user: ids(running.ask(user=user, k=k, model="ease")) for user in range(100, 140)}
        by_rules = [running.ask(user=100, k=k, deny=[7]) for _ in range(20)]
        counted = candidates_of_everyone(running)
    drawn = [answer["randomised"] for answer in given]
    assert 0.15 < np.mean(drawn) < 0.45
    assert not any(answer["randomised"] for answer in by_rules)
    for answer, record, row in zip(given, kept(at), range(n), strict=False):
        user = 100 + row % 40
        total = counted[user]
        assert record["candidates"] == total
        for (item, place, probability), shown in zip(record["items"], answer["items"], strict=True):
            own = str(best[user][place - 1]) == item
            assert probability == pytest.approx((1 - share) * own + share / total)
            assert str(shown["item_id"]) == item
        if answer["randomised"]:
            watched = running.service.models.now["ease"].data.queries([user]).history.values
            assert not set(ids(answer)) & set(running.service.models.now["ease"].data.items.decode(watched))


def candidates_of_everyone(running: App) -> dict[int, int]:
    """How many items each user may be recommended: those with an event that they did not watch."""
    data = running.service.models.now["ease"].data
    known = data.item_counts() > 0
    return {user: int(known.sum()) - len(set(data.queries([user]).history.values.tolist())) for user in range(100, 140)}


def test_options_that_do_not_fit_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for wrong in ({"explore": 0.1}, {"record_answers": True}):
        with pytest.raises(mt.MatineeError, match="there is none"):
            mt.create_app(folders, **wrong)
    for share in (1.0, -0.1):
        with pytest.raises(mt.MatineeError, match="no share"):
            mt.create_app(folders, events=str(tmp_path / "e.db"), explore=share)
    with pytest.raises(mt.MatineeError, match="not kept"):
        mt.create_app(folders, events=str(tmp_path / "e.db"), explore=0.1, record_answers=False)
