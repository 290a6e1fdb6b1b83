"""Routing deals users by SHA-256: the shares hold, a user stays, another experiment deals anew."""

from __future__ import annotations

import hashlib

import pytest

import matinee as mt
from matinee.serve.routing import Routing
from serve.world import App, started


def test_a_users_arm_follows_from_sha256_alone() -> None:
    routing = Routing.of(["a", "b", "c"], {"a": 1, "c": 3}, "blue")
    for person in ("7", "session:7", "Ünicode"):
        digest = hashlib.sha256(b"blue\0" + person.encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        assert routing.arm(person) == ("a" if place < 0.25 else "c")


def test_shares_hold_over_many_users_and_experiments_are_independent() -> None:
    people = [str(n) for n in range(20_000)]
    red, blue = (Routing.of(["a", "b"], {"a": 9, "b": 1}, name) for name in ("red", "blue"))
    arms = [(red.arm(p), blue.arm(p)) for p in people]
    assert sum(arm[0] == "b" for arm in arms) / len(people) == pytest.approx(0.1, abs=0.01)
    assert sum(arm == ("b", "b") for arm in arms) / len(people) == pytest.approx(0.01, abs=0.004)


def test_without_weights_the_first_answers_all_and_nobody_gets_the_largest_share() -> None:
    assert Routing.of(["a", "b"]).shares == {"a": 1.0, "b": 0.0}
    assert Routing.of(["a", "b"], {"a": 1, "b": 2}).default == "b"


@pytest.mark.parametrize("weights", [{"x": 1.0}, {"a": -1.0}, {"a": float("nan")}, {"a": 0.0}])
def test_weights_that_make_no_sense_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(mt.MatineeError):
        Routing.of(["a", "b"], weights)


def test_answers_say_their_arm_and_keep_it(folders: dict[str, object]) -> None:
    with started(mt.create_app(folders, routing={"ease": 1, "pop": 1}, experiment="e")) as running:
        check_arms(running, Routing.of(["ease", "pop", "markov"], {"ease": 1, "pop": 1}, "e"))


def check_arms(running: App, routing: Routing) -> None:
    seen = set()
    for user in range(100, 130):
        answer = running.ask(user=user)
        assert answer["arm"] == answer["model"] == routing.arm(str(user)) == running.ask(user=str(user))["arm"]
        seen.add(answer["arm"])
    assert seen == {"ease", "pop"}
    assert running.ask(session_id="100")["arm"] == routing.arm("session:100")
    assert running.ask(history=[7])["arm"] is None
    assert running.ask(user=100, model="markov")["arm"] is None
