"""Feedback has kinds and weights: from columns of a log to events that weigh more or less, and to dislikes."""

from __future__ import annotations

import json
import re
import shlex
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools
from matinee.data.dataset import Dataset
from matinee.data.dislikes import Dislikes
from matinee.errors import MatineeError, MatineeWarning, audience, listed, near_misses, option, suggestion

if TYPE_CHECKING:
    import polars as pl

KINDS = frozenset({"eventtype", "event", "action", "behavior", "behaviour", "interaction", "interactiontype"})
"""Names of columns of kinds: lower case, without signs between words."""
Strengths = NDArray[np.float64]


@dataclass(frozen=True)
class EventKinds:
    """What the kinds in a column of the log mean.

    weights: what an event of each kind counts: above 0 a like of this weight; below 0 a dislike, however far below; 0:
    the event is left out. keep: the kinds that stay, with weight 1 where `weights` does not name them; the events of
    all others are left out. Empty: the kinds in `weights`, and another kind in the log is an error.
    Raises MatineeError where neither is given, a weight is no finite number, or a name is no text.

    Example: `mt.EventKinds(column="event_type", weights={"view": 1.0, "cart": 2.0, "dislike": -1.0})`
    """

    column: str
    weights: Mapping[str, float] = field(default_factory=dict)
    keep: Sequence[str] = ()

    def __post_init__(self) -> None:
        if isinstance(self.keep, str):
            raise MatineeError(f"keep = {self.keep!r} is no list of kinds", hint=f"write [{self.keep!r}]")
        object.__setattr__(self, "keep", tuple(self.keep))
        object.__setattr__(self, "weights", dict(self.weights))
        if not self.column or not isinstance(self.column, str):
            raise MatineeError("the kinds of events have no column", hint="name the column that says the kind")
        if not self.weights and not self.keep:
            raise MatineeError("no kind of event is named", hint="give the kinds weights, or name those to keep")
        for kind in (*self.weights, *self.keep):
            if not isinstance(kind, str):
                raise MatineeError(f"the kind {kind!r} is no text", hint=f"write {str(kind)!r}")
        for kind, weight in self.weights.items():
            number = isinstance(weight, int | float) and not isinstance(weight, bool) and np.isfinite(weight)
            if not number or abs(weight) > float(np.finfo(np.float32).max):
                what = f"the weight of {kind!r} is no finite number: {weight!r}"
                raise MatineeError(what, hint="above 0 it is a like, below 0 a dislike, 0 leaves the event out")

    @property
    def known(self) -> dict[str, float]:
        """Each kind that stays -> its weight."""
        return {kind: float(self.weights.get(kind, 1.0)) for kind in self.keep or self.weights}

    @property
    def weigh(self) -> bool:
        """Whether likes of some kind count more than those of another; all of weight 1 are no weights."""
        return any(weight > 0 and weight != 1 for weight in self.known.values())


def looks_like_kinds(name: str, column: pl.Series) -> bool:
    """Whether a further column of a log says what kind of event its rows are, by its name and the number of kinds."""
    return re.sub(r"[\s_-]", "", name.lower()) in KINDS and not column.has_nulls() and 2 <= column.n_unique() <= 20


def kinds_of(given: EventKinds | Mapping[str, Any]) -> EventKinds:
    """Kinds, also of {"column": ..., "weights": {...}, "keep": [...]}. Raises MatineeError, see EventKinds."""
    if isinstance(given, EventKinds):
        return given
    names = ("column", "weights", "keep")
    hint = f"write for example {kinds_option('event_type', ('view', 'purchase', 'dislike'))}"
    if not isinstance(given, Mapping):
        raise MatineeError(f"kinds is {given!r}, and no table of kinds", hint=hint)
    for name in given:
        if name not in names:
            raise MatineeError(f"kinds has no key {name!r}", hint=suggestion(str(name), names))
    return EventKinds(given.get("column", ""), given.get("weights") or {}, given.get("keep") or ())


def kind_weights(kinds: Sequence[str]) -> dict[str, int]:
    """A weight for each of these kinds: 1, and -1 to a dislike."""
    return {kind: -1 if kind.lower().startswith("dislike") else 1 for kind in kinds}


def kinds_option(column: str, kinds: Sequence[str]) -> str:
    """How the caller gives these kinds weights: 1, and -1 to a dislike."""
    weights = kind_weights(kinds)
    if audience() == "command":
        each = (shlex.quote(f"{kind}={weight}") for kind, weight in weights.items())
        return " ".join([option("kind_column", column), *(f"--kind {text}" for text in each)])
    pairs = (json.dumps(kind, ensure_ascii=False) for kind in weights), weights.values()
    if audience() == "recipe":
        inner = ", ".join(f"{kind} = {weight}" for kind, weight in zip(*pairs, strict=True))
        return f"events = {{ {option('column', column)}, weights = {{ {inner} }} }}"
    inner = ", ".join(f"{kind}: {weight}" for kind, weight in zip(*pairs, strict=True))
    return f'kinds={{"column": {json.dumps(column, ensure_ascii=False)}, "weights": {{{inner}}}}}'


def no_kinds_option() -> str:
    """How the caller says that all kinds count alike."""
    said = {"python": "kinds=None", "command": option("kind_column", None), "recipe": 'events = { column = "none" }'}
    return said[audience()]


def apply_events(
    data: Dataset,
    *,
    kinds: EventKinds | None = None,
    weight: str | None = None,
    dislike_below: float | None = None,
) -> Dataset:
    """The log with weights and dislikes: what `with_kinds`, `with_weights` and `with_dislikes` do, in one step.

    Where there are both, an event's weight is its kind's times its own, times the weight it had. An event is a dislike
    where any of the three says so. Dislikes leave the rows for `Dataset.dislikes`; ids that only they name stay. Where
    a user has both likes and dislikes of an item the latest event decides (in one second: the dislike; without times
    the log's order), and the others are left out. The columns of kinds and of weights leave the context.
    Events left out are counted in a MatineeWarning. Raises MatineeError for a column that the log lacks, a kind that
    is not known, a weight that is no finite number, a log without ratings where dislike_below is given, and where no
    event is left.

    Example: `mt.apply_events(data, dislike_below=2.0)`
    """
    strength, kept = np.ones(len(data)), np.ones(len(data), np.bool_)
    negative = np.zeros(len(data), np.bool_)
    if kinds is not None:
        of_kind, kept = _of_kinds(data, kinds)
        strength, negative = strength * np.abs(of_kind), of_kind < 0
    if weight is not None:
        own = _numbers(data, weight, kept)
        strength, negative = strength * np.abs(own), negative | (own < 0)
    if dislike_below is not None:
        data.refuse_no_ratings()
        assert data.value is not None
        negative = negative | (data.value < np.float32(dislike_below))
    weighs = weight is not None or (kinds is not None and kinds.weigh)
    used = [] if kinds is None else [kinds.column]
    used += [] if weight is None or weight in used else [weight]
    if data.weight is not None:
        strength, weighs = strength * data.weight, True
    data = replace(data, context=_without(data.context, used))
    return _separated(data, strength if weighs else None, negative, kept)


def with_kinds(data: Dataset, kinds: EventKinds) -> Dataset:
    """The log with the weights and dislikes that a column of kinds says, see EventKinds and apply_events.

    Example: `mt.with_kinds(clicks, mt.EventKinds(column="event", weights={"view": 1.0}))`
    """
    return apply_events(data, kinds=kinds)


def with_weights(data: Dataset, column: str) -> Dataset:
    """The log with a further column as its weights: above 0 a like of this weight, below 0 a dislike, 0 left out. See
    apply_events.

    Example: `mt.with_weights(clicks, "hours")`
    """
    return apply_events(data, weight=column)


def with_dislikes(data: Dataset, below: float = 3.0) -> Dataset:
    """The log with events rated lower than `below` as dislikes. See apply_events.

    Example: `mt.with_dislikes(data, below=2.0)`
    """
    return apply_events(data, dislike_below=below)


def _separated(data: Dataset, strength: Strengths | None, negative: Bools, kept: Bools) -> Dataset:
    """Likes as rows, dislikes apart. strength: float64 (n,) from 0, None: no weights. negative, kept: bool (n,)."""
    gone = kept & (strength == 0) if strength is not None else np.zeros(len(data), np.bool_)
    if count := int(np.count_nonzero(gone)):
        _warn(f"{data.name}: {count:,} of {len(data):,} events have weight 0 and are left out")
    likes, dislikes = kept & ~gone & ~negative, kept & ~gone & negative
    if strength is not None:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite or 0, which Dataset refuses
            data = replace(data, weight=np.where(likes, strength, 1.0).astype(np.float32))
    earlier = data.dislikes
    if dislikes.any():
        likes, dislikes = _latest_decides(data, likes, dislikes)
        found = np.flatnonzero(dislikes)
        times = None if data.timestamp is None else data.timestamp[found]
        new = Dislikes(data.user[found], data.item[found], times)
        data = replace(data, dislikes=new if earlier is None else earlier.join(new))
    if not likes.any():
        hint = "check the weights and what counts as a dislike: a model needs likes to learn from"
        raise MatineeError(f"none of the {len(data):,} events is left as a like", where=data.name, hint=hint)
    return data if likes.all() else data.rows(likes)


def _latest_decides(data: Dataset, likes: Bools, dislikes: Bools) -> tuple[Bools, Bools]:
    """The same, bool (n,) each, where of a user and an item only likes or only dislikes are left."""
    pair = data.user.astype(np.int64) * data.n_items + data.item
    rows = np.flatnonzero(likes | dislikes)
    time = np.arange(len(data)) if data.timestamp is None else data.timestamp
    rows = rows[np.lexsort((dislikes[rows], time[rows], pair[rows]))]  # in one second the dislike comes last
    last = np.append(pair[rows[1:]] != pair[rows[:-1]], True)
    verdict = dislikes[rows[last]][np.cumsum(np.append(0, last[:-1]))]  # of each row's pair
    overruled = rows[dislikes[rows] != verdict]
    lost = int(np.count_nonzero(likes[overruled])), int(np.count_nonzero(dislikes[overruled]))
    if lost[0]:
        _warn(f"{data.name}: {lost[0]:,} events are left out, because their user disliked the item later")
    if lost[1]:
        _warn(f"{data.name}: {lost[1]:,} dislikes are left out, because their user liked the item later")
    stays = np.ones(len(data), np.bool_)
    stays[overruled] = False
    return likes & stays, dislikes & stays


def _of_kinds(data: Dataset, kinds: EventKinds) -> tuple[Strengths, Bools]:
    """float64 (n,): each event's weight by its kind; bool (n,): whether its kind stays."""
    import polars as pl

    column = _column(data, kinds.column).cast(pl.String)
    counts = dict(zip(*column.value_counts(sort=True).to_dict(as_series=False).values(), strict=True))
    known = kinds.known
    unknown = {kind: n for kind, n in counts.items() if kind not in known}
    if unknown and not kinds.keep:
        named = listed(f"{'(empty)' if kind is None else repr(kind)} ({n:,})" for kind, n in unknown.items())
        near = [(kind, near_misses(kind, known, 1)) for kind in unknown if kind is not None]
        meant = "; ".join(f"{kind!r} is spelled {names[0]!r} there" for kind, names in near if names)
        what = f"the column {kinds.column!r} has kinds of events without a weight: {named}"
        hint = "give each kind a weight (0 leaves its events out), or name the kinds to keep"
        raise MatineeError(what, where=data.name, hint=f"{meant}; {hint}" if meant else hint)
    for kind in dict.fromkeys((*known, *kinds.weights)):
        if kind not in counts:
            have = [each for each in counts if each is not None]
            _warn(f"{data.name}: no event is of the kind {kind!r} ({suggestion(kind, have)})")
    weights = column.replace_strict(list(known), list(known.values()), default=0.0, return_dtype=pl.Float64)
    kept: Bools = column.is_in(list(known)).fill_null(False).to_numpy()
    return weights.to_numpy().copy(), kept


def _numbers(data: Dataset, name: str, kept: Bools) -> Strengths:
    """float64 (n,) of a further column, 1 in rows that are not kept. Raises MatineeError naming the first kept row that
    is no finite number."""
    import polars as pl

    column = _column(data, name)
    cast = column.str.strip_chars().cast(pl.Float64, strict=False) if column.dtype == pl.String else None
    if cast is None and not (column.dtype.is_numeric() or column.dtype == pl.Boolean or column.dtype == pl.Null):
        hint = "name a column of numbers"
        raise MatineeError(f"the weights in {name!r} are {column.dtype}, not numbers", where=data.name, hint=hint)
    numbers = (column.cast(pl.Float64) if cast is None else cast).fill_null(np.nan).to_numpy()
    numbers = np.where(kept, numbers, 1.0)
    wrong = ~(np.abs(numbers) <= np.finfo(np.float32).max)
    if wrong.any():
        row = int(wrong.argmax())
        what = f"the weight is no finite number: {column[row]!r}"
        raise MatineeError(what, where=f"{data.name}, event {row + 1}, column {name!r}", hint="correct or remove it")
    return numbers


def _column(data: Dataset, name: str) -> pl.Series:
    """A further column of the log, (n,). Raises MatineeError with the names there are."""
    if data.context is None or name not in data.context.columns:
        have = [] if data.context is None else data.context.columns
        hint = suggestion(name, have) if have else "the log has no further columns"
        raise MatineeError(f"the log has no further column {name!r}", where=data.name, hint=hint)
    return data.context[name]


def _without(context: pl.DataFrame | None, columns: Sequence[str]) -> pl.DataFrame | None:
    """The further columns without these; None where none is left."""
    left = None if context is None else context.drop(columns)
    return None if left is None or left.width == 0 else left


def _warn(text: str) -> None:
    warnings.warn(text, MatineeWarning, stacklevel=5)
