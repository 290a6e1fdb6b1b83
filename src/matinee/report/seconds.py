"""What a study's models cost in seconds, one number a label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from matinee.report.study import Study


def medians(costs: pl.DataFrame, column: str) -> dict[str, float]:
    """The median of a column over the runs, by label; labels without a value are left out."""
    if costs.is_empty():
        return {}
    middle = costs.group_by("label", maintain_order=True).agg(pl.col(column).median())
    return {label: value for label, value in middle.iter_rows() if value is not None}


def composites(study: Study) -> list[str]:
    """Labels of the models that are made of others."""
    own = dict.fromkeys(medians(study.costs, "fit_seconds"), 1.0)
    return [label for label in own if _with_members(label, own, study.hyper_parameters, ()) > 1]


def fit_seconds(study: Study) -> dict[str, float]:
    """What fitting took, by label; of a model made of others with what these took."""
    own = medians(study.costs, "fit_seconds")
    return {label: _with_members(label, own, study.hyper_parameters, ()) for label in own}


def _with_members(
    label: str, own: Mapping[str, float], values: Mapping[str, Mapping[str, Any]], above: tuple[str, ...]
) -> float:
    given = values.get(label, {}).values()
    named = {
        one for each in given for one in (each if isinstance(each, list | tuple) else (each,)) if isinstance(one, str)
    }
    others = [one for one in named if one in own and one != label and one not in above]
    return own[label] + sum(_with_members(one, own, values, (*above, label)) for one in others)
