"""What another model would have shown at each answer of a log: what it knows of people as they were then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.data.arrays import Ragged
from matinee.data.dataset import Queries
from matinee.errors import MatineeError, MatineeWarning
from matinee.serve.events import Answer, Event, EventStore, Shown
from matinee.serve.events.export import export_events
from matinee.serve.events.replay import _without_own_rules, evaluate_log
from matinee.serve.exploration import explored

LATER = 1_010_000_000.0  # after every event of the models' log


def served(data: mt.Dataset, url: str, *, share: float) -> list[tuple[str, str, float]]:
    """A service that shows the five most popular items that a person has not seen, a share of its answers random, to
    some people of the log and one who is new. Some watch, dislike or rate what they see. Returns its answers."""
    rng, counts = np.random.default_rng(5), data.item_counts()
    people, seen = ["100", "103", "117", "session:x"], dict[str, set[int]]()
    answers, events = list[Answer](), list[Event]()
    for person in people:
        code = data.users.find(person)
        seen[person] = set(data.histories()[code].tolist()) if code >= 0 else set()
    for n in range(120):
        person, time = people[int(rng.integers(4))], LATER + 100 * n + 0.5
        left = np.array([item for item in range(data.n_items) if item not in seen[person]])
        items, chances = explored(left[np.argsort(-counts[left], kind="stable")[:5]], left, share, rng)
        ids = [str(item) for item in data.items.decode(items)]
        shown = tuple(Shown(i, at, float(p)) for at, (i, p) in enumerate(zip(ids, chances, strict=True), 1))
        answers.append(Answer(f"r{n}", time, person, "pop", "v", "pop", shown, share, len(left)))
        if rng.random() < 0.5:
            kind = ("watch", "dislike", "rating")[int(rng.integers(3))]
            rating = 4.0 if kind == "rating" else None
            chosen = int(rng.integers(5))
            events.append(Event(person, ids[chosen], kind, time + 7.0, rating, f"k{n}"))  # type: ignore[arg-type]
            seen[person].add(int(items[chosen]))
    with EventStore.open(url) as store:  # two transactions: each waits for the disk
        store.add_answers(answers)
        store.add(events)
    return [(answer.request, answer.person, answer.time) for answer in answers]


def lists_by_hand(model: mt.models.Model, url: str, answers: list[tuple[str, str, float]]) -> dict[str, list[str]]:
    """One query at a time, from the log's history and every stored event before the answer."""
    data, found = model.data, {}
    with EventStore.open(url) as store:
        for request, person, time in answers:
            code = data.users.find(person)
            history = data.histories()[code].tolist() if code >= 0 else []
            earlier = [event for event in store.history(person) if event.time is not None and event.time < time]
            liked = [data.items.find(event.item) for event in earlier if event.kind != "dislike"]
            disliked = [data.items.find(event.item) for event in earlier if event.kind == "dislike"]
            seen, never = (np.array(row, np.int32) for row in (history + liked, history + liked + disliked))
            asked = Queries(np.array([code], np.int32), Ragged.from_lists([seen]), Ragged.from_lists([never]))
            recs = mt.recommend(model, asked, k=5)
            found[request] = [str(item) for item, _ in next(iter(recs))[1]]
    return found


def test_the_value_is_that_of_the_lists_made_by_hand(
    data: mt.Dataset, folders: dict[str, Path], ease: mt.models.Model, url: str, tmp_path: Path
) -> None:
    answers = served(data, url, share=0.5)
    export_events(url, tmp_path / "log.csv", impressions=tmp_path / "shown.csv")
    lists = lists_by_hand(ease, url, answers)
    items = [str(item) for item in data.items.ids]
    with pytest.warns(MatineeWarning, match="effective sample size"):
        expected = mt.off_policy(tmp_path / "shown.csv", lists, candidates=items)
    with pytest.warns(MatineeWarning, match="effective sample size"):
        found = evaluate_log(folders["ease"], url, served=[folders["pop"]])
    assert found == expected
    assert found.matched > 30
    assert found.unreachable == 0
    with pytest.warns(MatineeWarning, match="effective sample size"):
        first = evaluate_log(folders["ease"], url, k=1, clip=10.0)
    assert first.slots == 120
    assert first.clip == 10.0


def test_a_model_that_saw_the_log_is_told(data: mt.Dataset, folders: dict[str, Path], tmp_path: Path) -> None:
    url = str(tmp_path / "events.db")
    with EventStore.open(url) as store:
        assert data.timestamp is not None
        early = float(np.sort(data.timestamp)[-30])
        store.add_answers([Answer("r", early, "100", "pop", "v", "pop", (Shown("7", 1, 0.5),), 0.1, 9)])
    with pytest.warns(MatineeWarning) as told:
        evaluate_log(folders["ease"], url)
    n = int(np.count_nonzero(data.timestamp >= early))
    assert n >= 30
    assert any(f"{n} events of its log are from after the first answer" in str(one.message) for one in told)


def test_answers_with_rules_of_their_own_do_not_count(
    data: mt.Dataset, folders: dict[str, Path], tmp_path: Path
) -> None:
    url = str(tmp_path / "events.db")
    served(data, url, share=0.5)
    with pytest.warns(MatineeWarning, match="effective sample size"):
        before = evaluate_log(folders["ease"], url)
    with EventStore.open(url) as store:
        store.add_answers([Answer("own", LATER, "100", "pop", "v", "pop", (Shown("7", 1, 1.0),), 0.0, 0)])
    with pytest.warns(MatineeWarning) as told:
        assert evaluate_log(folders["ease"], url) == before
    assert any("1 answer without a randomised share is left out" in str(one.message) for one in told)


def test_without_chance_it_refuses(data: mt.Dataset, folders: dict[str, Path], tmp_path: Path) -> None:
    served(data, str(tmp_path / "events.db"), share=0.0)
    with pytest.raises(MatineeError, match="nothing in this log was left to chance"):
        evaluate_log(folders["ease"], str(tmp_path / "events.db"))
    EventStore.open(str(tmp_path / "empty.db")).close()
    with pytest.raises(MatineeError, match="holds no answers"):
        evaluate_log(folders["ease"], str(tmp_path / "empty.db"))


def test_answers_with_rules_of_their_own_are_left_out_of_a_routed_log() -> None:
    """They have no candidates. A log in which none has any (of an earlier version) is taken as it is."""
    shown = pl.DataFrame({"request": ["a", "a", "b", "c"], "share": [0.0] * 4, "candidates": [9, 9, 0, 7]})
    with pytest.warns(MatineeWarning, match="1 answer without a randomised share is left out"):
        found = _without_own_rules(shown)
    assert found["request"].to_list() == ["a", "a", "c"]
    none = shown.with_columns(candidates=pl.lit(0))
    assert _without_own_rules(none).equals(none)
