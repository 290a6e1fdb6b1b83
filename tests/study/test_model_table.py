"""Grids in [[model]] tables: what they stand for, how it is labelled, what is refused and in which words."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.errors import MatineeError
from matinee.models import registry
from matinee.study.grid import combinations
from matinee.study.model_table import ModelTable
from matinee.study.recipe import load_recipe
from matinee.study.values import format_value, label_part, names_a_folder
from study.conftest import recipe_of

ROOT = Path(__file__).parents[2]
LOSSES = """
loss = [
    { label = "bce", loss = "bce", n_negatives = 1, negatives_for = "event" },
    { label = "full", loss = "cross_entropy" },
]
"""


def refusal(folder: Path, grid: str, head: str = "name = 'sasrec'") -> str:
    with pytest.raises(MatineeError) as caught:
        recipe_of(folder, f"[[model]]\n{head}\n[model.grid]\n{grid}\n")
    assert "recipe.toml" in str(caught.value)
    assert caught.value.hint
    return str(caught.value)


def test_a_grid_is_every_combination_in_the_order_written(tmp_path: Path) -> None:
    text = f"[[model]]\nname = 'sasrec'\nepochs = 7\n[model.grid]{LOSSES}max_len = [50, 100, 200]\ndim = [128, 64]\n"
    recipe = recipe_of(tmp_path, "[[model]]\nname = 'ease'\n" + text + "[[model]]\nname = 'popularity'\n")
    expected = [f"sasrec_{loss}_{n}_{dim}" for loss in ("bce", "full") for n in (50, 100, 200) for dim in (128, 64)]
    assert [table.label for table in recipe.model] == ["ease", *expected, "popularity"]
    assert expected[1] == "sasrec_bce_50_64"
    bce, full = recipe.model[2].hyper_parameters, recipe.model[-2].hyper_parameters
    assert bce == {
        "epochs": 7, "loss": "bce", "n_negatives": 1, "negatives_for": "event", "max_len": 50, "dim": 64,
    }  # fmt: skip
    assert full == {"epochs": 7, "loss": "cross_entropy", "max_len": 200, "dim": 64}
    made = registry.create("sasrec", bce)
    assert (made.model_dump()["dim"], made.model_dump()["negatives_for"]) == (64, "event")


def test_what_is_resolved_has_no_grid_and_is_the_same_study(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "[[model]]\nname = 'ease'\ngrid.l2 = [50, 100.0]\n")
    text = recipe.to_toml()
    assert "grid" not in text
    again = recipe_of(tmp_path, text)
    assert [(m.label, m.hyper_parameters["l2"]) for m in again.model] == [("ease_50", 50.0), ("ease_100", 100.0)]
    assert again.to_toml() == text
    changed = recipe.with_changes(settings={"ease_100.l2": "7"})
    assert [m.hyper_parameters["l2"] for m in changed.model] == [50, "7"]
    with pytest.raises(MatineeError, match="no hyper-parameter"):
        recipe.with_changes(settings={"ease_100.grid": "x"})


def test_settings_one_at_a_time(tmp_path: Path) -> None:
    settings = "settings = [{label = 'plain'}, {label = 'wide', dim = 256}, {label = 'v1.5', gated = true}]"
    recipe = recipe_of(tmp_path, f"[[model]]\nname = 'sasrec'\nlabel = 'x'\ngrid.{settings}\n")
    found = {table.label: table.hyper_parameters for table in recipe.model}
    assert found == {"x_plain": {}, "x_wide": {"dim": 256}, "x_v1.5": {"gated": True}}


SHARED = """
[defaults]
dim = 32
batch_size = 16
l2 = 3.0
[[model]]
name = "ease"
[[model]]
name = "sasrec"
batch_size = 8
grid.dim = [16, 64]
[[model]]
name = "gru4rec"
[[model]]
name = "popularity"
[[model]]
name = "ensemble"
members = ["ease", "sasrec_16"]
"""


def test_defaults_are_taken_by_the_models_that_have_them_and_say_nothing_else(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, SHARED)
    assert {table.label: table.hyper_parameters for table in recipe.model} == {
        "ease": {"l2": 3.0},
        "sasrec_16": {"batch_size": 8, "dim": 16},
        "sasrec_64": {"batch_size": 8, "dim": 64},
        "gru4rec": {"dim": 32, "batch_size": 16},
        "popularity": {},
        "ensemble": {"members": ["ease", "sasrec_16"]},
    }
    made = recipe.create(recipe.model[-1])
    assert [member.model_dump().get("l2") for member in made.members] == [3.0, None]  # type: ignore[attr-defined]
    text = recipe.to_toml()
    assert "defaults" not in text
    assert recipe_of(tmp_path, text).to_toml() == text
    changed = recipe.with_changes(settings={"ease.l2": "7"})
    assert [table.hyper_parameters.get("l2") for table in changed.model[:2]] == ["7", None]


@pytest.mark.parametrize(
    ("default", "says"),
    [
        ("dimm = 3", "defaults.dimm: no model of the recipe has this hyper-parameter (did you mean dim?)"),
        ("name = 'ease'", "defaults.name: no model of the recipe has this hyper-parameter"),
        ("grid.dim = [3]", "defaults.grid: no model of the recipe has this hyper-parameter"),
        ("dim = 'wide'", "[[model]] sasrec: model 'sasrec': dim = 'wide'"),
    ],
)
def test_a_default_that_cannot_be_is_refused_by_name(tmp_path: Path, default: str, says: str) -> None:
    with pytest.raises(MatineeError) as caught:
        recipe_of(tmp_path, f"[defaults]\n{default}\n[[model]]\nname = 'sasrec'\n")
    assert says in str(caught.value)


def test_defaults_do_not_hide_a_misspelled_model(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="unknown model 'sasrek'"):
        recipe_of(tmp_path, "[defaults]\ndim = 3\n[[model]]\nname = 'sasrek'\n[[model]]\nname = 'sasrec'\n")


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ("", "model.0: grid needs at least one hyper-parameter"),
        ("dim = []", "model.0: grid.dim needs at least one value"),
        ("dim = 64", "model.0.grid.dim: Input should be a valid list"),
        ("dimm = [64]", "[[model]] sasrec_64: model 'sasrec': no hyper-parameter 'dimm' (did you mean dim?)"),
        ("dim = [64, 0]", "[[model]] sasrec_0: model 'sasrec': dim = 0"),
        ("loss = [{label = 'a', los = 'bce'}]", "no hyper-parameter 'los' (did you mean loss?)"),
        ("epochs = [1, 2]", "epochs is set beside the grid and in grid.epochs: leave one out"),
        ("a = [{label = 'a', epochs = 1}]", "epochs is set beside the grid and in grid.a"),
        ("dim = [64]\na = [{label = 'a', dim = 1}, {label = 'b'}]", "dim is set in grid.dim and in grid.a"),
        ("dim = [64, 128, 64]", "grid.dim has '64' twice"),
        ("a = [{label = 'x', dim = 1}, {label = 'X', dim = 2}]", "grid.a has 'X' twice"),
        ("dim = [64, {label = 'b', dim = 128}]", "grid.dim mixes values and tables"),
        ("dim = [{dim = 128}]", "grid.dim: each table needs a `label`, and one has only dim"),
        ("dim = [{}]", "one has only nothing"),
        ("dim = [{label = 5, dim = 128}]", "5 is none"),
        ("dim = [{label = '', dim = 128}]", "'' is none"),
        ("dim = [{label = 'a/b', dim = 128}]", "'a/b' is none"),
        ("device = ['../x']", "grid.device: '../x' cannot be part of a folder's name: write a table"),
        ("device = ['']", "'' cannot be part of a folder's name"),
        ("name = ['ease', 'slim']", "grid.name: 'name' is no hyper-parameter"),
        ("label = ['a', 'b']", "grid.label: 'label' is no hyper-parameter"),
        ("a = [{label = 'a', grid = 1}]", "grid.a: 'grid' is no hyper-parameter"),
        ("a = [{label = 'a', name = 'ease'}]", "grid.a: 'name' is no hyper-parameter"),
        ("dim = [" + ",".join(map(str, range(1, 202))) + "]", "grid makes 201 models and may make 200"),
        (f"dim = [{{label = '{'x' * 94}', dim = 1}}]", "of more than 100 characters: shorten `label`"),
    ],
)
def test_what_does_not_fit_is_named(grid: str, says: str, tmp_path: Path) -> None:
    assert says in refusal(tmp_path, grid, "name = 'sasrec'\nepochs = 3")


def test_huge_grids_are_refused_before_they_are_made(tmp_path: Path) -> None:
    axes = "\n".join(f"a{i} = [{', '.join(map(str, range(60)))}]" for i in range(12))
    assert "models and may make 200" in refusal(tmp_path, axes)


def test_labels_that_clash_are_refused(tmp_path: Path) -> None:
    """Each axis is clear in itself: only together, or with another table, they make one label twice."""
    axes = "a = [{label = 'x'}, {label = 'x_y', dim = 8}]\nb = [{label = 'y_z'}, {label = 'z', max_len = 9}]"
    assert "label 'sasrec_x_y_z' is used twice" in refusal(tmp_path, axes)
    with pytest.raises(MatineeError, match="label 'ease_5' is used twice"):
        recipe_of(tmp_path, "[[model]]\nname = 'ease'\ngrid.l2 = [5]\n[[model]]\nname = 'ease'\nlabel = 'ease_5'\n")


def test_the_table_that_is_wrong_is_told_by_its_place_in_the_file(tmp_path: Path) -> None:
    text = "[[model]]\nname = 'ease'\ngrid.l2 = [1, 2, 3]\n[[model]]\nname = 'ease'\nlabel = 'b'\ngrid.l2 = []\n"
    with pytest.raises(MatineeError, match=r"model\.1: grid\.l2 needs"):
        recipe_of(tmp_path, text)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (64, "64"), (300.0, "300"), (0.001, "0.001"), (1e-5, "1e-05"), (1e22, "1e22"), (0.1 + 0.2, str(0.1 + 0.2)),
        (True, "true"), (None, "none"), ("bce", "bce"), ([128, 64], "128-64"), ((), "empty"),
        (["ease", "ials"], "ease-ials"),
    ],
)  # fmt: skip
def test_values_as_parts_of_labels(value: object, said: str) -> None:
    assert label_part(value) == said
    assert names_a_folder(said)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (300.0, "300"),
        (True, "true"),
        ([128, 64], "[128, 64]"),
        ([{"name": "ease", "l2": 20.0, "half_life": None}, {"name": "svd"}], "[ease (l2=20), svd]"),
    ],
)
def test_values_as_tables_show_them(value: object, shown: str) -> None:
    assert format_value(value) == shown


values = st.one_of(st.integers(-1000, 1000), st.floats(allow_nan=False, allow_infinity=False), st.booleans())


@given(st.lists(st.lists(values, min_size=1, max_size=4, unique_by=label_part), min_size=1, max_size=3))
def test_a_model_for_each_combination_under_a_name_of_its_own(axes: list[list[object]]) -> None:
    grid = {f"h{at}": levels for at, levels in enumerate(axes)}
    made = combinations("m", {"fixed": 1}, grid)
    assert [keys for _, keys in made] == [
        {"fixed": 1, **dict(zip(grid, levels, strict=True))} for levels in product(*axes)
    ]
    assert len({label for label, _ in made}) == len(made)
    for label, _ in made:  # as a label of its own, each is fit for a folder
        assert ModelTable(name="ease", label=label).label == label


def test_the_grid_of_sasrec_is_that_of_its_issue() -> None:
    recipe = load_recipe(ROOT / "recipes" / "ml-1m-sasrec-grid.toml")
    plain = load_recipe(ROOT / "recipes" / "ml-1m-sasrec.toml")
    assert (recipe.data, recipe.split) == (plain.data, plain.split)
    found = {
        (m.hyper_parameters["loss"], m.hyper_parameters["max_len"], m.hyper_parameters["dim"]) for m in recipe.model
    }
    assert found == set(product(("bce", "sampled_softmax", "cross_entropy"), (50, 100, 200), (64, 128)))
    assert len(recipe.model) == 18
