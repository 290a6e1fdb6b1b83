"""Checkpoints of a training: one safetensors file, replaced whole or not at all; reading one executes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from matinee.errors import MatineeError
from matinee.files import atomic_path
from matinee.nn.rounds import CURVE


def write(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """about: JSON values, the training's plan under "plan"."""
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    text = json.dumps(about, sort_keys=True)
    with atomic_path(path) as temp:
        save_file(tensors, temp, metadata={"about": text, "sha256": _digest(text, tensors)})


def read(path: Path, plan: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What was written, None where there is no file.

    Raises MatineeError for anything but an intact checkpoint of this very plan: training anew would overwrite it.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    hint = "delete it to train from the start, or name another file"
    try:
        with safe_open(path, framework="pt") as file:
            found = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise MatineeError(f"is no checkpoint, or a damaged one ({error})", where=str(path), hint=hint) from None
    text = found.get("about", "")
    if found.get("sha256") != _digest(text, tensors):
        raise MatineeError("is no checkpoint, or a damaged one", where=str(path), hint=hint)
    about: dict[str, Any] = json.loads(text)
    differing = _differences(about["plan"], plan)
    if differing:
        raise MatineeError(f"is the checkpoint of another training: {differing}", where=str(path), hint=hint)
    return tensors, about


def seconds(path: Path) -> float:
    """What the epochs kept at `path` took, a file or a folder with one for each part; 0 where there are none."""
    from safetensors import SafetensorError, safe_open

    files = [path] if path.is_file() else [file for file in path.rglob("[!.]*") if file.is_file()]
    total = 0.0
    for file in files:
        with contextlib.suppress(OSError, SafetensorError, KeyError), safe_open(file, framework="pt") as found:
            total += sum(row[CURVE.index("seconds")] for row in json.loads(found.metadata()["about"])["curve"])
    return total


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    """64 hex digits over the words and every name, type, shape and byte."""
    digest = hashlib.sha256(text.encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"\n{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Empty when the plans agree; long values are only named."""
    words = []
    for name in sorted(old.keys() | new.keys()):
        was, now = (json.dumps(plan.get(name), sort_keys=True) for plan in (old, new))
        if was != now:
            words.append(f"{name} was {was}, now {now}" if len(was + now) < 60 else f"{name} differs")
    return "; ".join(words)
