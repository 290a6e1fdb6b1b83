"""Titles found while they are typed, held against the plainest reading of each rule."""

from __future__ import annotations

import random
import time
import unicodedata

import pytest

import matinee as mt
from matinee.search import TitleIndex, searchable

FILMS = {
    11: ("Matrix, The (1999)", 90),
    12: ("Matrix Reloaded, The (2003)", 40),
    13: ("Matilda (1996)", 70),
    14: ("Misérables, Les (1995)", 20),
    15: ("Misérables, Les (1998)", 30),
    16: ("Star Wars: Episode IV - A New Hope (1977)", 99),
    17: ("Silence of the Lambs, The (1991)", 95),
    18: ("기생충", 80),
    19: ("반지의 제왕: 왕의 귀환", 60),
    20: ("Big Lebowski, The (1998)", 65),
    21: ("Schindler's List (1993)", 85),
    22: ("8½ (1963)", 10),
    23: ("Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)", 75),
    24: ("Animatrix, The (2003)", 91),
    25: ("...", 1),
    26: ("Der Untergang", 15),
    27: ("ΑΝΤΊΟ", 2),
    28: ("Spider-Man (2002)", 55),
    29: ("<script>alert(1)</script>", 3),
}


@pytest.fixture(scope="module")
def index() -> TitleIndex:
    return TitleIndex.of(FILMS, [title for title, _ in FILMS.values()], [popular for _, popular in FILMS.values()])


def ids(index: TitleIndex, query: str, least: float = 1.0, k: int = 10) -> list[object]:
    """What is found by rules, without similar spellings unless asked for."""
    return [found.id for found in index.find(query, k) if found.score >= least]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("the matrix", [11, 12]),  # a whole title, then one that begins so
        ("MATRIX", [11, 12]),
        ("matrix, the (1999)", [11]),
        ("the matrix 1999", [11]),
        ("mat", [11, 13, 12]),  # by popularity
        ("les miserables", [15, 14]),
        ("miserables 1995", [14]),
        ("misérab", [15, 14]),
        ("new hope", [16]),  # words that stand further on
        ("hope star", [16]),
        ("silence lam", [17]),
        ("lebowski", [20]),
        ("schindlers list", [21]),
        ("Schindler’s", [21]),
        ("8 1/2", [22]),
        ("amelie poulain", [23]),
        ("le fabuleux destin", [23]),
        ("untergang", [26]),
        ("αντιο", [27]),
        ("spiderman", [28]),
        ("spider man", [28]),
        ("script alert", [29]),
        ("...", [25]),
        ("rix", []),  # in the middle of a word
        ("", []),
        ("   ", []),
        ("zzzzzz", []),
    ],
)
def test_titles_are_found_as_people_type_them(index: TitleIndex, query: str, found: list[object]) -> None:
    assert ids(index, query) == found


@pytest.mark.parametrize("typed", ["ㄱ", "기", "깃", "기새", "기생", "기생ㅊ", "기생추", "기생충"])
def test_a_korean_title_is_found_at_each_key(index: TitleIndex, typed: str) -> None:
    """깃 stands there when ㅅ of 생 was typed; it is no beginning of the title as written."""
    assert ids(index, typed)[0] == 18


def test_a_korean_title_is_found_without_its_spaces_and_with_a_wrong_vowel(index: TitleIndex) -> None:
    assert ids(index, "반지의제왕") == [19]
    assert index.find("반제의 제왕")[0].id == 19
    assert index.find("왕의")[0].score == 2.0


@pytest.mark.parametrize(
    ("query", "first"),
    [("matirx", 11), ("teh matrix", 11), ("shindler list", 21), ("lebovski", 20), ("silense of the lamb", 17)],
)
def test_misspelt_titles_are_found(index: TitleIndex, query: str, first: int) -> None:
    best = index.find(query)[0]
    assert best.id == first
    assert 0.3 <= best.score < 1.0


def test_the_steps_keep_their_order(index: TitleIndex) -> None:
    """Whole title, beginning, words, spelling: though the last are more popular."""
    titles = ["Heat Wave", "Cold Heat", "Heat", "Haet", "In the Heat of the Night"]
    found = TitleIndex.of("abcde", titles, [1, 2, 0, 99, 3]).find("heat")
    assert [(match.id, match.score) for match in found[:4]] == [("c", 4.0), ("a", 3.0), ("e", 2.0), ("b", 2.0)]
    assert [match.id for match in found[4:]] == ["d"]


def test_ties_go_by_popularity_then_by_order() -> None:
    titles = ["Hamlet"] * 4
    assert [match.id for match in TitleIndex.of([7, 3, 5, 4], titles).find("hamlet")] == [7, 3, 5, 4]
    assert [match.id for match in TitleIndex.of([7, 3, 5, 4], titles, [1, 5, 5, 9]).find("hamlet")] == [4, 3, 5, 7]
    assert [match.id for match in TitleIndex.of([7, 3, 5, 4], titles, [1, 5, 5, 9]).find("hamlet", 2)] == [4, 3]


def test_an_item_without_a_title_is_found_by_its_id() -> None:
    assert TitleIndex.of([101, 202], ["Heat", None]).find("202") == [(202, "202", 4.0)]


def test_beginnings_are_those_of_a_plain_scan() -> None:
    """Made titles of two scripts, against a scan with the plainest folding."""
    rng = random.Random(3)
    words = ["Été", "Ètoile", "Eau", "ecru", "Öl", "olé", "Olga", "zoo", "한강", "한국"]
    titles = [" ".join(rng.choice(words) for _ in range(rng.randint(1, 3))) for _ in range(300)]
    index = TitleIndex.of(range(300), titles)

    def folded(text: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(c))

    for query in ["e", "et", "ete o", "ol", "olga z", "한"]:
        expected = {row for row, title in enumerate(titles) if folded(title).startswith(folded(query))}
        found = {match.id for match in index.find(query, 300) if match.score >= 3.0}
        assert expected
        assert found == expected


def test_hostile_queries_are_ordinary_ones(index: TitleIndex) -> None:
    for query in ["\0", "\ud800", "🎬" * 500, "a" * 1_000_000, "‮abc", "(" * 50, "̀" * 90, "'; DROP TABLE"]:
        assert isinstance(index.find(query), list)


def test_what_cannot_be_is_refused(index: TitleIndex) -> None:
    with pytest.raises(mt.MatineeError, match="k = 0"):
        index.find("heat", 0)
    with pytest.raises(mt.MatineeError, match="2 ids, 1 titles and 2 popularities"):
        TitleIndex.of([1, 2], ["Heat"])
    assert TitleIndex.of([], []).find("heat") == []


def test_letters_are_folded_alike_whether_ascii_or_not() -> None:
    for text in ["The Matrix, 1999!", "Schindler's `List`", "Tom & Jerry", "a_b  c\t"]:
        assert searchable(text) == searchable(text + "é").removesuffix("e").strip()


def test_many_titles_are_searched_in_milliseconds() -> None:
    rng = random.Random(1)
    words = ["".join(rng.choice("abcdeiorstn") for _ in range(rng.randint(2, 8))) for _ in range(9000)]
    titles = [f"The {' '.join(rng.choice(words) for _ in range(rng.randint(1, 5)))}" for _ in range(20_000)]
    index = TitleIndex.of(range(len(titles)), titles)
    for query in ["t", "the", f"the {words[0]} {words[1]}", "the " * 30, titles[5][1:] + "x"]:
        start = time.process_time()
        for _ in range(5):
            index.find(query)
        assert (time.process_time() - start) / 5 < 0.02, query  # 0.4 ms, on a busy machine too
