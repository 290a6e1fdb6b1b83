"""The application: its commands, and what becomes of their errors."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from matinee.cli import ask, catalogue, compare, evaluate, export, fit, negatives, run, screen
from matinee.errors import MatineeError, MatineeWarning
from matinee.version import __version__

BUG, HINT, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141
EXTRAS = {
    "torch": "torch",
    "lightgbm": "boost",
    "optuna": "tune",
    "fastapi": "serve",
    "uvicorn": "serve",
    "streamlit": "demo",
    "mlflow": "track",
    "pyspark": "spark",
}


class Root(TyperGroup):
    """All commands. --debug may stand anywhere on the line, and no exception leaves as a traceback without it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        if "--debug" in args[:end]:
            args = ["--debug", *(a for a in args[:end] if a != "--debug"), *args[end:]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _explained(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


app = typer.Typer(
    cls=Root,
    help="From a log of who watched what to recommendations that can be trusted.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help takes half the time of boxes, and reads as well
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: matinee run",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"matinee {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere on the line.")] = False,
) -> None:
    # both are dealt with before this is called
    pass


run.register(app)
fit.register(app)
ask.register(app)
evaluate.register(app)
compare.register(app)
negatives.register(app)
catalogue.register(app)
export.register(app)


@contextlib.contextmanager
def _explained(*, debug: bool) -> Iterator[None]:
    """Turn whatever happens inside into one message on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a title with an accent must not end a run in an ASCII terminal
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", MatineeWarning)
            warnings.showwarning = _show_warning(warnings.showwarning)
            yield
        sys.stdout.flush()
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        screen.note("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(BROKEN_PIPE) from None
    except Exception as error:
        if _is_typers(error):
            raise
        if debug:
            traceback.print_exc()
        raise typer.Exit(_tell(error, debug=debug)) from None


def _is_typers(error: Exception) -> bool:
    """Wrong usage, which typer formats itself (exit code 2)."""
    return type(error).__module__.split(".")[0] in ("typer", "click")


def _tell(error: Exception, *, debug: bool) -> int:
    """One message on stderr; returns the exit code."""
    if isinstance(error, MatineeError):
        screen.error(error.what if error.where is None else f"{error.where}: {error.what}", error.hint)
        return HINT
    if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").split(".")[0]) not in ("", "matinee"):
        wanted = f'"matinee[{EXTRAS[package]}]"' if package in EXTRAS else package
        screen.error(f"this needs the package {package}, which is not installed", f"pip install {wanted}")
        return HINT
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        screen.error(f"{where}{error.strerror}", "check the path, its permissions and the space on the disk")
        return HINT
    if isinstance(error, MemoryError):
        screen.error("there is not enough memory for this", "use a smaller log or a model with fewer parameters")
        return HINT
    command = shlex.join(["matinee", *sys.argv[1:]])
    again = "the traceback above" if debug else "what --debug adds to it"
    screen.error(
        f"a bug in Matinee {__version__}: {type(error).__name__}: {error}",
        f"report it with the command ({command}) and {again}",
        hint_word="please",
    )
    return BUG


def _show_warning(other: Any) -> Any:
    """A replacement of warnings.showwarning: ours as one tidy line, each text once."""
    shown: set[str] = set()

    def show(message: Any, category: Any, *args: Any, **options: Any) -> None:
        if not issubclass(category, MatineeWarning):
            other(message, category, *args, **options)
        elif str(message) not in shown:
            shown.add(str(message))
            screen.warn(str(message))

    return show
