"""The training loop, the only one.

The order of examples, dropout and everything a model draws are pure functions of (seed, epoch, pass, step, rank), so a
run that was killed and resumed ends in the same bytes as one that was not. Under torchrun each process takes every
world-th example of a batch and gradients are summed: the same global batches, whatever the number of processes.
What a net or a pass remembers from one epoch to the next must lie in the net's state: checkpoints hold nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from matinee.errors import MatineeError
from matinee.nn import checkpoint as checkpoints
from matinee.nn.processes import rank, sum_gradients, summed
from matinee.nn.rounds import CURVE, OnRound, Rounds

RowIds = NDArray[np.int64]
Optimiser = Literal["adam", "adamw", "rmsprop", "nadam"]


@dataclass(frozen=True)
class Step:
    """Where training is. seed: for whatever the loss draws with numpy; torch's generator is seeded already.

    number counts the optimiser's steps of this pass's kind over all epochs, from 0 (annealing goes by it).
    """

    epoch: int
    number: int
    seed: int


@dataclass(frozen=True)
class Pass:
    """One walk over all examples within an epoch.

    loss(rows, step): the loss summed over these examples (0-dim). parameters: what the optimiser moves; passes of one
    `name` share it, and its parameters. before: called at the pass's start, on every rank alike. terms(rows): of how
    many terms these examples' loss is the sum (histories have one for each item): steps follow the mean over a batch.
    """

    name: str
    loss: Callable[[RowIds, Step], Tensor]
    parameters: Sequence[nn.Parameter]
    before: Callable[[], None] | None = None
    terms: Callable[[RowIds], float] = len


@dataclass(frozen=True)
class Training:
    """How to train. patience: epochs without a better validation before stopping. stop_epoch: stop after this epoch but
    keep the learning-rate schedule of `epochs`. clip: largest gradient norm.

    weight_decay: decoupled with "adamw"; with the others, weight_decay / 2 times the squared norm of all weights is
    added to the loss. ema_decay: decay of an exponential moving average of the weights, smaller in the first steps; the
    net is validated, and ends, with the average (Polyak & Juditsky, 1992). 0: no average.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimiser: Optimiser = "adamw"
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "exponential"] = "constant"
    warmup: int = 0
    clip: float | None = None
    ema_decay: float = 0.0
    patience: int = 10
    stop_epoch: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"


class Loop:
    """A net under training. `rounds` holds the curve, a row for each epoch; `net` ends with its best weights.

    checkpoint: a file that is replaced after every epoch; a training goes on from it where it exists. about: what such
    a file must agree with beside the training and the net's shapes, as JSON values (hyper-parameters, the data's
    fingerprint). hooks: called after each epoch, on rank 0. device: "auto" is the GPU where there is one.
    """

    def __init__(
        self,
        net: nn.Module,
        passes: Sequence[Pass],
        n_examples: int,
        training: Training,
        *,
        seed: int,
        validate: Callable[[], float] | None = None,
        checkpoint: Path | None = None,
        about: Mapping[str, Any] | None = None,
        hooks: Sequence[OnRound] = (),
        device: str = "auto",
    ) -> None:
        self.net, self.passes, self.n, self.training, self.seed = net, passes, n_examples, training, seed
        self.device = chosen_device(device)
        net.to(self.device)
        self.validate, self.checkpoint, self.about = validate, checkpoint, dict(about or {})
        self.optimisers = {p.name: optimiser_of(training, p.parameters) for p in passes}
        self.steps = dict.fromkeys(self.optimisers, 0)
        self.best: dict[str, Tensor] = {}
        averaged = net.named_parameters() if training.ema_decay else ()
        self.mean = {name: weight.detach().clone() for name, weight in averaged}
        self.rank, self.world = rank()
        epochs = min(training.epochs, training.stop_epoch or training.epochs)
        self.rounds = Rounds(epochs, patience=training.patience, hooks=() if self.rank else hooks)
        if self.world > 1 and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules()):
            raise MatineeError(
                "batch normalisation sees only its own process's share of a batch", hint="train in one process"
            )

    def run(self) -> NDArray[np.float64]:
        """Train to the end or until validation stops improving. Returns the curve, float64 (epochs, len(CURVE)).

        The net trains on the device and ends on the CPU.

        Raises MatineeError when the loss or a weight is no longer a number (the last good checkpoint stays), and when
        `checkpoint` is anything but a checkpoint of this training.
        """
        with torch.random.fork_rng():
            self._resume()
            for epoch in self.rounds:
                self.net.train()
                loss = self._epoch(epoch)
                self.net.eval()
                self._swap()
                if self.rounds.add(loss, None if self.validate is None else self._validated):
                    self.best = {name: value.detach().clone() for name, value in self.net.state_dict().items()}
                self._swap()
                if self.checkpoint is not None and self.rank == 0:
                    self._save(self.checkpoint)
                # no process goes on before the checkpoint is there; all stop where rank 0 was told to
                self.rounds.stopped = bool(summed(torch.tensor(float(self.rounds.stopped)), self.world))
        self.net.load_state_dict(self.best)
        self.net.cpu().eval()
        return np.array(self.rounds.rows, np.float64).reshape(-1, len(CURVE))

    def _epoch(self, epoch: int) -> float:
        """All passes once; the mean loss of a term of the last pass, NaN where there is no example."""
        total = terms = 0.0
        for index, each in enumerate(self.passes):
            if each.before is not None:
                torch.manual_seed(_mixed(self.seed, epoch, index, self.n))
                each.before()
            order = np.random.default_rng([self.seed, epoch, index]).permutation(self.n)
            total = terms = 0.0
            for start in range(0, self.n, self.training.batch_size):
                batch = order[start : start + self.training.batch_size]
                total += self._step(each, batch, epoch, index, start)
                terms += each.terms(batch)
            if not all(bool(parameter.isfinite().all()) for parameter in each.parameters):
                self._diverged("a weight is no longer a number", each, epoch, start)
        return total / max(terms, 1.0) if self.n else math.nan

    def _step(self, each: Pass, batch: RowIds, epoch: int, index: int, start: int) -> float:
        seed = _mixed(self.seed, epoch, index, start, self.rank)
        torch.manual_seed(seed)
        optimiser = self.optimisers[each.name]
        for group in optimiser.param_groups:
            group["lr"] = self._rate(each)
        optimiser.zero_grad(set_to_none=True)
        step = Step(epoch, self.steps[each.name], seed)
        mine, loss = batch[self.rank :: self.world], torch.zeros(())
        if len(mine):  # fewer examples than processes: the last ones have none
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.training.precision == "bfloat16"):
                loss = each.loss(mine, step)
        value = float(summed(loss.detach().to(torch.float64, copy=True), self.world).item())
        if not math.isfinite(value):
            self._diverged(f"the loss became {value}", each, epoch, start)
        if len(mine):
            torch.autograd.backward(loss / max(each.terms(batch), 1.0), inputs=list(each.parameters))
        if self.world > 1:
            sum_gradients(each.parameters, self.world)
        if self.training.clip is not None:
            nn.utils.clip_grad_norm_(each.parameters, self.training.clip)
        optimiser.step()
        self.steps[each.name] += 1
        if self.mean:
            self._average()
        return value

    def _average(self) -> None:
        steps = sum(self.steps.values())
        kept = min(self.training.ema_decay, (1 + steps) / (10 + steps))
        with torch.no_grad():
            for name, weight in self.net.named_parameters():
                self.mean[name].lerp_(weight, 1 - kept)

    def _swap(self) -> None:
        """Put the mean of the weights in their place, or, the second time, the weights in that of their mean."""
        weights = dict(self.net.named_parameters())
        for name, mean in self.mean.items():
            self.mean[name], weights[name].data = weights[name].data, mean

    def _diverged(self, what: str, each: Pass, epoch: int, start: int) -> NoReturn:
        kept = (
            ""
            if self.checkpoint is None or not len(self.rounds)
            else f"; the last good epoch is kept in {self.checkpoint}"
        )
        raise MatineeError(
            f"{what} in epoch {epoch}, batch {start // self.training.batch_size}, "
            f"at learning rate {self._rate(each):g}",
            hint=f"lower learning_rate, or clip gradients{kept}",
        )

    def _rate(self, each: Pass) -> float:
        """Learning rate now: linear warm-up, then constant, half a cosine to 0, or down to a tenth by powers."""
        training, step = self.training, self.steps[each.name]
        passes = sum(p.name == each.name for p in self.passes)
        last = training.epochs * passes * math.ceil(self.n / training.batch_size)
        if step < training.warmup:
            return training.learning_rate * (step + 1) / training.warmup
        done = (step - training.warmup) / max(1, last - training.warmup)
        factor = {"constant": 1.0, "cosine": 0.5 * (1 + math.cos(math.pi * done)), "exponential": math.pow(0.1, done)}
        return training.learning_rate * factor[training.schedule]

    def _validated(self) -> float:
        assert self.validate is not None
        metric = torch.tensor(self.validate() if self.rank == 0 else 0.0, dtype=torch.float64)
        return float(summed(metric, self.world).item())

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def _save(self, path: Path) -> None:
        tensors = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"mean.{name}": value for name, value in self.mean.items()}
        for kind, optimiser in self.optimisers.items():
            for number, state in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser.{kind}.{number}.{part}": value for part, value in state.items()}
        checkpoints.write(path, tensors, {"plan": self._plan(), "curve": self.rounds.rows, "steps": self.steps})

    def _resume(self) -> None:
        """Take up the checkpoint where there is one."""
        found = None if self.checkpoint is None else checkpoints.read(self.checkpoint, self._plan())
        if found is not None:
            tensors, about = found
            self.rounds.rows, self.steps = about["curve"], about["steps"]
            self.net.load_state_dict(_below(tensors, "net."))
            self.best = _below(tensors, "best.")
            self.mean = {name: value.to(self.device) for name, value in _below(tensors, "mean.").items()}
            for kind, optimiser in self.optimisers.items():
                state: dict[int, dict[str, Tensor]] = {}
                for name, value in _below(tensors, f"optimiser.{kind}.").items():
                    number, _, part = name.partition(".")
                    state.setdefault(int(number), {})[part] = value
                optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        epochs = torch.tensor([len(self.rounds)])
        if int(summed(epochs, self.world)) != self.world * len(self.rounds):
            raise MatineeError(
                "the processes do not find the same checkpoint",
                where=str(self.checkpoint),
                hint="put it where all can read it",
            )

    def _plan(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be gone on from."""
        shapes = {name: list(value.shape) for name, value in self.net.state_dict().items()}
        words = {
            "seed": self.seed,
            "examples": self.n,
            "processes": self.world,
            "passes": [p.name for p in self.passes],
        }
        return {**self.about, **words, **vars(self.training), "shapes": shapes}


def optimiser_of(training: Training, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """By name, with PyTorch's constants: AdamW (Loshchilov & Hutter, ICLR 2019), Adam (Kingma & Ba, ICLR 2015),
    RMSprop (Hinton's lecture 6e, 2012; a = .99), NAdam (Dozat, 2016)."""
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimiser == "adamw":
        return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)
    if training.optimiser == "adam":
        return torch.optim.Adam(parameters, rate, weight_decay=decay, fused=True)
    if training.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, rate, weight_decay=decay)
    return torch.optim.NAdam(parameters, rate, weight_decay=decay)


def chosen_device(name: str) -> torch.device:
    """The device of this name. Raises MatineeError where the machine has none."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    if not there.get(name):
        raise MatineeError(f"this machine offers PyTorch no device {name!r}", hint='use device = "auto" or "cpu"')
    return torch.device(name)


def fold_in(vector: Tensor, loss: Callable[[Tensor], Tensor], *, steps: int, learning_rate: float) -> Tensor:
    """A few Adam steps on user vectors (B, ...) alone, from `vector`, down loss(vectors): new users of trained nets."""
    vector = vector.detach().clone().requires_grad_(True)
    optimiser = torch.optim.Adam([vector], learning_rate)
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(loss(vector), vector)
        vector.grad = gradient
        optimiser.step()
    return vector.detach()


def _mixed(*numbers: int) -> int:
    """A seed for torch, 63 bits."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def trainable(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """The modules' parameters, each once."""
    return list(dict.fromkeys(parameter for module in modules for parameter in module.parameters()))


def fastest_precision(device: str) -> Literal["float32", "bfloat16"]:
    """bfloat16 where products in it are faster than in float32, by a processor's matrix units some four times. One
    without AMX's or AVX-512's instructions for it takes ten times as long."""
    kind = chosen_device(device).type
    if kind == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    of_processor: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)() if kind == "cpu" else {}
    return "bfloat16" if of_processor.get("amx_bf16") or of_processor.get("avx512_bf16") else "float32"
