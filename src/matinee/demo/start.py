"""Starts the page: the models of the default study where none are named, and Streamlit's server on loopback."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from matinee.demo.opened import open_models
from matinee.demo.words import Language
from matinee.errors import MatineeError
from matinee.ports import is_free, refuse_taken
from matinee.study.folder import RUN
from matinee.study.recipe import load_recipe
from matinee.study.run import run_study

RUNS = Path("runs", "default")
HOST, PORT, TRIED = "127.0.0.1", 8501, 20
# what Streamlit is told: nothing is sent or fetched, files are not watched, and the colours are the report's
OPTIONS: dict[str, object] = {
    "server.address": HOST,
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.enableStaticServing": False,
    "browser.gatherUsageStats": False,
    "logger.hideWelcomeMessage": True,
    "logger.level": "warning",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "theme.font": "sans-serif",
    "theme.light.primaryColor": "#98203a",
    "theme.light.backgroundColor": "#fdfcfa",
    "theme.light.secondaryBackgroundColor": "#f4f0ea",
    "theme.light.textColor": "#1d1b19",
    "theme.light.borderColor": "#e3ded6",
    "theme.dark.primaryColor": "#f0909f",
    "theme.dark.backgroundColor": "#161413",
    "theme.dark.secondaryBackgroundColor": "#211e1c",
    "theme.dark.textColor": "#ebe7e1",
    "theme.dark.borderColor": "#37332f",
}


def default_models(*, data_dir: Path | None, tell: Callable[[str], None]) -> Path:
    """The run folder of the default study, which is run first where it was not; without PyTorch as far as it can be."""
    if (RUNS / RUN).is_file():
        return RUNS
    study = load_recipe()
    if find_spec("torch") is None:
        study, gone = study.without_torch()
        tell(f"{' and '.join(gone)} need PyTorch and are left out")
    tell(f"no model is named: running the default study into {RUNS} first")
    return run_study(study, RUNS, data_dir=data_dir, tell=tell).path


def serve(
    folders: Sequence[Path],
    *,
    port: int | None = None,
    language: Language = "en",
    browser: bool = False,
    tell: Callable[[str], None],
) -> None:
    """Show the models of folders (of models or runs) on a page on this machine, until it is interrupted.

    port: None takes the first free one from 8501 on. browser: opens the page. Raises MatineeError for folders without
    models, models of different logs, and a port that is taken; ModuleNotFoundError without Streamlit.
    """
    bootstrap = import_module("streamlit.web.bootstrap")
    paths = tuple(path.resolve() for path in folders)
    opened = open_models(paths)
    port = free_port(port)
    tell(f"{', '.join(each.name for each in opened.shown)}: http://{HOST}:{port} (Ctrl-C ends it)")
    if browser:
        webbrowser.open(f"http://{HOST}:{port}")
    given = json.dumps({"folders": [str(path) for path in paths], "language": language})
    options = {name.replace(".", "_"): value for name, value in {**OPTIONS, "server.port": port}.items()}
    bootstrap.load_config_options(options)
    bootstrap.run(str(Path(__file__).with_name("page.py")), False, [given], options)


def free_port(port: int | None) -> int:
    """The port, where it is free; None: the first free one from 8501 on. Raises MatineeError."""
    if port is not None:
        refuse_taken(HOST, port)
        return port
    for each in range(PORT, PORT + TRIED):
        if is_free(HOST, each):
            return each
    raise MatineeError(f"the ports {PORT} to {PORT + TRIED - 1} are taken", hint="choose another with --port")
