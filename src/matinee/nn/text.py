"""Short texts, such as titles, letter by letter: a vocabulary of characters, and nets from letters to features.

A title is taken as Unicode sees it (NFKC, case folded, runs of spaces as one), so any script and emoji are characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from matinee.data.titles import plain

PADDING, UNKNOWN, FIRST = 0, 1, 2  # codes; characters of the vocabulary follow


@dataclass(frozen=True)
class Characters:
    """points: int64 (n,), the code points that are known, ascending; point p has the code FIRST + its place."""

    points: NDArray[np.int64]

    @classmethod
    def fit(cls, titles: Iterable[str | None], *, min_count: int = 1) -> Characters:
        """The characters that stand in min_count titles or more."""
        counts = Counter(char for title in titles for char in set(plain(title)))
        return cls(np.array(sorted(ord(char) for char, n in counts.items() if n >= min_count), np.int64))

    def __len__(self) -> int:
        """The number of codes, padding and unknown included."""
        return FIRST + len(self.points)

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {chr(point): FIRST + place for place, point in enumerate(self.points.tolist())}

    def encode(self, titles: Sequence[str | None], *, longest: int, shortest: int = 1) -> NDArray[np.int64]:
        """int64 (B, L): the codes of the first `longest` characters of each title, PADDING beyond its end; L is at
        least `shortest`."""
        codes = self._codes
        rows = [[codes.get(char, UNKNOWN) for char in plain(title)[:longest]] for title in titles]
        table = np.full((len(rows), max([shortest, *map(len, rows)])), PADDING, np.int64)
        for line, row in zip(table, rows, strict=True):
            line[: len(row)] = row
        return table

    def readable(self, titles: Sequence[str | None], *, longest: int) -> NDArray[np.bool_]:
        """bool (B,): whether a title has a known character other than a space, so that it says something."""
        space = self._codes.get(" ", UNKNOWN)
        codes = self.encode(titles, longest=longest)
        return np.asarray(((codes > UNKNOWN) & (codes != space)).any(axis=1))


class CharacterCNN(nn.Module):
    """Letters -> vectors -> convolutions of several widths, `filters` each -> ReLU -> the largest over all places.

    Kim (EMNLP 2014) on characters. (B, L) codes -> (B, filters x widths). A window stands around each character of the
    title, also at its ends, so that nothing depends on the other titles of a batch.
    """

    def __init__(self, n_codes: int, dim: int, widths: Sequence[int], filters: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(n_codes, dim, padding_idx=PADDING)
        # of a width: what each of its places adds to each filter, (width, dim, filters)
        self.filters = nn.ParameterList(
            nn.init.uniform_(torch.empty(width, dim, filters), -((dim * width) ** -0.5), (dim * width) ** -0.5)
            for width in widths
        )
        self.bias = nn.Parameter(torch.zeros(len(widths), filters))
        self.size = filters * len(widths)

    def forward(self, codes: Tensor) -> Tensor:
        """float32 (B, size)."""
        # few letters are different: what each adds at each place is one table, whose rows are then summed over windows
        letters, place = nn.functional.pad(codes, (0, 1), value=PADDING).unique(  # type: ignore[no-untyped-call]
            return_inverse=True
        )
        vectors, nothing = self.vectors(letters), int(place[0, -1])
        parts = []
        for weight, bias in zip(self.filters, self.bias, strict=True):
            width, n = len(weight), len(letters)
            ends = nn.functional.pad(place[:, :-1], (width // 2, (width - 1) // 2), value=nothing)
            windows = ends.unfold(1, width, 1) + torch.arange(width, device=codes.device) * n
            table = (vectors @ weight).reshape(width * n, -1)
            parts.append(torch.relu(largest(table, windows, codes != PADDING) + bias))
        return torch.cat(parts, dim=1)


def largest(table: Tensor, windows: Tensor, there: Tensor) -> Tensor:
    """(B, F): for each column of the table, (R, F), the largest sum over a window's rows, int64 (B, L, width), of the
    windows that are `there`, bool (B, L), or the first where none is. The place of the largest is found first, without
    gradients, which then go there alone."""
    n_filters = table.shape[1]
    with torch.no_grad():
        sums = nn.functional.embedding_bag(windows.reshape(-1, windows.shape[2]), table, mode="sum")
        sums = sums.view(*windows.shape[:2], n_filters).masked_fill(~there[:, :, None], -torch.inf)
        best = sums.argmax(dim=1)  # (B, F)
    rows = windows.gather(1, best[:, :, None].expand(-1, -1, windows.shape[2]))
    at = rows * n_filters + torch.arange(n_filters, device=table.device)[:, None]
    return table.reshape(-1).index_select(0, at.reshape(-1)).view(at.shape).sum(dim=2)


class CharacterLSTM(nn.Module):
    """Letters -> vectors -> an LSTM in both directions -> its last state of each. (B, L) codes -> (B, size)."""

    def __init__(self, n_codes: int, dim: int, size: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(n_codes, dim, padding_idx=PADDING)
        self.lstm = nn.LSTM(dim, size // 2, batch_first=True, bidirectional=True)
        self.size = 2 * (size // 2)

    def forward(self, codes: Tensor) -> Tensor:
        """float32 (B, size)."""
        lengths = (codes != PADDING).sum(dim=1).clamp_min(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(self.vectors(codes), lengths, batch_first=True, enforce_sorted=False)
        _, (last, _) = self.lstm(packed)
        return torch.cat([last[0], last[1]], dim=1)
