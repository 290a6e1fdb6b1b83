"""The HTTP service: a fitted model that answers, safely.

    app (FastAPI) -> guard -> service -> batches -> answers: `rank.recommend`
                                      -> states: who watched what, by the model's log and the stored events

Every answer is made by one `Live` model: a model is loaded beside the one that serves, checked, and swapped in as a
whole.
"""
