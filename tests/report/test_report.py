"""The page: every ordinary case renders, nothing is loaded, nothing escapes, equal studies give equal bytes."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from report_studies import HOSTILE, WORLD, make_data, make_study

from matinee.errors import MatineeError, MatineeWarning
from matinee.evaluate import Bin
from matinee.explore import Analysis, analyse
from matinee.report import Study, plots, write_report
from matinee.report.page import render

COLOURS = ("soft", "accent")  # of training and validation
VOID = {"meta", "br", "wbr", "img", "link", "input", "hr"}
LOADING = {"script", "link", "img", "iframe", "object", "embed", "video", "audio", "source", "image", "base", "form"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and complains about tags that do not close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def page_of(study: Study) -> Page:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Page(render(study))


def quiet_study(*args: object, **kwargs: object) -> Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)  # small data is full of ties
        return make_study(*args, **kwargs)  # type: ignore[arg-type]


def analysis_of(study: Study) -> Analysis:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)
        return analyse(study.recommendations, study.split.test, study.split.train)


@pytest.fixture(scope="module")
def study() -> Study:
    return quiet_study(seeds=(0, 1))


CASES = {
    "bare": lambda: quiet_study(make_data(titles=None, times=False, ratings=False)),
    "no timestamps": lambda: quiet_study(make_data(times=False)),
    "no ratings": lambda: quiet_study(make_data(ratings=False)),
    "no genres": lambda: quiet_study(make_data(genres=False)),
    "one model": lambda: quiet_study(labels=["popularity"]),
    "one user": lambda: quiet_study(make_data(n_users=1)),
    "two users": lambda: quiet_study(make_data(n_users=2), seeds=(0, 1, 2)),
    "world": lambda: quiet_study(make_data(titles=WORLD), labels=["人気", "Überraschung $\\frac{1}{2}$"]),
    "long": lambda: quiet_study(labels=["popularity", "a_very_long_label_of_a_model_" * 4], title="Title" * 40),
    "twelve": lambda: quiet_study(labels=[f"model_{i}" for i in range(12)], k=(1, 2, 3, 5)),
    "one metric": lambda: _only(quiet_study(), pl.col("metric") == "ndcg"),
    "valid only": lambda: _only(quiet_study(), pl.col("split") == "valid"),
    "equal ratings": lambda: _equal_ratings(),
}


def _only(study: Study, rows: pl.Expr) -> Study:
    return replace(study, metrics=study.metrics.filter(rows), per_query=study.per_query.filter(rows))


def _equal_ratings() -> Study:
    data = make_data()
    moment = np.full(len(data), 10**17, np.int64)  # beyond any calendar
    return quiet_study(replace(data, value=np.ones(len(data), np.float32), timestamp=moment))


@pytest.mark.parametrize("case", CASES)
def test_ordinary_cases_render(case: str) -> None:
    page = page_of(CASES[case]())
    assert page.tags["section"] >= 4
    assert "None" not in page.words
    assert not re.search(r"\bnan\b", page.words)


@pytest.mark.usefixtures("no_drawings")
def test_frames_may_be_empty(study: Study) -> None:
    none = pl.DataFrame()
    bare = replace(
        study, metrics=none, per_query=none, costs=none, recommendations={}, findings=[], warnings=[], facts={}
    )
    assert "Nothing was found" in page_of(bare).words
    without = page_of(replace(study, per_query=none))
    assert "t-test" not in without.words
    assert "t-test" in page_of(study).words


@pytest.mark.usefixtures("no_drawings")
def test_values_per_query_may_stay_in_their_file(study: Study, tmp_path: Path) -> None:
    assert isinstance(study.per_query, pl.DataFrame)
    study.per_query.write_parquet(tmp_path / "values.parquet")
    assert render(replace(study, per_query=pl.scan_parquet(tmp_path / "values.parquet"))) == render(study)


def test_hostile_text_stays_text(study: Study) -> None:
    clean = page_of(study)
    data = make_data(titles=HOSTILE)
    dirty = quiet_study(data, labels=HOSTILE[:2], title=HOSTILE[0], command=HOSTILE[1])
    dirty = replace(
        dirty,
        warnings=HOSTILE,
        data=replace(data, name=HOSTILE[0]),
        protocols={
            fingerprint: replace(words, split=HOSTILE[1], candidates=HOSTILE[0], metrics=HOSTILE[2])
            for fingerprint, words in dirty.protocols.items()
        },
        remarks=dict.fromkeys(dirty.protocols, HOSTILE),
        calibration={HOSTILE[0]: [Bin(0.2, 0.3, 5)]},
    )
    page = page_of(dirty)
    assert set(page.tags) <= set(clean.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    for text in HOSTILE:
        assert " ".join(text.split()) in page.words


def test_loads_nothing(study: Study) -> None:
    html = render(study)
    page = Page(html)
    assert not LOADING & set(page.tags)
    for _, name, value in page.attributes:
        assert name not in {"src", "srcset", "poster", "data", "action", "background"}
        if name.endswith("href"):
            assert value.startswith("#")
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) <= {"#"}
    assert "http" not in html.replace("http-equiv", "")


def test_ids_are_unique_and_links_arrive(study: Study) -> None:
    page = page_of(study)
    ids = Counter(value for _, name, value in page.attributes if name == "id")
    assert max(ids.values()) == 1
    targets = {value[1:] for _, name, value in page.attributes if name == "href"}
    labelled = {value for _, name, value in page.attributes if name == "aria-labelledby"}
    assert targets | labelled <= set(ids)


def test_tables_and_pictures_are_accessible(study: Study) -> None:
    page = page_of(study)
    scopes = [value for tag, name, value in page.attributes if tag == "th" and name == "scope"]
    assert len(scopes) == page.tags["th"]
    named = [value for tag, name, value in page.attributes if tag == "svg" and name == "aria-label"]
    assert len(named) == page.tags["svg"] > 4
    assert all(named)


def test_same_study_same_bytes(study: Study, tmp_path: Path) -> None:
    write_report(study, tmp_path / "deep" / "a.html")
    write_report(quiet_study(seeds=(0, 1)), tmp_path / "b.html")
    assert (tmp_path / "deep" / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_readers_own_matplotlib_settings_change_nothing(study: Study) -> None:
    import matplotlib

    before = render(study)
    with matplotlib.rc_context({"font.size": 40, "axes.grid": False, "svg.fonttype": "path"}):
        assert render(study) == before


@pytest.mark.usefixtures("no_drawings")
def test_protocols_never_share_a_table(study: Study) -> None:
    page = page_of(study)
    names = [name.split("-") for tag, attribute, name in page.attributes if (tag, attribute) == ("input", "name")]
    assert {table for _, table, *_ in names} == {"1", "2", "costs", "recommended", "groups"}
    words = [str(protocol) for protocol in study.protocols.values()]
    assert all(page.words.count(text) == 1 for text in words)


def test_calibration_is_drawn_for_each_model(study: Study) -> None:
    bins = [Bin(0.1, 0.2, 90), Bin(0.55, 0.5, 10)]
    page = page_of(replace(study, calibration={"ease": bins, "popularity": bins, "nothing": []}))
    drawn = [v for t, n, v in page.attributes if t == "svg" and n == "aria-label" and v.startswith("Calibration of")]
    assert set(drawn) == {
        f"Calibration of {label}: predicted 0.10, positive 0.20 of 90, predicted 0.55, positive 0.50 of 10"
        for label in ("EASE", "Popularity")
    }
    assert len(drawn) == 2
    ids = Counter(value for _, name, value in page.attributes if name == "id")
    assert max(ids.values()) == 1


@pytest.mark.usefixtures("no_drawings")
def test_remarks_stand_under_their_table(study: Study) -> None:
    fingerprint, other = study.protocols
    page = page_of(replace(study, remarks={fingerprint: ["this flatters"]}))
    assert page.words.count("Mind. This flatters.") == 1
    after = page.words.index("Mind. This flatters.")
    assert page.words.index(f"[{fingerprint}]") < after
    nearest = max((fingerprint, other), key=lambda f: (page.words.index(f"[{f}]") < after, page.words.index(f"[{f}]")))
    assert nearest == fingerprint


def test_recommendations_must_answer_the_test(study: Study) -> None:
    recs = study.recommendations["ease"]
    short = replace(recs, user=recs.user[1:], item=recs.item[1:], score=recs.score[1:])
    with pytest.raises(MatineeError, match=r"ease: .* test queries"):
        render(replace(study, recommendations={"ease": short}))


@pytest.mark.usefixtures("no_drawings")
def test_hits_are_the_hidden_items(study: Study) -> None:
    page = page_of(study)
    holdout, recs = study.split.test, study.recommendations
    from matinee.explore import user_samples

    expected = 0
    for person in user_samples(study.data, holdout, recs):
        hidden = set(holdout.truth[person.query].tolist())
        expected += sum(len(hidden & set(one.item[person.query].tolist())) for one in recs.values())
    marked = [value for tag, name, value in page.attributes if tag == "li" and name == "class" and value == "hit"]
    assert len(marked) == expected > 0


def test_trainings_are_told_in_their_own_measures() -> None:
    labels = ["plain", "apart", "shared", "none", "single", "unmeasured"]
    page = page_of(quiet_study(labels=labels))
    captions = [name for tag, attribute, name in page.attributes if tag == "svg" and attribute == "aria-label"]
    found = {label: text for text in captions for label in labels if text.startswith(f"{label}: ")}
    assert found == {
        "plain": "plain: 3 epochs",
        "apart": "apart: 4 epochs, best validation ndcg@10 0.3000 in epoch 2",
        "shared": "shared: 3 trees, best validation rmse 0.8500 in tree 2",
        "single": "single: 1 epoch, best validation ndcg@10 0.1250 in epoch 1",
    }
    assert "right axis, where it is of another measure" in page.words
    only = page_of(quiet_study(labels=labels[:1]))
    assert "right axis" not in only.words
    assert "best validation" not in only.words


@pytest.mark.parametrize("shared", [True, False])
def test_one_measure_has_one_axis(shared: bool) -> None:
    """Heights of both lines are one linear function of their numbers exactly where they are one measure."""

    numbers = [0.9, 0.5, 0.95, 0.85]
    svg = plots.curve("x", numbers[:2], numbers[2:], "x", best=1, shared=shared)
    lines = [re.findall(rf'd="M [\d.]+ ([\d.]+) \nL [\d.]+ ([\d.]+) \n"[^>]*--{colour}', svg) for colour in COLOURS]
    (training,), (validation,) = lines
    heights = [float(y) for y in (*training, *validation)]
    left = np.polyfit(numbers, heights, 1, full=True)[1]
    assert (left[0] < 1e-6) == shared
    assert (">training<" in svg, ">validation<" in svg) == (shared, shared)


@pytest.mark.usefixtures("no_drawings")
def test_people_are_shown_with_ratings_and_genres(study: Study) -> None:
    page = page_of(study)
    assert "What they rated best, beside what each model recommends" in page.words
    assert "rated 5 · Drama, Sci-Fi" in page.words
    lists = [name for tag, attribute, name in page.attributes if (tag, attribute) == ("ol", "class")]
    assert lists == []
    assert page.tags["ol"] == 5 * len(study.recommendations)
    unrated = page_of(quiet_study(make_data(ratings=False)))
    assert "What they watched last" in unrated.words
    assert "rated" not in unrated.words


@pytest.mark.usefixtures("no_drawings")
@pytest.mark.parametrize(
    ("n_models", "people"), [(1, "Five users"), (4, "Four users"), (9, "Two users"), (12, "A user")]
)
def test_many_models_leave_room_for_fewer_people(n_models: int, people: str) -> None:
    page = page_of(quiet_study(labels=[f"model_{i}" for i in range(n_models)]))
    assert people in page.words
    assert page.tags["article"] == ["A user", "Two users", "Three users", "Four users", "Five users"].index(people) + 1


@pytest.mark.usefixtures("no_drawings")
def test_what_is_known_of_items_is_told() -> None:
    data = make_data(titles=["A (1990)", "B"])
    assert "Items: 40 of 40 in the log are described; missing: year 20." in page_of(quiet_study(data)).words
    bare = page_of(quiet_study(make_data(titles=None)))
    assert "What is known of users and items" not in bare.words


@pytest.mark.usefixtures("no_drawings")
def test_colours_have_contrast(study: Study) -> None:
    """WCAG AA, 4.5 to 1, for every colour of text, on paper and on the strongest tint, light and dark."""
    rules = re.findall(r":root \{(.*?)\}", render(study), re.DOTALL)
    schemes = [dict(re.findall(r"--(\w+): (#\w{6})", rule)) for rule in rules[:2]]  # the third is paper's
    for colours in schemes:
        paper, accent = _channels(colours["paper"]), _channels(colours["accent"])
        for name in ("ink", "soft", "accent", "warn", *(f"hue{i}" for i in range(1, 8))):
            assert _contrast(_channels(colours[name]), paper) >= 4.5
        assert _contrast(_channels(colours["ink"]), 0.3 * accent + 0.7 * paper) >= 4.5


def _channels(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def _contrast(a: np.ndarray, b: np.ndarray) -> float:
    def luminance(c: np.ndarray) -> float:
        return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def test_a_name_too_long_for_a_plot_keeps_its_end() -> None:
    """What tells the settings of a grid apart stands there."""
    settings = [plots.shorten(f"autoint_adam_epochs_{n}") for n in (5, 10)]
    assert settings[0] != settings[1]
    for name in ("ease", "", "é" * 80, "Star Wars: Episode V - The Empire Strikes Back (1980)", "七人の侍" * 9):
        short = plots.shorten(name)
        assert plots.display_width(short) <= plots.NAMES
        assert short == name or (
            "…" in short and name.startswith(short.partition("…")[0]) and name.endswith(short[-2:])
        )


def test_names_that_would_look_alike_get_more_room() -> None:
    grid = [f"sasrec_sampled_{length}_{dim}" for length in (50, 100, 200) for dim in (64, 128)]
    assert len({plots.shorten(name) for name in grid}) < len(grid)
    shown = plots.placeholders([*grid, grid[0]])
    assert len(set(shown.values())) == len(grid)
    assert plots.room_for(shown) <= 16 + plots.DIGIT * plots.WIDEST
    alike = ["é" * 40 + middle + "é" * 40 for middle in "ab"]  # no room would do: as narrow as ever
    assert list(plots.placeholders(alike).values()) == [plots.shorten(name) for name in alike]


def test_names_break_at_underscores() -> None:
    html = render(quiet_study(labels=["full_200", "<b>_64"]))
    assert "full_<wbr>200" in html
    assert "&lt;b&gt;_<wbr>64" in html
