"""A small net with everything that can go wrong in a resumed training: dropout, negatives, two optimisers, a memory.

Also run by itself, by tests/nn/test_data_parallel.py under torchrun and by tests/faults/killed_training.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from matinee.nn.train import Loop, Pass, RowIds, Step, Training, trainable

N, N_IN, N_ITEMS, N_NEGATIVES = 23, 6, 9, 3
INPUTS = np.random.default_rng(1).normal(size=(N, N_IN)).astype(np.float32)
POSITIVE = np.argmax(INPUTS @ np.random.default_rng(2).normal(size=(N_IN, N_ITEMS)), axis=1)
PLAN = Training(epochs=6, batch_size=5, learning_rate=0.05, weight_decay=0.01, schedule="cosine", warmup=7, clip=0.4)


class Toy(nn.Module):
    """inputs -> tanh -> dropout -> items; `memory` is what `remember` left there, mixed with noise."""

    memory: Tensor

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.encoder = nn.Linear(N_IN, 5)
            self.decoder = nn.Sequential(nn.Tanh(), nn.Dropout(dropout), nn.Linear(5, N_ITEMS))
        self.register_buffer("memory", torch.zeros(5))

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.decoder(self.encoder(inputs) + 0.1 * self.memory)
        return scores

    def remember(self) -> None:
        self.memory.copy_(self.encoder.bias.detach() + torch.rand(5))


def loss_of(net: Toy) -> Callable[[RowIds, Step], Tensor]:
    """The positive item against negatives drawn with numpy; the first weeks weigh less, as annealing does."""

    def loss(rows: RowIds, step: Step) -> Tensor:
        scores = net(torch.from_numpy(INPUTS[rows]))
        negative = np.random.default_rng(step.seed).integers(0, N_ITEMS, (len(rows), N_NEGATIVES))
        gap = scores.gather(1, torch.from_numpy(POSITIVE[rows])[:, None]) - scores.gather(1, torch.from_numpy(negative))
        return -F.logsigmoid(gap).sum() * min(1.0, (step.number + 1) / 11)

    return loss


def softmax_loss_of(net: Toy) -> Callable[[RowIds, Step], Tensor]:
    """No draws: for comparing one process with two."""

    def loss(rows: RowIds, step: Step) -> Tensor:
        scores = net(torch.from_numpy(INPUTS[rows]))
        return F.cross_entropy(scores, torch.from_numpy(POSITIVE[rows]), reduction="sum")

    return loss


def alternating(net: Toy) -> list[Pass]:
    """As RecVAE: three passes over the encoder, then one over the decoder, which the net's memory precedes."""
    loss = loss_of(net)
    encoder = Pass("encoder", loss, trainable([net.encoder]))
    return [encoder, encoder, encoder, Pass("decoder", loss, trainable([net.decoder]), before=net.remember)]


def together(net: Toy) -> list[Pass]:
    return [Pass("all", loss_of(net), list(net.parameters()))]


def validator(net: Toy) -> Callable[[], float]:
    def validate() -> float:
        with torch.no_grad():
            scores = net(torch.from_numpy(INPUTS)).numpy()
        return float(np.mean(np.argmax(scores, axis=1) == POSITIVE) - 1e-3 * np.abs(scores).mean())

    return validate


def loop(
    *,
    passes: Callable[[Toy], list[Pass]] = alternating,
    training: Training = PLAN,
    seed: int = 3,
    dropout: float = 0.3,
    checkpoint: Path | None = None,
) -> tuple[Loop, Toy]:
    net = Toy(dropout)
    return Loop(net, passes(net), N, training, seed=seed, validate=validator(net), checkpoint=checkpoint), net


def weights(net: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in net.state_dict().items()}


def without_seconds(curve: NDArray[np.float64]) -> list[list[float]]:
    kept: list[list[float]] = curve[:, :3].tolist()
    return kept
