"""The page "Data": what `mt.explore` says of the log."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import streamlit as st

from matinee.demo import cards
from matinee.demo.opened import Opened, sizes
from matinee.explore import explore
from matinee.explore.exploration import Exploration
from matinee.report import explored

HEIGHT = 900


@lru_cache(maxsize=2)
def _explored(opened: Opened) -> tuple[Exploration, str]:
    """What the log holds, and the page about it."""
    found = explore(opened.data)
    return found, explored.page([found], [])


def show(opened: Opened, say: Mapping[str, str]) -> None:
    data = opened.data
    st.html(cards.lead(data.name, say["data_title"], sizes(data)))
    with st.spinner(""):
        found, page = _explored(opened)
    st.html(cards.sentences([(each.topic, each.found, each.so) for each in found.takeaways]))
    st.download_button(say["download"], page, "explore.html", "text/html")
    with st.expander(say["whole_page"]):
        st.iframe(cards.without_scripts(page), height=HEIGHT)
