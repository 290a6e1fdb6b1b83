"""`vectors`: what a model scores with, for a vector store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from matinee.cli import screen
from matinee.cli.options import Json, ModelDir, OfRun
from matinee.cli.sources import open_model
from matinee.errors import worded_for
from matinee.vectors import write_vectors

ONNX = "The net that makes vectors of histories, of sasrec and cl4srec; its items are rows of --out."
USERS = "A second file, with a vector for each user of the model's log, as the history stands there."


def vectors(
    model_dir: ModelDir,
    out: Annotated[Path, Option(metavar="FILE.parquet", help="Ids, titles and vectors of the items.")],
    model: OfRun = None,
    users: Annotated[Path | None, Option(metavar="FILE.parquet", help=USERS)] = None,
    onnx: Annotated[Path | None, Option(metavar="FILE.onnx", help=ONNX)] = None,
    as_json: Json = False,
) -> None:
    """Write item and user vectors for a vector store.

    Of factor and sequence models, as Parquet.

    A score of the model is the inner product of a user's vector and an item's.
    """
    with worded_for("command"):
        found = write_vectors(open_model(model_dir, model), out, users=users, onnx=onnx, progress=True)
    if as_json:
        names = {"out": out, "users_out": users, "onnx": onnx}
        files = {name: None if path is None else str(path) for name, path in names.items()}
        screen.emit({**files, "width": found.width, "items": found.items, "users": found.users})
        return
    screen.say(f"{out}: vectors of {found.items:,} items, {found.width} numbers each")
    if users is not None:
        screen.say(f"{users}: vectors of {found.users:,} users")
    if onnx is not None:
        screen.say(f"{onnx}: the net from histories to vectors")
