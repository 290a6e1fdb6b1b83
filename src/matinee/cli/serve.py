"""`serve`: fitted models over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import Json, Texts
from matinee.cli.screen import Column
from matinee.errors import MatineeError
from matinee.files import StrPath
from matinee.ports import refuse_taken

TOKEN = "MATINEE_TOKEN"
STORE = "sqlite:///matinee-events.db"
NAME = "A model under a name of your choice, in place of its folder's; repeatable."
ROUTE = "A model's share of the users, in any unit; without: the first model answers all. Repeatable."
EVENTS = "Where events are kept: a file of SQLite, a URL of SQLite or PostgreSQL, or none."
EXPLORE = "Share of lists drawn at random and kept, so that other models can be judged by what people did."
RECORD = "Keep what people are shown; without either: where several models share the users, or lists are drawn."
TOKEN_FILE = f"A file with the token that requests must bring; or the environment variable {TOKEN}."
HOST = "Address to listen on. Others than loopback need a token."
ALLOWED = "A name by which clients call this service, * for any; repeatable."
QUEUE = "Requests that are worked on or wait; further ones get 503."


def serve(
    model_dirs: Annotated[list[Path] | None, Argument(metavar="MODEL_DIR...", help="Folders of models.")] = None,
    name: Annotated[Texts, Option("--name", metavar="NAME=MODEL_DIR", help=NAME)] = None,
    route: Annotated[Texts, Option("--route", metavar="NAME=WEIGHT", help=ROUTE)] = None,
    experiment: Annotated[str, Option(metavar="NAME", help="Under another name users are dealt anew.")] = "default",
    events: Annotated[str, Option(metavar="URL", help=EVENTS)] = STORE,
    explore: Annotated[float, Option(min=0.0, max=0.5, help=EXPLORE)] = 0.0,
    record_answers: Annotated[bool | None, Option("--record-answers/--no-record-answers", help=RECORD)] = None,
    host: Annotated[str, Option(metavar="ADDRESS", help=HOST)] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="Port to listen on; 0: a free one.")] = 8000,
    token_file: Annotated[Path | None, Option(metavar="FILE", help=TOKEN_FILE)] = None,
    allowed_host: Annotated[Texts, Option(metavar="NAME", help=ALLOWED)] = None,
    queue: Annotated[int, Option(min=1, help=QUEUE)] = 256,
    quiet: Annotated[bool, Option("--quiet", help="No line on stderr for each request.")] = False,
    check: Annotated[bool, Option("--check", help="Load the models, ask them, say what would serve, and end.")] = False,
    as_json: Json = False,
) -> None:
    """Answer requests for recommendations over HTTP.

    Models are loaded and checked before the first request. POST /v1/models/NAME/reload loads one again.
    """
    if as_json and not check:
        raise MatineeError(
            "a service has no answer of its own to print as JSON", hint="add --check, or leave out --json"
        )
    from matinee.serve.app import create_app  # loads FastAPI
    from matinee.serve.guard import LOOPBACK
    from matinee.serve.limits import Limits
    from matinee.serve.server import check_token, hosts_of, run
    from matinee.serve.telemetry import standard_error

    token = _token(token_file)
    token = None if token is None else check_token(token)
    limits = Limits(queue=queue)
    hosts = LOOPBACK if check else hosts_of(host, token, allowed_host or ())
    if not check:
        refuse_taken(host, port)  # before models are loaded
    app = create_app(
        _models(model_dirs or [], name or []),
        events=None if check or events == "none" else events,
        routing=_weights(route),
        experiment=experiment,
        explore=0.0 if check else explore,
        record_answers=None if check else record_answers,
        token=token,
        allowed_hosts=hosts,
        limits=limits,
        log=None if quiet or check else standard_error(),
    )
    if check:
        _tell(app.state.service.described(), as_json=as_json)
        return
    run(app, host=host, port=port, limits=limits)


def _models(folders: list[Path], named: list[str]) -> dict[str, StrPath]:
    """Name -> folder. Raises MatineeError."""
    from matinee.serve.live import named_folders

    found: dict[str, StrPath] = dict(named_folders(folders))
    for text in named:
        name, sign, folder = text.partition("=")
        if not sign or not folder:
            raise MatineeError(f"--name {text} is no NAME=MODEL_DIR", hint="write for example --name ease=models/EASE")
        if name in found:
            raise MatineeError(f"two models are called {name!r}", hint="give each a --name of its own")
        found |= named_folders({name: folder})
    if not found:
        raise MatineeError("there is no model to serve", hint="name the folder of a model: matinee serve models/ease")
    return found


def _weights(route: list[str] | None) -> dict[str, float] | None:
    found: dict[str, float] = {}
    for text in route or ():
        name, _, weight = text.partition("=")
        try:
            found[name] = float(weight)
        except ValueError:
            raise MatineeError(f"--route {text} is no NAME=WEIGHT", hint="write for example --route ease=0.9") from None
    return found or None


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN)
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise MatineeError(f"cannot be read: {reason}", where=str(file), hint="name a file with one line") from None


def _tell(models: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        screen.emit({"models": models})
        return
    columns = [
        Column("name"), Column("model"), Column("version"), Column("share", right=True), Column("users", right=True),
        Column("items", right=True), Column("events", right=True),
    ]  # fmt: skip
    rows = [
        [m["name"], m["kind"], m["version"], f"{m['share']:.0%}", *(f"{m[n]:,}" for n in ("users", "items", "events"))]
        for m in models
    ]
    screen.table(columns, rows)
