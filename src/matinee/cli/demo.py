"""`demo`: the page on which anyone picks films and sees what each model makes of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.cli.options import DataDir
from matinee.cli.run import telling
from matinee.demo.start import default_models, serve
from matinee.demo.words import LANGUAGES
from matinee.errors import MatineeError

FOLDERS = Argument(metavar="MODEL_DIR", help="Folders of models or runs.", show_default="the default study's run")
PORT = Option(min=1, max=65535, metavar="N", help="Port on this machine.", show_default="the first free from 8501")


def demo(
    folders: Annotated[list[Path] | None, FOLDERS] = None,
    port: Annotated[int | None, PORT] = None,
    language: Annotated[str, Option(metavar="en|ko", help="Of the page.")] = "en",
    browser: Annotated[bool, Option("--open", help="Open the page in the browser.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show models on a page: pick films, compare their lists.

    The page is on this machine alone. Models must be of one log, as those of a run are. Without a folder the default
    study is shown; it is run first where it was not.
    """
    if language not in LANGUAGES:
        raise MatineeError(f"--language {language} is not known", hint=f"use one of: {', '.join(LANGUAGES)}")
    tell = partial(telling(as_json=False))
    shown = folders or [default_models(data_dir=data_dir, tell=tell)]
    serve(shown, port=port, language=language, browser=browser, tell=tell)
