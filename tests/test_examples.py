"""The example in the docstring of what people call: `help` shows it, and it runs."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import matinee as mt
from matinee.models import registry
from matinee.serve.events import Answer, Event, EventStore, Shown

WITHOUT = {"models", "split", "MatineeError", "__version__"}  # modules, and what is raised
FETCHES = "load"
RECIPE = """
title = "Small"
[data]
source = "log.csv"
columns = { user_id = "user", item_id = "film" }
[split]
strategy = "random"
[evaluate]
k = [10]
metrics = ["ndcg"]
[[model]]
name = "popularity"
[[model]]
name = "ease"
[[model]]
name = "popularity_discount"
base = "ease"
"""


def examples_of(thing: Any) -> list[str]:
    return re.findall(r"Example: `(.+?)`$", inspect.getdoc(thing) or "", re.MULTILINE)


CALLED = {name: getattr(mt, name) for name in sorted(set(mt.__all__) - WITHOUT)}
METHODS = {
    "Dataset.to_frame": mt.Dataset.to_frame,
    "Dataset.to_pandas": mt.Dataset.to_pandas,
    "Model.with_items": mt.models.Content.with_items,
    "Model.get_params": mt.models.EASE.get_params,
    "Model.set_params": mt.models.EASE.set_params,
    "Recommendations": type(mt.similar_items(mt.models.Popularity().fit(mt.read([(1, 2)])), 2, 1)),
}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that examples name."""
    folder = tmp_path_factory.mktemp("examples")
    rows = [(user, 10 + (user * 7 + n * n) % 40, 1 + (user + n) % 5) for user in range(180, 220) for n in range(12)]
    rows = list(dict.fromkeys([*rows, *((7, item, 4) for item in range(10, 22))]))
    (folder / "log.csv").write_text("user,film,rating\n" + "".join(f"{u},{i},{r}\n" for u, i, r in rows))
    (folder / "hidden.csv").write_text("user_id,item_id\n196,900\n7,901\n")
    (folder / "recs.csv").write_text("user_id,item_id,rank\n196,900,1\n196,3,2\n7,5,1\n7,6,2\n")
    (folder / "recipe.toml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        mt.run_study(mt.load_recipe("recipe.toml"), "runs/small")
        mt.export_model("runs/small", "ease", "models/ease")
        mt.tune(mt.load_recipe("recipe.toml"), "runs/tuned", trials=2)
        _store("events.db")
    return folder


def _store(file: str) -> None:
    """What a service keeps: partly random answers, and what people then watched."""
    with EventStore.open(file) as store:
        for n in range(60):
            user, time, items = str(180 + n % 40), 2_000_000_000.0 + n, [str(10 + n % 17), str(30 + n % 5)]
            shown = tuple(Shown(item, at, 0.25) for at, item in enumerate(items, 1))
            store.add_answers([Answer(f"r{n}", time, user, "ease", "v1", "ease", shown, 0.5, 20)])
            store.add([Event(user, items[n % 2], "watch", time + 5, None, f"k{n}")])


@pytest.fixture
def names(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What examples have at hand, in a copy of the folder."""
    shutil.copytree(world, tmp_path / "w")
    monkeypatch.chdir(tmp_path / "w")
    data = mt.read("log.csv", user_id="user", item_id="film")
    items = {"film": data.items.decode(range(data.n_items))}
    titles = ["Heat (1995)", "Toy Story (1995)", *(f"Film {n}" for n in range(data.n_items - 2))]
    directors = [("Ann Lee", "Bo Ek", "Cy Fox")[n % 3] for n in range(data.n_items)]
    films = items | {"title": titles, "director": directors}
    data = mt.read("log.csv", user_id="user", item_id="film", items=films)
    split = mt.split.random(data, seed=1)
    model = mt.models.EASE(l2=3.0).fit(data)
    recs = mt.recommend(mt.models.EASE().fit(split.train), split.test.queries, k=10)
    clicks = mt.read([{"user_id": 1, "item_id": 2, "event": "view", "hours": 3.5}])
    found = {"mt": mt, "clicks": clicks, "data": data, "split": split, "model": model, "recs": recs}
    models = {"ease": mt.models.EASE().fit(split.train), "item_knn": mt.models.ItemKNN().fit(split.train)}
    ensemble = mt.models.Ensemble(members=list(models.values()), weights=[2, 1]).fit(split.train)
    mt.export_events("events.db", "log-of-events.csv", impressions="shown.csv")
    offline = {"shown": "shown.csv", "lists": {f"r{n}": [10 + n % 17, 11] for n in range(60)}}
    return found | {"models": models, "ensemble": ensemble} | offline


def test_every_name_has_an_example() -> None:
    assert [name for name, thing in (CALLED | METHODS).items() if not examples_of(thing)] == []
    assert [name for name in registry.names() if len(examples_of(registry.model_class(name))) != 1] == []


@pytest.mark.parametrize("name", list(CALLED | METHODS))
@pytest.mark.filterwarnings("ignore::matinee.errors.MatineeWarning")
def test_examples_run(name: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    for example in examples_of((CALLED | METHODS)[name]):
        code = compile(example, name, "exec")
        if name != FETCHES:
            exec(code, names)


def test_examples_of_models_make_a_model() -> None:
    for name in registry.names():
        (example,) = examples_of(registry.model_class(name))
        made = example.partition(".fit(")[0]
        assert registry.name_of(eval(made, {"mt": mt})) == name
