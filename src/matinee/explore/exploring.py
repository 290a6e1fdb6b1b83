"""`mt.explore`: everything that is known of a log, or of several side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, overload

from matinee.data.dataset import Dataset
from matinee.data.read.options import gap_seconds
from matinee.data.side_table_report import side_table_report
from matinee.errors import MatineeError, option
from matinee.explore.arrivals import arrival_figures
from matinee.explore.beside import overlaps
from matinee.explore.exploration import Exploration, Explorations
from matinee.explore.hidden import split_figures
from matinee.explore.log import key_figures
from matinee.explore.ratings import rating_figures
from matinee.explore.repeats import repeat_figures
from matinee.explore.spread import Shares
from matinee.explore.tables import attribute_figures, table_figures
from matinee.explore.takeaways import takeaways
from matinee.explore.times import PAUSE, time_figures
from matinee.explore.years import year_figures
from matinee.progress import track

TOP = 15


@overload
def explore(data: Dataset, /, *, top: int = ..., pause: int | str = ..., seed: int = ...) -> Exploration: ...


@overload
def explore(
    data: Dataset, other: Dataset, /, *others: Dataset, top: int = ..., pause: int | str = ..., seed: int = ...
) -> Explorations: ...


def explore(
    data: Dataset, /, *others: Dataset, top: int = TOP, pause: int | str = PAUSE, seed: int = 0
) -> Exploration | Explorations:
    """What a log holds, and what follows for the choice of split and models; of several logs, side by side.

    top: how many genres, directors and so on are listed. pause: a user's session ends where the next event is more than
    so many seconds away ("30m", "1h"). seed: of the random splits. The result has `to_html(path)`, `to_dict()` and
    `takeaways`. Raises MatineeError for a log without events.

    Example: `mt.explore(data).popularity.gini`
    Example: `print(mt.explore(data))`
    """
    logs = (data, *others)
    _check(logs)
    names = _names([log.name for log in logs])
    gap = _seconds(pause)
    found = tuple(_explored(log, name, top, gap, seed) for log, name in zip(logs, names, strict=True))
    return Explorations(found, overlaps(logs, names)) if others else found[0]


def _check(logs: Iterable[Any]) -> None:
    """Raises MatineeError for what is no data set, or one without events."""
    for log in logs:
        if not isinstance(log, Dataset):
            hint = "pass data sets: mt.load(...), or mt.read(...)"
            raise MatineeError(f"explore takes data sets, not {type(log).__name__}", hint=hint)
        if not len(log):
            raise MatineeError("the log has no events", where=log.name, hint="loosen its filters")


def _explored(data: Dataset, name: str, top: int, pause: int, seed: int) -> Exploration:
    steps: dict[str, Callable[[], Any]] = {
        "figures": lambda: key_figures(data),
        "ratings": lambda: rating_figures(data),
        "repeats": lambda: repeat_figures(data),
        "tables": lambda: table_figures(data),
        "side_tables": lambda: tuple(map(str, side_table_report(data))),
        "attributes": lambda: attribute_figures(data, top=top),
        "years": lambda: year_figures(data),
        "times": lambda: time_figures(data, pause=pause),
        "arrivals": lambda: arrival_figures(data),
        "splits": lambda: split_figures(data, seed=seed),
    }
    found = {part: make() for part, make in track(steps.items(), f"exploring {name}", total=len(steps))}
    splits, impossible = found.pop("splits")
    per_user, per_item = data.user_counts(), data.item_counts()
    made = Exploration(
        name=name,
        fingerprint=data.fingerprint,
        activity=Shares.of(per_user[per_user > 0]),
        popularity=Shares.of(per_item[per_item > 0]),
        splits=splits,
        impossible=impossible,
        absent=_absent(data, found),
        **found,
    )
    return replace(made, takeaways=takeaways(made))


def _absent(data: Dataset, found: dict[str, Any]) -> dict[str, str]:
    """Part -> why it is left out, and how to give it."""
    absent: dict[str, str] = {}
    if data.value is None:
        absent["ratings"] = f"No ratings: name their column with {option('rating', 'stars')}."
    if data.timestamp is None:
        absent["times"] = f"No times: name their column with {option('timestamp', 'time')}."
    elif found["arrivals"] is None:
        absent["arrivals"] = "Nothing over time: all events have one time."
    if data.item_features is None:
        absent["items"] = f"Nothing is known of items: name their table with {option('items', 'films.csv')}."
    elif found["years"] is None:
        absent["years"] = "No release years: give the table of items a column year, or titles that end in (1995)."
    if data.item_features is not None and not any(each.what == "items" for each in found["attributes"]):
        absent["attributes"] = "No groups of items: give their table a column of lists, such as genres."
    if data.user_features is None:
        absent["users"] = f"Nothing is known of users: name their table with {option('users', 'people.csv')}."
    return absent


def _names(names: list[str]) -> list[str]:
    """The names, numbered where several are equal."""
    seen: Counter[str] = Counter()
    several = Counter(names)
    out = []
    for name in names:
        seen[name] += 1
        out.append(f"{name} ({seen[name]})" if several[name] > 1 else name)
    return out


def _seconds(pause: int | str) -> int:
    seconds = gap_seconds(pause)
    if not isinstance(seconds, int) or seconds <= 0:
        hint = f"write {option('pause', '30m')}, or seconds"
        raise MatineeError(f"pause={pause!r} is no length of time", hint=hint)
    return seconds
