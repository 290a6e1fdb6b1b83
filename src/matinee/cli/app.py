"""The application: its commands, each loaded when it is used, and how their errors are shown."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from matinee.cli import screen
from matinee.errors import MatineeError, MatineeWarning
from matinee.files import WINDOWS
from matinee.version import __version__

# command -> module of matinee.cli that defines it, and its line in the overview
COMMANDS = {
    "run": ("run", "Run a study: split, fit, measure, and write a report."),
    "study": ("study", "Run one of the founding studies, on its data or on yours."),
    "tune": ("tune", "Find better hyper-parameters for the models of a recipe."),
    "init": ("init", "Write a recipe for your own files, with comments."),
    "explore": ("explore", "Say what a log holds, and what follows, on a page."),
    "fit": ("fit", "Fit a model on a whole log and save it."),
    "recommend": ("ask", "Recommend items to a user, to someone new, or to all users."),
    "similar": ("ask", "Recommend what goes with an item, or users like a user."),
    "explain": ("ask", "Show which items of a history raise an item's score."),
    "evaluate": ("evaluate", "Measure a model, or any recommendations, on hidden pairs."),
    "compare": ("compare", "Put models side by side, with paired tests."),
    "analyse": ("analyse", "Say what the models of a run recommend, alone and in pairs."),
    "front": ("analyse", "Say what accuracy costs: re-ranked lists at many strengths."),
    "cold-start": ("cold_start", "Measure models by how many items are known."),
    "export": ("fit", "Copy a model of a run to a folder that stands alone."),
    "vectors": ("vectors", "Write item and user vectors for a vector store."),
    "serve": ("serve", "Answer requests for recommendations over HTTP."),
    "export-events": ("events", "Write the events that a service has kept as a log."),
    "evaluate-log": ("events", "Judge a model by a service's partly random answers."),
    "refit": ("events", "Fit a model again with stored events, and swap it in."),
    "negatives": ("run", "Draw sampled negatives for a recipe's test."),
    "demo": ("demo", "Show models on a page: pick films, compare their lists."),
    "data": ("data", "List the named data sets, or say what files hold."),
    "models": ("models", "List models, show a fitted one, or what fits here."),
}
# command -> the example below its help; the modules of `data` and `models` have a `group` of commands, with examples
EXAMPLES = {
    "run": "recipes/ml-1m-static.toml --seeds 0,1,2 --set ease.l2=500",
    "study": "film-contest --data log.csv --items films.csv",
    "tune": "recipes/ml-100k-next.toml --models ease,item_knn --trials 30",
    "init": "log.csv items.csv --out recipe.toml",
    "explore": "ml-100k --out ml-100k.html",
    "fit": "ease --data ml-100k --set l2=200 --out models/ease",
    "recommend": 'models/ease --history "Toy Story (1995)" --history "Heat (1995)"',
    "similar": 'models/ease "Toy Story (1995)" -k 5',
    "explain": 'models/ease --user 196 --item "Fargo (1996)"',
    "evaluate": "models/ease --truth hidden.csv -k 10,20 --metrics recall,ndcg",
    "compare": "runs/a runs/b --metric ndcg -k 10 --baseline popularity",
    "analyse": "runs/ml-1m --pair ease sasrec",
    "front": "runs/lists --against coverage --out front.svg",
    "cold-start": "ease content --data ml-100k --known 0,1,5 --out known.svg",
    "export": "runs/ml-1m sasrec --out models/sasrec",
    "vectors": "models/sasrec --out items.parquet --users users.parquet",
    "serve": "models/ease --port 8000",
    "export-events": "matinee-events.db --out log.csv --impressions shown.csv",
    "evaluate-log": "models/next --events matinee-events.db",
    "refit": "models/ease --events matinee-events.db --out models/next --gate ndcg@10=-0.5%",
    "demo": "runs/ml-1m models/ease --open",
    "negatives": "recipes/ml-1m-next.toml --out ml-1m.test.negative",
}
BUG, FIXABLE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141
UsageError: Any = typer.BadParameter.__base__  # of click, or of the copy of click in newer versions of typer
# package -> extra of ours that installs it
EXTRAS = {
    "torch": "torch", "lightgbm": "boost", "optuna": "tune", "mlflow": "mlflow", "streamlit": "demo",
    **dict.fromkeys(("fastapi", "starlette", "uvicorn", "orjson", "prometheus_client", "sqlalchemy"), "serve"),
}  # fmt: skip


class LazyCommand(TyperCommand):
    """A line of the overview that becomes the command when it is used."""

    def load(self) -> Any:
        """The command itself, or the group of commands."""
        name, part = str(self.name), typer.Typer(rich_markup_mode=None)
        module = import_module(f"matinee.cli.{COMMANDS[name][0]}")
        if name in EXAMPLES:
            part.command(epilog=f"Example: matinee {name} {EXAMPLES[name]}")(getattr(module, name.replace("-", "_")))
        else:
            part.add_typer(module.group, name=name)
        return get_group(part).commands[name]

    def make_context(self, *args: Any, **options: Any) -> Any:
        return self.load().make_context(*args, **options)


class Root(TyperGroup):
    """All commands. --debug is accepted anywhere on the line; without it no exception leaves as a traceback."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, (_, summary) in COMMANDS.items():
            self.add_command(LazyCommand(name, help=summary))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        if "--debug" in args[:end]:
            args = ["--debug", *(a for a in args[:end] if a != "--debug"), *args[end:]]
        with _explained(debug="--debug" in args):
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
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; accepted anywhere on the line.")] = False,
) -> None:
    """Both are dealt with before this is called."""


@contextlib.contextmanager
def _explained(*, debug: bool) -> Iterator[None]:
    """Turn any exception from inside into one message on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a title with an accent must not end a run in an ASCII terminal
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", MatineeWarning)
            warnings.showwarning = _show_warning(warnings.showwarning)
            screen.forget_warnings()
            yield
        sys.stdout.flush()
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        print("matinee: interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if _reader_left(error):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(BROKEN_PIPE) from None
        if type(error).__name__ == "NoArgsIsHelpError":  # `matinee` alone: typer shows the help
            raise
        if debug and not isinstance(error, UsageError):
            traceback.print_exc()
        if (fixable := _fixable(error)) is not None:
            screen.error(*fixable)
            raise typer.Exit(FIXABLE) from None
        command = shlex.join(["matinee", *sys.argv[1:]])
        trace = "the traceback above" if debug else "the traceback that --debug shows"
        what = f"a bug in Matinee {__version__}: {type(error).__name__}: {error}"
        screen.error(what, f"please report it with the command ({command}) and {trace}")
        raise typer.Exit(BUG) from None


def _reader_left(error: Exception) -> bool:
    """Whether the reader of the output closed the pipe, as `| head` does. Windows calls that an invalid argument."""
    if isinstance(error, BrokenPipeError):
        return True
    return WINDOWS and isinstance(error, OSError) and error.errno == errno.EINVAL and error.filename is None


def _fixable(error: Exception) -> tuple[str, str | None] | None:
    """What went wrong and a hint, for an error that the user can fix; None for a bug."""
    if isinstance(error, UsageError):
        command = "matinee" if error.ctx is None else error.ctx.command_path
        what = error.format_message().removesuffix(".")
        return what[0].lower() + what[1:], f"see `{command} --help`"
    if isinstance(error, MatineeError):
        return error.what if error.where is None else f"{error.where}: {error.what}", error.hint
    if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").split(".")[0]) not in ("", "matinee"):
        wanted = f'"matinee[{EXTRAS[package]}]"' if package in EXTRAS else package
        return f"this needs the package {package}, which is not installed", f"pip install {wanted}"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}", "check the path, its permissions and the free disk space"
    if isinstance(error, MemoryError):
        return "there is not enough memory for this", "use a smaller log or a model with fewer parameters"
    return None


def _show_warning(other: Any) -> Any:
    """A replacement of warnings.showwarning that shows each MatineeWarning once, in one line."""

    def show(message: Any, category: Any, *args: Any, **options: Any) -> None:
        if issubclass(category, MatineeWarning):
            screen.warn(str(message))
        else:
            other(message, category, *args, **options)

    return show
