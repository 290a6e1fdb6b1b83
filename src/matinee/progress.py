"""Progress bars on stderr; nothing is shown where stderr is not a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def track(work: Iterable[T], what: str, *, total: int | None = None) -> Iterator[T]:
    """Yield from `work`, with a bar."""
    if not sys.stderr.isatty():
        yield from work
        return
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(work, what, total=total, console=Console(stderr=True), transient=True)


@contextlib.contextmanager
def bar(total: int, what: str) -> Iterator[Callable[[int, str], None]]:
    """Yield tell(steps, text), which moves the bar by some steps and writes the text beside it."""
    if not sys.stderr.isatty():
        yield lambda steps, text: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda steps, text: shown.update(task, advance=steps, description=f"{what}  {text}")
