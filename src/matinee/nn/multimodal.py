"""Rows of items and of what is known of the items: hide-and-seek, nets, and a loss over as many columns as one can pay.

Columns 0..n_items - 1 are items, those after them are values of attributes (artists, directors).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from matinee.nn.blocks import SparseBatch, SparseLinear, dropout

PIECE = 1 << 22  # logits in memory at once


def hide_and_seek(
    rows: SparseBatch, n_items: int, *, hidden_share: float, keep: tuple[float, float], rng: Generator
) -> SparseBatch:
    """What a row shows of itself in training: hidden entries have the value 0.

    A share of the rows hide one side, all items or all attributes, with equal chances (a row that has one side alone
    hides nothing). Of what is left each entry stays with a probability that is drawn for the row from `keep`.
    """
    row, item = rows.row.cpu().numpy(), rows.item.cpu().numpy()
    hide, which, kept = rng.random(len(rows)), rng.random(len(rows)), rng.uniform(*keep, len(rows))
    draw = rng.random(len(item))
    is_item = item < n_items
    n_of_items = np.bincount(row[is_item], minlength=len(rows))
    both = (n_of_items > 0) & (np.bincount(row, minlength=len(rows)) > n_of_items)
    side = np.where((hide < hidden_share) & both, np.where(which < 0.5, 1, 2), 0)  # 1: items are hidden, 2: attributes
    shown = (draw < kept[row]) & (side[row] != np.where(is_item, 1, 2))
    return replace(rows, value=rows.value * torch.from_numpy(shown).to(rows.value.device))


def sampled_columns(
    positive: NDArray[np.int64], columns: NDArray[np.int64], n_sampled: int, rng: Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """int64 (C,), ascending, and float32 (C,): the columns a step's loss looks at, and how much each one counts. All of
    the batch's own `positive` (distinct) count 1; of the other `columns` n_sampled are drawn, each for as many as there
    are, so that the expected loss is that over all of them."""
    others = np.setdiff1d(columns, positive, assume_unique=True)
    n = min(n_sampled, len(others))
    drawn = others if n == len(others) else rng.choice(others, n, replace=False, shuffle=False)
    chosen = np.concatenate([positive, drawn])
    weight = np.repeat([1.0, len(others) / max(n, 1)], [len(positive), n]).astype(np.float32)
    order = np.argsort(chosen)
    return chosen[order], weight[order]


class Output(nn.Module):
    """The last layer: a vector and a bias a column. The bias starts at `start`. own: false where the vectors are always
    another layer's, which `forward` and `loss` are given."""

    weight: Tensor | None

    def __init__(self, dim: int, start: Tensor, *, own: bool = True) -> None:
        super().__init__()
        vectors = nn.Parameter(nn.init.xavier_normal_(torch.empty(len(start), dim))) if own else None
        self.register_parameter("weight", vectors)
        self.bias = nn.Parameter(start.clone())

    def forward(self, code: Tensor, weight: Tensor | None = None) -> Tensor:
        """Logits (B, columns). weight: in place of the layer's own."""
        return F.linear(code, self._vectors(weight), self.bias)

    def _vectors(self, weight: Tensor | None) -> Tensor:
        vectors = self.weight if weight is None else weight
        assert vectors is not None
        return vectors

    def loss(
        self, code: Tensor, target: Target, weight: Tensor | None = None, teacher: Teacher | None = None
    ) -> Tensor:
        """`logistic` of these logits, over the target's columns alone, a tensor ()."""
        vectors = self._vectors(weight)
        bias: Tensor = self.bias
        if len(target.columns) < len(bias):
            vectors, bias = vectors.index_select(0, target.columns), bias.index_select(0, target.columns)
            teacher = None if teacher is None else teacher.of(target.columns)
        return logistic(code, vectors, bias, target, teacher)


@dataclass(frozen=True)
class Target:
    """What a step's logits are to become. rows: the entries that are 1. columns: int64 (C,), ascending, those that the
    loss looks at, all of the rows' among them; weight: float32 (C,), how much each counts. alpha: what a 0 counts
    beside a 1."""

    rows: SparseBatch
    columns: Tensor
    weight: Tensor
    alpha: float

    @classmethod
    def of(cls, rows: SparseBatch, columns: NDArray[np.int64], n_sampled: int, alpha: float, rng: Generator) -> Target:
        """The rows' own columns and a sample of the other `columns`."""
        own = np.unique(rows.item.cpu().numpy())
        found, weight = sampled_columns(own, columns, n_sampled, rng)
        chosen, weights = (torch.from_numpy(array).to(rows.item.device) for array in (found, weight))
        return cls(rows, chosen, weights, alpha)


@dataclass(frozen=True)
class Teacher:
    """Another net's answer to the same rows, of which a target is a `share`, the rest being what the rows hold (soft
    targets: Hinton, Vinyals & Dean, 2015). code: (B, D), vectors: (C, D), bias: (C,), of its logits."""

    code: Tensor
    vectors: Tensor
    bias: Tensor
    share: float

    def of(self, columns: Tensor) -> Teacher:
        """Of these columns alone."""
        return replace(self, vectors=self.vectors.index_select(0, columns), bias=self.bias.index_select(0, columns))

    def target(self, rows: slice, place: tuple[Tensor, Tensor]) -> Tensor:
        """(b, C): what these rows' probabilities are to become; `place`: where they hold a column."""
        wanted = torch.addmm(self.bias, self.code[rows], self.vectors.T).sigmoid_().mul_(self.share)
        wanted[place] += 1.0 - self.share
        return wanted


def logistic(code: Tensor, vectors: Tensor, bias: Tensor, target: Target, teacher: Teacher | None = None) -> Tensor:
    """-sum of y log p + alpha (1 - y) log(1 - p), p = sigmoid(code @ vectors.T + bias), over rows and the target's
    columns, of which each counts its weight (MMCF, eq. 4). code: (B, D), vectors: (C, D). y is 1 or 0, or what a
    teacher makes of it. The logits are computed in pieces of rows, each of which adds its share to the loss and to the
    gradients."""
    loss: Tensor = _Logistic.apply(code, vectors, bias, target, teacher)  # type: ignore[no-untyped-call]
    return loss


def _hard(logits: Tensor, place: tuple[Tensor, Tensor], zero_weight: Tensor) -> tuple[Tensor, Tensor]:
    """The loss (), and its slope by the logits (b, C), in their memory: 1 at each `place`, else 0 of zero_weight."""
    there, counted = logits[place], zero_weight[place[1]]
    loss = (F.softplus(logits) @ zero_weight).sum() - (counted * F.softplus(there)).sum() + F.softplus(-there).sum()
    slope = torch.sigmoid_(logits).mul_(zero_weight)
    slope[place] = torch.sigmoid(there) - 1.0
    return loss, slope


def _soft(logits: Tensor, wanted: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """The same for targets (b, C) between 0 and 1: y softplus(-z) + alpha (1 - y) softplus(z), which is
    (y + alpha (1 - y)) softplus(z) - y z."""
    pull = wanted * (1.0 - target.alpha) + target.alpha
    weight = target.weight.to(logits.dtype)
    loss = ((pull * F.softplus(logits) - wanted * logits) @ weight).sum()
    return loss, torch.sigmoid_(logits).mul_(pull).sub_(wanted).mul_(weight)


class _Logistic(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, code: Tensor, vectors: Tensor, bias: Tensor, target: Target, teacher: Teacher | None
    ) -> Tensor:
        kind = code.device.type
        products = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else code.dtype
        at, row = torch.searchsorted(target.columns, target.rows.item), target.rows.row
        zero_weight = target.alpha * target.weight
        total = code.new_zeros((), dtype=torch.float64)
        of_code = vectors.new_empty(code.shape)
        # another net's vectors are left as they are
        of_vectors = torch.zeros_like(vectors) if ctx.needs_input_grad[1] else None
        of_bias = torch.zeros_like(bias)
        ends = torch.cat([target.rows.offsets, target.rows.offsets.new_tensor([len(row)])]).tolist()
        step = max(1, PIECE // max(len(bias), 1))
        with torch.autocast(kind, enabled=False):  # sums are not rounded, whatever products are
            codes, weights = code.to(products), vectors.to(products)
            for start in range(0, len(code), step):
                stop = min(start + step, len(code))
                mine = slice(ends[start], ends[stop])
                place = row[mine] - start, at[mine]
                logits = torch.mm(codes[start:stop], weights.T).to(bias.dtype).add_(bias)
                if teacher is None:
                    loss, slope = _hard(logits, place, zero_weight)
                else:
                    loss, slope = _soft(logits, teacher.target(slice(start, stop), place), target)
                total += loss
                of_bias += slope.sum(dim=0)
                slope = slope.to(products)
                of_code[start:stop] = torch.mm(slope, weights)
                if of_vectors is not None:
                    of_vectors += torch.mm(slope.T, codes[start:stop])
        ctx.save_for_backward(of_code, of_vectors, of_bias)
        return total.to(vectors.dtype)

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Any:
        return (*(None if slope is None else outer * slope for slope in ctx.saved_tensors), None, None)


class TiedAutoencoder(nn.Module):
    """A row of length 1 -> tanh code, with dropout -> logits. While `tied`, the decoder is the encoder transposed;
    `untie` copies it, and each goes its own way from there."""

    tied: Tensor

    def __init__(self, hidden: int, dropout_share: float, start: Tensor) -> None:
        super().__init__()
        self.dropout = dropout_share
        self.encoder = SparseLinear(len(start), hidden)
        self.decoder = Output(hidden, start)
        self.register_buffer("tied", torch.ones(1, dtype=torch.int64))

    def untie(self) -> None:
        with torch.no_grad():
            assert self.decoder.weight is not None
            self.decoder.weight.copy_(self.encoder.weight)
            self.tied.zero_()

    def whole_code(self, rows: SparseBatch) -> Tensor:
        """(B, hidden), without dropout."""
        return torch.tanh(self.encoder(rows.normalised()))

    def code(self, rows: SparseBatch) -> Tensor:
        """(B, hidden)."""
        return dropout(self.whole_code(rows), self.dropout, training=self.training)

    def forward(self, rows: SparseBatch) -> Tensor:
        """Logits (B, columns)."""
        logits: Tensor = self.decoder(self.code(rows), self.vectors)
        return logits

    def loss(self, rows: SparseBatch, target: Target) -> Tensor:
        """Of the logits for what rows show, a tensor ()."""
        return self.decoder.loss(self.code(rows), target, self.vectors)

    @property
    def vectors(self) -> Tensor:
        """(columns, hidden) of the decoder, which is the encoder while they are tied."""
        if self.tied:
            return self.encoder.weight
        assert self.decoder.weight is not None
        return self.decoder.weight


@dataclass(frozen=True)
class ReadTitles:
    """B titles. codes: int64 (B, L), of characters, see nn.text. pieces: rows of the pieces of their words, by TF-IDF,
    see Grams; None where they are not read."""

    codes: Tensor
    pieces: SparseBatch | None = None


class TitleNet(nn.Module):
    """Letters -> features -> a tanh code, with dropout -> logits of all columns.

    n_pieces: where there are some, a vector for each piece of a title's words is added to the code before tanh (as in
    fastText: Joulin, Grave, Bojanowski & Mikolov, EACL 2017). shared: columns have the vectors of the other net.
    """

    def __init__(
        self, letters: nn.Module, hidden: int, dropout_share: float, start: Tensor, *, n_pieces: int, shared: bool
    ) -> None:
        super().__init__()
        self.dropout = dropout_share
        self.letters = letters
        self.code = nn.Linear(letters.size, hidden)  # type: ignore[arg-type]
        self.pieces = SparseLinear(n_pieces, hidden) if n_pieces else None
        self.decoder = Output(hidden, start, own=not shared)
        self.shared = shared

    def code_of(self, titles: ReadTitles) -> Tensor:
        """(B, hidden)."""
        features = dropout(self.letters(titles.codes), self.dropout, training=self.training)
        mixed = self.code(features)
        if self.pieces is None:
            return torch.tanh(mixed)
        assert titles.pieces is not None
        mixed = mixed + self.pieces(titles.pieces.corrupted(self.dropout, training=self.training))
        return dropout(torch.tanh(mixed), self.dropout, training=self.training)


class TwoSides(nn.Module):
    """The two nets of MMCF side by side; `title` is None where no list has a title."""

    def __init__(self, rows: TiedAutoencoder, title: TitleNet | None) -> None:
        super().__init__()
        self.rows, self.title = rows, title

    def begin_titles(self) -> None:
        """A title that says nothing is to answer as an empty list does, where columns have the same vectors."""
        if self.title is not None and self.title.shared:
            with torch.no_grad():
                self.title.decoder.bias.copy_(self.rows.decoder.bias)

    def of_titles(self, titles: ReadTitles) -> Tensor:
        """Logits (B, columns)."""
        assert self.title is not None
        logits: Tensor = self.title.decoder(self.title.code_of(titles), self._shared)
        return logits

    def joined(self, rows: SparseBatch, titles: ReadTitles | None, share: Tensor) -> Tensor:
        """(B, columns): (1 - share) times the logits of rows + share times those of titles. share: (B,). titles: of the
        rows whose share is above 0, None where there is none."""
        if titles is None:
            return self.rows(rows)  # type: ignore[no-any-return]
        assert self.title is not None
        asked = torch.nonzero(share)[:, 0]
        mine = share[asked, None]
        if not self.title.shared:
            logits: Tensor = self.rows(rows)
            logits[asked] = torch.lerp(logits[asked], self.of_titles(titles), mine)
            return logits
        # One decoder reads both: the codes are joined before it, and its two biases after it.
        code = self.rows.code(rows)
        code[asked] = torch.lerp(code[asked], self.title.code_of(titles), mine)
        bias = self.rows.decoder.bias
        return F.linear(code, self.rows.vectors, bias).addr_(share, self.title.decoder.bias - bias)

    def loss_of_titles(self, titles: ReadTitles, rows: SparseBatch, target: Target, taught: float) -> Tensor:
        """Of the logits for these titles, a tensor (). taught: what the other net's answer to the lists' whole rows is
        of the target; that net is left as it is."""
        assert self.title is not None
        teacher = None
        if taught > 0.0:
            with torch.no_grad():
                code, bias = self.rows.whole_code(rows), self.rows.decoder.bias.detach()
            teacher = Teacher(code, self.rows.vectors.detach(), bias, taught)
        return self.title.decoder.loss(self.title.code_of(titles), target, self._shared, teacher)

    @property
    def _shared(self) -> Tensor | None:
        assert self.title is not None
        return self.rows.vectors.detach() if self.title.shared else None
