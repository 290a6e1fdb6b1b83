"""`evaluate`: recommendations measured on hidden pairs; and a table of means."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import (
    IncludeSeen,
    Json,
    ReadingOptions,
    RulesFile,
    Text,
    names,
    takes_reading_options,
    whole_numbers,
)
from matinee.cli.screen import Column
from matinee.cli.sources import open_model, rules_of
from matinee.errors import MatineeError, counted, worded_for
from matinee.evaluate import Evaluation
from matinee.evaluate import evaluate as measured
from matinee.evaluate.evaluate import named
from matinee.evaluate.files import hidden_pairs, read_recommendations
from matinee.evaluate.intervals import FEW, FEW_WORDS
from matinee.evaluate.lists import asking_the_log
from matinee.evaluate.metrics import formulas_of
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.rank import recommend

CUTS = [10, 20]
SOURCE = "A model's folder, or a .csv, .tsv or .parquet file with user_id, item_id and rank or score."


@takes_reading_options
def evaluate(
    source: Annotated[Path, Argument(metavar="SOURCE", help=SOURCE)],
    truth: Annotated[Path, Option(metavar="FILE", help="The hidden pairs: user_id, item_id.")],
    cuts: Annotated[Text, Option("-k", metavar="10,20", help="Cut-offs.", show_default="10,20")] = None,
    metrics: Annotated[str, Option(metavar="NAMES", help="Separated by commas.")] = "recall,ndcg,hit_rate,mrr",
    convention: Annotated[str, Option(metavar="NAME", help="Whose metric definitions to use.")] = "matinee",
    include_seen: IncludeSeen = False,
    rules_file: RulesFile = None,
    *,
    reading: ReadingOptions,
    as_json: Json = False,
) -> None:
    """Measure a model, or any recommendations, on hidden pairs."""
    wanted = None if cuts is None else whole_numbers(cuts, "-k", least=1)
    chosen = names(metrics)
    formulas_of(chosen, convention)  # refuses a mistyped name before anything is read
    train = None
    if source.is_dir() or not source.exists():
        rules = rules_of(rules_file, None, None)
        model = open_model(source)
        train = model.data
        with worded_for("command"):
            holdout = hidden_pairs(model, truth, exclude_seen=not include_seen, **reading.given())
        recs = recommend(model, holdout.queries, max(wanted or CUTS), rules=rules, progress=True)
    else:
        if rules_file is not None:
            what = "--rules is for a model's lists, and these are made already"
            raise MatineeError(what, where=str(source), hint="leave out --rules, or name a model's folder")
        if asking := asking_the_log(chosen):
            what = f"{', '.join(asking)}: asks the log that was learned from, which a file of lists does not have"
            raise MatineeError(what, where=str(source), hint="name a model's folder, or leave it out of --metrics")
        with worded_for("command"):
            recs, holdout = read_recommendations(source, truth, **reading.given())
    fitting = wanted or [k for k in CUTS if k <= recs.k] or [recs.k]
    label = source.resolve().name if source.is_dir() else source.stem
    result = measured(recs, holdout, k=fitting, metrics=chosen, convention=convention, label=label, train=train)
    if as_json:
        rows = [row | {"interval": result.method(row["metric"], row["k"] or 0)} for row in result.to_frame().to_dicts()]
        screen.emit({"metrics": rows, "protocol": asdict(result.protocol)})
        return
    show_means(result)


def show_means(result: Evaluation, *, by: tuple[str, int] | None = None) -> None:
    """One model: one row per metric. Several: one row per model, sorted by the column `by`, best values in bold."""
    if len(result.labels) == 1:
        means = [(metric, k, result.mean(metric, k)) for metric, k in result.columns]
        columns = [Column("metric"), *(Column(name, right=True) for name in ("value", "95 % interval"))]
        ends = ["–" if v.low != v.low else f"{v.low:.4f} – {v.high:.4f}" for _, _, v in means]
        rows = [[named(m, k), f"{v.value:.4f}", end] for (m, k, v), end in zip(means, ends, strict=True)]
        screen.table(columns, rows)
    else:
        first = by or result.columns[0]
        order = [first, *(column for column in result.columns if column != first)]
        signs = [-1 if metric in LOWER_IS_BETTER else 1 for metric, _ in order]
        labels = sorted(result.labels, key=lambda label: -signs[0] * result.mean(*first, label).value)
        grid = [[result.mean(metric, k, label) for metric, k in order] for label in labels]
        best = [sign * max(sign * row[c].value for row in grid) for c, sign in enumerate(signs)]
        screen.table(
            [Column("model"), *(Column(named(m, k), right=True, keep=c == 0) for c, (m, k) in enumerate(order))],
            [[label, *map(str, row)] for label, row in zip(labels, grid, strict=True)],
            bold=[(r, c + 1) for r, row in enumerate(grid) for c, m in enumerate(row) if m.value == best[c]],
        )
    once = "" if result.clusters is None else ", counting each user once"
    screen.say(f"\nmean over {counted(result.n_queries, 'query', 'queries')} with its 95 % interval{once}", "dim")
    if result.n_queries < FEW:
        screen.say(FEW_WORDS, "dim")
    screen.say(f"{result.protocol} [{result.protocol.fingerprint}]", "dim")
