"""Names found among many as difflib finds them."""

from __future__ import annotations

import random
import string

import pytest

from matinee.data.titles import COMPARED, Titles, nearest_names
from matinee.errors import near_misses

DRAW = random.Random(3)
WORDS = ["".join(DRAW.choices(string.ascii_lowercase, k=DRAW.randint(3, 8))) for _ in range(300)]
NAMES = sorted({f"{' '.join(DRAW.sample(WORDS, DRAW.randint(1, 4)))} ({year})" for year in range(1000, 4000)})


@pytest.mark.parametrize("cutoff", [0.5, 0.6, 0.8])
def test_as_difflib_does_over_all_names(cutoff: float) -> None:
    assert len(NAMES) > 5 * COMPARED
    for name in DRAW.sample(NAMES, 15):
        at = DRAW.randrange(len(name) - 1)
        typed = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
        found, wanted = nearest_names(typed, NAMES, 5, cutoff), near_misses(typed, NAMES, 5, cutoff)
        assert found[:2] == wanted[:2]
        assert len(set(found) & set(wanted)) >= len(wanted) - 1


def test_few_names_and_none() -> None:
    assert nearest_names("haet", ["Heat", "Up"], 3, 0.6) == ["Heat"]
    assert nearest_names("zzzz", NAMES, 3, 0.9) == []
    assert nearest_names("", NAMES, 3, 0.5) == []
    assert nearest_names("x", [], 3, 0.5) == []


def test_titles_in_other_scripts() -> None:
    titles = Titles(["기생충 (2019)", None, "Straße", *NAMES])
    assert titles.codes("기생충 (2019)") == [0]
    assert titles.codes("STRASSE") == [2]
    assert titles.near("기생중 (2019)")[0] == 0
    assert titles.codes("None") == []
