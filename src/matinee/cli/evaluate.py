"""`evaluate`: a model, or recommendations from anywhere, against hidden answers in a file."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli import screen
from matinee.cli.options import Json, names, whole_numbers
from matinee.cli.screen import Column
from matinee.cli.sources import open_model
from matinee.errors import MatineeError, MatineeWarning

if TYPE_CHECKING:
    from matinee.data.arrays import Ints, Ragged
    from matinee.data.dataset import Dataset, Holdout
    from matinee.data.ids import IdMap
    from matinee.evaluate import Evaluation
    from matinee.models.base import Model
    from matinee.rank import Recommendations

CUTS = (10, 20)


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
            show_default=False,
        ),
    ],
    truth: Annotated[
        Path, typer.Option(metavar="FILE", help="The hidden pairs: user_id, item_id.", show_default=False)
    ],
    cuts: Annotated[str | None, typer.Option("-k", metavar="10,20", help="Cut-offs.", show_default="10,20")] = None,
    metrics: Annotated[str, typer.Option(metavar="NAMES", help="With commas.")] = "recall,ndcg,hit_rate,mrr",
    convention: Annotated[str, typer.Option(metavar="NAME", help="Whose definitions of the metrics.")] = "matinee",
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="A model may answer with what was watched before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure a model, or any recommendations, on hidden pairs."""
    wanted = None if cuts is None else whole_numbers(cuts, "-k", least=1)
    from matinee.data.read.log import read
    from matinee.evaluate import evaluate as measured
    from matinee.evaluate.metrics import formulas_of

    chosen = names(metrics)
    formulas_of(chosen, convention)  # a mistyped name costs nothing yet
    hidden = read(truth, rating=None, timestamp=None)
    words = f"provided, {truth.name} {hashlib.sha256(truth.read_bytes()).hexdigest()[:8]}"
    if source.is_dir() or not source.exists():
        found, holdout = _ask(open_model(source), hidden, words, wanted or CUTS, exclude_seen=not include_seen)
    else:
        found, holdout = _read(source, hidden, words)
    fitting = wanted or [k for k in CUTS if k <= found.k] or [found.k]
    label = source.resolve().name if source.is_dir() else source.stem
    result = measured(found, holdout, k=fitting, metrics=chosen, convention=convention, label=label)
    if as_json:
        screen.emit(
            {
                "metrics": result.to_frame().to_dicts(),
                "protocol": asdict(result.protocol),
                "warnings": list(result.warnings),
            }
        )
        return
    show(result)


def show(result: Evaluation, *, by: tuple[str, int] | None = None) -> None:
    """One model: a row a metric. Several: a row a model, best first by the column `by`, best values in bold."""
    from matinee.evaluate.evaluate import named
    from matinee.report.scores import LOWER_IS_BETTER

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
    once = "" if result.clusters is None else ", which counts each user once"
    screen.say(f"\nmean over {result.n_queries:,} queries with its 95 % interval{once}", "dim")
    screen.say(f"{result.protocol} [{result.protocol.fingerprint}]", "dim")


def _ask(
    model: Model, hidden: Dataset, words: str, cuts: Sequence[int], *, exclude_seen: bool
) -> tuple[Recommendations, Holdout]:
    """The model's recommendations to the users of the hidden pairs, from the histories in its folder."""
    import numpy as np

    from matinee.data.arrays import Ragged
    from matinee.data.dataset import Holdout, Protocol, Queries
    from matinee.rank import recommend

    data = model.data
    if not len(data):
        raise MatineeError(
            "this model was saved without histories, so it does not know what the users watched",
            hint="fit again without --without-histories, or evaluate a file of recommendations",
        )
    user = data.users.encode(hidden.users.series)
    if exclude_seen:
        _refuse_seen(data, hidden, user)
    if unknown := int((user < 0).sum()):
        warnings.warn(
            f"{unknown:,} of {len(user):,} users are not in the model's log: they are answered by popularity",
            MatineeWarning,
            stacklevel=2,
        )
    known = data.queries_of(np.maximum(user, 0))
    history = known.history.keep((user >= 0)[known.history.rows])
    queries = Queries(
        user=user,
        history=history,
        exclude=history if exclude_seen else Ragged.empty(len(user)),
        history_ratings=None
        if known.history_ratings is None
        else known.history_ratings[(user >= 0)[known.history.rows]],
        history_times=None if known.history_times is None else known.history_times[(user >= 0)[known.history.rows]],
    )
    protocol = Protocol(
        data=data.fingerprint,
        split=words,
        part="test",
        history="the model's log",
        exclude="the model's log" if exclude_seen else "nothing",
    )
    holdout = Holdout(queries, _truth(hidden, data.items), protocol)
    return recommend(model, queries, max(cuts), progress=True), holdout


def _refuse_seen(data: Dataset, hidden: Dataset, user: Ints) -> None:
    """A model that was fitted on the answers has nothing to prove."""
    import numpy as np

    codes, item = user[hidden.user], data.items.encode(hidden.items.series)[hidden.item]
    there = (codes >= 0) & (item >= 0)
    n = data.n_items
    both = np.isin(codes[there].astype(np.int64) * n + item[there], data.user.astype(np.int64) * n + data.item)
    if both.any():
        raise MatineeError(
            f"{both.sum():,} of the {len(hidden):,} hidden pairs are in the log the model was fitted on",
            hint="fit on a log without them; where repeats are answers pass --include-seen",
        )


def _truth(hidden: Dataset, items: IdMap) -> Ragged:
    """Answers in the codes of `items`; those it does not know get codes of their own past its end."""
    import numpy as np

    from matinee.data.arrays import Ragged

    code = items.encode(hidden.items.series).copy()
    unknown = code < 0
    code[unknown] = len(items) + np.arange(unknown.sum(), dtype=np.int32)
    pairs = np.unique(np.stack([hidden.user, code[hidden.item]]), axis=1)
    return Ragged.from_rows(pairs[0], pairs[1], hidden.n_users)


def _read(path: Path, hidden: Dataset, words: str) -> tuple[Recommendations, Holdout]:
    """A file of recommendations as Recommendations to the users of the hidden pairs; others' are left out."""
    import numpy as np

    from matinee.data.arrays import Ragged
    from matinee.data.dataset import Holdout, Protocol, Queries
    from matinee.rank import Recommendations

    listed, ascending = _listed(path)
    items = _joint(hidden.items, listed.items)
    row, item = hidden.users.encode(listed.users.series)[listed.user], items.encode(listed.items.series)[listed.item]
    assert listed.value is not None  # `_listed` names its column
    order = np.lexsort((item, listed.value if ascending else -listed.value, row))
    order = order[row[order] >= 0]
    row, item, value = row[order], item[order], listed.value[order]
    if not len(row):
        raise MatineeError("none of its users has a hidden pair", where=str(path), hint="check the ids of both files")
    if missing := hidden.n_users - len(np.unique(row)):
        text = f"{missing:,} of {hidden.n_users:,} users have no recommendations in {path.name}: they count as misses"
        warnings.warn(text, MatineeWarning, stacklevel=2)
    place = np.arange(len(row)) - np.searchsorted(row, row)
    shape = (hidden.n_users, int(place.max()) + 1)
    best, score = np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32)
    best[row, place], score[row, place] = item, -value if ascending else value
    user, none = np.arange(hidden.n_users, dtype=np.int32), np.zeros(hidden.n_users, np.bool_)
    given = "as given"
    protocol = Protocol(f"recommendations {path.name}", words, "test", history=given, exclude=given, candidates=given)
    empty = Ragged.empty(hidden.n_users)
    recs = Recommendations(hidden.users, items, user, best, score, none, none)
    return recs, Holdout(Queries(user, empty, empty), _truth(hidden, items), protocol)


def _listed(path: Path) -> tuple[Dataset, bool]:
    """The file as a log whose values are ranks (ascending: True) or scores."""
    from matinee.data.read.log import read
    from matinee.data.read.tables import table_of

    columns = table_of(path).frame.columns
    order = next((name for name in ("rank", "score") if name in columns), None)
    if order is None:
        raise MatineeError(
            f"there is no column 'rank' or 'score'; it has {', '.join(map(repr, columns[:20]))}",
            where=str(path),
            hint="name the columns user_id, item_id and rank (from 1) or score",
        )
    listed = read(path, rating=order, timestamp=None)
    if order == "rank":
        _refuse_shared_ranks(listed, path)
    return listed, order == "rank"


def _refuse_shared_ranks(listed: Dataset, path: Path) -> None:
    """Two items of a user at one rank: two lists of one user, which this file cannot tell apart."""
    import numpy as np

    assert listed.value is not None
    order = np.lexsort((listed.value, listed.user))
    user, rank = listed.user[order], listed.value[order]
    shared = (user[1:] == user[:-1]) & (rank[1:] == rank[:-1])
    if shared.any():
        first = int(shared.argmax())
        raise MatineeError(
            f"user {listed.users.decode([user[first]])[0]} has two items at rank {rank[first]:g}",
            where=str(path),
            hint="give each user one list",
        )


def _joint(one: IdMap, other: IdMap) -> IdMap:
    """The ids of both; as text where only one of them holds integers."""
    import polars as pl

    from matinee.data.ids import IdMap

    columns = [one.series, other.series]
    if one.is_integer != other.is_integer:
        columns = [column.cast(pl.String) for column in columns]
    return IdMap.from_series(*columns, what="item")
