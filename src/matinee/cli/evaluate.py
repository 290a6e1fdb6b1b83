"""`evaluate`: a model, or a file of recommendations, against a file of hidden pairs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from matinee.cli import screen
from matinee.cli.options import IncludeSeen, Json, names, whole_numbers
from matinee.cli.screen import Column
from matinee.cli.sources import open_model
from matinee.evaluate import Evaluation
from matinee.evaluate import evaluate as measured
from matinee.evaluate.evaluate import named
from matinee.evaluate.files import hidden_pairs, read_recommendations
from matinee.evaluate.metrics import formulas_of
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.rank import recommend

CUTS = [10, 20]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: matinee evaluate models/ease --truth hidden.csv -k 10,20 --metrics recall,ndcg")(
        evaluate
    )


def evaluate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A model's folder, or a .csv, .tsv or .parquet file with user_id, item_id and rank or score.",
        ),
    ],
    truth: Annotated[Path, typer.Option(metavar="FILE", help="The hidden pairs: user_id, item_id.")],
    cuts: Annotated[str | None, typer.Option("-k", metavar="10,20", help="Cut-offs.", show_default="10,20")] = None,
    metrics: Annotated[str, typer.Option(metavar="NAMES", help="Separated by commas.")] = "recall,ndcg,hit_rate,mrr",
    convention: Annotated[str, typer.Option(metavar="NAME", help="Whose metric definitions to use.")] = "matinee",
    include_seen: IncludeSeen = False,
    as_json: Json = False,
) -> None:
    """Measure a model, or any recommendations, on hidden pairs."""
    wanted = None if cuts is None else whole_numbers(cuts, "-k", least=1)
    chosen = names(metrics)
    formulas_of(chosen, convention)  # refuses a mistyped name before anything is read
    if source.is_dir() or not source.exists():
        model = open_model(source)
        holdout = hidden_pairs(model, truth, exclude_seen=not include_seen)
        recs = recommend(model, holdout.queries, max(wanted or CUTS), progress=True)
    else:
        recs, holdout = read_recommendations(source, truth)
    fitting = wanted or [k for k in CUTS if k <= recs.k] or [recs.k]
    label = source.resolve().name if source.is_dir() else source.stem
    result = measured(recs, holdout, k=fitting, metrics=chosen, convention=convention, label=label)
    if as_json:
        found = {"metrics": result.to_frame().to_dicts(), "protocol": asdict(result.protocol)}
        screen.emit(found | {"warnings": list(result.warnings)})
        return
    show(result)


def show(result: Evaluation, *, by: tuple[str, int] | None = None) -> None:
    """One model: one row per metric. Several: one row per model, sorted by the column `by`, best values in bold."""
    if len(result.labels) == 1:
        means = [(metric, k, result.mean(metric, k)) for metric, k in result.columns]
        columns = [Column("metric"), *(Column(name, right=True) for name in ("value", "95 % interval"))]
        screen.table(columns, [[named(m, k), f"{v.value:.4f}", f"{v.low:.4f} – {v.high:.4f}"] for m, k, v in means])
    else:
        first = by or result.columns[0]
        order = [first, *(column for column in result.columns if column != first)]
        signs = [-1 if metric in LOWER_IS_BETTER else 1 for metric, _ in order]
        labels = sorted(result.labels, key=lambda label: -signs[0] * result.mean(*first, label).value)
        grid = [[result.mean(metric, k, label) for metric, k in order] for label in labels]
        best = [sign * max(sign * row[c].value for row in grid) for c, sign in enumerate(signs)]
        screen.table(
            [Column("model"), *(Column(named(m, k), right=True, keep=c == 0) for c, (m, k) in enumerate(order))],
            [[label, *(f"{m.value:.4f} ± {m.half:.4f}" for m in row)] for label, row in zip(labels, grid, strict=True)],
            bold=[(r, c + 1) for r, row in enumerate(grid) for c, m in enumerate(row) if m.value == best[c]],
        )
    once = "" if result.clusters is None else ", counting each user once"
    screen.say(f"\nmean over {result.n_queries:,} queries with its 95 % interval{once}", "dim")
    screen.say(f"{result.protocol} [{result.protocol.fingerprint}]", "dim")
