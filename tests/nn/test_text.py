"""Letters of titles: any script, any length, and nothing of one title in another."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from matinee.nn.text import CharacterCNN, CharacterLSTM, Characters, largest

TITLES = ["summer bbq", "비 오는 날 드라이브", "🎄", "Ⅻ", "à la carte", "", None, "x" * 80]


def net(kind: str, n_codes: int) -> torch.nn.Module:
    torch.manual_seed(3)
    return CharacterCNN(n_codes, 6, (3, 4, 9), 5) if kind == "cnn" else CharacterLSTM(n_codes, 6, 10)


@pytest.mark.parametrize("kind", ["cnn", "lstm"])
def test_a_title_says_the_same_alone_and_beside_longer_ones(kind: str) -> None:
    known = Characters.fit(TITLES)
    letters = net(kind, len(known))
    together = letters(torch.from_numpy(known.encode(TITLES, longest=30)))
    assert together.shape == (len(TITLES), letters.size)
    for row, title in enumerate(TITLES):
        alone = letters(torch.from_numpy(known.encode([title], longest=30)))
        np.testing.assert_allclose(alone[0].detach().numpy(), together[row].detach().numpy(), atol=1e-6)
    assert len({tuple(row.tolist()) for row in together.detach().numpy().round(5)}) == len(TITLES) - 1  # "" and None


def test_gradients_go_to_the_largest_windows_alone() -> None:
    rng = np.random.default_rng(2)
    table = torch.tensor(rng.normal(size=(12, 4)), requires_grad=True)
    windows, there = torch.from_numpy(rng.integers(0, 12, (3, 5, 2))), torch.ones(3, 5, dtype=torch.bool)
    there[1, 2:] = False
    found = largest(table, windows, there)
    plain = torch.stack([table[windows[b, :, 0]] + table[windows[b, :, 1]] for b in range(3)])
    plain = plain.masked_fill(~there[:, :, None], -torch.inf).amax(dim=1)
    assert torch.equal(found, plain)
    weight = torch.tensor(rng.normal(size=(3, 4)))
    (ours,) = torch.autograd.grad((found * weight).sum(), table)
    (theirs,) = torch.autograd.grad((plain * weight).sum(), table)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy())
