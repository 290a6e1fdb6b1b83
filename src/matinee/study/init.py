"""A commented recipe for somebody's own files: what `sniff` found, a split that suits them, models that fit here."""

from __future__ import annotations

import json
import shlex
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from matinee import split as splits
from matinee.data.dataset import Dataset
from matinee.data.read.assemble import deduplicated
from matinee.data.read.sniffed import WHOLE_LINES, Sniffed
from matinee.errors import MatineeError, MatineeWarning, counted, either, worded_for
from matinee.explore.log import KeyFigures, key_figures
from matinee.files import StrPath, atomic_write
from matinee.models.fits import fits_here
from matinee.models.needs import readable
from matinee.study.which_file import Asked, Chosen

DAY = 86_400
TRIED = 2_000_000  # events up to which a split is tried at once
EXACT = 0.2  # share of neighbouring events of equal time, up to which times tell the order
TELLING = 0.9  # share of the items, more than which differ in a column that may be their title
MODELS = ("popularity", "item_knn", "ease", "ials")
OF_ORDER = "markov"
_Way = tuple[str, dict[str, Any], str]  # strategy, options, and why


def init_recipe(
    *files: StrPath, out: StrPath | None = None, overwrite: bool = False, log: StrPath | None = None,
    items: StrPath | None = None, users: StrPath | None = None, **options: Any,
) -> str:  # fmt: skip
    """A commented recipe, as TOML, for these files: a log, and tables that describe its items and users.

    files: without any, those of the current folder; a folder stands for its files. Tables are also found beside the
    log. The log is read whole. log, items, users: which file is which, where that cannot be told. options: those of
    `read` about columns, signs, times and ids that the log needs, where they were guessed wrong (without `log` it is
    the first file). out: write it there. A MatineeWarning for each doubt, and for each table that is left out. Raises
    MatineeError where a file is missing, no file is a log, or several are, and where `out` exists, unless overwrite.

    Example: `text = mt.init_recipe("log.csv", out="my_recipe.toml")`
    """
    asked = Asked.of(files, log, items, users, options)
    if out is not None and Path(out).exists() and not overwrite:
        hint = "choose another name, or say overwrite=True (--overwrite)"
        raise MatineeError("there is a file already", where=str(out), hint=hint)
    with worded_for("recipe"):
        chosen = asked.choose()
        plan = _Plan(chosen, key_figures(chosen.data))
        text = plan.text(out or "recipe.toml")
    for doubt in plan.doubts():
        warnings.warn(doubt, MatineeWarning, stacklevel=2)
    if out is not None:
        atomic_write(out, text)
    return text


@dataclass
class _Plan:
    """What the recipe is made of."""

    chosen: Chosen
    figures: KeyFigures

    def text(self, out: StrPath) -> str:
        log, data = self.chosen.log, self.chosen.data
        strategy, options, why = _split_of(log, data, self.figures)
        size = f"{counted(len(data), 'event')}, {counted(self.figures.n_users, 'user')}, "
        size += counted(self.figures.n_items, "item")
        name = Path(log.path).resolve().name
        asks = "what comes next?" if strategy in ("temporal", "leave_one_out", "sessions") else "what else is liked?"
        lines = [f"# A study of {name}: {size}.", f"# Run it: matinee run {shlex.quote(str(out))}", ""]
        lines += [tomli_w.dumps({"title": f"{name}: {asks}"}).strip(), "seeds = [0]", "", *self._data(strategy)]
        lines += ["", "[split]", *_comment(why), f'strategy = "{strategy}"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in options.items()]
        lines += ["", "[evaluate]", *_evaluate(strategy, self.figures), ""]
        lines += [*_refit(strategy), *_models(data, self._ordered())]
        return "\n".join(lines) + "\n"

    def doubts(self) -> list[str]:
        """What may be otherwise, a sentence each."""
        chosen = self.chosen
        return list(dict.fromkeys((*chosen.log.doubts, *chosen.notes, *chosen.left_out, *_untitled(chosen.data))))

    def _ordered(self) -> bool:
        options = self.chosen.log.options
        return _exact(self.figures) or (options is not None and options.get("format") in WHOLE_LINES)

    def _data(self, strategy: str) -> list[str]:
        """The [data] table, with what may be otherwise."""
        log, sides = self.chosen.log, self.chosen.sides
        table = replace(log, suggested={}).toml.splitlines()
        lines = [*table, *(each.toml for each in sides.values()), *_repeats(self.chosen.data, self.figures, strategy)]
        doubts = [line for doubt in self.doubts() for line in _comment(f"In doubt: {doubt}.")]
        if log.comments:
            doubts += [
                *_comment("The next line makes it count, in place of a line of the same key below:"),
                *log.comments,
            ]
        lines[1:1] = doubts
        ratings = self.figures.ratings
        if ratings is not None:
            liked = float(ratings.value[int(0.7 * len(ratings.value))])  # 4 of 1 to 5
            lines += _comment(
                "Ranked lists are measured, and each event is an event whatever its rating. The next line keeps only"
                " what people liked, and forgets the rest; dislike_below in its place remembers the rest, and never"
                " recommends it to the same user. For predicted ratings use rmse as a metric, with a model such as"
                " biased_mf."
            )
            lines.append(f"# min_rating = {liked:g}")
        return [
            *lines,
            "# min_user_events = 5    # leave out users with fewer events; min_item_events does so for items",
        ]


def _untitled(data: Dataset) -> list[str]:
    """That no column of the item table is known as the title, where one that differs by item may be it."""
    table = data.item_features
    if table is None or data.item_titles is not None:
        return []
    import polars as pl

    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    telling = [name for name in texts if table[name].n_unique() > TELLING * len(table)]
    return [
        f"no column of the table of items is called title: where {name!r} is it, say items = "
        f"{{ path = ..., title = {json.dumps(name)} }}"
        for name in telling[:1]
    ]


def _repeats(data: Dataset, figures: KeyFigures, strategy: str) -> list[str]:
    """The option that keeps one event of a user, item and second: a split would have the same one on both sides. At
    random it would have any repeated pair there, so then one event of each pair is kept."""
    if strategy == "random" and figures.repeated:
        n = figures.repeated
        again = f"{counted(n, 'event')} {either(n, 'repeats', 'repeat')} a pair of user and item. At random they would"
        again += " stand on both sides of the split, where they are no answers: the last of each pair stays."
        return [*_comment(again), 'duplicates = "last"']
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


def _refit(strategy: str) -> list[str]:
    """What a model of a split by a moment knows, and how it knows more."""
    if strategy != "temporal":
        return []
    text = "The test asks with the histories of train: who came later is new to the models. The next line fits again"
    text += " on train + valid before the test, and histories hold both; it is another protocol."
    return ["[fit]", *_comment(text), "# refit = true", ""]


def _comment(text: str) -> list[str]:
    """Lines of at most 110 signs."""
    lines, line = [], "#"
    for word in text.split():
        if len(line) + len(word) > 110:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line]


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
