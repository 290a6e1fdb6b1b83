"""What another model's lists would have been worth, from a log of answers that were partly random.

A slot is one position of one answer. In slot s the log shows item i with the probability P (over routing and the
randomised share), and r is 1 where it was then watched. Another model puts one item there. The weight of the slot is

    w = 1 / P   where it is the item that was shown,   0   where it is another.

    IPS   = 1/n * sum over slots of w * r            (n answers): items watched of one list
    SNIPS = m/n * sum of w * r / sum of w            (m slots that the other model fills)

IPS is the inverse propensity estimate (Horvitz and Thompson, JASA 1952) of each position by itself: what an item is
worth may depend on the person and on its position, not on the other items of the list. It has no bias where P is above
0 for every item that the other model shows; a slot with P = 0 counts as worth nothing. SNIPS (Swaminathan and Joachims,
NIPS 2015) divides by the sum of weights in place of its expectation. It has a small bias, which vanishes as the log
grows, and varies less; slots with P = 0 count as worth what the others are.

Intervals are of means over answers, those of one person clustered; SNIPS has that of a ratio (the delta method). The
effective sample size is Kish's, (sum of w)^2 / sum of w^2 (Survey Sampling, 1965): so many slots without weights would
tell as much.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.ids import Id
from matinee.data.read.tables import table_of
from matinee.errors import MatineeError, MatineeWarning, counted, option
from matinee.evaluate.intervals import Z95, Mean, standard_error
from matinee.files import StrPath
from matinee.notebook import html_notes, html_panel, html_table

if TYPE_CHECKING:
    import polars as pl

SHOWN = ("request", "user_id", "position", "item_id", "probability", "watched")
"""The columns of what was shown. `share`, that of randomised answers, may be missing: it is 0 then."""
FEW = 100
"""Below this effective sample size an estimate has a warning."""


@dataclass(frozen=True, repr=False)
class OffPolicy:
    """Values are items watched of one list. logged: of the lists that were shown. ips, snips: of the other model's;
    difference: ips minus logged. All with 95 % intervals.

    requests, people, slots: on which they rest; matched: slots in which both showed the same item. effective: Kish's
    effective sample size. unreachable: the share of the other model's slots whose item the log could not have shown
    there; too high where routing alone might have shown it, which the log does not say. clip: the largest weight that
    was let, and clipped how many were larger; None: no limit.

    Example: `print(mt.off_policy(shown, lists))`
    """

    logged: Mean
    ips: Mean
    snips: Mean
    difference: Mean
    requests: int
    people: int
    slots: int
    matched: int
    effective: float
    unreachable: float
    clip: float | None
    clipped: int

    def rows(self) -> list[tuple[str, str]]:
        """What was found, in words and numbers."""
        limit = "" if self.clip is None else f"; {counted(self.clipped, 'weight')} above {self.clip:g} clipped"
        return [
            ("watched of a list, as logged", str(self.logged)),
            ("the other model, IPS", f"{self.ips}{limit}"),
            ("the other model, SNIPS", str(self.snips)),
            ("difference, IPS minus logged", str(self.difference)),
            ("effective sample size", f"{self.effective:,.1f} of {counted(self.slots, 'slot')}"),
            ("out of the log's reach", f"{100 * self.unreachable:.1f} % of the other model's slots"),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        means = {name: getattr(self, name) for name in ("logged", "ips", "snips", "difference")}
        names = ("requests", "people", "slots", "matched", "effective", "unreachable", "clip", "clipped")
        values = {name: {"value": mean.value, "low": mean.low, "high": mean.high} for name, mean in means.items()}
        return values | {name: getattr(self, name) for name in names}

    @property
    def basis(self) -> str:
        size = f"{counted(self.requests, 'answer')} to {counted(self.people, 'person', 'people')}"
        return f"{size}; both show the same item in {self.matched:,} of {counted(self.slots, 'slot')}"

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows())
        return "\n".join([*(f"{name:{width}}  {value}" for name, value in self.rows()), self.basis])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_panel("Off-policy estimate", html_table((), self.rows(), named=True), html_notes(self.basis))


def off_policy(
    shown: StrPath | pl.DataFrame | Any,
    lists: StrPath | pl.DataFrame | Mapping[str, Sequence[Id]],
    *,
    clip: float | None = None,
    candidates: Iterable[Id] | None = None,
) -> OffPolicy:
    """What another model's lists are worth, by a log of partly random answers: IPS and SNIPS, as this module says.

    shown: what `export_events(impressions=)` wrote, or a dataframe of its columns (request, user_id, position, item_id,
    probability, watched, and share). lists: what the other model would have shown: request -> items, best first; or a
    dataframe or file of request, position and item_id. Positions that an answer of the log did not have are left out,
    as are answers for which there is no list.
    clip: weights above this are cut to it. The estimates vary less, and IPS can only become lower. candidates: the
    items that randomised answers were drawn from; when left out, those that were ever shown. Which of them one person
    could not be shown is not known here: let the lists keep to what that person could be recommended.

    Warns where the effective sample size is small, and counts answers without a list. Raises MatineeError for a log
    without any randomisation, where nothing can be said of an item that was not shown; for missing columns and
    probabilities outside of 0 to 1; and where no answer has a list.

    Example: `print(mt.off_policy(shown, lists, clip=100.0))`
    """
    log = _checked(_table(shown, SHOWN))
    if not (log["probability"] < 1).any():
        what = "nothing in this log was left to chance: each item stood where it did with probability 1, so nothing is"
        hint = f"serve with {option('explore', 0.05)}: 5 % of the answers are then random"
        raise MatineeError(f"{what} known of what another model would have shown", where="shown", hint=hint)
    if clip is not None and not clip > 0:
        raise MatineeError(f"clip is {clip!r}", where="clip", hint="use a number above 0, such as 100, or None")
    slots = _slots(log, _lists(lists), candidates)
    found = _estimated(slots, clip)
    if found.effective < FEW:
        text = f"the effective sample size is {found.effective:,.1f} of {counted(found.slots, 'slot')}: the estimate"
        warnings.warn(f"{text} and its interval rest on few answers", MatineeWarning, stacklevel=2)
    return found


def _estimated(slots: pl.DataFrame, clip: float | None) -> OffPolicy:
    """The estimates from what `_slots` gives."""
    inverse = 1 / slots["probability"].to_numpy()
    same = slots["same"].to_numpy()
    weight = np.where(same, inverse if clip is None else np.minimum(inverse, clip), 0.0)
    reward = slots["watched"].to_numpy().astype(np.float64)
    filled = slots["filled"].to_numpy()
    of, answer = np.unique(slots["request"].to_numpy(), return_inverse=True)
    person = np.unique(slots["user_id"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    of_answer = np.zeros(len(of), np.int64)
    of_answer[answer] = person

    def per_list(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 (n answers,): the sums of the slots' values."""
        return np.bincount(answer, values, minlength=len(of)).astype(np.float64)

    def mean(values: NDArray[np.float64]) -> Mean:
        return _mean(values, None, of_answer)

    ips, logged = per_list(weight * reward), per_list(reward)
    total, squares = float(weight.sum()), float((weight**2).sum())
    length = float(filled.sum()) / len(of)
    ratio = _mean(reward, weight, person) if total else Mean(np.nan, np.nan, np.nan, 0)
    snips = Mean(length * ratio.value, length * ratio.low, length * ratio.high, len(of))
    return OffPolicy(
        logged=mean(logged), ips=mean(ips), snips=snips, difference=mean(ips - logged), requests=len(of),
        people=len(np.unique(person)), slots=int(filled.sum()), matched=int(same.sum()),
        effective=total**2 / squares if squares else 0.0,
        unreachable=float(slots["unreachable"].to_numpy()[filled].mean()) if filled.any() else np.nan,
        clip=clip, clipped=0 if clip is None else int(np.count_nonzero(same & (inverse > clip))),
    )  # fmt: skip


def _mean(values: NDArray[np.float64], weight: NDArray[np.float64] | None, person: NDArray[np.int64]) -> Mean:
    """The mean with its 95 % interval, by the normal approximation: few answers have a warning of their own."""
    value, error, _, n = standard_error(values, weight, person)
    return Mean(value, value - Z95 * error, value + Z95 * error, n)


def _slots(log: pl.DataFrame, lists: pl.DataFrame, candidates: Iterable[Id] | None) -> pl.DataFrame:
    """A row for each slot of an answer with a list: what was shown, and `other`, the other model's item; whether it is
    filled, the same, and out of the log's reach."""
    import polars as pl

    there = log["request"].is_in(lists["request"].unique().implode())
    answers = log["request"].n_unique()
    if not there.any():
        what = f"none of the {counted(answers, 'answer')} in the log has a list"
        raise MatineeError(what, where="lists", hint=f"name the requests of the log, e.g. {log['request'][0]!r}")
    if n := answers - log.filter(there)["request"].n_unique():
        text = f"{counted(n, 'answer')} of {answers:,} are left out: there is no list for them"
        warnings.warn(text, MatineeWarning, stacklevel=3)
    known = log["item_id"] if candidates is None else pl.Series([str(item) for item in candidates], dtype=pl.String)
    slots = log.filter(there).join(lists, on=["request", "position"], how="left", maintain_order="left")
    filled = pl.col("other").is_not_null()
    same = filled & (pl.col("other") == pl.col("item_id"))
    drawn = (pl.col("share") > 0) & pl.col("other").is_in(known.unique().implode())
    return slots.with_columns(filled=filled, same=same, unreachable=filled & ~same & ~drawn).with_columns(
        pl.col("same", "unreachable").fill_null(value=False)
    )


def _checked(log: pl.DataFrame) -> pl.DataFrame:
    """What was shown, ids as text, with `share`. Raises MatineeError for values that cannot be."""
    import polars as pl

    if not len(log):
        raise MatineeError("nothing was shown", where="shown", hint="export the impressions of a store with answers")
    if "share" not in log.columns:
        log = log.with_columns(share=pl.lit(0.0))
    log = log.with_columns(pl.col("request", "user_id", "item_id").cast(pl.String))
    wrong = ~((pl.col("probability") > 0) & (pl.col("probability") <= 1)).fill_null(value=False)
    if (bad := log.filter(wrong)).height:
        where = f"shown, request {bad['request'][0]}, position {bad['position'][0]}"
        what = f"the probability is {bad['probability'][0]}: what was shown had one above 0 and at most 1"
        raise MatineeError(what, where=where, hint="export the impressions again")
    if log.select("request", "position").is_duplicated().any():
        raise MatineeError("two rows have one request and position", where="shown", hint="keep one row for each slot")
    return log.select(*SHOWN, "share")


def _lists(lists: Any) -> pl.DataFrame:
    """The other model's lists: request, position, other (text)."""
    import polars as pl

    if isinstance(lists, Mapping):
        rows = [(str(of), at, str(item)) for of, items in lists.items() for at, item in enumerate(items, 1)]
        table = pl.DataFrame(rows, {"request": pl.String, "position": pl.Int64, "item_id": pl.String}, orient="row")
    else:
        table = _table(lists, ("request", "position", "item_id"))
    table = table.select(
        pl.col("request").cast(pl.String), pl.col("position").cast(pl.Int64), other=pl.col("item_id").cast(pl.String)
    )
    if table.select("request", "position").is_duplicated().any():
        raise MatineeError("two rows have one request and position", where="lists", hint="keep one item at each")
    return table


def _table(source: Any, columns: Sequence[str]) -> pl.DataFrame:
    """A dataframe, or that of a file. Raises MatineeError for missing columns, and numbers that are none."""
    import polars as pl

    kinds = {"position": pl.Int64, "probability": pl.Float64, "watched": pl.Float64, "share": pl.Float64}
    table = table_of(source, schema=kinds)
    table.require(*columns)
    for name in kinds.keys() & set(table.frame.columns):
        if not table.frame[name].dtype.is_numeric() or table.frame[name].null_count():
            hint = "correct it, or export the impressions again"
            raise MatineeError("not all values are numbers", where=f"{table.name}, column '{name}'", hint=hint)
    return table.frame
