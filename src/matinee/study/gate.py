"""May a new model replace the one in production? Gates of non-inferiority, and the record of the decision."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from matinee.data.dataset import Protocol
from matinee.errors import MatineeError, listed, option
from matinee.evaluate import Evaluation
from matinee.evaluate.gates import CONFIDENCE, Gate, GateResult, try_gate
from matinee.files import StrPath, atomic_write, sha256
from matinee.store import MANIFEST
from matinee.study.compare import joint_evaluation, opened_runs, unique_labels
from matinee.study.folder import PER_QUERY, RECIPE
from matinee.study.reader import Run
from matinee.study.results import Record, unreadable, utc
from matinee.version import __version__


class ModelFacts(Record):
    """Which model of which run it was. settings: its hyper-parameters. data: the log's fingerprint. The SHA-256 are of
    the recipe, of the values per query that were compared, and of the saved model's manifest (None: not kept)."""

    run: str
    title: str
    finished: str
    label: str
    model: str
    settings: dict[str, Any]
    seeds: tuple[int, ...]
    data: str
    recipe_sha256: str
    values_sha256: str
    model_sha256: str | None

    @property
    def words(self) -> str:
        return f"{self.label} ({self.run})"


class GateRecord(Record):
    """A `GateResult`, and the protocol's fingerprint. gate: as it was asked for. bound: the lower end of the one-sided
    interval, or the upper one where `lower_is_better`. None: unknown, as of one user alone."""

    gate: str
    metric: str
    k: int | None
    lower_is_better: bool
    relative: bool
    margin: float
    new: float
    old: float
    difference: float
    bound: float | None
    p: float | None
    n_queries: int
    n_users: int
    passed: bool
    users_needed: int | None
    verdict: str
    protocol: str

    @classmethod
    def of(cls, result: GateResult, protocol: str) -> Self:
        gate = result.gate
        names = ("margin", "new", "old", "difference", "n_queries", "n_users", "passed", "users_needed")
        known = {name: None if math.isnan(end := getattr(result, name)) else end for name in ("bound", "p")}
        return cls(
            gate=str(gate), metric=gate.metric, k=gate.k or None, lower_is_better=gate.lower_is_better,
            relative=gate.relative, **{name: getattr(result, name) for name in names}, **known,
            verdict=result.sentence, protocol=protocol,
        )  # fmt: skip


class Decision(Record):
    """What `gate` found, for keeping: `to_json`, and `read` for such a file. may_replace: whether every gate is passed.
    written: ISO 8601 in UTC. protocols: by fingerprint."""

    schema_version: Literal[1] = 1
    written: str
    matinee: str
    may_replace: bool
    verdict: str
    confidence: float
    part: str
    new: ModelFacts
    old: ModelFacts
    gates: tuple[GateRecord, ...]
    protocols: dict[str, Protocol]

    def to_json(self) -> str:
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: StrPath) -> Self:
        """Raises MatineeError for a file that holds no decision."""
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            raise unreadable(Path(path), error) from None

    def __str__(self) -> str:
        lines = [f"{'passed' if gate.passed else 'failed'}  {gate.verdict}" for gate in self.gates]
        return "\n".join([*lines, self.verdict])

    __repr__ = __str__


def gate(
    new: StrPath | Run, old: StrPath | Run, gates: str | Sequence[str], *, new_label: str | None = None,
    old_label: str | None = None, confidence: float = CONFIDENCE, part: str = "test", protocol: str | None = None,
    record: StrPath | None = None,
) -> Decision:  # fmt: skip
    """Whether the model of the run `new` may replace that of the run `old`: a test of non-inferiority for each gate.

    gates: one or several of the form "ndcg@10=-0.5%": new minus old may be 0.5 % of the old mean below 0, or better;
    without % the margin is absolute. A gate is passed where the whole one-sided interval of the paired difference (at
    `confidence`, by Student's t over users) keeps to the margin. All must be passed, so none needs a correction
    (Berger, Technometrics 1982). new_label, old_label: which model, of runs with several; new and old may be one run.
    part, protocol: as in `compare`. record: a JSON file for the decision, which is replaced.

    Raises MatineeError for runs that do not compare, a metric that was not measured, and a gate of another form.

    Example: `mt.gate("runs/small", "runs/small", "ndcg@10=-0.5%", new_label="ease", old_label="popularity")`
    """
    asked = [Gate.parse(text) for text in ([gates] if isinstance(gates, str) else gates)]
    if not asked:
        raise MatineeError("there is no gate", hint="name at least one, e.g. ndcg@10=-0.5%")
    runs = opened_runs([new, old])
    labels = [_label(runs[0], new_label, "new"), _label(runs[1], old_label, "old")]
    same = runs[0].path.resolve() == runs[1].path.resolve()
    if same and labels[0] == labels[1]:
        what = f"the new model and the old one are both {labels[0]!r} of {runs[0].path}"
        raise MatineeError(what, hint=f"name another: {', '.join(runs[0].labels)}")
    protocols: dict[str, Protocol] = {}
    found = []
    for one in asked:
        joint, (name, other) = _joint(runs, labels, same, one, part, protocol)
        protocols[joint.protocol.fingerprint] = joint.protocol
        found.append(GateRecord.of(try_gate(joint, name, other, one, confidence), joint.protocol.fingerprint))
    facts = [_facts(run, label) for run, label in zip(runs, labels, strict=True)]
    failed = [one for one in found if not one.passed]
    verdict = _verdict(facts, found, confidence)
    decision = Decision(
        written=utc(time.time()), matinee=__version__, may_replace=not failed, verdict=verdict, confidence=confidence,
        part=part, new=facts[0], old=facts[1], gates=tuple(found), protocols=protocols,
    )  # fmt: skip
    if record is not None:
        atomic_write(record, decision.to_json())
    return decision


def _label(run: Run, label: str | None, which: str) -> str:
    """The label asked for, or that of the run's only model."""
    if label is None and len(run.labels) == 1:
        return run.labels[0]
    if label not in run.labels:
        what = f"no model is called {label!r}" if label else f"has {len(run.labels)} models: which is the {which} one?"
        hint = f"add {option(f'{which}_label', run.labels[0])}, or another of {listed(run.labels)}"
        raise MatineeError(what, where=str(run.path), hint=hint)
    return label


def _joint(
    runs: Sequence[Run], labels: Sequence[str], same: bool, gate: Gate, part: str, protocol: str | None
) -> tuple[Evaluation, list[str]]:
    """The values of the two models by which the gate is tried, and how they are called there."""
    if same:
        return joint_evaluation(runs[:1], gate.metric, part, protocol, [labels]), list(labels)
    only = [[label] for label in labels]
    names = [name for of in unique_labels(runs, only) for name in of.values()]
    return joint_evaluation(runs, gate.metric, part, protocol, only), names


def _facts(run: Run, label: str) -> ModelFacts:
    (table,) = (table for table in run.recipe.model if table.label == label)
    manifest = run.path / "models" / label / MANIFEST
    return ModelFacts(
        run=str(run.path), title=run.record.title, finished=run.finished, label=label, model=table.name,
        settings=table.model_dump(mode="json", exclude={"name", "label"}, exclude_none=True), seeds=run.record.seeds,
        data=run.record.data.fingerprint, recipe_sha256=sha256(run.path / RECIPE),
        values_sha256=sha256(run.path / PER_QUERY), model_sha256=sha256(manifest) if manifest.is_file() else None,
    )  # fmt: skip


def _verdict(facts: Sequence[ModelFacts], found: Sequence[GateRecord], confidence: float) -> str:
    """The decision in a sentence."""
    failed = [one.gate for one in found if not one.passed]
    new, old = (each.words for each in facts)
    many = {1: f"the gate {found[0].gate}", 2: "both gates"}
    gates = many.get(len(found), f"all {len(found)} gates")
    if not failed:
        return f"{new} may replace {old}: it passes {gates} with {100 * confidence:.4g} % confidence."
    of = "" if len(found) == 1 else f" ({len(failed)} of {len(found)} gates)"
    return f"{new} may not replace {old}: it is not shown to pass {', '.join(failed)}{of}."
