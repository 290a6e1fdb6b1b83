"""The families of torch models: a model says its net and its loss; training, scoring and keeping are here."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from matinee import nn
from matinee.data.dataset import Dataset
from matinee.errors import MatineeError, MatineeWarning
from matinee.models.base import Fitted, Learned, Model, Shapes
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, TRAINED, LogSize
from matinee.nn.backend import import_torch as import_torch

if TYPE_CHECKING:
    from torch.nn import Module

    from matinee.nn.train import Pass

NO_CURVE = np.empty((0, 3))


@dataclass(frozen=True)
class NetWeights:
    """weights: the net's parameters by name. curve: float64 (epochs, 3), see nn.rounds.CURVE. net: the net itself."""

    weights: dict[str, NDArray[Any]]
    curve: NDArray[np.float64]
    net: Any = field(default=None, kw_only=True, repr=False, compare=False, metadata={"saved": False})

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {}  # the net itself checks its weights when it takes them


def warn_of_nothing_to_learn(model: Model, data: Dataset) -> None:
    """No user has two events: say that popularity will answer."""
    warnings.warn(
        f"{data.name}: no user has two events, so {type(model).__name__} learns nothing and popularity answers",
        MatineeWarning,
        stacklevel=2,
    )


def has_loss(curve: NDArray[np.float64]) -> bool:
    """False where rounds were counted, float64 (rounds, 3), and none of them found an example: no loss is known."""
    return not len(curve) or not bool(np.isnan(curve[:, 1]).all())


class Trained(Model):
    """A model with the hyper-parameters of nn/train.py."""

    exemptions = {"renamed_ids": "starting weights are drawn in the order of ids"}
    epochs: int = tunable(100, "maximum number of epochs; early stopping may end before", ge=1)
    batch_size: int = tunable(500, "examples in a step", ge=1)
    optimiser: Literal["adamw", "adam", "rmsprop", "nadam"] = tunable("adamw", "optimiser")
    learning_rate: float = tunable(1e-3, "step size", low=1e-4, high=1e-2, log=True, gt=0.0)
    weight_decay: float = tunable(
        0.0, "decoupled decay of AdamW; with other optimisers an L2 penalty on all weights", ge=0.0
    )
    schedule: Literal["constant", "cosine", "exponential"] = tunable("constant", "learning-rate schedule")
    warmup: int = tunable(0, "warm-up steps of the learning rate", ge=0)
    clip: float | None = tunable(None, "largest gradient norm", gt=0.0)
    ema_decay: float = tunable(0.0, "exponential moving average of the weights; 0 disables it", ge=0.0, lt=1.0)
    patience: int = tunable(10, "early stopping: epochs without a better validation", ge=1)
    stop_epoch: int | None = tunable(None, "stop at this epoch but keep the learning-rate schedule of `epochs`", ge=1)
    precision: Literal["float32", "bfloat16", "auto"] = tunable(
        "float32", "precision of matrix products in training; auto: bfloat16 where this machine is fast in it"
    )

    def check(self, data: Dataset) -> None:
        super().check(data)
        import_torch()

    def keeps_schedule(self) -> bool:
        return self.schedule != "constant"

    @property
    def learned_anything(self) -> bool:
        return has_loss(self.fitted.learned.curve)

    def train(
        self,
        net: Module,
        passes: list[Pass],
        n: int,
        data: Dataset,
        context: FitContext,
        validate: Callable[[], float] | None,
    ) -> NDArray[np.float64]:
        """Train a net over n examples of this log. Returns the curve, float64 (epochs, 3): equal seeds give equal
        bytes. validate: measures the net as it stands on the context's valid."""
        given = {entry.name: getattr(self, entry.name) for entry in fields(nn.train.Training)}
        if self.precision == "auto":
            given["precision"] = nn.train.fastest_precision(context.device)
        training = nn.train.Training(**given)
        about = {
            "model": type(self).__name__,
            "hyper_parameters": self.model_dump(mode="json", exclude={"stop_epoch"}),
            "data": data.fingerprint,
            "side tables": data.side_fingerprint,
            "valid": None if context.valid is None else context.valid.fingerprint,
        }
        if validate is None and self.stop_epoch is None and "epochs" not in self.model_fields_set:
            warnings.warn(
                f"{type(self).__name__} has no valid part to stop by, so it trains all {self.epochs} epochs: set "
                "epochs (a study tells the best one), or pass valid",
                MatineeWarning,
                stacklevel=2,
            )
        loop = nn.train.Loop(
            net, passes, n, training, seed=context.seed, validate=validate, checkpoint=context.checkpoint, about=about,
            hooks=context.hooks, device=context.device,
        )  # fmt: skip
        context.bar.total = loop.rounds.total
        return loop.run()[:, :-1]


class Network(Trained):
    """A net trained by nn/train.py, with early stopping where `valid` is given to fit."""

    learned_type: ClassVar[type[Learned]] = NetWeights

    @abstractmethod
    def build(self, data: Dataset) -> Module:
        """A fresh net for this log's users, items and features; weights drawn from torch's generator."""

    @abstractmethod
    def passes(self, net: Any, data: Dataset) -> tuple[list[Pass], int]:
        """The passes of an epoch, and the number of examples each walks over."""

    @abstractmethod
    def n_weights(self, size: LogSize) -> float:
        """How many numbers the net has, those that grow with the log and those that grow with its widths."""

    def step_bytes(self, size: LogSize) -> float:
        """What one step of training holds beside the weights, their gradient and the optimiser's moments."""
        return 0.0

    def learned_bytes(self, size: LogSize) -> float:
        return FLOAT * self.n_weights(size) + 24 * self.epochs

    def fit_bytes(self, size: LogSize) -> float:
        return 20 * size.events + TRAINED * self.n_weights(size) + self.step_bytes(size)

    def rebuilt(self, fitted: Fitted) -> Module:
        """The net of an earlier fit, its weights not yet in it."""
        return self.build(fitted.data)

    def finish(self, net: Any) -> None:
        """What is left to do to a trained net. It is done before each measurement too, so what it writes must be what
        training does not learn."""

    def learned_from(
        self, net: Any, data: Dataset, weights: dict[str, NDArray[Any]], curve: NDArray[np.float64]
    ) -> NetWeights:
        """The learned state around a net; in the middle of a fit it has no weights but the net's own."""
        return NetWeights(weights, curve, net=net)

    def validation(self, standing: Self, context: FitContext) -> Callable[[], float] | None:
        """What measures the net as it stands; more is better."""
        return context.measuring(standing)

    def learn(self, data: Dataset, context: FitContext) -> NetWeights:
        torch = import_torch()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            net = self.build(data)
        net.eval()
        passes, n = self.passes(net, data)
        standing = self.standing(data, self.learned_from(net, data, {}, NO_CURVE))
        validate = finished(self.validation(standing, context), lambda: self.finish(net))
        curve = self.train(net, passes, n, data, context, validate)
        self.finish(net)
        return self.learned_from(net, data, {name: value.numpy() for name, value in net.state_dict().items()}, curve)

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
        return super().restore(replace(fitted, learned=replace(fitted.learned, net=net.eval())))

    @property
    def net(self) -> Any:
        return self.fitted.learned.net


def finished(measure: Callable[[], float] | None, finish: Callable[[], None]) -> Callable[[], float] | None:
    """What measures a net as it would be kept: finished first."""
    if measure is None:
        return None

    def validate() -> float:
        finish()
        return measure()

    return validate


def device_of(net: Module) -> Any:
    """Where the net's parameters are: the GPU within a training there, else the CPU."""
    return next(net.parameters()).device
