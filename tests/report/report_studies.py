"""Small studies for the tests of the report, with any part of the data missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from matinee import split
from matinee.data.dataset import Dataset, Protocol
from matinee.data.ids import IdMap
from matinee.data.side_table_report import side_table_report
from matinee.evaluate import audit, evaluate
from matinee.models import EASE, Popularity
from matinee.rank import recommend
from matinee.report import Study
from matinee.study.results import Curve

ORDINARY = [f"Film {i} ({1950 + i})" for i in range(40)]
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x.png onerror=alert(1)>',
    "{{ 7 * 7 }} {% raw %} </style></svg>",
    "a & b &lt; c' onmouseover='x",
]
WORLD = [
    "千と千尋の神隠し (2001)",
    "기생충 (2019)",
    "شبهای روشن",
    "Amélie 🎬 (2001)",
    "Night of the Day of the Dawn of the Son of the Bride of the Return of the Revenge of the Terror of the Attack of "
    "the Evil, Mutant, Alien, Flesh Eating, Hellbound, Zombified Living Dead Part 2: In Shocking 2-D (1991)",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2,
]


def curve(loss: Sequence[float | None], metric: Sequence[float | None], *names: str) -> Curve:
    rounds, measure, validation = names or ("epochs", "loss", "ndcg@10")
    rows = tuple(
        {"epoch": float(at), "train_loss": one, "valid_metric": other}
        for at, (one, other) in enumerate(zip(loss, metric, strict=True))
    )
    return Curve(rounds=rounds, loss=measure, validation=validation, rows=rows)


# a model that was not validated, one whose validation is another measure, one with the same measure, one of one epoch
CURVES = [
    curve([2.0, 1.5, 1.25], [None] * 3),
    curve([5.0, 4.0, 3.5, 3.25], [0.1, 0.3, 0.2, 0.25]),
    curve([0.9, 0.7, 0.6], [-0.95, -0.85, -0.875], "trees", "rmse", "rmse"),
    curve([], []),
    curve([0.5], [0.125]),
    curve([None, None], [None, None], "epochs", "rmse", "rmse"),
]


def make_data(
    *,
    n_users: int = 30,
    n_items: int = 40,
    titles: Sequence[str] | None = ORDINARY,
    times: bool = True,
    ratings: bool = True,
    genres: bool = True,
    seed: int = 0,
) -> Dataset:
    rng = np.random.default_rng(seed)
    weight = 1 / np.arange(1, n_items + 1)
    sizes = rng.integers(10, n_items, n_users)
    item = np.concatenate([rng.choice(n_items, n, replace=False, p=weight / weight.sum()) for n in sizes])
    user = np.repeat(np.arange(n_users), sizes)
    n = len(user)
    features = None
    if titles is not None:
        features = pl.DataFrame({"title": [titles[i % len(titles)] for i in range(n_items)]})
        features = features.with_columns(year=pl.col("title").str.extract(r"\((\d{4})\)$").cast(pl.Int64))
        if genres:
            features = features.with_columns(genres=pl.lit(["Drama", "Sci-Fi"]))
    return Dataset(
        users=IdMap.from_series(pl.Series(np.arange(100, 100 + n_users)), what="user"),
        items=IdMap.from_series(pl.Series([f"i{i:04d}" for i in range(n_items)]), what="item"),
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        value=rng.integers(1, 6, n).astype(np.float32) if ratings else None,
        timestamp=(880_000_000 + rng.integers(0, 400, n) * 43_200).astype(np.int64) if times else None,
        item_features=features,
        name="small",
    )


def make_study(
    data: Dataset | None = None,
    *,
    labels: Sequence[str] = ("popularity", "ease"),
    seeds: Sequence[int] = (0,),
    k: Sequence[int] = (3, 5),
    title: str = "A small study",
    **facts: str,
) -> Study:
    """The first label is popularity, the others EASE, ever more regularised."""
    data = make_data() if data is None else data
    metrics, per_query, costs = [], [], []
    protocols: dict[str, Protocol] = {}
    splits = [split.random(data, seed=seed, valid=0.2, test=0.2) for seed in seeds]
    first = {}
    for seed, made in zip(seeds, splits, strict=True):
        for part, holdout in (("valid", made.valid), ("test", made.test)):
            recs = {}
            for at, label in enumerate(labels):
                model = Popularity() if at == 0 else EASE(l2=10.0**at)
                recs[label] = recommend(model.fit(made.train), holdout.queries, k=max(k))
                costs.append((label, seed, 0.5 * at, 0.25, 100.0 + at))
            measured = evaluate(recs, holdout, k=k)
            if part == "test" and seed == seeds[0]:
                first = recs
            protocols[measured.protocol.fingerprint] = measured.protocol
            told = {"split": pl.lit(part), "seed": pl.lit(seed)}
            names = {label: "ease" if at else "popularity" for at, label in enumerate(labels)}
            metrics.append(measured.to_frame().with_columns(model=pl.col("label").replace_strict(names), **told))
            per_query.append(measured.per_query().with_columns(**told))
    return Study(
        title=title,
        data=data,
        split=splits[0],
        metrics=pl.concat(metrics),
        protocols=protocols,
        findings=audit(splits[0]).findings,
        warnings=["a warning & a half"],
        recommendations=first,
        per_query=pl.concat(per_query),
        costs=pl.DataFrame(
            costs, schema=["label", "seed", "fit_seconds", "recommend_seconds", "peak_mb"], orient="row"
        ),
        facts={"command": "matinee run small.toml", **facts},
        curves={label: CURVES[at % len(CURVES)] for at, label in enumerate(labels)},
        side_tables=side_table_report(data),
    )
