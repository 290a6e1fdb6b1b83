"""Lists to be continued: hidden lists of which a title, the first items, or some at random are shown.

The form of the RecSys Challenge 2018 (Chen, Lamere, Schedl and Zamani), made from any collection of lists.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ragged
from matinee.data.dataset import BESIDE_HISTORY, Dataset, Holdout, Pairs, Queries, Split
from matinee.errors import MatineeError, counted, listed, option, suggestion
from matinee.split import shares
from matinee.split.dislikes import known_until, of_part
from matinee.split.parts import TEST, TRAIN, VALID, VisibleRows, checked, dealt, holdout
from matinee.split.shares import generator, place, random_place, words_of

LEFT_OUT = -1  # beside TRAIN, VALID and TEST: of no part
SHOWN = (1, 5, 10, 25, 100)
SETS = {
    "levels": ("title", *(f"title + first {n}" for n in SHOWN)),
    "challenge": (
        *("title", "title + first 1", "title + first 5", "first 5", "title + first 10", "first 10", "title + first 25"),
        *("title + random 25", "title + first 100", "title + random 100"),
    ),
}
"""Tasks by the name of all of them: the levels of what is shown, and the ten of the challenge."""


class Task(NamedTuple):
    """What is shown of a list: its title, and n items, the first or some at random."""

    title: bool
    n: int
    random: bool

    @classmethod
    def parse(cls, text: str) -> Task:
        """From "title", "title + first 5", "first 5" or "random 25"."""
        words = re.fullmatch(r"title|(title *\+ *)?(first|random) (\d+)", text.strip())
        if words is None or (words[3] is not None and int(words[3]) < 1):
            hint = 'write "title", "title + first 5", "first 5" or "random 25"'
            raise MatineeError(f"{text!r} is no task", hint=hint)
        return cls(text.strip().startswith("title"), int(words[3] or 0), words[2] == "random")

    def __str__(self) -> str:
        shown = [f"{'random' if self.random else 'first'} {self.n}"] if self.n else []
        return " + ".join((["title"] if self.title else []) + shown)


def lists(
    data: Dataset,
    *,
    valid: float = 0.1,
    test: float = 0.1,
    tasks: str | list[str] = "levels",
    train_lists: int | None = None,
    seed: int = 0,
    exclude_seen: bool = True,
) -> Split:
    """Hidden lists, to be continued. Of the U users (lists) with an event, max(1, floor(test U)) and max(1, floor(valid
    U)) at random have no row in train. Each is asked about once for each task that it is long enough for: the first n
    of its events, or n at random, are shown, and excluded, and the others are the answers; it needs more than n.

    tasks: "title" (nothing else is shown), "title + first 5", "first 5", "random 25" and so on; or the name of several:
    "levels" (the title, then with the first 1, 5, 10, 25 and 100) or "challenge" (the ten of the RecSys Challenge
    2018). `Holdout.tasks` has the task of each query. train_lists: so many lists of train alone stay, at random, those
    of a smaller number among those of a larger, valid and test being the same: what more lists are worth. Leave out
    rare items before: `filter_events(min_item_users=5)`.
    A note says for which tasks no list is long enough. Raises MatineeError for a task that cannot be read."""
    shares.check_ratios(valid, test)
    asked = _tasks(tasks)
    rng = generator(seed)
    lists_of_log = rng.permutation(np.flatnonzero(data.user_counts() > 0))
    part_of_list = dealt(lists_of_log, data.n_users, valid, test)
    if train_lists is not None:
        part_of_list[_beyond(lists_of_log[part_of_list[lists_of_log] == TRAIN], train_lists)] = LEFT_OUT
    part = part_of_list[data.user]
    key = rng.random(len(data))
    words = f"lists, {words_of(valid)} of them in valid, {words_of(test)} in test"

    def held(name: str, code: int) -> Holdout:
        there = part == code
        return joined([_asked(data, there, key, task, (name, words), exclude_seen) for task in asked], asked)

    train, both = (of_part(data, rows, None) for rows in (part == TRAIN, (part == TRAIN) | (part == VALID)))
    split = Split(train, held("valid", VALID), held("test", TEST), both, seed)
    missing = [str(task) for task in asked if str(task) not in split.test.tasks]
    if missing:
        split = replace(split, notes=(f"no list of test is long enough for {listed(missing)}",))
    return checked(split, valid=valid > 0, hint="choose smaller shares, or shorter tasks, or read longer lists")


def _beyond(lists_of_train: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """int64 (lists - n,): those after the first n. Raises MatineeError where there are not as many."""
    if not 1 <= n <= len(lists_of_train):
        hint = f"choose 1 to {len(lists_of_train):,}: {option('train_lists', len(lists_of_train))}"
        raise MatineeError(f"train_lists = {n}, and train has {counted(len(lists_of_train), 'list')}", hint=hint)
    return lists_of_train[n:]


def _tasks(tasks: str | list[str]) -> list[Task]:
    """Raises MatineeError for a name that is unknown, no task at all, and one that comes twice."""
    if isinstance(tasks, str) and tasks not in SETS and not re.search(r"title|first|random", tasks):
        raise MatineeError(f"unknown tasks {tasks!r}", hint=suggestion(tasks, SETS))
    given = SETS.get(tasks, [tasks]) if isinstance(tasks, str) else tasks
    parsed = [Task.parse(text) for text in given]
    if not parsed or len(set(parsed)) < len(parsed):
        raise MatineeError(f"tasks are {list(given)}", hint=f"name each once: {option('tasks', 'challenge')}")
    return parsed


def _asked(
    data: Dataset, part: NDArray[np.bool_], key: NDArray[np.float64], task: Task, name: tuple[str, str], exclude: bool
) -> Holdout:
    """One query for each list of this part, bool (n,) rows, that has more events than are shown. key: (n,) along
    data.order, by which random events are drawn."""
    user = data.user[data.order]
    at = random_place(user, key) if task.random else place(user)
    long_enough = (data.user_counts() > task.n)[data.user]
    shown = np.zeros(len(data), np.bool_)
    shown[data.order] = at < task.n
    seen = VisibleRows("what is shown of the list", part & long_enough & shown)
    until = known_until(data, seen.rows)
    found = holdout(data, part & long_enough & ~shown, name, seen, exclude and seen, until=until)
    return found if task.title else replace(found, queries=replace(found.queries, title=None))


def joined(holdouts: list[Holdout], tasks: list[Task]) -> Holdout:
    """The queries of several tasks as one holdout, task after task."""
    first, names = holdouts[0], [str(task) for task in tasks]
    parts = [each.queries for each in holdouts]
    rows = {name: _together([getattr(each, name) for each in parts]) for name in ("user", *BESIDE_HISTORY)}
    history, exclude, truth = (
        _stacked(each) for each in ([q.history for q in parts], [q.exclude for q in parts], [h.truth for h in holdouts])
    )
    known = [(None,) * len(queries) if queries.title is None else queries.title for queries in parts]
    title = None if all(queries.title is None for queries in parts) else tuple(text for each in known for text in each)
    pairs = [each.pairs for each in holdouts if each.pairs is not None]
    starts = np.cumsum([0, *map(len, parts)])
    dislikes = None if first.dislikes is None else _stacked([h.dislikes for h in holdouts if h.dislikes is not None])
    return Holdout(
        Queries(history=history, exclude=exclude, title=title, **rows),
        truth,
        replace(first.protocol, split=f"{first.protocol.split}, tasks {', '.join(names)}"),
        _pairs(pairs, starts),
        dislikes,
        tasks=tuple(name for name, queries in zip(names, parts, strict=True) for _ in range(len(queries))),
    )


def _pairs(parts: list[Pairs], starts: NDArray[np.int64]) -> Pairs:
    """All pairs, each beside the row that its query has now."""
    import polars as pl

    query = [part.query + np.int32(start) for part, start in zip(parts, starts, strict=False)]
    columns = {
        name: _together([getattr(part, name) for part in parts]) for name in ("user", "item", "timestamp", "label")
    }
    tables = [part.context for part in parts if part.context is not None]
    return Pairs(query=np.concatenate(query), context=pl.concat(tables) if tables else None, **columns)


def _together(arrays: list[Any]) -> Any:
    """One array of several, or None where there are none."""
    return None if arrays[0] is None else np.concatenate(arrays)


def _stacked(parts: list[Ragged]) -> Ragged:
    """int32 (B rows): the rows of all parts, one below the other."""
    lengths = np.concatenate([part.lengths for part in parts])
    return Ragged.of_lengths(lengths, np.concatenate([part.values for part in parts]))
