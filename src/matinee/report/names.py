"""Names of models as people write them: iALS for a model that the recipe calls ials. What a user called it is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import polars as pl

from matinee.explore.analysis import FRAMES, Analysis
from matinee.models.names import locations
from matinee.report.study import Study

WRITTEN = {
    "ials": "iALS", "svd_ae": "SVD-AE", "multi_dae": "Multi-DAE", "multi_vae": "Multi-VAE", "admm_slim": "ADMM-SLIM",
    "biased_mf": "Biased MF", "bayesian_mf": "Bayesian MF", "autoint_plus": "AutoInt+", "deepfm": "DeepFM",
}  # fmt: skip
"""Where a class is not called as people write the model."""

Part = TypeVar("Part")


def written(model: str) -> str:
    """A registry name as people write it: that of its class, where nothing else is known."""
    location = locations().get(model)
    return WRITTEN.get(model) or (model if location is None else location.rpartition(":")[2])


def readable(models: Mapping[str, str]) -> dict[str, str]:
    """label -> name. models: label -> registry name. A label is kept where the user chose it, and where the name is
    another one's already."""
    names = {label: written(model) if label == model else label for label, model in models.items()}
    often = Counter(names.values())
    return {label: name if often[name] == 1 else label for label, name in names.items()}


def with_names(study: Study) -> Study:
    """The study with each label in its readable form, members of ensembles too."""
    models: dict[str, str] = {}
    if not study.metrics.is_empty():
        models = dict(study.metrics.select("label", "model").unique("label", maintain_order=True).iter_rows())
    names = readable(models)

    def renamed(parts: Mapping[str, Part]) -> dict[str, Part]:
        return {names.get(label, label): part for label, part in parts.items()}

    return replace(
        study,
        metrics=_relabelled(study.metrics, names),
        per_query=_relabelled(study.per_query, names),
        costs=_relabelled(study.costs, names),
        recommendations=renamed(study.recommendations),
        curves=renamed(study.curves),
        calibration=renamed(study.calibration),
        analysis=study.analysis and _of_analysis(study.analysis, names),
        hyper_parameters={
            label: _named_members(values, names) for label, values in renamed(study.hyper_parameters).items()
        },
    )


Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame, pl.DataFrame | pl.LazyFrame)


def _relabelled(frame: Frame, names: Mapping[str, str], columns: Sequence[str] = ("label",)) -> Frame:
    changed = {label: name for label, name in names.items() if label != name}
    there = [column for column in columns if column in frame.lazy().collect_schema().names()]
    if not changed or not there:
        return frame
    return frame.with_columns(pl.col(there).cast(pl.String).replace(changed))


def _of_analysis(found: Analysis, names: Mapping[str, str]) -> Analysis:
    frames: dict[str, Any] = {name: _relabelled(getattr(found, name), names, ("label", "a", "b")) for name in FRAMES}
    return replace(found, labels=tuple(names.get(label, label) for label in found.labels), **frames)


def _named_members(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Models that a model is made of: the members of an ensemble, the base of lists that are ordered anew."""
    out = dict(values)
    for field in ("members", "base"):
        given = values.get(field)
        if isinstance(given, str):
            out[field] = names.get(given, given)
        elif isinstance(given, list | tuple):
            out[field] = [names.get(one, one) if isinstance(one, str) else one for one in given]
    return out
