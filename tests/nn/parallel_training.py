"""Train the toy net, or SASRec's, in this process; torchrun starts two. Called by test_data_parallel.py.

python parallel_training.py FOLDER CASE...   each process leaves CASE.RANK.safetensors: final weights and the curve
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from contract.logs import groups
from matinee.errors import MatineeError
from matinee.models.sasrec import SASRec
from matinee.nn import checkpoint
from matinee.nn.train import Loop, Pass, RowIds, Step
from nn.toy import INPUTS, PLAN, N, Toy, alternating, softmax_loss_of, validator


def plain(net: Toy) -> list[Pass]:
    return [Pass("all", softmax_loss_of(net), list(net.parameters()))]


def two_parts(net: Toy) -> list[Pass]:
    loss = softmax_loss_of(net)
    encoder = Pass("encoder", loss, list(net.encoder.parameters()))
    return [encoder, encoder, Pass("decoder", loss, list(net.decoder.parameters()), before=net.remember)]


def unreached(net: Toy) -> list[Pass]:
    """One parameter reached by row 0 alone, so on one rank at most, and one reached by none: it must not decay."""
    odd, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    net.register_parameter("odd", odd)
    net.register_parameter("idle", idle)
    inner = softmax_loss_of(net)

    def loss(rows: RowIds, step: Step) -> Tensor:
        value = inner(rows, step)
        return value + ((odd - 3.0) ** 2).sum() if 0 in rows else value

    return [Pass("all", loss, list(net.parameters()))]


def diverging(net: Toy) -> list[Pass]:
    """Not a number at row 7: on one rank of two."""
    inner = softmax_loss_of(net)

    def loss(rows: RowIds, step: Step) -> Tensor:
        return inner(rows, step) * (math.nan if 7 in rows and step.epoch == 2 else 1.0)

    return [Pass("all", loss, list(net.parameters()))]


def histories() -> tuple[nn.Module, list[Pass], int]:
    """Histories of unequal length: the ranks have unequal numbers of terms, and steps follow the mean over all."""
    data = groups()
    model = SASRec(dim=8, n_heads=2, max_len=4, windows="all", relative=True, dropout=0.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = model.build(data)
    return net, *model.passes(net, data)


CASES: dict[str, tuple[Callable[[Toy], list[Pass]], int]] = {
    "plain": (plain, 5),  # batches of 5, 5, 5, 5 and 3: ranks see 3 and 2
    "one_left": (plain, 11),  # 23 = 11 + 11 + 1: rank 1 has nothing of the last batch
    "two_parts": (two_parts, 5),
    "unreached": (unreached, 5),
    "draws": (alternating, 5),
    "resumed": (plain, 5),
    "diverging": (diverging, 5),
    "histories": (plain, 50),
}


def train(case: str, folder: Path) -> None:
    passes, batch_size = CASES[case]
    path, writes = folder / f"{case}.checkpoint", 0
    write = checkpoint.write

    def counting(*args: Any) -> None:
        nonlocal writes
        writes += 1
        write(*args)

    def build(interrupted_in: int = -1) -> tuple[Loop, nn.Module]:
        toy = Toy(dropout=0.3 if case == "draws" else 0.0)
        net, planned, n = histories() if case == "histories" else (toy, passes(toy), N)

        def power_cut() -> None:
            if len(running.rounds) == interrupted_in:
                raise KeyboardInterrupt

        planned[0] = replace(planned[0], before=power_cut)
        training = replace(PLAN, batch_size=batch_size)
        validate: Callable[[], float] | None = validator(toy)
        if case == "histories":  # at the toy's rate even one process, its sums in another order, ends 1e-3 away
            training, validate = replace(training, learning_rate=0.01), None
        running = Loop(net, planned, n, training, seed=3, validate=validate, checkpoint=path)
        return running, net

    with mock.patch.object(checkpoint, "write", counting):
        if case == "resumed":
            with contextlib.suppress(KeyboardInterrupt):
                build(interrupted_in=2)[0].run()
        (running, net), error = build(), ""
        try:
            curve = running.run()
        except MatineeError as found:
            curve, error = np.array(running.rounds.rows), found.what
    tensors = {name: value.clone() for name, value in net.state_dict().items()}
    tensors["curve"] = torch.from_numpy(curve[:, :3].copy())
    save_file(tensors, folder / f"{case}.{running.rank}", {"error": error, "writes": str(writes)})


def normalised() -> str:
    """What a net with batch normalisation is told."""
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5))
    one = Pass("all", lambda rows, step: net(torch.from_numpy(INPUTS[rows])).sum(), list(net.parameters()))
    try:
        Loop(net, [one], N, PLAN, seed=0)
    except MatineeError as error:
        return str(error)
    return ""


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    for case in sys.argv[2:]:
        train(case, folder)
    (folder / f"normalised.{os.environ.get('RANK', '0')}").write_text(normalised())


if __name__ == "__main__":
    main()
