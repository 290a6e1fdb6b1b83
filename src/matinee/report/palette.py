"""One colour and one shape for each model, the same wherever the page shows it.

The colours are seven of Okabe and Ito's kind (2008), darker on light paper so that they can be read as text, and
further apart under the three colour blindnesses; see `--hue1` to `--hue7` in templates/style.css. A shape tells an
eighth model from the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# matplotlib's name -> as a character
SHAPES = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", "*": "★"}
SIZES = {"^": 10, "v": 10, "*": 12}  # px, of shapes that look smaller than they are
N_HUES = 7


@dataclass(frozen=True)
class Look:
    """hue: of the style sheet, from 1. shape: matplotlib's name."""

    hue: int
    shape: str

    @property
    def character(self) -> str:
        return SHAPES[self.shape]


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """A look for each label, all different up to 49; their order decides."""
    shapes = list(SHAPES)
    return {
        label: Look(at % N_HUES + 1, shapes[(at + at // N_HUES) % len(shapes)])
        for at, label in enumerate(dict.fromkeys(labels))
    }
