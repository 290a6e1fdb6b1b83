"""A model fitted anew with the events of a store, held to a gate, and swapped into the service that runs.

What is held out is the latest part of the new events. The model that serves may have learned from none of them, but the
new one shall: so neither is measured as it is. For the check both are fitted as they would have been at the cut: the
old one on its log, the new one on log and events, both without anything from the cut on. Both are asked about the same
people with the same histories, and judged by what those did after the cut. The model that is saved is then fitted on
everything; it is not the one that was measured, but one that has seen more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from matinee.data.dataset import Dataset, Holdout, Protocol
from matinee.errors import MatineeError, counted
from matinee.evaluate import evaluate
from matinee.evaluate.gates import CONFIDENCE, Gate, try_gate
from matinee.files import StrPath, atomic_write
from matinee.models.base import Model
from matinee.models.registry import name_of
from matinee.rank import recommend
from matinee.serve.events.export import event_frame
from matinee.serve.events.joined import Joined, joined
from matinee.serve.events.store import EventStore
from matinee.serve.events.swap import Swapped, served_name, swap_in
from matinee.split.dislikes import known_until, of_part
from matinee.split.parts import VisibleRows, holdout
from matinee.store import load_model, read_manifest, save_model
from matinee.study.data_table import DataTable
from matinee.study.gate import GateRecord
from matinee.study.recipe import load_recipe
from matinee.study.results import Record, utc
from matinee.version import __version__

if TYPE_CHECKING:
    import polars as pl

Tell = Callable[[str], None]
GATE = "ndcg@10=-0.5%"
HELD_OUT = 0.2


class FittedFacts(Record):
    """A model of a decision. sha256: of its manifest, which covers every file of it; None: not saved, since it is not
    let in."""

    folder: str
    model: str
    data: str
    events: int
    sha256: str | None

    @classmethod
    def of(cls, folder: StrPath, model: Model, data: Dataset, *, saved: bool = True) -> Self:
        digest = read_manifest(Path(folder)).digest if saved else None
        return cls(folder=str(folder), model=name_of(model), data=data.name, events=len(data), sha256=digest)


class RefitDecision(Record):
    """What `refit` found, for keeping: `to_json`, and `read` for such a file. may_replace: whether every gate is
    passed; also where there was none to pass. cut: from which second events were held out; held_out: how many, of how
    many people; None where there was no gate. added: events of the store that were added to the log; repeated: those
    that the log had already."""

    schema_version: Literal[1] = 1
    written: str
    matinee: str
    may_replace: bool
    verdict: str
    store: str
    added: int
    repeated: int
    cut: str | None
    held_out: int | None
    people: int | None
    confidence: float
    seed: int
    old: FittedFacts
    new: FittedFacts
    gates: tuple[GateRecord, ...]
    protocol: Protocol | None

    def to_json(self) -> str:
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def read(cls, path: StrPath) -> Self:
        """Raises MatineeError for a file that holds no decision."""
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            what = str(error).splitlines()[0]
            raise MatineeError(
                f"holds no decision of `refit` ({what})", where=str(path), hint="check the path"
            ) from None


@dataclass(frozen=True, repr=False)
class Refit:
    """What `refit` did. model: the new one, None where it is not let in. swapped: what the service said."""

    decision: RefitDecision
    model: Model | None
    out: Path | None
    swapped: Swapped | None = None

    def __str__(self) -> str:
        found = self.decision
        lines = [f"{counted(found.added, 'event')} added to {counted(found.old.events, 'event')} of {found.old.data}"]
        lines += [f"{'passed' if gate.passed else 'failed'}  {gate.verdict}" for gate in found.gates]
        lines += [found.verdict]
        lines += [] if self.out is None else [f"saved to {self.out}"]
        return "\n".join(lines if self.swapped is None else [*lines, str(self.swapped)])

    __repr__ = __str__


def refit(
    model: StrPath,
    events: str,
    out: StrPath,
    *,
    log: StrPath | Dataset | None = None,
    gate: str | Sequence[str] | None = GATE,
    held_out: float = HELD_OUT,
    confidence: float = CONFIDENCE,
    dislike_below: float | None = None,
    record: StrPath | None = None,
    swap: str | None = None,
    name: str | None = None,
    token: str | None = None,
    data_dir: StrPath | None = None,
    seed: int = 0,
    tell: Tell | None = None,
) -> Refit:
    """Fit a saved model again on its log and the events of a store, save it to `out` if it passes the gates, and let a
    running service swap it in.

    log: a file, a named data set, a recipe whose [data] says it, or a Dataset; when left out, the log that the model
    was saved with. Events that the log has already count once. gate: as in `gate`, one or several, "ndcg@10=-0.5%";
    None: no check. held_out: the latest share of the events by which old and new are compared; see this module. The
    hyper-parameters are the old model's, and the numbers of rounds that were best for it. dislike_below: events rated
    lower are dislikes. record: a JSON file for the decision; when left out, OUT.decision.json beside `out`.

    swap: the address of a service, which has the model under `name` (when left out, as `serve` names the folder): the
    new model takes the place of the folder `model`, the old one is kept beside it as MODEL.previous, and the service
    is told to load it. If it refuses, the old folder is put back. token: what the service asks for. tell: is told each
    step.

    A model that does not pass is not saved. Raises MatineeError for a store without new events, a log without times
    where there is a gate, gates of another form, and a service that refuses.

    Example: `mt.refit("models/ease", "events.db", "models/next", gate=None)`
    """
    asked = [Gate.parse(text) for text in ([gate] if isinstance(gate, str) else gate or ())]
    tell, old, target = tell or _silent, load_model(model), Path(out)
    if target.resolve() == Path(model).resolve():
        raise MatineeError("the new model would replace the old one", where=str(out), hint="choose another folder")
    name = None if swap is None else served_name(swap, Path(model), name, token)
    whole = _log(log, old, data_dir)
    with EventStore.open(events, create=False) as store:
        frame, where = event_frame(store, dislike_below=dislike_below), store.where
    both = joined(whole, frame, ratings_only=old.predicts())
    check = _Check.of(both, frame, held_out) if asked else None
    gates = () if check is None else check.tried(Path(model), asked, confidence, seed, tell)
    fitted: Model | None = None
    if all(one.passed for one in gates):
        tell(f"fitting {name_of(old)} on {counted(len(both.data), 'event')}")
        fitted = load_model(model).for_refit().fit(both.data, seed=seed)
        save_model(fitted, target)
    facts = [FittedFacts.of(model, old, whole), FittedFacts.of(out, old, both.data, saved=fitted is not None)]
    decision = _decision(facts, both, where, check, gates, confidence, seed)
    atomic_write(target.with_name(f"{target.name}.decision.json") if record is None else record, decision.to_json())
    swapped = None
    if fitted is not None and swap is not None and name is not None:
        swapped = swap_in(swap, Path(model), target, name=name, token=token)
    return Refit(decision, fitted, None if fitted is None else target, swapped)


def _decision(
    facts: Sequence[FittedFacts], both: Joined, store: str, check: _Check | None, gates: Sequence[GateRecord],
    confidence: float, seed: int,
) -> RefitDecision:  # fmt: skip
    """The record of it. facts: of the old model, then of the new one."""
    parts: dict[str, Any] = {"cut": None, "held_out": None, "people": None, "protocol": None}
    if check is not None:
        parts = {"cut": utc(check.cut), "held_out": check.n, "people": len(check.holdout)}
        parts["protocol"] = check.holdout.protocol
    return RefitDecision(
        written=utc(time.time()), matinee=__version__, may_replace=all(one.passed for one in gates),
        verdict=_verdict(gates, confidence), store=store, added=both.added, repeated=both.repeated, **parts,
        confidence=confidence, seed=seed, old=facts[0], new=facts[1], gates=tuple(gates),
    )  # fmt: skip


@dataclass(frozen=True)
class _Check:
    """What old and new are compared on. before, old: the logs they are fitted on. n: events from the cut on."""

    holdout: Holdout
    before: Dataset
    old: Dataset
    cut: int
    n: int

    @classmethod
    def of(cls, both: Joined, events: pl.DataFrame, held_out: float) -> Self:
        """From the latest share of the store's events on, everything is hidden. Raises MatineeError."""
        if not 0 < held_out < 1:
            raise MatineeError(f"held_out is {held_out!r}", hint="a share between 0 and 1, such as 0.2")
        data = both.data
        if data.timestamp is None:
            what = "the log has no times, so it is not known what came before the events"
            raise MatineeError(what, where=data.name, hint="name its column of times, or go without a gate")
        times = np.sort(np.floor(events["time"].to_numpy()).astype(np.int64))
        cut = int(times[min(int((1 - held_out) * len(times)), len(times) - 1)])
        hidden = data.timestamp >= cut
        seen = VisibleRows("train", ~hidden)
        until = known_until(data, seen.rows, cut)
        words = f"refit, the events from {utc(cut)} on"
        test = holdout(data, hidden, ("test", words), seen, seen, time=cut, until=until)
        parts = [of_part(data, seen.rows & rows, until) for rows in (np.ones(len(data), np.bool_), ~both.new)]
        if not len(parts[1]) or not len(parts[0]) > len(parts[1]) or not len(test.truth.values):
            what = f"of the events before and after {utc(cut)} one part is empty"
            raise MatineeError(what, where=data.name, hint="wait for more events, or choose another share to hold out")
        return cls(test, parts[0], parts[1], cut, int(hidden.sum()))

    @property
    def words(self) -> str:
        return f"{counted(self.n, 'event')} of {counted(len(self.holdout), 'person', 'people')} from {utc(self.cut)} on"

    def tried(
        self, folder: Path, gates: Sequence[Gate], confidence: float, seed: int, tell: Tell
    ) -> tuple[GateRecord, ...]:
        """Each gate, by both models fitted as they would have been at the cut."""
        tell(f"comparing on {self.words}")
        k = max([gate.k for gate in gates] + [1])
        lists = {}
        for label, data in (("new", self.before), ("old", self.old)):
            fitted = load_model(folder).for_refit().fit(data, seed=seed)
            lists[label] = recommend(fitted, self.holdout.queries, k)
        found = []
        for gate in gates:
            joint = evaluate(lists, self.holdout, k=gate.k or k, metrics=[gate.metric], train=self.before)
            result = try_gate(joint, "new", "old", gate, confidence)
            found.append(GateRecord.of(result, self.holdout.protocol.fingerprint))
        return tuple(found)


def _log(given: StrPath | Dataset | None, model: Model, data_dir: StrPath | None) -> Dataset:
    """The log without the events. Raises MatineeError where a model was saved without one."""
    if isinstance(given, Dataset):
        return given
    if given is None:
        if not len(model.data):
            what = "this model was saved without histories, so its log is not here"
            raise MatineeError(what, hint="name the log it was fitted on")
        return model.data
    if Path(given).suffix == ".toml":
        return load_recipe(given).load_data(data_dir)
    return DataTable.of(given, {}).load(data_dir)


def _verdict(gates: Sequence[GateRecord], confidence: float) -> str:
    failed = [one.gate for one in gates if not one.passed]
    if not gates:
        return "The new model was not compared with the old one: no gate was asked for."
    if failed:
        return f"The new model may not replace the old one: it is not shown to pass {', '.join(failed)}."
    passed = ", ".join(one.gate for one in gates)
    return f"The new model may replace the old one: it passes {passed} with {100 * confidence:.4g} % confidence."


def _silent(_: str) -> None:
    """Nobody listens."""
