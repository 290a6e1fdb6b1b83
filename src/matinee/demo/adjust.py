"""What may be set beside a person: which models, diversity, weights, the moment, who asks, the title of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from matinee.demo import asking, cards
from matinee.demo.asking import Asked
from matinee.demo.opened import Opened, Shown, reads_moment, reads_people

FIRST = 4  # models that are shown at first
Say = Mapping[str, str]


def adjusted(opened: Opened, say: Say, asked: Asked) -> tuple[list[str], Asked]:
    """The labels of the models to show, and the question with what was set."""
    titled = [each for each in opened.shown if each.model.reads_titles()]
    if titled:
        help_ = say["list_title"].format(names=_names(titled))
        title = st.text_input(help_, placeholder=say["list_hint"], key="title").strip()
        asked = replace(asked, title=title or None)
    with st.expander(say["adjust"], icon=":material/tune:"):
        labels = _models(opened, say)
        left, right = st.columns(2, gap="large")
        diversity = left.slider(say["diversity"], 0.0, 1.0, 0.0, 0.05, help=say["diversity_help"], key="diversity")
        k = right.slider(say["length"], 5, 20, 10, key="k")
        asked = replace(asked, diversity=diversity, k=k)
        asked = replace(asked, weights=_weights([each for each in opened.shown if each.label in labels], say))
        asked = _moment(opened, say, asked)
        asked = replace(asked, who=_who(opened, say))
    return labels, asked


def _names(shown: Sequence[Shown]) -> str:
    return ", ".join(cards.label(each.name) for each in shown)


def _models(opened: Opened, say: Say) -> list[str]:
    """The models to show; the ensemble is among the first."""
    names = {each.label: each.name for each in opened.shown}
    if len(names) == 1:
        return list(names)
    blended = [each.label for each in opened.shown if each.members]
    first = [label for label in names if label not in blended][: FIRST - len(blended[-1:])] + blended[-1:]
    chosen = st.multiselect(say["models"], list(names), first, format_func=names.__getitem__, key="models")
    return [label for label in names if label in chosen] or first


def _weights(shown: Sequence[Shown], say: Say) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """The weights of the members of ensembles, where they differ from the models' own."""
    found = []
    for each in shown:
        if not each.members:
            continue
        st.markdown(f"**{say['weights'].format(name=cards.label(each.name))}**")
        columns = st.columns(min(len(each.members), 4))
        weights = tuple(
            columns[at % len(columns)].slider(
                cards.label(member), 0.0, 1.0, round(own, 2), 0.05, key=f"weight-{each.label}-{at}"
            )
            for at, (member, own) in enumerate(zip(each.members, each.weights, strict=True))
        )
        if weights != tuple(round(own, 2) for own in each.weights):
            found.append((each.label, weights))
    return tuple(found)


def _moment(opened: Opened, say: Say, asked: Asked) -> Asked:
    """Year, month and hour of the request, for models that read them."""
    reading, years = [each for each in opened.shown if reads_moment(each)], asking.years(opened.data)
    if not reading or years is None:
        return asked
    if not st.toggle(say["moment_on"].format(names=_names(reading)), key="moment"):
        return asked
    columns = st.columns(3)
    year = columns[0].slider(say["year"], years[0], max(years[1], years[0] + 1), years[1], key="year")
    month = columns[1].slider(say["month"], 1, 12, 6, key="month")
    hour = columns[2].slider(say["hour"], 0, 23, 20, key="hour")
    return replace(asked, at=asking.moment(year, month, hour))


def _who(opened: Opened, say: Say) -> tuple[tuple[str, Any], ...]:
    """Columns of the table of users, for models that read them."""
    reading = [each for each in opened.shown if reads_people(each)]
    choices = asking.people_columns(opened.data) if reading else {}
    if not choices:
        return ()
    st.markdown(f"**{say['asks'].format(names=_names(reading))}**")
    columns, said = st.columns(min(len(choices), 4)), []
    for at, (name, values) in enumerate(choices.items()):
        options = [None, *values]
        value = columns[at % len(columns)].selectbox(
            cards.label(name),
            options,
            format_func=lambda v: say["as_known"] if v is None else str(v),
            key=f"who-{name}",
        )
        if value is not None:
            said.append((name, value))
    return tuple(said)
