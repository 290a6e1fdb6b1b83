"""The transformer of one history, one number at a time, from a net's weights: float64, no batches, no masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SparseBatch = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """w: a TransformerNet's parameters by name. n_heads, causal and feed_forward are not to be read from them."""

    w: dict[str, SparseBatch]
    n_heads: int = 1
    causal: bool = True
    feed_forward: str = "relu"

    def states(self, items: Sequence[int], seconds: Sequence[int] | None = None) -> SparseBatch:
        """(L, dim): the state at each event of a history. seconds: when each happened; None: unknown."""
        x = self.w["items.weight"][list(items)] + self.w["positions.weight"][: len(items)]
        for b in range(sum(name.endswith("attention.inputs.weight") for name in self.w)):
            block = f"transformer.blocks.{b}."
            x = self.let_in(block + "gates.0", x, self.attention(block, self.norm(block + "norms.0", x), seconds))
            x = self.let_in(block + "gates.1", x, self.mixing(block + "mixing.", self.norm(block + "norms.1", x)))
        return self.norm("transformer.norm", x)

    def linear(self, name: str, x: SparseBatch) -> SparseBatch:
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, name: str, x: SparseBatch) -> SparseBatch:
        """Layer normalisation (Ba et al., 2016, eq. 4)."""
        centred = x - x.mean(axis=1, keepdims=True)
        scaled: SparseBatch = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
        return scaled * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def let_in(self, name: str, x: SparseBatch, more: SparseBatch) -> SparseBatch:
        """x + f(x), or x + f(x) sigmoid(W x) where there is a gate."""
        if f"{name}.weight" not in self.w:
            return x + more
        return x + more / (1.0 + np.exp(-self.linear(name, x)))

    def attention(self, block: str, x: SparseBatch, seconds: Sequence[int] | None) -> SparseBatch:
        """Slot i takes of slot j's value what softmax_j(q_i . k_j / sqrt(d) + bias) gives, head by head."""
        dim = x.shape[1]
        size = dim // self.n_heads
        inputs = self.linear(block + "attention.inputs", x)
        out = np.zeros((len(x), dim))
        for i in range(len(x)):
            seen = range(i + 1) if self.causal else range(len(x))
            for head in range(self.n_heads):
                part = slice(head * size, (head + 1) * size)
                q, k, v = (inputs[:, start : start + dim][:, part] for start in (0, dim, 2 * dim))
                logits = np.array([q[i] @ k[j] / math.sqrt(size) + self.bias(block, head, i, j, seconds) for j in seen])
                share = np.exp(logits - logits.max())
                out[i, part] = sum(s / share.sum() * v[j] for s, j in zip(share, seen, strict=True))
        return self.linear(block + "attention.output", out)

    def bias(self, block: str, head: int, i: int, j: int, seconds: Sequence[int] | None) -> float:
        """What slot i adds to its logit of slot j: by places apart, and by log base 2 of 1 + hours apart."""
        name = block + "attention.bias."
        if f"{name}places" not in self.w:
            return 0.0
        places, times = self.w[f"{name}places"], self.w[f"{name}times"]
        length = (len(places) + 1) // 2
        found = float(places[min(max(i - j, 1 - length), length - 1) + length - 1, head])
        if seconds is not None:
            step = int(math.log2(1.0 + abs(seconds[i] - seconds[j]) / 3_600.0))
            found += float(times[min(step, len(times) - 1), head])
        return found

    def mixing(self, name: str, x: SparseBatch) -> SparseBatch:
        inner = self.linear(name + "first", x)
        if self.feed_forward == "relu":
            inner = np.maximum(inner, 0.0)
        elif self.feed_forward == "gelu":
            inner = 0.5 * inner * (1.0 + np.vectorize(math.erf)(inner / math.sqrt(2.0)))
        else:
            gate, value = np.split(inner, 2, axis=1)
            inner = gate / (1.0 + np.exp(-gate)) * value
        return self.linear(name + "second", inner)
