"""A finished run, read: `run = mt.open_run("runs/x")`, then run.metrics, run.model("ease"), run.curves ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from matinee.data.dataset import Protocol, Split
from matinee.data.frames import log_size
from matinee.errors import MatineeError, counted
from matinee.evaluate.evaluate import named
from matinee.explore import Analysis
from matinee.files import StrPath
from matinee.models.base import Model
from matinee.notebook import html_notes, html_panel, html_table
from matinee.rank import Recommendations
from matinee.store import load_model
from matinee.study.folder import ANALYSIS, METRICS, PER_QUERY, RECIPE, REPORT, RUN, UNIT_LISTS, Unit, units_of
from matinee.study.recipe import Recipe, load_recipe
from matinee.study.results import LISTS, Curve, MetricRow, RunRecord, read_rows, utc


@dataclass(frozen=True)
class Run:
    """A finished run. path: its folder. record: run.json. Other files are read when they are first asked for.

    Models, recommendations and curves are those of the first seed (and fold).
    """

    path: Path
    record: RunRecord

    @cached_property
    def rows(self) -> tuple[MetricRow, ...]:
        """metrics.json: a row a mean."""
        return read_rows(self.path / METRICS)

    @cached_property
    def metrics(self) -> pl.DataFrame:
        """The same as a table: label, model, split, metric, k (null: no cut-off), value, ci_low, ci_high, n_queries,
        seed, protocol; and fold, where the study cross-validates."""
        schema = {"k": pl.Int64(), **dict.fromkeys(("value", "ci_low", "ci_high"), pl.Float64())}
        return pl.DataFrame([row.columns() for row in self.rows], schema_overrides=schema, infer_schema_length=None)

    def per_query(self) -> pl.LazyFrame:
        """The values behind the means, one row a query: query, user_id, label, metric, k, value, split, protocol, seed,
        fold."""
        return pl.scan_parquet(self.path / PER_QUERY)

    def recommendations(self, label: str) -> pl.DataFrame:
        """user_id, item_id, score, rank (from 1): a model's lists for the test."""
        return pl.read_parquet(self.path / self._unit(label).recommendations)

    def model(self, label: str) -> Model:
        """The fitted model."""
        return load_model(self.path / self._unit(label).saved_model)

    def lists(self, label: str, split: Split) -> Recommendations:
        """The same as `recommendations`, as `recommend` returned them. split: the run's first."""
        with np.load(self.path / self._unit(label).part / UNIT_LISTS, allow_pickle=False) as arrays:
            lists = {name: arrays[name] for name in LISTS}
        ids = split.train.users, split.train.items
        return Recommendations(*ids, split.test.queries.user, **lists, item_titles=split.train.item_titles)

    @cached_property
    def analysis(self) -> Analysis | None:
        """What the models recommend for the test of the first split (see `mt.analyse`), k the largest of the recipe;
        None in runs of older versions, and where no query has an answer."""
        return Analysis.read(self.path / ANALYSIS) if (self.path / ANALYSIS).is_file() else None

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe, every default written out."""
        return load_recipe(self.path / RECIPE)

    @property
    def labels(self) -> list[str]:
        """Of the models, in the recipe's order."""
        return [table.label for table in self.recipe.model]

    @property
    def curves(self) -> Mapping[str, Curve]:
        """By label, of the models that train in rounds."""
        return self.record.curves

    @cached_property
    def costs(self) -> pl.DataFrame:
        """One row a model and split: label, seed, fold, fit_seconds, recommend_seconds, peak_mb (null: unknown)."""
        rows = [(c.label, c.seed, c.fold, c.fit.seconds, c.recommend.seconds, c.peak_mb) for c in self.record.costs]
        schema = {"label": pl.String, "seed": pl.Int64, "fold": pl.Int64}
        schema |= dict.fromkeys(("fit_seconds", "recommend_seconds", "peak_mb"), pl.Float64)
        return pl.DataFrame(rows, schema, orient="row")

    @property
    def protocols(self) -> Mapping[str, Protocol]:
        """By fingerprint."""
        return self.record.protocols

    @property
    def finished(self) -> str:
        """When it was done, ISO 8601 in UTC; of a run of an older version the time of its run.json."""
        return self.record.finished or utc((self.path / RUN).stat().st_mtime)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Each kind once."""
        return self.record.warnings

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know of the split."""
        return self.record.notes

    @property
    def report(self) -> Path:
        return self.path / REPORT

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {', '.join(self.labels)})"

    def _repr_html_(self) -> str:
        data = self.record.data
        size = log_size(data.name, data.events, data.users, data.items)
        seeds = f"{'means of seeds' if len(self.record.seeds) > 1 else 'seed'} {', '.join(map(str, self.record.seeds))}"
        tables = [_means(self.rows, protocol, words) for protocol, words in self.protocols.items()]
        n = len(self.warnings)
        warned = f"{counted(n, 'warning')}: see .warnings" if n else ""
        title = self.record.title or self.path.resolve().name
        return html_panel(title, html_notes(size, seeds), *tables, html_notes(warned, str(self.report)))

    def _unit(self, label: str) -> Unit:
        for unit in units_of(self.recipe):
            if unit.model.label == label:
                return unit
        hint = f"use one of: {', '.join(self.labels)}"
        raise MatineeError(f"no model is called {label!r}", where=str(self.path), hint=hint)


def _means(rows: Sequence[MetricRow], protocol: str, words: Protocol) -> str:
    """HTML: the means of the test under one protocol, over seeds and folds; "" where none was measured."""
    cells: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.split == "test" and row.protocol == protocol and row.value is not None:
            of_label = cells.setdefault(row.label, {})
            of_label.setdefault(named(row.metric, row.k or 0), []).append(row.value)
    if not cells:
        return ""
    columns = list(dict.fromkeys(column for of_label in cells.values() for column in of_label))
    lines = (
        [label, *(f"{np.mean(of_label[c]):.4f}" if c in of_label else None for c in columns)]
        for label, of_label in cells.items()
    )
    table = html_table(["model", *columns], lines, numbers=range(1, len(columns) + 1), named=True)
    return table + html_notes(f"{words} [{protocol}]")


def open_run(path: StrPath) -> Run:
    """The run in a folder, or in the folder of one of its files. Raises MatineeError where no finished run is.

    Example: `run = mt.open_run("runs/small")`
    """
    folder = Path(path).parent if Path(path).is_file() else Path(path)
    if not folder.exists():
        raise MatineeError("there is no such folder", where=str(folder), hint="check the path")
    for name in (METRICS, PER_QUERY, RECIPE, RUN):
        if not (folder / name).is_file():
            hint = "name a folder that `matinee run` finished; start it again with the same --out to finish it"
            raise MatineeError(f"no finished run is here: there is no {name}", where=str(folder), hint=hint)
    return Run(folder, RunRecord.read(folder / RUN))
