"""`export-events`, `evaluate-log` and `refit`: what a service has kept, for a log, a judgement and the next model."""

from __future__ import annotations

import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from matinee.cli import screen
from matinee.cli.compare import MAY_NOT
from matinee.cli.options import DataDir, Json, ModelDir, Text, Texts
from matinee.cli.screen import Column
from matinee.cli.serve import STORE, TOKEN
from matinee.errors import worded_for

STORE_HELP = "A file of SQLite, or postgresql://USER:PASSWORD@HOST/DATABASE."
WITHIN = Option(metavar="TIME", help="How much later an item counts as watched: seconds, 30m, 12h, 7d.")
DISLIKES = Option(metavar="R", help="Events rated lower are dislikes.", show_default="none is")
SHOWN = "Also write what people were shown, by position, with its probability and whether it was then watched."
CLIP = "Cut weights above this to it: less variance, and a value that is too low."
SERVED = "A model that served, from whose items random answers were drawn; repeatable."
GATE = "Only a model that keeps to this margin is saved; repeatable; none: without a check. Exit code 3: it does not."
HELD_OUT = "The latest share of the events, by which old and new are compared."
LOG = "The log without the events: a file, a named data set, or a recipe with a [data] table."
RECORD = Option(metavar="FILE", help="Write the decision as JSON.", show_default="OUT.decision.json")
SWAP = f"Address of a running service that is to load the new model; its token from the environment, {TOKEN}."
NAME = "With --swap: what the service calls the model."


def export_events(
    store: Annotated[str, Argument(metavar="STORE_URL", help=STORE_HELP)],
    out: Annotated[Path, Option(metavar="FILE", help="The log: .csv, .tsv, .jsonl or .parquet.")],
    impressions: Annotated[Path | None, Option(metavar="FILE", help=SHOWN)] = None,
    within: Annotated[str, WITHIN] = "1d",
    dislike_below: Annotated[float | None, DISLIKES] = None,
    as_json: Json = False,
) -> None:
    """Write the events that a service has kept as a log."""
    from matinee.serve.events.export import export_events as exported

    with worded_for("command"):
        found = exported(store, out, impressions=impressions, within=within, dislike_below=dislike_below)
    kinds = found.options.get("kinds", {})
    options = [f"--kind-column {kinds['column']}"] if kinds else []
    options += [f"--kind {kind}={weight:g}" for kind, weight in kinds.get("weights", {}).items()]
    command = " ".join(["matinee fit ease --data", shlex.quote(str(out)), *options])
    if as_json:
        names = ("events", "people", "items", "kinds", "options", "impressions", "watched")
        files = {"out": str(out), "impressions_out": None if impressions is None else str(impressions)}
        screen.emit({**files, **{name: getattr(found, name) for name in names}})
        return
    screen.say(str(found))
    screen.say(f"next: {command}", "dim")


def evaluate_log(
    model_dir: ModelDir,
    events: Annotated[str, Option(metavar="STORE_URL", help=STORE_HELP)] = STORE,
    k: Annotated[int | None, Option("-k", min=1, help="Length of the lists.", show_default="as answered")] = None,
    within: Annotated[str, WITHIN] = "1d",
    clip: Annotated[float | None, Option(metavar="W", help=CLIP, show_default="no limit")] = None,
    served: Annotated[list[Path] | None, Option(metavar="MODEL_DIR", help=SERVED)] = None,
    as_json: Json = False,
) -> None:
    """Judge a model by a service's partly random answers.

    What its lists would have been worth to the people whom the service answered.

    By IPS and SNIPS, from answers that were partly random: serve with --explore 0.05.
    """
    from matinee.serve.events.replay import evaluate_log as evaluated

    with worded_for("command"):
        found = evaluated(model_dir, events, k=k, within=within, clip=clip, served=served or ())
    if as_json:
        screen.emit({"model": str(model_dir), **found.to_dict()})
        return
    screen.table([Column(""), Column("", right=True)], found.rows(), header=False)
    screen.say(f"\n{found.basis}", "dim")


def refit(
    model_dir: ModelDir,
    out: Annotated[Path, Option(metavar="NEW_DIR", help="Folder of the new model.")],
    events: Annotated[str, Option(metavar="STORE_URL", help=STORE_HELP)] = STORE,
    log: Annotated[Text, Option(metavar="SOURCE", help=LOG, show_default="the model's own log")] = None,
    data_dir: DataDir = None,
    gate: Annotated[Texts, Option(metavar="METRIC@K=MARGIN", help=GATE, show_default="ndcg@10=-0.5%")] = None,
    held_out: Annotated[float, Option(metavar="SHARE", help=HELD_OUT)] = 0.2,
    confidence: Annotated[float, Option(metavar="SHARE", help="Of the gates' one-sided intervals.")] = 0.95,
    dislike_below: Annotated[float | None, DISLIKES] = None,
    seed: Annotated[int, Option(min=0, help="Random seed.")] = 0,
    record: Annotated[Path | None, RECORD] = None,
    swap: Annotated[Text, Option(metavar="URL", help=SWAP)] = None,
    name: Annotated[Text, Option(metavar="NAME", help=NAME, show_default="as its folder")] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace the model in NEW_DIR.")] = False,
    as_json: Json = False,
) -> None:
    """Fit a model again with stored events, and swap it in.

    It learns from its log and the events, and is swapped in if it is no worse.

    Old and new are compared as they would have been before the latest events, by what people did then. The exit code
    is 0 where the new model was saved, and 3 where a gate was not passed.
    """
    from matinee.cli.sources import check_out
    from matinee.serve.events.refit import GATE as USUAL
    from matinee.serve.events.refit import refit as refitted

    check_out(out, overwrite=overwrite)
    gates = [text for text in gate or [USUAL] if text.lower() != "none"]
    with worded_for("command"):
        found = refitted(
            model_dir, events, out, log=log, gate=gates or None, held_out=held_out, confidence=confidence, seed=seed,
            dislike_below=dislike_below, record=record, swap=swap, name=name, token=os.environ.get(TOKEN),
            data_dir=data_dir, tell=partial(print, file=sys.stderr, flush=True),
        )  # fmt: skip
    if as_json:
        swapped = None if found.swapped is None else vars(found.swapped)
        screen.emit({**found.decision.model_dump(mode="json"), "swapped": swapped})
    else:
        screen.say(str(found))
    if not found.decision.may_replace:
        raise Exit(MAY_NOT)
