"""The page "Data": what `mt.explore` says of the log."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import streamlit as st

from matinee.data.dataset import Dataset
from matinee.demo import cards
from matinee.demo.opened import Opened, sizes
from matinee.explore import explore
from matinee.explore.exploration import Exploration
from matinee.report import explored

HEIGHT = 900


@lru_cache(maxsize=2)
def _explored(data: Dataset) -> tuple[Exploration, str]:
    """What the log holds, and the page about it."""
    found = explore(data)
    return found, explored.page([found], [])


def show(opened: Opened, say: Mapping[str, str]) -> None:
    data = opened.data
    st.html(cards.lead(data.name, say["data_title"], sizes(data)))
    with st.spinner(""):
        found, page = _explored(data)
    f = found.figures
    st.html(cards.sentences([(each.topic, each.found, each.so) for each in found.takeaways]))
    st.download_button(say["download"], page, f"{f.n_items}-items.html", "text/html")
    with st.expander(say["whole_page"]):
        st.iframe(page, height=HEIGHT)
