"""Writing what a unit leaves, and the run folder's files that are put together from all units.

Values per query are never all in memory: they go from the parts' files into metrics.parquet as a stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.evaluate import Evaluation
from matinee.files import atomic_folder, atomic_path, atomic_write
from matinee.rank import Recommendations
from matinee.study.folder import METRICS, PER_QUERY, RUN, UNIT, UNIT_LISTS, UNIT_VALUES, RunFolder, Unit
from matinee.study.results import LISTS, RunRecord, UnitRecord, utc


def write_unit(
    folder: RunFolder,
    unit: Unit,
    record: UnitRecord,
    evaluations: Sequence[tuple[str, Evaluation]],
    recs: Recommendations | None,
) -> None:
    """Write a unit's part; with it the unit is done. evaluations: (part of the split, values)."""
    per_query = [
        e.per_query().with_columns(split=pl.lit(part), protocol=pl.lit(e.protocol.fingerprint))
        for part, e in evaluations
    ] or [pl.DataFrame(schema={"query": pl.Int32, "k": pl.Int32})]  # the model could answer nothing that is measured
    per_run = pl.concat(per_query, how="diagonal").with_columns(
        seed=pl.lit(unit.seed), fold=pl.lit(unit.fold, pl.Int32)
    )
    with atomic_folder(folder / unit.part) as temp:
        per_run.write_parquet(temp / UNIT_VALUES)
        if recs is not None:
            np.savez(temp / UNIT_LISTS, **{name: getattr(recs, name) for name in LISTS})
        (temp / UNIT).write_text(record.to_json(), "utf-8", newline="\n")


def collect(folder: RunFolder, units: Sequence[Unit], *, warnings: Sequence[str], **facts: Any) -> None:
    """Write metrics.json, metrics.parquet and run.json from all parts. warnings, facts: what run.json says of the study
    as a whole."""
    parts = [folder.record(unit) for unit in units]
    first = {unit.model.label: part for unit, part in zip(units, parts, strict=True) if unit.first}
    kinds: dict[str, str] = {}  # seeds and folds warn of the same with other shares: the first of each is kept
    for text in (*warnings, *(text for part in parts for text in part.warnings)):
        kinds.setdefault(re.sub(r"[\d.,]+ ?%", "%", text), text)
    record = RunRecord(
        **facts,
        warnings=tuple(kinds.values()),
        splitting={f"seed-{part.costs.seed}": part.splitting for part in parts},
        costs=tuple(part.costs for part in parts),
        curves={label: part.curve for label, part in first.items() if part.curve is not None},
        calibration={label: part.calibration for label, part in first.items() if part.calibration},
        fit_summaries={label: part.fit_summary for label, part in first.items() if part.fit_summary},
        protocols={fingerprint: words for part in parts for fingerprint, words in part.protocols.items()},
        remarks={fingerprint: texts for part in reversed(parts) for fingerprint, texts in part.remarks.items()},
        finished=utc(max((folder / unit.part / UNIT).stat().st_mtime for unit in units)),
    )
    rows = ",\n".join(json.dumps(row.columns()) for part in parts for row in part.metrics)
    atomic_write(folder / METRICS, f"[\n{rows}\n]\n")
    _stream([folder / unit.part / UNIT_VALUES for unit in units], folder / PER_QUERY)
    atomic_write(folder / RUN, record.to_json())


def _stream(sources: Sequence[Path], target: Path) -> None:
    """All tables under each other, in their order, without holding them. An empty one is left out: it does not know
    the columns' types."""
    tables = [pl.scan_parquet(source) for source in sources]
    filled = [table for table in tables if table.select(pl.len()).collect().item()]
    with atomic_path(target) as temp:
        pl.concat(filled or tables, how="diagonal_relaxed").sink_parquet(temp)
