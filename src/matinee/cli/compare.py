"""`compare`: the models of one or several runs side by side, and whether their differences are more than luck."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from matinee.cli import screen
from matinee.cli.options import Json
from matinee.cli.screen import Column
from matinee.errors import MatineeError

if TYPE_CHECKING:
    import polars as pl

    from matinee.evaluate import Evaluation, PairedTest

ROW = ["seed", "fold", "query"]  # what tells the queries of a run apart


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: matinee compare runs/a runs/b --metric ndcg -k 10 --baseline popularity")(compare)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders, or their metrics.parquet.", show_default=False),
    ],
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to test.", show_default="the first measured")
    ] = None,
    k: Annotated[int | None, typer.Option("-k", min=1, help="At which cut-off.", show_default="the first")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Test all models against this one.", show_default="every pair")
    ] = None,
    part: Annotated[Literal["test", "valid"], typer.Option("--split", help="Whose numbers.")] = "test",
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="FINGERPRINT",
            help="Of a run under several protocols, whose numbers; its first characters are enough.",
            show_default="the first that measured the metric",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put models side by side, with paired tests.

    Numbers that were measured under different protocols are refused.
    """
    from matinee.evaluate.significance import joined

    opened = [_measuring(_Run.open(path, part), metric, protocol) for path in runs]
    joint = joined(_same_columns(_evaluations(opened)))
    column = _column(joint, metric, k)
    tests = _tests(joint, column, baseline)
    if as_json:
        screen.emit(
            {
                "metrics": joint.to_frame().to_dicts(),
                "tests": [asdict(test) for test in tests],
                "protocol": asdict(joint.protocol),
            }
        )
        return
    from matinee.cli.evaluate import show

    show(joint, by=column)
    if tests:
        screen.say()
        _show_tests(tests)


@dataclass(frozen=True)
class _Run:
    """What compare needs of a run folder. values: label, metric, k, value, user_id, protocol, seed, fold, query."""

    name: str
    values: pl.DataFrame
    protocols: dict[str, dict[str, str]]
    split_seed: int | None

    @classmethod
    def open(cls, path: Path, part: str) -> _Run:
        import polars as pl

        folder = path.parent if path.name == "metrics.parquet" else path
        files = [folder / name for name in ("metrics.parquet", "metrics.json", "run.json")]
        for file in files:
            if not file.is_file():
                hint = "name a folder that `matinee run` finished; start it again with the same --out to finish it"
                raise MatineeError("no finished run is here", where=str(folder), hint=hint)
        try:
            values = pl.read_parquet(files[0])
            means, facts = (json.loads(file.read_text("utf-8")) for file in files[1:])
            recipe = folder / "recipe.toml"
            split_seed = tomllib.loads(recipe.read_text("utf-8")).get("split_seed") if recipe.is_file() else None
            values = _with_protocol(values.filter(pl.col("split") == part), means, part)
            run = cls(str(folder), values, facts["protocols"], split_seed)
        except (pl.exceptions.PolarsError, ValueError, KeyError, TypeError) as error:
            raise MatineeError(f"cannot be read ({error})", where=str(folder), hint="run the study again") from None
        if not len(values):
            raise MatineeError(f"holds no numbers of the split {part!r}", where=str(folder), hint="try --split test")
        return run


def _with_protocol(values: pl.DataFrame, means: list[dict[str, Any]], part: str) -> pl.DataFrame:
    """Values per query beside the protocol's fingerprint, which the table of means knows."""
    import polars as pl

    if "fold" not in values.columns:
        values = values.with_columns(fold=pl.lit(None, pl.Int32))
    values = values.with_columns(pl.col("fold").fill_null(0))
    if "protocol" in values.columns:
        return values
    known = {(mean["label"], mean["protocol"]) for mean in means if mean["split"] == part}
    table = pl.DataFrame(sorted(known), schema=["label", "protocol"], orient="row")
    return values.join(table, on="label", how="left", maintain_order="left")


def _measuring(run: _Run, metric: str | None, protocol: str | None) -> _Run:
    """The run with the values of one protocol: the one asked for, else the first that measured the metric (of several
    metrics the first). Rankings and predictions have protocols of their own, as has each rule of what is ranked."""
    import polars as pl

    measured = run.values["protocol"].unique(maintain_order=True).to_list()
    if protocol is not None:
        having = [fingerprint for fingerprint in measured if fingerprint.startswith(protocol)]
        if len(having) != 1:
            known = "; ".join(f"{fingerprint}: {run.protocols[fingerprint]['candidates']}" for fingerprint in measured)
            raise MatineeError(
                f"{len(having) or 'no'} protocols begin with {protocol!r}", where=run.name, hint=f"choose of {known}"
            )
    else:
        wanted = metric or run.values["metric"][0]
        having = run.values.filter(pl.col("metric") == wanted)["protocol"].unique(maintain_order=True).to_list()
    return replace(run, values=run.values.filter(pl.col("protocol") == having[0])) if having else run


def _evaluations(runs: Sequence[_Run]) -> list[Evaluation]:
    """One evaluation for each protocol of each run; labels that several runs use get the run's name before them."""
    import polars as pl

    labels = Counter(label for run in runs for label in run.values["label"].unique())
    short = Counter(Path(run.name).resolve().name for run in runs)
    found = []
    for run in runs:
        name = Path(run.name).resolve().name
        name = name if short[name] == 1 else run.name
        for label in run.values["label"].unique():
            if labels[label] > 1:
                new = pl.col("label").replace(label, f"{name}/{label}")
                run = replace(run, values=run.values.with_columns(label=new))
        found += [_evaluation(run, part) for part in run.values.partition_by("protocol", maintain_order=True)]
    return found


def _evaluation(run: _Run, values: pl.DataFrame) -> Evaluation:
    """All seeds and folds as one: a row a (seed, fold, query); queries of one user are clustered in every test."""
    import polars as pl

    from matinee.data.dataset import Protocol
    from matinee.evaluate import Evaluation

    protocol = Protocol(**run.protocols[values["protocol"][0]])
    rows = values.select(*ROW, "user_id").unique().sort(*ROW)
    asked = rows.select(*ROW).with_row_index("row")
    numbered = values.join(asked, on=ROW, how="left", maintain_order="left")
    numbered = numbered.with_columns(query=pl.col("row").cast(pl.Int32))
    seeds = f"split seed {run.split_seed}" if run.split_seed is not None else "split by seed"
    queries = hashlib.sha256(f"{seeds}\n{rows.write_csv()}".encode()).hexdigest()[:16]
    return Evaluation.from_frame(numbered, protocol, queries)


def _same_columns(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Only what every one of them measured."""
    shared = [c for c in evaluations[0].columns if all(c in other.columns for other in evaluations)]
    if not shared:
        raise MatineeError("these runs have no metric in common", hint="run them with the same [evaluate] table")
    return [replace(e, values={key: v for key, v in e.values.items() if key[1:] in shared}) for e in evaluations]


def _column(joint: Evaluation, metric: str | None, k: int | None) -> tuple[str, int]:
    from matinee.evaluate.evaluate import named

    for name, cut in joint.columns:
        if metric in (None, name) and k in (None, cut):
            return name, cut
    asked = f"k = {k}" if metric is None else metric if k is None else f"{metric}@{k}"
    raise MatineeError(f"{asked} was not measured", hint=f"measured: {', '.join(named(*c) for c in joint.columns)}")


def _tests(joint: Evaluation, column: tuple[str, int], baseline: str | None) -> list[PairedTest]:
    """Every pair, or all against the baseline, the better model first; p corrected after Holm for their number."""
    import numpy as np

    from matinee.evaluate.significance import holm, paired_test
    from matinee.report.scores import LOWER_IS_BETTER

    sign = 1 if column[0] in LOWER_IS_BETTER else -1
    order = sorted(joint.labels, key=lambda label: sign * joint.mean(*column, label).value)
    if baseline is not None and baseline not in order:
        raise MatineeError(f"no model is called {baseline!r}", hint=f"use one of {', '.join(joint.labels)}")
    pairs = list(combinations(order, 2))
    if baseline is not None:
        pairs = [(label, baseline) for label in order if label != baseline]
    tests = [paired_test(joint, a, b, metric=column[0], k=column[1]) for a, b in pairs]
    corrected = holm(np.array([test.p_random for test in tests]))
    return [replace(test, p_holm=float(p)) for test, p in zip(tests, corrected, strict=True)]


def _show_tests(tests: Sequence[PairedTest]) -> None:
    from matinee.evaluate.evaluate import named

    first = tests[0]
    columns = [
        Column("model"),
        Column("minus"),
        Column("difference", right=True),
        Column("95 % interval", right=True),
        Column("p", right=True, keep=False),
        Column("p (Holm)", right=True),
    ]
    rows = [
        [t.a, t.b, f"{t.difference:+.4f}", f"{t.ci_low:+.4f} to {t.ci_high:+.4f}", _p(t.p_random), _p(t.p_holm)]
        for t in tests
    ]
    screen.say(f"Differences in {named(first.metric, first.k)}", "bold")
    screen.table(columns, rows)
    screen.say(
        f"\npaired randomisation test over {first.n_users:,} users ({first.n_queries:,} queries); "
        f"p (Holm) is corrected for {len(tests)} {'comparison' if len(tests) == 1 else 'comparisons'}",
        "dim",
    )


def _p(value: float) -> str:
    return "–" if value != value else "< 0.001" if value < 0.001 else f"{value:.3f}"
