"""Does it help SASRec to know when it is asked? ML-100K, valid, with and without `time_gaps`, three seeds.

    .venv/bin/python benchmarks/time_gaps.py --data-dir ../shared/data [--split mixed]

Settings are those of recipes/ml-100k-sequences.toml. Nobody tells a split's queries when they are asked: each history's
median wait stands for it. "given" is the same model, asked at the time of what is hidden. Prints a JSON line a fit.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import matinee as mt
from matinee import split as splits
from matinee.data.dataset import Holdout
from matinee.models.base import Model
from matinee.study.recipe import load_recipe

RECIPE = Path(__file__).parents[1] / "recipes" / "ml-100k-sequences.toml"
METRIC = {"leave_one_out": "ndcg", "mixed": "recall_capped"}


def measured(model: Model, holdout: Holdout, metric: str) -> float:
    recs = mt.recommend(model, holdout.queries, 10)
    return mt.evaluate(recs, holdout, k=10, metrics=(metric,)).mean(metric, 10).value


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"), help="holds ml-100k")
    parser.add_argument("--split", choices=METRIC, default="leave_one_out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    recipe, metric = load_recipe(RECIPE), METRIC[given.split]
    table = next(table for table in recipe.model if table.name == "sasrec")
    [split] = splits.make(recipe.load_data(given.data_dir), given.split, {}, seed=0)
    for seed in given.seeds:
        for time_gaps in (False, True):
            model = recipe.create(table).model_copy(update={"time_gaps": time_gaps})
            model.fit(split.train, valid=split.valid, seed=seed)
            found = {"split": given.split, "seed": seed, "time_gaps": time_gaps, "epochs": len(model.curve)}
            found[f"{metric}@10"] = measured(model, split.valid, metric)
            if time_gaps and given.split == "leave_one_out":  # one hidden event a query: its time is known
                assert split.valid.pairs is not None
                asked = replace(split.valid.queries, request_time=split.valid.pairs.timestamp)
                found["given"] = measured(model, replace(split.valid, queries=asked), metric)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
