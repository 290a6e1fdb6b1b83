"""CL4SRec's own ideas: three ways to distort a history, and the contrast between two views."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from contract.logs import groups
from matinee.data.arrays import Ragged
from matinee.models.cl4srec import CL4SRec
from matinee.models.families.sequence import Histories
from matinee.nn.losses import info_nce
from matinee.nn.train import Step

ITEMS = np.arange(100, 110, dtype=np.int32)


def test_a_cropped_view_is_a_piece() -> None:
    model, rng = CL4SRec(crop=0.6), np.random.default_rng(0)
    starts = set()
    for _ in range(60):
        view = model.distorted(ITEMS, 0, 999, rng)
        assert len(view) == 6
        starts.add(int(view[0]))
        np.testing.assert_array_equal(view, np.arange(view[0], view[0] + 6))
    assert starts == {100, 101, 102, 103, 104}


def test_a_masked_view_hides_its_share() -> None:
    model, rng = CL4SRec(mask=0.3), np.random.default_rng(0)
    for _ in range(20):
        view = model.distorted(ITEMS, 1, 999, rng)
        assert (view == 999).sum() == 3
        np.testing.assert_array_equal(view[view != 999], ITEMS[view != 999])


def test_a_reordered_view_shuffles_one_stretch() -> None:
    model, rng = CL4SRec(reorder=0.5), np.random.default_rng(0)
    for _ in range(20):
        view = model.distorted(ITEMS, 2, 999, rng)
        assert sorted(view) == sorted(ITEMS)
        moved = np.flatnonzero(view != ITEMS)
        assert len(moved) == 0 or moved[-1] - moved[0] < 5


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_history_of_one_item_has_views(kind: int) -> None:
    view = CL4SRec().distorted(ITEMS[:1], kind, 999, np.random.default_rng(0))
    np.testing.assert_array_equal(view, ITEMS[:1])


def test_the_log_is_not_distorted_itself() -> None:
    histories = Ragged.from_lists([ITEMS, ITEMS[:4]])
    before = histories.values.copy()
    CL4SRec().view(histories, 999, np.random.default_rng(0))
    np.testing.assert_array_equal(histories.values, before)


def test_info_nce_against_loops() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=(2, 5, 3))
    views = np.concatenate([one, other])
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    expected = 0.0
    for i in range(10):
        others = [j for j in range(10) if j != i]
        logits = np.array([views[i] @ views[j] / 0.3 for j in others])
        right = views[i] @ views[(i + 5) % 10] / 0.3
        expected += (np.log(np.exp(logits).sum()) - right) / 2
    found = info_nce(torch.from_numpy(one), torch.from_numpy(other), 0.3)
    assert float(found) == pytest.approx(expected, rel=1e-10)


def test_the_loss_is_sasrecs_and_the_contrast() -> None:
    """Without dropout: the difference between two weights of the contrast is the contrast itself, twice."""
    data = groups()
    losses = []
    for contrast in (0.0, 0.5, 1.0):
        model = CL4SRec(dim=8, max_len=12, dropout=0.0, contrast=contrast)
        torch.manual_seed(1)
        net = model.build(data).eval()
        pieces = model.pieces(data)
        batch = Histories(pieces.item.slice(0, 30), None)
        losses.append(model.batch_loss(net, batch, model.drawing(data), Step(0, 0, 7)).item())
        if contrast == 0.0:
            plain = super(CL4SRec, model).batch_loss(net, batch, model.drawing(data), Step(0, 0, 7)).item()
            assert losses[0] == pytest.approx(plain, rel=1e-6)
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-4)
    assert losses[1] > losses[0]
