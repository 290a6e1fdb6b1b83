"""`evaluate` and `compare`: recommendations measured on hidden pairs, and models side by side with paired tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

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
from matinee.evaluate import Evaluation, PairedTest
from matinee.evaluate import evaluate as measured
from matinee.evaluate.evaluate import named
from matinee.evaluate.files import hidden_pairs, read_recommendations
from matinee.evaluate.intervals import FEW, FEW_WORDS
from matinee.evaluate.metrics import formulas_of
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.rank import recommend
from matinee.study import compare as comparing

CUTS = [10, 20]
SOURCE = "A model's folder, or a .csv, .tsv or .parquet file with user_id, item_id and rank or score."
METRIC = Option(metavar="NAME", help="The metric to test.", show_default="the first measured")
BASELINE = Option(metavar="LABEL", help="Test all models against this one.", show_default="every pair")
PROTOCOL = "The protocol, for runs under several; its first characters are enough."
FIRST = "the first that measured the metric"


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
    if source.is_dir() or not source.exists():
        rules = rules_of(rules_file, None, None)
        model = open_model(source)
        with worded_for("command"):
            holdout = hidden_pairs(model, truth, exclude_seen=not include_seen, **reading.given())
        recs = recommend(model, holdout.queries, max(wanted or CUTS), rules=rules, progress=True)
    else:
        if rules_file is not None:
            what = "--rules is for a model's lists, and these are made already"
            raise MatineeError(what, where=str(source), hint="leave out --rules, or name a model's folder")
        with worded_for("command"):
            recs, holdout = read_recommendations(source, truth, **reading.given())
    fitting = wanted or [k for k in CUTS if k <= recs.k] or [recs.k]
    label = source.resolve().name if source.is_dir() else source.stem
    result = measured(recs, holdout, k=fitting, metrics=chosen, convention=convention, label=label)
    if as_json:
        rows = [row | {"interval": result.method(row["metric"], row["k"] or 0)} for row in result.to_frame().to_dicts()]
        screen.emit({"metrics": rows, "protocol": asdict(result.protocol)})
        return
    _show(result)


def compare(
    runs: Annotated[list[Path], Argument(metavar="RUN...", help="Run folders, or their metrics.parquet.")],
    metric: Annotated[Text, METRIC] = None,
    k: Annotated[int | None, Option("-k", min=1, help="Cut-off of the metric.", show_default="the first")] = None,
    baseline: Annotated[Text, BASELINE] = None,
    part: Annotated[Literal["test", "valid"], Option("--split", help="The part that was measured.")] = "test",
    protocol: Annotated[Text, Option(metavar="FINGERPRINT", help=PROTOCOL, show_default=FIRST)] = None,
    as_json: Json = False,
) -> None:
    """Put models side by side, with paired tests.

    Numbers measured under different protocols are refused.
    """
    found = comparing.compare(runs, metric, k, baseline, part, protocol)
    joint, tests = found.evaluation, found.tests
    if as_json:
        found_tests = {"tests": [asdict(test) for test in tests], "protocol": asdict(joint.protocol)}
        rows = joint.to_frame().to_dicts()
        ways = [joint.method(row["metric"], row["k"] or 0, row["label"]) for row in rows]
        screen.emit({"metrics": [row | {"interval": way} for row, way in zip(rows, ways, strict=True)]} | found_tests)
        return
    _show(joint, by=(tests[0].metric, tests[0].k) if tests else None)
    if tests:
        screen.say()
        _show_tests(tests)


def _show(result: Evaluation, *, by: tuple[str, int] | None = None) -> None:
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
            [[label, *map(str, row)] for label, row in zip(labels, grid, strict=True)],
            bold=[(r, c + 1) for r, row in enumerate(grid) for c, m in enumerate(row) if m.value == best[c]],
        )
    once = "" if result.clusters is None else ", counting each user once"
    screen.say(f"\nmean over {counted(result.n_queries, 'query', 'queries')} with its 95 % interval{once}", "dim")
    if result.n_queries < FEW:
        screen.say(FEW_WORDS, "dim")
    screen.say(f"{result.protocol} [{result.protocol.fingerprint}]", "dim")


def _show_tests(tests: Sequence[PairedTest]) -> None:
    first = tests[0]
    numbers = ("difference", "95 % interval", "p", "p (Holm)")
    columns = [Column("model"), Column("minus"), *(Column(name, right=True, keep=name != "p") for name in numbers)]
    rows = [
        [t.a, t.b, f"{t.difference:+.4f}", f"{t.ci_low:+.4f} to {t.ci_high:+.4f}", _p(t.p_random), _p(t.p_holm)]
        for t in tests
    ]
    screen.say(f"Differences in {named(first.metric, first.k)}", "bold")
    screen.table(columns, rows)
    over = f"{counted(first.n_users, 'user')} ({counted(first.n_queries, 'query', 'queries')})"
    corrected = f"p (Holm) is corrected for {counted(len(tests), 'comparison')}"
    screen.say(f"\npaired randomisation test over {over}; {corrected}", "dim")


def _p(value: float) -> str:
    return "–" if value != value else "< 0.001" if value < 0.001 else f"{value:.3f}"
