"""`analyse` and `front`: what the models of a run recommend, and what more than accuracy costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import DataDir, Json, Text, names
from matinee.cli.screen import Column
from matinee.errors import MatineeError, counted, worded_for
from matinee.evaluate.evaluate import named
from matinee.explore.analysis import Analysis
from matinee.explore.front import LAMS
from matinee.study.fronts import fronts
from matinee.study.reader import open_run

RUN = Argument(metavar="RUN", help="A run folder.")
PAIR = Option(metavar="A B", help="Only what these two models share.", show_default="every pair")
MODELS = Option(metavar="LABEL,LABEL", help="Models that order lists by a lam.", show_default="all of the run")
LAM = Option(metavar="X,X", help="Strengths, 0 to 1.", show_default=", ".join(f"{lam:g}" for lam in LAMS))
COLUMN = Option(metavar="NAME", help="Column of the item table for diversity and calibration.")
NO_COLUMN = Option("--no-column", help="Without diversity and calibration, for a log without a table of items.")
AGAINST = Option(help="With --out: the horizontal axis.", show_default="diversity, without a column coverage")
OUT = Option(metavar="FILE", help="Draw the fronts, as .svg.")
Axis = Literal["coverage", "diversity", "calibration_error", "mean_popularity"]


def analyse(
    run: Annotated[Path, RUN],
    pair: Annotated[tuple[str, str] | None, PAIR] = None,
    as_json: Json = False,
) -> None:
    """Say what the models of a run recommend, alone and in pairs.

    Metrics of lists are means over the test's queries. Of two models: the items that both recommend to a query, and how
    many hidden answers both find, only one of them, or neither.
    """
    found = open_run(run).analysis
    if found is None:
        raise MatineeError("this run holds no analysis", where=str(run), hint="run the study again")
    one = None if pair is None else found.pair(*pair)
    if as_json:
        whole = ("metrics", "figures", "by_activity", "by_popularity")
        frames = {} if one is not None else {name: getattr(found, name).to_dicts() for name in whole}
        pairs = found.pairs.to_dicts() if one is None else [one]
        head: dict[str, Any] = {"k": found.k, "n_queries": found.n_queries, "labels": list(found.labels)}
        screen.emit({**head, **frames, "pairs": pairs, "left_out": list(found.left_out)})
        return
    if one is None:
        _show_metrics(found)
        for text in found.left_out:
            screen.say(text, "dim")
    _show_pairs(found, found.pairs.to_dicts() if one is None else [one])


def _show_metrics(found: Analysis) -> None:
    """A row a metric, a column a model."""
    rows = []
    for metric in found.metrics["metric"].unique(maintain_order=True):
        values = [found.value(metric, label) for label in found.labels]
        cells = ["–" if value is None or value != value else f"{value:.4f}" for value in values]
        rows.append([named(metric, found.k), *cells])
    screen.table([Column("metric", keep=True), *(Column(label, right=True) for label in found.labels)], rows)
    queries = counted(found.n_queries, "query", "queries")
    screen.say(f"\nmeans over {queries} of the test, the first {found.k} items", "dim")


def _show_pairs(found: Analysis, pairs: list[dict[str, Any]]) -> None:
    if not pairs:
        return
    heads = ("A", "B", "in common", "share", "both", "only A", "only B", "neither", "p")
    rows = [
        [
            row["a"], row["b"], f"{row['common']:.2f}", f"{100 * row['share']:.1f} %",
            *(f"{row[name]:,}" for name in ("both", "only_a", "only_b", "neither")), f"{row['p']:.2g}",
        ] for row in pairs
    ]  # fmt: skip
    screen.say()
    screen.table([Column(name, right=at > 1, keep=at < 2) for at, name in enumerate(heads)], rows)
    screen.say(f"\nin common: of {found.k} items of a query, share of all; both, only, neither: hidden answers", "dim")
    screen.say("p: McNemar's test that A and B find as many, the answers of a user together; not corrected", "dim")


def front(
    run: Annotated[Path, RUN],
    models: Annotated[Text, MODELS] = None,
    lam: Annotated[Text, LAM] = None,
    part: Annotated[Literal["valid", "test"], Option("--split", help="The part that is measured.")] = "valid",
    metric: Annotated[str, Option(metavar="NAME", help="The metric of accuracy.")] = "ndcg",
    k: Annotated[int, Option("-k", min=1, help="Number of items.")] = 10,
    column: Annotated[str, COLUMN] = "genres",
    no_column: Annotated[bool, NO_COLUMN] = False,
    against: Annotated[Axis | None, AGAINST] = None,
    out: Annotated[Path | None, OUT] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say what accuracy costs: re-ranked lists at many strengths.

    Each model of the run that orders lists by a lam (calibrated, mmr, popularity_discount) is asked once more at each
    lam, its base fitted as in the run, on the run's first split.
    """
    x = against or ("coverage" if no_column else "diversity")
    with worded_for("command"):
        found = fronts(
            run, LAMS if lam is None else _lams(lam), models=None if models is None else names(models), part=part,
            metric=metric, k=k, column=None if no_column else column, data_dir=data_dir,
        )  # fmt: skip
        if out is not None:
            from matinee.report.fronts import write_front  # loads matplotlib

            write_front(found, out, x)
    if as_json:
        screen.emit({"rows": found.to_dicts(), "drawing": None if out is None else str(out)})
        return
    shown = [name for name in found.columns if name not in ("ci_low", "ci_high", "n_queries")]
    rows = [
        [str(row["model"]), f"{row['lam']:g}", *(f"{row[name]:.4f}" for name in shown[2:])] for row in found.to_dicts()
    ]
    screen.table([Column(name, right=at > 0, keep=at < 3) for at, name in enumerate(shown)], rows)
    screen.say(f"\non {part}, {counted(int(found['n_queries'][0]), 'query', 'queries')}", "dim")
    if out is not None:
        screen.say(str(out))


def _lams(text: str) -> list[float]:
    """ "0,0.5" -> [0.0, 0.5]."""
    try:
        found = [float(part) for part in names(text)]
        if found and all(0 <= one <= 1 for one in found):
            return found
        raise ValueError
    except ValueError:
        what = f"--lam {text}: expected numbers from 0 to 1, separated by commas"
        raise MatineeError(what, hint="write for example --lam 0,0.3,0.6") from None
