"""Training in several processes, as torchrun starts them. In one process these functions do nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def rank() -> tuple[int, int]:
    """(rank, world size) of this process. Under torchrun the first call connects the processes."""
    if not torch.distributed.is_available():
        return 0, 1
    if not torch.distributed.is_initialized() and "TORCHELASTIC_RUN_ID" in os.environ:
        torch.distributed.init_process_group("gloo")
    if not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def summed(tensor: Tensor, world: int) -> Tensor:
    """The tensor itself, summed in place over all processes."""
    if world > 1:
        torch.distributed.all_reduce(tensor)
    return tensor


def sum_gradients(parameters: Sequence[nn.Parameter], world: int) -> None:
    """Sum gradients over all processes. A parameter without a gradient on some rank counts as 0 there."""
    reached = summed(torch.tensor([float(p.grad is not None) for p in parameters]), world)
    for parameter, ranks in zip(parameters, reached.tolist(), strict=True):
        if ranks:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            summed(parameter.grad, world)
