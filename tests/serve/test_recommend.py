"""Answers are those of the library: the same items and scores as `mt.recommend` gives for the same queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matinee as mt
from matinee.data.arrays import Ragged
from matinee.data.dataset import Queries
from matinee.store import read_manifest
from serve.world import App, ids


def ranked(recs: Any, row: int = 0) -> list[tuple[Any, float]]:
    return recs._ranked(row)  # type: ignore[no-any-return]


def served(answer: dict[str, Any]) -> list[tuple[Any, float]]:
    return [(item["item_id"], item["score"]) for item in answer["items"]]


@pytest.mark.parametrize("name", ["ease", "pop", "markov"])
def test_each_user_of_the_log_gets_what_the_library_recommends(
    plain: App, data: mt.Dataset, folders: dict[str, Path], name: str
) -> None:
    model = mt.load_model(folders[name])
    for user in data.users.ids.tolist()[::7]:
        answer = plain.ask(user=user, k=5, model=name)
        assert served(answer) == ranked(mt.recommend(model, mt.query(model, user=user), k=5))
        assert answer["history_items"] == len(data.queries([user]).history.values)
        assert (answer["user_known"], answer["fallback"], answer["arm"]) == (True, False, None)


def test_titles_version_and_model_are_those_of_the_folder(
    plain: App, data: mt.Dataset, folders: dict[str, Path]
) -> None:
    answer = plain.ask(user=100, k=3)
    titles = data.item_titles
    assert titles is not None
    by_id = dict(zip(data.items.ids.tolist(), titles.to_list(), strict=True))
    assert [item["title"] for item in answer["items"]] == [by_id[item] for item in ids(answer)]
    assert answer["version"] == read_manifest(folders["ease"]).digest[:12]
    assert (answer["model"], answer["arm"]) == ("ease", "ease")


def test_someone_new_is_answered_by_their_history_by_ids_and_titles(plain: App, ease: mt.models.Model) -> None:
    expected = ranked(mt.recommend(ease, mt.query(ease, history=[7, "Film 06 é", 117]), k=6))
    assert served(plain.ask(history=[7, "film 06 É", {"item": "117"}], k=6)) == expected
    assert plain.ask(history=[7])["user_known"] is False


def test_times_put_a_history_in_order_and_ratings_reach_the_model(plain: App, folders: dict[str, Path]) -> None:
    markov = mt.load_model(folders["markov"])
    events = [{"item": 27, "time": 300, "rating": 2}, {"item": 7, "time": 100, "rating": 5}]
    expected = ranked(mt.recommend(markov, mt.query(markov, history=[7, 27]), k=6))
    assert served(plain.ask(history=events, k=6, model="markov")) == expected
    assert expected != ranked(mt.recommend(markov, mt.query(markov, history=[27, 7]), k=6))


def test_a_user_with_a_further_history_is_answered_by_both(plain: App, data: mt.Dataset, ease: mt.models.Model) -> None:
    watched = data.queries([105]).history.values
    new = next(i for i in range(20, data.n_items) if i not in watched)
    both = Ragged.from_lists([np.append(watched, new)])
    queries = Queries(np.array([data.users.code(105)], np.int32), both, both)
    answer = plain.ask(user=105, history=[int(data.items.ids[new])], k=5)
    assert served(answer) == ranked(mt.recommend(ease, queries, k=5))
    assert answer["history_items"] == len(watched) + 1


def test_unknown_users_and_items_are_ordinary(plain: App, data: mt.Dataset) -> None:
    popular = data.items.ids[np.argsort(-data.item_counts(), kind="stable")[:4]].tolist()
    answer = plain.ask(user="nobody", k=4)
    assert (ids(answer), answer["fallback"], answer["user_known"]) == (popular, True, False)
    answer = plain.ask(history=[999, "no such film", 7], deny=[998], k=4)
    assert answer["unknown_items"] == [999, "no such film", 998]
    assert (answer["history_items"], answer["fallback"]) == (1, False)
    assert plain.ask(session_id="s", k=4)["fallback"] is True


def test_what_may_be_shown_is_restricted_as_in_the_library(plain: App, ease: mt.models.Model) -> None:
    query, everything = mt.query(ease, user=110), mt.query(ease, user=110, exclude_seen=False)
    rules = {
        "pin": [{"item": "Film 31 é", "place": 2}], "quota": [{"column": "genres", "value": "War", "at_most": 1}],
        "boost": [{"where": "year >= 1980", "add": 0.2}], "deny_where": "year == 1955",
    }  # fmt: skip
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"deny": [7, "Film 01 é"]}, mt.recommend(ease, query, 5, deny=[7, 17])),
        ({"allow": [7, 17, 27, 47, 997]}, mt.recommend(ease, query, 5, allow=[7, 17, 27, 47])),
        ({"where": "year >= 1990"}, mt.recommend(ease, query, 5, rules=mt.Rules(where="year >= 1990"))),
        ({"exclude_seen": False}, mt.recommend(ease, everything, 5)),
        ({"rules": rules}, mt.recommend(ease, query, 5, rules=mt.Rules.from_dict(rules))),
    ]
    plain_list = ids(plain.ask(user=110, k=5))
    for asked, expected in cases:
        answer = plain.ask(user=110, k=5, **asked)
        assert served(answer) == ranked(expected)
        assert ids(answer) != plain_list


def test_an_empty_allow_list_allows_nothing(plain: App) -> None:
    assert plain.ask(user=110, allow=[])["items"] == []
    assert plain.ask(user=110, allow=[999])["items"] == []


def test_diversity_is_mmr_around_the_model(plain: App, data: mt.Dataset) -> None:
    mmr = mt.models.MMR(base=mt.models.EASE(l2=5.0), lam=0.6, places=5, n=100).fit(data)
    expected = ranked(mt.recommend(mmr, mt.query(mmr, user=112), k=5))
    answer = plain.ask(user=112, k=5, diversity=0.6)
    assert ids(answer) == [item for item, _ in expected]
    assert [score for _, score in served(answer)] == pytest.approx([score for _, score in expected], rel=1e-5)
    assert ids(answer) != ids(plain.ask(user=112, k=5))


def test_what_the_rules_would_warn_of_is_in_the_answer(plain: App) -> None:
    answer = plain.ask(user=110, where='"Dramma" in genres or year > 1950')
    assert "did you mean Drama?" in answer["warnings"][0]


def test_a_pinned_item_that_cannot_be_scored_has_no_score(plain: App, data: mt.Dataset) -> None:
    never = np.flatnonzero(data.item_counts() == 0)
    assert len(never), "the made log has an item that nobody watched"
    item = int(data.items.ids[never[0]])
    (first, *_) = plain.ask(user=110, rules={"pin": [{"item": item, "place": 1}]})["items"]
    assert (first["item_id"], first["score"]) == (item, None)


def test_a_batch_answers_each_as_it_would_be_alone(plain: App) -> None:
    requests: list[dict[str, Any]] = [
        {"user": 101, "k": 3}, {"history": [7, 17], "k": 9}, {"user": 101, "k": 2, "exclude_seen": False},
        {"user": 102, "k": 3, "model": "none"}, {"user": 103, "k": 4, "model": "markov"}, {"user": 104, "deny": [7]},
        {"user": 105, "where": "nothing > 3"}, {"history": [{"item": 7, "rating": 4.0, "time": 5}], "k": 3, "at": 77},
    ]  # fmt: skip
    answers = plain.ask("/v1/recommend/batch", requests=requests)["answers"]
    assert [answer.get("status", 200) for answer in answers] == [200, 200, 200, 404, 200, 200, 422, 200]
    for request, answer in zip(requests, answers, strict=True):
        if "status" not in answer:
            alone = plain.ask(**request)
            assert alone | {"request_id": 0} == answer | {"request_id": 0}
    assert len({answer["request_id"] for answer in answers}) == len(requests)


def test_similar_items_and_explanations_are_the_librarys(plain: App, ease: mt.models.Model) -> None:
    found = plain.client.get("/v1/similar/117", params={"k": 4}).json()
    assert served(found) == mt.similar_items(ease, 117, k=4)._ranked(0)
    by_title = plain.client.get("/v1/similar/Film 11 é", params={"k": 4}).json()
    assert (by_title["items"], by_title["item_id"]) == (found["items"], 117)
    why = plain.ask("/v1/explain", user=103, item=117, k=3)
    expected = mt.reasons(ease, mt.query(ease, user=103), 117, k=3)
    assert [each["item_id"] for each in why["reasons"]] == expected["item_id"].to_list()
    assert [each["push"] for each in why["reasons"]] == pytest.approx(expected["push"].to_list())


def test_items_are_found_by_a_part_of_their_title(plain: App) -> None:
    found = plain.client.get("/v1/items", params={"query": "film 3", "k": 20}).json()["items"]
    assert {"item_id": 317, "title": "Film 31 é"} in found
    assert len(found) <= 20


def test_requests_that_make_no_sense_are_told_why(plain: App) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "nobody asks"),
        ({"user": 1, "session_id": "s"}, "name one of them"),
        ({"user": 1, "k": 1001}, "less than or equal to 1000"),
        ({"user": 1, "k": True}, "k: Input should be a valid integer"),
        ({"user": 1, "what": 1}, "what: Extra inputs"),
        ({"user": "session:x"}, "does not begin with"),
        ({"user": "a\x00b"}, "control characters"),
        ({"history": [{"item": 7, "time": 3}, 17]}, "1 of 2 events have a time"),
        ({"history": ["Twins"]}, "2 items are called 'Twins'"),
        ({"user": 1, "where": "yeer > 3"}, "did you mean year?"),
        ({"user": 1, "where": "__import__('os')"}, "is not allowed here"),
        ({"user": 1, "rules": {"pin": [{"item": 7}]}}, "place"),
        ({"user": 1, "context": {"hour": 3}}, "context: there is no column 'hour'"),
        ({"user": 1, "history": [7] * 5001}, "at most 5000"),
        ({"user": 1, "model": "../etc"}, "model"),
    ]
    for body, words in cases:
        assert words in plain.refused(422, **body), body
    assert "nobody" not in plain.refused(404, user=1, model="other")
    assert "at most 256" in plain.refused(422, "/v1/recommend/batch", requests=[{"user": 1}] * 257)
    assert "the most is" in plain.refused(422, "/v1/recommend/batch", requests=[{"user": 1, "k": 1000}] * 30)
    assert plain.refused(404, "/v1/explain", user=100, item="none")
    assert "never saw" in plain.refused(422, "/v1/explain", user=100, item=_never(plain))


def _never(plain: App) -> int:
    data = plain.service.models.now["ease"].data
    return int(data.items.ids[np.flatnonzero(data.item_counts() == 0)[0]])


def test_queries_of_urls_are_checked(plain: App) -> None:
    for path in (
        "/v1/similar/117?k=0",
        "/v1/similar/117?k=1e3",
        "/v1/similar/117?x=1",
        "/v1/items",
        "/v1/items?query=a&k=2000",
    ):
        assert plain.client.get(path).status_code == 422, path
    assert plain.client.get("/v1/similar/5").status_code == 404
    assert plain.client.get("/v1/similar/117?model=other").status_code == 404


def test_models_health_and_metrics(plain: App) -> None:
    models = plain.client.get("/v1/models").json()["models"]
    assert [(m["name"], m["kind"], m["share"]) for m in models] == [
        ("ease", "ease", 1.0),
        ("pop", "popularity", 0.0),
        ("markov", "markov", 0.0),
    ]
    assert plain.client.get("/live").json() == {"status": "live"}
    assert plain.client.get("/ready").json() == {"status": "ready", "events": "off"}
    plain.ask(user=100)
    text = plain.client.get("/metrics").text
    assert 'matinee_requests_total{route="/v1/recommend",status="200"}' in text
    assert f'matinee_model{{kind="ease",model="ease",version="{models[0]["version"]}"}} 1.0' in text


def test_openapi_describes_every_route_with_bodies_that_are_answered(plain: App) -> None:
    api = plain.client.get("/openapi.json").json()
    posts = {path: route["post"] for path, route in api["paths"].items() if "requestBody" in route.get("post", {})}
    assert set(posts) == {"/v1/recommend", "/v1/recommend/batch", "/v1/explain", "/v1/events"}
    for route in posts.values():
        content = route["requestBody"]["content"]["application/json"]
        assert content["schema"]["$ref"].rpartition("/")[2] in api["components"]["schemas"]
        assert content["examples"]
