"""What the torch models share: the training loop, losses, blocks. Nothing here knows a model.

A file is imported when first asked for, as in `nn.losses.logistic`, and torch before it where the file needs torch.
Tensors are float32 where a docstring gives their shape alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from matinee.nn.backend import import_torch as import_torch

if TYPE_CHECKING:
    from matinee.nn import blocks as blocks
    from matinee.nn import checkpoint as checkpoint
    from matinee.nn import exported as exported
    from matinee.nn import fields as fields
    from matinee.nn import interactions as interactions
    from matinee.nn import losses as losses
    from matinee.nn import multimodal as multimodal
    from matinee.nn import pretraining as pretraining
    from matinee.nn import processes as processes
    from matinee.nn import recurrent as recurrent
    from matinee.nn import rounds as rounds
    from matinee.nn import sampling as sampling
    from matinee.nn import sequences as sequences
    from matinee.nn import session as session
    from matinee.nn import side as side
    from matinee.nn import static as static
    from matinee.nn import text as text
    from matinee.nn import train as train
    from matinee.nn import transformer as transformer
    from matinee.nn import vae as vae

LIGHT = ("rounds", "sampling")  # files that need no torch
FILES = (
    *LIGHT, "blocks", "checkpoint", "exported", "fields", "interactions", "losses", "multimodal", "pretraining",
    "processes", "recurrent", "sequences", "session", "side", "static", "text", "train", "transformer", "vae",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in LIGHT:
        import_torch()
    return import_module(f"{__name__}.{name}")
