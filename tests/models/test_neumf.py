"""NeuMF's pre-training: what GMF and MLP learn apart is what NeuMF goes on with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from contract.logs import groups, last_hidden
from matinee.data.dataset import Dataset, Pairs
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.models.families.pointwise import Pointwise
from matinee.models.gmf import GMF
from matinee.models.mlp import MLP
from matinee.models.neumf import NeuMF
from matinee.nn.fields import FieldVectors
from matinee.nn.pretraining import TwoParts
from matinee.nn.train import Loop
from oracle import interaction_checks as slow

DIM, APART = 6, 3
HYPER: dict[str, Any] = {"dim": DIM, "batch_size": 100, "learning_rate": 0.02, "init_std": 0.1}
LAYERS: dict[str, Any] = {"layers": (7, 5), "dropout": 0.2}
GMF_PLACES, MLP_PLACES = [*range(DIM), 2 * DIM], [*range(DIM, 2 * DIM), 2 * DIM + 1]
LOG = groups()


def pretrained(**hyper: Any) -> NeuMF:
    return NeuMF(**{**HYPER, **LAYERS, "pretrain": APART, "epochs": APART + 2, **hyper})


def first_net(model: Pointwise, seed: int) -> Any:
    torch.manual_seed(seed)
    return model.build(LOG)


def put_part(whole: dict[str, Any], part: Any, places: list[int], bias: int) -> None:
    """The weights of one part of NeuMF's, in a net that has only that one."""
    with torch.no_grad():
        part.vectors.table.weight.copy_(whole["vectors.table.weight"][:, places])
        part.bias.copy_(whole["bias"][bias : bias + 1])
        for name, value in part.state_dict().items():
            if name not in ("vectors.table.weight", "bias") and len(value):
                value.copy_(whole[name])


class BegunGMF(GMF):
    def build(self, data: Dataset) -> Any:
        net = super().build(data)
        put_part(first_net(pretrained(), 3).state_dict(), net, GMF_PLACES, 0)
        return net


class BegunMLP(MLP):
    def build(self, data: Dataset) -> Any:
        net = super().build(data)
        put_part(first_net(pretrained(), 3).state_dict(), net, MLP_PLACES, 1)
        return net


def states(model: NeuMF, monkeypatch: pytest.MonkeyPatch, **fit: Any) -> list[tuple[dict[str, Any], NDArray[Any]]]:
    """After each epoch of a fit the net's weights, and its logits of the log's first events; starting with none."""
    walk, found = Loop._epoch, []

    def told(self: Loop, number: int) -> float:
        loss = walk(self, number)
        self.net.eval()
        weights = {name: value.detach().clone() for name, value in self.net.state_dict().items()}
        found.append((weights, logits(self.net)))
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_epoch", told)
        model.fit(LOG, seed=3, **fit)
    return found


def logits(net: Any) -> NDArray[Any]:
    asked = net.tables.encode_requests(LOG.user[:50])
    with torch.no_grad():
        item = net.vectors(net.tables.items.take(LOG.item[:50]))[:, None]
        found: NDArray[Any] = net.logits(net.vectors(asked.part), item)[:, 0].numpy()
    return found


def test_the_parts_learn_apart_what_gmf_and_mlp_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same start, on the same negatives: each weight, and the logit that NeuMF goes on from."""
    share = 0.3
    after = states(pretrained(gmf_share=share), monkeypatch)
    whole, joint = after[APART - 1]
    gmf = BegunGMF(**HYPER, epochs=APART).fit(LOG, seed=3)
    mlp = BegunMLP(**HYPER, **LAYERS, epochs=APART).fit(LOG, seed=3)
    for part, places, bias in ((gmf, GMF_PLACES, 0), (mlp, MLP_PLACES, 1)):
        learned = part.fitted.learned.weights
        trained = learned["vectors.table.weight"]
        codes = np.flatnonzero(part.net.tables.occurring)  # the others have become a mean
        np.testing.assert_allclose(
            whole["vectors.table.weight"][:, places][codes], trained[codes], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(whole["bias"][bias], learned["bias"][0], rtol=1e-4, atol=1e-6)
        for name in set(learned) - {"vectors.table.weight", "bias"}:
            if learned[name].size:
                np.testing.assert_allclose(whole[name], learned[name], rtol=1e-4, atol=1e-5, err_msg=name)
    wanted = share * logits(gmf.net) + (1 - share) * logits(mlp.net)
    assert np.abs(logits(gmf.net) - logits(mlp.net)).mean() > 0.1
    np.testing.assert_allclose(joint, wanted, rtol=1e-4, atol=1e-4)


def test_together_they_go_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step together moves the weights little, and down the loss of the one logit."""
    model = pretrained()
    after = states(model, monkeypatch)
    (apart, _), (together, _) = after[APART - 1 : APART + 1]
    for name, value in together.items():
        if value.numel():
            moved = float((value - apart[name]).abs().max())
            assert 0.0 < moved < 0.2, name
    losses = np.array([epoch["train_loss"] for epoch in model.curve], float)
    assert losses[0] == pytest.approx(np.log(2.0), rel=0.1), "the mean of both parts' losses"
    assert losses[-1] < losses[APART - 1]


def test_the_logit_of_both_parts() -> None:
    torch.manual_seed(1)
    net = TwoParts(FieldVectors(20, 2 * DIM + 2, std=0.5), DIM, (7, 5), 0.2, 0.3).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    w = {name: value.numpy() for name, value in net.state_dict().items()}
    request, item = torch.randn(3, 2, 2 * DIM + 2).double(), torch.randn(3, 4, 3, 2 * DIM + 2).double()
    wanted = np.empty((2, 3, 4))
    for b, c in np.ndindex(3, 4):
        left, right = request[b].numpy(), item[b, c].numpy()
        places = GMF_PLACES
        wanted[0, b, c] = slow.gmf({**w, "bias": w["bias"][:1]}, list(left[:, places]), list(right[:, places]))
        places, alone = MLP_PLACES, {**w, "h": w["h"][:0], "bias": w["bias"][1:]}
        wanted[1, b, c] = slow.mlp(alone, list(left[:, places]), list(right[:, places]))
    np.testing.assert_allclose(net.logits(request, item).detach(), 0.3 * wanted[0] + 0.7 * wanted[1], rtol=1e-6)
    for part, alone_logits in zip(("gmf", "mlp"), wanted, strict=True):
        net.alone = part  # type: ignore[assignment]
        np.testing.assert_allclose(net.logits(request, item).detach(), alone_logits, rtol=1e-6)
        slopes = torch.autograd.grad(net.logits(request, item).sum(), list(net.parameters()), allow_unused=True)
        others = {"gmf": {"last.weight", "last.bias"}, "mlp": {"h"}}[part]
        named = zip(net.named_parameters(), slopes, strict=True)
        still = {name for (name, _), slope in named if slope is None or not slope.any()}
        assert others <= still, "the other part has no slope"


def test_it_is_validated_once_the_parts_are_together() -> None:
    """A part alone is not the model: its epochs neither stop it nor are kept as the best."""
    train, valid = last_hidden(LOG)
    model = pretrained(epochs=12, patience=1, learning_rate=0.05).fit(train, valid=valid, seed=3)
    metrics = [epoch["valid_metric"] for epoch in model.curve]
    assert metrics[:APART] == [None] * APART
    assert None not in metrics[APART:]
    assert len(metrics) > APART
    again = model.for_refit()
    assert APART < again.epochs <= len(metrics)
    assert again.pretrain == APART


def test_without_pretraining_it_is_one_net_and_one_bias() -> None:
    plain = first_net(pretrained(pretrain=0), 3)
    assert plain.vectors.table.weight.shape[1] == 2 * DIM + 1
    assert plain.bias.shape == (1,)
    one, other = (pretrained(pretrain=0, gmf_share=share).fit(LOG, seed=3) for share in (0.1, 0.9))
    assert one.score(LOG.queries()).tobytes() == other.score(LOG.queries()).tobytes()


def test_predictions_are_probabilities_of_the_joint_logit() -> None:
    model = pretrained().fit(LOG, seed=3)
    pairs = Pairs(LOG.user[:50], LOG.item[:50], np.zeros(50, np.int32))
    np.testing.assert_allclose(model.predict(pairs), 1.0 / (1.0 + np.exp(-logits(model.net))), rtol=1e-5)


@pytest.mark.parametrize("pretrain", [5, 9])
def test_no_epoch_left_is_refused(pretrain: int) -> None:
    with pytest.raises(MatineeError, match=f"pretrain = {pretrain} leaves none of 5 epochs"):
        registry.create("neumf", {"pretrain": pretrain, "epochs": 5})
