"""`compare`: models side by side with paired tests, the progress over runs, and gates for a new model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Exit, Option

from matinee.cli import screen
from matinee.cli.evaluate import show_means
from matinee.cli.options import Json, Text, Texts
from matinee.cli.screen import Column
from matinee.errors import MatineeError, counted, worded_for
from matinee.evaluate import Comparison, PairedTest
from matinee.evaluate.evaluate import named
from matinee.evaluate.paired import NAMES
from matinee.evaluate.power import Power
from matinee.study import compare as comparing
from matinee.study.gate import Decision
from matinee.study.gate import gate as gating
from matinee.study.history import HEAD, ScoreHistory, score_history

MAY_NOT = 3  # exit code where a gate is not passed
BAR = 24  # characters
METRIC = Option(metavar="NAME", help="The metric to test.", show_default="the first measured")
BASELINE = Option(metavar="LABEL", help="Test all models against this one.", show_default="every pair")
PROTOCOL = "The protocol, for runs under several; its first characters are enough."
FIRST = "the first that measured the metric"
TEST = Option(help="The paired test.", show_default="the recipe's, else randomisation")
CORRECTION = Option(help="For several tests.", show_default="the recipe's, else holm")
TASK = "Only the queries of one task, such as title + first 5, where the split has tasks."
NEEDED = "Also say how many users each difference takes to be seen, and what these users can show."
DIFFERENCE = "With --power: the difference to be seen, 0.002 or 2% of the other model's mean."
GATE = "Whether NEW may replace OLD (the RUNs): the difference keeps to this margin; may be repeated. Exit code 3: no."
OF_NEW, OF_OLD = (f"With --gate: the model of {which}, if it has several." for which in ("NEW", "OLD"))
GATE_ONLY = ("new_label", "old_label", "confidence", "record")
Tests = Literal["randomisation", "t", "wilcoxon", "bootstrap"]
Corrections = Literal["holm", "benjamini_hochberg", "none"]


def compare(
    runs: Annotated[list[Path], Argument(metavar="RUN...", help="Run folders, or their metrics.parquet.")],
    metric: Annotated[Text, METRIC] = None,
    k: Annotated[int | None, Option("-k", min=1, help="Cut-off of the metric.", show_default="the first")] = None,
    baseline: Annotated[Text, BASELINE] = None,
    part: Annotated[Literal["test", "valid"], Option("--split", help="The part that was measured.")] = "test",
    protocol: Annotated[Text, Option(metavar="FINGERPRINT", help=PROTOCOL, show_default=FIRST)] = None,
    test: Annotated[Tests | None, TEST] = None,
    correction: Annotated[Corrections | None, CORRECTION] = None,
    power: Annotated[bool, Option("--power", help=NEEDED)] = False,
    difference: Annotated[Text, Option(metavar="D", help=DIFFERENCE, show_default="as measured")] = None,
    plot: Annotated[Path | None, Option(metavar="FILE", help="Draw the progress over runs, as .html or .svg.")] = None,
    gate: Annotated[Texts, Option(metavar="METRIC@K=MARGIN", help=GATE)] = None,
    new_label: Annotated[Text, Option(metavar="LABEL", help=OF_NEW)] = None,
    old_label: Annotated[Text, Option(metavar="LABEL", help=OF_OLD)] = None,
    confidence: Annotated[
        float | None, Option(metavar="SHARE", help="With --gate: of the one-sided interval.", show_default="0.95")
    ] = None,
    record: Annotated[Path | None, Option(metavar="FILE", help="With --gate: write the decision as JSON.")] = None,
    task: Annotated[Text, Option(metavar="TASK", help=TASK, show_default="all of them")] = None,
    as_json: Json = False,
) -> None:
    """Put models side by side, with paired tests.

    Numbers measured under different protocols are refused. Of several runs the progress of the best score is shown
    too. With --gate the runs are NEW and OLD, and the exit code is 0 where NEW may replace OLD, and 3 where it may not.
    """
    with worded_for("command"):
        where: dict[str, Any] = {"part": part, "protocol": protocol}
        of_gate = dict(zip(GATE_ONLY, (new_label, old_label, confidence, record), strict=True))
        given = {name: value for name, value in of_gate.items() if value is not None}
        if gate:
            others: dict[str, Any] = {
                "metric": metric,
                "k": k,
                "baseline": baseline,
                "test": test,
                "correction": correction,
            }
            others |= {"power": power or None, "difference": difference, "plot": plot, "task": task}
            _refuse(others, "not used with --gate")
            _decide(runs, gate, as_json, **where, **given)
            return
        _refuse(given, "used only with --gate METRIC@K=MARGIN")
        if not power:
            _refuse({"difference": difference}, "used only with --power")
        opened = comparing.opened_runs(runs)
        found = comparing.compare(opened, metric, k, baseline, **where, test=test, correction=correction, task=task)
        needed = comparing.power(opened, metric, k, baseline, **where, difference=difference) if power else None
        history = score_history(opened, metric, k, **where) if len(runs) > 1 or plot else None
        if history is not None and plot is not None:
            history.write(plot)
    if as_json:
        screen.emit(_as_json(found, needed, history))
        return
    _show(found, needed, history)
    if plot is not None:
        screen.say(f"\n{plot}")


def _refuse(given: dict[str, Any], when: str) -> None:
    """Refuse options that say nothing here."""
    for name, value in given.items():
        if value is not None:
            option = "-k" if name == "k" else f"--{name.replace('_', '-')}"
            raise MatineeError(f"{option} is {when}", hint=f"leave {option} out, or change the others")


def _decide(runs: Sequence[Path], gates: Sequence[str], as_json: bool, **options: Any) -> None:
    """Try the gates of NEW against OLD. One run alone is both."""
    if len(runs) > 2:
        raise MatineeError(f"--gate is about two runs, NEW and OLD, got {len(runs)}", hint="name two")
    decision = gating(runs[0], runs[-1], gates, **options)
    if as_json:
        screen.emit(decision.model_dump(mode="json"))
    else:
        _show_decision(decision)
    if not decision.may_replace:
        raise Exit(MAY_NOT)


def _show_decision(decision: Decision) -> None:
    numbers = ("new", "old", "difference", "margin", "bound", "users")
    columns = [Column("gate"), *(Column(name, right=True, keep=name != "users") for name in numbers), Column("")]
    rows = [
        [g.gate, f"{g.new:.4f}", f"{g.old:.4f}", f"{g.difference:+.4f}", f"{g.margin:+.5f}",
         "–" if g.bound is None else f"{g.bound:+.5f}", f"{g.n_users:,}", "passed" if g.passed else "not passed"]
        for g in decision.gates
    ]  # fmt: skip
    screen.table(columns, rows)
    screen.say()
    for gate in decision.gates:
        if not gate.passed:
            screen.say(gate.verdict)
    for protocol in decision.protocols.values():
        screen.say(f"{protocol} [{protocol.fingerprint}]", "dim")
    screen.say(f"\n{decision.verdict}", "bold")


def _as_json(found: Comparison, needed: Power | None, history: ScoreHistory | None) -> dict[str, Any]:
    joint, tests = found.evaluation, found.tests
    rows = joint.to_frame().to_dicts()
    ways = [joint.method(row["metric"], row["k"] or 0, row["label"]) for row in rows]
    value: dict[str, Any] = {"metrics": [row | {"interval": way} for row, way in zip(rows, ways, strict=True)]}
    value |= {"tests": [asdict(test) for test in tests], "protocol": asdict(joint.protocol)}
    if needed is not None:
        value["power"] = asdict(needed)
    if history is not None:
        value["progress"] = history.to_frame().to_dicts()
    return value


def _show(found: Comparison, needed: Power | None, history: ScoreHistory | None) -> None:
    tests = found.tests
    show_means(found.evaluation, by=(tests[0].metric, tests[0].k) if tests else None)
    if tests:
        screen.say()
        _show_tests(tests)
    if needed is not None and needed.pairs:
        screen.say()
        _show_power(needed)
    if history is not None and len(history.steps) > 1:
        screen.say()
        _show_history(history)


def _show_tests(tests: Sequence[PairedTest]) -> None:
    first = tests[0]
    corrected = "" if first.correction == "none" else f"p ({NAMES[first.correction]})"
    numbers = ["difference", "95 % interval", "p", *filter(None, [corrected])]
    columns = [Column("model"), Column("minus")]
    columns += [Column(name, right=True, keep=name != "p" or not corrected) for name in numbers]
    rows = [
        [t.a, t.b, f"{t.difference:+.4f}", f"{t.ci_low:+.4f} to {t.ci_high:+.4f}", _p(t.p), _p(t.p_corrected)]
        for t in tests
    ]
    screen.say(f"Differences in {named(first.metric, first.k)}", "bold")
    screen.table(columns, [row[: len(columns)] for row in rows])
    over = f"{counted(first.n_users, 'user')} ({counted(first.n_queries, 'query', 'queries')})"
    comparisons = counted(len(tests), "comparison")
    told = f"{corrected} is corrected for {comparisons}" if corrected else f"{comparisons}, not corrected"
    screen.say(f"\npaired {NAMES[first.test]} over {over}; {told}", "dim")


def _show_power(found: Power) -> None:
    first = found.pairs[0]
    numbers = ("difference", "users here", "users needed", "smallest shown")
    columns = [Column("model"), Column("minus"), *(Column(name, right=True) for name in numbers)]
    rows = [
        [p.a, p.b, f"{p.difference:+.4f}", f"{p.n_users:,}", "–" if p.users_needed is None else f"{p.users_needed:,}",
         "–" if p.smallest is None else f"{p.smallest:.4f}"]
        for p in found.pairs
    ]  # fmt: skip
    screen.say(f"Users needed to see a difference in {named(first.metric, first.k)}", "bold")
    screen.table(columns, rows)
    screen.say(f"\n{found.words}; smallest shown: the difference that the users here can show", "dim")


def _show_history(history: ScoreHistory) -> None:
    columns = [Column(name, right=name in ("#", "score", "best so far"), keep=name != HEAD[1]) for name in HEAD]
    rows = history.rows()
    bold = [(at, HEAD.index("score")) for at, step in enumerate(history.steps) if step.improved]
    full = "█" if (sys.stdout.encoding or "").lower().startswith("utf") else "#"
    top = max(step.value for step in history.steps)
    if top > 0:
        columns.append(Column("", keep=False))
        rows = [[*row, full * round(BAR * s.value / top)] for row, s in zip(rows, history.steps, strict=True)]
    screen.say(f"Progress of the best {history.column}", "bold")
    screen.table(columns, rows, bold=bold)
    screen.say(f"\n{history.notes[-1]}", "dim")


def _p(value: float) -> str:
    return "–" if value != value else "< 0.001" if value < 0.001 else f"{value:.3f}"
