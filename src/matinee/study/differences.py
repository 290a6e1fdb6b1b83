"""Why the numbers of two runs do not compare: which part of the protocol differs, with both values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matinee.errors import MatineeError, counted
from matinee.evaluate.evaluate import Evaluation, named
from matinee.study.reader import Run

PROTOCOLS = "evaluate all models under one protocol; numbers of different protocols do not compare"
QUERIES = "evaluate all models on one split, made with one seed"
METRICS = "run them with the same [evaluate] table, or with one cut-off in common"


def refuse_differences(runs: Sequence[Run], evaluations: Sequence[Evaluation]) -> None:
    """Raise MatineeError where a run differs from the first in its protocol, its queries or all metrics."""
    for run, other in zip(runs[1:], evaluations[1:], strict=True):
        first, both = evaluations[0], f"{runs[0].path} and {run.path}"
        if first.protocol.fingerprint != other.protocol.fingerprint:
            found = differing(protocol_of(runs[0], first), protocol_of(run, other))
            raise MatineeError(f"{both} were measured under different protocols ({found})", hint=PROTOCOLS)
        if first.queries != other.queries:
            found = differing(queries_of(runs[0], first), queries_of(run, other)) or _other_users(first, other)
            raise MatineeError(f"{both} did not answer the same queries ({found})", hint=QUERIES)
        if not set(first.columns) & set(other.columns):
            found = differing({"measured": _columns(first)}, {"measured": _columns(other)})
            raise MatineeError(f"{both} have no metric in common ({found})", hint=METRICS)


def protocol_of(run: Run, evaluation: Evaluation) -> dict[str, str]:
    """What a protocol fixes, in words, by the name of the field."""
    words, data = evaluation.protocol, run.record.data
    log = f"{data.name}, {counted(data.events, 'event')}" if data.fingerprint == words.data else "another log"
    return {
        "data": f"{log} [{words.data}]",
        "split": words.split,
        "part": words.part,
        "seen (history)": words.history,
        "excluded": words.exclude,
        "candidates": words.candidates,
        "definitions of metrics": words.metrics,
    }


def queries_of(run: Run, evaluation: Evaluation) -> dict[str, str]:
    """What decides which rows are hidden, beyond the protocol."""
    recipe = run.recipe
    return {
        "seeds": ", ".join(map(str, run.record.seeds)),
        "split_seed": "none" if recipe.split_seed is None else str(recipe.split_seed),
        "folds": str(recipe.split.get("folds", "none")),
        "queries": f"{len(evaluation):,}",
    }


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """The fields whose values differ, each with both."""
    return "; ".join(f"{name}: {value!r} and {other[name]!r}" for name, value in one.items() if value != other[name])


def _other_users(one: Evaluation, other: Evaluation) -> str:
    a, b = (set(e.users.decode(range(len(e.users)))) for e in (one, other))
    if a == b:
        return "of the same users in another order"
    return f"users: {counted(len(a - b), 'user')} only in the first, {counted(len(b - a), 'user')} only in the second"


def _columns(evaluation: Evaluation) -> str:
    return ", ".join(named(*column) for column in evaluation.columns)
