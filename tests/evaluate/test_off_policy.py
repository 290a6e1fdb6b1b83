"""Off-policy estimates: small cases by hand, and a simulated world in which the true values are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import matinee as mt
from matinee.errors import MatineeError, MatineeWarning
from matinee.evaluate.off_policy import off_policy

# request, user, position, item, probability, watched, share
ROWS: list[tuple[str, str, int, str, float, int, float]] = [
    ("r1", "ann", 1, "a", 0.9, 1, 0.2),
    ("r1", "ann", 2, "b", 0.05, 1, 0.2),
    ("r2", "ann", 1, "c", 0.05, 1, 0.2),
    ("r2", "ann", 2, "a", 0.9, 0, 0.2),
    ("r3", "bob", 1, "a", 0.5, 0, 0.0),
    ("r3", "bob", 2, "d", 0.25, 1, 0.0),
    ("r4", "cat", 1, "b", 0.8, 1, 0.2),
]
LISTS = {"r1": ["a", "c"], "r2": ["c", "a"], "r3": ["b", "d"], "r4": ["z", "b"]}


def frame(rows: list[tuple[str, str, int, str, float, int, float]]) -> pl.DataFrame:
    names = ["request", "user_id", "position", "item_id", "probability", "watched", "share"]
    return pl.DataFrame(rows, names, orient="row")


@pytest.mark.filterwarnings("ignore:the effective sample size")
def test_by_hand() -> None:
    """Matched slots: r1/1 (0.9, watched), r2/1 (0.05, watched), r2/2 (0.9, not), r3/2 (0.25, watched)."""
    found = off_policy(frame(ROWS), LISTS)
    weights = [1 / 0.9, 20.0, 1 / 0.9, 4.0]
    assert found.ips.value == pytest.approx((1 / 0.9 + 20.0 + 4.0) / 4)
    # the log has no second position of r4: the other model's 7 slots are 7/4 of a list
    assert found.snips.value == pytest.approx(7 / 4 * (1 / 0.9 + 20.0 + 4.0) / sum(weights))
    assert found.logged.value == pytest.approx(5 / 4)
    assert found.difference.value == pytest.approx(found.ips.value - 5 / 4)
    assert found.effective == pytest.approx(sum(weights) ** 2 / sum(w * w for w in weights))
    assert (found.requests, found.people, found.slots, found.matched) == (4, 3, 7, 4)
    # r3/1 has no randomised share, and z was never shown; c at r1/2 could have been drawn
    assert found.unreachable == pytest.approx(2 / 7)
    assert found.clip is None
    assert found.clipped == 0


@pytest.mark.filterwarnings("ignore:the effective sample size")
def test_clipping_and_candidates() -> None:
    found = off_policy(frame(ROWS), LISTS, clip=5.0, candidates=["a", "b", "z"])
    assert found.ips.value == pytest.approx((1 / 0.9 + 5.0 + 4.0) / 4)
    assert found.clipped == 1
    assert found.unreachable == pytest.approx(2 / 7)  # r1/2: c is no candidate; r3/1; z is one
    assert "1 weight above 5 clipped" in str(found)


@pytest.mark.filterwarnings("ignore:the effective sample size")
def test_intervals_are_of_answers_clustered_by_person() -> None:
    """The formulas of the clustered mean and of the ratio, written out, on 200 answers of 40 people."""
    rng = np.random.default_rng(2)
    rows = []
    for n in range(200):
        for at in (1, 2, 3):
            item, p = str(rng.integers(5)), float(rng.choice([0.1, 0.3, 0.9]))
            rows.append((f"r{n}", f"u{n % 40 if n > 60 else 0}", at, item, p, int(rng.random() < 0.4), 0.1))
    lists = {f"r{n}": [str(i) for i in rng.permutation(5)[:3]] for n in range(200)}
    found = off_policy(frame(rows), lists)
    ips: dict[str, dict[str, float]] = {}
    ratio: dict[str, list[tuple[float, float]]] = {}
    for request, person, at, item, p, r, _ in rows:
        w = (lists[request][at - 1] == item) / p
        mine = ips.setdefault(person, {})
        mine[request] = mine.get(request, 0.0) + w * r
        ratio.setdefault(person, []).append((w, float(r)))
    mean = sum(sum(of.values()) for of in ips.values()) / 200
    residuals = [sum(value - mean for value in of.values()) for of in ips.values()]
    groups = len(ips)
    error = np.sqrt(groups / (groups - 1) * sum(x * x for x in residuals)) / 200
    assert found.ips.value == pytest.approx(mean)
    assert found.ips.half == pytest.approx(1.959964 * error, rel=1e-6)
    total = sum(w for of in ratio.values() for w, _ in of)
    value = sum(w * r for of in ratio.values() for w, r in of) / total
    residuals = [sum(w * (r - value) for w, r in of) for of in ratio.values()]
    error = 3 * np.sqrt(groups / (groups - 1) * sum(x * x for x in residuals)) / total
    assert found.snips.value == pytest.approx(3 * value)
    assert found.snips.half == pytest.approx(1.959964 * error, rel=1e-6)


# --- a world whose true values are known ------------------------------------------------------------------------------

ITEMS, PLACES, SHARE = 8, 3, 0.3
SEEN_AT = np.array([1.0, 0.6, 0.35])  # how likely a position is looked at


def world(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Of 12 people how likely they watch each item, (12, ITEMS); the list that the log's model has for each; and that
    of the other model, which knows them better. Both (12, PLACES)."""
    likes = rng.beta(1.2, 2.5, (12, ITEMS))
    logged = np.argsort(-(likes + rng.normal(0, 0.5, likes.shape)), axis=1)[:, :PLACES]
    other = np.argsort(-(likes + rng.normal(0, 0.15, likes.shape)), axis=1)[:, :PLACES]
    return likes, logged, other


def simulated(rng: np.random.Generator, n: int, likes: Any, logged: Any, other: Any) -> tuple[pl.DataFrame, ...]:
    """n answers of the log's model, a share of them uniform draws, with what was watched; and the other model's lists.
    Each answer is of somebody else, with the tastes of one of the twelve."""
    kind = rng.integers(len(likes), size=n)
    drawn = rng.permuted(np.tile(np.arange(ITEMS), (n, 1)), axis=1)[:, :PLACES]
    shown = np.where((rng.random(n) < SHARE)[:, None], drawn, logged[kind])
    probability = (1 - SHARE) * (logged[kind] == shown) + SHARE / ITEMS
    watched = rng.random((n, PLACES)) < likes[kind[:, None], shown] * SEEN_AT
    request = np.repeat(np.arange(n), PLACES)
    slots = {"request": request, "position": np.tile(np.arange(1, PLACES + 1), n)}
    log = slots | {"user_id": request, "item_id": shown.ravel(), "probability": probability.ravel()}
    log |= {"watched": watched.ravel().astype(np.int64), "share": np.full(n * PLACES, SHARE)}
    return pl.DataFrame(log), pl.DataFrame(slots | {"item_id": other[kind].ravel()})


@pytest.mark.filterwarnings("ignore:the effective sample size")
def test_ips_has_no_bias_and_its_interval_covers_the_truth() -> None:
    """In 60 logs of 1,000 answers each."""
    rng, logs = np.random.default_rng(11), 60
    likes, logged, other = world(rng)
    truth = float(np.mean([(likes[u, other[u]] * SEEN_AT).sum() for u in range(len(likes))]))
    found = [off_policy(*simulated(rng, 1_000, likes, logged, other)) for _ in range(logs)]
    ips, snips = (np.array([getattr(one, name).value for one in found]) for name in ("ips", "snips"))
    error = ips.std(ddof=1) / np.sqrt(logs)
    assert abs(ips.mean() - truth) < 3 * error
    assert abs(snips.mean() - truth) < 3 * error + 0.01
    assert snips.std() < ips.std()
    assert {one.unreachable for one in found} == {0.0}
    for name, least in (("ips", 0.86), ("snips", 0.86)):  # three standard errors below 95 %
        ends = [getattr(one, name) for one in found]
        assert np.mean([end.low <= truth <= end.high for end in ends]) >= least, name
    naive = np.mean([(likes[u, logged[u]] * SEEN_AT).sum() for u in range(len(likes))])
    assert abs(naive - truth) > 5 * error  # the log's own value would be another


# --- what is refused --------------------------------------------------------------------------------------------------


def test_without_chance_nothing_is_known() -> None:
    certain = frame([(*row[:4], 1.0, *row[5:]) for row in ROWS])
    with pytest.raises(MatineeError, match="nothing in this log was left to chance") as found:
        off_policy(certain, LISTS)
    assert "explore=0.05" in str(found.value.hint)


@pytest.mark.filterwarnings("ignore:the effective sample size")
def test_files_are_read_as_frames_are(tmp_path: Path) -> None:
    frame(ROWS).write_csv(tmp_path / "shown.csv")
    frame(ROWS).write_parquet(tmp_path / "shown.parquet")
    rows = [(request, at, item) for request, items in LISTS.items() for at, item in enumerate(items, 1)]
    lists = pl.DataFrame(rows, ["request", "position", "item_id"], orient="row")
    lists.write_csv(tmp_path / "lists.csv")
    expected = off_policy(frame(ROWS), LISTS)
    assert off_policy(tmp_path / "shown.csv", tmp_path / "lists.csv") == expected
    assert off_policy(tmp_path / "shown.parquet", lists) == expected
    assert mt.off_policy(frame(ROWS).drop("share"), lists).unreachable == pytest.approx(3 / 7)


def test_answers_without_a_list_are_counted() -> None:
    with pytest.warns(MatineeWarning) as told:
        found = off_policy(frame(ROWS), {"r1": ["a", "c"], "r2": ["c", "a"]})
    assert found.requests == 2
    texts = [str(warning.message) for warning in told]
    assert any("2 answers of 4 are left out" in text for text in texts)
    assert any("the effective sample size is" in text for text in texts)


@pytest.mark.filterwarnings("ignore:the effective sample size")
def test_no_common_item_is_worth_nothing_for_ips_and_unknown_for_snips() -> None:
    found = off_policy(frame(ROWS), {request: ["q", "q2"] for request in LISTS})
    assert found.ips.value == 0
    assert np.isnan(found.snips.value)
    assert found.effective == 0
    assert found.unreachable == 1


@pytest.mark.parametrize(
    ("shown", "lists", "options", "words"),
    [
        (frame(ROWS).head(0), LISTS, {}, "nothing was shown"),
        (frame(ROWS), {"x": ["a"]}, {}, "none of the 4 answers in the log has a list"),
        (frame(ROWS).drop("watched"), LISTS, {}, "there is no column 'watched'"),
        (frame([*ROWS, ("r9", "u", 1, "a", 0.0, 1, 0.2)]), LISTS, {}, "the probability is 0.0"),
        (frame([*ROWS, ROWS[0]]), LISTS, {}, "two rows have one request and position"),
        (frame(ROWS), LISTS, {"clip": 0.0}, "clip is 0.0"),
        ("missing.csv", LISTS, {}, "no such file"),
        (frame(ROWS).with_columns(watched=pl.lit("yes")), LISTS, {}, "not all values are numbers"),
    ],
)
def test_what_is_refused(shown: Any, lists: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(MatineeError, match=words):
        off_policy(shown, lists, **options)
