"""What compare says where two runs do not compare: the field that differs, with both values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import matinee as mt
from matinee.errors import MatineeError
from study.conftest import RANDOM, study_of

BY_ROW = '[split]\nstrategy = "random"\nvalid = 0.2\ntest = 0.2\nby = "row"\n'
PROTOCOL = "were measured under different protocols"
QUERIES = "did not answer the same queries"
SEEDS = r"seeds: '0, 1' and '0'; "


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"split": BY_ROW}, rf"{PROTOCOL} \(split: 'random by user, .*' and 'random by row, .*'\)"),
        ({"evaluate": "exclude_seen = false"}, rf"{PROTOCOL} \(excluded: '.*' and 'nothing'\)"),
        (
            {"evaluate": "refit = true"},
            rf"{PROTOCOL} \(seen \(history\): 'train' and 'train \+ valid \(fitted on train \+ valid\)'\)",
        ),
        ({"evaluate": 'convention = "rectools"'}, rf"{PROTOCOL} \(definitions of metrics: 'matinee' and 'rectools'\)"),
        ({"head": ""}, rf"{QUERIES} \({SEEDS}queries: '80' and '40'\)"),
        ({"head": "seeds = [0, 2]"}, rf"{QUERIES} \(seeds: '0, 1' and '0, 2'\)"),
        ({"head": "seeds = [0, 1]\nsplit_seed = 3"}, rf"{QUERIES} \(split_seed: 'none' and '3'\)"),
    ],
)
def test_the_field_is_named_with_both_values(
    changed: dict[str, str], words: str, log: Path, old_and_new: tuple[Path, Path], tmp_path: Path
) -> None:
    other = study_of(log, tmp_path / "other", "popularity", **{"head": "seeds = [0, 1]", "split": RANDOM} | changed)
    both = re.escape(f"{old_and_new[0]} and {other} ")
    with pytest.raises(MatineeError, match=both + words):
        mt.compare([old_and_new[0], other])


def test_other_data_and_other_cut_offs(log: Path, old_and_new: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "fewer.csv").write_text("".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[:-30]))
    other = study_of(tmp_path / "fewer.csv", tmp_path / "other", "popularity", head="seeds = [0, 1]")
    first, second = (mt.open_run(run).record.data.fingerprint for run in (old_and_new[0], other))
    logs = rf"data: 'log, 400 events \[{first}\]' and 'fewer, 370 events \[{second}\]'"
    with pytest.raises(MatineeError, match=rf"{PROTOCOL} \({logs}\)"):
        mt.compare([old_and_new[0], other])
    text = (old_and_new[0] / "recipe.toml").read_text().replace("3,", "2,").replace("5,", "4,")
    (tmp_path / "cuts.toml").write_text(text)
    mt.run_study(mt.load_recipe(tmp_path / "cuts.toml"), tmp_path / "cuts")
    measured = r"measured: 'ndcg@3, ndcg@5, recall@3, recall@5' and 'ndcg@2, ndcg@4, recall@2, recall@4'"
    with pytest.raises(MatineeError, match=rf"have no metric in common \({measured}\)"):
        mt.compare([old_and_new[0], tmp_path / "cuts"])


def test_runs_that_compare_are_not_refused(old_and_new: tuple[Path, Path]) -> None:
    labels = mt.compare(old_and_new).evaluation.labels
    assert labels == ["old/popularity", "ease", "new/popularity", "item_knn"]
