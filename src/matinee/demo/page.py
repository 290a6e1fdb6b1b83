"""The script that Streamlit runs: it lays out pages, and computes nothing. Started by `start.serve`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import streamlit as st

from matinee.demo import page_data, page_films, page_report
from matinee.demo.opened import open_models
from matinee.demo.words import words


def main() -> None:
    """One pass over the page: Streamlit runs it at each change."""
    given = json.loads(sys.argv[1])
    opened, say = open_models(tuple(map(Path, given["folders"]))), words(given["language"])
    st.set_page_config(page_title="Matinee", page_icon="🎞️", layout="wide")
    st.html(Path(__file__).with_name("style.css"))
    pages = [
        st.Page(lambda: page_films.show(opened, say), title=say["films"], url_path="films", default=True),
        st.Page(lambda: page_data.show(opened, say), title=say["data"], url_path="data"),
        st.Page(lambda: page_report.show(opened, say), title=say["report"], url_path="report"),
    ]
    st.navigation(pages, position="top").run()


main()
