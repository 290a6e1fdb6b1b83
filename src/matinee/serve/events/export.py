"""From an event store to files: a log that `read` and `fit` take, and what people were shown and then watched."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.data.read.options import gap_seconds
from matinee.errors import MatineeError, MatineeWarning, counted, either
from matinee.files import StrPath
from matinee.serve.events.store import IMPRESSION, EventStore
from matinee.submissions import check_format, write_submission

if TYPE_CHECKING:
    import polars as pl

DAY = 86_400
WEIGHTS = {"watch": 1.0, "rating": 1.0, "dislike": -1.0}
"""What each kind counts in a log of several kinds (see `mt.EventKinds`)."""
KIND = "event"
"""The column of kinds, by a name under which `read` looks for them."""


@dataclass(frozen=True)
class Exported:
    """What was written. events: rows of the log in `out`; kinds: of each kind. impressions: rows of their file, of
    which `watched` were watched; None where none was asked for. options: what `read` has to be told, such as `kinds`
    where there are several."""

    out: Path
    events: int
    people: int
    items: int
    kinds: Mapping[str, int]
    options: Mapping[str, Any]
    impressions_out: Path | None = None
    impressions: int | None = None
    watched: int | None = None

    def __str__(self) -> str:
        of = ", ".join(f"{n:,} {kind}" for kind, n in self.kinds.items())
        size = f"{counted(self.events, 'event')} ({of}) of {counted(self.people, 'person', 'people')}"
        lines = [f"{self.out}: {size} with {counted(self.items, 'item')}"]
        if self.impressions_out is not None:
            lines.append(f"{self.impressions_out}: {self.impressions:,} items shown, {self.watched:,} of them watched")
        return "\n".join(lines)


def export_events(
    url: str,
    out: StrPath,
    *,
    impressions: StrPath | None = None,
    within: float | str = DAY,
    dislike_below: float | None = None,
) -> Exported:
    """Write the events of a store as a log, a .csv, .tsv, .jsonl or .parquet file.

    The log has user_id, item_id and timestamp (whole seconds), by time, then by arrival; `event` where there are
    several kinds, of which `options["kinds"]` of the result says what each counts; and the ratings: as `rating` where
    every event has one, else as `rated`, since a log of ratings has one in each row. dislike_below: ratings lower than
    this become dislikes, as in `read`.

    impressions: a second file, with a row for each item that was shown: request, timestamp, user_id, model, version,
    arm, share, candidates, position, item_id, probability, and watched, 1 or 0: whether that person watched or rated
    the item at most `within` seconds later ("30m" and "1d" are understood). An event counts for the last answer with
    the item before it.

    Raises MatineeError for a store without events, a suffix that is not known, and as `EventStore.open`.

    Example: `mt.export_events("events.db", "log.csv", impressions="shown.csv")`
    """
    seconds = as_seconds(within)
    for file in (out, impressions):
        if file is not None:
            check_format(Path(file))
    with EventStore.open(url, create=False) as store:
        events = event_frame(store, dislike_below=dislike_below)
        if not len(events):
            raise MatineeError("holds no events", where=store.where, hint="let people send some first")
        shown = None if impressions is None else impression_frame(store, seconds)
    log, options = as_log(events)
    write_submission(log, out)
    kinds = dict(events.group_by("kind").len().sort("kind").iter_rows())
    counts = (events["user_id"].n_unique(), events["item_id"].n_unique(), kinds, options)
    if shown is None or impressions is None:
        return Exported(Path(out), len(events), *counts)
    write_submission(shown, impressions)
    return Exported(Path(out), len(events), *counts, Path(impressions), len(shown), int(shown["watched"].sum()))


def event_frame(store: EventStore, *, dislike_below: float | None = None) -> pl.DataFrame:
    """All events by time, then by arrival: user_id, item_id (text), kind, time (seconds, with fractions), rating."""
    import polars as pl

    rows = [(event.person, event.item, event.kind, event.time, event.rating) for event in store.events()]
    schema = {"user_id": pl.String, "item_id": pl.String, "kind": pl.String, "time": pl.Float64, "rating": pl.Float64}
    frame = pl.DataFrame(rows, schema, orient="row")
    if n := int((frame["time"] < 0).sum()):
        text = f"{store.where}: {counted(n, 'event')} from before 1970 {either(n, 'is', 'are')} left out"
        warnings.warn(text, MatineeWarning, stacklevel=3)
        frame = frame.filter(pl.col("time") >= 0)
    if dislike_below is None:
        return frame
    low = (pl.col("kind") == "rating") & (pl.col("rating") < dislike_below)
    return frame.with_columns(pl.when(low).then(pl.lit("dislike")).otherwise("kind").alias("kind"))


def as_log(events: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The columns of a log from those of `event_frame`, and the options with which `read` understands them."""
    import polars as pl

    log = events.select("user_id", "item_id", timestamp=pl.col("time").floor().cast(pl.Int64))
    present = [kind for kind in WEIGHTS if (events["kind"] == kind).any()]
    rated = not events["rating"].null_count()
    if len(present) > 1 or present == ["dislike"]:
        log = log.with_columns(events["kind"].alias(KIND))
    if rated or events["rating"].is_not_null().any():
        log = log.with_columns(events["rating"].alias("rating" if rated else "rated"))
    if KIND not in log.columns:
        return log, {}
    return log, {"kinds": {"column": KIND, "weights": {kind: WEIGHTS[kind] for kind in present}}}


def impression_frame(store: EventStore, within: float) -> pl.DataFrame:
    """A row for each item shown, by time, as `export_events` describes it."""
    import polars as pl

    kinds = [pl.String, pl.Float64, *[pl.String] * 4, pl.Float64, pl.Int64, pl.Int64, pl.String, pl.Float64]
    shown = pl.DataFrame(list(store.impressions()), dict(zip(IMPRESSION, kinds, strict=True)), orient="row")
    shown = shown.rename({"time": "timestamp", "person": "user_id", "item": "item_id"})
    events = event_frame(store).filter(pl.col("kind") != "dislike")
    return shown.with_columns(watched(shown, events, within).alias("watched"))


def watched(shown: pl.DataFrame, events: pl.DataFrame, within: float) -> pl.Series:
    """Int8 (n,): whether each item shown was watched at most `within` seconds later. Each event counts for the last
    answer that had its item. Answers are taken to have been given at the beginning of their second, since clients may
    round the time of an event down."""
    import polars as pl

    at = shown.select("user_id", "item_id", row=pl.int_range(pl.len()), time=pl.col("timestamp").floor())
    asked = events.select("user_id", "item_id", "time")
    by = ["user_id", "item_id"]
    found = asked.sort("time").join_asof(
        at.sort("time", "row"), on="time", by=by, strategy="backward", tolerance=float(within), check_sortedness=False
    )
    rows = found["row"].drop_nulls().unique()
    return pl.Series("watched", [0], pl.Int8).new_from_index(0, len(shown)).scatter(rows, 1)


def as_seconds(within: float | str) -> float:
    """ "1d" or seconds. Raises MatineeError."""
    value = gap_seconds(within)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise MatineeError(f"within is {within!r}", hint='use seconds, or a text such as "30m", "12h" or "7d"')
    return float(value)
