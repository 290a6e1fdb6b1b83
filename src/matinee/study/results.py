"""What a unit and a run leave, declared once: the same types write unit.json, run.json and metrics.json and read them.

A run's files: recipe.toml, run.json (RunRecord), metrics.json (MetricRow), metrics.parquet (values per query),
recommendations/LABEL.parquet, models/LABEL/, logs/, report.html. What a unit leaves lies in parts/ (UnitRecord).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, PlainSerializer, ValidationError

from matinee.data.dataset import Protocol
from matinee.data.moments import moment_of
from matinee.data.side_table_report import SideTableReport
from matinee.errors import MatineeError
from matinee.evaluate import Bin, Finding
from matinee.profiling import ResourceUsage

SCHEMA = 1
LISTS = ("item", "score", "tied", "fallback")  # what is kept of Recommendations
CalibrationBin = Annotated[Bin, PlainSerializer(Bin._asdict)]


class Record(BaseModel):
    """Something kept as JSON. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MetricRow(Record):
    """A mean over queries. k: None where the metric has no cut-off. value and its 95 % interval: None where unknown.
    fold: written only where the study cross-validates."""

    label: str
    model: str
    split: Literal["valid", "test"]
    metric: str
    k: int | None
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n_queries: int
    seed: int
    protocol: str
    fold: int | None = None

    def columns(self) -> dict[str, Any]:
        return self.model_dump(exclude={"fold"} if self.fold is None else None)


class Curve(Record):
    """A training, one row a round: epoch, train_loss, valid_metric (more is better: an error has a minus; None: not
    measured). rounds: "epochs" or "trees". loss, validation: what the two columns measure."""

    rounds: str
    loss: str
    validation: str
    rows: tuple[dict[str, float | None], ...]


class UnitCosts(Record):
    """What a unit's last fit and its answers to the test took."""

    label: str
    seed: int
    fold: int | None
    fit: ResourceUsage
    recommend: ResourceUsage

    @property
    def peak_mb(self) -> float | None:
        """Of both; None where it is unknown."""
        return max(self.fit.peak_mb or 0, self.recommend.peak_mb or 0) or None


class Stored(Record):
    """A file of its own, with the version of its layout."""

    schema_version: int = SCHEMA

    def to_json(self) -> str:
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises MatineeError for a file in another version's layout, and for one that cannot be read."""
        try:
            content = json.loads(path.read_text("utf-8"))
            version = content.get("schema_version", "none") if isinstance(content, dict) else "none"
            if version == SCHEMA:
                return cls.model_validate(content)
        except (OSError, ValueError) as error:
            raise unreadable(path, error) from None
        what = f"written with schema version {version}, this library reads {SCHEMA}"
        raise MatineeError(what, where=str(path), hint="run the study again")


class UnitRecord(Stored):
    """unit.json: all that one model on one split gave, but for values per query and lists.

    protocols, remarks: by a protocol's fingerprint; remarks are sentences a reader of those numbers should know.
    curve: of the fit on train. fit_summary: what the fit found, e.g. an ensemble's weights. calibration: of the test.
    """

    metrics: tuple[MetricRow, ...]
    protocols: dict[str, Protocol]
    remarks: dict[str, tuple[str, ...]]
    costs: UnitCosts
    splitting: ResourceUsage
    curve: Curve | None
    fit_summary: str
    calibration: tuple[CalibrationBin, ...]
    warnings: tuple[str, ...]


class DataFacts(Record):
    """The log after filters."""

    name: str
    fingerprint: str
    events: int
    users: int
    items: int
    side_tables: tuple[SideTableReport, ...]


class RunRecord(Stored):
    """run.json. audit: of the first split. notes: what that split noted. warnings: each kind once. splitting: by seed
    ("seed-0"). curves, calibration, fit_summaries: by label, of the first split. protocols, remarks: as in
    UnitRecord. finished: when the last unit was done, as ISO 8601 in UTC; "" in runs of older versions."""

    title: str
    command: str
    seeds: tuple[int, ...]
    data: DataFacts
    machine: dict[str, str]
    reading: ResourceUsage
    audit: tuple[Finding, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    splitting: dict[str, ResourceUsage]
    costs: tuple[UnitCosts, ...]
    curves: dict[str, Curve]
    calibration: dict[str, tuple[CalibrationBin, ...]]
    fit_summaries: dict[str, str]
    protocols: dict[str, Protocol]
    remarks: dict[str, tuple[str, ...]]
    finished: str = ""


def utc(seconds: float) -> str:
    """A moment, in seconds since 1970, as ISO 8601 in UTC."""
    return moment_of(seconds).isoformat(timespec="milliseconds")


def read_rows(path: Path) -> tuple[MetricRow, ...]:
    try:
        return tuple(MetricRow.model_validate(row) for row in json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: Exception) -> MatineeError:
    first = error.errors()[0] if isinstance(error, ValidationError) else None
    what = str(error) if first is None else f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return MatineeError(f"cannot be read ({what})", where=str(path), hint="run the study again")
