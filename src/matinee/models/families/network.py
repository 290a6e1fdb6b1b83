"""The families of torch models: a model says its net and its loss; training, scoring and keeping are here."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr

from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.errors import MatineeError, MatineeWarning
from matinee.files import StrPath
from matinee.models.base import Fitted, Model, Shapes, tunable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from matinee.nn.blocks import SparseBatch
    from matinee.nn.train import Pass, Step


@dataclass(frozen=True)
class NetWeights:
    """weights: the net's parameters by name. curve: float64 (epochs, 3), nn.CURVE without its seconds."""

    weights: dict[str, NDArray[Any]]
    curve: NDArray[np.float64]

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {}  # the net itself checks its weights when it takes them


def warn_of_nothing_to_learn(model: Model, data: Dataset) -> None:
    warnings.warn(
        f"{data.name}: no user has two events, so {type(model).__name__} learns nothing and popularity answers",
        MatineeWarning,
        stacklevel=2,
    )


class Trained(Model):
    """The hyper-parameters of nn/train.py, and where a training keeps its state."""

    exemptions = {"renamed_ids": "starting weights are drawn in the order of ids"}
    epochs: int = tunable(100, "most epochs; early stopping ends before", ge=1)
    batch_size: int = tunable(500, "examples a step", ge=1)
    optimiser: Literal["adamw", "adam", "rmsprop", "nadam"] = tunable("adamw", "how steps follow gradients")
    learning_rate: float = tunable(1e-3, "step size", low=1e-4, high=1e-2, log=True, gt=0.0)
    weight_decay: float = tunable(0.0, "of AdamW; with other optimisers an L2 penalty on all weights", ge=0.0)
    schedule: Literal["constant", "cosine", "exponential"] = tunable("constant", "how the learning rate falls")
    warmup: int = tunable(0, "steps over which the learning rate rises", ge=0)
    clip: float | None = tunable(None, "largest gradient norm", gt=0.0)
    ema_decay: float = tunable(
        0.0, "share of the weights' running mean that a step keeps; 0: no mean, the weights as they are", ge=0.0, lt=1.0
    )
    patience: int = tunable(10, "epochs without a better validation before stopping", ge=1)
    stop_epoch: int | None = tunable(None, "end after so many epochs of a schedule that falls over `epochs`", ge=1)
    precision: Literal["float32", "bfloat16"] = tunable("float32", "of matrix products in training")
    device: Literal["auto", "cpu", "cuda", "mps"] = tunable(
        "auto", "what to train on; auto: the GPU where there is one"
    )

    _checkpoint: Path | None = PrivateAttr(default=None)

    def fit(
        self, data: Dataset, *, valid: Holdout | None = None, seed: int = 0, checkpoint: StrPath | None = None
    ) -> Self:
        self._checkpoint = None if checkpoint is None else Path(checkpoint)
        return super().fit(data, valid=valid, seed=seed)

    def check(self, data: Dataset) -> None:
        super().check(data)
        import_torch()
        from matinee.nn.train import chosen_device

        chosen_device(self.device)

    def for_refit(self) -> Self:
        """As for every model; but a learning rate that falls keeps its pace, and stops where it had come to."""
        best = self.best_round
        if best is None or self.schedule == "constant":
            return super().for_refit()
        return self.model_copy(update={"stop_epoch": best})

    def train(
        self,
        net: Any,
        passes: list[Pass],
        n: int,
        data: Dataset,
        *,
        seed: int,
        valid: Holdout | None,
        validate: Callable[[], float] | None,
    ) -> NDArray[np.float64]:
        """Train a net over n examples of this log; returns the curve, nn.CURVE without its seconds: equal seeds are to
        give equal bytes. valid: what `validate` measures on, and so what the best epoch depends on."""
        from matinee.nn.train import Loop, Training

        training = Training(**{field.name: getattr(self, field.name) for field in fields(Training)})
        about = {
            "model": type(self).__name__,
            "hyper_parameters": self.model_dump(mode="json", exclude={"device", "stop_epoch"}),
            "data": data.fingerprint,
            "side tables": data.side_fingerprint,
            "valid": None if valid is None else valid.fingerprint,
        }
        if validate is None and self.stop_epoch is None and "epochs" not in self.model_fields_set:
            warnings.warn(
                f"{type(self).__name__} has no valid part to stop by, so it trains all {self.epochs} epochs: set "
                "epochs (a study tells the best one), or pass valid",
                MatineeWarning,
                stacklevel=2,
            )
        loop = Loop(net, passes, n, training, seed=seed, validate=validate, checkpoint=self._checkpoint, about=about)
        return loop.run()[:, :-1]


class Network(Trained):
    """A net trained by nn/train.py, with early stopping on ndcg@10 where `valid` is given to fit."""

    learned_type: ClassVar[type[NetWeights]] = NetWeights
    measures_loss = True

    _net: Any = PrivateAttr(default=None)

    @abstractmethod
    def build(self, data: Dataset) -> nn.Module:
        """A fresh net for this log's users, items and features; weights drawn from torch's generator."""

    def rebuilt(self, fitted: Fitted) -> nn.Module:
        """The net of an earlier fit, its weights not yet in it."""
        return self.build(fitted.data)

    def finish(self, net: Any) -> None:
        """What is left to do to a trained net."""

    @abstractmethod
    def passes(self, net: Any, data: Dataset) -> tuple[list[Pass], int]:
        """The passes of an epoch, and the number of examples each walks over."""

    def learn(self, data: Dataset, valid: Holdout | None, seed: int) -> NetWeights:
        torch = import_torch()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = self.build(data)
        net.eval()
        passes, n = self.passes(net, data)
        probe = self.model_copy()
        probe._net = net
        probe._fitted = Fitted(data, data.item_counts().astype(np.float32), NetWeights({}, np.empty((0, 3))))
        validate = None if valid is None or not len(valid) else probe.validation(valid)
        curve = self.train(net, passes, n, data, seed=seed, valid=valid, validate=validate)
        self.finish(net)
        self._net = net
        return NetWeights({name: value.numpy() for name, value in net.state_dict().items()}, curve)

    def validation(self, valid: Holdout) -> Callable[[], float]:
        """What measures the net as it stands on `valid`; more is better."""
        return ndcg_on(self, valid)

    def restore(self, fitted: Fitted) -> Self:
        torch = import_torch()
        with torch.random.fork_rng(devices=[]):  # the net's first weights, soon replaced, are no draw of the caller's
            net = self.rebuilt(fitted)
        weights = {name: torch.from_numpy(np.array(value)) for name, value in fitted.learned.weights.items()}
        try:
            net.load_state_dict(weights)
        except RuntimeError as error:
            raise MatineeError(
                f"the saved weights do not fit {type(self).__name__}: {str(error).splitlines()[-1].strip()}",
                hint="fit and save the model again",
            ) from None
        self._net = net.eval()
        return super().restore(fitted)

    @property
    def net(self) -> Any:
        return self._net


class Autoencoder(Network):
    """A net from an interaction row to scores (B, n_items). A member says the net and its loss."""

    rated: ClassVar[bool] = False
    """True where rows hold ratings instead of 1s."""

    @abstractmethod
    def loss(self, net: Any, rows: SparseBatch, step: Step) -> Tensor:
        """The loss summed over the rows."""

    def passes(self, net: Any, data: Dataset) -> tuple[list[Pass], int]:
        from matinee.nn.train import Pass

        users = np.flatnonzero(data.user_counts() > 0)
        rows = self.training_rows(data)

        def loss(batch: NDArray[np.int64], step: Step) -> Tensor:
            return self.loss(net, rows(users[batch]).to(device_of(net)), step)

        return [Pass("all", loss, list(net.parameters()))], len(users)

    def training_rows(self, data: Dataset) -> Callable[[NDArray[np.int64]], SparseBatch]:
        """rows(users): their interactions, each item once."""
        X = data.matrix(values=self.rated)
        ragged = Ragged(X.indptr.astype(np.int64), X.indices.astype(np.int32))

        def rows(users: NDArray[np.int64]) -> SparseBatch:
            return rows_of(ragged.take(users), X.data[ragged.positions(users)], users)

        return rows

    def score_histories(self, queries: Queries) -> Floats:
        torch = import_torch()
        history = self.history_rows(queries).to(device_of(self.net))
        with torch.inference_mode():
            scores: Floats = self.net(history).float().cpu().numpy()
        return scores

    def history_rows(self, queries: Queries) -> SparseBatch:
        """The queries' histories, a repeated item once (with its last rating)."""
        from matinee import kernels

        history = queries.history
        last = kernels.histories.last_occurrence(history.offsets, history.values, len(self.items))
        value = (
            np.ones(len(last), np.float32)
            if queries.history_ratings is None or not self.rated
            else queries.history_ratings
        )
        return rows_of(history.keep(last), value[last], queries.user)


def device_of(net: nn.Module) -> Any:
    """Where the net's parameters are: the GPU within a training there, else the CPU."""
    return next(net.parameters()).device


def log_odds(data: Dataset) -> Tensor:
    """float32 (n_items,): log odds that a user watched each item, where a logistic loss begins."""
    torch = import_torch()
    share = (data.item_counts() + 0.5) / (np.count_nonzero(data.user_counts()) + 1.0)
    odds: Tensor = torch.from_numpy(np.log(share / np.maximum(1.0 - share, 1e-3)).astype(np.float32))
    return odds


def rows_of(items: Ragged, value: Floats, user: NDArray[np.integer[Any]]) -> SparseBatch:
    """Arrays -> tensors."""
    torch = import_torch()
    from matinee.nn.blocks import SparseBatch

    return SparseBatch(
        item=torch.from_numpy(items.values.astype(np.int64)),
        row=torch.from_numpy(items.rows),
        offsets=torch.from_numpy(items.offsets[:-1].copy()),
        value=torch.from_numpy(np.array(value, np.float32)),
        user=torch.from_numpy(user.astype(np.int64)),
        side=torch.zeros(len(items), 0),
    )


def import_torch() -> Any:
    """torch, or one line that says what to install."""
    import matinee.nn  # noqa: F401 - it says how long torch's threads wait, which torch reads when it is imported

    try:
        import torch
    except ImportError:
        raise MatineeError("this model needs PyTorch", hint="pip install 'matinee[torch]'") from None
    return torch


def ndcg_on(model: Model, valid: Holdout) -> Callable[[], float]:
    """What to call for the model's ndcg@10 on valid as it stands; NaN where no query has an answer."""
    from matinee.evaluate.metrics import ranking
    from matinee.rank import recommend

    def validate() -> float:
        found = ranking(recommend(model, valid.queries, 10).item, valid.truth, k=[10], metrics=["ndcg"])
        asked = ~np.isnan(found["ndcg", 10])
        return float(found["ndcg", 10][asked].mean()) if asked.any() else float("nan")

    return validate
