"""Studies of labels and of what is ranked: rules side by side, sampled negatives, clicks; the click-through studies on
MovieLens with the models there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import matinee as mt
from cli.world import answer, done, refused
from matinee import split as splits
from matinee.data.dataset import Pairs, Queries
from matinee.errors import MatineeError, MatineeWarning
from matinee.models.popularity import Popularity
from matinee.study import measure as measuring
from matinee.study.recipe import Recipe, load_recipe
from matinee.study.run import run_study
from study.conftest import rows_of

pytestmark = pytest.mark.filterwarnings("ignore:.*the cut-off falls inside a tie:matinee.errors.MatineeWarning")

DATA = '[data]\nsource = "{log}"\nlabel_min = 4.0\n'
SPLIT = '[split]\nstrategy = "random"\nby = "row"\nvalid = 0.2\ntest = 0.2\n'
MODELS = '[[model]]\nname = "popularity"\n[[model]]\nname = "ease"\nl2 = 10.0\n'


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 people and 30 films: who watches a film of their own half (of 20) mostly likes it."""
    rng = np.random.default_rng(8)
    lines = ["user_id,item_id,rating,timestamp"]
    for user in range(50):
        for n, item in enumerate(rng.permutation(30)[: rng.integers(8, 20)]):
            liked = (item < 20) if user % 2 else (item >= 10)
            lines.append(f"{user},{item},{int(rng.integers(3, 6) if liked else rng.integers(1, 5))},{100 * user + n}")
    path = tmp_path_factory.mktemp("clicks") / "log.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def clicks(log: Path, folder: Path, evaluate: str, *, split: str = SPLIT, models: str = MODELS) -> Recipe:
    path = folder / "recipe.toml"
    path.write_text(f"title = 'Clicks'\n{DATA.format(log=log)}{split}[evaluate]\nk = [5, 3]\n{evaluate}\n{models}")
    return load_recipe(path)


def ranked_of(out: Path) -> dict[str, str]:
    """What was ranked, by the protocol's fingerprint."""
    return {fingerprint: protocol.candidates for fingerprint, protocol in mt.open_run(out).protocols.items()}


# --- rules side by side -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(log: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path, list[str]]:
    """One run under two rules that several tests look at."""
    folder = tmp_path_factory.mktemp("both")
    recipe = clicks(log, folder, 'metrics = ["ndcg", "recall"]\ncandidates = ["all", "observed"]')
    told: list[str] = []
    run_study(recipe, folder / "run", tell=told.append)
    return recipe, folder / "run", told


def test_each_rule_is_measured_under_a_protocol_of_its_own(both: tuple[Recipe, Path, list[str]]) -> None:
    recipe, out, told = both
    rows, ranked = rows_of(out), ranked_of(out)
    found = {
        (r["label"], r["split"], ranked[r["protocol"]]): r["value"]
        for r in rows
        if (r["metric"], r["k"]) == ("recall", 3)
    }
    rules = ["all items with training events", "each query's own hidden rows"]
    assert set(found) == {(m, p, rule) for m in ("popularity", "ease") for p in ("valid", "test") for rule in rules}
    (split,) = recipe.split_data(recipe.load_data(), 0)
    assert split.test.protocol.split.endswith("answers = rows labelled 1")
    model = mt.models.EASE(l2=10.0).fit(split.train)
    for part, whole in (("valid", split.valid), ("test", split.test)):
        for rule, holdout in zip(rules, (whole, splits.observed(whole)), strict=True):
            mean = mt.evaluate(mt.recommend(model, holdout.queries, k=5), holdout, k=3, metrics=["recall"])
            assert found["ease", part, rule] == pytest.approx(mean.mean("recall", 3).value, rel=1e-9)
    assert found["ease", "test", rules[1]] > found["ease", "test", rules[0]] + 0.2, "a short list flatters"
    assert "(observed)" in told[-1]
    saved = pl.read_parquet(out / "recommendations" / "ease.parquet")
    assert saved.equals(mt.recommend(model, split.test.queries, k=5).to_frame()), "those of the first rule"


def test_the_report_says_that_short_lists_flatter(both: tuple[Recipe, Path, list[str]]) -> None:
    _, out, _ = both
    remarks, page = mt.open_run(out).record.remarks, (out / "report.html").read_text()
    assert set(remarks) == {f for f, candidates in ranked_of(out).items() if candidates.startswith("each query's own")}
    assert all("in random order the first 3 would already show" in text for (text,) in remarks.values())
    assert page.count("These numbers flatter") == 2, "of valid and of the test"
    assert page.count("<h3>Side by side</h3>") == 1
    assert "own hidden rows</th>" in page
    assert "Calibration" not in page
    for row in rows_of(out):
        assert f"{row['value']:.4f}" in page


def test_the_command_line_prints_both_and_compares_one(both: tuple[Recipe, Path, list[str]], tmp_path: Path) -> None:
    recipe, out, _ = both
    (tmp_path / "r.toml").write_text(recipe.to_toml())
    text = done("run", tmp_path / "r.toml", "--out", out)
    assert "Side by side" in text
    assert "ndcg@3, all items" in text
    assert "ndcg@3, own hidden rows" in text
    assert "these numbers flatter" in " ".join(text.split())
    protocols = mt.open_run(out).protocols
    first = answer("compare", out)
    assert first["protocol"]["candidates"] == "all items with training events"
    observed = next(f for f, p in protocols.items() if p.part == "test" and p.candidates.startswith("each"))
    second = answer("compare", out, "--protocol", observed[:6])
    assert second["protocol"]["candidates"] == "each query's own hidden rows"
    assert len(second["tests"]) == 1
    text = refused("compare", out, "--protocol", "nothing")
    assert "no protocols begin with 'nothing'" in text
    assert observed in text


def test_numbers_of_different_rules_are_not_compared(
    both: tuple[Recipe, Path, list[str]], log: Path, tmp_path: Path
) -> None:
    only = clicks(log, tmp_path, 'metrics = ["ndcg", "recall"]\ncandidates = "observed"')
    run_study(only, tmp_path / "run")
    assert "different protocols" in refused("compare", both[1], tmp_path / "run")
    (observed,) = {r["protocol"] for r in rows_of(tmp_path / "run") if r["split"] == "test"}
    found = answer("compare", both[1], tmp_path / "run", "--protocol", observed)
    assert len(found["tests"]) == 6
    alike = {row["label"]: row["value"] for row in found["metrics"] if (row["metric"], row["k"]) == ("ndcg", 3)}
    assert {label.split("/")[-1] for label in alike} == {"popularity", "ease"}
    assert len(set(alike.values())) == 2, "equal whether a rule stands alone or with others"
    saved = pl.read_parquet(tmp_path / "run" / "recommendations" / "ease.parquet")
    (split,) = only.split_data(only.load_data(), 0)
    assert split.test.pairs is not None
    pairs = split.test.pairs
    users, items = split.train.users, split.train.items
    hidden = set(zip(users.decode(pairs.user), items.decode(pairs.item), strict=True))
    assert set(saved.select("user_id", "item_id").iter_rows()) <= hidden
    assert "✓" in (tmp_path / "run" / "report.html").read_text()


def test_rules_hold_for_folds_seeds_and_refits(log: Path, tmp_path: Path) -> None:
    folds = '[split]\nstrategy = "random"\nfolds = 3\nvalid = 0.2\n'
    evaluate = 'metrics = ["ndcg"]\nrefit = true\ncandidates = ["observed", "all"]'
    run_study(clicks(log, tmp_path, evaluate, split=folds), tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    test = {(r["fold"], r["protocol"]): r["value"] for r in rows if r["split"] == "test" and r["label"] == "ease"}
    assert len(test) == 6
    assert len({protocol for _, protocol in test}) == 2
    protocols = mt.open_run(tmp_path / "run").protocols
    assert all("fitted on train + valid" in protocols[protocol].history for _, protocol in test)


# --- sampled negatives ------------------------------------------------------------------------------------------------


def negatives(recipe: Recipe, path: Path, users: list[int]) -> None:
    """For each of these users the hidden film and ten others, as the file's format has it."""
    (split,) = recipe.split_data(recipe.load_data(), 0)
    rng, lines = np.random.default_rng(1), []
    for user in users:
        row = split.test.queries.user.tolist().index(split.train.users.code(user))
        (answer_,) = split.train.items.decode(split.test.truth[row])
        seen = set(split.train.items.decode(split.test.queries.exclude[row]))
        others = [item for item in rng.permutation(30).tolist() if item not in seen | {answer_}][:10]
        lines.append(f"({user},{answer_})\t" + "\t".join(map(str, others)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_file_of_sampled_negatives_is_ranked_beside_all(log: Path, tmp_path: Path) -> None:
    unrated = tmp_path / "log.csv"
    pl.read_csv(log).drop("rating").write_csv(unrated)
    text = f"[data]\nsource = '{unrated}'\n[split]\nstrategy = 'leave_one_out'\n[evaluate]\nk = [3]\n{{}}{MODELS}"
    (tmp_path / "recipe.toml").write_text(text.format(""))
    negatives(load_recipe(tmp_path / "recipe.toml"), tmp_path / "test.negative", list(range(40)))
    rules = "metrics = ['hit_rate']\ncandidates = ['all', 'test.negative']\n"
    (tmp_path / "recipe.toml").write_text(text.format(rules))
    recipe = load_recipe(tmp_path / "recipe.toml")
    result = run_study(recipe, tmp_path / "run", data_dir=tmp_path)
    ranked = ranked_of(tmp_path / "run")
    rows = [r for r in rows_of(tmp_path / "run") if r["label"] == "ease"]
    found = {(r["split"], ranked[r["protocol"]].split()[0]): (r["value"], r["n_queries"]) for r in rows}
    assert set(found) == {("valid", "all"), ("test", "all"), ("test", "as")}, "the file is of the test"
    assert [n for _, n in found.values()] == [50, 50, 40]
    assert found["test", "as"][0] > found["test", "all"][0]
    assert any("10 of 50 queries of the split have no line" in text for text in result.warnings)
    assert "Side by side" in (tmp_path / "run" / "report.html").read_text()
    (tmp_path / "test.negative").write_text((tmp_path / "test.negative").read_text().replace("(0,", "(0 ,"))
    with pytest.raises(MatineeError, match="results on other data"):
        run_study(recipe, tmp_path / "run", data_dir=tmp_path)


def test_sampled_negatives_first(log: Path, tmp_path: Path) -> None:
    """The report and what is saved are then of the file's queries, fewer than the split's and in another order."""
    unrated = tmp_path / "log.csv"
    pl.read_csv(log).drop("rating").write_csv(unrated)
    text = f"[data]\nsource = '{unrated}'\n[split]\nstrategy = 'leave_one_out'\n[evaluate]\nk = [3]\n{{}}{MODELS}"
    (tmp_path / "recipe.toml").write_text(text.format(""))
    negatives(load_recipe(tmp_path / "recipe.toml"), tmp_path / "test.negative", list(range(30, 10, -1)))
    (tmp_path / "recipe.toml").write_text(text.format("candidates = ['test.negative', 'all']\n"))
    run_study(load_recipe(tmp_path / "recipe.toml"), tmp_path / "run", data_dir=tmp_path)
    saved = pl.read_parquet(tmp_path / "run" / "recommendations" / "ease.parquet")
    assert saved["user_id"].unique(maintain_order=True).to_list() == list(range(30, 10, -1))


def test_negatives_that_are_drawn_stand_beside_all_and_observed(log: Path, tmp_path: Path) -> None:
    """With labels: the answer of a line is liked, and who liked nothing that is hidden is not asked by the file."""
    path = tmp_path / "drawn.negative"
    recipe = clicks(log, tmp_path, f"metrics = ['hit_rate']\ncandidates = ['all', 'observed', '{path}']")
    found = answer("negatives", tmp_path / "recipe.toml", "--out", path, "--n", "9")
    assert found["candidates"] == ["all", "observed", str(path)]
    result = run_study(recipe, tmp_path / "run")
    ranked = ranked_of(tmp_path / "run")
    rows = [r for r in rows_of(tmp_path / "run") if (r["label"], r["split"], r["k"]) == ("ease", "test", 3)]
    value = {ranked[r["protocol"]].split()[0]: r["value"] for r in rows}
    assert set(value) == {"all", "each", "as"}
    (split,) = recipe.split_data(recipe.load_data(), 0)
    with pytest.warns(MatineeWarning, match="have no line"):
        held = splits.sampled(split.test, path, split.train.users, split.train.items)
    recs = mt.recommend(mt.models.EASE(l2=10.0).fit(split.train), held.queries, k=5)
    mean = mt.evaluate(recs, held, k=3, metrics=["hit_rate"]).mean("hit_rate", 3)
    assert value["as"] == pytest.approx(mean.value, rel=1e-9)
    liked = int(np.count_nonzero(split.test.truth.lengths))
    assert found["lines"] == liked < len(split.test)
    (silent,) = {text for text in result.warnings if "drawn.negative" in text}
    assert f"{len(split.test) - liked} of {len(split.test)} queries of the split have no line" in silent


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("(0,999)\t1\t2\n", "line 1: its item of user 0 is no answer"),
        ("what\n", "line 1: is no line of sampled negatives"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_anything_is_fitted(
    content: str, says: str, log: Path, tmp_path: Path
) -> None:
    (tmp_path / "test.negative").write_text(content)
    recipe = clicks(log, tmp_path, f'candidates = ["all", "{tmp_path / "test.negative"}"]')
    with pytest.raises(MatineeError, match=says):
        run_study(recipe, tmp_path / "run")
    assert not list((tmp_path / "run").rglob("unit.json"))
    missing = clicks(log, tmp_path, 'candidates = "nothing.negative"')
    with pytest.raises(MatineeError, match=r"nothing\.negative"):
        run_study(missing, tmp_path / "other")


# --- clicks -----------------------------------------------------------------------------------------------------------


def guess(self: Popularity, pairs: Pairs, queries: Queries | None = None) -> np.ndarray:
    """A probability that knows something: of whom it asks, and of which film."""
    liked = np.where(pairs.user % 2, pairs.item < 20, pairs.item >= 10)
    wobble = np.random.default_rng(0).uniform(-0.15, 0.15, len(pairs))
    return (0.35 + 0.3 * liked + np.round(wobble, 2)).astype(np.float32)


@pytest.fixture
def clicking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Popularity predicts probabilities."""
    monkeypatch.setattr(Popularity, "predicts", lambda self: True)
    monkeypatch.setattr(Popularity, "predict", guess)


@pytest.mark.usefixtures("clicking")
@pytest.mark.usefixtures("drawings")
def test_probabilities_are_measured_and_drawn(log: Path, tmp_path: Path) -> None:
    recipe = clicks(log, tmp_path, 'metrics = ["ndcg", "auc", "gauc", "logloss", "rmse"]')
    result = run_study(recipe, tmp_path / "run")
    out = tmp_path / "run"
    (split,) = recipe.split_data(recipe.load_data(), 0)
    pairs = split.test.pairs
    assert pairs is not None
    assert pairs.label is not None
    p = guess(Popularity(), pairs)
    found = {r["metric"]: r for r in rows_of(out) if (r["split"], r["label"], r["k"]) == ("test", "popularity", None)}
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(pairs.label, p), rel=1e-9)
    assert found["logloss"]["value"] == pytest.approx(log_loss(pairs.label, p, labels=[0, 1]), rel=1e-6)
    assert found["auc"]["n_queries"] == len(pairs) > found["gauc"]["n_queries"] > 0
    assert {r["protocol"] for r in found.values()} == {found["auc"]["protocol"]}, "one table"
    record = mt.open_run(out).record
    bins = record.calibration
    assert set(bins) == {"popularity"}
    assert sum(one.n for one in bins["popularity"]) == len(pairs)
    assert sum(one.n * one.positive for one in bins["popularity"]) == pytest.approx(float(pairs.label.sum()))
    remarks = record.remarks[found["auc"]["protocol"]]
    assert len(remarks) == 1
    assert "left out of gauc" in remarks[0]
    page = (out / "report.html").read_text()
    assert "<h3>Calibration</h3>" in page
    assert remarks[0] in page
    assert page.count('aria-label="Calibration of Popularity') == 1
    assert any("ease predicts no ratings: no auc, gauc, logloss, rmse" in text for text in result.warnings)


@pytest.mark.usefixtures("clicking")
def test_predictions_alone_need_no_ranking_metric(log: Path, tmp_path: Path) -> None:
    models = '[[model]]\nname = "popularity"\n'
    run_study(clicks(log, tmp_path, 'metrics = ["auc"]', models=models), tmp_path / "run")
    assert {(r["metric"], r["k"]) for r in rows_of(tmp_path / "run")} == {("auc", None)}
    assert "auc within each user" not in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.usefixtures("clicking")
def test_where_no_list_is_measured_only_those_that_are_shown_are_ranked(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked: list[Queries] = []

    def counted(model: mt.models.Model, queries: Queries, k: int, **given: Any) -> mt.Recommendations:
        ranked.append(queries)
        return mt.recommend(model, queries, k, **given)

    monkeypatch.setattr(measuring, "recommend", counted)
    recipe = clicks(log, tmp_path, 'metrics = ["auc"]', models='[[model]]\nname = "popularity"\n')
    recipe = recipe.with_changes(seeds=[0, 1])
    told: list[str] = []
    run_study(recipe, tmp_path / "run", tell=told.append)
    assert len(ranked) == 1, "the first seed's test, and neither valid nor the second seed"
    assert "Answer" in (tmp_path / "run" / "report.html").read_text()
    assert [line.split(", ")[-1].split()[0] for line in told if "auc" in line] == ["predicting"] * 2
    assert (tmp_path / "run" / "recommendations" / "popularity.parquet").is_file()
    assert all(mt.open_run(tmp_path / "run").costs["recommend_seconds"] > 0)


def test_hidden_pairs_without_labels_are_not_measured_and_that_is_said(log: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(log)
    hidden = frame.group_by("user_id", maintain_order=True).last()
    hidden.select("user_id", "item_id").write_csv(tmp_path / "test.csv")
    rest = tmp_path / "rest.csv"
    frame.join(hidden, on=["user_id", "item_id"], how="anti", maintain_order="left").write_csv(rest)
    provided = f'[split]\nstrategy = "provided"\ntest = "{tmp_path / "test.csv"}"\n'
    models = '[[model]]\nname = "biased_mf"\nn_factors = 0\nloss = "bce"\n'
    recipe = clicks(rest, tmp_path, 'metrics = ["recall", "logloss"]', split=provided, models=models)
    result = run_study(recipe, tmp_path / "run")
    assert "the hidden rows of test have no ratings: no logloss" in result.warnings
    assert {row["metric"] for row in rows_of(tmp_path / "run")} == {"recall"}
    observed = clicks(rest, tmp_path, 'candidates = "observed"', split=provided)
    with pytest.raises(MatineeError, match="have no labels"):
        run_study(observed, tmp_path / "other")


def test_ratings_are_refused_before_anything_is_fitted(log: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    models = '[[model]]\nname = "biased_mf"\n'
    path.write_text(f"[data]\nsource = '{log}'\n[evaluate]\nmetrics = ['auc', 'rmse']\n{models}")
    with pytest.raises(MatineeError, match="not labels 0 and 1 but from 1 to 5, so auc cannot be measured") as caught:
        run_study(load_recipe(path), tmp_path / "run")
    assert "label_min" in str(caught.value.hint)
    assert not list((tmp_path / "run").rglob("unit.json"))


# --- the click-through studies of MovieLens, with the models there are ------------------------------------------------

TABLE = """
title = "Click-through form"
[data]
source = "ml-100k"
drop_ratings = [3.0]
label_min = 4.0
[split]
strategy = "random"
by = "row"
valid = 0.1
test = 0.1
[evaluate]
k = [10]
metrics = ["auc", "gauc", "logloss", "ndcg"]
candidates = ["all", "observed"]
"""
STUDY = """
title = "The AutoInt+ study"
seeds = [42]
[data]
source = "ml-100k"
label_min = 4.0
[split]
strategy = "random"
by = "row"
valid = 0.1
test = 0.2
[evaluate]
k = [10]
metrics = ["bce", "auc", "ndcg", "hit_rate"]
convention = "autoint_study"
candidates = ["observed", "all"]
"""
BASELINES = """
[[model]]
name = "popularity"
[[model]]
name = "biased_mf"
label = "biases"
n_factors = 0
loss = "bce"
bias_l2 = 0.5
"""


def click_study(text: str, folder: Path, data_dir: Path) -> tuple[Recipe, dict[tuple[str, str, str], float]]:
    """(label, metric, what was ranked) -> the mean of the test."""
    path = folder / "recipe.toml"
    path.write_text(text + BASELINES)
    recipe = load_recipe(path)
    run_study(recipe, folder / "run", data_dir=data_dir)
    ranked = {f: candidates.split()[0] for f, candidates in ranked_of(folder / "run").items()}
    rows = [r for r in rows_of(folder / "run") if r["split"] == "test"]
    return recipe, {(r["label"], r["metric"], ranked[r["protocol"]]): r["value"] for r in rows}


def test_the_table_of_context_models_can_be_measured(shared_data: Path, tmp_path: Path) -> None:
    """Ratings of 3 dropped, label = rating >= 4, random 8:1:1 rows."""
    recipe, found = click_study(TABLE, tmp_path, shared_data)
    raw = pl.read_csv(
        shared_data / "ml-100k" / "u.data",
        separator="\t",
        has_header=False,
        new_columns=["user", "item", "rating", "at"],
    ).filter(pl.col("rating") != 3)
    data = recipe.load_data(shared_data)
    assert data.value is not None
    assert len(data) == len(raw)
    assert data.value.sum() == (raw["rating"] >= 4).sum()
    (split,) = recipe.split_data(data, 0, shared_data)
    assert split.valid.pairs is not None
    assert split.test.pairs is not None
    tenth = len(raw) // 10
    assert (len(split.train), len(split.valid.pairs), len(split.test.pairs)) == (len(raw) - 2 * tenth, tenth, tenth)
    assert split.train.value is not None
    assert 0.2 < 1 - split.train.value.mean() < 0.3, "rows labelled 0 are there to learn from"
    assert 0.75 < found["biases", "auc", "the"] < 0.9
    assert found["biases", "logloss", "the"] < 0.5
    for label in ("popularity", "biases"):
        assert found[label, "ndcg", "each"] > 0.75, "whoever ranks only what was watched looks good"
    assert found["popularity", "ndcg", "all"] < 0.2
    assert ("popularity", "auc", "the") not in found


def test_the_autoint_study_can_be_measured(shared_data: Path, tmp_path: Path) -> None:
    """No row dropped, 80/20 rows, seed 42, each user's own test rows ranked, the study's own formulas."""
    recipe, found = click_study(STUDY, tmp_path, shared_data)
    (split,) = recipe.split_data(recipe.load_data(shared_data), 42, shared_data)
    test = splits.observed(split.test)
    recs = mt.recommend(mt.models.Popularity().fit(split.train), test.queries, k=10)
    shares, gains = [], []
    discount = [1 / np.log(place + 2) for place in range(1000)]
    for b in range(len(test)):
        liked = set(test.truth[b].tolist())
        if liked:
            hits = [item in liked for item in recs.item[b].tolist()]
            shares.append(sum(hits) / len(liked))
            gains.append(sum(d for d, hit in zip(discount, hits, strict=False) if hit) / sum(discount[: len(liked)]))
    assert found["popularity", "hit_rate", "each"] == pytest.approx(np.mean(shares), rel=1e-9)
    assert found["popularity", "ndcg", "each"] == pytest.approx(np.mean(gains), rel=1e-9)
    assert found["biases", "bce", "the"] < 0.62
    page = (tmp_path / "run" / "report.html").read_text()
    assert "of autoint_study: The ideal has all relevant items, also past rank k" in page


def test_members_of_an_ensemble_are_of_the_same_log_though_kept_without_its_ratings(log: Path, tmp_path: Path) -> None:
    models = MODELS + '[[model]]\nname = "ensemble"\nmembers = ["popularity", "ease"]\n'
    run_study(clicks(log, tmp_path, 'metrics = ["ndcg"]', models=models), tmp_path / "run")
    assert "ensemble" in {row["label"] for row in rows_of(tmp_path / "run")}
