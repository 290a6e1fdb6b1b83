"""`export`: a model of a run, in a folder that stands alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

import matinee
from matinee.cli import screen
from matinee.cli.options import Json
from matinee.cli.sources import check_out


def export(
    run: Annotated[Path, Argument(metavar="RUN", help="The folder of a run.", show_default=False)],
    label: Annotated[str, Argument(metavar="LABEL", help="A model of the run.", show_default=False)],
    out: Annotated[Path, Option("--out", metavar="DIR", help="Where the model goes.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Copy a model of a run to a folder that stands alone.

    The models of a run share their log. The new folder has a copy of it and needs nothing from the run.
    """
    check_out(out)
    matinee.export_model(run, label, out)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    if as_json:
        screen.emit({"run": str(run), "label": label, "out": str(out), "bytes": size})
        return
    screen.say(f"{label} of {run} saved to {out} ({size / 1e6:,.1f} MB)")
