"""Static targets: what is hidden, what is asked, and the loss, against one history and one answer at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from contract.logs import groups, last_hidden
from matinee.data.arrays import Ragged
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.models.families.sequence import Histories, Sequence
from matinee.nn import static
from matinee.nn.sequences import pack
from matinee.nn.train import Step

STEP = Step(0, 0, 17)
ROWS = [[4, 9, 4, 7, 1, 30, 2], [5, 6], [8, 8, 8, 3], list(range(10, 29))]
SMALL: dict[str, Any] = {"target": "static", "dim": 8, "max_len": 6, "epochs": 2, "batch_size": 16, "target_share": 0.4}
NAMES = ("sasrec", "bert4rec", "cl4srec", "gru4rec")


def batch(*, weighted: bool = False) -> Histories:
    item = Ragged.from_lists(ROWS)
    weights = np.linspace(0.2, 3.0, len(item.values)).astype(np.float32) if weighted else None
    return Histories(item, np.arange(len(item.values), dtype=np.int64) * 3_600, weights=weights)


def fitted(name: str, **hyper: Any) -> Sequence:
    model = registry.create(name, {**SMALL, "dropout": 0.0, **hyper})
    assert isinstance(model, Sequence)
    model.fit(groups(), seed=3)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.net.parameters():
            parameter.normal_(std=0.5)
    return model


def slow_hidden(rows: list[list[int]], share: float, rng: np.random.Generator) -> list[list[bool]]:
    """Event by event: those whose number is below the share; never all of a history, never none."""
    found = []
    key = rng.random(sum(map(len, rows))).tolist()
    for row in rows:
        mine, key = key[: len(row)], key[len(row) :]
        out = [number < share for number in mine]
        if not any(out):
            out[mine.index(min(mine))] = True
        if all(out):
            out[mine.index(max(mine))] = False
        found.append(out)
    return found


@pytest.mark.parametrize("share", [0.05, 0.4, 0.95])
def test_hides_a_random_share_of_each_history_and_leaves_some(share: float) -> None:
    item = Ragged.from_lists(ROWS)
    for seed in range(30):
        found = static.hidden(item, share, np.random.default_rng(seed))
        wanted = slow_hidden(ROWS, share, np.random.default_rng(seed))
        assert found.tolist() == [out for row in wanted for out in row]
    many = Ragged.from_lists([list(range(60))] * 300)
    drawn = static.hidden(many, 0.3, np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / len(drawn)))
    by_place = drawn.reshape(300, 60).mean(axis=0)
    assert by_place[:20].mean() == pytest.approx(by_place[-20:].mean(), abs=0.05), "anywhere, and not the latest"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("loss", ["cross_entropy", "bpr"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_each_historys_mean_over_what_was_hidden(name: str, loss: str, weighted: bool) -> None:
    """The net is called by hand on what is left of one history, and every hidden item asked for alone."""
    model = fitted(name, loss=loss, contrast=0.0) if name == "cl4srec" else fitted(name, loss=loss)
    net, n = model.net, model.net.n_items
    negatives = torch.tensor([3, 40, 11])
    drawn: Any = None if loss == "cross_entropy" else torch_negatives(negatives)
    one = batch(weighted=weighted)
    with torch.no_grad():
        found = float(model.batch_loss(net, one, lambda examples, step: drawn, STEP))
    hidden = slow_hidden(ROWS, 0.4, np.random.default_rng([STEP.seed, 2]))
    weights = iter((np.ones(sum(map(len, ROWS))) if one.weights is None else one.weights).tolist())
    total = 0.0
    vectors = net.vectors.detach().numpy().astype(np.float64)
    for row, out in zip(ROWS, hidden, strict=True):
        left = [item for item, gone in zip(row, out, strict=True) if not gone][-model.max_len :]
        asked = [*left, n + 1] if name == "bert4rec" else left
        with torch.no_grad():
            packed = pack(Ragged.from_lists([asked]), n)
            state = net(packed)[packed.last[0]].numpy().astype(np.float64)
        scores = vectors @ state
        each = []
        for item, gone in zip(row, out, strict=True):
            weight = next(weights)
            if gone and loss == "cross_entropy":
                each.append(weight * (np.log(np.exp(scores).sum()) - scores[item]))
            elif gone:
                others = [other for other in negatives.tolist() if other != item]
                each.append(weight * np.mean([np.log1p(np.exp(scores[o] - scores[item])) for o in others]))
        total += sum(each) / len(each)
    assert found == pytest.approx(total, rel=1e-4)
    assert model.terms(one.item.lengths) == len(ROWS), "so a step follows the mean over histories"


def torch_negatives(item: torch.Tensor) -> Any:
    from matinee.nn.losses import Negatives

    return Negatives(item)


def test_several_answers_of_a_state_have_the_gradients_of_repeated_states() -> None:
    rng = np.random.default_rng(4)
    of_each = torch.tensor([3, 1, 5])
    target = torch.from_numpy(rng.integers(0, 12, 9))
    weight = torch.from_numpy(rng.uniform(0.1, 2.0, 9))
    states = torch.from_numpy(rng.normal(size=(3, 4))).requires_grad_()
    vectors = torch.from_numpy(rng.normal(size=(12, 4))).requires_grad_()
    found = static.cross_entropy(states, vectors, target, of_each, weight)
    logits = states.repeat_interleave(of_each, dim=0) @ vectors.T
    wanted = (torch.nn.functional.cross_entropy(logits, target, reduction="none") * weight).sum()
    torch.testing.assert_close(found, wanted)
    for one, other in zip(
        torch.autograd.grad(found, [states, vectors]), torch.autograd.grad(wanted, [states, vectors]), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("every", [False, True])
def test_pieces_are_longer_by_what_is_hidden_and_states_see_at_most_max_len(every: bool) -> None:
    """So that the last places, which a long history is asked at, are learned too."""
    model = registry.create("sasrec", {**SMALL, "max_len": 5, "windows": "all" if every else "last"})
    assert isinstance(model, Sequence)
    data = groups()
    pieces = model.pieces(data)
    assert pieces.item.lengths.max() == 8, "5 / (1 - .4)"
    net: Any = model.build(data)
    examples = model.static_batch(net, pieces, STEP)
    assert examples.packed.length.max() == 5
    assert len(examples.slot) == len(pieces)
    assert (examples.slot == examples.packed.last).all()
    assert examples.of_each.min() >= 1
    assert int(examples.of_each.sum()) == len(examples.target)


def test_a_mask_asks_only_at_the_end() -> None:
    with pytest.raises((MatineeError, ValidationError), match="ask must be"):
        registry.create("bert4rec", {"target": "static", "ask": "anywhere"})


@pytest.mark.parametrize("name", NAMES)
def test_finds_what_is_hidden_anywhere(name: str) -> None:
    """Learned from groups of taste: better than popularity at random items of each user, and the loss falls."""
    train, valid = last_hidden(groups())
    hyper = {"target": "static", "dim": 16, "epochs": 25, "batch_size": 20, "learning_rate": 0.01, "dropout": 0.0}
    model = registry.create(name, hyper).fit(train, seed=1)
    popular = registry.create("popularity", {}).fit(train)
    curve = [row["train_loss"] or 0.0 for row in model.curve]
    assert curve[-1] < curve[0] - 0.3
    hits = []
    for one in (model, popular):
        scores = np.where(np.isfinite(scores := one.score(valid.queries)), scores, -np.inf)
        scores[valid.queries.exclude.rows, valid.queries.exclude.values] = -np.inf
        best = np.argsort(-scores, axis=1)[:, :10]
        hits.append(np.mean([len(set(valid.truth[b]) & set(best[b])) for b in range(len(valid))]))
    assert hits[0] > 1.3 * hits[1]
