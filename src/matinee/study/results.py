"""What the units of a study leave, and the files of the run folder that are put together from it.

Values per query are never all in memory: they go from the parts' files into metrics.parquet as a stream, and the report
reads from there what a table needs.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.data.dataset import Dataset, Protocol, Split
from matinee.data.side_table_report import SideTableReport
from matinee.evaluate import AuditReport, Bin, Evaluation
from matinee.files import atomic_folder, atomic_path, atomic_write
from matinee.rank import Recommendations
from matinee.study.folder import RunFolder, Unit

if TYPE_CHECKING:
    import polars as pl

METRIC_COLUMNS = (
    "label", "model", "split", "metric", "k", "value", "ci_low", "ci_high", "n_queries", "seed", "protocol",
)  # fmt: skip

LISTS = ("item", "score", "tied", "fallback")
"""What is kept of Recommendations."""


@dataclass(frozen=True)
class ReportInputs:
    """What the report shows beside the units' results. split: the first. side_tables: how much they describe."""

    title: str
    data: Dataset
    split: Split
    audited: AuditReport
    side_tables: Sequence[SideTableReport]


@dataclass(frozen=True)
class Collected:
    """metrics: the table of means (METRIC_COLUMNS). warnings: each kind once. notes: what the split noted."""

    metrics: pl.DataFrame
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def keep(
    folder: RunFolder,
    unit: Unit,
    evaluations: Sequence[tuple[str, Evaluation]],
    recs: Recommendations | None,
    facts: Mapping[str, Any],
) -> None:
    """Write a unit's part; with it the unit is done. evaluations: (part of the split, values). facts: for unit.json."""
    import polars as pl

    per_query = [
        e.per_query().with_columns(split=pl.lit(part), protocol=pl.lit(e.protocol.fingerprint))
        for part, e in evaluations
    ] or [pl.DataFrame(schema={"query": pl.Int32, "k": pl.Int32})]  # nothing that the model could be asked
    content = {
        "metrics": [_row(unit, part, mean) for part, e in evaluations for mean in e.to_frame().to_dicts()],
        "protocols": {e.protocol.fingerprint: asdict(e.protocol) for _, e in evaluations},
        "remarks": {e.protocol.fingerprint: e.notes for _, e in evaluations if e.notes},
        **facts,
    }
    with atomic_folder(folder / unit.part) as temp:
        pl.concat(per_query).with_columns(seed=pl.lit(unit.seed), fold=pl.lit(unit.fold, pl.Int32)).write_parquet(
            temp / "per_query.parquet"
        )
        if recs is not None:
            lists = {name: getattr(recs, name) for name in LISTS}
            np.savez(temp / "recommendations.npz", **lists)
        (temp / "unit.json").write_text(json.dumps(content), "utf-8")


def _row(unit: Unit, part: str, mean: Mapping[str, Any]) -> dict[str, Any]:
    row = {**mean, "model": unit.model.name, "split": part, "seed": unit.seed}
    ordered = {column: None if row[column] != row[column] else row[column] for column in METRIC_COLUMNS}  # no NaN
    return ordered if unit.fold is None else {**ordered, "fold": unit.fold}


def collect(
    folder: RunFolder,
    units: Sequence[Unit],
    inputs: ReportInputs,
    metadata: Mapping[str, Any],
    data_warnings: Sequence[str],
) -> Collected:
    """Put the run folder's files together from all parts; run.json is the last. head: its first entries. doubts:
    warnings about the data.
    """
    import polars as pl

    parts = [json.loads((folder / unit.part / "unit.json").read_text("utf-8")) for unit in units]
    rows = [row for part in parts for row in part["metrics"]]
    lines = ",\n".join(json.dumps(row) for row in rows)
    atomic_write(folder / "metrics.json", f"[\n{lines}\n]\n")
    _stream([folder / unit.part / "per_query.parquet" for unit in units], folder / "metrics.parquet")
    metrics = pl.DataFrame(rows, infer_schema_length=None)
    facts = {**metadata, **_facts(units, parts, inputs), "warnings": _distinct(data_warnings, parts)}
    _write_report(folder, [unit for unit in units if unit.first], inputs, metrics, facts)
    atomic_write(folder / "run.json", json.dumps(facts, indent=2, ensure_ascii=False, default=str) + "\n")
    return Collected(metrics, tuple(facts["warnings"]), tuple(facts["notes"]))


def kept(folder: RunFolder) -> Collected:
    """What `collect` returned when the study was finished."""
    import polars as pl

    rows, facts = (json.loads((folder / name).read_text("utf-8")) for name in ("metrics.json", "run.json"))
    metrics = pl.DataFrame(rows, infer_schema_length=None)
    return Collected(metrics, tuple(facts["warnings"]), tuple(facts["notes"]))


def _stream(sources: Sequence[Path], target: Path) -> None:
    """All tables under each other, in their order, without holding them. A model that could be asked nothing has an
    empty table, which knows no column's kind."""
    import polars as pl

    tables = [pl.scan_parquet(source) for source in sources]
    filled = [table for table in tables if table.select(pl.len()).collect().item()]
    with atomic_path(target) as temp:
        pl.concat(filled or tables, how="diagonal_relaxed").sink_parquet(temp)


def _facts(units: Sequence[Unit], parts: Sequence[Mapping[str, Any]], inputs: ReportInputs) -> dict[str, Any]:
    """run.json from the splitting on, but for the warnings."""
    both = list(zip(units, parts, strict=True))
    return {
        "splitting": {f"seed-{unit.seed}": part["splitting"] for unit, part in both},
        "costs": [
            {"label": unit.model.label, "seed": unit.seed, "fold": unit.fold, **part["costs"]} for unit, part in both
        ],
        **{
            what: {unit.model.label: part[one] for unit, part in both if unit.first and part[wanted]}
            for what, one, wanted in (
                ("curves", "curve", "curve"),
                ("curve_names", "curve_names", "curve"),
                ("calibration", "calibration", "calibration"),
            )
        },
        "found": {unit.model.label: part["found"] for unit, part in both if unit.first and part.get("found")},
        "protocols": {fingerprint: words for part in parts for fingerprint, words in part["protocols"].items()},
        "remarks": {fingerprint: texts for part in reversed(parts) for fingerprint, texts in part["remarks"].items()},
        "audit": [asdict(finding) for finding in inputs.audited.findings],
        "notes": list(inputs.split.notes),
    }


def _distinct(data_warnings: Sequence[str], parts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Seeds and folds say the same with other shares: the first of each is kept."""
    first: dict[str, str] = {}
    for text in (*data_warnings, *(text for part in parts for text in part["warnings"])):
        first.setdefault(re.sub(r"[\d.,]+ ?%", "%", text), text)
    return list(first.values())


def _write_report(
    folder: RunFolder, first: Sequence[Unit], inputs: ReportInputs, metrics: pl.DataFrame, facts: Mapping[str, Any]
) -> None:
    import polars as pl

    from matinee.report import Study, write_report

    data, split = inputs.data, inputs.split
    same_ids = split.train.users is data.users and split.train.items is data.items
    recs = {unit.model.label: _recommendations(folder / unit.part / "recommendations.npz", split) for unit in first}
    study = Study(
        title=inputs.title,
        data=data if same_ids else split.train,  # provided files may bring ids of their own
        split=split,
        metrics=metrics,
        protocols={fingerprint: Protocol(**fields) for fingerprint, fields in facts["protocols"].items()},
        findings=inputs.audited.findings,
        warnings=facts["warnings"],
        recommendations=recs,
        per_query=pl.scan_parquet(folder / "metrics.parquet"),
        costs=_costs(facts["costs"]),
        facts={"command": facts["command"], **facts["machine"]},
        curves=facts["curves"],
        curve_names=facts["curve_names"],
        side_tables=inputs.side_tables,
        remarks=facts["remarks"],
        calibration={label: [Bin(**one) for one in bins] for label, bins in facts["calibration"].items()},
        hyper_parameters=_hyper_parameters(folder.mark()["recipe"]),
    )
    write_report(study, folder / "report.html")


def _hyper_parameters(recipe: str) -> dict[str, dict[str, Any]]:
    """Of each label of a resolved recipe."""
    tables = tomllib.loads(recipe)["model"]
    return {table["label"]: {k: v for k, v in table.items() if k not in ("name", "label")} for table in tables}


def _costs(costs: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(
        {
            "label": [c["label"] for c in costs],
            "seed": [c["seed"] for c in costs],
            "fit_seconds": [c["fit"]["seconds"] for c in costs],
            "recommend_seconds": [c["recommend"]["seconds"] for c in costs],
            "peak_mb": [max(c["fit"]["peak_mb"] or 0.0, c["recommend"]["peak_mb"] or 0.0) or None for c in costs],
        }
    )


def _recommendations(path: Path, split: Split) -> Recommendations:
    with np.load(path, allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in LISTS}
    return Recommendations(split.train.users, split.train.items, split.test.queries.user, **found)
