"""MMCF: an autoencoder over items and their attributes, and a character net over the titles of lists, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from matinee import nn
from matinee.data.dataset import Dataset
from matinee.models.families.columns import Columns
from matinee.models.families.hybrid import Hybrid, HybridWeights
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, LogSize

if TYPE_CHECKING:
    from numpy.random import Generator
    from torch import Tensor
    from torch.nn import Module

    from matinee.nn.blocks import SparseBatch
    from matinee.nn.multimodal import ReadTitles
    from matinee.nn.text import Characters
    from matinee.nn.train import Step


class MMCF(Hybrid):
    """Multimodal collaborative filtering for playlists (Yang, Jeong, Choi & Lee, RecSys Challenge 2018).

    An autoencoder reads and predicts a list's items and their attributes (artists, directors). At first its decoder is
    the encoder transposed, and it plays hide-and-seek: of some lists it sees the attributes alone, or the items alone,
    beside ordinary denoising. A net of characters predicts the same from the title. The two are joined: the
    title's share falls with the number of items n as 1 / (1 + (n / half)^slope), both as `valid` says, or by the
    authors' rule 1 / (1 + n). A title alone answers for an empty list, and an item that training never saw is scored by
    its attributes (NewOutputs). `part("items")` and `part("title")` are the model with one net alone.

    Beyond the paper, as titles of a few thousand lists teach a net of characters little: it learns when the autoencoder
    has, whose decoder it shares (`title_decoder`), and is taught by that net's answers to whole lists (`taught`,
    soft targets); the pieces of a title's words are read beside its characters (`pieces`); the values of attributes,
    such as artists, are lists of their items to both nets, with their names as titles (`value_lists`). The authors'
    model is title_decoder = "own", taught = 0, pieces = False, value_lists = False.
    Deviations: log odds are joined, not probabilities; rows of length 1; tanh for the sigmoid of the code; a loss over
    a batch's own columns and a sample of the others, weighted up; the title's net learns from a loss of its own, not
    through the join, and after the other; AdamW for Adam.
    """

    hidden: int = tunable(250, "units of the code", choices=[100, 250, 500], ge=1)
    dropout: float = tunable(0.25, "dropout of codes and titles' features", low=0.0, high=0.6, ge=0.0, lt=1.0)
    hidden_share: float = tunable(
        0.5, "share of lists that hide all items or all attributes", low=0.0, high=0.8, ge=0.0, le=1.0
    )
    least_kept: float = tunable(0.25, "denoising: the least share that stays", low=0.1, high=0.6, gt=0.0, le=1.0)
    most_kept: float = tunable(0.75, "denoising: the largest share that stays", low=0.6, high=1.0, gt=0.0, le=1.0)
    alpha: float = tunable(0.5, "what an absent column weighs in the loss", low=0.1, high=1.0, gt=0.0)
    sampled: int = tunable(20_000, "columns beside a batch's own that its loss looks at, at most", ge=1)
    tied_epochs: int = tunable(10, "epochs with the decoder tied to the encoder", low=0, high=40, ge=0)
    letters: Literal["cnn", "lstm"] = tunable("cnn", "the net that reads titles", choices=["cnn", "lstm"])
    filters: int = tunable(100, "filters of each width; half the size of the LSTM", choices=[50, 100, 200], ge=1)
    widths: tuple[int, ...] = tunable((3, 5, 7, 9), "widths of the filters, in characters")
    letter_dim: int = tunable(50, "dimensions of a character's vector", choices=[25, 50, 100], ge=1)
    title_decoder: Literal["shared", "own"] = tunable(
        "shared", "the layer behind a title's code: the autoencoder's, as it has learned it, or one of its own"
    )
    taught: float = tunable(
        0.5, "share of the autoencoder's answer in what a title is to predict", low=0.0, high=0.9, ge=0.0, le=1.0
    )
    join: Literal["valid", "rule"] = tunable("valid", "where the title's share comes from; without valid the rule")
    batch_size: int = tunable(250, "lists in a step", ge=1)
    learning_rate: float = tunable(2e-3, "step size", low=1e-4, high=1e-2, log=True, gt=0.0)

    def n_weights(self, size: LogSize) -> float:
        return (2 * self.hidden + 1) * size.items + self.hidden  # of side tables nothing is counted

    def step_bytes(self, size: LogSize) -> float:
        """Logits and their gradient, and the vectors of the columns that are looked at."""
        columns = min(size.items, self.sampled + self.batch_size * size.events / max(size.users, 1))
        return 4 * FLOAT * columns * (self.batch_size + self.hidden)

    def sides(self, columns: Columns, characters: Characters, n_pieces: int, start: Tensor) -> Module:
        rows = nn.multimodal.TiedAutoencoder(self.hidden, self.dropout, start)
        if not len(characters.points):  # no list has a title
            return nn.multimodal.TwoSides(rows, None)
        n, dim = len(characters), self.letter_dim
        lstm, text = self.letters == "lstm", nn.text
        net = (
            text.CharacterLSTM(n, dim, 2 * self.filters)
            if lstm
            else text.CharacterCNN(n, dim, self.widths, self.filters)
        )
        shared = self.title_decoder == "shared"
        title = nn.multimodal.TitleNet(net, self.hidden, self.dropout, start, n_pieces=n_pieces, shared=shared)
        return nn.multimodal.TwoSides(rows, title)

    def loss_of_rows(self, net: Any, rows: SparseBatch, step: Step) -> Tensor:
        if net.rows.tied and step.epoch > self.tied_epochs:
            net.rows.untie()
        rng = np.random.default_rng(step.seed)
        keep = self.least_kept, max(self.least_kept, self.most_kept)
        n_items, share = net.columns.n_items, self.hidden_share
        seen = nn.multimodal.hide_and_seek(rows, n_items, hidden_share=share, keep=keep, rng=rng)
        return net.rows.loss(seen, self._target(net, rows, rng))  # type: ignore[no-any-return]

    def loss_of_titles(self, net: Any, titles: ReadTitles, rows: SparseBatch, step: Step) -> Tensor:
        target = self._target(net, rows, np.random.default_rng(step.seed))
        return net.loss_of_titles(titles, rows, target, self.taught)  # type: ignore[no-any-return]

    def _target(self, net: Any, rows: SparseBatch, rng: Generator) -> Any:
        return nn.multimodal.Target.of(rows, net.learned_columns, self.sampled, self.alpha, rng)

    def learn(self, data: Dataset, context: FitContext) -> HybridWeights:
        learned = super().learn(data, context)
        return self.joined(learned, data, context) if self.join == "valid" else learned
