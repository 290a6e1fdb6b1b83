"""Ensembles on disk: model folders within a model folder, all of them checked before one is used."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from contract.logs import groups, last_hidden, one_query
from matinee.data.dataset import Dataset
from matinee.errors import MatineeError
from matinee.models.base import Model
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.multi_dae import MultiDAE
from matinee.models.popularity import Popularity
from matinee.rank import recommend
from matinee.store import load_model, save_model
from store.sealing import LOG, OWN, contents, edit_manifest, set_, sign

INNER = "members/2/members/1"


@pytest.fixture(scope="module")
def ensemble() -> Model:
    """A closed form, a net, and an ensemble of two."""
    train, valid = last_hidden(groups())
    net = MultiDAE(hidden=8, epochs=3, batch_size=20)
    inner = {"name": "ensemble", "members": ["markov", {"name": "item_knn", "k": 5}], "weights": [1, 3]}
    return Ensemble(members=[EASE(l2=20.0), net, inner], method="zscore").fit(train, valid=valid)


@pytest.fixture
def saved(ensemble: Model, tmp_path: Path) -> Path:
    return save_model(ensemble, tmp_path / "model")


def test_a_loaded_ensemble_is_the_saved_one(ensemble: Model, saved: Path) -> None:
    folders = ["", "members/0/", "members/1/", "members/2/", "members/2/members/0/", "members/2/members/1/"]
    assert set(contents(saved)) == {*LOG, *(folder + name for folder in folders for name in OWN)}
    loaded = load_model(saved)
    assert loaded == ensemble
    queries = ensemble.data.queries()
    assert loaded.score(queries).tobytes() == ensemble.score(queries).tobytes()
    assert loaded.fitted.learned.weights.tolist() == ensemble.fitted.learned.weights.tolist()
    assert loaded.for_refit() == ensemble.for_refit()
    again = save_model(loaded, saved.parent / "again")
    assert contents(again) == contents(saved)


def test_a_members_folder_lacks_its_log(ensemble: Model, saved: Path) -> None:
    """A loaded member is a model of its own, and saved alone it has the log."""
    with pytest.raises(MatineeError, match="the log of this model"):
        load_model(saved / "members" / "1")
    net = load_model(saved).fitted.learned.members[1]
    alone = load_model(save_model(net, saved.parent / "net"))
    queries = ensemble.data.queries()
    assert alone.score(queries).tobytes() == net.score(queries).tobytes()


def test_members_share_the_log_in_memory(saved: Path) -> None:
    loaded = load_model(saved)
    first, _, inner = loaded.fitted.learned.members
    assert first.data is loaded.data
    assert inner.fitted.learned.members[1].data is loaded.data


def test_a_member_with_side_tables_of_its_own_keeps_them(tmp_path: Path) -> None:
    data = groups()
    titles = pl.DataFrame({"title": [f"Film {i}" for i in range(data.n_items)]})
    members = [EASE().fit(replace(data, item_features=titles)), Popularity().fit(data)]
    loaded = load_model(save_model(Ensemble(members=members).fit(data), tmp_path / "model"))
    with_titles, without = loaded.fitted.learned.members
    assert with_titles.data.item_features is not None
    assert with_titles.data.item_features.equals(titles)
    assert without.data is loaded.data
    assert loaded.data.item_features is None


def test_without_histories_no_member_keeps_who_watched_what(ensemble: Model, tmp_path: Path) -> None:
    save_model(ensemble, tmp_path / "model", histories=False)
    assert not list((tmp_path / "model").rglob("events.safetensors"))
    loaded = load_model(tmp_path / "model")
    assert len(loaded.data) == 0
    for query in (one_query(groups().histories()[0].tolist()), one_query([])):
        assert recommend(loaded, query).item.tolist() == recommend(ensemble, query).item.tolist()


@pytest.mark.parametrize("place", ["members/0", INNER])
@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("damage", ["changed", "cut", "missing"])
def test_damage_of_a_member_is_noticed(saved: Path, place: str, name: str, damage: str) -> None:
    file = saved / place / name
    content = file.read_bytes()
    middle = len(content) // 2
    if damage == "changed":
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "cut":
        file.write_bytes(content[:middle])
    else:
        file.unlink()
    with pytest.raises(MatineeError, match=f"{place}/{name}") as error:
        load_model(saved)
    assert error.value.hint is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_("sha256", "members/../../x/manifest.json", to="0" * 64), "does not list the files"),
        (set_("sha256", "members/7/manifest.json", to="0" * 64), "does not list the files"),
        (set_("sha256", "members/3/manifest.json", to="0" * 64), "is missing"),
        (set_("sha256", "members/0/weights.safetensors", to="0" * 64), "does not list the files"),
        (lambda m: m["sha256"].pop("members/1/manifest.json"), "does not list the files"),
        (lambda m: m["sha256"].pop("members/2/manifest.json"), "weights has shape|members are not those"),
        (set_("learned", "members", to=5), "does not hold a Ensemble"),
        (set_("learned", "members", to="array"), "does not hold a Ensemble"),
        (set_("learned", "weights", to="models"), "weights has shape None"),
        (set_("hyper_parameters", "members", to=["ease"]), "members are not those"),
        (set_("hyper_parameters", "members", to=[]), "at least one model"),
        (lambda m: m["hyper_parameters"]["members"].reverse(), "members are not those"),
        (set_("model", to="ease"), "members"),
    ],
)
def test_hostile_manifests(saved: Path, change: Callable[[dict[str, Any]], object], words: str) -> None:
    edit_manifest(saved, change)
    with pytest.raises(MatineeError, match=words):
        load_model(saved)


def test_a_member_from_another_log_is_refused(ensemble: Model, saved: Path) -> None:
    """Its folder is sound and signed, but its codes mean other items."""
    data = groups()
    fewer = Dataset(data.users, data.items, data.user[:400], data.item[:400], timestamp=None)
    shutil.rmtree(saved / "members" / "0")
    save_model(EASE(l2=20.0).fit(fewer), saved / "members" / "0")
    sign(saved)
    assert load_model(saved).is_fitted, "another log of the same users and items has the same codes"
    more = replace(data, items=type(data.items)([f"film {i:03d}" for i in range(data.n_items)]))
    save_model(EASE(l2=20.0).fit(more), saved / "members" / "0")
    sign(saved)
    with pytest.raises(MatineeError, match="other users or items"):
        load_model(saved)


def test_a_plain_model_takes_the_place_of_an_ensemble_and_back(ensemble: Model, saved: Path) -> None:
    save_model(Popularity().fit(groups()), saved)
    assert set(contents(saved)) == {*OWN, *LOG}
    save_model(ensemble, saved)
    assert load_model(saved) == ensemble
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("place", ["members/mine.txt", "members/0/mine.txt", f"{INNER}/mine.txt", "members/x/mine.txt"])
def test_other_files_are_never_removed(ensemble: Model, saved: Path, place: str) -> None:
    (saved / place).parent.mkdir(exist_ok=True)
    (saved / place).write_text("mine")
    before = contents(saved)
    with pytest.raises(MatineeError, match=r"mine\.txt|members/x"):
        save_model(ensemble, saved)
    assert contents(saved) == before


def test_a_full_disk_keeps_the_old_model(ensemble: Model, tmp_path: Path) -> None:
    old = Popularity().fit(groups())
    folder = save_model(old, tmp_path / "model")
    sizes = {path.stat().st_size for path in save_model(ensemble, tmp_path / "other").rglob("*.*")}
    shutil.rmtree(tmp_path / "other")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in sorted(sizes):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, hard))
        try:
            with pytest.raises(MatineeError, match="disk is full"):
                save_model(ensemble, folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [path.name for path in tmp_path.iterdir()] == ["model"]
        assert load_model(folder) == old


def test_members_that_are_no_models_never_come_back_from_disk(saved: Path) -> None:
    edit_manifest(saved, set_("learned", to={"members": None, "weights": "array"}))
    with pytest.raises(MatineeError, match="does not hold a Ensemble"):
        load_model(saved)


def test_weights_that_are_not_finite_are_refused(saved: Path) -> None:
    from safetensors.numpy import load_file, save_file

    arrays = load_file(saved / "weights.safetensors")
    arrays["weights"] = np.array([0.5, np.nan, 0.5])
    save_file(arrays, saved / "weights.safetensors")
    sign(saved)
    with pytest.raises(MatineeError, match="weights holds numbers that are not finite"):
        load_model(saved)
