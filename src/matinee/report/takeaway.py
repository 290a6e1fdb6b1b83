"""What a reader should take away: sentences made of the report's own numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from matinee.data.dataset import Protocol
from matinee.evaluate import Finding
from matinee.evaluate.evaluate import named
from matinee.evaluate.power import POWER, smallest_difference, users_needed
from matinee.evaluate.predictions import CLICK, LOWER_IS_BETTER, RATING
from matinee.explore.recommended import ListFigures
from matinee.report import format as words
from matinee.report.format import THIN, percent
from matinee.report.scores import ALPHA, Cell, HowTested, Row, Table, against, differences, rows_behind
from matinee.report.seconds import fit_seconds
from matinee.report.study import Study

FOUND = ("recall", "recall_capped", "hit_rate", "precision")  # metrics that count what was found
ACCURACY = (*FOUND, "ndcg", "mrr", "map", "recall_ndcg", "r_precision", "ndcg_challenge", "clicks", *RATING, *CLICK)
BASELINE = "popularity"
SOME = 4  # names in a sentence


def sentences(study: Study, tables: Sequence[Table], lists: Mapping[str, ListFigures]) -> list[str]:
    """The first table's: who is best and by how much, who is as good for less, what more users would tell, who is
    better by another measure, what joining models gives, how wide the best one recommends, and what the test is.
    lists: by label."""
    if not tables or (best := tables[0].rows[0]).cells[0] is None:
        return []
    table, seconds = tables[0], fit_seconds(study)
    found = [
        _best(table, best, seconds),
        _as_good(table, seconds),
        _seen(study, table),
        _elsewhere(table),
        *(_joined(study, table, row) for row in table.rows),
        _width(table, lists),
        _test(table.protocol, study.findings),
    ]
    return [sentence for sentence in found if sentence]


def _better(metric: str, name: str, one: Cell, other: Cell, than: str) -> str:
    """one finds 12 % more of what was hidden than other, in the words of the metric."""
    change = abs(one.value / other.value - 1) if other.value else 0.0
    values = f"{name} {one.value:.4f} against {other.value:.4f}"
    if not change:
        return f"does as well as {than} ({values})"
    if metric in LOWER_IS_BETTER:
        return f"errs {_change(change)} less than {than} ({values})"
    if metric in FOUND:
        return f"finds {_change(change)} more of what was hidden than {than} ({values})"
    return f"scores {_change(change)} higher than {than} ({values})"


def _change(share: float) -> str:
    """141 %: changes may be larger than the whole."""
    return percent(share) if share < 0.995 else f"{100 * share:,.0f}{THIN}%"


def _best(table: Table, best: Row, seconds: Mapping[str, float]) -> str:
    """The best model against popularity, or against the one after it where popularity was not measured."""
    metric, name, cell = table.columns[0][0], named(*table.columns[0]), best.cells[0]
    assert cell is not None  # `sentences` asks before
    after = f", fitted in {words.seconds(seconds[best.label])}" if best.label in seconds else ""
    others = [row for row in table.rows[1:] if row.cells[0] is not None]
    rival = next((row for row in others if row.model == BASELINE), others[0] if others else None)
    if rival is None or (other := rival.cells[0]) is None:
        what = "" if best.model != BASELINE else ", which is to recommend what is popular"
        return f"{best.label} reaches {name} {cell.value:.4f}{what}{after}."
    tested = "" if other.p is None else f", {words.p_words(other.p)}"
    return f"{best.label} {_better(metric, name, cell, other, rival.label)}{tested}{after}."


def _as_good(table: Table, seconds: Mapping[str, float]) -> str:
    """Who cannot be told from the best, and which of them is fitted soonest."""
    if not table.tested or len(table.rows) < 2:
        return ""
    best, near = table.rows[0].label, [row.label for row in table.rows if (c := row.cells[0]) is not None and c.close]
    if not near:
        return f"{best} is significantly better than every other model."
    others = words.listed(near) if len(near) <= SOME else f"{len(near)} others"
    text = f"{others} cannot be told from {best}"
    quick = min(near, key=lambda label: seconds.get(label, np.inf))
    if quick in seconds and best in seconds and seconds[quick] < 0.7 * seconds[best]:
        took = f"{words.seconds(seconds[quick])} instead of {words.seconds(seconds[best])}"
        text += f", and {'is' if len(near) == 1 else quick + ' is'} fitted in {took}"
    return text + "."


def _seen(study: Study, table: Table) -> str:
    """What these users can show between the best and the best of those that cannot be told from it, and how many users
    the measured difference would take."""
    best, column = table.rows[0], table.columns[0]
    near = next((row for row in table.rows if (c := row.cells[0]) is not None and c.close), None)
    if near is None:
        return ""
    rows = rows_behind(study.per_query, table.split, table.fingerprint)
    found = differences(rows, column, best.label, [near.label])
    if found is None or not (sums := found[0][0]).std():
        return ""
    per_user = sums * (len(sums) / found[1])  # so that their mean is that of the queries
    sd, n, measured = float(per_user.std(ddof=1)), len(per_user), abs(float(per_user.mean()))
    least, needed = smallest_difference(n, sd, power=POWER), users_needed(measured, sd, power=POWER)
    users = "more users than can be had" if needed is None else f"about {words.count(_rounded(needed))} users"
    text = f"To tell {best.label} from {near.label} by the measured difference of {measured:.4f} takes {users}; these "
    return text + f"{n:,} show differences from {least:.4f} on (with a power of {percent(POWER)}, this pair alone)."


def _rounded(n: int) -> int:
    """Two digits: the spread behind it is no better known."""
    return round(n, 2 - len(str(n)))


def _elsewhere(table: Table) -> str:
    """Who is significantly better than the first model by other measures of accuracy: the one with the most of them."""
    others = [at for at, (metric, _) in enumerate(table.columns) if at and metric in ACCURACY]
    behind: dict[str, list[str]] = {}
    for at in others:
        cell = table.rows[0].cells[at]
        top = next((row.label for row in table.rows if (c := row.cells[at]) is not None and c.best), None)
        if top is not None and cell is not None and cell.p is not None and cell.p < ALPHA:
            behind.setdefault(top, []).append(named(*table.columns[at]))
    if not behind:
        return ""
    label = max(behind, key=lambda label: len(behind[label]))
    by = behind[label]
    text = f"By {len(by)} of the {len(others)} other measures of accuracy" if len(others) > 1 else "By"
    which = f" {by[0]}" if len(others) == 1 else f" ({words.listed(by)})" if len(by) <= SOME else ""
    return f"{text}{which} {label} is significantly better than {table.rows[0].label}."


def _joined(study: Study, table: Table, row: Row) -> str:
    """What an ensemble gives beyond the best of its members; nothing for other models."""
    members = study.hyper_parameters.get(row.label, {}).get("members")
    if not isinstance(members, list | tuple) or (mine := row.cells[0]) is None:
        return ""
    cells = {r.label: r.cells[0] for r in table.rows if r.label in members}
    known = {label: cell for label, cell in cells.items() if cell is not None}
    if len(members) < 2 or set(members) != set(known):
        return ""
    metric, name = table.columns[0][0], named(*table.columns[0])
    sign = -1 if metric in LOWER_IS_BETTER else 1
    top = max(known, key=lambda label: sign * known[label].value)
    p = against(
        rows_behind(study.per_query, table.split, table.fingerprint), table.columns[0], row.label, [top],
        HowTested(study.tested.test, "none"),
    )  # fmt: skip
    tested = "" if p is None else f", {words.p_words(float(p[0]))}"
    who = f"{words.listed(list(members))} together ({row.label})"
    if p is not None and p[0] >= ALPHA:
        values = f"{name} {mine.value:.4f} against {known[top].value:.4f}"
        return f"{who} cannot be told from {top} alone ({values}){tested}."
    if sign * (mine.value - known[top].value) > 0:
        than = "either" if len(members) == 2 else f"{top}, the best of them"
        return f"{who} {_together(_better(metric, name, mine, known[top], than))}{tested}."
    worse = "err more" if sign < 0 else "find less" if metric in FOUND else "score lower"
    return f"{who} {worse} than {top} alone ({name} {mine.value:.4f} against {known[top].value:.4f}){tested}."


def _together(text: str) -> str:
    """finds -> find: of several."""
    verb, _, rest = text.partition(" ")
    return f"{'do' if verb == 'does' else verb[:-1]} {rest}"


def _width(table: Table, lists: Mapping[str, ListFigures]) -> str:
    """How much of the catalogue the best model recommends, beside the one that recommends most of it."""
    best = table.rows[0].label
    if best not in lists or not lists[best].n_recommended:
        return ""
    mine = lists[best]
    text = f"{best} recommends {percent(mine.coverage)} of the catalogue, and {percent(mine.head_share)} of its picks "
    text += f"are among the {mine.head:,} most popular items"
    widest = max(lists, key=lambda label: lists[label].coverage)
    if widest != best and lists[widest].coverage > mine.coverage:
        text += f"; {widest} recommends most of the catalogue, {percent(lists[widest].coverage)}"
    return text + "."


def _test(protocol: Protocol | None, findings: Sequence[Finding]) -> str:
    """What kind of test it is, and whether what comes later was known."""
    if protocol is None:
        return ""
    part = protocol.part
    text = f"The {part} is {protocol.split}"
    found = {finding.what: finding for finding in findings}
    own, others = found.get("own future in train"), found.get("future in train")
    if others is None or part != "test":
        return text + "."
    if own is not None and own.number:
        seen = f"{percent(own.number)} of its users’ training events come after their first hidden one"
        return f"{text}: later events were seen in training ({seen})."
    if others.number is None:
        return f"{text}: without times, nobody knows whether later events were seen in training."
    if others.level == "warn":
        seen = f"{percent(others.number)} of the training events come after the median hidden one"
        return f"{text}: nobody’s own later events were seen in training, those of others were ({seen})."
    return f"{text}: what was seen in training is earlier than what was hidden."
