"""HTML of the demo: every text is shown as it is, whatever it holds."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from hostile import TITLES as HOSTILE
from matinee.data.items import ItemCard
from matinee.demo import cards
from matinee.report.palette import Look

OURS = {"div", "span", "h1", "h2", "h3", "p", "ul", "li", "i", "b", "dl", "dt", "dd", "table", "thead", "tbody", "tr"}
OURS |= {"th", "td"}
LOOK = Look(1, "o")


class Parsed(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("title", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_titles_are_text(title: str) -> None:
    card = ItemCard(1, title, 1999, (title, "Drama"))
    pages = [
        cards.poster(card, title), cards.row(1, card, title, [(LOOK, title)], title), cards.head(LOOK, title, title),
        cards.shares([(title, 0.4)]), cards.pushes([(title, 0.1), (title, None)], title),
        cards.lead(title, title, title),
        cards.shared_table([(LOOK, title)] * 2, [[3, 1], [1, 3]], 3), cards.sentences([(title, title, title)]),
    ]  # fmt: skip
    for page in pages:
        found = Parsed(page)
        assert found.tags <= OURS
        assert found.attributes <= {"class", "style", "title", "dir"}
        assert cards.cut(title, 24).rstrip("…") in " ".join(found.text.split())


def test_labels_show_markdown_as_text() -> None:
    assert cards.label("**a** [b](c) :smile: 1.") == (r"\*\*a\*\* \[b\]\(c\) \:" + "⁠" + r"smile\:" + "⁠" + r" 1\.")
    assert cards.label("Amélie 기생충") == "Amélie 기생충"


def test_long_texts_are_cut_and_lines_joined() -> None:
    assert cards.cut("a\n b\t\tc", 10) == "a b c"
    assert cards.cut("abcdef", 4) == "abc…"
    assert cards.cut("‮evil", 10) == "evil"


def test_names_have_their_article_first_and_no_year() -> None:
    assert cards.name(ItemCard(1, "Matrix, The (1999)", 1999)) == "The Matrix"
    assert cards.name(ItemCard(1, "Avventura, L' (1960)", 1960)) == "L'Avventura"
    assert cards.name(ItemCard(7)) == "7"


def test_a_genre_has_one_colour_and_none_is_grey() -> None:
    assert cards.hue(ItemCard(1, genres=("Drama", "War"))) == cards.hue(ItemCard(2, genres=("drama",))) == 228
    assert 0 <= cards.hue(ItemCard(1, genres=("Wuxia",))) < 360
    assert cards.hue(ItemCard(1)) == -1
    assert "--c:0" in cards.poster(ItemCard(1, "Heat"))


def test_pages_in_frames_run_nothing() -> None:
    page = cards.without_scripts("<p>report")
    assert page.index("Content-Security-Policy") < page.index("<p>report")
    assert "default-src 'none'" in page
