"""`compare`: the models of one or several runs side by side, with paired tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import Json
from matinee.cli.screen import Column

if TYPE_CHECKING:
    from matinee.evaluate import PairedTest


def compare(
    runs: Annotated[
        list[Path], Argument(metavar="RUN...", help="Run folders, or their metrics.parquet.", show_default=False)
    ],
    metric: Annotated[
        str | None, Option(metavar="NAME", help="The metric to test.", show_default="the first measured")
    ] = None,
    k: Annotated[int | None, Option("-k", min=1, help="Its cut-off.", show_default="the first")] = None,
    baseline: Annotated[
        str | None, Option(metavar="LABEL", help="Test all models against this one.", show_default="every pair")
    ] = None,
    part: Annotated[Literal["test", "valid"], Option("--split", help="The part that was measured.")] = "test",
    protocol: Annotated[
        str | None,
        Option(
            metavar="FINGERPRINT",
            help="The protocol, for runs under several; its first characters are enough.",
            show_default="the first that measured the metric",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put models side by side, with paired tests.

    Numbers measured under different protocols are refused.
    """
    from matinee.cli.evaluate import show
    from matinee.study import compare as comparing

    found = comparing.compare(runs, metric, k, baseline, part, protocol)
    joint, tests = found.evaluation, found.tests
    if as_json:
        metrics = joint.to_frame().to_dicts()
        protocol_words = asdict(joint.protocol)
        screen.emit({"metrics": metrics, "tests": [asdict(test) for test in tests], "protocol": protocol_words})
        return
    show(joint, by=(tests[0].metric, tests[0].k) if tests else None)
    if tests:
        screen.say()
        _show_tests(tests)


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
