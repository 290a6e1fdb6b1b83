"""Can the numbers of this split be believed? What train knows of the test, and what its order is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Dataset, Holdout, Split
from matinee.errors import MatineeError

if TYPE_CHECKING:
    import polars as pl

Level = Literal["fail", "warn", "info"]
TIED_NEIGHBOURS = 0.05  # above this share of equal neighbouring timestamps, order is a warning


@dataclass(frozen=True)
class Finding:
    """level: fail stops a run, warn belongs in every report, info is for the record. number: a count or a share,
    None where it is unknown."""

    level: Level
    what: str
    number: float | None
    words: str


@dataclass(frozen=True, repr=False)
class AuditReport:
    """What `audit` found; `raise_if_failed` stops the run that should not go on."""

    findings: tuple[Finding, ...]

    @property
    def failed(self) -> bool:
        return any(finding.level == "fail" for finding in self.findings)

    @property
    def warnings(self) -> list[str]:
        return [finding.words for finding in self.findings if finding.level == "warn"]

    def raise_if_failed(self) -> None:
        words = [finding.words for finding in self.findings if finding.level == "fail"]
        if words:
            raise MatineeError(
                "the split leaks: " + "; ".join(words),
                hint='read each event once (duplicates = "distinct", or "last": one a pair), or mend the files',
            )

    def to_frame(self) -> pl.DataFrame:
        """level, what, number, words: one row a finding."""
        import polars as pl

        rows = [(f.level, f.what, f.number, f.words) for f in self.findings]
        schema = {"level": pl.String, "what": pl.String, "number": pl.Float64, "words": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def __str__(self) -> str:
        return "\n".join(f"{finding.level:<4}  {finding.words}" for finding in self.findings)

    __repr__ = __str__


def audit(split: Split) -> AuditReport:
    """Look for shared events, train after the test, arbitrary order, repeats, and what the test asks beyond train."""
    train, valid, test = _of_log(split.train), _of_holdout(split.valid), _of_holdout(split.test)
    repeats = len(split.train) - train.n_unique(["user", "item"])
    findings = [
        *_shared("train", train, "valid", valid, may_repeat=repeats > 0),
        *_shared("train", train, "test", test, may_repeat=repeats > 0),
        *_shared("valid", valid, "test", test, may_repeat=repeats > 0),
        *_own_history("valid", split.valid, may_repeat=repeats > 0),
        *_own_history("test", split.test, may_repeat=repeats > 0),
        *_unreachable("valid", split.valid),
        *_unreachable("test", split.test),
        *_future(train, test),
        *_order(train, valid, test),
        *_repeats(train, repeats),
        *_unseen(split),
    ]
    return AuditReport(tuple(findings))


# --- events as tables: user, item, timestamp (null where unknown) --------------------------------------------------


def _table(user: NDArray[np.int32], item: NDArray[np.int32], timestamp: NDArray[np.int64] | None) -> pl.DataFrame:
    import polars as pl

    time = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(user)) if timestamp is None else timestamp
    return pl.DataFrame({"user": user, "item": item, "timestamp": time})


def _of_log(data: Dataset) -> pl.DataFrame:
    return _table(data.user, data.item, data.timestamp)


def _of_holdout(holdout: Holdout) -> pl.DataFrame:
    """The hidden events: all of them where the split lists them (pairs), else the answers, whose time is unknown."""
    if holdout.pairs is not None:
        return _table(holdout.pairs.user, holdout.pairs.item, holdout.pairs.timestamp)
    truth = holdout.truth
    return _table(holdout.queries.user[truth.rows], truth.values, None)


def _timed(*tables: pl.DataFrame) -> bool:
    return all(len(table) > 0 and not table["timestamp"].has_nulls() for table in tables)


# --- the questions -------------------------------------------------------------------------------------------------


def _shared(a: str, table: pl.DataFrame, b: str, hidden: pl.DataFrame, *, may_repeat: bool) -> list[Finding]:
    """Events of `hidden` that `table` holds too. Users without a code (-1) are strangers to each other."""
    import polars as pl

    known = hidden.filter(pl.col("user") >= 0)
    pairs = len(known.join(table, on=["user", "item"], how="semi"))
    events = len(known.join(table, on=["user", "item", "timestamp"], how="semi")) if _timed(table, known) else None
    return _judge(f"{a} and {b}", pairs, events, may_repeat)


def _own_history(part: str, holdout: Holdout, *, may_repeat: bool) -> list[Finding]:
    """Hidden events that their own query's history shows: train does not hold every user (strong, sessions)."""
    queries = holdout.queries
    shown = _table(queries.history.rows.astype(np.int32), queries.history.values, queries.history_times)
    if holdout.pairs is not None:
        hidden = _table(holdout.pairs.query, holdout.pairs.item, holdout.pairs.timestamp)
    else:
        hidden = _table(holdout.truth.rows.astype(np.int32), holdout.truth.values, None)
    pairs = len(hidden.join(shown, on=["user", "item"], how="semi"))
    events = len(hidden.join(shown, on=["user", "item", "timestamp"], how="semi")) if _timed(shown, hidden) else None
    return _judge(f"the histories of {part} and their answers", pairs, events, may_repeat)


def _judge(where: str, pairs: int, events: int | None, may_repeat: bool) -> list[Finding]:
    """pairs: equal user and item; events: equal time too, None where times are unknown."""
    if events is None and pairs and may_repeat:
        words = f"{where} share {pairs:,} user-item pairs; without timestamps a repeat cannot be told from a leak"
        return [Finding("warn", "repeated pairs", pairs, words)]
    if events is None and pairs:
        words = f"{where} share {pairs:,} user-item pairs, in a log that repeats none and has no timestamps"
        return [Finding("fail", "shared events", pairs, words)]
    if events:
        words = f"{where} share {events:,} events (same user, item and timestamp)"
        return [Finding("fail", "shared events", events, words)]
    found = [Finding("info", "shared events", 0, f"{where} share no event")]
    if pairs:
        words = (
            f"{where} share {pairs:,} user-item pairs at different times: right where repeats are answers (sessions)"
        )
        found.append(Finding("warn", "repeated pairs", pairs, words))
    return found


def _unreachable(part: str, holdout: Holdout) -> list[Finding]:
    truth, exclude = holdout.truth, holdout.queries.exclude
    barred = _table(exclude.rows.astype(np.int32), exclude.values, None)
    answers = _table(truth.rows.astype(np.int32), truth.values, None)
    n = len(answers.join(barred, on=["user", "item"], how="semi"))
    if not n:
        return []
    words = f"{n:,} answers of {part} are excluded from its recommendations: they count as misses of every model"
    return [Finding("warn", "excluded answers", n, words)]


def _future(train: pl.DataFrame, test: pl.DataFrame) -> list[Finding]:
    """How much of train lies strictly after test events in time: after the first and the median one of all, and, per
    user, after that user's own first one."""
    import polars as pl

    if not _timed(train, test):
        words = "no timestamps: how much of train lies after the test events is unknown"
        return [Finding("info", "future in train", None, words)]
    first, median = test["timestamp"].min(), test["timestamp"].quantile(0.5, "lower")
    after_first = float((train["timestamp"] > first).mean())  # type: ignore[arg-type]
    after_median = float((train["timestamp"] > median).mean())  # type: ignore[arg-type]
    of_user = test.filter(pl.col("user") >= 0).group_by("user").agg(first=pl.col("timestamp").min())
    own = train.join(of_user, on="user")
    after_own = float((own["timestamp"] > own["first"]).mean()) if len(own) else 0.0  # type: ignore[arg-type]
    return [
        Finding(
            "warn" if after_first > 0 else "info",
            "future in train",
            after_median,
            f"{after_first:.1%} of the train events lie after the first test event, {after_median:.1%} after the "
            "median one" + (": models know what was not yet known" if after_first > 0 else ""),
        ),
        Finding(
            "warn" if after_own > 0 else "info",
            "own future in train",
            after_own,
            f"{after_own:.1%} of the train events of test users lie after that user's own first test event",
        ),
    ]


def _order(*parts: pl.DataFrame) -> list[Finding]:
    """Neighbouring events of a user, in time, over the whole log: how many share a timestamp."""
    import polars as pl

    log = pl.concat([part for part in parts if _timed(part)] or [parts[0].clear()]).sort("user", "timestamp")
    same_user = (log["user"].diff() == 0) & (log["user"] >= 0)
    neighbours = int(same_user.sum())
    if not neighbours:
        return []
    tied = int((same_user & (log["timestamp"].diff() == 0)).sum()) / neighbours
    words = f"{tied:.1%} of the neighbouring events of a user share a timestamp"
    if tied > TIED_NEIGHBOURS:
        words += ": an order-sensitive model sees an arbitrary order there"
    return [Finding("warn" if tied > TIED_NEIGHBOURS else "info", "equal timestamps", tied, words)]


def _repeats(train: pl.DataFrame, repeats: int) -> list[Finding]:
    exact = len(train) - train.n_unique() if _timed(train) else 0
    words = f"train repeats {repeats:,} user-item pairs" + (f", {exact:,} with the same timestamp" if exact else "")
    return [Finding("warn" if repeats else "info", "duplicate pairs", repeats, words)]


def _unseen(split: Split) -> list[Finding]:
    """What the test asks that train cannot teach."""
    answers = split.test.truth.values
    items = split.train.item_counts() == 0
    users = np.append(split.train.user_counts() == 0, True)  # code -1, never seen, reads the last entry
    asked = split.test.queries.user
    no_item = int(np.count_nonzero(items[answers]))
    no_user = int(np.count_nonzero(users[asked]))
    return [
        Finding(
            "warn" if no_item else "info",
            "unseen items",
            no_item,
            f"{no_item:,} of {len(answers):,} test answers are items without a train event"
            + (": no model of interactions can hit them, and recall counts them" if no_item else ""),
        ),
        Finding(
            "info", "unseen users", no_user, f"{no_user:,} of {len(asked):,} test queries are of users not in train"
        ),
    ]
