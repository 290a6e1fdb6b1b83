"""A commented recipe for somebody's own files: what `sniff` found, a split that suits them, models that fit here."""

from __future__ import annotations

import json
import shlex
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli_w

from matinee import split as splits
from matinee.data.dataset import Dataset
from matinee.data.read.assemble import deduplicated
from matinee.data.read.sniff import sniff
from matinee.data.read.sniffed import WHOLE_LINES, Sniffed
from matinee.errors import MatineeError, MatineeWarning, counted, either, listed, worded_for
from matinee.explore.log import KeyFigures, key_figures
from matinee.files import StrPath, atomic_write
from matinee.models.fits import fits_here
from matinee.models.needs import readable
from matinee.study.data_table import DataTable

DAY = 86_400
TRIED = 2_000_000  # events up to which a split is tried at once
EXACT = 0.2  # share of neighbouring events of equal time, up to which times tell the order
MODELS = ("popularity", "item_knn", "ease", "ials")
OF_ORDER = "markov"
_Way = tuple[str, dict[str, Any], str]  # strategy, options, and why
BESIDE = 30  # files of a folder that may describe items or users


def init_recipe(*files: StrPath, out: StrPath | None = None, overwrite: bool = False) -> str:
    """A commented recipe, as TOML, for these files: a log, and tables that describe its items and users.

    files: without any, those of the current folder; a folder stands for its files. Tables are also found beside the
    log. The log is read whole. out: write it there. Raises MatineeError where no file is a log, or several are, and
    where `out` exists, unless overwrite.

    Example: `text = mt.init_recipe("log.csv", out="my_recipe.toml")`
    """
    if out is not None and Path(out).exists() and not overwrite:
        hint = "choose another name, or say overwrite=True (--overwrite)"
        raise MatineeError("there is a file already", where=str(out), hint=hint)
    with worded_for("recipe"):
        plan = _planned([sniff(file) for file in files or (".",)])
    text = plan.text(out or "recipe.toml")
    if out is not None:
        atomic_write(out, text)
    return text


@dataclass
class _Plan:
    """What the recipe is made of. sides: "items" and "users" -> their lines of TOML."""

    log: Sniffed
    data: Dataset
    figures: KeyFigures
    sides: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def text(self, out: StrPath) -> str:
        strategy, options, why = _split_of(self.log, self.data, self.figures)
        size = f"{counted(len(self.data), 'event')}, {counted(self.figures.n_users, 'user')}, "
        size += counted(self.figures.n_items, "item")
        name = Path(self.log.path).resolve().name
        lines = [f"# A study of {name}: {size}.", f"# Run it: matinee run {shlex.quote(str(out))}", ""]
        lines += [tomli_w.dumps({"title": f"{name}: what comes next?"}).strip(), "seeds = [0]", "", *self._data()]
        lines += ["", "[split]", *_comment(why), f'strategy = "{strategy}"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in options.items()]
        lines += ["", "[evaluate]", *_evaluate(strategy, self.figures), "", *_models(self.data, self._ordered())]
        return "\n".join(lines) + "\n"

    def _ordered(self) -> bool:
        return _exact(self.figures) or (self.log.options is not None and self.log.options.get("format") in WHOLE_LINES)

    def _data(self) -> list[str]:
        """The [data] table, with what may be otherwise."""
        lines = self.log.toml.splitlines() + list(self.sides.values()) + _repeats(self.data)
        doubts = [f"In doubt: {doubt}." for doubt in dict.fromkeys((*self.log.doubts, *self.notes))]
        lines[1:1] = [line for doubt in doubts for line in _comment(doubt)]
        ratings = self.figures.ratings
        if ratings is not None:
            liked = float(ratings.value[int(0.7 * len(ratings.value))])  # 4 of 1 to 5
            lines += _comment(
                "Ranked lists are measured, and each event is an event whatever its rating. The next line keeps only"
                " what people liked; for predicted ratings use rmse as a metric, with a model such as biased_mf."
            )
            lines.append(f"# min_rating = {liked:g}")
        return [
            *lines,
            "# min_user_events = 5    # leave out users with fewer events; min_item_events does so for items",
        ]


def _repeats(data: Dataset) -> list[str]:
    """The option that keeps one event of a user, item and second: a split would have the same one on both sides."""
    if data.timestamp is None:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)  # of weights that are left out: the comment says it
        n = len(data) - len(deduplicated(data, "distinct"))
    if not n:
        return []
    again = f"{counted(n, 'event')} {either(n, 'comes', 'come')} again, of one user and item in one second"
    text = f"{again}: the first of them stays; where events have kinds or weights, the one that counts most."
    return [*_comment(text), 'duplicates = "distinct"']


def _comment(text: str) -> list[str]:
    """Lines of at most 110 signs."""
    lines, line = [], "#"
    for word in text.split():
        if len(line) + len(word) > 110:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line]


# --- which file is which ----------------------------------------------------------------------------------------------


def _planned(given: Sequence[Sniffed]) -> _Plan:
    whole = next((each for each in given if each.kind == "folder" and each.format), None)
    if whole is not None:  # in a known layout, with tables of its own
        data, notes = _loaded(whole.table)
        return _Plan(whole, data, key_figures(data), notes=notes)
    named = [each for each in given if each.kind != "folder"]
    inside = [each for folder in given for each in folder.files if each.kind != "folder"]
    found = [*named, *(sniff(each.path) for each in inside[:BESIDE])]  # of a folder's files little was read, or nothing
    log, notes = _log_of(named, found)
    data, _ = _loaded(log.table)
    sides = {}
    for what, ids in (("items", data.items), ("users", data.users)):
        tables = [each for each in found if each.kind == what] or _beside(log, what)
        tables.sort(key=lambda each: ("title" in (each.columns or {}).values(), len(each.columns or {})), reverse=True)
        known = set(map(str, ids.decode(range(len(ids)))))
        chosen = next((table for table in tables if table in named or _describes(table, known)), None)
        if chosen is not None:
            sides[what] = _like_the_log(chosen, log)
    data, warned = _loaded(_with(log, sides))
    return _Plan(log, data, key_figures(data), {what: each.toml for what, each in sides.items()}, [*notes, *warned])


def _log_of(named: Sequence[Sniffed], found: Sequence[Sniffed]) -> tuple[Sniffed, list[str]]:
    """The log among the files, and what is said of others that look like one."""
    logs = [each for each in named if each.kind == "log"]
    if len(logs) > 1:
        paths = listed(each.path for each in logs)
        raise MatineeError(f"several of the files look like logs: {paths}", hint="name one of them")
    logs = logs or sorted((each for each in found if each.kind == "log"), key=_likeness, reverse=True)
    if not logs:
        problems = [f"{Path(each.path).name}: {each.problem or f'a table of {each.kind}'}" for each in found]
        what = f"no file looks like a log: {'; '.join(problems[:6]) or 'there are none'}"
        raise MatineeError(what, hint="name the file whose rows have a user and an item")
    others = [Path(each.path).name for each in logs[1:] if not each.guessed]
    return logs[0], [f"other files look like logs too: {listed(others)}"] if others else []


def _likeness(log: Sniffed) -> tuple[bool, bool, int, int]:
    """How much a file is like a log: a known format, columns that names tell, their number, its size."""
    roles = sum(bool(role) for role in (log.columns or {}).values())
    return log.format is not None, not log.guessed, roles, log.n_bytes


def _beside(log: Sniffed, what: str) -> list[Sniffed]:
    """The tables of this kind in the log's folder."""
    path = Path(log.path)
    paths = [each for each in sorted(path.parent.iterdir()) if each.is_file() and each.resolve() != path.resolve()]
    small = [each for each in paths if not each.name.startswith(".") and each.stat().st_size < 50_000_000]
    return [found for each in small[:BESIDE] if (found := sniff(each)).kind == what]


def _describes(table: Sniffed, known: Iterable[str]) -> bool:
    """Whether most of the first ids of a table are those of the log."""
    column = next((name for name, role in (table.columns or {}).items() if role.endswith("_id")), None)
    ids = [str(row[column]) for row in table.first_rows if column is not None]
    return bool(ids) and sum(each in known for each in ids) * 2 >= len(ids)


def _like_the_log(table: Sniffed, log: Sniffed) -> Sniffed:
    """The table without the name of its ids, where the log has the same."""
    roles = {role: name for name, role in (log.columns or {}).items() if role}
    options = {name: value for name, value in (table.options or {}).items() if roles.get(name) != value}
    return replace(table, options=options)


def _with(log: Sniffed, sides: Mapping[str, Sniffed]) -> dict[str, Any]:
    tables = {}
    for what, each in sides.items():
        options = dict(each.options or {})
        tables[what] = {"path": each.path, **options} if options else each.path
    return {**log.table, **tables}


def _loaded(table: Mapping[str, Any]) -> tuple[Dataset, list[str]]:
    """The whole log, and the warnings of reading it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = DataTable(**table).load()
    return data, [str(each.message) for each in caught if issubclass(each.category, MatineeWarning)]


# --- what is hidden, measured and fitted ------------------------------------------------------------------------------


def _exact(figures: KeyFigures) -> bool:
    """Whether times tell the order of a user's events."""
    if figures.first is None or figures.last is None or figures.last - figures.first < DAY:
        return False
    return figures.tied is None or figures.tied <= EXACT


def _split_of(log: Sniffed, data: Dataset, figures: KeyFigures) -> tuple[str, dict[str, Any], str]:
    """The first split that suits the log and can be made: its strategy, options, and why."""
    ways = _ways(log, figures)
    for strategy, options, why in ways:
        if len(data) > TRIED:
            return strategy, options, why
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MatineeWarning)
                splits.make(data, strategy, options)
        except MatineeError:
            continue
        return strategy, options, why
    what = f"the log is too small for a held-out split: {counted(len(data), 'event')}"
    raise MatineeError(what, where=log.path, hint="`matinee fit` needs none")


def _ways(log: Sniffed, figures: KeyFigures) -> list[_Way]:
    kind = (log.options or {}).get("format")
    session = kind == "sessions" or (log.format or "").endswith("_sessions")
    why = "Times tell the order: the last event of each user is the test, the one before valid."
    last: _Way = ("leave_one_out", {}, why)
    later: _Way = (
        "temporal",
        {"valid": 0.8, "test": 0.9},
        "Times tell the order: the last tenth of all events is the test, the tenth before it valid.",
    )
    if session:
        why = "Sessions: whole ones are hidden, and each of their beginnings asks for the item that followed."
        ways = [("sessions", {"test": 0.1, "valid": 0.1}, why)]
    elif kind == "sequences":
        why = "Lines tell the order: the last item of each user is the test, the one before valid."
        ways = [("leave_one_out", {}, why)]
    elif _exact(figures):
        ways = [last, later] if figures.user_events.median >= 5 else [later, last]
    else:
        ways = []
    none = "There are no times" if figures.first is None else "Times do not tell the order"
    why = f"{none}: a tenth of each user's events is the test, drawn at random, and as much valid."
    rows = "The log is small: a tenth of its rows is the test, drawn at random, and as much valid."
    tenths = {"valid": 0.1, "test": 0.1}
    return [*ways, ("random", tenths, why), ("random", {"by": "row", **tenths}, rows)]


def _evaluate(strategy: str, figures: KeyFigures) -> list[str]:
    if strategy == "sessions":
        return ["k = [10, 20]", 'metrics = ["hit_rate", "mrr"]', "exclude_seen = false    # a session may repeat items"]
    metrics = '["hit_rate", "ndcg"]' if strategy == "leave_one_out" else '["recall", "ndcg", "hit_rate"]'
    lines = ["k = [10, 20]", f"metrics = {metrics}"]
    if figures.repeated * 5 > figures.n_events:
        share = f"{figures.repeated / figures.n_events:.0%} of the events repeat an earlier one of their user"
        lines += [*_comment(f"{share}; where repeats are answers too, say:"), "# exclude_seen = false"]
    return lines


def _models(data: Dataset, ordered: bool) -> list[str]:
    """[[model]] tables; those that do not fit this machine are comments with their figures."""
    names = [*MODELS, OF_ORDER] if ordered else list(MODELS)
    lines = []
    for row in fits_here(data, names).iter_rows(named=True):
        table = ["[[model]]", f'name = "{row["model"]}"']
        if row["fits"] is False:
            needs = f"{row['model']} needs {readable(row['memory_bytes'])} of memory here: {row['note']}"
            table = [*_comment(needs), *(f"# {line}" for line in table)]
        lines += [*table, ""]
    if ordered:
        lines += _comment("A net that reads the order of events; it needs PyTorch, and minutes for a million events:")
        lines += ["# [[model]]", '# name = "sasrec"', ""]
    return [*lines, *_comment("`matinee models` lists all models, `matinee models show NAME` what can be set.")]
