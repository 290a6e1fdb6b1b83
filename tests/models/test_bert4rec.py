"""BERT4Rec's own ideas: gaps to learn from, and a gap at the end (or anywhere) to be asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from contract.logs import groups
from matinee.data.arrays import Ragged
from matinee.data.dataset import Queries
from matinee.models.bert4rec import PLACES, BERT4Rec
from matinee.models.families.sequence import Histories
from matinee.nn.train import Step

SMALL: dict[str, Any] = {"dim": 16, "max_len": 12, "epochs": 12, "batch_size": 16, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def model() -> BERT4Rec:
    return BERT4Rec.model_validate(SMALL).fit(groups(), seed=3)


def histories(*rows: list[int], times: bool = False) -> Histories:
    item = Ragged.from_lists(rows)
    return Histories(item, np.arange(len(item.values), dtype=np.int64) * 3600 if times else None)


def test_a_lesson_hides_what_it_asks_for(model: BERT4Rec) -> None:
    batch = histories([4, 9, 4, 7, 1, 30, 2], [5, 6], [8, 8, 8, 3])
    mask = model.net.n_items + 1
    for seed in range(20):
        make_batch = model.make_batch(model.net, batch, Step(0, 0, seed))
        seen = make_batch.packed.item[make_batch.packed.slot].numpy()
        hidden = seen == mask
        np.testing.assert_array_equal(batch.item.values[hidden], make_batch.target.numpy())
        assert make_batch.of_each.tolist() == np.bincount(batch.item.rows[hidden], minlength=len(batch)).tolist()
        np.testing.assert_array_equal(batch.item.values[~hidden], seen[~hidden])
        assert (make_batch.packed.item[make_batch.slot] == mask).all()
        assert (np.bincount(batch.item.rows[hidden], minlength=3) > 0).all()  # each history teaches something


def test_gaps_are_as_many_as_asked_for() -> None:
    item = Ragged.from_lists([list(range(50))] * 400)
    rng = np.random.default_rng(1)
    share = BERT4Rec(mask_share=0.3, last_share=0.0).gaps(item, rng).mean()
    assert share == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 20_000))
    at_end = BERT4Rec(mask_share=0.3, last_share=1.0).gaps(item, rng)
    np.testing.assert_array_equal(np.flatnonzero(at_end), item.offsets[1:] - 1)


@pytest.mark.parametrize(("mask_share", "last_share"), [(0.3, 0.0), (0.2, 0.1), (0.4, 0.7), (0.3, 1.0)])
def test_the_step_expects_as_many_gaps_as_there_are(mask_share: float, last_share: float) -> None:
    """Of short histories too, where the one gap that each has outweighs those that are drawn."""
    model = BERT4Rec(mask_share=mask_share, last_share=last_share)
    item = Ragged.from_lists([list(range(n)) for n in (1, 2, 3, 7, 30)])
    drawn = [model.gaps(item, np.random.default_rng(seed)).sum() for seed in range(4_000)]
    assert model.terms(item.lengths) == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(4_000) + 1e-9)


def test_a_mask_stands_at_the_end_of_what_is_asked(model: BERT4Rec) -> None:
    long = list(range(20, 40))
    packed, slot = model.encode_query(model.net, histories([4, 9, 4], [], long, times=True))
    mask = model.net.n_items + 1
    assert slot.shape == (3, 1)
    assert (packed.item[slot] == mask).all()
    assert (slot[:, 0] == packed.last).all()
    first, length = int(packed.first[2]), int(packed.length[2])
    np.testing.assert_array_equal(packed.item[first : first + length].numpy(), [*long[-12:], mask])


def test_gaps_anywhere_are_spread_evenly_and_one_is_at_the_end(model: BERT4Rec) -> None:
    anywhere = model.model_copy(update={"ask": "anywhere"})
    packed, slot = anywhere.encode_query(model.net, histories(list(range(1, 9)), [5]))
    mask = model.net.n_items + 1
    assert slot.shape == (2, PLACES)
    first, length = int(packed.first[0]), int(packed.length[0])
    found = packed.item[first : first + length].tolist()
    assert found == [1, 2, mask, 3, 4, mask, 5, 6, mask, 7, 8, mask]
    assert (packed.item[slot] == mask).all()
    np.testing.assert_array_equal(slot[0].numpy(), first + np.flatnonzero(np.array(found) == mask))


def test_no_gap_stands_at_a_place_that_no_lesson_reaches(model: BERT4Rec) -> None:
    """Pieces to learn from have max_len + 1 events; of a longer history the gaps take the place of the oldest."""
    anywhere = model.model_copy(update={"ask": "anywhere"})
    long, mask = list(range(1, 31)), model.net.n_items + 1
    packed, slot = anywhere.encode_query(model.net, histories(long))
    first, length = int(packed.first[0]), int(packed.length[0])
    assert length == model.max_len + 1 == len(model.net.positions.weight)
    found = packed.item[first : first + length].tolist()
    assert [item for item in found if item != mask] == long[-(model.max_len + 1 - PLACES) :]
    assert packed.position[slot].max() == model.max_len
    tiny = BERT4Rec(max_len=2, dim=8, epochs=1, ask="anywhere").fit(model.data)
    assert np.isfinite(tiny.score(model.data.queries_of(np.arange(3, dtype=np.int32))).max(axis=1)).all()
    assert tiny.encode_query(tiny.net, histories(long))[1].shape == (1, 2)


def test_the_answer_is_the_state_at_the_last_mask(model: BERT4Rec) -> None:
    """Against the net called by hand on [history, MASK], one history at a time, without packing."""
    rows = [[4, 9, 4, 7], [33], [60, 2, 19, 19, 5, 8, 40, 41, 42]]
    known = model.fitted.popularity > 0
    queries = Queries(np.full(3, -1, np.int32), Ragged.from_lists(rows), Ragged.empty(3))
    scores = model.score(queries)
    net = model.net
    for row, items in enumerate(rows):
        tokens = torch.tensor([i for i in items if known[i]] + [net.n_items + 1])
        x = net.items.weight[tokens] + net.positions.weight[: len(tokens)]
        for block in net.transformer.blocks:
            inner = block.norms[0](x)
            q, k, v = block.attention.inputs(inner).chunk(3, dim=1)
            heads = [
                torch.softmax(qh @ kh.T / np.sqrt(qh.shape[1]), dim=1) @ vh
                for qh, kh, vh in zip(q.chunk(2, 1), k.chunk(2, 1), v.chunk(2, 1), strict=True)
            ]
            x = x + block.attention.output(torch.cat(heads, dim=1))
            hidden = torch.nn.functional.gelu(block.mixing.first(block.norms[1](x)))
            x = x + block.mixing.second(hidden)
        expected = (net.transformer.norm(x)[-1] @ net.items.weight[: net.n_items].T).detach().numpy()
        np.testing.assert_allclose(scores[row][known], expected[known], rtol=1e-4, atol=1e-5)


def test_later_items_matter_to_earlier_gaps(model: BERT4Rec) -> None:
    """It looks both ways, unlike the causal models."""
    mask = model.net.n_items + 1
    states = []
    for last in (7, 33):
        packed = model.packed(model.net, histories([4, mask, 9, last]))
        states.append(model.net(packed)[packed.first[0] + 1])
    assert not torch.allclose(states[0], states[1], atol=1e-4)
