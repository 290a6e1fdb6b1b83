"""A tuning made by hand: two models, pruned and failed trials, a value of none, choices that are lists."""

from __future__ import annotations

from pathlib import Path

from matinee.study.tuning.reader import Tuning
from matinee.study.tuning.records import AxisRecord, Change, LabelRecord, Look, Score, State, TrialRecord, TuningRecord


def trial(
    label: str, number: int, value: float | None, values: dict[str, object], state: State = "done", reason: str = ""
) -> TrialRecord:
    looks = (Look(round=3, value=0.01),) if state == "pruned" else ()
    return TrialRecord(
        label=label, number=number, state=state, own=number == 0, values=values, value=value, looks=looks,
        reason=reason, fit_seconds=1.5, measure_seconds=0.25,
    )  # fmt: skip


def axis(name: str, own: object, **given: object) -> AxisRecord:
    span = {"choices": (), "low": 0.0, "high": 0.0, "log": False, "importance": None} | given
    return AxisRecord.model_validate({"name": name, "own": own, **span})


def a_tuning(label: str = "net", title: str = "Films & <friends>", name: str = "rate") -> Tuning:
    trials = [
        trial(label, 0, 0.125, {name: 0.01, "layers": [64], "half_life": None}),
        trial(label, 1, 0.0731, {name: 0.0002, "layers": [128, 64], "half_life": 3.0}),
        trial(label, 2, None, {name: 0.9, "layers": [64], "half_life": 8.0}, "failed", "the loss is not finite"),
        trial(label, 3, None, {name: 0.5, "layers": [64], "half_life": 2.0}, "pruned", "after round 4: at best <0.01>"),
        trial(label, 4, 0.2371, {name: 0.0301234567, "layers": [128, 64], "half_life": 1.5}),
    ]
    raters = [trial("rater", n, value, {"k": 5 + n}) for n, value in enumerate((1.25, 0.98, 1.07))]
    axes = (
        axis(name, 0.01, low=1e-4, high=1.0, log=True, importance=0.625),
        axis("layers", [64], choices=([64], [128, 64]), importance=0.25),
        axis("half_life", None, low=1.0, high=9.0, importance=0.125),
    )
    net = LabelRecord(
        label=label, model="net", metric="ndcg@10", lower=False, axes=axes, default=trials[0], best=trials[4],
        test_before=Score(value=0.1111, ci_low=0.1001, ci_high=0.1221),
        test_after=Score(value=0.1222, ci_low=0.1112, ci_high=0.1332),
        change=Change(difference=0.0111, ci_low=-0.0009, ci_high=0.0231, test="wilcoxon", p=0.0625, n_users=12),
    )  # fmt: skip
    rater = LabelRecord(
        label="rater", model="rater", metric="rmse", lower=True, axes=(axis("k", 5, low=5, high=9),),
        default=raters[0], best=raters[1],
    )  # fmt: skip
    record = TuningRecord(
        title=title, command="matinee tune x.toml", data="films", fingerprint="f" * 16, seed=3, machine={"cores": "2"},
        labels=(net, rater), left_out={"popularity": "it has no hyper-parameter with a range"},
        trials=(*trials, *raters), seconds=99.0, search_seconds=15.0, warnings=("thin <ice>",),
    )  # fmt: skip
    return Tuning(Path("tuned"), record)
