"""Checks of a split: events shared by train and test, train after the test in time, equal timestamps, repeats."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Holdout, Split
from matinee.errors import MatineeError, counted, either, option

if TYPE_CHECKING:
    import polars as pl

Level = Literal["fail", "warn", "info"]
TIED_NEIGHBOURS = 0.05  # above this share of equal neighbouring timestamps, order is a warning


@dataclass(frozen=True)
class Finding:
    """level: fail stops a run, warn is printed in every report, info is only kept. number: a count or a share, None
    where it is unknown."""

    level: Level
    what: str
    number: float | None
    words: str


@dataclass(frozen=True, repr=False)
class AuditReport:
    """The findings of `audit`; `raise_if_failed` stops a run with a leaking split."""

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
            hint = (
                f"read each event once ({option('duplicates', 'distinct')}, or last: one a pair), or correct the files"
            )
            raise MatineeError("the split leaks: " + "; ".join(words), hint=hint)

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
    """Look for shared events, train after the test, arbitrary order, repeats, and items and users new in the test."""
    train = _table(split.train.user, split.train.item, split.train.timestamp)
    valid, test = _of_holdout(split.valid), _of_holdout(split.test)
    repeats = len(split.train) - train.n_unique(["user", "item"])
    parts, holdouts = {"train": train, "valid": valid, "test": test}, {"valid": split.valid, "test": split.test}
    known = {name: part.filter(part["user"] >= 0) for name, part in parts.items()}  # each -1 is a user of its own
    shared = [_judge(f"{a} and {b}", known[b], parts[a], repeats > 0) for a, b in combinations(parts, 2)]
    own = [_own_history(name, part, may_repeat=repeats > 0) for name, part in holdouts.items()]
    exact = len(train) - train.n_unique() if _timed(train) else 0
    words = f"train repeats {repeats:,} user-item pairs" + (f", {exact:,} with the same timestamp" if exact else "")
    findings = [
        *chain(*shared, *own, *(_unreachable(name, part) for name, part in holdouts.items())),
        *_future(train, test),
        *_order(train, valid, test),
        Finding("warn" if repeats else "info", "duplicate pairs", repeats, words),
        *_unseen(split),
    ]
    return AuditReport(tuple(findings))


def _table(user: NDArray[np.int32], item: NDArray[np.int32], timestamp: NDArray[np.int64] | None) -> pl.DataFrame:
    import polars as pl

    time = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(user)) if timestamp is None else timestamp
    return pl.DataFrame({"user": user, "item": item, "timestamp": time})


def _of_holdout(holdout: Holdout) -> pl.DataFrame:
    """The hidden events: the pairs where the split has them, otherwise the answers, whose time is unknown."""
    if holdout.pairs is not None:
        return _table(holdout.pairs.user, holdout.pairs.item, holdout.pairs.timestamp)
    return _table(holdout.queries.user[holdout.truth.rows], holdout.truth.values, None)


def _timed(*tables: pl.DataFrame) -> bool:
    return all(len(table) > 0 and not table["timestamp"].has_nulls() for table in tables)


def _own_history(part: str, holdout: Holdout, *, may_repeat: bool) -> list[Finding]:
    """Hidden events in their own query's history: train does not have the users of strong and sessions."""
    queries = holdout.queries
    shown = _table(queries.history.rows.astype(np.int32), queries.history.values, queries.history_times)
    if holdout.pairs is not None:
        hidden = _table(holdout.pairs.query, holdout.pairs.item, holdout.pairs.timestamp)
    else:
        hidden = _table(holdout.truth.rows.astype(np.int32), holdout.truth.values, None)
    return _judge(f"the histories of {part} and their answers", hidden, shown, may_repeat)


def _judge(where: str, hidden: pl.DataFrame, shown: pl.DataFrame, may_repeat: bool) -> list[Finding]:
    """Findings on hidden events with the user and item of a shown one, and where times are known with its time too."""
    pairs = len(hidden.join(shown, on=["user", "item"], how="semi"))
    events = len(hidden.join(shown, on=["user", "item", "timestamp"], how="semi")) if _timed(shown, hidden) else None
    if events is None and pairs and may_repeat:
        words = f"{where} share {counted(pairs, 'user-item pair')}; without timestamps a leak looks like a repeat"
        return [Finding("warn", "repeated pairs", pairs, words)]
    if events is None and pairs:
        words = f"{where} share {counted(pairs, 'user-item pair')}, in a log that repeats none and has no timestamps"
        return [Finding("fail", "shared events", pairs, words)]
    if events:
        words = f"{where} share {counted(events, 'event')} (same user, item and timestamp)"
        return [Finding("fail", "shared events", events, words)]
    found = [Finding("info", "shared events", 0, f"{where} share no event")]
    if pairs:
        words = f"{where} share {counted(pairs, 'user-item pair')} at different times"
        words += ": fine where repeats are answers (sessions)"
        found.append(Finding("warn", "repeated pairs", pairs, words))
    return found


def _unreachable(part: str, holdout: Holdout) -> list[Finding]:
    truth, exclude = holdout.truth, holdout.queries.exclude
    excluded, answers = (_table(rows.rows.astype(np.int32), rows.values, None) for rows in (exclude, truth))
    n = len(answers.join(excluded, on=["user", "item"], how="semi"))
    are = either(
        n,
        "is excluded from its recommendations: it counts as a miss",
        "are excluded from its recommendations: they count as misses",
    )
    words = f"{counted(n, 'answer')} of {part} {are} of every model"
    return [Finding("warn", "excluded answers", n, words)] if n else []


def _future(train: pl.DataFrame, test: pl.DataFrame) -> list[Finding]:
    """The share of train after test events in time: after the first and the median of all, and after the user's own
    first."""
    if not _timed(train, test):
        words = "no timestamps: the share of train after the test events is unknown"
        return [Finding("info", "future in train", None, words)]
    first, median = test["timestamp"].min(), test["timestamp"].quantile(0.5, "lower")
    after_first = float((train["timestamp"] > first).mean())  # type: ignore[arg-type]
    after_median = float((train["timestamp"] > median).mean())  # type: ignore[arg-type]
    first_of_user = test.filter(test["user"] >= 0).select("user", first="timestamp").group_by("user").min()
    own = train.join(first_of_user, on="user")
    after_own = float((own["timestamp"] > own["first"]).mean()) if len(own) else 0.0  # type: ignore[arg-type]
    words = f"{after_first:.1%} of the train events are after the first test event, {after_median:.1%} after the median"
    words += ": models know the future of some test events" if after_first > 0 else ""
    own_words = f"{after_own:.1%} of the train events of test users are after the user's own first test event"
    return [
        Finding("warn" if after_first > 0 else "info", "future in train", after_median, words),
        Finding("warn" if after_own > 0 else "info", "own future in train", after_own, own_words),
    ]


def _order(*parts: pl.DataFrame) -> list[Finding]:
    """The share of neighbouring events of a user, in time, with equal timestamps, in the whole log."""
    import polars as pl

    log = pl.concat([part for part in parts if _timed(part)] or [parts[0].clear()]).sort("user", "timestamp")
    same_user = (log["user"].diff() == 0) & (log["user"] >= 0)
    neighbours = int(same_user.sum())
    if not neighbours:
        return []
    tied = int((same_user & (log["timestamp"].diff() == 0)).sum()) / neighbours
    words = f"{tied:.1%} of the neighbouring events of a user share a timestamp"
    if tied > TIED_NEIGHBOURS:
        words += ": their order, which sequence models read, is arbitrary"
    return [Finding("warn" if tied > TIED_NEIGHBOURS else "info", "equal timestamps", tied, words)]


def _unseen(split: Split) -> list[Finding]:
    """Items and users of the test that are not in train."""
    answers = split.test.truth.values
    items = split.train.item_counts() == 0
    users = np.append(split.train.user_counts() == 0, True)  # code -1, never seen, reads the last entry
    asked = split.test.queries.user
    no_item, no_user = int(np.count_nonzero(items[answers])), int(np.count_nonzero(users[asked]))
    answer, query = counted(len(answers), "test answer"), counted(len(asked), "test query", "test queries")
    words = f"{no_item:,} of {answer} {either(no_item, 'is an item', 'are items')} without a train event"
    words += ": no model of interactions can recommend them, and recall counts them" if no_item else ""
    of_users = f"{no_user:,} of {query} {either(no_user, 'is of a user', 'are of users')} not in train"
    return [
        Finding("warn" if no_item else "info", "unseen items", no_item, words),
        Finding("info", "unseen users", no_user, of_users),
    ]
