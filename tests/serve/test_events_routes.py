"""Events over HTTP: what is acknowledged is known to the next answer, once; a store that is down stops events alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import matinee as mt
from matinee.data.arrays import Ragged
from matinee.serve.events import EventStore, StoreUnavailable
from serve.world import App, ids, started


def watch(item: Any, key: str, **more: Any) -> dict[str, Any]:
    return {"user": 104, "item": item, "key": key} | more


def test_the_next_answer_knows_an_acknowledged_event(service: App, data: mt.Dataset, ease: mt.models.Model) -> None:
    before = service.ask(user=104, k=5)
    first = ids(before)[0]
    assert service.ask("/v1/events", events=[watch(first, "k1")])["stored"] == [True]
    after = service.ask(user=104, k=5)
    codes = [*data.queries([104]).history.values.tolist(), data.items.code(first)]
    history = Ragged.from_lists([codes])
    queries = mt.Queries(mt.query(ease, user=104).user, history, history)
    expected = mt.recommend(ease, queries, k=5)._ranked(0)
    assert [(item["item_id"], item["score"]) for item in after["items"]] == expected
    assert after["history_items"] == before["history_items"] + 1


def test_a_repeated_key_counts_once_and_another_event_under_it_is_refused(service: App) -> None:
    event = watch(7, "k1", kind="rating", rating=4, time=1_100_000_000)
    assert service.ask("/v1/events", events=[event, watch(17, "k2")])["stored"] == [True, True]
    assert service.ask("/v1/events", events=[event])["stored"] == [False]
    assert "used before" in service.refused(409, "/v1/events", events=[watch(27, "k3"), watch(27, "k1")])
    service.service.states.forget(["104"])
    assert service.ask(user=104)["history_items"] == service.ask(user=104, model="pop")["history_items"]
    assert service.ask("/v1/events", events=[watch(27, "k3")])["stored"] == [True], "all or none were stored"


def test_a_disliked_item_is_not_recommended_again(service: App) -> None:
    first, second, *_ = ids(service.ask(user=104, k=5))
    service.ask("/v1/events", events=[watch(first, "d", kind="dislike")])
    answer = service.ask(user=104, k=5)
    assert first not in ids(answer)
    assert ids(answer)[0] == second
    assert first not in ids(service.ask(user=104, k=60, exclude_seen=False))


def test_sessions_and_users_who_are_not_in_the_log_have_histories_too(service: App, ease: mt.models.Model) -> None:
    expected = [item for item, _ in mt.recommend(ease, mt.query(ease, history=[117]), 5)._ranked(0)]
    for who in ({"session_id": "104"}, {"user": "new"}):
        assert service.ask(k=5, **who)["user_known"] is False
        service.ask("/v1/events", events=[who | {"item": "Film 11 é", "key": f"{who}"}])
        answer = service.ask(k=5, **who)
        assert (ids(answer), answer["user_known"], answer["fallback"]) == (expected, True, False)


def test_deleting_a_user_forgets_their_events_and_no_others(service: App) -> None:
    logged = service.ask(user=104)["history_items"]
    service.ask("/v1/events", events=[watch(7, "1"), watch(17, "2"), {"session_id": "104", "item": 7, "key": "3"}])
    assert service.client.delete("/v1/users/104").json()["deleted"] == 2
    assert service.ask(user=104)["history_items"] == logged
    assert service.ask(session_id="104")["history_items"] == 1
    assert service.client.delete("/v1/users/session:104").json()["deleted"] == 1
    assert service.client.delete("/v1/users/104").json()["deleted"] == 0


def test_events_that_make_no_sense_are_told_why(service: App) -> None:
    for event, words in [
        ({"item": 7, "key": "k"}, "either user or session_id"),
        (watch(7, "k", kind="rating"), "a rating belongs"),
        (watch(7, "k", rating=3), "a rating belongs"),
        (watch(7, ""), "key"),
        (watch(7, "k", kind="bought"), "kind"),
        (watch("Twins", "k"), "2 items are called"),
        (watch(7, "k" * 201), "at most 200"),
    ]:
        assert words in service.refused(422, "/v1/events", events=[event])
    assert "at most 256" in service.refused(422, "/v1/events", events=[watch(7, str(n)) for n in range(257)])


def test_a_service_without_a_store_takes_no_events(plain: App) -> None:
    assert "--events" in plain.refused(404, "/v1/events", events=[watch(7, "k")])
    assert plain.client.delete("/v1/users/1").status_code == 404


def test_a_store_that_is_down_stops_events_and_nothing_else(service: App, monkeypatch: pytest.MonkeyPatch) -> None:
    known = service.ask(user=104)
    service.ask("/v1/events", events=[watch(7, "k1")])

    def down(*_: Any) -> Any:
        raise StoreUnavailable("the disk is full", where="/secret/events.db", hint="free some")

    with monkeypatch.context() as broken:
        broken.setattr(EventStore, "history", down)
        broken.setattr(EventStore, "add", down)
        broken.setattr(EventStore, "delete", down)
        answer = service.client.post("/v1/events", json={"events": [watch(17, "k2")]})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "secret" not in answer.text
        assert service.client.delete("/v1/users/104").status_code == 503
        answered = service.ask(user=104)
        assert (answered["events_read"], answered["items"]) == (False, known["items"])
        assert service.client.get("/ready").json() == {"status": "ready", "events": "unavailable"}
        assert "matinee_store_failures_total 2.0" in service.client.get("/metrics").text
    monkeypatch.setattr("matinee.serve.stored.AGAIN", 0.0)
    service.service.events._down_until = 0.001  # type: ignore[union-attr]
    again = service.ask(user=104)
    assert (again["events_read"], again["history_items"]) == (True, known["history_items"] + 1)
    assert service.client.get("/ready").json()["events"] == "available"


def test_a_store_that_is_down_at_the_start_is_opened_later(folders: dict[str, Path], tmp_path: Path) -> None:
    place = tmp_path / "later"
    with started(mt.create_app(folders, events=f"sqlite:///{place / 'events.db'}")) as running:
        assert running.ask(user=104)["events_read"] is False
        place.mkdir()
        running.service.events._down_until = 0.001  # type: ignore[union-attr]
        assert running.ask("/v1/events", events=[watch(7, "k")])["stored"] == [True]


def test_a_url_of_no_store_is_an_error(folders: dict[str, Path]) -> None:
    with pytest.raises(mt.MatineeError, match="not supported"):
        mt.create_app(folders, events="mysql://x/y")
