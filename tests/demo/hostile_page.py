"""A page that shows titles, given as JSON, in every way in which the demo shows titles. Run by Streamlit."""

import json
import sys

import streamlit as st

from matinee.data.items import ItemCard
from matinee.demo import cards
from matinee.report.palette import Look

LOOK, TITLES = Look(1, "o"), json.loads(sys.argv[1])
for at, title in enumerate(TITLES):
    card = ItemCard(at, title, 1999, (title, "Drama"))
    with st.container(key=f"html-{at}"):
        st.html(cards.poster(card, title) + cards.row(1, card, title, [(LOOK, title)], title))
        st.html(cards.head(LOOK, title, title) + cards.lead(title, title, title) + cards.shares([(title, 0.5)]))
        st.html(cards.pushes([(title, 0.1)], title) + cards.sentences([(title, title, title)]))
        st.html(cards.shared_table([(LOOK, title)] * 2, [[1, 1], [1, 1]], 1))
    with st.container(key=f"label-{at}"):
        st.button(cards.label(title), key=f"button-{at}", help=cards.label(title))
    st.markdown(cards.label(title))

st.multiselect(cards.label(TITLES[0]), TITLES, TITLES, format_func=lambda each: cards.cut(each, 90))
st.html("<p class=done>done</p>")
