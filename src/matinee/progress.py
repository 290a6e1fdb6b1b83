"""Progress bars on work that takes over two seconds; silent where nobody is watching."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def track(work: Iterable[T], what: str, *, total: int | None = None) -> Iterator[T]:
    """Yield from `work` with a bar on stderr; no bar when stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield from work
        return
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(work, what, total=total, console=Console(stderr=True), transient=True)
