"""The training loop: same seed same bytes, also when interrupted; rates, clipping and stopping against formulas."""

from __future__ import annotations

import functools
import io
import math
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from matinee.errors import MatineeError
from matinee.nn import checkpoint as checkpoints
from matinee.nn.rounds import CURVE
from matinee.nn.train import Loop, Pass, RowIds, Step, Training, fold_in, trainable
from matinee.progress import RoundsBar
from nn.toy import INPUTS, PLAN, POSITIVE, N, Toy, alternating, loop, loss_of, together, weights, without_seconds
from nn.toy import loop as toy_loop


class Stop(Exception):  # noqa: N818 - a power cut, not an error
    pass


def interrupted(running: Loop, epoch: int) -> None:
    """Run until validation in this epoch, which never ends."""
    inner = running.validate
    assert inner is not None

    def validate() -> float:
        if len(running.rounds) == epoch:
            raise Stop
        return inner()

    running.validate = validate
    with pytest.raises(Stop):
        running.run()


def scripted(metrics: list[float], *, patience: int = 100) -> tuple[list[list[float]], Toy, list[dict[str, bytes]]]:
    """A training whose validations answer these numbers: its curve, its net, and the weights at each validation."""
    net = Toy()
    seen: list[dict[str, bytes]] = []

    def validate() -> float:
        seen.append(weights(net))
        return metrics[len(seen) - 1]

    training = replace(PLAN, epochs=len(metrics), patience=patience)
    curve = Loop(net, together(net), N, training, seed=0, validate=validate).run()
    return curve.tolist(), net, seen


class TestSameBytes:
    @pytest.mark.parametrize("passes", [together, alternating])
    def test_same_seed_same_bytes(self, passes: Callable[[Toy], list[Pass]], tmp_path: Path) -> None:
        one, net = loop(passes=passes)
        other, same = loop(passes=passes, checkpoint=tmp_path / "c")
        torch.rand(17)  # what the world drew before is of no consequence
        np.testing.assert_array_equal(one.run()[:, :3], other.run()[:, :3])
        assert weights(net) == weights(same)

    @pytest.mark.parametrize("passes", [together, alternating])
    def test_another_seed_trains_otherwise(self, passes: Callable[[Toy], list[Pass]]) -> None:
        nets = []
        for seed in (3, 4):
            running, net = loop(passes=passes, seed=seed)
            running.run()
            nets.append(weights(net))
        assert all(nets[0][name] != nets[1][name] for name in nets[0] if passes is alternating or name != "memory")

    @pytest.mark.parametrize(
        "optimiser", ["adam", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rmsprop", "nadam"))]
    )
    def test_every_optimiser_is_resumed(self, optimiser: Any, tmp_path: Path) -> None:
        training = replace(PLAN, optimiser=optimiser)
        straight, expected = loop(training=training, checkpoint=tmp_path / "straight")
        straight.run()
        adamw, other = loop()
        adamw.run()
        assert weights(expected) != weights(other)
        for epoch in (1, 4):
            path = tmp_path / f"{epoch}"
            interrupted(loop(training=training, checkpoint=path)[0], epoch)
            resumed, net = loop(training=training, checkpoint=path)
            resumed.run()
            assert weights(net) == weights(expected), epoch
            assert contents(path) == contents(tmp_path / "straight")

    @pytest.mark.parametrize("average", [pytest.param(0.0, marks=pytest.mark.slow), 0.9])
    @pytest.mark.parametrize("passes", [together, alternating])
    def test_stopped_in_any_epoch_and_resumed(
        self, passes: Callable[[Toy], list[Pass]], average: float, tmp_path: Path
    ) -> None:
        """Weights, curve, optimisers and the last checkpoint, with dropout, negatives and noise, and a running mean."""
        loop = functools.partial(toy_loop, training=replace(PLAN, ema_decay=average))
        straight, expected = loop(passes=passes, checkpoint=tmp_path / "straight")
        curve = straight.run()
        assert len(curve) == PLAN.epochs
        for epoch in range(PLAN.epochs):
            path = tmp_path / f"{epoch}"
            interrupted(loop(passes=passes, checkpoint=path)[0], epoch)
            assert path.exists() == (epoch > 0)
            resumed, net = loop(passes=passes, checkpoint=path)
            again = resumed.run()
            assert weights(net) == weights(expected), epoch
            assert without_seconds(again) == without_seconds(curve)
            assert contents(path) == contents(tmp_path / "straight")

    def test_stopped_twice_and_resumed(self, tmp_path: Path) -> None:
        straight, expected = loop()
        straight.run()
        for epoch in (1, 1, 3, 4):
            running, _ = loop(checkpoint=tmp_path / "c")
            interrupted(running, epoch)
        resumed, net = loop(checkpoint=tmp_path / "c")
        resumed.run()
        assert weights(net) == weights(expected)

    def test_stopped_at_any_step_and_resumed(self, tmp_path: Path) -> None:
        straight, expected = loop()
        straight.run()
        for stop_at in range(1, 4 * 5 * PLAN.epochs, 29):
            path = tmp_path / f"{stop_at}"
            running, net = loop(checkpoint=path)
            running.passes = stopping(running.passes, stop_at)
            with pytest.raises(Stop):
                running.run()
            resumed, net = loop(checkpoint=path)
            resumed.run()
            assert weights(net) == weights(expected), stop_at

    def test_a_finished_training_is_not_trained_on(self, tmp_path: Path) -> None:
        first, net = loop(checkpoint=tmp_path / "c")
        curve = first.run()
        before = (tmp_path / "c").read_bytes()
        again, same = loop(checkpoint=tmp_path / "c")
        again.passes = stopping(again.passes, 1)
        assert again.run().tolist() == curve.tolist()
        assert weights(same) == weights(net)
        assert (tmp_path / "c").read_bytes() == before

    def test_an_early_stop_is_kept_when_resumed(self, tmp_path: Path) -> None:
        def running() -> tuple[Loop, Toy]:
            run, net = loop(training=replace(PLAN, patience=2), checkpoint=tmp_path / "c")
            metrics = iter([0.5, 0.4, 0.3])
            run.validate = lambda: next(metrics)
            return run, net

        first, net = running()
        assert len(first.run()) == 3
        again, same = running()
        again.validate = None
        assert len(again.run()) == 3
        assert weights(same) == weights(net)

    def test_seconds_kept_are_those_of_the_curve_and_nothing_else(self, tmp_path: Path) -> None:
        path = tmp_path / "c"
        assert checkpoints.seconds(path) == 0.0
        curve = loop(checkpoint=path)[0].run()
        assert checkpoints.seconds(path) == pytest.approx(curve[:, 3].sum())
        path.write_bytes(path.read_bytes()[:99])  # whoever reads it next explains
        assert checkpoints.seconds(path) == 0.0

    def test_global_random_states_stay(self, tmp_path: Path) -> None:
        torch.manual_seed(20261122)  # a state that no training leaves behind by itself
        state, legacy = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002 - must not be touched
        loop()[0].run()
        interrupted(loop(checkpoint=tmp_path / "c")[0], 2)
        assert torch.equal(torch.get_rng_state(), state)
        assert str(np.random.get_state()) == legacy  # noqa: NPY002


def contents(path: Path) -> dict[str, bytes]:
    """All tensors of a checkpoint: the net, its best weights, the optimisers' moments and step counts."""
    tensors = load_file(path)
    assert {name.split(".")[0] for name in tensors} - {"mean"} == {"net", "best", "optimiser"}
    return {name: value.tobytes() for name, value in tensors.items()}


def stopping(passes: Sequence[Pass], at: int) -> list[Pass]:
    """The passes, until their at-th step (from 1) altogether."""
    calls = 0

    def stopped(each: Pass) -> Pass:
        def loss(rows: RowIds, step: Step) -> Tensor:
            nonlocal calls
            calls += 1
            if calls == at:
                raise Stop
            return each.loss(rows, step)

        return replace(each, loss=loss)

    return [stopped(each) for each in passes]


class TestWalk:
    def walked(self, passes: int = 2, epochs: int = 3) -> list[tuple[int, int, int, list[int]]]:
        """(epoch, step's number, step's seed, rows) of every step."""
        net, steps = Toy(), []
        inner = loss_of(net)

        def loss(rows: RowIds, step: Step) -> Tensor:
            steps.append((step.epoch, step.number, step.seed, rows.tolist()))
            return inner(rows, step)

        one = Pass("all", loss, list(net.parameters()))
        Loop(net, [one] * passes, N, replace(PLAN, epochs=epochs), seed=9).run()
        return steps

    def test_each_pass_sees_every_example_once(self) -> None:
        steps = self.walked()
        batches = math.ceil(N / PLAN.batch_size)
        assert len(steps) == 3 * 2 * batches
        orders = []
        for start in range(0, len(steps), batches):
            walk = [rows for *_, rows in steps[start : start + batches]]
            assert [len(rows) for rows in walk] == [5, 5, 5, 5, 3]
            orders.append([row for rows in walk for row in rows])
            assert sorted(orders[-1]) == list(range(N))
        assert len({tuple(order) for order in orders}) == 6, "no two walks are alike"

    def test_steps_are_numbered_and_seeded_apart(self) -> None:
        steps = self.walked()
        assert [number for _, number, *_ in steps] == list(range(30))
        assert [epoch for epoch, *_ in steps] == [0] * 10 + [1] * 10 + [2] * 10
        assert len({seed for _, _, seed, _ in steps}) == 30

    def test_a_seed_of_64_bits_is_as_good(self) -> None:
        net = Toy()
        Loop(net, together(net), N, replace(PLAN, epochs=1), seed=2**64 - 1).run()

    def test_the_curve_holds_the_last_pass_mean_loss(self) -> None:
        net = Toy(dropout=0.0)
        frozen = Training(epochs=1, batch_size=5, learning_rate=1e-30)

        def loss(rows: RowIds, step: Step) -> Tensor:
            squares: Tensor = net(torch.from_numpy(INPUTS[rows])) ** 2
            return squares.sum()

        with torch.no_grad():
            wanted = float((net(torch.from_numpy(INPUTS)).double() ** 2).sum() / N)
        first = Pass("all", lambda rows, step: 7.0 * loss(rows, step), list(net.parameters()))
        curve = Loop(net, [first, replace(first, loss=loss)], N, frozen, seed=0).run()
        assert curve.shape == (1, len(CURVE))
        np.testing.assert_allclose(curve[0, 1], wanted, rtol=1e-6)
        assert curve[0, 0] == 0
        assert math.isnan(curve[0, 2])
        assert curve[0, 3] > 0


def wanted_rate(training: Training, step: int, last: int) -> float:
    if step < training.warmup:
        return training.learning_rate * (step + 1) / training.warmup
    share = (step - training.warmup) / (last - training.warmup)
    if training.schedule == "cosine":
        return training.learning_rate * math.cos(math.pi * share / 2) ** 2
    return training.learning_rate * (math.exp(-math.log(10) * share) if training.schedule == "exponential" else 1.0)


Steps = Generator[NDArray[np.float64], NDArray[np.float64], None]


def primed(steps: Callable[[], Steps]) -> Callable[[], Steps]:
    """A generator that is ready for its first gradient; `send` answers with the step per learning rate."""

    @functools.wraps(steps)
    def start() -> Steps:
        made = steps()
        next(made)
        return made

    return start


@primed
def adam_steps() -> Steps:
    """Kingma & Ba 2015, algorithm 1."""
    m, v, t, out = np.zeros(2), np.zeros(2), 0, np.zeros(2)
    while True:
        g, t = (yield out), t + 1
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        out = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


@primed
def rmsprop_steps() -> Steps:
    """Hinton 2012: the gradient over the root of its running mean square."""
    v, out = np.zeros(2), np.zeros(2)
    while True:
        g = yield out
        v = 0.99 * v + 0.01 * g**2
        out = g / (np.sqrt(v) + 1e-8)


@primed
def nadam_steps() -> Steps:
    """Dozat 2016, algorithm 2, its momentum warmed up by mu_t = .9 (1 - .5 * .96^(t / 250))."""

    def mu(t: int) -> float:
        return 0.9 * (1 - 0.5 * math.pow(0.96, t * 0.004))

    m, v, t, product, out = np.zeros(2), np.zeros(2), 0, 1.0, np.zeros(2)
    while True:
        g, t = (yield out), t + 1
        product *= mu(t)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        mean = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
        out = mean / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


class TestAgainstFormulas:
    """Two weights of a straight line in float64; AdamW's steps are Loshchilov & Hutter's 2019, algorithm 2."""

    x = np.random.default_rng(0).normal(size=(11, 2)) * [1.0, 30.0]
    y = np.random.default_rng(1).normal(size=11)

    def trained(self, training: Training) -> tuple[NDArray[np.float64], list[list[int]], list[float]]:
        """The weights, and what each step saw: rows and learning rate."""
        net = nn.Linear(2, 1, bias=False).double()
        with torch.no_grad():
            net.weight.copy_(torch.tensor([[0.5, -2.0]]))
        walked: list[list[int]] = []
        rates: list[float] = []

        def loss(rows: RowIds, step: Step) -> Tensor:
            walked.append(rows.tolist())
            rates.append(running.optimisers["all"].param_groups[0]["lr"])
            gap: Tensor = net(torch.from_numpy(self.x[rows]))[:, 0] - torch.from_numpy(self.y[rows])
            return (gap**2).sum()

        running = Loop(net, [Pass("all", loss, list(net.parameters()))], 11, training, seed=5)
        running.run()
        return net.weight.detach().numpy()[0], walked, rates

    def truth(self, training: Training, walked: list[list[int]]) -> NDArray[np.float64]:
        w, m, v = np.array([0.5, -2.0]), np.zeros(2), np.zeros(2)
        for t, rows in enumerate(walked, start=1):
            x, y = self.x[rows], self.y[rows]
            gradient = 2 * x.T @ (x @ w - y) / len(rows)
            norm = np.sqrt(gradient @ gradient)
            if training.clip is not None and norm > training.clip:
                gradient *= training.clip / norm
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            rate = wanted_rate(training, t - 1, len(walked))
            w = w - rate * training.weight_decay * w
            w = w - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return w

    @pytest.mark.parametrize("optimiser", ["adam", "rmsprop", "nadam"])
    @pytest.mark.parametrize("decay", [0.0, 0.3])
    def test_other_optimisers(self, optimiser: Any, decay: float) -> None:
        training = Training(4, 4, 0.1, optimiser=optimiser, weight_decay=decay, schedule="exponential", warmup=2)
        found, walked, rates = self.trained(training)
        step = {"adam": adam_steps, "rmsprop": rmsprop_steps, "nadam": nadam_steps}[optimiser]()
        w = np.array([0.5, -2.0])
        for rate, rows in zip(rates, walked, strict=True):
            x, y = self.x[rows], self.y[rows]
            w = w - rate * step.send(2 * x.T @ (x @ w - y) / len(rows) + decay * w)
        # torch keeps the product of NAdam's momenta in float32
        np.testing.assert_allclose(found, w, rtol=1e-7 if optimiser == "nadam" else 1e-10)

    @pytest.mark.parametrize("schedule", ["constant", "cosine", "exponential"])
    @pytest.mark.parametrize(
        ("warmup", "clip", "decay"), [(0, None, 0.0), (5, None, 0.1), (0, 2.0, 0.0), (4, 50.0, 0.3)]
    )
    def test_weights_and_rates(self, schedule: Any, warmup: int, clip: float | None, decay: float) -> None:
        training = Training(4, 4, 0.1, weight_decay=decay, schedule=schedule, warmup=warmup, clip=clip)
        found, walked, rates = self.trained(training)
        assert len(walked) == 12
        np.testing.assert_allclose(rates, [wanted_rate(training, t, 12) for t in range(12)], rtol=1e-12)
        # torch's clipping divides by norm + 1e-6
        np.testing.assert_allclose(found, self.truth(training, walked), rtol=1e-6 if clip else 1e-10)

    @pytest.mark.parametrize("average", [0.2, 0.8, 0.999])
    def test_ends_with_the_running_mean_of_the_weights(self, average: float) -> None:
        """Step t of them keeps min(average, (1 + t) / (10 + t)) of it; rates and rows are as without a mean."""
        training = Training(4, 4, 0.1, weight_decay=0.1, warmup=3)
        _, walked, _ = self.trained(training)
        found, walked_too, _ = self.trained(replace(training, ema_decay=average))
        assert walked_too == walked
        mean = np.array([0.5, -2.0])
        for t in range(1, len(walked) + 1):
            kept = min(average, (1 + t) / (10 + t))
            mean = kept * mean + (1 - kept) * self.truth(training, walked[:t])
        np.testing.assert_allclose(found, mean, rtol=1e-9)

    def test_clipping_has_a_bite(self) -> None:
        loose, tight = (self.trained(Training(4, 4, 0.1, clip=clip))[0] for clip in (None, 2.0))
        assert np.abs(loose - tight).max() > 1e-3

    def test_warm_up_longer_than_the_training(self) -> None:
        training = Training(1, 4, 0.1, warmup=100, schedule="cosine")
        assert self.trained(training)[2] == pytest.approx([0.001, 0.002, 0.003], rel=1e-12)


class TestPasses:
    def test_each_moves_its_own_parameters_by_its_own_optimiser(self) -> None:
        running, net = loop()
        steps: list[tuple[str, int, float]] = []
        moved: dict[str, set[str]] = {"encoder": set(), "decoder": set()}
        before: dict[str, bytes] = {}

        def watching(each: Pass) -> Pass:
            def loss(rows: RowIds, step: Step) -> Tensor:
                note()
                steps.append((each.name, step.number, running.optimisers[each.name].param_groups[0]["lr"]))
                before.update(weights(net))
                return each.loss(rows, step)

            return replace(each, loss=loss)

        def note() -> None:
            if before:
                moved[steps[-1][0]] |= {name for name, value in weights(net).items() if value != before[name]}

        running.passes = [watching(p) for p in running.passes]
        running.run()
        names = {part: {name for name in weights(net) if name.startswith(part)} for part in ("encoder", "decoder")}
        # at the border of two passes, `before` wrote the memory
        assert moved == {"encoder": names["encoder"] | {"memory"}, "decoder": names["decoder"]}
        for kind, per_epoch in (("encoder", 15), ("decoder", 5)):
            last = PLAN.epochs * per_epoch
            assert [number for name, number, _ in steps if name == kind] == list(range(last))
            wanted = [wanted_rate(PLAN, step, last) for step in range(last)]
            np.testing.assert_allclose([rate for name, _, rate in steps if name == kind], wanted, rtol=1e-12)
            states = running.optimisers[kind].state.values()
            assert {int(state["step"]) for state in states} == {last}

    def test_no_gradient_is_computed_for_others(self) -> None:
        net = Toy()
        Loop(net, alternating(net)[:1], N, replace(PLAN, epochs=1), seed=0).run()
        assert all(p.grad is not None for p in net.encoder.parameters())
        assert all(p.grad is None for p in net.decoder.parameters())

    def test_before_comes_first_and_draws_by_the_seed(self) -> None:
        """Of the very first pass: nothing was seeded before it."""
        memories = []
        for noise in (1, 2):
            running, net = loop(training=replace(PLAN, epochs=1))
            running.passes = [replace(running.passes[0], before=net.remember)]
            torch.manual_seed(noise)
            running.run()
            memories.append(net.memory.tolist())
        assert memories[0] == memories[1]
        assert any(memories[0])

    def test_shared_weights_are_trained_once(self) -> None:
        net = Toy()
        assert trainable([net, net.encoder]) == list(net.parameters())


class TestTerms:
    """A loss may be the sum of more or fewer terms than there are rows: steps and curve follow the mean over terms."""

    training = replace(PLAN, epochs=3)  # clipped, so that the size of a gradient counts, which Adam alone would not see
    many = np.random.default_rng(9).integers(1, 9, N)

    def trained(
        self, times: float, terms: Callable[[RowIds], float] = len, *, weighted: bool = False
    ) -> tuple[dict[str, bytes], list[float]]:
        """The weights and the curve after a training on `times` the loss; weighted: row r counts many[r] times."""
        net = Toy(dropout=0.0)

        def loss(rows: RowIds, step: Step) -> Tensor:
            count = self.many[rows] if weighted else np.ones(len(rows))
            scores = net(torch.from_numpy(INPUTS[rows])).log_softmax(dim=1)[range(len(rows)), POSITIVE[rows]]
            total: Tensor = (scores * torch.from_numpy(count).float()).sum()
            return -times * total

        running = Loop(net, [Pass("all", loss, list(net.parameters()), terms=terms)], N, self.training, seed=3)
        curve = running.run()
        return weights(net), curve[:, 1].tolist()

    def test_twice_the_terms_of_twice_the_loss_are_the_same_steps(self) -> None:
        once = self.trained(1.0)
        assert self.trained(2.0, lambda rows: 2.0 * len(rows)) == once
        assert self.trained(2.0)[0] != once[0]
        assert self.trained(1.0, lambda rows: 2.0 * len(rows))[0] != once[0]

    def test_the_mean_is_over_the_terms_of_a_batch_together(self) -> None:
        """Of rows that count unequally, so that batches do."""
        found, curve = self.trained(1.0, lambda rows: float(self.many[rows].sum()), weighted=True)
        net = Toy(dropout=0.0)
        every = list(net.parameters())
        optimiser = torch.optim.AdamW(every, weight_decay=self.training.weight_decay, fused=True)
        total, step, last = 0.0, 0, self.training.epochs * math.ceil(N / self.training.batch_size)
        for epoch in range(self.training.epochs):
            order, total = np.random.default_rng([3, epoch, 0]).permutation(N), 0.0
            for batch in np.split(order, range(self.training.batch_size, N, self.training.batch_size)):
                mean = torch.zeros(())
                for row in batch:  # the same row again and again
                    scores = net(torch.from_numpy(INPUTS[[row] * self.many[row]]))
                    mean = mean + nn.functional.cross_entropy(
                        scores, torch.from_numpy(POSITIVE[[row] * self.many[row]]), reduction="sum"
                    )
                total += float(mean.detach())
                for parameter, gradient in zip(
                    every, torch.autograd.grad(mean / int(self.many[batch].sum()), every), strict=True
                ):
                    parameter.grad = gradient
                nn.utils.clip_grad_norm_(every, 0.4)
                optimiser.param_groups[0]["lr"] = wanted_rate(self.training, step, last)
                optimiser.step()
                step += 1
        for name, value in net.state_dict().items():
            # float32 sums in another order, and fifteen steps of Adam on them
            np.testing.assert_allclose(np.frombuffer(found[name], np.float32), value.flatten(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(curve[-1], total / self.many.sum(), rtol=1e-5)

    def test_a_batch_without_terms_moves_nothing(self) -> None:
        """Only decay is left, and no division by 0."""
        net = Toy()
        nothing = Pass(
            "all", lambda rows, step: 0.0 * net(torch.from_numpy(INPUTS[rows])).sum(), list(net.parameters())
        )
        before = weights(net)
        for decay in (0.0, 0.5):
            training = replace(self.training, weight_decay=decay)
            curve = Loop(net, [replace(nothing, terms=lambda rows: 0.0)], N, training, seed=3).run()
            assert curve[:, 1].tolist() == [0.0] * 3
            assert (weights(net) == before) == (decay == 0.0)


class TestStopping:
    def test_best_weights_are_restored(self) -> None:
        curve, net, seen = scripted([0.1, 0.3, 0.2, 0.3])
        assert [row[2] for row in curve] == [0.1, 0.3, 0.2, 0.3]
        assert weights(net) == seen[1], "the first of equals"
        assert len({tuple(state.values()) for state in seen}) == 4
        assert not net.training

    def test_patience(self) -> None:
        metrics = [0.1, 0.3, 0.2, 0.25, 0.3, 0.9]
        for patience, epochs, best in ((1, 3, 1), (2, 4, 1), (3, 5, 1), (4, 6, 5)):
            curve, net, seen = scripted(metrics, patience=patience)
            assert len(curve) == len(seen) == epochs
            assert weights(net) == seen[best]

    def test_negative_metrics(self) -> None:
        curve, net, seen = scripted([-5.0, -3.0, -4.0, -4.0, -1.0], patience=2)
        assert len(curve) == 4
        assert weights(net) == seen[1]

    @pytest.mark.parametrize(
        ("metrics", "best"),
        [([math.nan] * 4, 3), ([math.nan, 0.2, math.nan, 0.1], 1), ([0.2, math.nan, 0.3, math.nan], 2)],
    )
    def test_a_validation_that_measures_nothing_is_no_improvement(self, metrics: list[float], best: int) -> None:
        curve, net, seen = scripted(metrics, patience=3)
        assert len(curve) == 4
        assert weights(net) == seen[best]

    def test_without_validation_the_last_weights_stay(self) -> None:
        net, states = Toy(), []
        inner = loss_of(net)

        def loss(rows: RowIds, step: Step) -> Tensor:
            states.append(weights(net))
            return inner(rows, step)

        curve = Loop(net, [Pass("all", loss, list(net.parameters()))], N, replace(PLAN, patience=1), seed=0).run()
        assert len(curve) == PLAN.epochs
        assert np.isnan(curve[:, 2]).all()
        assert weights(net) not in states

    def test_validation_sees_the_net_without_dropout(self) -> None:
        running, net = loop(training=replace(PLAN, epochs=1))
        modes: list[bool] = []

        def validate() -> float:
            modes.append(net.training)
            return 1.0

        running.validate = validate
        running.run()
        assert modes == [False]


def spoiled(net: Toy, epoch: int, number: int, spoil: Callable[[Tensor], Tensor]) -> list[Pass]:
    inner = loss_of(net)

    def loss(rows: RowIds, step: Step) -> Tensor:
        value = inner(rows, step)
        return spoil(value) if (step.epoch, step.number % 5) == (epoch, number) else value

    return [Pass("all", loss, list(net.parameters()))]


def steep(value: Tensor) -> Tensor:
    """0, with an infinite gradient."""
    return (value - value.detach()).abs().sqrt()


class TestDivergence:
    def run(self, epoch: int, number: int, spoil: Callable[[Tensor], Tensor], path: Path | None) -> MatineeError:
        net = Toy()
        training = replace(PLAN, schedule="constant", warmup=0)
        broken = Loop(net, spoiled(net, epoch, number, spoil), N, training, seed=3, checkpoint=path)
        with pytest.raises(MatineeError) as caught:
            broken.run()
        return caught.value

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    def test_epoch_batch_and_rate_are_named(self, number: float) -> None:
        error = self.run(2, 3, lambda value: value * 0 + number, None)
        assert error.what == f"the loss became {number} in epoch 2, batch 3, at learning rate 0.05"
        assert error.hint == "lower learning_rate, or clip gradients"

    @pytest.mark.parametrize("number", range(5))
    def test_an_infinite_gradient_is_found_before_it_is_saved(self, number: int, tmp_path: Path) -> None:
        """In the last batch no later loss would tell."""
        error = self.run(2, number, steep, tmp_path / "c")
        last = "a weight is no longer a number in epoch 2, batch 4" if number == 4 else "the loss became nan in epoch 2"
        assert error.what.startswith(last)

    @pytest.mark.parametrize("spoil", [lambda value: value * math.nan, steep])
    def test_the_last_good_checkpoint_is_kept_and_goes_on(
        self, spoil: Callable[[Tensor], Tensor], tmp_path: Path
    ) -> None:
        path = tmp_path / "c"
        error = self.run(2, 4, spoil, path)
        assert f"the last good epoch is kept in {path}" in str(error)
        assert all(np.isfinite(value).all() for value in load_file(path).values())
        training = replace(PLAN, schedule="constant", warmup=0)
        nets = []
        for checkpoint in (path, None):
            net = Toy()
            curve = Loop(net, together(net), N, training, seed=3, checkpoint=checkpoint).run()
            assert len(curve) == PLAN.epochs
            nets.append(weights(net))
        assert nets[0] == nets[1]

    def test_nothing_is_promised_that_is_not_there(self, tmp_path: Path) -> None:
        error = self.run(0, 2, lambda value: value * math.nan, tmp_path / "c")
        assert "kept" not in str(error)
        assert list(tmp_path.iterdir()) == []


class TestForeignCheckpoints:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "c.safetensors"
        interrupted(loop(checkpoint=path)[0], 2)
        return path

    def refused(self, path: Path, **changed: Any) -> str:
        before = path.read_bytes()
        with pytest.raises(MatineeError) as caught:
            loop(checkpoint=path, **changed)[0].run()
        assert path.read_bytes() == before, "what the user had is still there"
        assert caught.value.where == str(path)
        assert caught.value.hint == "delete it to train from the start, or name another file"
        return caught.value.what

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"seed": 4}, "seed was 3, now 4"),
            ({"training": replace(PLAN, learning_rate=0.1)}, "learning_rate was 0.05, now 0.1"),
            ({"training": replace(PLAN, epochs=7, clip=None)}, "clip was 0.4, now null; epochs was 6, now 7"),
            ({"passes": together}, 'passes was ["encoder", "encoder", "encoder", "decoder"], now ["all"]'),
        ],
    )
    def test_of_another_training(self, changed: dict[str, Any], words: str, path: Path) -> None:
        assert self.refused(path, **changed) == f"is the checkpoint of another training: {words}"

    def test_of_another_model_or_data(self, tmp_path: Path) -> None:
        def running(about: dict[str, Any]) -> Loop:
            net = Toy()
            training = replace(PLAN, epochs=1)
            return Loop(net, together(net), N, training, seed=0, checkpoint=tmp_path / "c", about=about)

        running({"data": "abc", "hyper_parameters": {"dropout": 0.3}}).run()
        running({"hyper_parameters": {"dropout": 0.3}, "data": "abc"}).run()
        with pytest.raises(MatineeError, match='data was "abc", now "abd"'):
            running({"data": "abd", "hyper_parameters": {"dropout": 0.3}}).run()
        with pytest.raises(MatineeError, match=r"hyper_parameters was .*0\.3.*, now .*0\.4"):
            running({"data": "abc", "hyper_parameters": {"dropout": 0.4}}).run()

    def test_of_another_net(self, path: Path) -> None:
        net = nn.Linear(2, 1)
        one = Pass("all", lambda rows, step: net.weight.sum(), list(net.parameters()))
        with pytest.raises(MatineeError, match="shapes differs"):
            Loop(net, [one], N, PLAN, seed=3, checkpoint=path).run()

    def test_no_checkpoint_at_all(self, tmp_path: Path) -> None:
        log = tmp_path / "log.csv"
        log.write_text("user_id,item_id\n1,2\n" * 1000)
        assert "is no checkpoint, or a damaged one" in self.refused(log)
        log.write_bytes(b"")
        assert "is no checkpoint, or a damaged one" in self.refused(log)
        for metadata in (None, {"about": "{}"}, {"about": "{}", "sha256": "0" * 64}):
            save_file({"net.weight": np.zeros(3)}, log, metadata=metadata)
            assert "is no checkpoint, or a damaged one" in self.refused(log)

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(MatineeError, match="is no checkpoint"):
            loop(checkpoint=tmp_path)[0].run()

    def test_damaged_ones(self, path: Path) -> None:
        whole = path.read_bytes()
        rng = np.random.default_rng(20261123)
        for length in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            assert "damaged" in self.refused(path)
        for place in [0, 8, 9, *rng.integers(0, len(whole), 60)]:
            flipped = bytearray(whole)
            flipped[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(flipped)
            assert "damaged" in self.refused(path), place
        path.write_bytes(whole)
        loop(checkpoint=path)[0].run()

    def test_a_full_disk_keeps_the_last_one(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = path.read_bytes()

        def full(*args: object, **kwargs: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("safetensors.torch.save_file", full)
        with pytest.raises(MatineeError, match="disk is full"):
            loop(checkpoint=path)[0].run()
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]


class TestPrecision:
    def test_bfloat16_multiplies_in_half_and_keeps_weights_whole(self) -> None:
        losses = []
        for precision in ("float32", "bfloat16"):
            net, types = Toy(), set[torch.dtype]()
            inner = softmax(net, types)
            training = Training(epochs=20, batch_size=5, learning_rate=0.05, precision=precision)
            curve = Loop(net, [Pass("all", inner, list(net.parameters()))], N, training, seed=0).run()
            assert types == {getattr(torch, precision)}
            assert {p.dtype for p in net.parameters()} == {torch.float32}
            assert curve[-1, 1] < 0.7 * curve[0, 1]
            losses.append(curve[:, 1].tolist())
        assert losses[0] != losses[1]

    def test_same_seed_same_bytes(self) -> None:
        nets = []
        for _ in range(2):
            running, net = loop(training=replace(PLAN, precision="bfloat16"))
            running.run()
            nets.append(weights(net))
        assert nets[0] == nets[1]


def softmax(net: Toy, types: set[torch.dtype]) -> Callable[[RowIds, Step], Tensor]:
    def loss(rows: RowIds, step: Step) -> Tensor:
        scores = net(torch.from_numpy(INPUTS[rows]))
        types.add(scores.dtype)
        return nn.functional.cross_entropy(scores.float(), torch.from_numpy(POSITIVE[rows]), reduction="sum")

    return loss


class TestProgress:
    def test_silent_when_nobody_watches(self, capfd: pytest.CaptureFixture[str]) -> None:
        loop()[0].run()
        assert capfd.readouterr() == ("", "")

    def test_a_terminal_sees_loss_and_metric(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        shown = Terminal()
        monkeypatch.setattr(sys, "stderr", shown)
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setenv("TERM", "xterm")
        curve = loop()[0].run()
        with RoundsBar() as bar:
            for number, loss, measured in curve[:, :3]:
                bar(int(number), float(loss), float(measured))
        assert f"loss {curve[-1, 1]:.4g}, valid {curve[-1, 2]:.4f}" in shown.getvalue()


class TestFoldIn:
    """New users: a vector alone is trained, against a net that stays as it is."""

    net = Toy(dropout=0.0).eval()
    target = torch.from_numpy(POSITIVE[:4])

    def loss(self, vector: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self.net.decoder(vector), self.target[: len(vector)], reduction="sum")

    def test_the_loss_falls_and_nothing_else_moves(self) -> None:
        start = torch.full((4, 5), 0.1)
        before, kept = weights(self.net), start.clone()
        state = torch.get_rng_state()
        found = fold_in(start, self.loss, steps=30, learning_rate=0.1)
        assert self.loss(found) < self.loss(start)
        assert weights(self.net) == before
        assert all(p.grad is None for p in self.net.parameters())
        assert torch.equal(start, kept)
        assert torch.equal(torch.get_rng_state(), state)
        assert not found.requires_grad
        assert found.shape == (4, 5)

    def test_steps_are_adams(self) -> None:
        """One dimension of a parabola against Adam's formulas (Kingma & Ba 2015, algorithm 1)."""
        found = fold_in(torch.tensor([3.0], dtype=torch.float64), lambda v: (v**2).sum(), steps=5, learning_rate=0.2)
        w, m, v = 3.0, 0.0, 0.0
        for t in range(1, 6):
            m, v = 0.9 * m + 0.1 * 2 * w, 0.999 * v + 0.001 * (2 * w) ** 2
            w -= 0.2 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(found.item(), w, rtol=1e-12)

    def test_users_together_or_alone(self) -> None:
        start = torch.from_numpy(INPUTS[:1, :5]).expand(4, 5)
        together = fold_in(start, self.loss, steps=20, learning_rate=0.1)
        for b in range(4):
            self.target = torch.from_numpy(POSITIVE[b : b + 1])
            alone = fold_in(start[b : b + 1], self.loss, steps=20, learning_rate=0.1)
            np.testing.assert_allclose(alone[0].numpy(), together[b].numpy(), rtol=1e-5, atol=1e-6)

    def test_no_steps(self) -> None:
        start = torch.ones(4, 5)
        assert torch.equal(fold_in(start, self.loss, steps=0, learning_rate=0.1), start)
