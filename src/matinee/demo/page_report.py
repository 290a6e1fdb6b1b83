"""The page "Report": the reports of the runs whose models are shown."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from matinee.demo import cards
from matinee.demo.opened import Opened, sizes

HEIGHT = 1000


def show(opened: Opened, say: Mapping[str, str]) -> None:
    st.html(cards.lead(opened.data.name, say["report_title"], sizes(opened.data)))
    if not opened.reports:
        st.info(say["no_report"])
        return
    names = list(opened.reports)
    name = names[0] if len(names) == 1 else st.selectbox(say["run"], names)
    page = opened.reports[name].read_text("utf-8")
    st.download_button(say["download"], page, f"{name}.html", "text/html")
    st.iframe(cards.without_scripts(page), height=HEIGHT)
