"""What each model recommends more than the others, against counts by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from test_report import page_of, quiet_study

from matinee.report.apart import apart, shares
from matinee.report.format import percent


def test_shares_against_plain_counts() -> None:
    recs = quiet_study(labels=["a", "b"]).recommendations["a"]
    recs = replace(recs, item=np.where(recs.item == recs.item[0, 0], -1, recs.item))  # empty places count for nobody
    for item, share in enumerate(shares(recs, 40)):
        assert share == sum(item in row for row in recs.item.tolist()) / len(recs)


def test_the_items_furthest_above_the_others() -> None:
    study = quiet_study(labels=["a", "b", "c"])
    lists = {label: recs.item.tolist() for label, recs in study.recommendations.items()}
    table = apart(study.recommendations, study.data)
    assert table is not None
    assert [row[0] for row in table.rows] == list(lists)
    ids = [str(one) for one in study.data.items.decode(np.arange(study.data.n_items))]
    n = len(study.split.test)
    for label, *cells in table.rows:
        mine = [sum(item in row for row in lists[str(label)]) / n for item in range(len(ids))]
        rest = [other for other in lists if other != label]
        theirs = [sum(item in row for o in rest for row in lists[o]) / n / len(rest) for item in range(len(ids))]
        order = sorted(range(len(ids)), key=lambda item: (round(theirs[item] - mine[item], 9), item))[:3]
        wanted = [
            f"{percent(round(mine[item], 6))}, others {percent(round(theirs[item], 6))}"
            for item in order
            if mine[item] > theirs[item]
        ]
        assert [cell.share for cell in cells if not isinstance(cell, str)] == wanted
        assert cells.count("–") == 3 - len(wanted)


def test_one_model_has_nobody_to_differ_from() -> None:
    study = quiet_study(labels=["a"])
    assert apart(study.recommendations, study.data) is None
    assert "more than the others" not in page_of(study).words
