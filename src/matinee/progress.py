"""Progress bars on stderr; nothing is shown where stderr is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")


def track(work: Iterable[T], what: str, *, total: int | None = None) -> Iterator[T]:
    """Yield from `work`, with a bar."""
    if not sys.stderr.isatty():
        yield from work
        return
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(work, what, total=total, console=Console(stderr=True), transient=True)


class RoundsBar:
    """A bar over the rounds of a fit, to be called after each (see nn.rounds.OnRound); silent when not a terminal."""

    def __init__(self) -> None:
        self.total: int | None = None
        self._shown: Progress | None = None

    def __enter__(self) -> RoundsBar:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._shown = Progress(console=Console(stderr=True), transient=True)
            self._shown.add_task("fitting", total=None)
            self._shown.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._shown is not None:
            self._shown.stop()
            self._shown = None

    def __call__(self, number: int, loss: float, measured: float) -> None:
        if self._shown is not None:
            words = [f"loss {loss:.4g}"] * (loss == loss) + [f"valid {measured:.4f}"] * (measured == measured)
            text = f"fitting  {', '.join(words)}"
            self._shown.update(self._shown.task_ids[0], completed=number + 1, total=self.total, description=text)
