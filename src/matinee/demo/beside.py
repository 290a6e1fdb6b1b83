"""Below the lists: why a film stands there, what the lists share, and what is like a film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from matinee.demo import cards
from matinee.demo.answers import Answer, agreed, overlap, similar
from matinee.demo.opened import Opened

AGREED, ALIKE, SHOWN = 6, 6, 10
Say = Mapping[str, str]


def beside(opened: Opened, say: Say, found: Sequence[Answer]) -> None:
    why, shared, alike = st.tabs([say["why"], say["shared"], say["alike"]])
    with why:
        _why(opened, say, found)
    with shared:
        _shared(opened, say, found)
    with alike:
        _alike(opened, say, found)


def _why(opened: Opened, say: Say, found: Sequence[Answer]) -> None:
    """What raises the score of one film, by one model."""
    labels = {each.shown.label: each for each in found if each.films}
    if not labels:
        return
    left, right = st.columns(2)
    names = {label: each.shown.name for label, each in labels.items()}
    label = left.selectbox(say["why_model"], list(labels), format_func=names.__getitem__, key="why-model")
    films = {film.code: film for film in labels[label].films}
    code = right.selectbox(say["why_film"], list(films), format_func=lambda c: cards.cut(films[c].card.name, 90))
    reasons = films[code].reasons[:SHOWN]
    if not reasons:
        st.html(f'<p class="mt-note">{cards.text(say["why_none"], 300)}</p>')
        return
    pairs = [(opened.cards[reason.code].name, reason.push) for reason in reasons]
    st.html(f'<p class="mt-note">{cards.text(say["why_lead"], 300)}</p>{cards.pushes(pairs, say["untold"])}')


def _shared(opened: Opened, say: Say, found: Sequence[Answer]) -> None:
    """How many films each two lists share, and which films several have."""
    if len(found) < 2:
        return
    heads = [(each.shown.look, each.shown.name) for each in found]
    table = cards.shared_table(heads, overlap(found), max(len(each.films) for each in found))
    st.html(f'<p class="mt-note">{cards.text(say["shared_lead"])}</p>{table}')
    if both := agreed(found)[:AGREED]:
        st.html(f'<p class="mt-note">{cards.text(say["agreed"])}</p>')
        with st.container(horizontal=True, gap="small"):
            for code, n in both:
                with st.container(width=148):
                    st.html(cards.poster(opened.cards[code], say["lists"].format(n=n, all=len(found))))


def _alike(opened: Opened, say: Say, found: Sequence[Answer]) -> None:
    """What each model recommends to someone who watched one film."""
    codes = list(dict.fromkeys([code for each in found for code in each.codes]))
    if not codes:
        return
    code = st.selectbox(
        say["why_film"], codes, format_func=lambda c: cards.cut(opened.cards[c].name, 90), key="alike-film"
    )
    st.html(f'<p class="mt-note">{cards.text(say["alike_lead"])}</p>')
    for column, each in zip(st.columns(max(len(found), 2), gap="medium"), found, strict=False):
        answer = similar(opened, each.shown.label, code, ALIKE)
        rows = "".join(cards.row(place, film.card) for place, film in enumerate(answer.films, start=1))
        column.html(cards.head(each.shown.look, each.shown.name, say["popular"] if answer.fallback else "") + rows)
