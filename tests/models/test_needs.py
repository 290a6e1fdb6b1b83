"""How much memory and disk a model needs, measured and refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from contract.cases import SMALL_LOG
from contract.logs import groups, log
from matinee.data.dataset import Dataset
from matinee.errors import MatineeError, MatineeWarning
from matinee.models import fits, needs, registry
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.ials import IALS
from matinee.models.needs import LogSize, Needs, readable
from matinee.models.popularity import Popularity

ROOT = Path(__file__).parents[2]
COMPOSITES: dict[str, Any] = {
    "ensemble": {"members": ["ease", "item_knn"]},
    "stacking": {"members": ["ease", "popularity"]},
    "rerank": {"first": "item_knn", "second": "lightgbm"},
    **{name: {"base": "item_knn"} for name in ("mmr", "calibrated", "popularity_discount")},
}


# --- the figures ------------------------------------------------------------------------------------------------------


def test_ease_needs_one_number_a_pair_of_items() -> None:
    n = 98_127
    found = EASE().needs(50_000, n, 100_000)
    assert found.memory_bytes == 40 * 100_000 + 4 * n * n + 4 * n
    assert readable(found.memory_bytes) == "38.5 GB"
    assert abs(found.disk_bytes / (4 * n * n) - 1) < 0.001
    with pytest.raises(FrozenInstanceError):
        found.disk_bytes = 1  # type: ignore[misc]


def test_ease_needs_float64_and_a_copy_where_the_gram_matrix_is_badly_conditioned() -> None:
    users, n, events = 138_493, 26_744, 20_000_263
    assert EASE(l2=300.0).fit_bytes(LogSize(users, n, events)) == 40 * events + 12 * n * n
    assert EASE(l2=5_000.0).fit_bytes(LogSize(users, n, events)) == 40 * events + 4 * n * n


def test_hyper_parameters_count() -> None:
    small, large = (IALS(n_factors=f).needs(10_000, 5_000, 200_000).disk_bytes for f in (32, 64))
    assert large - small == 4 * 32 * 15_000 + 8 * (64**2 - 32**2)
    near, far = (registry.create("item_knn", {"k": k}).needs(10_000, 5_000, 900_000).disk_bytes for k in (50, 100))
    assert far - near == 8 * 50 * 5_000


@pytest.mark.parametrize("name", registry.names())
def test_needs_are_positive_and_grow_with_the_log(name: str) -> None:
    model = registry.create(name, COMPOSITES.get(name))
    sizes = [(300, 200, 5_000), (30_000, 20_000, 500_000)]
    for start in sizes:
        here = model.needs(*start)
        assert min(here.memory_bytes, here.disk_bytes) > 0
        for growing in ((0, 2), (1,), (2,)):  # users with their events: else histories get shorter
            more = [3 * n if place in growing else n for place, n in enumerate(start)]
            there = model.needs(*more)
            assert there.memory_bytes >= here.memory_bytes, more
            assert there.disk_bytes >= here.disk_bytes, more
    assert model.needs(*sizes[1]).memory_bytes > 1.2 * model.needs(*sizes[0]).memory_bytes


def test_an_ensemble_needs_what_its_members_keep_and_the_most_that_one_takes() -> None:
    size = (2_000, 1_000, 50_000)
    ease, ials = EASE(), IALS()
    both = Ensemble(members=(ease, ials))
    kept = ease.learned_bytes(LogSize(*size)) + ials.learned_bytes(LogSize(*size))
    most = max(model.fit_bytes(LogSize(*size)) for model in (ease, ials))
    assert both.fit_bytes(LogSize(*size)) == kept + most
    assert kept < both.needs(*size).disk_bytes < kept + 1_100_000
    data = groups()
    fitted = Ensemble(members=(EASE().fit(data), Popularity()))
    assert fitted.fit_bytes(LogSize(*size)) == 2 * 4 * 1_000 + 40 * 50_000 + 4 * 1_000, "what is fitted is there"


@pytest.mark.parametrize("name", [name for name in SMALL_LOG if "epochs" in registry.model_class(name).model_fields])
def test_the_numbers_of_a_net_are_counted_right(name: str) -> None:
    pytest.importorskip("torch")
    data = groups()
    model = registry.create(name, {**SMALL_LOG[name], "epochs": 1})
    if not hasattr(model, "n_weights"):
        pytest.skip("no net is kept")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sum(array.size for array in model.fit(data).fitted.learned.weights.values())
    estimate = model.n_weights(LogSize(data.n_users, data.n_items, len(data)))
    width: Any = getattr(model, "width", None)
    times = 140 * width() if hasattr(model, "fields") else 0  # buckets of times, of which a small log has few
    assert 0.99 * found - times <= estimate <= 1.01 * found + times


# --- against what is measured -----------------------------------------------------------------------------------------

MEASURE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, polars as pl
from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.models import registry
from matinee.profiling import measured

def log(users, items, events):
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, users, events), (items * rng.random(events) ** 2).astype(int)
    names = [IdMap.from_series(pl.Series(np.arange(n)), what="id") for n in (users, items)]
    times = np.sort(rng.integers(10**9, 10**9 + 10**7, events))
    return Dataset(*names, user.astype(np.int32), item.astype(np.int32), timestamp=times)

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

found = {}
for name, hyper, size in json.loads(sys.argv[1]):
    model = registry.create(name, hyper)
    data = log(*size)
    registry.create(name, hyper).fit(data)  # imports, and compiles every kernel that this size of log calls
    before = resident()
    with measured() as cost:
        model.fit(data)
    found[name] = cost.peak_mb * 1e6 - before, model.needs(*size).memory_bytes
    del model
print(json.dumps(found))
"""
MEASURED: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("ease", {}, (500, 3_000, 20_000)),
    ("slim", {"tolerance": 0.01}, (500, 3_000, 20_000)),
    ("item_knn", {}, (1_000, 8_000, 100_000)),
    ("ials", {"epochs": 1, "n_factors": 32}, (40_000, 20_000, 200_000)),
    ("svd", {"n_factors": 20}, (200, 10_000, 20_000)),
    ("markov", {"window": 2}, (4_000, 4_000, 300_000)),
    ("sasrec", {"epochs": 1, "max_len": 8, "dim": 32, "loss": "bce", "n_negatives": 1}, (500, 60_000, 4_000)),
    ("multi_dae", {"epochs": 1, "hidden": 64}, (600, 20_000, 5_000)),
]


@pytest.fixture(scope="module")
def peaks() -> dict[str, tuple[float, int]]:
    """Of each model the measured growth of the process in a fit, and the estimate, bytes. One process measures all:
    large arrays go back to the system when they are freed."""
    pytest.importorskip("torch")
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", MEASURE, json.dumps(MEASURED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=environment)
    found: dict[str, tuple[float, int]] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can start a peak anew")
@pytest.mark.parametrize("name", [name for name, _, _ in MEASURED])
def test_the_estimate_is_near_the_measured_peak(peaks: dict[str, tuple[float, int]], name: str) -> None:
    peak, estimate = peaks[name]
    assert peak > 20e6, "large enough to be told from the rest of the process"
    assert 0.7 * peak < estimate < 1.6 * peak


# --- what cannot is refused ------------------------------------------------------------------------------------------


@pytest.fixture
def wide() -> Dataset:
    """Few events, 20,000 items, ratings: EASE would take 1.6 GB."""
    return log(["a", "a", "b"], [1, 2, 2], [1, 2, 3], [1.0, 3.0, 5.0], more_items=range(3, 20_003))


def free(monkeypatch: pytest.MonkeyPatch, memory: int | None) -> None:
    for module in (needs, fits):
        monkeypatch.setattr(module, "available_memory", lambda: memory)


def test_a_fit_that_cannot_is_refused_before_it_begins(wide: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 10**9)
    monkeypatch.setattr(EASE, "weights", lambda self, X: pytest.fail("it has begun"))
    with pytest.raises(MatineeError) as caught:
        EASE().fit(wide)
    assert caught.value.what == "EASE at 20,002 items, 2 users and 3 events: 1.6 GB of memory needed, 1.0 GB free"
    hint = caught.value.hint or ""
    others = hint.removeprefix("try ").partition(";")[0].split(", ")
    assert {"item_knn", "ials"} <= set(others)
    assert not {"ease", "slim", "admm_slim", "popularity"} & set(others)
    for name in others:
        assert registry.create(name).needs(2, 20_002, 3).memory_bytes < 10**9
    assert "MATINEE_IGNORE_MEMORY=1" in hint


def test_what_is_offered_can_learn_from_the_log(monkeypatch: pytest.MonkeyPatch, wide: Dataset) -> None:
    unrated = Dataset(wide.users, wide.items, wide.user, wide.item)
    pytest.importorskip("torch")
    assert "auto_rec" in set(needs.instead(wide, 10**9))
    assert "auto_rec" not in set(needs.instead(unrated, 10**9)), "it learns ratings"
    assert list(needs.instead(wide, 0)) == []


def test_members_are_refused_with_the_whole(wide: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 10**9)
    with pytest.raises(MatineeError, match=r"^Ensemble at 20,002 items"):
        Ensemble(members=("popularity", "ease")).fit(wide)


@pytest.mark.parametrize(("memory", "ignored"), [(None, None), (10**12, None), (1, "1")])
def test_nothing_is_refused_where_it_is_unknown_or_enough_or_ignored(
    memory: int | None, ignored: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, memory)
    if ignored:
        monkeypatch.setenv("MATINEE_IGNORE_MEMORY", ignored)
    assert EASE().fit(groups()).is_fitted


@pytest.mark.parametrize("value", ["", "0"])
def test_ignoring_can_be_switched_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 1)
    monkeypatch.setenv("MATINEE_IGNORE_MEMORY", value)
    with pytest.raises(MatineeError, match="of memory needed, 0 kB free"):
        Popularity().fit(groups())


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table_of_what_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free(monkeypatch, 20 * 10**9)
    monkeypatch.setattr(fits, "free_bytes", lambda path: 30 * 10**9)
    table = mt.fits_here((210_000, 98_127, 5_000_000), path=tmp_path)
    assert table.columns == ["model", "memory_bytes", "disk_bytes", "fits", "note"]
    rows = {row["model"]: row for row in table.to_dicts()}
    assert set(rows) == {name for name in registry.names() if not registry.member_fields(name)}
    assert rows["ease"]["note"] == "20.0 GB of memory free; 30.0 GB of disk free"
    assert rows["slim"]["note"] == "20.0 GB of memory free"
    assert not rows["ease"]["fits"]
    assert rows["item_knn"]["fits"]
    assert Needs(rows["ials"]["memory_bytes"], rows["ials"]["disk_bytes"]) == IALS().needs(210_000, 98_127, 5_000_000)
    free(monkeypatch, None)
    assert mt.fits_here((10, 10, 10))["fits"].null_count() == len(rows)


def test_the_table_of_a_log_says_what_it_lacks_and_of_which_models() -> None:
    data = groups()
    bare = Dataset(data.users, data.items, data.user, data.item)
    chosen = ["biased_mf", {"name": "ease", "l2": 5.0}, Ensemble(members=("ease", "popularity"))]
    table = mt.fits_here(bare, chosen)
    assert table["model"].to_list() == ["biased_mf", "ease", "ensemble"]
    assert table["note"].to_list() == ["log has no ratings", "", ""]
    assert table["fits"].to_list() == [False, True, True]


@pytest.mark.parametrize("sizes", [(1, 2), (1, 0, 2), (1, 2.5, 3)])
def test_sizes_that_are_none_are_refused(sizes: Any) -> None:
    with pytest.raises(MatineeError, match="three positive whole numbers"):
        mt.fits_here(sizes)


def test_a_large_model_is_announced(wide: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fits, "free_bytes", lambda path: 5 * 10**9)
    with pytest.warns(MatineeWarning, match=r"^ease will take about 1\.6 GB on disk, and 5\.0 GB are free at "):
        fits.announce(EASE(), wide, tmp_path)
    monkeypatch.setattr(fits, "free_bytes", lambda path: 10**6)
    with pytest.warns(MatineeWarning, match=r"^item_knn will take about .* MB on disk, and only 1\.0 MB are free at "):
        fits.announce(registry.create("item_knn"), data_of(1_000), tmp_path)
    monkeypatch.setattr(fits, "free_bytes", lambda path: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fits.announce(registry.create("item_knn"), wide, tmp_path)


def data_of(n_items: int) -> Dataset:
    """A user who watched everything, 200 times over."""
    items = np.tile(np.arange(n_items), 200)
    return log(pl.Series(["a"] * len(items)).to_list(), items.tolist())
