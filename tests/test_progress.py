"""Bars: in a terminal, in a notebook, and nowhere else."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from matinee import progress
from matinee.data.read import download
from matinee.progress import RoundsBar, track


class Outputs:
    """Stands in for IPython in a kernel: keeps what each output of a cell showed, one after the other."""

    def __init__(self, shell: Any) -> None:
        self.shown: list[list[str]] = []
        self.display = SimpleNamespace(display=self.show)
        self.shell = shell

    def get_ipython(self) -> Any:
        return self.shell

    def show(self, thing: Any, display_id: bool) -> Any:
        assert display_id
        place = [thing._repr_html_()]
        self.shown.append(place)
        return SimpleNamespace(update=lambda later: place.append(later._repr_html_()))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Outputs:
    """A notebook in which every change is shown."""
    outputs = Outputs(SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", outputs)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    return outputs


def test_nothing_where_nobody_watches(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(3), "ranking", total=3)) == [0, 1, 2]
    with RoundsBar() as bar:
        bar(0, 0.5, 0.1)
    assert capfd.readouterr() == ("", "")


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = Outputs(SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", outputs)
    assert progress.open_bar("x", 1) is None
    assert list(track("ab", "ranking")) == ["a", "b"]
    assert outputs.shown == []


def test_a_script_that_imported_ipython_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", Outputs(None))
    assert progress.open_bar("x", 1) is None


def test_a_notebook_sees_pieces_done(kernel: Outputs) -> None:
    assert list(track("abc", "<ranking>", total=3)) == ["a", "b", "c"]
    bars = [f'<progress value="{n}" max="3"></progress> {n} of 3 &lt;ranking&gt;' for n in (1, 2, 3)]
    assert kernel.shown == [[*bars, ""]]


def test_a_notebook_sees_rounds(kernel: Outputs) -> None:
    with RoundsBar() as bar:
        bar(0, 0.5, float("nan"))
        bar.total = 4
        bar(1, 0.25, 0.125)
    first, second, last = kernel.shown[0]
    assert first == "<progress></progress> 1 fitting  loss 0.5"
    assert second == '<progress value="2" max="4"></progress> 2 of 4 fitting  loss 0.25, valid 0.1250'
    assert last == ""


def test_quick_work_leaves_nothing_in_a_notebook(kernel: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 60.0)
    assert list(track("abc", "ranking", total=3)) == ["a", "b", "c"]
    assert kernel.shown == []


def test_a_bar_goes_away_when_work_fails(kernel: Outputs) -> None:
    def work() -> Any:
        yield 1
        raise ValueError

    with pytest.raises(ValueError):
        list(track(work(), "ranking", total=2))
    assert kernel.shown[0][-1] == ""


def test_a_terminal_sees_pieces_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track(range(3), "ranking", total=3)) == [0, 1, 2]
    assert "ranking" in shown.getvalue()
    assert "100%" in shown.getvalue()


def test_a_notebook_sees_a_download(kernel: Outputs) -> None:
    with download._bar("ml-100k", 40, shown=True) as advance:
        advance(10)
        advance(30)
    first, second, last = kernel.shown[0]
    assert first == '<progress value="10" max="40"></progress> 10 of 40 bytes of ml-100k'
    assert second == '<progress value="40" max="40"></progress> 40 of 40 bytes of ml-100k'
    assert last == ""
    with download._bar("ml-100k", 40, shown=False) as advance:
        advance(10)
    assert len(kernel.shown) == 1
