"""A net over histories as an ONNX file: what another program needs to make vectors of histories."""

from __future__ import annotations

import copy
import logging
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from matinee.data.arrays import Bools
from matinee.errors import MatineeError
from matinee.nn.sequences import Group, Packed
from matinee.nn.transformer import TransformerNet


class PaddedQuery(nn.Module):
    """item, int64 (batch, places) -> float32 (batch, dim): the state at the end of each history, 0 of an empty one.

    net: causal, so that no state depends on what stands behind it: a rectangle of histories is then a group of packed
    ones. It gets the items of histories at the left of their rows, whatever stands between or before them.
    read: bool (n_items + 1,), items that count in a history.
    """

    read: Tensor

    def __init__(self, net: TransformerNet, read: Tensor) -> None:
        super().__init__()
        self.net, self.n_items = net, net.n_items
        self.register_buffer("read", read)

    def forward(self, item: Tensor) -> Tensor:
        rows, places = item.shape
        read = self.read[item]
        length = read.sum(dim=1)
        to = torch.where(read, read.cumsum(dim=1) - 1, places)  # what is not read goes behind, and is cut off
        left = item.new_full((rows, places + 1), self.n_items).scatter(1, to, item)[:, :places]
        packed = Packed(
            item=left.reshape(-1),
            position=torch.arange(places).repeat(rows),
            slot=torch.arange(rows * places),
            first=torch.arange(rows) * places,
            length=length,
            groups=(Group(0, rows, places),),
        )
        last: Tensor = self.net(packed)[packed.last.clamp_min(0)]
        return last * (length > 0)[:, None]


def among(net: TransformerNet, kept: Bools) -> TransformerNet:
    """A copy that reads the kept items by their number among them; one number more is an empty place. The vectors of
    their features are in their own."""
    vectors = net.vectors.detach()[torch.from_numpy(kept)]
    one = copy.deepcopy(net)
    one.features, one.n_items = None, len(vectors)
    table = torch.cat([vectors, vectors.new_zeros(1, vectors.shape[1])])
    one.items = nn.Embedding(len(table), table.shape[1], _weight=table)
    return one


def write_onnx(net: TransformerNet, kept: Bools, read: Bools, path: Path) -> None:
    """Write a causal net that reads rows of the kept items. read: bool (n_items,), those that count in a history.

    Both lengths of its input are free, places up to the net's. Raises MatineeError where a package is missing.
    """
    for package in ("onnx", "onnxscript"):
        try:
            import_module(package)
        except ImportError:
            raise MatineeError(f"an ONNX file needs {package}", hint="pip install 'matinee[onnx]'") from None
    counts = torch.from_numpy(read[kept])
    query = PaddedQuery(among(net, kept).cpu(), torch.cat([counts, counts.new_zeros(1)])).eval()
    most = net.positions.num_embeddings
    free = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("places", min=2, max=most)}
    example = torch.zeros(3, min(4, most), dtype=torch.int64)  # a length of 1 would be taken for a constant
    names: dict[str, Any] = {"input_names": ["item"], "output_names": ["vector"]}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)  # it says that torchvision is not there
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(query, (example,), dynamo=True, verbose=False, dynamic_shapes=(free,), **names)
    finally:
        logger.setLevel(level)
    assert program is not None
    program.save(path)
