"""HTML of the demo: cards of films, shares of genres, numbers. Every text is escaped here, and nowhere else."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from html import escape

from matinee.data.items import ItemCard
from matinee.report.palette import Look
from matinee.search import article_first

# degrees of the colour wheel, for genres in English and Korean; others get one by their letters
HUES = {
    "action": 14, "adventure": 38, "animation": 48, "children": 60, "children's": 60, "comedy": 78, "crime": 300,
    "documentary": 110, "drama": 228, "family": 66, "fantasy": 276, "film-noir": 250, "horror": 352, "musical": 322,
    "mystery": 262, "romance": 338, "sci-fi": 196, "thriller": 216, "war": 92, "western": 28,
    "액션": 14, "모험": 38, "애니메이션": 48, "가족": 66, "코미디": 78, "범죄": 300, "다큐멘터리": 110, "드라마": 228,
    "판타지": 276, "느와르": 250, "공포": 352, "뮤지컬": 322, "미스터리": 262, "멜로/로맨스": 338, "sf": 196,
    "스릴러": 216, "전쟁": 92, "서부": 28,
}  # fmt: skip
LONGEST = 180  # letters of a title that are shown
_LONG = re.compile(r"\S{12,}")  # a word that needs the smaller letters of a poster
_CONTROLS = dict.fromkeys([*range(32), 127, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F], " ")


def text(value: object, most: int = LONGEST) -> str:
    """A text as HTML: escaped, on one line, without signs that turn the direction of what follows, and cut."""
    return escape(cut(value, most))


def cut(value: object, most: int) -> str:
    """On one line, without signs that turn the direction of what follows, and cut: still plain text."""
    plain = " ".join(str(value).translate(_CONTROLS).split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def label(value: object, most: int = 90) -> str:
    """A text as Markdown that shows it as it is, for the label of a button: signs are escaped, and a colon cannot begin
    an emoji's name (a word joiner follows it)."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", cut(value, most)).replace("\\:", "\\:⁠")


def name(card: ItemCard) -> str:
    """The title as people say it: without the year, its article first. Plain text."""
    return article_first(card.name_without_year)


def hue(card: ItemCard) -> int:
    """Degrees of the colour wheel, of the first genre; -1 where there is none."""
    if not card.genres:
        return -1
    genre = card.genres[0].casefold()
    return HUES.get(genre, zlib.crc32(genre.encode("utf-8", "replace")) % 360)


def _tint(card: ItemCard) -> str:
    degrees = hue(card)
    return f"--g:{max(degrees, 0)};--c:{'.13' if degrees >= 0 else '0'}"


def facts(card: ItemCard, most: int = 2) -> str:
    """Year and genres."""
    parts = [str(card.year)] if card.year is not None else []
    return " · ".join([*parts, *(text(genre, 30) for genre in card.genres[:most])])


def without_scripts(page: str) -> str:
    """A whole page that may neither run scripts nor fetch anything, whatever it holds."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return f'<!doctype html><meta http-equiv="Content-Security-Policy" content="{policy}">{page}'


def poster(card: ItemCard, note: str = "") -> str:
    """A film as a poster: its title in serif on the colour of its genre. note: a line below, plain text."""
    title = text(name(card), 90)
    size = "small" if len(title) > 34 or _LONG.search(title) else ""
    year = "" if card.year is None else f'<span class="y">{card.year}</span>'
    kinds = " · ".join(text(genre, 24) for genre in card.genres[:2])
    below = f'<span class="n">{text(note)}</span>' if note else ""
    return (
        f'<div class="mt-poster {size}" style="{_tint(card)}"><span class="k">{kinds}</span>'
        f'<span class="t" dir="auto">{title}</span>{year}{below}</div>'
    )


def row(place: int, card: ItemCard, why: str = "", also: Iterable[tuple[Look, str]] = (), new: str = "") -> str:
    """A film of a list: place, title, year and genres, why it stands there, and who else has it. new: a mark, for a
    film that was not in the list before."""
    marks = "".join(shape(look, model) for look, model in also)
    fresh = f'<span class="new">{text(new)}</span>' if new else ""
    reason = f'<span class="w" dir="auto">{text(why, 140)}</span>' if why else ""
    others = f'<span class="also">{marks}</span>' if marks else ""
    return (
        f'<div class="mt-row" style="{_tint(card)}"><span class="p">{place}</span><div>'
        f'<span class="t" dir="auto">{text(name(card), 120)}</span>{fresh}'
        f'<span class="f">{facts(card)}{others}</span>{reason}</div></div>'
    )


def shape(look: Look, model: str) -> str:
    """The mark of a model."""
    return f'<span class="mt-shape hue{look.hue}" title="{text(model)}">{look.character}</span>'


def head(look: Look, model: str, note: str = "") -> str:
    """The head of a model's list."""
    below = f'<span class="n">{text(note)}</span>' if note else ""
    return f'<div class="mt-head">{shape(look, model)}<h3 dir="auto">{text(model, 60)}</h3>{below}</div>'


def shares(parts: Sequence[tuple[str, float]]) -> str:
    """Shares of genres as bars."""
    bars = "".join(
        f'<li style="{_tint(ItemCard(0, genres=(genre,)))}"><span>{text(genre, 30)}</span>'
        f'<i style="width:{share:.0%}"></i><b>{share:.0%}</b></li>'
        for genre, share in parts
    )
    return f'<ul class="mt-shares">{bars}</ul>'


def pushes(parts: Sequence[tuple[str, float | None]], nothing: str) -> str:
    """Items of a history with how much they raise a score, as bars to the right or left. nothing: the words for a push
    that cannot be told."""
    largest = max((abs(push) for _, push in parts if push is not None), default=0.0) or 1.0
    lines = []
    for title, push in parts:
        width = 0.0 if push is None else abs(push) / largest
        side = " class=untold" if push is None else " class=down" if push < 0 else ""
        value = text(nothing) if push is None else f"{push:+.4g}"
        lines.append(
            f'<li{side}><span dir="auto">{text(title, 90)}</span><i style="width:{width:.0%}"></i><b>{value}</b></li>'
        )
    return f'<ul class="mt-pushes">{"".join(lines)}</ul>'


def shared_table(heads: Sequence[tuple[Look, str]], counts: Sequence[Sequence[int]], k: int) -> str:
    """How many items each two lists share, as a table whose cells are darker the more they share."""
    top = "".join(f"<th>{shape(look, model)}</th>" for look, model in heads)
    rows = []
    for at, (look, model) in enumerate(heads):
        cells = "".join(
            '<td class="own">–</td>' if column == at else f'<td style="--s:{count / max(k, 1):.2f}">{count}</td>'
            for column, count in enumerate(counts[at])
        )
        rows.append(f"<tr><th>{shape(look, model)} {text(model, 40)}</th>{cells}</tr>")
    return f'<table class="mt-shared"><thead><tr><th></th>{top}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def lead(kicker: str, title: str, summary: str) -> str:
    """The head of a page."""
    return (
        f'<div class="mt-lead"><p class="kicker">{text(kicker)}</p><h1>{text(title)}</h1>'
        f'<p class="summary">{text(summary, 400)}</p></div>'
    )


def sentences(found: Sequence[tuple[str, str, str]]) -> str:
    """(topic, what was found, what follows) as a list."""
    lines = "".join(
        f"<div><dt>{text(topic)}</dt><dd>{text(what, 900)} <span>{text(so, 900)}</span></dd></div>"
        for topic, what, so in found
    )
    return f'<dl class="mt-sentences">{lines}</dl>'


def figures(found: Sequence[tuple[str, str]]) -> str:
    """Names and numbers."""
    return (
        f'<dl class="mt-figures">{"".join(f"<div><dt>{text(n)}</dt><dd>{text(v)}</dd></div>" for n, v in found)}</dl>'
    )
