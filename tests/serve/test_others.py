"""Over routing: what the other models would have shown decides the probabilities, and nobody waits for it."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.serve import asking, others
from serve.test_recording import kept
from serve.world import App, ids, started, until

ROUTE = {"ease": 3, "pop": 1}
WEIGHT = {"ease": 0.75, "pop": 0.25}
K = 4
HISTORIES = [[87, 497], [7, 37], [27], [107, 37, 247], [307, 577]]  # in some the arms agree at one or two places


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers wait for half a second before the other models are asked."""
    monkeypatch.setattr(others, "EACH", 0.5)


def best(running: App, history: list[int], **more: Any) -> dict[str, list[int]]:
    """What each arm shows for a history."""
    return {arm: ids(running.ask(history=history, k=K, model=arm, **more)) for arm in ROUTE}


def by_hand(lists: dict[str, list[int]], arm: str, k: int = K) -> list[float]:
    (other,) = set(lists) - {arm}
    return [1.0 if lists[arm][at] == lists[other][at] else WEIGHT[arm] for at in range(k)]


def many(running: App, n: int) -> list[dict[str, Any]]:
    """n sessions that ask once each, each history in turn."""
    requests = [
        {"session_id": f"s{row}", "history": HISTORIES[row % len(HISTORIES)], "k": K, "model": None} for row in range(n)
    ]
    found = []
    for start in range(0, n, 250):
        body = running.client.post("/v1/recommend/batch", json={"requests": requests[start : start + 250]}).json()
        found += body["answers"]
    return found


def test_the_probabilities_are_those_by_hand_and_the_frequencies(folders: dict[str, Path], tmp_path: Path) -> None:
    n, at = 1_250, tmp_path / "e.db"
    with started(mt.create_app(folders, events=str(at), routing=ROUTE)) as running:
        lists = [best(running, history) for history in HISTORIES]
        given = many(running, n)
        assert running.client.get("/metrics").text.count("matinee_answers_not_recorded 0.0") == 1
    by_request = {record["request"]: record for record in kept(at)}
    found = [by_request[answer["request_id"]] for answer in given]
    assert len(by_request) == n
    seen: Counter[tuple[int, int, str]] = Counter()
    recorded: dict[tuple[int, int, str], float] = {}
    for row, record in enumerate(found):
        of = row % len(HISTORIES)
        assert [item for item, _, _ in record["items"]] == [str(item) for item in lists[of][record["arm"]]]
        assert [p for _, _, p in record["items"]] == by_hand(lists[of], record["arm"])
        for item, place, probability in record["items"]:
            seen[of, place, item] += 1
            assert recorded.setdefault((of, place, item), probability) == probability
    assert {0.25, 0.75, 1.0} == set(recorded.values())
    asked = n / len(HISTORIES)
    for key, p in recorded.items():
        assert abs(seen[key] / asked - p) <= 4 * np.sqrt(p * (1 - p) / asked), (key, seen[key] / asked, p)
    off_policy_agrees(found, lists)


def off_policy_agrees(found: list[dict[str, Any]], lists: list[dict[str, list[int]]]) -> None:
    """In a world where some items are liked more, and the first places are looked at more: the small arm's value by the
    whole log, by its own answers, and by the world's own probabilities."""
    rng, likes, rows, own = np.random.default_rng(2), np.random.default_rng(1).random((60, len(HISTORIES))), [], []
    other: dict[str, list[int]] = {}
    for row, record in enumerate(found):
        of = row % len(HISTORIES)
        other[record["request"]] = lists[of]["pop"]
        watched = [
            int(rng.random() < likes[int(item) // 10, of] / place) for item, place, _ in record["items"]
        ]  # fmt: skip
        rows += [
            (record["request"], record["person"], place, item, p, watch)
            for (item, place, p), watch in zip(record["items"], watched, strict=True)
        ]
        if record["arm"] == "pop":
            own.append(sum(watched))
    names = ["request", "user_id", "position", "item_id", "probability", "watched"]
    estimate = mt.off_policy(pl.DataFrame(rows, names, orient="row"), other)
    truth = np.mean(
        [sum(likes[item // 10, of] / at for at, item in enumerate(each["pop"], 1)) for of, each in enumerate(lists)]
    )
    error = np.std(own) / np.sqrt(len(own))
    for value in (estimate.ips, estimate.snips):
        assert value.low < truth < value.high
        assert value.low < np.mean(own) < value.high
    assert estimate.logged.high < truth or estimate.logged.low > truth  # what was logged is worth something else
    assert estimate.snips.high - estimate.snips.low < 2 * 1.96 * error  # and the whole log tells more than a quarter


@pytest.fixture(scope="module")
def text(data: mt.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Popularity of the latter half of the log, with ids that are text, fewer items, and no titles."""
    at = tmp_path_factory.mktemp("text") / "text"
    log = pl.DataFrame({"user_id": data.users.decode(data.user), "item_id": data.items.decode(data.item)})
    log = log.slice(len(log) // 2).with_columns(pl.col("user_id", "item_id").cast(pl.String))
    return mt.save_model(mt.models.Popularity().fit(mt.read(log)), at)


def test_catalogues_that_differ_are_translated_and_draws_are_counted_in(
    folders: dict[str, Path], text: Path, tmp_path: Path
) -> None:
    at, share, history = tmp_path / "e.db", 0.4, [7, 47]
    models = {"ease": folders["ease"], "pop": text}
    with started(mt.create_app(models, events=str(at), routing=ROUTE, explore=share)) as running:
        lists = {arm: [str(item) for item in items] for arm, items in best(running, history).items()}
        for n in range(60):
            running.ask(session_id=f"s{n}", history=history, k=K)
        lives = running.service.models.now
    candidates = {}
    for arm in ROUTE:
        counts = lives[arm].data.item_counts()
        known = {str(item) for item, n in zip(lives[arm].ids, counts.tolist(), strict=True) if n}
        candidates[arm] = known - {str(item) for item in history}
    assert len(candidates["pop"]) < len(candidates["ease"])
    met = set()
    for record in kept(at):
        assert (record["share"], record["candidates"]) == (share, len(candidates[record["arm"]]))
        for item, place, probability in record["items"]:
            own = {arm: lists[arm][place - 1] == item for arm in ROUTE}
            there = {arm: item in candidates[arm] for arm in ROUTE}
            expected = sum(
                WEIGHT[arm] * ((1 - share) * own[arm] + share * there[arm] / len(candidates[arm])) for arm in ROUTE
            )
            assert probability == pytest.approx(expected, rel=1e-9)
            met.add((record["arm"], *own.values(), *there.values()))
    assert len(met) >= 5


def test_an_arm_that_cannot_answer_shows_nothing(
    folders: dict[str, Path], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = tmp_path / "e.db"
    models = {"ease": folders["ease"], "pop": text}
    with started(mt.create_app(models, events=str(at), routing=ROUTE)) as running:
        asked = [{"session_id": f"s{n}", "history": [7, "Twins"], "k": K} for n in range(12)]  # two have this title
        answers = [running.client.post("/v1/recommend", json=body) for body in asked]
        until(lambda: not running.service.recorder._others._waiting)  # type: ignore[union-attr]

        def fails(asks: object) -> None:
            raise MemoryError

        monkeypatch.setattr(asking, "answer", fails)
        assert running.ask(session_id="s0", history=[7], k=K)["arm"] == "ease"
    assert {answer.status_code for answer in answers} == {200, 422}
    *unable, failed = kept(at)
    assert len(unable) == sum(answer.status_code == 200 for answer in answers)
    assert {(record["arm"], p) for record in unable for _, _, p in record["items"]} == {("pop", 0.25)}
    assert [p for _, _, p in failed["items"]] == [0.75] * K


def test_rules_of_the_request_hold_for_the_other_arm_too(folders: dict[str, Path], tmp_path: Path) -> None:
    at = tmp_path / "e.db"
    with started(mt.create_app(folders, events=str(at), routing=ROUTE)) as running:
        allow = [107, 117, 127, 137, 147]
        lists = best(running, [7, 47], allow=allow)
        answer = running.ask(session_id="s", history=[7, 47], k=K, allow=allow)
        free = running.ask(session_id="s", history=[7, 47], k=K)
    ruled, plain = kept(at)
    assert [p for _, _, p in ruled["items"]] == by_hand(lists, answer["arm"])
    assert (ruled["candidates"], plain["candidates"]) == (0, 57)  # of 59 items with events two were watched
    assert free["arm"] == answer["arm"]


def test_the_client_does_not_wait_and_too_much_is_dropped_and_counted(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, go, answer = tmp_path / "e.db", threading.Event(), asking.answer
    monkeypatch.setattr(others, "WAITING", 3)

    def held(asks: Any) -> Any:
        go.wait(10)
        return answer(asks)

    with started(mt.create_app(folders, events=str(at), routing=ROUTE)) as running:
        monkeypatch.setattr(asking, "answer", held)
        first = running.ask(user=100)
        until(lambda: running.service.recorder._others._block)  # type: ignore[union-attr]
        given = [running.ask(user=100 + n) for n in range(1, 6)]
        assert "matinee_answers_not_recorded 2.0" in running.client.get("/metrics").text
        assert not go.is_set()
        go.set()
    assert [record["request"] for record in kept(at)] == [one["request_id"] for one in [first, *given[:3]]]


@pytest.mark.usefixtures("slow")
def test_a_large_request_waits_in_bounded_memory(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = tmp_path / "e.db"
    monkeypatch.setattr(others, "WAITING_BYTES", 150_000)
    with started(mt.create_app(folders, events=str(at), routing=ROUTE)) as running:
        for _ in range(3):
            running.ask(user=100, deny=list(range(400)))
    assert len(kept(at)) == 1


@pytest.mark.usefixtures("slow")
def test_a_person_who_is_deleted_while_answers_wait_is_not_kept(folders: dict[str, Path], tmp_path: Path) -> None:
    at = tmp_path / "e.db"
    with started(mt.create_app(folders, events=str(at), routing=ROUTE)) as running:
        for user in (100, 101, 100):
            running.ask(user=user)
        assert running.client.delete("/v1/users/100").status_code == 200
    assert [record["person"] for record in kept(at)] == ["101"]


@pytest.mark.usefixtures("slow")
def test_a_reload_in_between_changes_nothing_that_was_answered(
    data: mt.Dataset, folders: dict[str, Path], tmp_path: Path
) -> None:
    """Both arms are swapped while an answer waits: it is kept with the versions and the lists of its moment."""
    at, models = tmp_path / "e.db", {name: tmp_path / name for name in ROUTE}
    for name, folder in models.items():
        shutil.copytree(folders[name], folder)
    with started(mt.create_app(models, events=str(at), routing=ROUTE)) as running:
        old = best(running, [7, 47])
        before = running.ask(session_id="s", history=[7, 47], k=K)
        for folder, model in zip(models.values(), (mt.models.EASE(l2=5.0), mt.models.EASE(l2=8.0)), strict=True):
            shutil.rmtree(folder)
            mt.save_model(model.fit(data), folder)
        for name in models:
            assert running.client.post(f"/v1/models/{name}/reload").status_code == 200
        new = best(running, [7, 47])
        after = running.ask(session_id="s", history=[7, 47], k=K)
        arm = before["arm"]
    assert by_hand(old, arm) != by_hand(new, arm)
    assert before["version"] != after["version"]
    for record, answer, lists in zip(kept(at), (before, after), (old, new), strict=True):
        assert record["version"] == answer["version"]
        assert [p for _, _, p in record["items"]] == by_hand(lists, arm)


def test_the_other_arm_knows_the_same_events(folders: dict[str, Path], tmp_path: Path) -> None:
    """An event is known to both arms at the next answer, and an answer that waits knows nothing of a later one."""
    at = tmp_path / "e.db"
    with started(mt.create_app(folders, events=str(at), routing=ROUTE)) as running:
        expected = []
        for n, item in enumerate((107, 207, 7, 47)):
            answer = running.ask(session_id="s", k=K)
            arm = answer["arm"]
            lists = {name: ids(running.ask(session_id="s", k=K, model=name)) for name in ROUTE}
            expected.append(by_hand(lists, arm))
            event = {"session_id": "s", "item": item, "kind": "watch", "key": f"k{n}"}
            running.ask("/v1/events", events=[event])
    assert [[p for _, _, p in record["items"]] for record in kept(at)] == expected
    assert len({tuple(row) for row in expected}) > 1
