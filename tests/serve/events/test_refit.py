"""A refit: what is added, what is held out, what is compared, and how it comes into a service that runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matinee as mt
from matinee.errors import MatineeError
from matinee.serve.events import Event, EventStore
from matinee.serve.events.export import event_frame
from matinee.serve.events.joined import joined
from matinee.serve.events.refit import RefitDecision, refit
from matinee.store import read_manifest
from serve.world import process

LATER = 1_020_000_000


def stored(data: mt.Dataset, url: str, *, noise: bool = False, n: int = 400) -> str:
    """Events of the log's people and new ones, of a taste that the log does not have: of ten films that few watched,
    each follows the one before. noise: of any film."""
    rng, rare = np.random.default_rng(4), np.argsort(data.item_counts(), kind="stable")[:10]
    events = []
    for at in range(n):
        person = f"{100 + int(rng.integers(60))}"
        item = int(rng.integers(data.n_items)) if noise else int(rare[int(rng.integers(10))])
        events.append(Event(person, str(data.items.ids[item]), "watch", float(LATER + at), None, f"k{at}"))
    with EventStore.open(url) as store:
        store.add(events)
    return url


def test_a_better_model_is_let_in(data: mt.Dataset, folders: dict[str, Path], url: str, tmp_path: Path) -> None:
    stored(data, url)
    told: list[str] = []
    found = refit(folders["ease"], url, tmp_path / "new", tell=told.append)
    decision = found.decision
    assert decision.may_replace
    assert (decision.added, decision.repeated) == (400, 0)
    assert decision.old.events == len(data)
    new = mt.load_model(tmp_path / "new")
    assert len(new.data) == decision.new.events == len(data) + 400
    assert new.l2 == 5.0  # type: ignore[attr-defined]
    assert RefitDecision.read(tmp_path / "new.decision.json") == decision
    assert decision.new.sha256 == read_manifest(tmp_path / "new").digest
    assert told[0].startswith("comparing on 80 events of ")
    assert "may replace the old one" in str(found)


def test_the_gate_is_that_of_models_fitted_before_the_cut(
    data: mt.Dataset, folders: dict[str, Path], tmp_path: Path
) -> None:
    """By hand: EASE on the log, and on the log with the first 320 events; both asked with all 320 in the histories."""
    url = stored(data, str(tmp_path / "events.db"))
    found = refit(folders["ease"], url, tmp_path / "new", gate=["ndcg@5=-1%", "recall@10=-0.9"])
    with EventStore.open(url) as store:
        frame = event_frame(store)
    whole = joined(data, frame).data
    assert whole.timestamp is not None
    late = whole.timestamp >= LATER + 320
    train = whole.rows(~late)
    old = mt.models.EASE(l2=5.0).fit(whole.rows(whole.timestamp < LATER))
    new = mt.models.EASE(l2=5.0).fit(train)
    ndcg: dict[str, list[float]] = {"old": [], "new": []}
    for user in np.unique(whole.user[late]):
        seen = train.item[train.user == user]
        truth = set(whole.item[late & (whole.user == user)].tolist()) - set(seen.tolist())
        if not truth:
            continue
        best = sum(1 / np.log2(2 + place) for place in range(min(5, len(truth))))
        for name, model in (("old", old), ("new", new)):
            items = mt.recommend(model, train.queries_of(np.array([user])), k=5).item[0].tolist()
            ndcg[name].append(sum(1 / np.log2(2 + at) for at, item in enumerate(items) if item in truth) / best)
    first = found.decision.gates[0]
    assert (first.metric, first.k) == ("ndcg", 5)
    assert first.new == pytest.approx(np.mean(ndcg["new"]))
    assert first.old == pytest.approx(np.mean(ndcg["old"]))
    assert first.n_users == len(ndcg["new"])
    assert first.new > first.old
    assert found.decision.held_out == 80
    assert found.decision.gates[1].passed


def test_a_model_that_does_not_pass_is_not_saved(data: mt.Dataset, folders: dict[str, Path], tmp_path: Path) -> None:
    url = stored(data, str(tmp_path / "events.db"), noise=True)
    found = refit(folders["ease"], url, tmp_path / "new", gate="ndcg@5=+50%")
    assert not found.decision.may_replace
    assert found.model is None
    assert found.out is None
    assert not (tmp_path / "new").exists()
    decision = json.loads((tmp_path / "new.decision.json").read_text())
    assert decision["may_replace"] is False
    assert decision["new"]["sha256"] is None
    assert "may not replace" in decision["verdict"]


def test_a_second_refit_adds_what_came_since(data: mt.Dataset, folders: dict[str, Path], tmp_path: Path) -> None:
    url = stored(data, str(tmp_path / "events.db"), n=50)
    refit(folders["ease"], url, tmp_path / "one", gate=None)
    with EventStore.open(url) as store:
        store.add([Event("100", "7", "dislike", float(LATER + 900), None, "late")])
    found = refit(tmp_path / "one", url, tmp_path / "two", gate=None)
    assert (found.decision.added, found.decision.repeated) == (1, 50)
    assert found.decision.cut is None
    assert mt.load_model(tmp_path / "two").data.dislikes is not None


def test_another_log_is_named(data: mt.Dataset, folders: dict[str, Path], tmp_path: Path) -> None:
    url = stored(data, str(tmp_path / "events.db"), n=30)
    data.to_frame().head(200).write_csv(tmp_path / "log.csv")
    (tmp_path / "recipe.toml").write_text(
        f'[data]\nsource = "{tmp_path / "log.csv"}"\n[[model]]\nname = "ease"\n', "utf-8"
    )
    for log in (tmp_path / "log.csv", tmp_path / "recipe.toml", mt.read(tmp_path / "log.csv")):
        found = refit(folders["pop"], url, tmp_path / "new", log=log, gate=None)
        assert found.decision.old.events == 200
        assert found.decision.new.events == 230


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gate": "ndcg"}, "is no gate"),
        ({"held_out": 1.0}, "held_out is 1.0"),
        ({"out": "same"}, "would replace the old one"),
        ({"swap": "http://127.0.0.1:9"}, "no answer"),
    ],
)
def test_what_is_refused(
    data: mt.Dataset, folders: dict[str, Path], tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    url = stored(data, str(tmp_path / "events.db"), n=30)
    options = {"out": tmp_path / "new"} | options
    options["out"] = folders["ease"] if options["out"] == "same" else options["out"]
    with pytest.raises(MatineeError, match=words):
        refit(folders["ease"], url, **options)
    assert not (tmp_path / "new").exists()


def test_a_running_service_swaps_it_in(data: mt.Dataset, folders: dict[str, Path], tmp_path: Path) -> None:
    url = stored(data, str(tmp_path / "events.db"), n=60)
    shutil.copytree(folders["ease"], tmp_path / "ease")
    with process(tmp_path / "ease", "--events", url, MATINEE_TOKEN="secret-secret-secret") as (_, port):
        at, token = f"http://127.0.0.1:{port}", "secret-secret-secret"
        with mt.Client(at, token=token) as client:
            before = client.models()[0]["version"]
            with pytest.raises(MatineeError, match="no model 'knn'"):
                refit(tmp_path / "ease", url, tmp_path / "new", gate=None, swap=at, name="knn", token=token)
            found = refit(tmp_path / "ease", url, tmp_path / "new", gate=None, swap=at, token=token)
            assert found.swapped is not None
            assert client.models()[0]["version"] == found.swapped.version != before
            assert found.swapped.version == read_manifest(tmp_path / "ease").digest[:12]
            assert read_manifest(tmp_path / "ease.previous").digest[:12] == before
            _refused(folders, tmp_path, at, token)
            assert client.models()[0]["version"] == found.swapped.version


def _refused(folders: dict[str, Path], tmp_path: Path, at: str, token: str) -> None:
    """A model of another catalogue: the service says no, and the folder is as it was."""
    from matinee.serve.events.swap import swap_in

    mt.save_model(mt.models.Popularity().fit(mt.read([(1, 2), (2, 3)])), tmp_path / "other")
    digest = read_manifest(tmp_path / "ease").digest
    with pytest.raises(MatineeError, match="was not swapped in, and the old folder is back: refused"):
        swap_in(at, tmp_path / "ease", tmp_path / "other", name="ease", token=token)
    assert read_manifest(tmp_path / "ease").digest == digest
