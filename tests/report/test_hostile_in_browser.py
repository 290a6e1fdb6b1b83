"""30 hostile titles in a real browser: neither the report nor the page of a log executes or loads anything."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_studies import make_data
from test_explored import busy
from test_report import quiet_study
from test_report_in_browser import BROWSER, FRAME, _found_by

import matinee as mt
from hostile import TITLES
from matinee.report.explored import page
from matinee.report.page import render

LOOK = """
<!doctype html><meta charset="utf-8">
%s<pre id="found"></pre>
<script>
const look = frame => {
  const page = frame.contentDocument, foreign = [], tags = new Set();
  for (const e of page.querySelectorAll("*")) {
    tags.add(e.tagName);
    for (const {name, value} of e.attributes)
      if (name.startsWith("on") || (["src", "href", "xlink:href", "action"].includes(name) && !value.startsWith("#")))
        foreign.push(`${e.tagName} ${name}=${value}`);
  }
  const hacked = Boolean(frame.contentWindow.hacked || frame.contentWindow.parent.hacked);
  return {hacked, foreign, tags: Array.from(tags), text: page.body.textContent};
};
addEventListener("load", () => setTimeout(() => {  // an image that is not there takes a moment to fail
  const found = Array.from(document.querySelectorAll("iframe"), look);
  document.getElementById("found").textContent = JSON.stringify(found);
}, 500));
</script>
"""
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine (apt-get install chromium)")


def looked_at(pages: list[str], folder: Path) -> list[dict[str, Any]]:
    """What of each page was executed, names something elsewhere, and is shown; by one start of the browser."""
    frames = [FRAME % (1440, html.escape(each)) for each in pages]
    found: list[dict[str, Any]] = _found_by(LOOK % "\n".join(frames), folder)
    return found


def report(titles: list[str]) -> str:
    """Of films with these titles, by models, warnings and a study that are called so as well."""
    data = make_data(titles=titles, n_items=30)
    study = quiet_study(data, labels=titles[:3], title=titles[0], command=titles[1], k=(20,))
    return render(replace(study, warnings=titles, data=replace(data, name=titles[2])))


def explored(titles: list[str]) -> str:
    found = mt.explore(replace(busy(titles), name=titles[0]))
    return page([found], [])


def plain(text: str) -> str:
    """As it comes out of HTML: without what cannot be written there, and whatever the spaces are."""
    return " ".join(text.replace("\0", "\N{REPLACEMENT CHARACTER}").split())


def test_nothing_of_thirty_titles_is_executed_or_loaded(tmp_path: Path) -> None:
    harmless = [f"Film {n}" for n in range(30)]
    pages = [kind(titles) for kind in (report, explored) for titles in (TITLES, harmless)]
    trusting = "".join(f"<p title='{title}'>{title}</p>" for title in TITLES)  # that the look would find it
    *found, trusted = looked_at([*pages, trusting], tmp_path)
    assert trusted["hacked"]
    assert len(trusted["foreign"]) >= 5
    for dirty, clean in zip(found[::2], found[1::2], strict=True):
        assert not dirty["hacked"]
        assert dirty["foreign"] == clean["foreign"] == []
        assert set(dirty["tags"]) <= set(clean["tags"])
    shown = plain(found[0]["text"])
    assert [title for title in TITLES if plain(title) not in shown] == []
