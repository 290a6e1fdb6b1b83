"""The page "Films": who watches, what they picked, and the lists of the models side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from matinee.demo import cards
from matinee.demo.adjust import adjusted
from matinee.demo.answers import Answer, Film, answers, because, favourites, genres
from matinee.demo.asking import Asked
from matinee.demo.beside import beside
from matinee.demo.opened import Opened, sizes
from matinee.errors import MatineeError

FOUND, STARTERS, POSTER, PEOPLE, MOST_BESIDE = 8, 12, 148, 300, 4
FEW = 3  # films, until which well-known ones are offered
Say = Mapping[str, str]


def show(opened: Opened, say: Say) -> None:
    st.html(cards.lead(f"{opened.data.name} · {sizes(opened.data)}", say["title"], say["summary"]))
    choices = [say["new"], say["person"]]
    who = st.segmented_control(say["who"], choices, default=choices[0], required=True, on_change=_begin, key="who")
    asked = _someone_new(opened, say) if who == choices[0] else _somebody(opened, say)
    labels, asked = adjusted(opened, say, asked)
    st.html(f'<h2 class="mt-h2">{cards.text(say["next"])}</h2>')
    if not asked.says_something:
        st.html(f'<p class="mt-note">{cards.text(say["empty"])}</p>')
        return
    try:
        found = answers(opened, labels, asked)
    except MatineeError as error:
        st.warning(cards.label(str(error), 300))
        return
    _lists(opened, say, found, _before(asked, found))
    _disliked(opened, say)
    beside(opened, say, found)


# -- what was picked, liked and disliked ---------------------------------------------------------------------------


def chosen(kind: str) -> list[int]:
    """Item codes: picked, liked or disliked in this session."""
    codes: list[int] = st.session_state.setdefault(kind, [])
    return codes


def _begin() -> None:
    for kind in ("picked", "liked", "disliked"):
        st.session_state[kind] = []
    st.session_state.pop("lists", None)


def _add(kind: str, code: int) -> None:
    """An item is of one kind: what was liked and is disliked now is no longer liked."""
    for other in ("picked", "liked", "disliked"):
        st.session_state[other] = [each for each in chosen(other) if each != code]
    chosen(kind).append(code)


def _pick(code: int) -> None:
    """Of what was searched for: the search is done."""
    _add("picked", code)
    st.session_state["search"] = ""


def _remove(code: int) -> None:
    for kind in ("picked", "liked", "disliked"):
        st.session_state[kind] = [each for each in chosen(kind) if each != code]


def _said(user: Any = None) -> Asked:
    return Asked(user, tuple(chosen("picked")), tuple(chosen("liked")), tuple(chosen("disliked")))


# -- who watches ---------------------------------------------------------------------------------------------------


def _someone_new(opened: Opened, say: Say) -> Asked:
    """A search, what was picked, and well-known films until a few are picked."""
    query = st.text_input(say["search"], placeholder=say["search_hint"], key="search")
    picked = [*chosen("picked"), *chosen("liked")]
    if query.strip():
        found = [code for code in opened.search(query, FOUND) if code not in picked]
        with st.container(horizontal=True, key="found", gap="xsmall"):
            for code in found:
                card = opened.cards[code]
                year = "" if card.year is None else f" · {card.year}"
                title = cards.label(f"+ {cards.name(card)}{year}")
                st.button(title, key=f"found-{code}", on_click=_pick, args=(code,))
        if not found:
            st.html(f'<p class="mt-note">{cards.text(say["nothing"].format(query=query))}</p>')
    if picked:
        st.html(f'<p class="mt-note">{cards.text(say["picked"])}</p>')
        _posters(opened, picked, say["remove"], None)
        st.button(say["again"], on_click=_begin, type="tertiary", icon=":material/restart_alt:")
    if len(picked) < FEW:
        st.html(f'<p class="mt-note">{cards.text(say["more" if picked else "start"])}</p>')
        left = [code for code in opened.well_known(STARTERS) if code not in chosen("disliked") + picked]
        _posters(opened, left[: STARTERS // 2] if picked else left, say["pick"], "picked")
    return _said()


def _posters(opened: Opened, codes: Sequence[int], word: str, kind: str | None) -> None:
    """Posters with a button below each: to pick the film, or to remove it."""
    with st.container(horizontal=True, gap="small", key=f"posters-{kind or 'mine'}"):
        for code in codes:
            with st.container(width=POSTER, gap="xsmall"):
                st.html(cards.poster(opened.cards[code]))
                name = cards.label(f"{word}: {cards.name(opened.cards[code])}")
                given: dict[str, Any] = {"on_click": _add, "args": (kind, code)}
                given = given if kind else {"on_click": _remove, "args": (code,)}
                st.button(word, key=f"{word}-{code}", help=name, width="stretch", **given)


def _somebody(opened: Opened, say: Say) -> Asked:
    """A person of the data: whom, what they like, and their genres."""
    data, counts = opened.data, opened.data.user_counts()
    people = {str(data.users.decode([code])[0]): code for code in opened.people(PEOPLE)}

    def named(user: str) -> str:
        return say["someone"].format(user=user, n=int(counts[people[user]])) if user in people else user

    user = st.selectbox(
        say["which"], list(people), index=len(people) // 2, format_func=named, accept_new_options=True,
        placeholder=say["which_hint"], on_change=_begin, key="user",
    )  # fmt: skip
    code = None if user is None else data.users.find(int(user) if data.users.is_integer and user.isdigit() else user)
    if code is None or code < 0:
        st.warning(say["unknown"].format(user=cards.label(user)))
        return _said()
    liked = favourites(opened, code)
    st.html(f'<p class="mt-note">{cards.text(say["loved" if data.value is not None else "latest"])}</p>')
    with st.container(horizontal=True, gap="small", key="posters-theirs"):
        for each in [*chosen("liked"), *liked]:
            with st.container(width=POSTER):
                st.html(cards.poster(opened.cards[each], say["liked"] if each in chosen("liked") else ""))
    watched = data.queries_of(data.users.codes(data.users.decode([code]))).history.values
    if shares := genres(opened.cards[item] for item in watched.tolist()):
        st.html(f'<p class="mt-note">{cards.text(say["genres"])}</p>{cards.shares(shares)}')
    return _said(data.users.decode([code])[0])


# -- the lists -----------------------------------------------------------------------------------------------------


def _before(asked: Asked, found: Sequence[Answer]) -> Mapping[str, tuple[int, ...]]:
    """The lists before the last change: label -> item codes."""
    last, lists, before = st.session_state.get("lists", (None, {}, {}))
    if last != asked:
        before, lists = lists, {each.shown.label: each.codes for each in found}
        st.session_state["lists"] = asked, lists, before
    return before  # type: ignore[no-any-return]


def _lists(opened: Opened, say: Say, found: Sequence[Answer], before: Mapping[str, tuple[int, ...]]) -> None:
    looks = {each.shown.label: (each.shown.look, each.shown.name) for each in found}
    for start in range(0, len(found), MOST_BESIDE):
        part = found[start : start + MOST_BESIDE]
        for column, each in zip(st.columns(max(len(part), 2), gap="medium"), part, strict=False):
            with column:
                st.html(cards.head(each.shown.look, each.shown.name, say["popular"] if each.fallback else ""))
                old = before.get(each.shown.label)
                for place, film in enumerate(each.films, start=1):
                    fresh = say["fresh"] if old is not None and film.code not in old else ""
                    also = [looks[label] for label in film.also]
                    _film(opened, say, each.shown.label, place, film, also, fresh)


def _film(opened: Opened, say: Say, label: str, place: int, film: Film, also: Iterable[Any], fresh: str) -> None:
    names = [cards.cut(cards.name(opened.cards[code]), 40) for code in because(film)]
    why = say["because"].format(names=say["and"].join(names)) if names else ""
    with st.container(horizontal=True, vertical_alignment="center", gap=None, key=f"row-{label}-{film.code}"):
        st.html(cards.row(place, film.card, why, also, fresh))
        name = cards.label(cards.name(film.card))
        for kind, sign, word in (("liked", "♥", "like"), ("disliked", "✕", "dislike")):
            st.button(
                sign, key=f"{word}-{label}-{film.code}", help=say[word].format(title=name), type="tertiary",
                on_click=_add, args=(kind, film.code),
            )  # fmt: skip


def _disliked(opened: Opened, say: Say) -> None:
    """What is not shown again, and may be taken back."""
    if not (codes := chosen("disliked")):
        return
    st.html(f'<p class="mt-note">{cards.text(say["disliked"])}</p>')
    with st.container(horizontal=True, key="found-disliked", gap="xsmall"):
        for code in codes:
            name = cards.label(cards.name(opened.cards[code]))
            st.button(f"✕ {name}", key=f"back-{code}", help=say["remove"], on_click=_remove, args=(code,))
