"""The demo in a real browser: films are picked, ten are recommended and explained, a like changes the list; nothing
that a title says is executed, and nothing is fetched from elsewhere."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import matinee as mt
from demo.films import log
from hostile import TITLES as HOSTILE
from matinee.demo.cards import cut
from matinee.demo.start import HOST, OPTIONS

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
WORD_JOINER = "\u2060"
# of each title: its text on a poster, elements and handlers in our HTML that are not ours; the text of a button, and
# what Markdown made of it
LOOK_AT = """
n => Array.from({length: n}, (_, at) => {
  const html = document.querySelector(`.st-key-html-${at}`);
  const label = document.querySelector(`.st-key-label-${at} button`);
  const ours = "[onerror], [onload], [onmouseover], [onclick], script, img, svg, iframe, style, a, ol, blockquote";
  const named = list => Array.from(list, element => element.outerHTML);
  return [
    html.querySelector(".mt-poster .t").textContent, named(html.querySelectorAll(ours)),
    label.innerText, named(label.querySelectorAll("p :is(a, img, strong, em, code, del, .katex, span)")),
  ];
})
"""
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine (apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def served(command: Callable[[int], list[str]]) -> Iterator[str]:
    """The address of a page while its server runs, by its command for a port.

    The system chooses the port: the first free one from 8501 on would be the same for another run of these tests, whose
    page would then be asked until this server finds its port taken."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    address = f"http://{HOST}:{port}"
    with tempfile.TemporaryFile("a+b") as told:  # a pipe that nobody reads would stop a server that says much
        server = subprocess.Popen([sys.executable, "-m", *command(port)], stdout=told, stderr=subprocess.STDOUT)

        def runs() -> bool:
            told.seek(0)
            return server.poll() is None

        try:
            for _ in range(300):
                assert runs(), told.read().decode()
                try:
                    urllib.request.urlopen(address, timeout=5).close()
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.2)
            yield address
            assert runs(), told.read().decode()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=20)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, data = tmp_path_factory.mktemp("run"), log(hostile=True)
    for name, model in {"ease": mt.models.EASE(l2=10), "knn": mt.models.ItemKNN(k=9)}.items():
        mt.save_model(model.fit(data), folder / "models" / name)
    return folder


@pytest.fixture(scope="module")
def demo(models: Path) -> Iterator[str]:
    yield from served(lambda port: ["matinee", "demo", str(models), "--port", str(port)])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright.expect.set_options(timeout=30_000)  # of a busy machine
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=QUIET)
        yield browser
        browser.close()


class Visit:
    """A page, what it asked the network for, and what went wrong on it."""

    def __init__(self, browser: Any, address: str, width: int, scheme: str = "light") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.errors.append(dialog.message))
        self.page.goto(address)

    def check(self) -> None:
        """Nothing of a title was executed, nothing was asked of another host, and nothing stands out sideways."""
        assert self.errors == []
        assert self.page.evaluate("window.hacked") is None
        local = ("http://127.0.0.1:", "data:", "blob:")
        assert [url for url in self.requests if not url.startswith(local)] == []
        shown, needed = self.page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
        assert needed <= shown

    def list_of(self, label: str) -> list[str]:
        """The titles of a model's list."""
        rows = self.page.locator(f'[class*="st-key-row-{label}-"] .t')
        return [text.strip() for text in rows.all_inner_texts()]

    def settled(self) -> None:
        """Wait until Streamlit has run the page again."""
        self.page.wait_for_timeout(150)
        self.page.wait_for_selector('.stApp[data-test-script-state="notRunning"]')


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), pytest.param(390, "light", marks=pytest.mark.slow)])
def test_three_films_give_ten_and_a_like_changes_them(chromium: Any, demo: str, width: int, scheme: str) -> None:
    visit = Visit(chromium, demo, width, scheme)
    page, expect, picked = visit.page, playwright.expect, ["Heat", "Fargo", "The Matrix"]
    search = page.get_by_label("Search for a film")
    # Streamlit fetches the code of a widget when the page first has one: posters are there before the search is
    expect(search).to_be_visible(timeout=120_000)
    page.wait_for_selector(".mt-poster")
    for at, title in enumerate(picked):  # by keyboard alone
        search.focus()
        page.keyboard.type(title.lower())
        page.keyboard.press("Enter")
        first = page.locator(".st-key-found button").first
        expect(first).to_contain_text(title)
        page.keyboard.press("Tab")
        expect(first).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(".st-key-posters-mine .mt-poster")).to_have_count(at + 1)
        visit.settled()
    for label in ("ease", "knn", "Blend"):
        titles = visit.list_of(label)
        assert len(titles) == 10
        assert not set(picked) & set(titles)
    before = visit.list_of("ease")
    assert page.locator(".mt-row .w", has_text="because of").count() >= 10
    pushes = page.locator(".mt-pushes li")
    assert pushes.count() == 3
    assert sorted(name.rpartition(" (")[0] for name in pushes.locator("span").all_inner_texts()) == [
        "Fargo", "Heat", "Matrix, The",
    ]  # fmt: skip
    page.locator('[class*="st-key-like-ease-"] button:visible').nth(2).click()
    expect(page.locator(".st-key-posters-mine .mt-poster")).to_have_count(4)
    visit.settled()
    after = visit.list_of("ease")
    assert len(after) == 10
    assert before[2] not in after
    assert page.locator('[class*="st-key-row-ease-"] .new').count() == len(set(after) - set(before)) > 0
    visit.check()
    page.close()


def test_hostile_titles_are_shown_as_text(chromium: Any) -> None:
    script = Path(__file__).with_name("hostile_page.py")

    def command(port: int) -> list[str]:
        options = [f"--{name}={str(value).lower()}" for name, value in {**OPTIONS, "server.port": port}.items()]
        return ["streamlit", "run", str(script), *options, "--", json.dumps(HOSTILE)]

    for address in served(command):
        visit = Visit(chromium, address, 1440)
        page = visit.page
        page.wait_for_selector(".done")
        page.wait_for_selector(f".st-key-label-{len(HOSTILE) - 1} button")
        page.wait_for_timeout(500)
        found = page.evaluate(LOOK_AT, len(HOSTILE))
        for title, (html, foreign, label, marked) in zip(HOSTILE, found, strict=True):
            assert html == cut(title, 90)
            assert label.replace(WORD_JOINER, "").strip() == cut(title, 90)
            assert foreign == marked == [], title
        for at in range(3):
            page.locator(f".st-key-label-{at} button:visible").hover()  # what is told there
        assert page.locator(".stMarkdown img, .stMarkdown iframe, .stMarkdown script").count() == 0
        visit.check()
        page.close()
