"""A recipe: what is refused, in which words, and before anything is read; what it resolves to; the data it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from matinee.data.dataset import Dataset
from matinee.data.read import catalog
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.study.data_table import located
from matinee.study.recipe import Recipe, load_recipe

ROOT = Path(__file__).parents[2]
POPULARITY = '[[model]]\nname = "popularity"\n'
LOG = "user_id,item_id,rating,timestamp\n" + "".join(
    f"{user},{item},{1 + (user + item) % 5},{1_500_000_000 + 86_400 * item}\n" for user in range(6) for item in range(8)
)


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, "utf-8")
    return path


def refusal(folder: Path, text: str) -> MatineeError:
    """What is said about a recipe; the file is always named."""
    path = written(folder, text)
    with pytest.raises(MatineeError) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('title = "x"\nseeds = [0,,1]\n', "line 2"),
        ("[" * 5000, "TOML"),
        ("sedes = [0]\n" + POPULARITY, "unknown key 'sedes' (did you mean seeds?)"),
        ("[evaluation]\n" + POPULARITY, "unknown key 'evaluation' (did you mean evaluate?)"),
        ("[data]\nsuorce = 'x'\n" + POPULARITY, "unknown key 'data.suorce' (did you mean source?)"),
        ("[data]\nzzz = 1\n" + POPULARITY, "unknown key 'data.zzz'"),
        ("[evaluate]\nmetric = ['ndcg']\n" + POPULARITY, "unknown key 'evaluate.metric' (did you mean metrics?)"),
        ("[data.columns]\nuser = 'uid'\n" + POPULARITY, "'user_id'"),
        ("[data]\nformat = 'lines'\n" + POPULARITY, "data.format"),
        ("[data]\nmin_rating = nan\n" + POPULARITY, "data.min_rating"),
        ("[data]\nmin_user_events = -1\n" + POPULARITY, "data.min_user_events"),
        ("[data]\nsince = 'last May'\n" + POPULARITY, "data.since: 'last May' is not a date"),
        ("title = 'no model'\n", "model: Field required"),
        ("model = []\n", "at least one [[model]]"),
        ("[model]\nname = 'ease'\n", "model: Input should be a valid list"),
        ("[[model]]\nl2 = 1.0\n", "model.0.name: Field required"),
        ("[[model]]\nname = 'eaze'\n", "unknown model 'eaze'"),
        ("[[model]]\nname = 'ease'\nl2_ = 1.0\n", "no hyper-parameter 'l2_' (did you mean l2?)"),
        ("[[model]]\nname = 'ease'\nl2 = 'much'\n", "l2 = 'much'"),
        (POPULARITY + POPULARITY, "label 'popularity' is used twice"),
        (POPULARITY + POPULARITY + "label = 'Popularity'\n", "label 'Popularity' is used twice"),
        *((POPULARITY + f"label = '{label}'\n", "names a folder") for label in ("../x", "a/b", "..", ".x", "_", "a b")),
        (POPULARITY + f"label = '{'x' * 101}'\n", "model.0.label"),
        ("seeds = []\n" + POPULARITY, "seeds: needs at least one"),
        ("seeds = [0, -1]\n" + POPULARITY, "none negative"),
        ("seeds = [1, 1]\n" + POPULARITY, "each once"),
        ("seeds = ['one']\n" + POPULARITY, "seeds.0"),
        ("split_seed = -1\n" + POPULARITY, "split_seed"),
        ("[evaluate]\nk = []\n" + POPULARITY, "evaluate.k: needs at least one cut-off"),
        ("[evaluate]\nk = [10, 0]\n" + POPULARITY, "each 1 or more"),
        ("[evaluate]\nmetrics = []\n" + POPULARITY, "evaluate.metrics"),
        ("[evaluate]\nmetrics = ['recal']\n" + POPULARITY, "[evaluate]: unknown metric 'recal'"),
        ("[evaluate]\nconvention = 'recbol'\n" + POPULARITY, "unknown metric convention 'recbol'"),
        ("[evaluate]\ncandidates = 'some'\n" + POPULARITY, "evaluate.candidates"),
        ("[evaluate]\ncandidates = 'observe'\n" + POPULARITY, 'neither "all" nor "observed" nor "new" nor a file'),
        ("[evaluate]\ncandidates = 'observe'\n" + POPULARITY, "did you mean observed?"),
        ("[evaluate]\ncandidates = []\n" + POPULARITY, "needs at least one rule"),
        ("[evaluate]\ncandidates = ['all', 'all']\n" + POPULARITY, "each once"),
        ("[evaluate]\ncandidates = 3\n" + POPULARITY, "evaluate.candidates"),
        ("[evaluate]\ncandidates = 'observed'\n" + POPULARITY, "needs labels"),
        ("[evaluate]\nmetrics = ['auc']\n" + POPULARITY, "auc needs a rating model; the recipe has none"),
        ("[evaluate]\nconvention = 'autoint_study'\nmetrics = ['mrr']\n" + POPULARITY, "convention 'autoint_study'"),
        ("[evaluate]\nmetrics = ['rmse']\n" + POPULARITY, "rmse needs a rating model; the recipe has none"),
        ("[split]\nvalid = 0.1\n" + POPULARITY, "split: needs a strategy"),
        ("[split]\nstrategy = 3\n" + POPULARITY, "split: needs a strategy"),
        ("[split]\nstrategy = 'randon'\n" + POPULARITY, "[split]: unknown split strategy 'randon'"),
        ("[split]\nstrategy = 'random'\nvalied = 0.1\n" + POPULARITY, "no option 'valied'"),
        ("[split]\nstrategy = 'random'\ntest = 'half'\n" + POPULARITY, "split option test = 'half'"),
        ("[split]\nstrategy = 'random'\nfolds = 0\n" + POPULARITY, "2 folds or more, got 0"),
        ("[split]\nstrategy = 'random'\nfolds = 'many'\n" + POPULARITY, "'many'"),
        ("[split]\nstrategy = 'leave_one_out'\nfolds = 5\n" + POPULARITY, "no option 'folds'"),
        ("[split]\nstrategy = 'random'\nseed = 5\n" + POPULARITY, "no option 'seed'"),
        ("[split]\nstrategy = 'random'\nexclude_seen = false\n" + POPULARITY, "exclude_seen stands in [evaluate]"),
        ("[split]\nstrategy = 'provided'\n" + POPULARITY, "needs the option 'test'"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_read(text: str, says: str, tmp_path: Path) -> None:
    assert says in str(refusal(tmp_path, text))


def test_near_misses_say_how_to_mend_it(tmp_path: Path) -> None:
    assert "ndcg" in str(refusal(tmp_path, "[evaluate]\nmetrics = ['ndgc']\n" + POPULARITY).hint)
    assert "leave_one_out" in str(refusal(tmp_path, "[split]\nstrategy = 'leave_one'\n" + POPULARITY).hint)
    assert "did you mean valid" in str(
        refusal(tmp_path, "[split]\nstrategy = 'random'\nvalied = 0.1\n" + POPULARITY).hint
    )
    assert "ease" in str(refusal(tmp_path, "[[model]]\nname = 'eaze'\n").hint)


def test_all_problems_of_the_tables_are_told_at_once(tmp_path: Path) -> None:
    text = str(refusal(tmp_path, "seed = 0\n[data]\nmin_ratin = 3\n" + POPULARITY))
    assert "'seed'" in text
    assert "'data.min_ratin'" in text


def test_a_file_that_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="no such file"):
        load_recipe(tmp_path / "nothing.toml")
    with pytest.raises(MatineeError, match="cannot be read"):
        load_recipe(tmp_path)
    (tmp_path / "latin.toml").write_bytes('title = "Amélie"\n'.encode("latin-1"))
    with pytest.raises(MatineeError, match="not valid TOML"):
        load_recipe(tmp_path / "latin.toml")


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "notepad.toml"
    path.write_bytes(b"\xef\xbb\xbf" + POPULARITY.encode())
    assert load_recipe(path).model[0].label == "popularity"


@pytest.mark.parametrize("path", [None, *sorted((ROOT / "recipes").glob("*.toml"))], ids=lambda p: p and p.stem)
def test_our_recipes_load_and_survive_being_resolved(path: Path | None, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    again = load_recipe(written(tmp_path, recipe.to_toml()))
    assert again.to_toml() == recipe.to_toml()
    assert [again.create(m) for m in again.model] == [recipe.create(m) for m in recipe.model]
    assert again.model_dump(exclude={"model"}) == recipe.model_dump(exclude={"model"})


def test_there_are_recipes() -> None:
    assert len(list((ROOT / "recipes").glob("*.toml"))) >= 4


def test_resolved_means_that_every_default_is_written(tmp_path: Path) -> None:
    text = load_recipe(written(tmp_path, "[evaluate]\nk = [20, 5, 20]\n[[model]]\nname = 'ease'\nl2 = 7\n")).to_toml()
    resolved = load_recipe(written(tmp_path, text))
    assert resolved.evaluate.k == [5, 20]
    for line in ('source = "ml-100k"', 'strategy = "random"', 'convention = "matinee"', "refit = false", "seeds = ["):
        assert line in text
    assert resolved.model[0].hyper_parameters["l2"] == 7.0
    model = registry.create("ease", {"l2": 7.0})
    expected = {name: value for name, value in model.model_dump().items() if value is not None}
    assert resolved.model[0].hyper_parameters == expected


def test_every_metric_and_convention_that_is_measured_is_accepted(tmp_path: Path) -> None:
    load_recipe(written(tmp_path, "[evaluate]\nmetrics = ['rmse', 'mae', 'bce', 'map', 'precision']\n" + POPULARITY))
    load_recipe(written(tmp_path, "[evaluate]\nconvention = 'recbole'\nmetrics = ['ndcg']\n" + POPULARITY))


@pytest.mark.parametrize("name", registry.names())
def test_toml_can_say_every_default(name: str) -> None:
    """TOML has no null, so a hyper-parameter that may be None must be None when it is left out."""
    for field, info in registry.model_class(name).model_fields.items():
        if type(None) in get_args(info.annotation):
            assert info.default is None, field


# --- changes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def three(tmp_path: Path) -> Recipe:
    text = POPULARITY + "[[model]]\nname = 'ease'\nhalf_life = 5.0\n[[model]]\nname = 'ease'\nlabel = 'v1.5'\n"
    return load_recipe(written(tmp_path, text))


def test_changes_touch_what_they_name(three: Recipe) -> None:
    changed = three.with_changes(seeds=[3, 4], settings={"v1.5.l2": "12.5", "ease.half_life": "none"})
    assert changed.seeds == [3, 4]
    assert changed.create(changed.model[2]) == registry.create("ease", {"l2": 12.5})
    assert changed.create(changed.model[1]) == registry.create("ease")
    assert (three.seeds, three.model[1].hyper_parameters) == ([0], {"half_life": 5.0})
    assert three.with_changes().to_toml() == three.to_toml()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"slim.l2": "1"}, "no model of the recipe is called 'slim'"),
        ({"l2": "1"}, "LABEL.NAME=VALUE"),
        ({"ease.half_lif": "1"}, "did you mean half_life?"),
        ({"ease.l2": "much"}, "l2 = 'much'"),
        ({"ease.name": "popularity"}, "no hyper-parameter"),
        ({"ease.label": "x"}, "no hyper-parameter"),
    ],
)
def test_changes_that_do_not_fit(setting: dict[str, str], says: str, three: Recipe) -> None:
    with pytest.raises(MatineeError) as caught:
        three.with_changes(settings=setting)
    assert says in str(caught.value)


def test_negative_seeds_from_outside(three: Recipe) -> None:
    with pytest.raises(MatineeError, match="none negative"):
        three.with_changes(seeds=[-1])


# --- the data -------------------------------------------------------------------------------------------------------


def data_of(folder: Path, table: str, data_dir: Path | None = None) -> Dataset:
    return load_recipe(written(folder, f"[data]\n{table}\n{POPULARITY}")).load_data(data_dir)


def test_columns_are_mapped(tmp_path: Path) -> None:
    log = tmp_path / "odd.csv"
    log.write_text("who,what,liked,at\n1,10,4,100\n2,11,5,200\n")
    mapped = 'columns = { user_id = "who", item_id = "what", rating = "liked", timestamp = "at" }'
    data = data_of(tmp_path, f'source = "{log}"\n{mapped}')
    assert data.users.ids.tolist() == [1, 2]
    assert data.items.ids.tolist() == [10, 11]
    assert data.value is not None
    assert data.timestamp is not None
    assert data.value.tolist() == [4, 5]
    assert data.timestamp.tolist() == [100, 200]
    with pytest.raises(MatineeError, match="user_id"):
        data_of(tmp_path, f'source = "{log}"')


def test_sequences_and_sessions(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("a x y z\nb y x\n")
    table = f'source = "{tmp_path / "lines.txt"}"\nformat = '
    named = data_of(tmp_path, table + '"sequences"')
    assert named.users.ids.tolist() == ["a", "b"]
    assert [named.items.decode(named.histories()[user]) for user in (0, 1)] == [["x", "y", "z"], ["y", "x"]]
    anonymous = data_of(tmp_path, table + '"sessions"')
    assert anonymous.n_users == 2
    assert anonymous.n_items == 5


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("min_rating = 4", lambda r, t: r >= 4),
        ("drop_ratings = [3.0, 1.0]", lambda r, t: ~np.isin(r, [1, 3])),
        ("since = '2017-07-17'", lambda r, t: t >= 1_500_249_600),
        ("since = 2017-07-17", lambda r, t: t >= 1_500_249_600),
        ("until = 2017-07-17T00:00:00Z", lambda r, t: t < 1_500_249_600),
    ],
)
def test_filters_keep_what_they_say(key: str, kept: Any, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    whole = data_of(tmp_path, f'source = "{tmp_path / "log.csv"}"')
    left = data_of(tmp_path, f'source = "{tmp_path / "log.csv"}"\n{key}')
    expected = int(np.count_nonzero(kept(whole.value, whole.timestamp)))
    assert 0 < len(left) == expected < len(whole)


def test_further_filters_reach_the_log(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG + "7,0,5,1600000000\n7,0,1,1600000001\n")
    source = f'source = "{tmp_path / "log.csv"}"\n'
    assert data_of(tmp_path, source).n_users == 7
    assert data_of(tmp_path, source + "min_user_events = 3").n_users == 6
    assert data_of(tmp_path, source + "min_item_events = 7").n_items == 1
    assert len(data_of(tmp_path, source + 'duplicates = "first"')) == 49
    labels = data_of(tmp_path, source + "label_min = 4").value
    assert labels is not None
    assert set(labels.tolist()) == {0.0, 1.0}
    with pytest.raises(MatineeError, match="leaves none of the 50 events"):
        data_of(tmp_path, source + "min_rating = 6")


def test_paths_are_found_below_data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "data"
    below.mkdir()
    (below / "log.csv").write_text(LOG)
    (below / "films.csv").write_text("item_id,title\n" + "".join(f"{i},Film {i}\n" for i in range(8)))
    monkeypatch.chdir(tmp_path)
    data = data_of(tmp_path, 'source = "log.csv"\nitems = "films.csv"', below)
    assert data.item_features is not None
    assert data.item_features["title"][3] == "Film 3"
    with pytest.raises(MatineeError, match=r"log\.csv"):
        data_of(tmp_path, 'source = "log.csv"')
    (tmp_path / "log.csv").write_text("user_id,item_id\n1,2\n")
    assert len(data_of(tmp_path, 'source = "log.csv"', below)) == 1, "a path as given comes first"


def test_a_mistyped_name_lists_near_misses(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="did you mean ml-100k"):
        data_of(tmp_path, 'source = "ml-100"')
    with pytest.raises(MatineeError) as caught:
        data_of(tmp_path, 'source = "log.cvs"')
    assert "no data set" not in str(caught.value), "a name with a suffix is a file"


@pytest.mark.parametrize(
    "key", ['columns = { user_id = "u" }', 'format = "sessions"', 'users = "u.csv"', 'items = "i.csv"']
)
def test_keys_of_files_are_refused_where_they_would_do_nothing(key: str, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="is for files, and ml-100k has a layout of its own"):
        data_of(tmp_path, f'source = "ml-100k"\n{key}')
    (tmp_path / "folder").mkdir()
    with pytest.raises(MatineeError, match="has a layout of its own"):
        data_of(tmp_path, f'source = "{tmp_path / "folder"}"\n{key}')


def test_duplicates_of_a_named_set_are_dealt_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,rating,timestamp\n1,1,2,1\n1,1,4,2\n1,2,3,3\n")
    log = data_of(tmp_path, f'source = "{tmp_path / "log.csv"}"')
    monkeypatch.setattr(catalog, "load", lambda name, data_dir: log)
    assert len(data_of(tmp_path, 'source = "ml-1m"')) == 3
    last = data_of(tmp_path, 'source = "ml-1m"\nduplicates = "last"')
    assert last.value is not None
    assert last.value.tolist() == [4, 3]


def test_rules_of_what_is_ranked(tmp_path: Path) -> None:
    text = "[data]\nlabel_min = 4.0\n[evaluate]\ncandidates = {}\n" + POPULARITY
    assert load_recipe(written(tmp_path, POPULARITY)).evaluate.rules("test") == ["all"]
    assert load_recipe(written(tmp_path, text.format("'observed'"))).evaluate.rules("valid") == ["observed"]
    several = load_recipe(written(tmp_path, text.format("['x.negative', 'observed', 'all']")))
    assert several.evaluate.rules("test") == [Path("x.negative"), "observed", "all"]
    assert several.evaluate.rules("valid") == ["all", "observed"], "sampled negatives are of the test"
    (tmp_path / "x.negative").touch()
    assert several.files(tmp_path) == [tmp_path / "x.negative"]
    again = load_recipe(written(tmp_path, several.to_toml()))
    assert again.evaluate.candidates == ["x.negative", "observed", "all"]


def test_answers_are_labelled_where_ratings_become_labels(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    split = "[split]\nstrategy = 'random'\nby = 'row'\ntest = 0.3\n"
    plain = load_recipe(written(tmp_path, f"[data]\nsource = '{tmp_path / 'log.csv'}'\n{split}{POPULARITY}"))
    clicks = plain.model_copy(update={"data": plain.data.model_copy(update={"label_min": 4.0})})
    (rated,), (labelled,) = (one.split_data(one.load_data(), 0) for one in (plain, clicks))
    assert len(labelled.test.truth.values) < len(rated.test.truth.values)
    assert labelled.test.pairs is not None
    assert labelled.test.pairs.label is not None
    assert len(labelled.test.truth.values) == int(labelled.test.pairs.label.sum()) > 0
    assert labelled.train.value is not None
    assert set(labelled.train.value.tolist()) == {0, 1}


def test_metrics_that_are_named_twice_are_measured_once(tmp_path: Path) -> None:
    text = "[evaluate]\nmetrics = ['ndcg', 'recall', 'ndcg']\n" + POPULARITY
    assert load_recipe(written(tmp_path, text)).evaluate.metrics == ["ndcg", "recall"]


def test_located_prefers_the_path_as_given(tmp_path: Path) -> None:
    assert located("nothing.csv", tmp_path) == Path("nothing.csv")
    (tmp_path / "nothing.csv").touch()
    assert located("nothing.csv", tmp_path) == tmp_path / "nothing.csv"
