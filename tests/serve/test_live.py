"""Models are loaded beside, checked and swapped whole: a bad one is refused, and every answer is of one version."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.serve.live import Live, LiveModels, load_live, named_folders
from matinee.store import folders as stored
from matinee.store import read_manifest
from serve.world import App, ids, started

SWAPS = 12
MANY_SWAPS = 200


@pytest.fixture
def folder(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of ease, to be changed."""
    return Path(shutil.copytree(folders["ease"], tmp_path / "ease"))


def refit(data: mt.Dataset, folder: Path, **hyper_parameters: Any) -> None:
    mt.save_model(mt.models.EASE(**hyper_parameters).fit(data), folder)


def flip_a_byte(folder: Path, data: mt.Dataset) -> None:
    file = folder / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut_off(folder: Path, data: mt.Dataset) -> None:
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def without_weights(folder: Path, data: mt.Dataset) -> None:
    (folder / "weights.safetensors").unlink()


def sealed_nan(folder: Path, data: mt.Dataset) -> None:
    """A NaN under a manifest that fits: somebody saved it so."""
    arrays = dict(stored.read_arrays(folder / "weights.safetensors"))
    arrays["W"] = arrays["W"].copy()
    arrays["W"][3, 4] = np.nan
    stored.write_arrays(folder / "weights.safetensors", arrays)
    manifest = json.loads((folder / "manifest.json").read_text())
    fields = {name: value for name, value in manifest.items() if name not in ("schema_version", "digest", "sha256")}
    stored.write_manifest(folder, fields, list(manifest["sha256"]))


def other_catalogue(folder: Path, data: mt.Dataset) -> None:
    log = data.to_frame().filter(pl.col("item_id") < 300)
    refit(mt.read(log, rating="rating", timestamp="timestamp"), folder, l2=5.0)


def ids_as_text(folder: Path, data: mt.Dataset) -> None:
    log = data.to_frame().with_columns(pl.col("item_id").cast(pl.String))
    refit(mt.read(log, rating="rating", timestamp="timestamp"), folder, l2=5.0)


def no_manifest(folder: Path, data: mt.Dataset) -> None:
    (folder / "manifest.json").write_text("{}")


def gone(folder: Path, data: mt.Dataset) -> None:
    shutil.rmtree(folder)


SPOILT: list[tuple[Callable[[Path, mt.Dataset], None], str]] = [
    (flip_a_byte, "differs from what was saved"), (cut_off, "differs from what was saved"),
    (without_weights, "is missing"), (sealed_nan, "not finite"), (other_catalogue, "are not in its catalogue"),
    (ids_as_text, "another type"), (no_manifest, "no manifest"), (gone, "no such folder"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), SPOILT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_bad_model_is_refused_and_the_old_one_serves_on(
    spoil: Callable[[Path, mt.Dataset], None], words: str, folder: Path, data: mt.Dataset
) -> None:
    with started(mt.create_app({"ease": folder})) as running:
        before = running.ask(user=103, k=5)
        spoil(folder, data)
        answer = running.client.post("/v1/models/ease/reload")
        assert answer.status_code == 409, answer.text
        problem = answer.json()
        assert words in problem["detail"]
        assert problem["version"] == before["version"]
        assert str(folder.parent) not in answer.text
        assert running.ask(user=103, k=5) | {"request_id": 0} == before | {"request_id": 0}
        assert 'matinee_reloads_total{model="ease",result="refused"} 1.0' in running.client.get("/metrics").text


def test_a_model_whose_scores_are_no_numbers_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finite arrays may still give none: the smoke queries find out."""
    for value, words in ((np.nan, "NaN"), (np.inf, "not finite"), (-np.inf, "recommends nothing")):
        wrong = np.float32(value)
        monkeypatch.setattr(
            mt.models.EASE, "score_histories", lambda self, queries, wrong=wrong: np.full((len(queries), 60), wrong)
        )
        with pytest.raises(mt.MatineeError, match=words):
            load_live("ease", folder)


def test_a_new_model_is_swapped_in_and_told(folder: Path, data: mt.Dataset) -> None:
    with started(mt.create_app({"ease": folder})) as running:
        old = running.ask(user=103, k=5)
        refit(data, folder, l2=500.0)
        told = running.client.post("/v1/models/ease/reload").json()
        new = running.ask(user=103, k=5)
        assert (told["previous"], told["version"]) == (old["version"], new["version"])
        expected = mt.recommend(mt.load_model(folder), mt.query(data, user=103), k=5)._ranked(0)
        assert [(item["item_id"], item["score"]) for item in new["items"]] == expected
        assert new["items"] != old["items"]
        metrics = running.client.get("/metrics").text
        assert old["version"] not in metrics
        assert new["version"] in metrics
        assert running.client.post("/v1/models/other/reload").status_code == 404


def test_a_catalogue_may_grow(folder: Path, data: mt.Dataset) -> None:
    with started(mt.create_app({"ease": folder})) as running:
        new = pl.DataFrame({"user_id": [100] * 61, "item_id": [8, *data.items.ids.tolist()]})
        refit(mt.read(pl.concat([data.to_frame().select("user_id", "item_id"), new])), folder, l2=5.0)
        assert running.client.post("/v1/models/ease/reload").status_code == 200
        assert running.ask(history=[8])["unknown_items"] == []


def swap_under_clients(data: mt.Dataset, folder: Path, swaps: int) -> None:
    """Two clients ask while models are swapped: each answer must be, whole, that of the version it names."""
    versions: dict[str, list[Any]] = {}
    folders = [folder.parent / name for name in ("one", "two")]
    for place, l2 in zip(folders, (1.0, 1000.0), strict=True):
        refit(data, place, l2=l2)
        model = mt.load_model(place)
        lists = [mt.recommend(model, mt.query(model, user=user), k=5)._ranked(0) for user in range(100, 110)]
        versions[read_manifest(place).digest[:12]] = lists
    shutil.rmtree(folder)
    folder.symlink_to(folders[0])
    with started(mt.create_app({"ease": folder})) as running:
        stop, failures, answered = threading.Event(), list[str](), list[str]()

        def ask(start: int) -> None:
            user = start
            while not stop.is_set():
                user = 100 + (user + 1) % 10
                body = running.client.post("/v1/recommend", json={"user": user, "k": 5})
                answer = body.json()
                got = [(item["item_id"], item["score"]) for item in answer.get("items", ())]
                if body.status_code != 200 or got != versions[answer["version"]][user - 100]:
                    failures.append(body.text)
                answered.append(answer.get("version", ""))

        with ThreadPoolExecutor(2) as pool:
            clients = [pool.submit(ask, start) for start in (0, 5)]
            for swap in range(swaps):
                link = folder.with_name("link")
                link.symlink_to(folders[(swap + 1) % 2])
                link.replace(folder)
                assert running.client.post("/v1/models/ease/reload").status_code == 200
            stop.set()
            for client in clients:
                client.result()
        assert not failures, failures[0]
        assert set(answered) == set(versions)


def test_answers_during_swaps_are_of_one_version(data: mt.Dataset, folder: Path) -> None:
    swap_under_clients(data, folder, SWAPS)


@pytest.mark.slow
def test_answers_during_many_swaps_are_of_one_version(data: mt.Dataset, folder: Path) -> None:
    swap_under_clients(data, folder, MANY_SWAPS)


@pytest.mark.parametrize("name", ["ease", "markov"])
def test_threads_that_ask_a_fresh_model_at_once_get_what_one_gets(folders: dict[str, Path], name: str) -> None:
    alone = mt.load_model(folders[name])
    users = list(range(100, 140, 3))
    expected = [mt.recommend(alone, mt.query(alone, user=user), 5)._ranked(0) for user in users]
    for _ in range(5):
        fresh, start = mt.load_model(folders[name]), threading.Barrier(len(users))

        def ask(user: int, fresh: Any = fresh, start: threading.Barrier = start) -> Any:
            start.wait()
            return mt.recommend(fresh, mt.query(fresh, user=user), 5)._ranked(0)

        with ThreadPoolExecutor(len(users)) as pool:
            assert list(pool.map(ask, users)) == expected


def test_a_model_is_not_loaded_twice_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = LiveModels({"ease": folder})
    loading, go_on = threading.Event(), threading.Event()

    def slow(name: str, place: Path, *, previous: Live | None = None) -> Live:
        loading.set()
        assert go_on.wait(10)
        return load_live(name, place, previous=previous)

    monkeypatch.setattr("matinee.serve.live.load_live", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(models.reload, "ease")
        loading.wait(10)
        with pytest.raises(BlockingIOError):
            models.reload("ease")
        go_on.set()
        assert first.result()[1] is models.now["ease"]


def test_a_service_needs_models_with_names(folders: dict[str, Path], tmp_path: Path) -> None:
    assert named_folders([folders["ease"], folders["pop"]]) == {"ease": folders["ease"], "pop": folders["pop"]}
    assert list(named_folders(tmp_path / "My Model.v2")) == ["my-model-v2"]
    for wrong in ({"Ease": "x"}, {"a/b": "x"}, {"": "x"}, {"a" * 65: "x"}, [folders["ease"]] * 2):
        with pytest.raises(mt.MatineeError):
            named_folders(wrong)
    with pytest.raises(mt.MatineeError, match="no model"):
        mt.create_app({})


def test_items_of_one_title_are_told_by_id_and_ids_come_before_nothing(plain: App) -> None:
    live = plain.service.models.now["ease"]
    assert live.item(37) == live.data.items.code(37)
    assert live.item("37") == live.item(37)
    assert live.item("Film 02 é") == 2
    assert live.item("nothing") == live.item(5) == -1
    with pytest.raises(mt.MatineeError, match="2 items are called"):
        live.item("Twins")
    assert ids(plain.ask(history=["37"], k=3)) == ids(plain.ask(history=[37], k=3))
