"""The page as Streamlit's own test sees it: widgets and what follows from them, without a browser."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

import matinee as mt
from demo.films import log
from matinee.demo import words as texts
from matinee.demo.words import LANGUAGES, words

pytestmark = pytest.mark.filterwarnings("ignore")  # Streamlit's own, in its threads


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data, path = log(), tmp_path_factory.mktemp("models")
    for name, model in {"ease": mt.models.EASE(l2=10), "knn": mt.models.ItemKNN(k=5)}.items():
        mt.save_model(model.fit(data), path / "models" / name)
    return path


@pytest.fixture
def app(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    return opened(folder, "en", monkeypatch)


def opened(folder: Path, language: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(sys, "argv", ["page", json.dumps({"folders": [str(folder)], "language": language})])
    found = AppTest.from_file(str(Path(texts.__file__).with_name("page.py")), default_timeout=30).run()
    assert not found.exception
    return found


def html(app: AppTest) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def lists(app: AppTest) -> list[str]:
    """The keys of the hearts: model and item of each film of the lists."""
    return [str(button.key).removeprefix("like-") for button in app.button if str(button.key).startswith("like-")]


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception


def test_the_page_starts_with_well_known_films_and_no_lists(app: AppTest) -> None:
    assert len([b for b in app.button if str(b.key).startswith("Pick-")]) == 12
    assert "Pick a film above" in html(app)
    assert lists(app) == []


def test_well_known_films_are_offered_until_three_are_picked(app: AppTest) -> None:
    def offered() -> list[str]:
        return [str(button.key) for button in app.button if str(button.key).startswith("Pick-")]

    first = offered()
    for n in (1, 2):
        taken = offered()[0]
        press(app, taken)
        assert offered() == [key for key in first if key not in first[:n]][:6]
        assert len(lists(app)) == 30
    press(app, offered()[0])
    assert offered() == []
    press(app, f"Remove-{first[0].rpartition('-')[2]}")
    assert first[0] in offered()


def test_films_are_searched_picked_liked_and_disliked(app: AppTest) -> None:
    app.text_input(key="search").input("the matrix").run()
    assert [button.label for button in app.button if str(button.key).startswith("found-")] == ["\\+ The Matrix · 1999"]
    press(app, "found-0")
    assert app.text_input(key="search").value == ""
    first = lists(app)
    assert len(first) == 30  # ten of each model, and of their blend
    assert "ease-0" not in first
    assert "because of The Matrix" in html(app)
    liked, disliked = first[0], first[1]
    press(app, f"like-{liked}")
    assert liked not in lists(app)
    press(app, f"dislike-{disliked}")
    assert disliked not in lists(app)
    press(app, f"back-{disliked.rpartition('-')[2]}")
    press(app, "Remove-0")
    assert "ease-0" in lists(app)


def test_what_is_set_changes_the_lists(app: AppTest) -> None:
    press(app, "Pick-0")
    before = lists(app)
    app.slider(key="k").set_value(6).run()
    assert len(lists(app)) == 18
    app.slider(key="k").set_value(10).run()
    assert lists(app) == before
    app.slider(key="diversity").set_value(0.9).run()
    assert lists(app) != before
    app.slider(key="diversity").set_value(0.0).run()
    app.slider(key="weight-Blend-0").set_value(0.0).run()
    knn = [key.partition("-")[2] for key in lists(app) if key.startswith("knn-")]
    assert [key.partition("-")[2] for key in lists(app) if key.startswith("Blend-")] == knn
    app.multiselect(key="models").set_value(["ease"]).run()
    assert {key.partition("-")[0] for key in lists(app)} == {"ease"}
    assert not app.exception


def test_a_person_of_the_data_has_favourites_and_lists(app: AppTest) -> None:
    app.session_state["who"] = "A person from the data"
    app.run()
    app.selectbox(key="user").select("9").run()
    assert not app.exception
    data = log()
    expected = mt.recommend(mt.models.EASE(l2=10).fit(data), mt.query(data, user=9), 10).item[0].tolist()
    assert [int(key.rpartition("-")[2]) for key in lists(app) if key.startswith("ease-")] == expected
    assert "What they like" in html(app)
    assert "mt-shares" in html(app)


def test_the_page_speaks_korean(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "오늘은 무엇을 볼까요?" in html(opened(folder, "ko", monkeypatch))


def test_every_text_has_all_languages_and_the_same_gaps() -> None:
    assert {len(each) for each in texts._WORDS.values()} == {len(LANGUAGES)}
    for key in texts._WORDS:
        gaps = [sorted(part.partition("}")[0] for part in words(each)[key].split("{")[1:]) for each in LANGUAGES]
        assert gaps[0] == gaps[1], key


def test_the_other_pages_show_the_log_and_the_report(folder: Path) -> None:
    script = f"""
from pathlib import Path
from matinee.demo import page_data, page_report
from matinee.demo.opened import open_models
from matinee.demo.words import words
found = open_models((Path({str(folder)!r}),))
page_data.show(found, words("en"))
page_report.show(found, words("en"))
"""
    found = AppTest.from_string(script, default_timeout=30).run()
    assert not found.exception
    assert "What the log holds" in html(found)
    assert "popularity" in html(found)
    assert "come from no run" in found.info[0].value


def test_a_title_is_asked_for_where_a_model_reads_titles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    titles = ["road trip", "noir night"] * 30
    data = replace(log(), user_features=pl.DataFrame({"title": titles}))
    mt.save_model(mt.models.TitleMatch().fit(data), tmp_path / "title_match")
    app = opened(tmp_path / "title_match", "en", monkeypatch)
    app.text_input(key="title").input("noir").run()
    assert not app.exception
    expected = mt.recommend(mt.models.TitleMatch().fit(data), mt.history([], data, title="noir"), 10).item[0]
    assert lists(app) == [f"title_match-{code}" for code in expected.tolist()]


def test_somebody_unknown_is_told_so(app: AppTest) -> None:
    app.session_state["who"] = "A person from the data"
    app.session_state["user"] = "nobody"
    app.run()
    assert not app.exception
    assert app.warning[0].value == "Nobody in the data has the id nobody."
