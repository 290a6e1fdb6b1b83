"""Logs on disk: whole, so that loaded models can be fitted again; shared by the models of a run; found by digest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

import matinee
from contract.logs import groups
from matinee.data.dataset import Dataset
from matinee.data.dislikes import Dislikes
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.popularity import Popularity
from matinee.store import export_model, load_model, read_manifest, save_model
from matinee.store.folders import read_arrays, write_arrays
from matinee.store.learned import flatten, unflatten
from matinee.store.logs import _read_events, read_log, write_log
from store.sealing import LOG, OWN, contents, edit_manifest, set_

RUN_MODELS = ("ease", "popularity", "pair")


@lru_cache(maxsize=1)
def whole() -> Dataset:
    """A log with everything a log may have: labels made of ratings, tables with nulls, context of many types."""
    data, rng = groups(), np.random.default_rng(4)
    n, n_items = len(data), data.n_items
    assert data.value is not None
    numbers = pl.DataFrame({"x": rng.integers(0, 9, n), "keep": rng.random(n) < 0.8})
    context = pl.DataFrame(
        {
            "device": rng.choice(["tv", "phone", "a web browser on a computer"], n).tolist(),
            "screen": pl.Series(rng.choice(["small", "large"], n).tolist(), dtype=pl.Enum(["small", "large"])),
            "volume": rng.random(n),
            "started": pl.Series(rng.integers(0, 10**9, n)).cast(pl.Datetime("ms")),
            "tags": [["new", "late"][: i % 3] if i % 7 else None for i in range(n)],
        }
    ).hstack(numbers.select(x=pl.when("keep").then("x")))  # bytes that are not zero lie below these nulls
    films = pl.DataFrame({"title": [f"A film with a long title, {i}" if i % 5 else None for i in range(n_items)]})
    return replace(
        data,
        value=(data.value >= 4).astype(np.float32),
        raw_rating=data.value,
        context=context,
        item_features=pl.concat([films[:30], films[30:]], rechunk=False),
        user_features=pl.DataFrame({"age": [None, *range(1, data.n_users)]}),
        name="a log with everything",
    )


def weighed() -> Dataset:
    """A log with weights and dislikes too."""
    data = whole()
    weight = np.random.default_rng(1).choice([1.0, 4.0], len(data)).astype(np.float32)
    return replace(data, weight=weight, dislikes=Dislikes(np.array([3, 1]), np.array([5, 9]), np.array([7, 8])))


def same(one: Dataset, other: Dataset) -> bool:
    return (one.fingerprint, one.side_fingerprint, one.name) == (other.fingerprint, other.side_fingerprint, other.name)


class TestWhole:
    @pytest.mark.parametrize(
        "data",
        [
            whole(),
            groups(),
            replace(whole(), raw_rating=None, value=None, timestamp=None),
            whole().rows(np.arange(0)),
            whole().rows(whole().user % 2 == 0),
            weighed(),
            replace(weighed(), timestamp=None, dislikes=Dislikes(np.array([3]), np.array([5]))),
        ],
        ids=["everything", "plain", "no numbers", "no rows", "half", "weights and dislikes", "dislikes without times"],
    )
    def test_a_log_comes_back_as_it_was(self, data: Dataset, tmp_path: Path) -> None:
        read = read_log(tmp_path / "log", write_log(data, tmp_path / "log"))
        assert same(read, data)
        for name in ("context", "user_features", "item_features"):
            one, other = getattr(read, name), getattr(data, name)
            assert one is other is None or (one.equals(other) and one.schema == other.schema)
        for ours, theirs in ((read, data), (read.dislikes, data.dislikes)):
            for name in ("user", "item", "timestamp", "weight"):
                one, other = (getattr(of, name, None) for of in (ours, theirs))
                assert (one is None) == (other is None)
                if one is not None and other is not None:
                    assert (one.dtype, one.tolist()) == (other.dtype, other.tolist())

    def test_a_loaded_model_learns_the_same_from_weights_again(self, tmp_path: Path) -> None:
        model = EASE(l2=5.0).fit(weighed())
        loaded = load_model(save_model(model, tmp_path / "model"))
        assert EASE(l2=5.0).fit(loaded.data).score(weighed().queries()).tobytes() == (
            model.score(weighed().queries()).tobytes()
        )
        assert loaded.data.queries().exclude.values.tolist() == weighed().queries().exclude.values.tolist()
        bare = load_model(save_model(model, tmp_path / "bare", histories=False))
        assert bare.data.weight is None
        assert bare.data.dislikes is None

    @pytest.mark.parametrize("change", ["dislikes.item", "weight", "more"])
    def test_damaged_weights_and_dislikes_are_refused(self, change: str, tmp_path: Path) -> None:
        write_log(weighed(), tmp_path / "log")
        file = tmp_path / "log" / "events.safetensors"
        arrays = read_arrays(file)
        if change == "dislikes.item":
            del arrays[change]
        elif change == "weight":
            arrays[change] = arrays[change].astype(np.float64)
        else:
            arrays["dislikes.more"] = arrays["dislikes.item"]
        write_arrays(file, arrays)
        with pytest.raises(MatineeError, match="does not hold the events of a log"):
            _read_events(file)

    @pytest.mark.parametrize(
        ("name", "hyper"),
        [
            (
                "fm",
                {
                    "fields": ["user", "item", "context.device", "context.volume"],
                    "dim": 4,
                    "epochs": 2,
                    "ordinal_weight": 0.5,
                },
            ),
            ("fm", {"fields": ["user", "item.title", "context.screen"], "dim": 4, "epochs": 2, "target": "watched"}),
            ("sasrec", {"dim": 8, "max_len": 6, "epochs": 2}),
        ],
        ids=["context and grades", "context", "sequence"],
    )
    def test_a_loaded_model_can_be_fitted_again(self, name: str, hyper: dict[str, Any], tmp_path: Path) -> None:
        model = registry.create(name, hyper).fit(whole(), seed=5)
        loaded = load_model(save_model(model, tmp_path / "first"))
        assert same(loaded.data, whole())
        again = registry.create(name, loaded.model_dump(mode="json")).fit(loaded.data, seed=5)
        assert again.score(whole().queries()).tobytes() == model.score(whole().queries()).tobytes()
        save_model(again, tmp_path / "second")
        ours, theirs = contents(tmp_path / "first"), contents(tmp_path / "second")
        timed = {"weights.safetensors", "manifest.json"}  # a curve may hold seconds
        assert {n: h for n, h in ours.items() if n not in timed} == {n: h for n, h in theirs.items() if n not in timed}

    def test_without_histories_no_event_is_kept(self, tmp_path: Path) -> None:
        save_model(Popularity().fit(whole()), tmp_path / "m", histories=False)
        assert set(contents(tmp_path / "m")) == {*OWN, *LOG} - {"log/events.safetensors"}
        loaded = load_model(tmp_path / "m").data
        assert (len(loaded), loaded.context, loaded.raw_rating) == (0, None, None)
        assert loaded.item_features is not None

    def test_features_named_as_the_ids_are_refused(self, tmp_path: Path) -> None:
        data = replace(groups(), item_features=pl.DataFrame({"item_id": range(groups().n_items)}))
        with pytest.raises(MatineeError, match="a column 'item_id' beside the ids"):
            save_model(Popularity().fit(data), tmp_path / "m")


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of a run: two of one log, and an ensemble of both with a third model of another log."""
    folder = tmp_path_factory.mktemp("runs") / "x"
    ease, popular = EASE(l2=20.0).fit(whole()), Popularity().fit(whole())
    bare = EASE().fit(replace(whole(), item_features=None))
    pair = Ensemble(members=[ease, popular, bare], weights=[2, 1, 1]).fit(whole())
    for label, model in zip(RUN_MODELS, (ease, popular, pair), strict=True):
        save_model(model, folder / "models" / label, log=folder / "logs")
    return folder


@pytest.fixture
def run(a_run: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(a_run, tmp_path / "x"))


def logs_of(run: Path) -> list[Path]:
    return sorted((run / "logs").iterdir())


def the_log(run: Path) -> Path:
    return run / "logs" / read_manifest(run / "models" / "ease").log[:16]


class TestShared:
    def test_models_of_one_log_share_it(self, run: Path) -> None:
        assert len(logs_of(run)) == 2, "the third member's log has no features"
        members = {f"members/{number}/{name}" for number in range(3) for name in OWN}
        assert [set(contents(run / "models" / label)) for label in RUN_MODELS] == [{*OWN}, {*OWN}, {*OWN, *members}]
        for label in RUN_MODELS:
            assert same(load_model(run / "models" / label).data, whole())
        first, second, third = load_model(run / "models" / "pair").fitted.learned.members
        assert first.data is second.data
        assert third.data.item_features is None

    def test_the_second_model_costs_no_log(self, run: Path) -> None:
        before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (run / "logs").rglob("*.*")}
        save_model(EASE(l2=3.0).fit(whole()), run / "models" / "third", log=run / "logs")
        assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (run / "logs").rglob("*.*")} == before
        own = sum(path.stat().st_size for path in (run / "models" / "third").rglob("*"))
        assert own < 4 * whole().n_items * (whole().n_items + 1) + 2_000

    def test_a_log_that_lost_a_file_is_written_again(self, run: Path) -> None:
        (the_log(run) / "users.parquet").unlink()
        with pytest.raises(MatineeError, match="users"):
            load_model(run / "models" / "ease")
        save_model(EASE().fit(whole()), run / "models" / "third", log=run / "logs")
        assert load_model(run / "models" / "ease").is_fitted

    def test_kept_members_lie_three_folders_below_the_run(self, run: Path) -> None:
        place = run / "parts" / "seed-0" / ".ease.fit"
        save_model(EASE().fit(whole()), place, log=run / "logs")
        assert same(load_model(place).data, whole())

    @pytest.mark.parametrize("log", ["logs", "x/other", "x/a/b/model/logs"])
    def test_a_log_that_would_not_be_found_is_refused(self, log: str, tmp_path: Path) -> None:
        with pytest.raises(MatineeError, match="would not find its log"):
            save_model(Popularity().fit(groups()), tmp_path / "x" / "a" / "b" / "model", log=tmp_path / log)
        assert not list(tmp_path.iterdir())

    def test_an_exported_model_stands_alone(self, run: Path, tmp_path: Path) -> None:
        wanted = load_model(run / "models" / "pair").score(whole().queries())
        for label in RUN_MODELS:
            assert matinee.export_model(run, label, tmp_path / "out" / label) == tmp_path / "out" / label
        shutil.rmtree(run)
        assert {*OWN, *LOG, "log/context.parquet"} == set(contents(tmp_path / "out" / "ease"))
        loaded = load_model(tmp_path / "out" / "pair")
        assert loaded.score(whole().queries()).tobytes() == wanted.tobytes()
        inside = contents(tmp_path / "out" / "pair")
        assert "members/2/log/manifest.json" in inside
        assert "members/0/log/manifest.json" not in inside

    def test_export_of_what_is_not_there(self, run: Path, tmp_path: Path) -> None:
        for label in ("easy", "../models/ease", ""):
            with pytest.raises(MatineeError, match="use one of: ease, pair, popularity"):
                export_model(run, label, tmp_path / "out")
        with pytest.raises(MatineeError, match="name the folder of a run"):
            export_model(tmp_path / "nothing", "ease", tmp_path / "out")
        assert not (tmp_path / "out").exists()


class TestFaults:
    @pytest.mark.parametrize("name", ["context.parquet", "events.safetensors", "items.parquet", "users.parquet"])
    @pytest.mark.parametrize("damage", ["changed", "missing"])
    def test_a_file_of_the_log(self, run: Path, name: str, damage: str) -> None:
        file = the_log(run) / name
        if damage == "missing":
            file.unlink()
        else:
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        with pytest.raises(MatineeError, match=rf"{name}: is missing or differs from what was saved\n  hint: copy"):
            load_model(run / "models" / "popularity")

    def test_a_missing_log(self, run: Path) -> None:
        shutil.rmtree(run / "logs")
        with pytest.raises(MatineeError, match=r"the log of this model .* is missing[\s\S]*matinee export"):
            load_model(run / "models" / "ease")

    def test_a_log_beyond_three_levels_is_not_found(self, run: Path) -> None:
        (run / "a" / "b" / "c").mkdir(parents=True)
        shutil.copytree(run / "models" / "ease", run / "a" / "b" / "ease")
        assert load_model(run / "a" / "b" / "ease").is_fitted
        shutil.copytree(run / "models" / "ease", run / "a" / "b" / "c" / "ease")
        with pytest.raises(MatineeError, match="is missing"):
            load_model(run / "a" / "b" / "c" / "ease")

    @pytest.mark.parametrize(
        "change",
        [set_("name", to="other"), set_("histories", to=False), set_("fingerprint", to="0" * 16), set_("more", to=1)],
    )
    def test_a_changed_manifest_of_the_log(self, run: Path, change: Callable[[dict[str, Any]], object]) -> None:
        edit_manifest(the_log(run), change, seal=False)
        with pytest.raises(MatineeError, match=r"manifest\.json: differs from what was saved"):
            load_model(run / "models" / "ease")
        edit_manifest(the_log(run), lambda manifest: None)
        with pytest.raises(MatineeError, match=r"is of another log|Extra inputs"):
            load_model(run / "models" / "ease")

    def test_another_log_in_its_place(self, run: Path) -> None:
        ours, (one, other) = the_log(run), logs_of(run)
        shutil.rmtree(ours)
        shutil.copytree(other if ours == one else one, ours)
        with pytest.raises(MatineeError, match="is of another log than the model's"):
            load_model(run / "models" / "ease")

    @pytest.mark.parametrize("digest", ["", "../../secret/log", "/etc", "g" * 64, "A" * 64, "0" * 63, 7, None])
    def test_a_digest_that_is_none(self, run: Path, digest: object) -> None:
        edit_manifest(run / "models" / "ease", set_("log", to=digest))
        with pytest.raises(MatineeError, match=r"manifest\.json: log: "):
            load_model(run / "models" / "ease")

    @pytest.mark.parametrize("name", ["", "items.parquet", "manifest.json"])
    def test_a_link_that_leads_out_of_a_run(self, run: Path, tmp_path: Path, name: str) -> None:
        """Where it leads lie the very bytes that were saved."""
        place = the_log(run) / name
        shutil.move(place, tmp_path / "outside")
        place.symlink_to(tmp_path / "outside")
        with pytest.raises(MatineeError, match="is a link that leads out of the folder"):
            load_model(run / "models" / "ease")

    @pytest.mark.parametrize("name", ["weights.safetensors", "manifest.json", "members/1", "members/1/manifest.json"])
    def test_a_link_that_leads_out_of_a_model(self, run: Path, tmp_path: Path, name: str) -> None:
        place = run / "models" / "pair" / name
        shutil.move(place, tmp_path / "outside")
        place.symlink_to(tmp_path / "outside")
        with pytest.raises(MatineeError, match="is a link that leads out of the folder"):
            load_model(run / "models" / "pair")

    def test_the_folder_of_a_model_may_be_a_link(self, run: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(run / "models" / "ease")
        assert same(load_model(tmp_path / "link").data, whole())


class TestTheManifestCoversItself:
    @pytest.mark.parametrize(
        "change",
        [
            set_("hyper_parameters", "l2", to=21.0),
            set_("hyper_parameters", "l2", to=20),
            set_("matinee", to="9.9"),
            set_("n_events", to=1),
            set_("log", to="0" * 64),
            set_("learned", "W", to="csr"),
            set_("more", to=1),
            set_("digest", to="0" * 64),
            set_("digest", to=None),
            lambda manifest: manifest["hyper_parameters"].pop("half_life"),
        ],
    )
    def test_a_change_is_refused(self, run: Path, change: Callable[[dict[str, Any]], object]) -> None:
        edit_manifest(run / "models" / "ease", change, seal=False)
        with pytest.raises(MatineeError, match=r"ease/manifest\.json: differs from what was saved\n  hint: ") as error:
            load_model(run / "models" / "ease")
        assert len(str(error.value).splitlines()) == 2

    def test_spaces_and_the_order_of_keys_are_no_change(self, run: Path) -> None:
        file = run / "models" / "ease" / "manifest.json"
        content = json.loads(file.read_text())
        file.write_text(json.dumps(dict(reversed(content.items()))))
        assert load_model(run / "models" / "ease") == EASE(l2=20.0)

    def test_a_folder_of_schema_1(self, run: Path) -> None:
        folder = run / "models" / "ease"
        old = {"schema_version": 1, "model": "ease", "hyper_parameters": {}, "learned": {}, "sha256": {}}
        (folder / "manifest.json").write_text(json.dumps(old))
        for name in ("items.parquet", "users.parquet", "histories.safetensors"):
            (folder / name).write_bytes(b"")
        with pytest.raises(MatineeError, match=r"format 1, .* reads format 2\n  hint: fit and save the model again$"):
            load_model(folder)
        assert load_model(save_model(Popularity().fit(groups()), folder)).is_fitted, "it can be replaced"


@dataclass(frozen=True)
class WithNet:
    """net: lives in memory alone."""

    W: np.ndarray[Any, Any]
    net: object = field(default=None, metadata={"saved": False})


def test_fields_that_are_not_saved_have_their_default_after_loading(tmp_path: Path) -> None:
    arrays, members, layout = flatten(WithNet(np.ones(3), net=lambda: None))
    assert (list(arrays), members, layout) == (["W"], (), {"W": "array"})

    class Held(Popularity):
        learned_type: ClassVar[Any] = WithNet

    cls: type[Model] = Held
    found = unflatten(cls, layout, arrays, [], tmp_path)
    assert found.net is None
    assert found.W.tolist() == [1, 1, 1]
