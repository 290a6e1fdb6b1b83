"""Progress bars: on stderr where it is a terminal, below the cell of a notebook, and nowhere else."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from matinee.notebook import in_notebook

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
EVERY = 0.2  # seconds between two changes of a bar in a notebook


class Bar(Protocol):
    """Something that shows how far work is. total: None where that is unknown."""

    def show(self, text: str, done: int, total: int | None) -> None: ...

    def close(self) -> None: ...


def open_bar(text: str, total: int | None) -> Bar | None:
    """The bar of where this runs; None where nobody watches."""
    if in_notebook():
        return _InNotebook()
    return _InTerminal(text, total) if sys.stderr.isatty() else None


def track(work: Iterable[T], what: str, *, total: int | None = None) -> Iterator[T]:
    """Yield from `work`, with a bar."""
    bar = open_bar(what, total)
    if bar is None:
        yield from work
        return
    try:
        for done, piece in enumerate(work, start=1):
            yield piece
            bar.show(what, done, total)
    finally:
        bar.close()


class RoundsBar:
    """A bar over the rounds of a fit, to be called after each (see nn.rounds.OnRound); silent where nobody watches."""

    def __init__(self) -> None:
        self.total: int | None = None
        self._shown: Bar | None = None

    def __enter__(self) -> RoundsBar:
        self._shown = open_bar("fitting", None)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._shown is not None:
            self._shown.close()
            self._shown = None

    def __call__(self, number: int, loss: float, measured: float) -> None:
        if self._shown is not None:
            words = [f"loss {loss:.4g}"] * (loss == loss) + [f"valid {measured:.4f}"] * (measured == measured)
            self._shown.show(f"fitting  {', '.join(words)}", number + 1, self.total)


class _InTerminal:
    """rich's bar on stderr, gone when it is closed."""

    def __init__(self, text: str, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._progress: Progress = Progress(console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(text, total=total)
        self._progress.start()

    def show(self, text: str, done: int, total: int | None) -> None:
        self._progress.update(self._task, completed=done, total=total, description=text)

    def close(self) -> None:
        self._progress.stop()


class _InNotebook:
    """A `<progress>` of HTML in the output of the cell, gone when it is closed; work that is quick shows none.

    rich's own bar needs ipywidgets in a notebook, and without it warns and shows nothing.
    """

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._handle: Any = None

    def show(self, text: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._last < EVERY:
            return
        self._last = now
        if self._handle is None:
            self._handle = sys.modules["IPython"].display.display(_Html(_bar(text, done, total)), display_id=True)
        else:
            self._handle.update(_Html(_bar(text, done, total)))

    def close(self) -> None:
        if self._handle is not None:
            self._handle.update(_Html(""))


class _Html:
    """HTML for a notebook."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return ""


def _bar(text: str, done: int, total: int | None) -> str:
    """The HTML of a bar; one that only moves where the total is unknown."""
    size = "" if total is None else f' value="{done}" max="{max(total, 1)}"'
    count = f"{done:,}" if total is None else f"{done:,} of {total:,}"
    return f"<progress{size}></progress> {count} {html.escape(text)}"
